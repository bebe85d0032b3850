"""Where entries are here, and under which paths the bucket knows them.

They differ for a while: below a renamed directory until all of it was looked at (`moved`), and where a file shows under
another name because a directory has its own (`alias`).
"""

from dataclasses import dataclass

from mountfs.model import Entry
from mountfs.store.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Where:
    """A path of a job; `path` is b"" for the job itself."""

    job: int
    path: bytes


class Origins:
    """See the module's docstring. What is remembered here is what the rows say."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._catalog = ledger.catalog
        self._tables = ledger.catalog.bucket
        self._moved: dict[int, tuple[int, bytes, str]] = {}
        self._aliases: dict[int, tuple[int, bytes]] = {}
        self._aliased: dict[tuple[int, bytes], int] = {}

    def _recall(self) -> None:
        """What is remembered is what the rows say, also after a change was undone that had been noted here."""
        self._moved = self._tables.moved()
        self._aliases = {ino: (parent, name) for ino, parent, name in self._tables.aliases()}
        self._aliased = {place: ino for ino, place in self._aliases.items()}

    def where(self, ino: int) -> Where:
        """The path of an entry as it is here."""
        names = self._ledger.path(ino)
        alias = self._aliases.get(ino)
        return self._where(names if alias is None else (*names[:-1], alias[1]))

    def below(self, parent: int, name: bytes) -> Where:
        return self._where((*self._ledger.path(parent), name))

    def _where(self, names: tuple[bytes, ...]) -> Where:
        return Where(self._catalog.job(names[0]), b"/".join(names[1:]))

    def origin(self, ino: int) -> Where:
        """The path under which the bucket knows an entry that it knows."""
        return self._origin(ino)[0]

    def _origin(self, ino: int) -> tuple[Where, str]:
        """The same, and the stamp of the rename by which it went from there; "" where it is there.

        What a renamed directory owes itself was said anew for its new path: its origin is that of what lies below it.
        """
        below: list[bytes] = []
        at = ino
        for above, name in self._ledger.climb(ino) if self._moved else ():
            below.append(self._aliases[at][1] if at in self._aliases else name)
            at = above
            if (moved := self._moved.get(at)) is not None:
                return Where(moved[0], b"/".join([p for p in (moved[1],) if p] + below[::-1])), moved[2]
        return self.where(ino), ""

    # -- directories that were renamed --------------------------------------------------------------------

    def has_moved(self) -> bool:
        return bool(self._moved)

    def moved_inos(self) -> list[int]:
        """Renamed directories of which not all was looked at yet."""
        return list(self._moved)

    def is_carried(self, ino: int) -> bool:
        """Whether an entry lies below no directory whose rename is still being looked at."""
        if not self._moved:
            return True
        return ino not in self._moved and not any(above in self._moved for above, _name in self._ledger.climb(ino))

    # -- names that collided ------------------------------------------------------------------------------

    def alias_at(self, parent: int, name: bytes) -> int | None:
        """The file whose path this is, where a directory has the name."""
        return self._aliased.get((parent, name)) if self._aliased else None

    def aside_for(self, parent: int, name: bytes) -> Entry | None:
        """The file that shows under another name because a directory has this one."""
        ino = self.alias_at(parent, name)
        return None if ino is None else self._catalog.entry(ino)

    def alias_of(self, ino: int) -> bytes | None:
        """The name in its records of a file that shows under another."""
        return self._aliases[ino][1] if ino in self._aliases else None

    def note_alias(self, ino: int, parent: int, name: bytes) -> None:
        self._tables.note_alias(ino, parent, name)
        self._aliases[ino] = (parent, name)
        self._aliased[parent, name] = ino

    def forget_alias(self, ino: int) -> None:
        alias = self._aliases.pop(ino, None)
        if alias is not None:
            del self._aliased[alias]
            self._tables.forget_alias(ino)

    def hand_alias(self, ino: int, to: int) -> None:
        alias = self._aliases.get(ino)
        if alias is not None:
            self.forget_alias(ino)
            self.note_alias(to, *alias)
