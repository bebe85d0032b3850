"""`.versions/`, as the kernel meets it: what files held before, as regular files that are only read.

A file of it is numbered by its content, so that what the kernel remembers of it never becomes another's.
"""

import time
from collections.abc import Awaitable, Callable

from mountfs.catalog.versions import Superseded
from mountfs.errors import MountfsError, NotADirectory, NotFound, Stale, TagNotFound
from mountfs.fuse.shown import Shown
from mountfs.model import ROOT_INO, Entry, Kind
from mountfs.retention.versions import VIEW, AllOf, Below, One, parse_version, place_of, version_name
from mountfs.store.facts import iso
from mountfs.store.store import Store
from mountfs.views.answers import Place

Learn = Callable[[bytes], Awaitable[None]]
"""Bring in what the bucket knows of the history of a job's files."""


def is_history(place: Place) -> bool:
    return place.names[:1] == (VIEW,)


class History:
    """On the loop. `learn` has a deadline of its own."""

    def __init__(self, store: Store, learn: Learn) -> None:
        self._store = store
        self._learn = learn
        self._began_ns = time.time_ns()

    # -- questions ----------------------------------------------------------------------------------------

    async def find(self, place: Place, name: bytes) -> Shown | None:
        names = (*place.names[1:], name)
        lack = await self._ready(names[0])
        found = self._at(names, place, name)
        if found is None and lack is not None:
            raise lack
        return found

    async def page(self, place: Place, *, after: bytes, limit: int) -> list[Shown]:
        """In byte order of the names; numbers in their own."""
        inside = place.names[1:]
        lack = await self._ready(inside[0]) if inside else None
        if lack is not None:
            raise lack
        entry = self._entry(inside)
        if entry is not None and entry.kind == Kind.FILE:
            return self._numbers(place, entry, after, limit)
        ino = ROOT_INO if not inside else entry.ino if entry is not None else 0
        self._store.ledger.drain()
        names = self._store.catalog.versions.names_in(ino, after=after, limit=limit)
        found = [self._at((*inside, name), place, name) for name in names]
        return [shown for shown in found if shown is not None]

    def directory(self, place: Place) -> Shown:
        """A directory that was found before."""
        return self._directory(place, place.names[-1])

    def link(self, place: Place, content: int) -> Shown | None:
        """A file that was found before; None where it is a version no longer."""
        entry = self._entry(place.names[1:])
        if entry is None:
            return None
        there = ((number, version) for number, version in self._of(entry).items() if version.content == content)
        return next((self._file(place, entry, number, version) for number, version in there), None)

    def fact(self, place: Place, content: int, field: str) -> str:
        """What is known of a version. Raises TagNotFound; Stale for what is none any more."""
        shown, row = self.link(place, content), self._store.ledger.content(content)
        if shown is None or row is None or row.digest is None:
            raise Stale("it is a version no longer: the name is to be looked up again")
        facts = {
            "sha256": row.digest.hex(), "size": str(row.size), "stored_size": str(row.stored), "codec": str(row.codec),
            "version": shown.name.decode(), "created_at": iso(shown.row.birth_ns if shown.row is not None else 0),
        }  # fmt: skip
        if field not in facts:
            raise TagNotFound(f"no fact user.mountfs.{field} of a version: {', '.join(facts)}")
        return facts[field]

    # -- answers ------------------------------------------------------------------------------------------

    async def _ready(self, job: bytes) -> MountfsError | None:
        """Learn what the bucket knows of a job; why that was not possible."""
        try:
            await self._learn(job)
        except MountfsError as error:
            return error
        return None

    def _at(self, names: tuple[bytes, ...], place: Place, name: bytes) -> Shown | None:
        try:
            found = place_of(names, is_file=self._is_file)
        except NotFound:
            return None
        match found:
            case Below(path):
                entry = self._entry(path)
                return self._directory(place.down(name), name) if entry is not None else None
            case AllOf(path):
                entry = self._entry(path)
                return self._directory(place.down(name), name) if entry is not None and self._of(entry) else None
            case One(path, number):
                entry = self._entry(path)
                version = self._of(entry).get(number) if entry is not None else None
                return None if version is None or entry is None else self._file(place, entry, number, version)

    def _numbers(self, place: Place, entry: Entry, after: bytes, limit: int) -> list[Shown]:
        last = parse_version(after) or 0
        there = [(number, version) for number, version in self._of(entry).items() if number > last]
        return [self._file(place, entry, number, version) for number, version in there[:limit]]

    def _of(self, entry: Entry) -> dict[int, Superseded]:
        self._store.ledger.drain()
        return self._store.versions.of(self._store.catalog.entry(entry.ino) or entry)

    def _entry(self, path: tuple[bytes, ...]) -> Entry | None:
        try:
            return self._store.tree.walk(path) if path else None
        except (NotFound, NotADirectory):
            return None

    def _is_file(self, path: tuple[bytes, ...]) -> bool:
        entry = self._entry(path)
        return entry is not None and entry.kind == Kind.FILE

    def _directory(self, place: Place, name: bytes) -> Shown:
        """Who may not look into a directory, or read a file, may not do so here."""
        entry = self._entry(place.names[1:])
        if entry is None:
            return Shown(name, name, place, 0, None, self._began_ns)
        row = entry.copy()
        row.kind, row.mode = Kind.DIRECTORY, entry.mode & 0o555
        if entry.kind == Kind.FILE:
            row.mode = entry.mode & 0o444 | (entry.mode & 0o444) >> 2
        return Shown(name, name, place, 0, None, self._began_ns, row)

    def _file(self, place: Place, entry: Entry, number: int, version: Superseded) -> Shown:
        row = entry.copy()
        row.content, row.size = version.content, version.size
        row.mtime_ns, row.birth_ns, row.mode = version.mtime_ns, version.birth_ns, entry.mode & 0o444
        name = version_name(number)
        return Shown(name, name, place, version.content, None, version.mtime_ns, row)
