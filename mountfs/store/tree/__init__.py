"""The namespace: look up, create, remove, rename, change attributes. Runs on the loop's thread.

The root holds jobs, and only jobs: a file or symlink directly in it is refused, names with a leading dot are
reserved for views. Whoever may do what by permission bits is the kernel's business (`default_permissions`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from mountfs import namespace
from mountfs.errors import AlreadyExists, InvalidArgument, InvalidName, NotADirectory, Protected
from mountfs.model import ROOT_INO, Entry, Kind, Owed, Standing
from mountfs.store.live import LiveFile
from mountfs.store.tree.looking import text
from mountfs.store.tree.renaming import Renaming

TARGET_BYTES = 4095
_JOB_METADATA = namespace.JOB_METADATA_NAME.encode()


@dataclass(frozen=True, slots=True)
class Owner:
    """Whom a new entry belongs to."""

    uid: int
    gid: int


class Tree(Renaming):
    """Entries by inode and by name; raises the errors of the table in DESIGN §5."""

    # -- making -------------------------------------------------------------------------------------------

    def make_directory(
        self, parent: int, name: bytes, mode: int, owner: Owner, *, birth_ns: int | None = None
    ) -> Entry:
        """`birth_ns`: when it was first made, of one that is made again; None: now."""
        if parent == ROOT_INO:
            namespace.check_job_name(name)
        entry = self._new(parent, name, Kind.DIRECTORY, mode, owner)
        entry.birth_ns = entry.birth_ns if birth_ns is None else min(birth_ns, entry.birth_ns)
        self._put_new(entry)
        if parent == ROOT_INO:
            self._tag(entry.ino, {key: value.encode() for key, value in self._options.job_tags.items()})
        else:
            self._tag_by_layout(entry)
        return entry

    def _tag_by_layout(self, entry: Entry) -> None:
        if self._layouts:
            self._tag(entry.ino, self.layout_tags(entry.parent, entry.name, entry.kind))

    def _tag(self, ino: int, tags: Mapping[str, bytes]) -> None:
        if tags:
            with self._ledger.transaction():
                for key, value in tags.items():
                    self._owing.tagged(ino, f"tag:{key}", value)

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
        self._tag_by_layout(entry)
        return self._files.open(entry, write=True)

    def _new(self, parent: int, name: bytes, kind: Kind, mode: int, owner: Owner) -> Entry:
        namespace.check_name(name)
        directory = self.entry(parent)
        if directory.kind != Kind.DIRECTORY:
            raise NotADirectory(f"not a directory: {text(directory.name)}")
        if directory.parent == ROOT_INO != parent and name == _JOB_METADATA:
            raise Protected(f"{namespace.JOB_METADATA_NAME} of a job is reserved: its content is computed")
        if self._ledger.child(parent, name) is not None:
            raise AlreadyExists(f"exists already: {text(name)}")
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

    def _put_new(self, entry: Entry) -> None:
        self._ledger.put(entry, is_new=True)
        self._ledger.touch_directory(entry.parent)

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


def check_key(key: str) -> tuple[bytes, ...]:
    """The names of a key that may be written to. Raises InvalidName, NameTooLong, Protected."""
    names = namespace.split_key(key)
    namespace.check_job_name(names[0])
    if len(names) < 2:
        raise InvalidName(f"{key}: an artifact's key is <job>/<name>")
    return names
