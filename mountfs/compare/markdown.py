"""A comparison as a comment on a pull request: a verdict, a short table, the rest folded away.

Names come from whoever wrote the test or the branch. Each stands in a <code> element, in which no service looks for
mentions, references or links, with all that Markdown might take for its own as character references: those are text
wherever they stand, so that no name ends a cell, a row or a fold.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from mountfs.compare.baseline import Baseline
from mountfs.compare.comparison import Comparison
from mountfs.compare.gates import GateResult
from mountfs.compare.tables import Mark, Row, Table, tables, verdict
from mountfs.compare.texts import legible

LIMIT: Final = 60_000  # of the 65,536 characters that GitHub takes
MOST_ROWS: Final = 50
_STEPS: Final = (MOST_ROWS, 20, 8, 3, 0)  # rows of each table, tried until all fits

# Left as they are: what cannot begin, end or join anything in Markdown. An underscore between letters joins nothing;
# a slash after a colon or another slash, and a point after www, would make links.
_PLAIN: Final = re.compile(
    r"(?<=[A-Za-z0-9])_(?=[A-Za-z0-9])|(?<![:/])/|(?<!www)\.|[A-Za-z0-9 ,=%:;()+'-]|[^\x00-\x7f]", re.IGNORECASE
)
_SIGNS: Final = {Mark.GOOD: "✅", Mark.BAD: "❌", Mark.PLAIN: ""}


def as_markdown(
    comparison: Comparison,
    *,
    gates: Sequence[GateResult] = (),
    baseline: Baseline | None = None,
    limit: int = LIMIT,
) -> str:
    """The comparison in at most `limit` characters: tables lose rows, and say how many, until all fits."""
    for most in _STEPS:
        text = _text(comparison, gates, baseline, most)
        if len(text) <= limit:
            return text
    return _head(comparison, gates, baseline)[:limit]


def _text(comparison: Comparison, gates: Sequence[GateResult], baseline: Baseline | None, most: int) -> str:
    parts = [_head(comparison, gates, baseline)]
    parts += [_table(table, max(most, 5) if table.open else most) for table in tables(comparison, gates)]
    return "\n".join(parts)


def _head(comparison: Comparison, gates: Sequence[GateResult], baseline: Baseline | None) -> str:
    said, mark = verdict(comparison, gates)
    between = f"{name(comparison.after)} against {name(comparison.before)}"
    if baseline is not None:
        between = f"{name(comparison.after)} against {name(str(baseline))}"
        between += f"\n{escaped(legible(baseline.warning, 1000))}" if baseline.warning else ""
    return f"{_SIGNS[mark]} **{escaped(said)}**\n\n{between}\n".lstrip()


def _table(table: Table, most: int) -> str:
    rows = table.rows[:most]
    left = len(table.rows) - len(rows)
    lines = (
        []
        if not rows
        else ["| | | before | after | change |", "|---|---|---:|---:|---:|", *(_row(row, table) for row in rows)]
    )
    more = [f"\n… and {left:,} more"] if left else []
    title = f"{table.title} ({len(table.rows):,})"
    if table.open:
        return "\n".join(("", f"**{table.title}**", "", *lines, *more, ""))
    return "\n".join(("<details>", f"<summary>{title}</summary>", "", *lines, *more, "", "</details>", ""))


def _row(row: Row, table: Table) -> str:
    named = escaped(row.name) if table.ours else name(row.name)
    what = f"{named} {name(row.detail)}" if row.detail else named
    return "| " + " | ".join((_SIGNS[row.mark], what, *map(escaped, (row.before, row.after, row.change)))) + " |"


def name(text: str) -> str:
    """A name as code; nothing in it is anything but itself."""
    return f"<code>{escaped(legible(text))}</code>" if text else ""


def escaped(text: str) -> str:
    """Text of which Markdown sees nothing but letters."""
    return "".join(_escaped(text))


def _escaped(text: str) -> Iterable[str]:
    for place, character in enumerate(text):
        yield character if _PLAIN.match(text, place) else f"&#{ord(character)};"
