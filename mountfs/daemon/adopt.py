"""`mount --adopt`: what lies in a directory moves into the store before the mount covers it.

The originals go only after everything is durable in the store, and only those that are still what was read: what
somebody wrote meanwhile stays, and nothing is mounted over it. Cut off at any point it can be run again: what is in the
store already, with the same content, is skipped.
"""

import contextlib
import errno
import hashlib
import io
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mountfs import namespace
from mountfs.daemon.service import Service
from mountfs.errors import AlreadyExists, EnvironmentProblem, MountfsError, NotEmpty, Protected, Unsupported
from mountfs.model import ROOT_INO, Digest, Entry, Kind, Standing
from mountfs.store.store import Store
from mountfs.store.tree import Owner

PIECE_BYTES = 1 << 20
SETTLE_EVERY = 256  # files: their plain bytes wait in memory and in the journal until then
TICK_SECONDS = 0.02  # two writes within one tick of the kernel's clock (10 ms at most) leave the same times
TICKS = 10  # how long a file that is being written is waited for
NAMED = 3  # of what stays behind, in the error


@dataclass(frozen=True, slots=True)
class Adopted:
    """What was moved."""

    files: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _Taken:
    """An original that is in the store: `seen` is how it was when it was read, `stored` where a copy was made."""

    path: Path
    seen: os.stat_result
    stored: tuple[int, bytes] | None = None

    def is_unchanged(self) -> bool:
        found = os.lstat(self.path)
        seen = self.seen
        return (found.st_dev, found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns) == (
            seen.st_dev, seen.st_ino, seen.st_mode, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns
        )  # fmt: skip


def adopt(service: Service) -> Adopted:
    """Move the job directories in the mountpoint into the store.

    Raises Protected naming a file that lies directly in it, Unsupported naming what no artifact can be, AlreadyExists
    naming what the store holds with another content; then nothing was removed. Raises NotEmpty naming what was written
    there meanwhile; that was left.
    """
    jobs = _jobs(service.mountpoint)
    for job in jobs:
        _refuse_what_cannot_be_stored(job)
    store = Store.open(service.state, service.options, mountpoint=service.mountpoint)
    try:
        importing = _Importing(store)
        for job in jobs:
            importing.take(ROOT_INO, job)
        importing.finish()
        importing.remove_originals()
    finally:
        store.close()
    _refuse_what_is_left(service.mountpoint)
    return Adopted(importing.files, importing.size_bytes)


def _jobs(mountpoint: Path) -> list[Path]:
    found = sorted(Path(entry.path) for entry in os.scandir(mountpoint))
    for path in found:
        if path.is_symlink() or not path.is_dir():
            raise Protected(
                f"{path} lies directly in the mountpoint, where only directories of jobs may be: move it into one first"
            )
        namespace.check_job_name(os.fsencode(path.name))
    return found


def _refuse_what_cannot_be_stored(path: Path) -> None:
    device = os.lstat(path).st_dev
    for entry in _walk(path):
        found = entry.stat(follow_symlinks=False)
        mode = found.st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)):
            raise _no_artifact(entry.path)
        if found.st_dev != device:  # as `os.path.ismount` says, which walks from the root for each
            raise Unsupported(f"{entry.path} is a mount: unmount it first")


def _no_artifact(path: str | Path) -> Unsupported:
    return Unsupported(f"{path}: devices, sockets and FIFOs are no artifacts: remove it first")


def _refuse_what_is_left(mountpoint: Path) -> None:
    try:
        left = [entry.path for entry in _walk(mountpoint) if not entry.is_dir(follow_symlinks=False)]
        left = left or [entry.path for entry in os.scandir(mountpoint)]
    except OSError as error:
        raise EnvironmentProblem(
            f"{error.filename or mountpoint}: {error.strerror}; run the same command again"
        ) from error
    if left:
        named = ", ".join(sorted(left)[:NAMED]) + (f" and {len(left) - NAMED} more" if len(left) > NAMED else "")
        raise NotEmpty(
            f"{mountpoint} was written to meanwhile, so it is not mounted: {named} stayed there. Nothing was lost, the "
            "rest is in the store: run the same command again when nobody writes there"
        )


