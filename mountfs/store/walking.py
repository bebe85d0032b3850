"""Down from the root by names, from where the last walk came by.

Who works through a tree asks for neighbours, one after the other, and a path may have 2,000 names: from the root each
time that would be four million questions for a job.
"""

from collections.abc import Callable
from typing import TypeAlias

from mountfs.catalog import Catalog
from mountfs.model import ROOT_INO, Entry, Kind

Names: TypeAlias = tuple[bytes, ...]


class Walk:
    """`entry` and `child` answer as the store is now: by number, by directory and name."""

    def __init__(
        self, catalog: Catalog, entry: Callable[[int], Entry | None], child: Callable[[int, bytes], Entry | None]
    ) -> None:
        self._catalog = catalog
        self._entry = entry
        self._child = child
        self._names: Names = ()
        self._inos: list[int] = []  # of the directories that these names lead through
        self._moves = catalog.moves

    def as_far_as(self, names: Names) -> tuple[int, Entry]:
        """How many names of a path lead somewhere, and the entry that the last of these is."""
        inos, entry = self._known(names)
        found = len(inos)
        while found < len(names) and entry.kind == Kind.DIRECTORY:
            there = self._child(entry.ino, names[found])
            if there is None:
                break
            entry, found = there, found + 1
            if entry.kind == Kind.DIRECTORY:
                inos.append(entry.ino)
        self._names, self._inos = names[: len(inos)], inos
        return found, entry

    def _known(self, names: Names) -> tuple[list[int], Entry]:
        """The directories that this path shares with the last one, and the last of these."""
        inos = self._inos[: _shared(self._names, names)] if self._moves == self._catalog.moves else []
        self._moves = self._catalog.moves
        # where nothing was moved, a directory that is still there is where it was
        entry = self._entry(inos[-1]) if inos else None
        if entry is not None:
            return inos, entry
        root = self._entry(ROOT_INO)
        assert root is not None, "a store has a root"
        return [], root


def _shared(one: Names, other: Names) -> int:
    """With how many of the same names they begin."""
    at_least, at_most = 0, min(len(one), len(other))
    while at_least < at_most:
        middle = (at_least + at_most + 1) // 2
        if one[at_least:middle] == other[at_least:middle]:
            at_least = middle
        else:
            at_most = middle - 1
    return at_least
