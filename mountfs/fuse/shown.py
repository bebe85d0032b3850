"""One name in a view, as the kernel is told of it."""

from dataclasses import dataclass

from mountfs.model import Entry
from mountfs.views.answers import Place


@dataclass(frozen=True, slots=True)
class Shown:
    """A directory, a link to an entry (`target`), or what `row` says, a file or a directory with an owner of its own.

    `entry` numbers it within its place: what a link leads to, or the content of a file; 0 for a directory.
    """

    name: bytes
    after: bytes
    place: Place
    entry: int
    target: bytes | None
    time_ns: int
    row: Entry | None = None

    @property
    def moves(self) -> bool:
        """Whether the name may lead elsewhere any moment."""
        return self.target is not None and self.place.names[:1] == (b".latest",)
