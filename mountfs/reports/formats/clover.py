"""Clover XML (OpenClover, PHPUnit, Istanbul). Its lines are statements; its branches, conditions."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from mountfs.reports.formats.kinds import Opening, XmlFormat
from mountfs.reports.formats.lines import with_counts
from mountfs.reports.limits import Broken, Room
from mountfs.reports.model import Coverage, FileCoverage
from mountfs.reports.shape import parsed_count

_COUNTS: Final = {
    "lines": "statements",
    "covered": "coveredstatements",
    "branches": "conditionals",
    "branches_covered": "coveredconditionals",
}
_EXECUTABLE: Final = frozenset({"stmt", "cond"})


def _fits(opening: Opening) -> bool:
    return opening.root == "coverage" and "generated" in opening.attributes and opening.child == "project"


class _Reader:
    def __init__(self, room: Room) -> None:
        self._room = room
        self._path: list[str] = []
        self._files: dict[str, FileCoverage] = {}
        self._file = ""
        self._counts: dict[str, int] = {}
        self._missed: set[int] = set()
        self._project: dict[str, int] | None = None

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._path.append(tag)
        if tag == "file":
            self._room.take("files")
            path = attributes.get("path") or attributes.get("name", "")
            self._file, self._counts, self._missed = self._room.name(path.replace("\\", "/")), {}, set()
        elif tag == "line" and "file" in self._path:
            self._line(attributes)
        elif tag == "metrics" and self._path[-2:] == ["file", "metrics"]:
            self._counts = _counts(attributes)
        elif tag == "metrics" and self._path == ["coverage", "project", "metrics"]:
            self._project = _counts(attributes)

    def _line(self, attributes: Mapping[str, str]) -> None:
        self._room.take("lines")
        number = parsed_count(attributes.get("num"))
        if number is not None and attributes.get("type") in _EXECUTABLE and attributes.get("count") == "0":
            self._missed.add(number)

    def data(self, text: str) -> None:
        """It has no texts."""

    def end(self, tag: str) -> None:
        self._path.pop()
        if tag == "file":
            self._files[self._file] = FileCoverage(
                lines=self._counts.get("lines", 0),
                covered=self._counts.get("covered", 0),
                branches=self._counts.get("branches", 0),
                branches_covered=self._counts.get("branches_covered", 0),
                missed=frozenset(self._missed),
            )

    def report(self) -> Coverage:
        if self._project is None:
            raise Broken("has no metrics of the project")
        return with_counts(Coverage(MappingProxyType(self._files)), self._project)


def _counts(attributes: Mapping[str, str]) -> dict[str, int]:
    known = {name: parsed_count(attributes.get(attribute)) for name, attribute in _COUNTS.items()}
    if known["lines"] is None or known["covered"] is None:
        raise Broken("has metrics without a count of statements")
    return {name: number for name, number in known.items() if number is not None}


FORMATS: Final = (XmlFormat("clover", ("coverage",), _fits, _Reader),)
