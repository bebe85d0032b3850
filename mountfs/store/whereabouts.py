"""Where directories lie, remembered until something is moved.

Every create, removal and record asks for the path of a directory, and a path may have 2,000 names: climbing up through
the rows each time took 17 ms of the loop.
"""

from collections.abc import Callable, Iterator
from typing import TypeAlias

from mountfs.catalog import Catalog
from mountfs.model import ROOT_INO

Up: TypeAlias = tuple[int, bytes]
"""The directory that an entry is in, and its name there."""

DIRECTORIES_KEPT = 10_000
NAMES_KEPT = 500_000  # in all paths that are remembered whole: 4 MB


class Whereabouts:
    """`up` answers as the store is now; None for what is no more."""

    def __init__(self, catalog: Catalog, up: Callable[[int], Up | None]) -> None:
        self._catalog = catalog
        self._up = up
        self._moves = catalog.moves
        self._ups: dict[int, Up] = {}
        self._paths: dict[int, tuple[bytes, ...]] = {}
        self._names = 0

    def path(self, ino: int) -> tuple[bytes, ...] | None:
        """The names from the root down to an entry; None of what is no more."""
        if ino == ROOT_INO:
            return ()
        up = self._up(ino)  # what lies in a directory proves that this is there: of the entry itself it has to be asked
        above = None if up is None else self._directory(up[0])
        return None if up is None or above is None else (*above, up[1])

    def climb(self, ino: int) -> Iterator[Up]:
        """Step by step up to the root, or to what is no more."""
        self._forget_what_was_moved()
        up = self._up(ino) if ino != ROOT_INO else None
        while up is not None:
            yield up
            up = self._up_of_directory(up[0]) if up[0] != ROOT_INO else None

    def _up_of_directory(self, ino: int) -> Up | None:
        up = self._ups.get(ino) or self._up(ino)
        if up is not None:
            self._ups[ino] = up
        return up

    def _directory(self, ino: int) -> tuple[bytes, ...] | None:
        self._forget_what_was_moved()
        names: list[bytes] = []
        at = ino
        while at != ROOT_INO and at not in self._paths:
            up = self._up_of_directory(at)
            if up is None:
                return None
            at, name = up
            names.append(name)
        if at == ino:
            return self._paths.get(ino, ())
        found = (*self._paths.get(at, ()), *reversed(names))
        self._names += len(found)
        self._paths[ino] = found
        return found

    def _forget_what_was_moved(self) -> None:
        if self._moves != self._catalog.moves or len(self._ups) > DIRECTORIES_KEPT:
            self._moves = self._catalog.moves
            self._ups.clear()
            self._names = NAMES_KEPT + 1
        if self._names > NAMES_KEPT:
            self._names = 0
            self._paths.clear()
