"""JaCoCo XML. Its counters say missed and covered; lines come below source files, which are told of once.

A line is covered when an instruction of it was executed, as JaCoCo's own LINE counter has it.
"""

from collections.abc import Mapping
from typing import Final

from mountfs.reports.formats.kinds import Opening, XmlFormat
from mountfs.reports.formats.lines import FileLines, Files, summed, with_counts
from mountfs.reports.limits import Broken, Room
from mountfs.reports.model import Coverage
from mountfs.reports.shape import parsed_count

_CHILDREN: Final = frozenset({"sessioninfo", "group", "package", "counter"})


def _fits(opening: Opening) -> bool:
    return opening.root == "report" and "name" in opening.attributes and opening.child in _CHILDREN


class _Reader:
    def __init__(self, room: Room) -> None:
        self._room = room
        self._files = Files(room)
        self._path: list[str] = []
        self._package = ""
        self._lines: FileLines | None = None
        self._totals: dict[str, int] = {}

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._path.append(tag)
        if tag == "line" and self._lines is not None:
            self._line(self._lines, attributes)
        elif tag == "package":
            self._package = attributes.get("name", "")
        elif tag == "sourcefile":
            self._lines = self._files.of(f"{self._package}/{attributes.get('name', '')}".lstrip("/"))
        elif tag == "counter" and len(self._path) == 2:
            self._counter(attributes)

    def _line(self, lines: FileLines, attributes: Mapping[str, str]) -> None:
        number = _number(attributes, "nr")
        self._room.take("lines")
        lines.line(number, hit=_number(attributes, "ci") > 0)
        taken, missed = _number(attributes, "cb"), _number(attributes, "mb")
        if taken or missed:
            lines.branch(number, taken, taken + missed)

    def _counter(self, attributes: Mapping[str, str]) -> None:
        names = {"LINE": ("lines", "covered"), "BRANCH": ("branches", "branches_covered")}.get(
            attributes.get("type", "")
        )
        if names is not None:
            covered = _number(attributes, "covered")
            self._totals |= {names[0]: covered + _number(attributes, "missed"), names[1]: covered}

    def data(self, text: str) -> None:
        """It has no texts."""

    def end(self, tag: str) -> None:
        self._path.pop()
        if tag == "sourcefile":
            self._lines = None

    def report(self) -> Coverage:
        return with_counts(summed(self._files.counted()), self._totals)


def _number(attributes: Mapping[str, str], name: str) -> int:
    number = parsed_count(attributes.get(name, "0"))
    if number is None:
        raise Broken(f"has no count where '{name}' should be")
    return number


FORMATS: Final = (XmlFormat("jacoco", ("report",), _fits, _Reader),)
