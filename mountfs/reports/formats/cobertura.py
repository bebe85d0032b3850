"""Cobertura XML: coverage.py, gcovr, pycobertura, lcov_cobertura and others write it.

A file may come as several classes (Java's inner ones), a line as one of a method and of its class: lines are joined.
The project's counts are those of the root; where it has none, those of the lines, else its rates.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from mountfs.reports.formats.kinds import Opening, XmlFormat
from mountfs.reports.formats.lines import FileLines, Files, summed, with_counts
from mountfs.reports.limits import Broken, Room
from mountfs.reports.model import Coverage
from mountfs.reports.paths import common_directory
from mountfs.reports.shape import parsed_count, parsed_number

_CONDITIONS: Final = re.compile(r"\((\d{1,9})/(\d{1,9})\)")
_COUNTS: Final = {
    "lines": "lines-valid",
    "covered": "lines-covered",
    "branches": "branches-valid",
    "branches_covered": "branches-covered",
}


def _fits(opening: Opening) -> bool:
    return opening.root == "coverage" and "line-rate" in opening.attributes


class _Reader:
    def __init__(self, room: Room) -> None:
        self._room = room
        self._files = Files(room)
        self._root: Mapping[str, str] = {}
        self._sources: list[str] = []
        self._source: list[str] | None = None
        self._below = ""
        self._lines: FileLines | None = None

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "line" and self._lines is not None:
            self._line(self._lines, attributes)
        elif tag == "class":
            self._lines = self._files.of(self._relative(attributes.get("filename", "")))
        elif tag == "source":
            self._source = []
        elif tag == "coverage" and not self._root:
            self._root = attributes

    def _line(self, lines: FileLines, attributes: Mapping[str, str]) -> None:
        number = parsed_count(attributes.get("number"))
        if number is None:
            raise Broken("has a line without a number")
        self._room.take("lines")
        lines.line(number, hit=attributes.get("hits", "0") not in ("0", ""))
        taken = _CONDITIONS.search(attributes.get("condition-coverage", ""))
        if taken is not None:
            lines.branch(number, int(taken[1]), int(taken[2]))

    def _relative(self, path: str) -> str:
        """Below the directory of all sources: below each one's own, two files would be one."""
        return path.replace("\\", "/").removeprefix(self._below)

    def data(self, text: str) -> None:
        if self._source is not None and len(self._source) < 16:
            self._source.append(text[:4096])

    def end(self, tag: str) -> None:
        if tag == "class":
            self._lines = None
        elif tag == "source" and self._source is not None:
            self._keep_source("".join(self._source).strip().replace("\\", "/"))
            self._source = None

    def _keep_source(self, source: str) -> None:
        if len(source) > 1 and len(self._sources) < 100:
            self._sources.append(source.rstrip("/"))
            root = common_directory(self._sources)
            self._below = f"{root}/" if root else ""

    def report(self) -> Coverage:
        summary = summed(self._files.counted())
        counts = {name: parsed_count(self._root.get(attribute)) for name, attribute in _COUNTS.items()}
        known = {name: number for name, number in counts.items() if number is not None}
        if "lines" in known and "covered" in known:
            return with_counts(summary, known)
        return summary if summary.lines else self._rates(summary)

    def _rates(self, summary: Coverage) -> Coverage:
        line, branch = (parsed_number(self._root.get(name)) for name in ("line-rate", "branch-rate"))
        if line is None:
            raise Broken("has no number where 'line-rate' should be")
        return replace(
            summary,
            files=MappingProxyType(dict(summary.files)),
            line_rate=line * 100,
            branch_rate=None if branch is None else branch * 100,
        )


FORMATS: Final = (XmlFormat("cobertura", ("coverage",), _fits, _Reader),)
