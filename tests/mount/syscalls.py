"""System calls that Python's `os` lacks, or wraps in a way that would hide what a test is about."""

import contextlib
import ctypes
import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2
UTIME_NOW = (1 << 30) - 1
UTIME_OMIT = (1 << 30) - 2
FALLOC_FL_PUNCH_HOLE_AND_KEEP_SIZE = 3

_AT_FDCWD = -100
_CLOCK_REALTIME_COARSE = 5
_AT_SYMLINK_NOFOLLOW = 0x100
_PROT_READ_WRITE = 3
_MAP_SHARED = 1
_MAP_FAILED = ctypes.c_void_p(-1).value
_MS_SYNC = 4

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_libc.msync.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]
_libc.opendir.restype = ctypes.c_void_p
_libc.readdir.argtypes = _libc.closedir.argtypes = _libc.rewinddir.argtypes = [ctypes.c_void_p]
_libc.telldir.argtypes = [ctypes.c_void_p]
_libc.telldir.restype = ctypes.c_long
_libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]


class _TimeSpec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _DirectoryEntry(ctypes.Structure):
    _fields_ = (
        ("ino", ctypes.c_ulong),
        ("offset", ctypes.c_long),
        ("length", ctypes.c_ushort),
        ("kind", ctypes.c_ubyte),
        ("name", ctypes.c_char * 256),
    )


_libc.readdir.restype = ctypes.POINTER(_DirectoryEntry)


def _raise_errno(path: object = None) -> None:
    code = ctypes.get_errno()
    raise OSError(code, os.strerror(code), path)


@contextlib.contextmanager
def refused(code: int) -> Iterator[None]:
    """Assert that the block ends in an OSError of just this number: EPERM is not EACCES."""
    with tolerated(code):
        yield
        raise AssertionError(f"not refused; {errno.errorcode[code]} was promised")


@contextlib.contextmanager
def tolerated(code: int) -> Iterator[None]:
    """Let the block end in an OSError of this number, or in success."""
    try:
        yield
    except OSError as error:
        if error.errno != code:
            raise


def rename(old: Path, new: Path, *, flags: int) -> None:
    """renameat2(2) with RENAME_NOREPLACE or RENAME_EXCHANGE."""
    if _libc.renameat2(_AT_FDCWD, os.fsencode(old), _AT_FDCWD, os.fsencode(new), flags) != 0:
        _raise_errno(str(old))


def utimens(path: Path, *, atime: tuple[int, int], mtime: tuple[int, int]) -> None:
    """utimensat(2) on the name itself, times as (seconds, nanoseconds or UTIME_NOW or UTIME_OMIT)."""
    times = (_TimeSpec * 2)(_TimeSpec(*atime), _TimeSpec(*mtime))
    if _libc.utimensat(_AT_FDCWD, os.fsencode(path), times, _AT_SYMLINK_NOFOLLOW) != 0:
        _raise_errno(str(path))


def fallocate(fd: int, *, mode: int, offset: int, length: int) -> None:
    """fallocate(2) itself; the C library's posix_fallocate would hide a refusal."""
    if _libc.fallocate(fd, mode, offset, length) != 0:
        _raise_errno()


def next_clock_tick() -> None:
    """Return when a time stamp taken now differs from one taken before the call."""
    before = time.clock_gettime_ns(_CLOCK_REALTIME_COARSE)
    while time.clock_gettime_ns(_CLOCK_REALTIME_COARSE) == before:
        pass


class SharedMapping:
    """A MAP_SHARED mapping that holds no descriptor, unlike Python's own mmap."""

    def __init__(self, fd: int, length: int) -> None:
        self._length = length
        address = _libc.mmap(None, length, _PROT_READ_WRITE, _MAP_SHARED, fd, 0)
        if address == _MAP_FAILED:
            _raise_errno()
        self._address: int = address

    def load(self, offset: int, length: int) -> bytes:
        return ctypes.string_at(self._address + offset, length)

    def store(self, offset: int, data: bytes) -> None:
        ctypes.memmove(self._address + offset, data, len(data))

    def sync(self) -> None:
        if _libc.msync(self._address, self._length, _MS_SYNC) != 0:
            _raise_errno()

    def unmap(self) -> None:
        if _libc.munmap(self._address, self._length) != 0:
            _raise_errno()


class DirectoryStream:
    """opendir(3) and its positions; `read` answers (name, inode number) or None at the end."""

    def __init__(self, path: Path) -> None:
        self._stream = _libc.opendir(os.fsencode(path))
        if not self._stream:
            _raise_errno(str(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _libc.closedir(self._stream)

    def read(self) -> tuple[bytes, int] | None:
        """The next entry, `.` and `..` among them."""
        ctypes.set_errno(0)
        entry = _libc.readdir(self._stream)
        if entry:
            return bytes(entry.contents.name), int(entry.contents.ino)
        if ctypes.get_errno() != 0:
            _raise_errno()
        return None

    def names(self) -> Iterator[bytes]:
        """What is left of the stream, without `.` and `..`."""
        while (entry := self.read()) is not None:
            if entry[0] not in (b".", b".."):
                yield entry[0]

    def tell(self) -> int:
        return int(_libc.telldir(self._stream))

    def seek(self, position: int) -> None:
        _libc.seekdir(self._stream, position)

    def rewind(self) -> None:
        _libc.rewinddir(self._stream)
