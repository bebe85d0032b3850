"""What is pinned, and what that holds in its place: the entry itself, all below it, and the directories on the way.

Where nothing is pinned a question costs one look at an index without rows, a few µs.
"""

from collections.abc import Callable

from mountfs.catalog import Catalog
from mountfs.model import ROOT_INO, Entry, Kind


class Pins:
    """`entry` finds an entry by its number, as it is now."""

    def __init__(self, catalog: Catalog, entry: Callable[[int], Entry | None]) -> None:
        self._catalog = catalog
        self._entry = entry

    def holding(self, entry: Entry) -> int | None:
        """The pinned entry that keeps this one: itself, a directory above it, or something below it."""
        if not self._catalog.has_pins():
            return None
        above = self._above(entry.ino)
        return self._below(entry) if above is None else above

    def above(self, ino: int) -> int | None:
        """The entry itself or the nearest directory above it that is pinned."""
        return self._above(ino) if self._catalog.has_pins() else None

    def at_or_below(self, entry: Entry) -> int | None:
        """The entry itself where it is pinned, or something pinned below it."""
        if not self._catalog.has_pins():
            return None
        return entry.ino if self._is_pinned(entry.ino) else self._below(entry)

    def is_below(self, ino: int, directory: int) -> bool:
        """Whether an entry is that directory, or lies below it."""
        while ino not in (directory, ROOT_INO):
            entry = self._entry(ino)
            if entry is None:
                return False
            ino = entry.parent
        return ino == directory

    def _above(self, ino: int) -> int | None:
        while ino != ROOT_INO:
            if self._is_pinned(ino):
                return ino
            entry = self._entry(ino)
            if entry is None:
                return None
            ino = entry.parent
        return None

    def _is_pinned(self, ino: int) -> bool:
        return self._catalog.register(ino, "pinned") == b"1"

    def _below(self, entry: Entry) -> int | None:
        if entry.kind != Kind.DIRECTORY:
            return None
        return next((ino for ino in self._catalog.pinned_inos() if self.is_below(ino, entry.ino)), None)
