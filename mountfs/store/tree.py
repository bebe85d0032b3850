"""The namespace: look up, create, remove, rename, change attributes. Runs on the loop's thread.

The root holds jobs, and only jobs: a file or symlink directly in it is refused, names with a leading dot are
reserved for views. Whoever may do what by permission bits is the kernel's business (`default_permissions`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from mountfs import namespace
from mountfs.catalog import checkpoint
from mountfs.errors import (
    AlreadyExists,
    CacheFull,
    InvalidArgument,
    InvalidName,
    IsADirectory,
    NameTooLong,
    NotADirectory,
    NotEmpty,
    NotFound,
    NotHere,
    Protected,
    Stale,
)
from mountfs.model import ROOT_INO, Entry, Kind, Owed, Standing
from mountfs.records import MOST_PATH_BYTES
from mountfs.statedir import StateDirectory
from mountfs.store.files import Files
from mountfs.store.ledger import Ledger
from mountfs.store.live import LiveFile
from mountfs.store.options import Options
from mountfs.store.owing import Owing, Said
from mountfs.store.room import Room
from mountfs.store.trash import Trash

TARGET_BYTES = 4095
LENGTHS_KEPT = 10_000  # of the paths of directories that something was made in
_JOB_METADATA = namespace.JOB_METADATA_NAME.encode()


@dataclass(frozen=True, slots=True)
class Owner:
    """Whom a new entry belongs to."""

    uid: int
    gid: int


class Tree:
    """Entries by inode and by name; raises the errors of the table in DESIGN §5."""

    def __init__(
        self, ledger: Ledger, owing: Owing, files: Files, room: Room, state: StateDirectory, options: Options,
        trash: Trash,
    ) -> None:  # fmt: skip
        self._ledger = ledger
        self._owing = owing
        self._files = files
        self._room = room
        self._state = state
        self._options = options
        self._trash = trash
        self._lengths: dict[int, int] = {}  # of the paths of directories, until one is renamed

    # -- looking ------------------------------------------------------------------------------------------

    def find(self, parent: int, name: bytes) -> Entry | None:
        """The entry of that name as it is now, open files included."""
        if len(name) > namespace.NAME_MAX:
            namespace.check_name(name)
        found = self._ledger.child(parent, name)
        if found is None:
            return None
        live = self._files.live.get(found.ino)
        return found if live is None else live.entry

    def lookup(self, parent: int, name: bytes) -> Entry:
        found = self.find(parent, name)
        if found is None:
            raise NotFound(f"not found: {name.decode(errors='replace')}")
        return found

    def entry(self, ino: int) -> Entry:
        live = self._files.live.get(ino)
        if live is not None:
            return live.entry
        found = self._ledger.entry(ino)
        if found is None:
            raise Stale(f"not found: inode {ino}")
        return found

    def links(self, ino: int) -> int:
        live = self._files.live.get(ino)
        return 0 if live is not None and live.unlinked else 1

    def page(self, parent: int, *, after: bytes, limit: int) -> list[Entry]:
        """The next entries of a directory in byte order of their names, as they are now."""
        live = self._files.live
        found = self._ledger.children(parent, after=after, limit=limit)
        return [live[e.ino].entry if e.ino in live else e for e in found] if live else found

    def walk(self, names: tuple[bytes, ...]) -> Entry:
        """The entry at a path below the root."""
        entry = self.entry(ROOT_INO)
        for name in names:
            if entry.kind != Kind.DIRECTORY:
                raise NotADirectory(f"not a directory: {entry.name.decode(errors='replace')}")
            entry = self.lookup(entry.ino, name)
        return entry

    # -- making -------------------------------------------------------------------------------------------

    def make_directory(self, parent: int, name: bytes, mode: int, owner: Owner) -> Entry:
        if parent == ROOT_INO:
            namespace.check_job_name(name)
        entry = self._new(parent, name, Kind.DIRECTORY, mode, owner)
        self._put_new(entry)
        if parent == ROOT_INO and self._options.job_tags:
            with self._ledger.transaction():
                for key, value in self._options.job_tags.items():
                    self._owing.tagged(entry.ino, f"tag:{key}", value.encode())
        return entry

    def make_symlink(self, parent: int, name: bytes, target: bytes, owner: Owner) -> Entry:
        self._refuse_in_root(parent, name)
        if not target or len(target) > TARGET_BYTES:
            raise InvalidArgument(f"a symlink's target has 1 to {TARGET_BYTES} bytes")
        entry = self._new(parent, name, Kind.SYMLINK, 0o777, owner)
        entry.target, entry.size = target, len(target)
        self._put_new(entry)
        return entry

    def create_file(self, parent: int, name: bytes, mode: int, owner: Owner) -> LiveFile:
        """A new, empty file with one writing handle. It is on record at once, and published when closed."""
        self._refuse_in_root(parent, name)
        entry = self._new(parent, name, Kind.FILE, mode, owner)
        entry.standing = Standing.PROVISIONAL
        self._room.take_disk(len(name))
        self._put_new(entry)
        return self._files.open(entry, write=True)

    def _refuse_in_root(self, parent: int, name: bytes) -> None:
        if parent == ROOT_INO:
            raise Protected(f"{name.decode(errors='replace')}: the root holds jobs only; make a directory for the job")

    def _new(self, parent: int, name: bytes, kind: Kind, mode: int, owner: Owner) -> Entry:
        namespace.check_name(name)
        directory = self.entry(parent)
        if directory.kind != Kind.DIRECTORY:
            raise NotADirectory(f"not a directory: {directory.name.decode(errors='replace')}")
        if directory.parent == ROOT_INO != parent and name == _JOB_METADATA:
            raise Protected(f"{namespace.JOB_METADATA_NAME} of a job is reserved: its content is computed")
        if self._ledger.child(parent, name) is not None:
            raise AlreadyExists(f"exists already: {name.decode(errors='replace')}")
        self._check_length(parent, name)
        gid = owner.gid
        if directory.mode & 0o2000:
            gid = directory.gid
            if kind == Kind.DIRECTORY:
                mode |= 0o2000
        now = self._ledger.clock.now_ns()
        said = self._owing.created(parent, name)
        return Entry(
            self._ledger.new_ino(), parent, name, kind, mode & 0o7777, owner.uid, gid, 0, now, now, now, now,
            None, None, said.stamp, owed=said.owed,
        )  # fmt: skip

    def _check_length(self, parent: int, name: bytes) -> None:
        """No path below a job is longer than a record can say. (What a directory takes along when it is renamed is not
        looked at, for that may be a million entries: what then cannot be said is set aside when it is published.)"""
        length = self._length_below_job(parent) + len(name)
        if length > MOST_PATH_BYTES:
            raise NameTooLong(f"a path of {length} bytes below its job; allowed: up to {MOST_PATH_BYTES}")

    def _length_below_job(self, directory: int) -> int:
        """Of the path of a directory, with the slash behind it. Remembered: to ask costs 45 µs, a tenth of a create."""
        known = self._lengths.get(directory)
        if known is None:
            _job, *below = self._ledger.path(directory) or (b"",)
            if len(self._lengths) >= LENGTHS_KEPT:
                self._lengths.clear()
            known = self._lengths[directory] = sum(map(len, below)) + len(below)
        return known

    def _put_new(self, entry: Entry) -> None:
        self._ledger.put(entry, is_new=True)
        self._ledger.touch_directory(entry.parent)

    # -- removing -----------------------------------------------------------------------------------------

    def unlink(self, parent: int, name: bytes) -> Entry:
        """Remove a file or symlink; who has it open goes on reading and writing it."""
        entry = self.lookup(parent, name)
        if entry.kind == Kind.DIRECTORY:
            raise IsADirectory(f"is a directory: {name.decode(errors='replace')}")
        self.refuse_if_others(entry)
        self._remove(entry)
        return entry

    def remove_directory(self, parent: int, name: bytes) -> Entry:
        entry = self.lookup(parent, name)
        if entry.kind != Kind.DIRECTORY:
            raise NotADirectory(f"not a directory: {name.decode(errors='replace')}")
        if self._ledger.has_children(entry.ino):
            raise NotEmpty(f"not empty: {name.decode(errors='replace')}")
        self._refuse_if_only_named(entry)
        self.refuse_if_others(entry)
        self._remove(entry)
        return entry

    def _refuse_if_only_named(self, entry: Entry) -> None:
        """A job of the bucket into which nobody here has looked is not as empty as it seems."""
        if self._is_only_named(entry):
            raise NotEmpty(f"{_text(entry.name)}, a job of the bucket, was not read here: `mountfs delete` removes it")

    def _is_only_named(self, entry: Entry) -> bool:
        implied = self._owing.active and entry.parent == ROOT_INO and not entry.stamp
        return implied and not self._ledger.has_children(entry.ino)

    def refuse_if_others(self, entry: Entry) -> None:
        """What another machine wrote is not removed, renamed or replaced by the way. Raises Protected."""
        if not self._options.protect_others or not self._owing.active:
            return
        if entry.kind == Kind.DIRECTORY and self._ledger.has_children(entry.ino):
            theirs = self._owing.others_below(entry)
        else:
            theirs = entry.name if self._owing.is_others(entry) else None
        if theirs is not None:
            job, *_ = self._ledger.path(entry.ino)
            raise Protected(
                f"{_text(theirs)} was written by another machine: `mountfs delete` removes it,"
                f" `mountfs adopt {_text(job)}` makes the job this machine's own"
            )

    def _remove(self, entry: Entry) -> None:
        try:
            self._delete_row(entry)
        except CacheFull:
            if not self._make_log_room():
                raise
            self._delete_row(entry, keep=False)
            self._state.make_ballast()
        self._ledger.changes += 1
        self.let_go(entry.ino)

    def _make_log_room(self) -> bool:
        """The disk is full, and what was removed cannot be written down: in the room of the ballast the log is carried
        over, now, and begins anew. Whether anything came of it. Milliseconds, for a log is short."""
        dropped = self._state.drop_ballast()
        frames, carried = checkpoint(self._state.catalog, truncate=True)
        return dropped or 0 < frames == carried

    def _delete_row(self, entry: Entry, *, keep: bool = True) -> None:
        with self._ledger.transaction():
            self.take_away(entry, "removed", keep=keep)

    def take_away(self, entry: Entry, reason: str, *, keep: bool = True) -> None:
        """The row of an entry goes, and to the trash. In a transaction; after it `let_go`."""
        if keep:
            self._trash.take(self._acknowledged(entry), reason)
        self._owing.removed(entry)
        self._ledger.catalog.delete_entry(entry.ino)
        self._ledger.forget_time(entry.ino)
        self._ledger.touch_directory(entry.parent)
        self._settle_alias(entry.parent, entry.name)

    def _settle_alias(self, parent: int, name: bytes) -> None:
        """A file that had stepped aside for a directory gets its name back, or goes where another has taken it. In a
        transaction."""
        aside = self._owing.aside_for(parent, name)
        if aside is None:
            return
        taken = self._ledger.catalog.child(parent, name)
        if taken is None:
            self._ledger.catalog.move_entry(aside.ino, parent=parent, name=name, ctime_ns=aside.ctime_ns)
            self._owing.forget_alias(aside.ino)
            self._renamed(aside.ino, parent, name, aside.ctime_ns, None)
        elif taken.kind != Kind.DIRECTORY:
            self._trash.take(self._acknowledged(aside), "replaced")
            self._owing.forget_alias(aside.ino)
            self._ledger.catalog.delete_entry(aside.ino)
            self.let_go(aside.ino)
        self._ledger.changes += 1

    def _acknowledged(self, entry: Entry) -> Entry:
        """As it was closed last, where it is being written."""
        live = self._files.live.get(entry.ino)
        return entry if live is None else live.acknowledged

    def let_go(self, ino: int) -> None:
        """An entry has no row any more: who has it open goes on with it."""
        live = self._files.live.get(ino)
        if live is not None:
            live.own_entry().ctime_ns = self._ledger.clock.now_ns()
            self._files.detach(live)

    def remove_tree(self, entry: Entry) -> int:
        """Remove an entry and all below it, deepest first; how many artifacts went."""
        return sum(self.removing_tree(entry))

    def removing_tree(self, entry: Entry) -> Iterator[int]:
        """The same, one entry a step, so that others may be served in between: 1 for each artifact that went."""
        stack = [entry]
        while stack:
            current = stack[-1]
            page = self.page(current.ino, after=b"", limit=256) if current.kind == Kind.DIRECTORY else []
            for child in page:
                now = self._ledger.entry(child.ino)
                if now is None or now.parent != current.ino:
                    continue  # somebody else was quicker
                if now.kind == Kind.DIRECTORY:
                    stack.append(now)
                    continue
                self._remove(now)
                yield 1
            if page:
                continue
            stack.pop()
            if current.ino != ROOT_INO and self._ledger.entry(current.ino) is not None:
                self._remove(current)
                yield int(current.kind != Kind.DIRECTORY)

    # -- renaming -----------------------------------------------------------------------------------------

    def rename(
        self,
        parent: int,
        name: bytes,
        new_parent: int,
        new_name: bytes,
        *,
        replace: bool = True,
        exchange: bool = False,
    ) -> None:
        """Give an entry another name; what had that name goes, or with `exchange` gets the old one."""
        namespace.check_name(new_name)
        source = self.lookup(parent, name)
        target = self.find(new_parent, new_name)
        if exchange and target is None:
            raise NotFound(f"not found: {new_name.decode(errors='replace')}")
        if target is not None and not replace:
            raise AlreadyExists(f"exists already: {new_name.decode(errors='replace')}")
        self._check_place(source, new_parent, new_name)
        if target is not None and target.ino == source.ino:
            return
        if exchange and target is not None:
            self._check_place(target, parent, name)
            self._check_movable(source, new_parent)
            self._check_movable(target, parent)
            self._exchange(source, target)
            return
        self._check_movable(source, new_parent)
        if target is not None:
            self._check_replaceable(source, target)
        self._move(source, target, new_parent, new_name)

    def replace(self, parent: int, name: bytes, new_name: bytes) -> None:
        """Give a file the name of another in its directory, for one who says which: also of what others wrote."""
        source, target = self.lookup(parent, name), self.find(parent, new_name)
        self._check_place(source, parent, new_name)
        if target is not None and target.kind == Kind.DIRECTORY:
            raise IsADirectory(f"is a directory: {new_name.decode(errors='replace')}")
        self._move(source, target, parent, new_name)

    def _check_place(self, entry: Entry, parent: int, name: bytes) -> None:
        if parent == ROOT_INO:
            if entry.kind != Kind.DIRECTORY:
                self._refuse_in_root(parent, name)
            namespace.check_job_name(name)
        self._check_length(parent, name)
        ancestor = parent
        while entry.kind == Kind.DIRECTORY and ancestor != ROOT_INO:
            if ancestor == entry.ino:
                raise InvalidArgument("a directory cannot be moved below itself")
            ancestor = self.entry(ancestor).parent

    def _check_movable(self, entry: Entry, parent: int) -> None:
        """Raises Protected; NotHere for another job where the content is in the bucket alone."""
        if not self._owing.active:
            return
        self.refuse_if_others(entry)
        if entry.parent != ROOT_INO != parent and self._ledger.path(entry.parent)[0] == self._ledger.path(parent)[0]:
            return
        if self._is_only_named(entry):
            raise NotHere(f"{_text(entry.name)} is not read here yet")
        absent = self._ledger.catalog.absent_at(entry.ino)
        if absent is not None:
            raise NotHere(f"the content of {_text(absent)} is not on this machine: `mv` copies it to another job")

    def _check_replaceable(self, source: Entry, target: Entry) -> None:
        name = target.name.decode(errors="replace")
        if source.kind == Kind.DIRECTORY:
            if target.kind != Kind.DIRECTORY:
                raise NotADirectory(f"not a directory: {name}")
            if self._ledger.has_children(target.ino):
                raise NotEmpty(f"not empty: {name}")
        elif target.kind == Kind.DIRECTORY:
            raise IsADirectory(f"is a directory: {name}")
        self._refuse_if_only_named(target)
        self.refuse_if_others(target)

    def _move(self, source: Entry, target: Entry | None, parent: int, name: bytes) -> None:
        if source.kind == Kind.DIRECTORY:
            self._lengths.clear()
        now = self._ledger.clock.now_ns()
        with self._ledger.transaction():
            said = self._owing.renamed(source, target, parent, name)
            if target is not None:
                self._trash.take(self._acknowledged(target), "replaced")
                self._ledger.catalog.delete_entry(target.ino)
                self._ledger.forget_time(target.ino)
            self._ledger.catalog.move_entry(source.ino, parent=parent, name=name, ctime_ns=now)
            self._settle_alias(source.parent, source.name)
            self._settle_alias(parent, name)
            self._ledger.touch_directory(source.parent)
            self._ledger.touch_directory(parent)
        self._ledger.changes += 1
        if target is not None:
            self.let_go(target.ino)
        self._renamed(source.ino, parent, name, now, said)

    def _exchange(self, a: Entry, b: Entry) -> None:
        self._lengths.clear()
        now = self._ledger.clock.now_ns()
        place_a, place_b = (a.parent, a.name), (b.parent, b.name)
        with self._ledger.transaction():
            said = self._owing.exchanged(a, b) or (None, None)
            self._ledger.catalog.exchange_entries(a, b, ctime_ns=now)
            self._settle_alias(*place_a)
            self._settle_alias(*place_b)
            self._ledger.touch_directory(a.parent)
            self._ledger.touch_directory(b.parent)
        self._ledger.changes += 1
        self._renamed(a.ino, *place_b, now, said[0])
        self._renamed(b.ino, *place_a, now, said[1])

    def _renamed(self, ino: int, parent: int, name: bytes, now: int, said: Said | None) -> None:
        live = self._files.live.get(ino)
        if live is not None:
            current = live.own_entry()
            live.acknowledged = live.acknowledged.copy()
            for entry in (current, live.acknowledged):
                entry.parent, entry.name, entry.ctime_ns = parent, name, now
            if said is not None:
                self._files.restamped(ino)

    # -- attributes ---------------------------------------------------------------------------------------

    def set_attributes(
        self, ino: int, *, mode: int | None = None, uid: int | None = None, gid: int | None = None,
        atime_ns: int | None = None, mtime_ns: int | None = None,
    ) -> Entry:  # fmt: skip
        """Change what is given; durable on return."""
        if ino == ROOT_INO and (mode, uid, gid) != (None, None, None):
            raise Protected("mode and owner of the root are those of the mount")
        if any(time_ns is not None and abs(time_ns) >= 1 << 63 for time_ns in (atime_ns, mtime_ns)):
            raise InvalidArgument("a time beyond the years 1677 to 2262 cannot be kept")
        live = self._files.live.get(ino)
        before = live.acknowledged if live is not None else self.entry(ino)
        values = self._changes(before, mode=mode, uid=uid, gid=gid, atime_ns=atime_ns, mtime_ns=mtime_ns)
        if live is not None:
            self._files.put_attributes(live, **values)
            return live.entry
        entry = self.entry(ino).copy()
        if mtime_ns is not None:
            self._ledger.forget_time(ino)
        for name, value in values.items():
            setattr(entry, name, value)
        self._ledger.put(entry)
        return entry

    def _changes(self, before: Entry, **given: int | None) -> dict[str, object]:
        values: dict[str, object] = {name: value for name, value in given.items() if value is not None}
        registers = (
            (Owed.MODE if "mode" in values else 0)
            | (Owed.OWNER if {"uid", "gid"} & values.keys() else 0)
            | (Owed.MTIME if "mtime_ns" in values else 0)
        )
        if registers:
            values.update(self._owing.changed(before, registers))
        values["ctime_ns"] = self._ledger.clock.now_ns()
        return values


def _text(name: bytes) -> str:
    return name.decode(errors="replace")


def check_key(key: str) -> tuple[bytes, ...]:
    """The names of a key that may be written to. Raises InvalidName, NameTooLong, Protected."""
    names = namespace.split_key(key)
    namespace.check_job_name(names[0])
    if len(names) < 2:
        raise InvalidName(f"{key}: an artifact's key is <job>/<name>")
    return names
