"""Content on its way into a store: in pieces, wherever it comes from."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mountfs.errors import InvalidArgument, MountfsError, NotFound

PIECE_BYTES = 1 << 20
MODE = 0o666

Data = bytes | bytearray | memoryview | BinaryIO | Path


def pieces_of(data: Data) -> Iterator[bytes | memoryview]:
    """The bytes, at most 1 MiB at a time. Raises NotFound, InvalidArgument."""
    if isinstance(data, Path):
        with _opened(data) as file:
            yield from _read(file)
    elif isinstance(data, bytes | bytearray | memoryview):
        view = memoryview(data).cast("B")
        for start in range(0, len(view), PIECE_BYTES):
            yield view[start : start + PIECE_BYTES]
    elif hasattr(data, "read"):
        yield from _read(data)
    else:
        raise InvalidArgument(f"data: {type(data).__name__} is neither bytes, a file opened in binary mode nor a Path")


def _opened(path: Path) -> BinaryIO:
    try:
        return open(path, "rb")
    except FileNotFoundError as error:
        raise NotFound(f"not found: {path}") from error
    except OSError as error:
        raise InvalidArgument(f"{path}: {error.strerror}") from error


def _read(file: BinaryIO) -> Iterator[bytes]:
    while piece := _piece(file):
        if not isinstance(piece, bytes):
            raise InvalidArgument("data: the file is opened in text mode; binary mode is expected")
        yield piece


def _piece(file: BinaryIO) -> bytes:
    try:
        return file.read(PIECE_BYTES)
    except OSError as error:
        raise MountfsError(f"the source cannot be read: {error.strerror}") from error


def mode_of(data: Data, umask: int) -> int:
    """Permission bits of the new artifact: those of a source file, else what the umask leaves."""
    if isinstance(data, Path):
        try:
            return stat.S_IMODE(os.stat(data).st_mode) & 0o777
        except OSError:
            return MODE & ~umask  # reading it will say why
    return MODE & ~umask


def umask() -> int:
    """This process's umask, read without setting it: other threads create files meanwhile."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    except OSError:
        pass
    return 0o022
