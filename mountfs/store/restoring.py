"""Bringing back what is in the trash, or was set aside: published anew, so that it counts as a change made now.

A date of its own that has come goes (`outlived`): what is brought back would be dropped again by the next run.

◆ Its content is not relied on where it lay: publishing copies it under a new name, for the old object may be on its
way out. What is in its place now goes to the trash itself.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from mountfs import namespace
from mountfs.catalog.versions import A_VERSION, Superseded
from mountfs.errors import ContentLost, IsADirectory, MountBusy, NotADirectory, NotFound
from mountfs.model import Entry, Kind, Place, Standing
from mountfs.store.files import Files
from mountfs.store.ledger import Ledger
from mountfs.store.options import Options
from mountfs.store.owing import Owing
from mountfs.store.paths import Changes
from mountfs.store.removed import Bin, Removed, entry_of, of_trash
from mountfs.store.room import Room
from mountfs.store.trash import OVERWRITTEN, Trash
from mountfs.store.tree import Owner, Tree

DIRECTORY_MODE = 0o755
WRITTEN_TOGETHER = 64  # directories: otherwise the next transaction has to bring in all of them, 0.1 s of the loop
_EXPIRES: Final = "expires_at"
_SECOND_NS: Final = 1_000_000_000


class Restoring:
    """On the loop's thread."""

    def __init__(
        self, ledger: Ledger, owing: Owing, tree: Tree, files: Files, trash: Trash, room: Room, options: Options
    ) -> None:
        self._ledger = ledger
        self._catalog = ledger.catalog
        self._tables = ledger.catalog.bucket
        self._owing = owing
        self._tree = tree
        self._files = files
        self._trash = trash
        self._versions = trash.versions
        self._room = room
        self._options = options
        self.bin = Bin(ledger.catalog)

    # -- choosing -----------------------------------------------------------------------------------------

    def choose(self, names: tuple[bytes, ...], *, number: str | None = None) -> list[Removed]:
        """What bringing back a key means: what was there last; of a directory or job, all below it that is not there.

        Raises NotFound.
        """
        return [removed for removed in self.choosing(names, number=number) if removed is not None]

    def choosing(self, names: tuple[bytes, ...], *, number: str | None = None) -> Iterator[Removed | None]:
        """The same, one a step, so that others may be served in between; None: a step that found what is there."""
        at = self.bin.at(names)
        if number is not None:
            at = [removed for removed in at if removed.number == number]
        if at and at[0].kind != Kind.DIRECTORY:
            yield at[0]
            return
        chosen = 0
        for removed in [] if number is not None and not at else self.bin.below(names):
            is_missing = self._is_missing(removed)
            chosen += is_missing
            yield removed if is_missing else None
        if not chosen:
            raise NotFound(f"{namespace.join_key(names)} is not in the trash: `mountfs trash list` shows what is")

    def _is_missing(self, removed: Removed) -> bool:
        """A directory is brought back for what was said of it, whether it is there or not."""
        if removed.kind is None or removed.kind == Kind.DIRECTORY:
            return True
        found, _entry = self._tree.as_far_as(removed.names)
        return found < len(removed.names)

    def earlier(self, removed: Removed) -> str:
        """What comes back where the content that was there last was never stored: `version 1`, or `overwritten`.

        "" where it is what was there last.
        """
        if removed.reason.startswith(A_VERSION):
            return removed.reason
        return removed.reason if removed.reason == OVERWRITTEN and self._is_missing(removed) else ""

    def to_fetch(self, removed: Removed, names: tuple[bytes, ...]) -> int | None:
        """The content that has to come here first: within its job the bucket copies it, to another one we carry it."""
        if removed.content is None or (names[0] == removed.names[0] and self._owing.active):
            return None
        content = self._ledger.content(removed.content)
        return removed.content if content is not None and content.place == Place.BUCKET else None

    # -- acting -------------------------------------------------------------------------------------------

    def restore(self, number: int) -> Entry:
        """Bring one row of the trash back to its path. Raises NotFound, IsADirectory, NotADirectory, Protected."""
        row = self._catalog.trash.one(number)
        if row is None:
            raise NotFound("it is no longer in the trash")
        return self.put_back(of_trash(row), names=None, changes=Changes())

    def making_way(self, removed: Removed, names: tuple[bytes, ...], changes: Changes) -> Iterator[None]:
        """Make the directories again in which something is to lie, one a step: there may be 2,000, half a second.

        `put_back` makes those that went again meanwhile. Raises what it raises.
        """
        namespace.check_job_name(names[0])
        if removed.kind is None:
            return
        for _ in self._making(names[:-1], changes):
            yield

    def put_back(self, removed: Removed, *, names: tuple[bytes, ...] | None, changes: Changes) -> Entry:
        """Make it what it was, there or under another key; attributes alone change what is there."""
        names = names or removed.names
        namespace.check_job_name(names[0])
        if removed.kind == Kind.DIRECTORY or removed.kind is None:
            entry = self._attributes_of(removed, names, changes)
        else:
            entry = self._place(removed, names, changes)
        self._ledger.changes += 1
        changes.inos.add(entry.ino)
        return entry

    def put_version(self, names: tuple[bytes, ...], number: int, changes: Changes) -> Entry:
        """Make a version what the file holds, as a change made now; what it holds becomes a version itself.

        Raises NotFound, IsADirectory, MountBusy while somebody writes it or it is being stored, QuotaExceeded.
        """
        key = namespace.join_key(names)
        try:
            entry = self._tree.walk(names)
        except NotFound:
            if not self.bin.at(names):
                raise
            raise NotFound(f"{key} was removed: `mountfs restore {key}` brings it back") from None
        if entry.kind == Kind.DIRECTORY:
            raise IsADirectory(f"{key} is a directory: a version is one of a file")
        if self._tree.is_being_written(entry.ino):
            raise MountBusy(f"{key} is being written: try again when it is closed")
        if self.is_being_stored(entry):
            raise MountBusy(f"{key} was written a moment ago, and is being stored: try again")
        self._ledger.drain()
        version = self._versions.one(entry, number)
        if version.content != entry.content:
            self._write_over(entry, version)
            changes.grown.add(entry.ino)
            changes.inos.add(entry.ino)
        return entry

    def is_being_stored(self, entry: Entry) -> bool:
        """Whether what a file holds is not settled: it could not be kept, and who reads it open would go on with it."""
        live = self._files.live.get(entry.ino)
        content = self._ledger.content(entry.content) if entry.content is not None else None
        return (live is not None and live.changed) or (content is not None and content.digest is None)

    def _write_over(self, entry: Entry, version: Superseded) -> None:
        content = self._ledger.content(version.content)
        assert content is not None, "a version keeps its content"
        self._room.reserve(content.stored)
        try:
            with self._ledger.transaction():
                if not self._versions.overwritten(entry):
                    self._trash.keep(entry, OVERWRITTEN)
                row = replace(entry, content=content.id, size=version.size, mtime_ns=version.mtime_ns)
                row.ctime_ns, row.standing = self._ledger.clock.now_ns(), Standing.CLOSED
                self._owing.published(row)
                self._ledger.put_now(row)
        finally:
            self._room.reserve(-content.stored)
            self._room.stored_changed()
        self._files.grown(entry.ino)

    def _place(self, removed: Removed, names: tuple[bytes, ...], changes: Changes) -> Entry:
        parent, name = self._directory(names[:-1], changes), names[-1]
        there = self._tree.find(parent, name)
        if there is not None:
            self._check_replaceable(there, names, removed)
        stored = self._stored_bytes(removed)
        self._room.reserve(stored)
        try:
            entry = self._put(removed, parent, name, there)
        finally:
            self._room.reserve(-stored)
            self._room.stored_changed()
        if there is not None:
            self._tree.let_go(there.ino)
        changes.names.add((parent, name))
        return entry

    def _check_replaceable(self, there: Entry, names: tuple[bytes, ...], removed: Removed) -> None:
        """What is pinned takes back what it held itself, and keeps its pin (`_put`), but nothing of another name."""
        if there.kind == Kind.DIRECTORY:
            raise IsADirectory(f"{namespace.join_key(names)} is a directory now: choose another key with --as")
        if names != removed.names:
            self._tree.refuse_if_pinned(there)
        self._tree.refuse_if_others(there)

    def _stored_bytes(self, removed: Removed) -> int:
        """Raises ContentLost."""
        if removed.kind != Kind.FILE or not removed.size:
            return 0
        content = self._ledger.content(removed.content) if removed.content is not None else None
        if content is None:
            raise ContentLost(f"the content of {namespace.join_key(removed.names)} is not on record any more")
        return content.stored

    def _put(self, removed: Removed, parent: int, name: bytes, there: Entry | None) -> Entry:
        is_pinned = there is not None and self._catalog.register(there.ino, "pinned") == b"1"
        with self._ledger.transaction():
            if there is not None:
                self._tree.take_away(there, "replaced")
            said = self._owing.created(parent, name)
            entry = entry_of(
                removed, self._ledger.new_ino(), parent, name, owner=self._options.owner,
                now_ns=self._ledger.clock.now_ns(),
            )  # fmt: skip
            entry = replace(entry, stamp=said.stamp, owed=said.owed)
            self._catalog.put_entries([entry])
            if removed.trash is not None:
                self._versions.restored(entry, removed.trash)
            self._say(entry.ino, removed)
            if is_pinned:
                self._owing.tagged(entry.ino, "pinned", b"1")
            self._ledger.touch_directory(parent)
        if self._owing.active:
            self._owing.fresh.add(entry.ino)
        return entry

    def _say(self, ino: int, removed: Removed) -> None:
        """Its tags and the like, now its own again; the rows that kept it go."""
        outlived = self.outlived(removed)
        for register, value in removed.registers.items():
            if not (outlived and register == _EXPIRES):
                self._owing.tagged(ino, register, value)
        self._forget(removed)

    def outlived(self, removed: Removed) -> bool:
        """Whether it has a date of its own that has come: it is brought back without."""
        at_s = namespace.expiry_seconds(removed.registers.get(_EXPIRES))
        return at_s is not None and at_s * _SECOND_NS <= self._ledger.clock.now_ns()

    def _forget(self, removed: Removed) -> None:
        self._catalog.trash.forget([] if removed.trash is None else [removed.trash])
        for number in removed.aside:
            self._tables.forget_aside(number)

    def _attributes_of(self, removed: Removed, names: tuple[bytes, ...], changes: Changes) -> Entry:
        """What was said of a directory; it is made where it is gone."""
        entry = self._tree.walk(names) if removed.kind is None else self._made(removed, names, changes)
        if removed.mode is not None and removed.mode != entry.mode:
            self._tree.set_attributes(entry.ino, mode=removed.mode)
        with self._ledger.transaction():
            self._say(entry.ino, removed)
        return entry

    def _made(self, removed: Removed, names: tuple[bytes, ...], changes: Changes) -> Entry:
        return self._child(self._directory(names[:-1], changes), names[-1], changes, birth_ns=removed.birth_ns)

    def _directory(self, names: tuple[bytes, ...], changes: Changes) -> int:
        """The directory it was in, made again where it is gone too."""
        for _ in self._making(names, changes):
            pass
        return self._tree.walk(names).ino

    def _making(self, names: tuple[bytes, ...], changes: Changes) -> Iterator[None]:
        found, entry = self._tree.as_far_as(names)
        if entry.kind != Kind.DIRECTORY:
            raise NotADirectory(f"not a directory: {entry.name.decode(errors='replace')}")
        for number, name in enumerate(names[found:], found):
            entry = self._child(entry.ino, name, changes)
            self._tree.as_far_as(names[: number + 1])  # who comes next begins here
            if number % WRITTEN_TOGETHER == 0:
                self._ledger.drain()
            yield

    def _child(self, parent: int, name: bytes, changes: Changes, *, birth_ns: int | None = None) -> Entry:
        found = self._tree.find(parent, name)
        if found is None:
            owner = Owner(*self._options.owner)
            found = self._tree.make_directory(parent, name, DIRECTORY_MODE, owner, birth_ns=birth_ns)
            changes.names.add((parent, name))
        elif found.kind != Kind.DIRECTORY:
            raise NotADirectory(f"not a directory: {name.decode(errors='replace')}")
        return found

    def forget(self, removed: Removed) -> None:
        """It cannot be brought back any more; its content goes when nothing else needs it."""
        with self._catalog.transaction():
            self._forget(removed)
