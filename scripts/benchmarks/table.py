"""Results as a table for people and as JSON for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Result:
    """One line: `ratio` is the number that `aim` speaks of, `met` None where there is nothing to meet."""

    row: str
    ours: str
    reference: str
    ratio: float | None
    aim: str
    met: bool | None
    note: str = ""

    @property
    def verdict(self) -> str:
        return {True: "yes", False: "NO", None: "-"}[self.met]

    def cells(self) -> list[str]:
        ratio = "-" if self.ratio is None else f"{self.ratio:.2f}"
        return [self.row, self.ours, self.reference, ratio, self.aim, self.verdict, self.note]


def at_least(row: str, ours: float, reference: float, *, aim: float, unit: str, note: str = "") -> Result:
    """More is better: ours must be `aim` times the reference."""
    ratio = ours / reference
    return Result(row, _told(ours, unit), _told(reference, unit), ratio, f">= {aim:g} x", ratio >= aim, note)


def at_most(row: str, ours: float, reference: float, *, aim: float, unit: str, note: str = "") -> Result:
    """Less is better: ours may be `aim` times the reference."""
    ratio = ours / reference
    return Result(row, _told(ours, unit), _told(reference, unit), ratio, f"<= {aim:g} x", ratio <= aim, note)


def below(row: str, ours: float, *, limit: float, unit: str, reference: str = "-", note: str = "") -> Result:
    """Less is better: ours has a limit of its own."""
    return Result(row, _told(ours, unit), reference, None, f"< {limit:g} {unit}", ours < limit, note)


def no_more_than(row: str, ours: int, *, limit: int) -> Result:
    """A count that has a limit of its own."""
    return Result(row, str(ours), "-", None, f"<= {limit}", ours <= limit)


def remark(row: str, ours: float, reference: float, *, unit: str, note: str = "") -> Result:
    """A line to look at, with no aim."""
    return Result(row, _told(ours, unit), _told(reference, unit), ours / reference, "-", None, note)


def failed(row: str, problem: str) -> Result:
    return Result(row, "-", "-", None, "-", False, f"failed: {problem}")


def _told(value: float, unit: str) -> str:
    digits = 0 if value >= 100 or value.is_integer() else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:,.{digits}f} {unit}".rstrip()


def as_text(results: Sequence[Result]) -> str:
    rows = [
        ["row", "ours", "reference", "ratio", "aim", "met", "note"],
        *(result.cells() for result in results),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append("  ".join([*cells, row[6]]).rstrip())
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def write_json(results: Sequence[Result], target: Path) -> None:
    target.write_text("".join(json.dumps({"schema": 1, **asdict(result)}) + "\n" for result in results))
