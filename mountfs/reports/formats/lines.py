"""Coverage that comes line by line, in any order, of one file maybe at several places: what each file adds up to."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from mountfs.reports.limits import NAME_SIGNS, Room, shortened
from mountfs.reports.model import Coverage, FileCoverage


@dataclass(slots=True)
class FileLines:
    """One file: the lines that were executed, those that were not, and of its branches taken and all by line."""

    hit: set[int] = field(default_factory=set)
    missed: set[int] = field(default_factory=set)
    branches: dict[int, tuple[int, int]] = field(default_factory=dict)

    def line(self, number: int, *, hit: bool) -> None:
        """A line is covered when it was executed in one of the places where it is told of."""
        if hit:
            self.hit.add(number)
            self.missed.discard(number)
        elif number not in self.hit:
            self.missed.add(number)

    def branch(self, number: int, taken: int, all_of_them: int) -> None:
        before = self.branches.get(number, (0, 0))
        self.branches[number] = (max(before[0], taken), max(before[1], all_of_them))

    def counted(self) -> FileCoverage:
        return FileCoverage(
            lines=len(self.hit) + len(self.missed),
            covered=len(self.hit),
            branches=sum(pair[1] for pair in self.branches.values()),
            branches_covered=sum(pair[0] for pair in self.branches.values()),
            missed=frozenset(self.missed),
        )


class Files:
    """The files of a report, within its limits."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._files: dict[str, FileLines] = {}

    def of(self, path: str) -> FileLines:
        path = shortened(path, NAME_SIGNS)
        found = self._files.get(path)
        if found is None:
            self._room.take("files")
            found = self._files[self._room.name(path)] = FileLines()
        return found

    def counted(self) -> dict[str, FileCoverage]:
        return {path: lines.counted() for path, lines in self._files.items()}


def with_counts(coverage: Coverage, told: Mapping[str, int]) -> Coverage:
    """The same with the project's own counts, where it tells them: by the names of the model."""
    return replace(
        coverage,
        lines=told.get("lines", coverage.lines),
        covered=told.get("covered", coverage.covered),
        branches=told.get("branches", coverage.branches),
        branches_covered=told.get("branches_covered", coverage.branches_covered),
    )


def summed(files: dict[str, FileCoverage]) -> Coverage:
    """The project as the sum of its files, for formats that say no more."""
    return Coverage(
        MappingProxyType(files),
        lines=sum(file.lines for file in files.values()),
        covered=sum(file.covered for file in files.values()),
        branches=sum(file.branches for file in files.values()),
        branches_covered=sum(file.branches_covered for file in files.values()),
    )
