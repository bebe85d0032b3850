"""Keys as files below a directory: opened name by name, so that no link leads out of it.

Whoever may write there may plant anything. Links, devices and FIFOs are no objects: they are not listed and not
read, and a directory that is a link ends the request. Names of ours begin with `.mountfs-` and are no keys.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from mountfs.descent import DIRECTORY, Descent
from mountfs.errors import InvalidName, MountfsError, ObjectMissing, RemoteDenied, RemoteUnavailable
from mountfs.remote.refusals import shown

MARKER: Final = ".mountfs-bucket"
INCOMING: Final = ".mountfs-incoming"
OURS: Final = ".mountfs-"

_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a FIFO must not hold us
_MISSING: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO})
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FORBIDDEN: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_MADE_ANEW: Final = 16  # times that a directory may vanish, emptied by somebody else, before a file is in it


@dataclass(frozen=True, slots=True)
class Found:
    """One file below the directory."""

    key: str
    size: int
    modified_ms: int


Walk: TypeAlias = Generator[Found | str, None, None]
"""Files, and keys of directories in place of theirs. Closing it closes the directories it is in."""


class Folder:
    """A directory on some file system, shared with other machines perhaps. Its marker proves that it is there."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self) -> None:
        """Make the directory, and it a bucket; `RemoteDenied` for one that holds something else."""
        with self.translated(str(self.path)):
            self.path.mkdir(parents=True, exist_ok=True)
            names = set(os.listdir(self.path))
            if MARKER in names:
                return
            if names - {INCOMING, "lost+found"}:
                raise RemoteDenied(f"{self.path} is not empty, and no bucket of mountfs: choose another directory")
            (self.path / INCOMING).mkdir(exist_ok=True)
            with open(self.path / MARKER, "xb") as marker:
                marker.write(b"A bucket of mountfs. While this file is not here, the share is taken for unmounted.\n")
                os.fsync(marker.fileno())
            _sync(self.path)

    @contextlib.contextmanager
    def opened(self) -> Iterator[int]:
        """The directory itself. Without the marker it may be the mountpoint of a share that is not mounted."""
        try:
            root = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise self._unmounted() from None
        try:
            try:
                os.stat(MARKER, dir_fd=root, follow_symlinks=False)
            except FileNotFoundError:
                raise self._unmounted() from None
            yield root
        finally:
            os.close(root)

    @contextlib.contextmanager
    def translated(self, about: str) -> Iterator[None]:
        """Every `OSError` of this file system leaves as an error of ours."""
        try:
            yield
        except OSError as error:
            raise self._meaning(error, shown(about)) from None

    @contextlib.contextmanager
    def reading(self, key: str) -> Iterator[int]:
        """The open file of an object; `ObjectMissing` where there is none that is a regular file."""
        *above, name = parts_of(key)
        with self.opened() as root, Descent(root) as way, contextlib.ExitStack() as held:
            try:
                for part in above:
                    way.down(part)
                fd = os.open(name, _FILE, dir_fd=way.here)
            except OSError as error:
                if error.errno in _MISSING:
                    raise ObjectMissing(f"{shown(key)} is not in {self.path}") from None
                raise
            held.callback(os.close, fd)
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise ObjectMissing(f"{shown(key)} in {self.path} is no regular file")
            yield fd

    def place(self, root: int, incoming: int, temporary: str, key: str, *, if_absent: bool) -> None:
        """Give a finished file its name, durably. Another machine may remove the emptied directory meanwhile."""
        *above, name = parts_of(key)
        for _ in range(_MADE_ANEW):
            with Descent(root) as way, contextlib.suppress(FileNotFoundError):
                for part in above:
                    _make(way, part)
                parent = way.here
                if if_absent:
                    os.link(temporary, name, src_dir_fd=incoming, dst_dir_fd=parent)
                    os.unlink(temporary, dir_fd=incoming)
                else:
                    os.rename(temporary, name, src_dir_fd=incoming, dst_dir_fd=parent)
                os.fsync(parent)
                return
        raise RemoteUnavailable(f"{shown(key)}: its directory in {self.path} is removed again and again")

    def remove(self, root: int, key: str) -> None:
        """Unlink an object, if it is there, and the directories that it leaves empty."""
        *above, name = parts_of(key)
        with Descent(root) as way:
            inside = []
            try:
                for part in above:
                    way.down(part)
                    inside.append(part)
                if not stat.S_ISDIR(os.stat(name, dir_fd=way.here, follow_symlinks=False).st_mode):
                    os.unlink(name, dir_fd=way.here)
                    os.fsync(way.here)
            except OSError as error:
                if error.errno not in _MISSING:
                    raise
            with contextlib.suppress(OSError):  # not empty, or somebody else was first
                for part in reversed(inside):
                    way.up()
                    os.rmdir(part, dir_fd=way.here)

    def walk(self, root: int, prefix: str, after: str, *, rolled: bool) -> Walk:
        """Files whose key begins with `prefix` and is above `after`, in the order of their bytes.

        Where `rolled`, a directory below the prefix comes as the text of its key, ending in `/`, in place of its files.
        """
        *above, _ = prefix.split("/")
        if any(not _is_name(part) for part in above) or above[:1] in ([INCOMING], [MARKER]):
            return
        with Descent(root) as way:
            if all(_enters(way, part) for part in above):
                at = "".join(f"{part}/" for part in above)
                yield from (_rolled if rolled else _walked)(way.here, at, prefix, after)

    def _meaning(self, error: OSError, about: str) -> MountfsError:
        why = error.strerror or type(error).__name__
        if error.errno in _FULL:
            return RemoteDenied(f"{about}: {self.path} is full ({why}): make room, then `mountfs flush`")
        if error.errno in _FORBIDDEN:
            return RemoteDenied(f"{about}: {self.path} refuses ({why}): check owner, mode and how it is mounted")
        if error.errno == errno.ENAMETOOLONG:
            return InvalidName(f"{about}: longer than names in {self.path} may be")
        if error.errno in (errno.ENOTDIR, errno.EISDIR, errno.ELOOP):
            return RemoteDenied(f"{about}: something else has that name in {self.path} ({why})")
        if error.errno in (errno.EOPNOTSUPP, errno.EMLINK):
            return RemoteDenied(f"{about}: {self.path} cannot do that ({why}): a file system with hard links can")
        return RemoteUnavailable(f"{about}: {self.path} does not answer as it should ({why})")

    def _unmounted(self) -> RemoteUnavailable:
        return RemoteUnavailable(
            f"{self.path} is no bucket of mountfs now: mount the share, or make it one: mountfs remote check --create"
        )


