"""lcov's tracefiles: records from `SF:` to `end_of_record`, one file maybe in several (a test name each)."""

from collections.abc import Iterator, Sequence
from typing import Final

from mountfs.reports.formats.kinds import TextFormat
from mountfs.reports.formats.lines import FileLines, Files, summed
from mountfs.reports.limits import Broken, Room
from mountfs.reports.model import Coverage
from mountfs.reports.shape import parsed_count

_RECORDS: Final = ("DA:", "LF:", "FN:", "FNF:", "BRF:", "VER:", "BRDA:", "FNL:", "end_of_record")


def _fits(lines: Sequence[str]) -> bool:
    if not lines or not lines[0].startswith(("TN:", "SF:")):
        return False
    named = [number for number, line in enumerate(lines) if line.startswith("SF:")]
    return bool(named) and any(line.startswith(_RECORDS) for line in lines[named[0] :])


class _Record:
    """One file's part: its lines, and its branches as `taken or not` by line, counted when it ends."""

    def __init__(self, lines: FileLines) -> None:
        self._lines = lines
        self._branches: dict[int, list[bool]] = {}

    def line(self, fields: list[str]) -> None:
        if len(fields) < 2:
            raise Broken("has a DA record without a count")
        # gcov counts below zero where threads raced: it was executed
        self._lines.line(_number(fields[0]), hit=fields[1].strip() != "0")

    def branch(self, fields: list[str]) -> None:
        if len(fields) < 4:
            raise Broken("has a BRDA record without a count")
        self._branches.setdefault(_number(fields[0]), []).append(fields[-1].strip() not in ("-", "0"))

    def end(self) -> None:
        for number, taken in self._branches.items():
            self._lines.branch(number, sum(taken), len(taken))


def _parse(lines: Iterator[str], room: Room) -> Coverage:
    files = Files(room)
    record: _Record | None = None
    for line in lines:
        keyword, _, rest = line.strip().partition(":")
        if keyword == "SF":
            record = _Record(files.of(rest.replace("\\", "/")))
        elif keyword == "end_of_record" and record is not None:
            record.end()
            record = None
        elif keyword in ("DA", "BRDA"):
            room.take("lines")
            _told(record, keyword, rest.split(","))
    if record is not None:
        raise Broken("ends in the middle of a record")
    return summed(files.counted())


def _told(record: _Record | None, keyword: str, fields: list[str]) -> None:
    if record is None:
        raise Broken(f"has a {keyword} record of no file")
    if keyword == "DA":
        record.line(fields)
    else:
        record.branch(fields)


def _number(written: str) -> int:
    number = parsed_count(written)
    if number is None:
        raise Broken("has a line number that is none")
    return number


TEXT_FORMATS: Final = (TextFormat("lcov", _fits, _parse),)