def _walk(path: Path) -> "Iterator[os.DirEntry[str]]":
    """All below a directory. A stack, and no function that calls itself: 2,000 may lie one inside the other."""
    waiting = [path]
    while waiting:
        for entry in os.scandir(waiting.pop()):
            yield entry
            if entry.is_dir(follow_symlinks=False):
                waiting.append(Path(entry.path))


@dataclass(frozen=True, slots=True)
class _Inside:
    """A directory that one is in, as it was found, and what of it is still to come."""

    path: Path
    found: os.stat_result
    entry: Entry
    children: Iterator[Path]


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EnvironmentProblem(f"{path} cannot be read: {error.strerror}; nothing was removed") from error


class _Importing:
    """Copies of files, directories and symlinks, in one open store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._unsettled = 0
        self._taken: list[_Taken] = []  # directories behind what is in them
        self.files = 0
        self.size_bytes = 0

    def take(self, parent: int, path: Path) -> None:
        """Bring in one entry with all below it."""
        inside: list[_Inside] = []
        self._take(parent, path, inside)
        while inside:
            child = next(inside[-1].children, None)
            if child is None:
                self._leave(inside.pop())
            else:
                self._take(inside[-1].entry.ino, child, inside)

    def _take(self, parent: int, path: Path, inside: list[_Inside]) -> None:
        """Bring in one entry; of a directory what is in it comes next."""
        with _readable(path):
            found = os.lstat(path)
            name = os.fsencode(path.name)
            if stat.S_ISDIR(found.st_mode):
                inside.append(self._into_directory(parent, name, path, found))
            elif stat.S_ISLNK(found.st_mode):
                self._take_symlink(parent, name, path, found)
            elif stat.S_ISREG(found.st_mode):
                self._take_file(parent, name, path, _at_rest(path, found))
            else:
                raise _no_artifact(path)

    def finish(self) -> None:
        """Everything taken is hashed, compressed and on the disk."""
        self._settle()
        store = self._store
        store.sync(store.unsynced_drafts(None), store.journal.take_unsynced())

    def remove_originals(self) -> None:
        """Remove what was taken and did not change since; of the rest no copy stays that would be in its way."""
        for taken in self._taken:
            try:
                self._remove(taken)
            except FileNotFoundError:
                continue
            except OSError as error:
                busy = "is in use" if error.errno == errno.EBUSY else error.strerror
                raise EnvironmentProblem(
                    f"{taken.path} is stored, and could not be removed from the mountpoint: {busy}; "
                    "run the same command again"
                ) from error
        self._store.settler.reclaim()

    def _remove(self, taken: _Taken) -> None:
        if stat.S_ISDIR(taken.seen.st_mode):
            with contextlib.suppress(NotADirectoryError):  # something else has that name by now: it is left
                _remove_if_empty(taken.path)
        elif taken.is_unchanged():
            os.unlink(taken.path)
        elif taken.stored is not None:
            self._store.tree.discard(*taken.stored)  # the next attempt takes what it has become

    def _settle(self) -> None:
        settler = self._store.settler
        settler.settle_all()
        if not settler.idle():
            raise MountfsError("not everything could be stored, the log says what: nothing was removed")
        self._store.ledger.drain()
        self._unsettled = 0

    def _into_directory(self, parent: int, name: bytes, path: Path, found: os.stat_result) -> _Inside:
        tree = self._store.tree
        entry = tree.find(parent, name)
        if entry is None:
            mode = stat.S_IMODE(found.st_mode)
            entry = tree.make_directory(parent, name, mode, Owner(found.st_uid, found.st_gid))
        elif entry.kind != Kind.DIRECTORY:
            raise _differs(path)
        return _Inside(path, found, entry, iter([path / child for child in sorted(os.listdir(path))]))

    def _leave(self, inside: _Inside) -> None:
        """All of it was taken: now its times, which what came into it changed."""
        with _readable(inside.path):
            self._dress(inside.entry, inside.path, inside.found)
        self._taken.append(_Taken(inside.path, inside.found))

    def _take_symlink(self, parent: int, name: bytes, path: Path, found: os.stat_result) -> None:
        target = os.fsencode(os.readlink(path))
        entry = self._store.tree.find(parent, name)
        is_new = entry is None
        if entry is None:
            entry = self._store.tree.make_symlink(parent, name, target, Owner(found.st_uid, found.st_gid))
            self._store.tree.set_attributes(entry.ino, mtime_ns=found.st_mtime_ns)
        elif entry.target != target:
            raise _differs(path)
        self._taken.append(_Taken(path, found, (parent, name) if is_new else None))

    def _take_file(self, parent: int, name: bytes, path: Path, found: os.stat_result) -> None:
        entry = self._store.tree.find(parent, name)
        is_new = entry is None
        if entry is not None:
            if not self._is_same(entry, path):
                raise _differs(path)
        else:
            entry = self._copy(parent, name, path, found)
        self._dress(entry, path, found)
        self._taken.append(_Taken(path, found, (parent, name) if is_new else None))
        self.files += 1
        self.size_bytes += found.st_size

    def _copy(self, parent: int, name: bytes, path: Path, found: os.stat_result) -> Entry:
        store = self._store
        draft = b".adopt-" + hashlib.sha256(name).hexdigest()[:32].encode()  # the next attempt finds it again
        if store.tree.find(parent, draft) is not None:
            store.tree.discard(parent, draft)
        live = store.tree.create_file(parent, draft, stat.S_IMODE(found.st_mode), Owner(found.st_uid, found.st_gid))
        try:
            with _opened(path) as file, live.lock:
                offset = 0
                while piece := file.read(PIECE_BYTES):
                    store.files.prepare_write(live, offset, len(piece))
                    store.files.write(live, offset, piece)
                    offset += len(piece)
                store.files.publish(live, Standing.CLOSED)
            store.tree.rename(parent, draft, parent, name)
        except BaseException:
            store.tree.discard(parent, draft)
            raise
        finally:
            store.files.release(live, write=True)
        self._unsettled += 1
        if self._unsettled >= SETTLE_EVERY or found.st_size > PIECE_BYTES:
            self._settle()
        return store.tree.lookup(parent, name)

    def _is_same(self, entry: Entry, path: Path) -> bool:
        if entry.kind != Kind.FILE or entry.size != path.stat().st_size:
            return False
        if entry.content is None:
            return True
        self._settle()
        entry = self._store.tree.entry(entry.ino)
        content = self._store.catalog.content(entry.content) if entry.content is not None else None
        with _opened(path) as file:
            digest = Digest(hashlib.file_digest(file, "sha256").digest())
        return content is not None and content.digest == digest and not content.damaged

    def _dress(self, entry: Entry, path: Path, found: os.stat_result) -> None:
        """Times and `user.` attributes, tags among them, as they were."""
        for name in os.listxattr(path, follow_symlinks=False):
            raw = os.fsencode(name)
            if raw.startswith(b"user."):
                value = os.getxattr(path, name, follow_symlinks=False)
                self._store.attributes.set(entry.ino, raw, value)
        self._store.tree.set_attributes(entry.ino, atime_ns=found.st_atime_ns, mtime_ns=found.st_mtime_ns)


def _differs(path: Path) -> MountfsError:
    return AlreadyExists(f"{path}: the store holds something else under this name: move it away; nothing was removed")


def _at_rest(path: Path, found: os.stat_result) -> os.stat_result:
    """How the file is before it is read, with times that a later write is sure to change."""
    for _ in range(TICKS):
        if time.time_ns() - found.st_ctime_ns > TICK_SECONDS * 1e9:
            break
        time.sleep(TICK_SECONDS)
        found = os.lstat(path)
    return found


def _opened(path: Path) -> io.BufferedReader:
    """The file itself: a symlink or FIFO that took its name meanwhile is neither followed nor waited for."""
    return open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK))


def _remove_if_empty(directory: Path) -> None:
    try:
        os.rmdir(directory)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