def parts_of(key: str) -> list[str]:
    """The names on the way to an object; `InvalidName` where they would lead elsewhere."""
    parts = key.split("/")
    if not all(_is_name(part) for part in parts) or parts[0].startswith(OURS):
        raise InvalidName(f"{shown(key)!r} is no key of an object")
    return parts


def _is_name(part: str) -> bool:
    try:
        return part not in ("", ".", "..") and "\0" not in part and len(part.encode()) <= 255
    except UnicodeEncodeError:  # a file's name that is not UTF-8
        return False


def _make(way: Descent, part: str) -> None:
    """Into a directory, made durably where it is missing."""
    try:
        os.mkdir(part, dir_fd=way.here)
        os.fsync(way.here)
    except FileExistsError:
        pass
    way.down(part)


def _enters(way: Descent, part: str) -> bool:
    """Into a directory; False where there is none."""
    try:
        way.down(part)
    except OSError as error:
        if error.errno in _MISSING:
            return False
        raise
    return True


def _walked(start: int, at: str, prefix: str, after: str) -> Walk:
    """The objects below one directory, whose key so far is `at`. However deep somebody planted them."""
    with Descent(start) as way:
        inside = [_keys_in(start, at)]
        while inside:
            key = next(inside[-1], None)
            if key is None:
                inside.pop()
                if inside:
                    way.up()
            elif not key.endswith("/"):
                if key.startswith(prefix) and key > after and (found := _regular(way, key)):
                    yield found
            elif _fits(key, prefix) and (key > after or after.startswith(key)) and _enters(way, _last(key)):
                inside.append(_keys_in(way.here, key))


def _rolled(start: int, at: str, prefix: str, after: str) -> Walk:
    """The objects in one directory, and of the directories in it their own keys, where there is any object below."""
    with Descent(start) as way:
        for key in _keys_in(start, at):
            if not key.endswith("/"):
                if key.startswith(prefix) and key > after and (found := _regular(way, key)):
                    yield found
            elif _fits(key, prefix) and key > after and _enters(way, _last(key)):
                with contextlib.closing(_walked(way.here, key, prefix, after)) as below:
                    is_something = next(below, None) is not None
                way.up()
                if is_something:
                    yield key


def _keys_in(directory: int, at: str) -> Iterator[str]:
    """The keys in one directory, in the order of their bytes. A directory sorts as its name with a `/`."""
    with os.scandir(directory) as entries:
        names = sorted(
            at + entry.name + ("/" if entry.is_dir(follow_symlinks=False) else "")
            for entry in entries
            if _is_name(entry.name) and not (at == "" and entry.name.startswith(OURS))
        )
    return iter(names)


def _fits(key: str, prefix: str) -> bool:
    """Whether what begins with one may lie below the other."""
    return key.startswith(prefix) or prefix.startswith(key)


def _last(key: str) -> str:
    """The last name of a directory's key."""
    return key[:-1].rpartition("/")[2]


def _regular(way: Descent, key: str) -> Found | None:
    try:
        status = os.stat(key.rpartition("/")[2], dir_fd=way.here, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return Found(key, status.st_size, status.st_mtime_ns // 1_000_000)


def _sync(directory: Path) -> None:
    fd = os.open(directory, DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
