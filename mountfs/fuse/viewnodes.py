"""Inode numbers of views: bit 62, whether it is a directory, the number of the view, and the entry it shows.

A view is numbered when the kernel first meets it, and may be forgotten when the kernel has forgotten all of it; what a
view shows needs no number of its own, so that a million links cost nothing here.
"""

from collections import Counter
from typing import Final

from mountfs.views.nodes import Names

VIEW: Final = 1 << 62
_DIRECTORY: Final = 1 << 61
_ENTRY_BITS: Final = 40
_ENTRY: Final = (1 << _ENTRY_BITS) - 1
_NUMBERS: Final = 1 << (61 - _ENTRY_BITS)
KEPT: Final = 10_000
"""Views that stay numbered although the kernel has forgotten them."""


class ViewNumbers:
    """Views by number, by their names."""

    def __init__(self) -> None:
        self._names: dict[int, Names] = {}
        self._numbers: dict[Names, int] = {}
        self._known: Counter[int] = Counter()  # how often the kernel was told of something in each
        self._next = 1

    def inode(self, names: Names, entry: int = 0, *, directory: bool = True) -> int:
        """The number of a view, or of an entry in it."""
        number = self._numbers.get(names)
        if number is None:
            number = self._free()
            self._numbers[names] = number
            self._names[number] = names
        return VIEW | (_DIRECTORY if directory else 0) | number << _ENTRY_BITS | entry

    def at(self, inode: int) -> tuple[Names, int, bool]:
        """(names of the view, entry in it or 0, whether it is a directory). Raises KeyError for one long forgotten."""
        return self._names[_number(inode)], inode & _ENTRY, bool(inode & _DIRECTORY)

    def told(self, inode: int) -> None:
        """The kernel has got it once more."""
        self._known[_number(inode)] += 1

    def forgotten(self, inode: int, count: int) -> None:
        """The kernel lets go of so many of them."""
        number = _number(inode)
        self._known[number] -= count
        if self._known[number] <= 0:
            del self._known[number]
            if len(self._names) > KEPT:
                self._numbers.pop(self._names.pop(number, ()), None)

    def _free(self) -> int:
        while self._next in self._names:
            self._next = self._next % (_NUMBERS - 1) + 1
        number = self._next
        self._next = number % (_NUMBERS - 1) + 1
        return number


def is_view(inode: int) -> bool:
    return bool(inode & VIEW)


def _number(inode: int) -> int:
    return (inode & ~(VIEW | _DIRECTORY)) >> _ENTRY_BITS
