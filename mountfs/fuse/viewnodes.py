"""Inode numbers of views: bit 62, the number of a directory in a view, and the entry that a link in it leads to.

A directory is numbered when the kernel first meets it, and may be forgotten when the kernel has forgotten all of it. A
link needs no number of its own, so that a million of them cost nothing here. Virtual files need none either: theirs is
the kind in the place of a directory's number, and the directory that they tell of in that of the entry.
"""

from collections import Counter
from typing import Final

from mountfs.views.answers import Place

VIEW: Final = 1 << 62
_ENTRY_BITS: Final = 40
_ENTRY: Final = (1 << _ENTRY_BITS) - 1
_NUMBERS: Final = 1 << (62 - _ENTRY_BITS)
_FIRST: Final = 16
"""Of directories. Numbers below it are kinds of virtual files."""
KEPT: Final = 10_000
"""Directories that stay numbered although the kernel has forgotten them."""


class ViewNumbers:
    """Directories of views by number."""

    def __init__(self) -> None:
        self._places: dict[int, Place] = {}
        self._numbers: dict[Place, int] = {}
        self._known: Counter[int] = Counter()  # how often the kernel was told of something in each
        self._next = _FIRST

    def inode(self, place: Place, entry: int = 0) -> int:
        """The number of a directory, or of a link in it to an entry."""
        number = self._numbers.get(place)
        if number is None:
            number = self._free()
            self._numbers[place] = number
            self._places[number] = place
        return VIEW | number << _ENTRY_BITS | entry

    def at(self, inode: int) -> tuple[Place, int]:
        """(a directory, the entry to which a link in it leads or 0). Raises KeyError for one long forgotten."""
        return self._places[_number(inode)], inode & _ENTRY

    def told(self, inode: int) -> None:
        """The kernel has got it once more."""
        self._known[_number(inode)] += 1

    def forgotten(self, inode: int, count: int) -> None:
        """The kernel lets go of so many of them."""
        if is_virtual(inode):
            return
        number = _number(inode)
        self._known[number] -= count
        if self._known[number] <= 0:
            del self._known[number]
            if len(self._places) > KEPT:
                place = self._places.pop(number, None)
                if place is not None:
                    del self._numbers[place]

    def _free(self) -> int:
        while self._next in self._places:
            self._next = _following(self._next)
        number = self._next
        self._next = _following(number)
        return number


def is_view(inode: int) -> bool:
    return bool(inode & VIEW)


def is_virtual(number: int) -> bool:
    """Whether a number of the kernel, of an inode or of an open handle, is that of a virtual file."""
    return is_view(number) and 0 < _number(number) < _FIRST


def virtual_number(kind: int, directory: int) -> int:
    """The number of the virtual file of a kind that speaks of a directory."""
    return VIEW | kind << _ENTRY_BITS | directory


def kind_and_directory(number: int) -> tuple[int, int]:
    """What `virtual_number` made one of."""
    return _number(number), number & _ENTRY


def _following(number: int) -> int:
    return number + 1 if number + 1 < _NUMBERS else _FIRST


def _number(inode: int) -> int:
    return (inode & ~VIEW) >> _ENTRY_BITS
