"""The bytes that are here: settled contents in files named by their digest, and readers of any range of them.

A file under its digest is complete and durable: it is written under `incoming/`, synced, and renamed. Readers
verify each frame as they decompress it, so that what rots is found when it is read (CorruptContent), never served.
"""

import contextlib
import errno
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol

from mountfs import codec
from mountfs.codec import FRAME_BYTES, FrameTable
from mountfs.errors import CacheFull, ContentLost, CorruptContent, RemoteUnavailable
from mountfs.journal import sync_directory
from mountfs.model import Codec, Content, Digest

INLINE_BYTES = 32 << 10
"""Stored bytes up to which a content lives in the catalog: a file of its own costs an fsync and an inode."""

AT_ONCE_BYTES = 64 << 10  # plain bytes that are decompressed on the event loop: 0.1 ms
AHEAD_BYTES = 2 << 20  # stored bytes
FRAMES_KEPT = 5  # decompressed frames a reader keeps: those being read, those read ahead, one for a second reader


class ReadsRanges(Protocol):
    """Anything that answers with plain bytes. Thread-safe."""

    size: int

    def read(self, offset: int, length: int) -> bytes: ...

    def at_hand(self, offset: int, length: int) -> bool:
        """Whether `read` will answer from memory, without disk or decompression."""
        ...


class PlainReader:
    """A content whose plain bytes are in memory, whole: small ones."""

    def __init__(self, plain: bytes) -> None:
        self._plain = plain
        self.size = len(plain)

    def read(self, offset: int, length: int) -> bytes:
        return self._plain[offset : offset + length]

    def at_hand(self, offset: int, length: int) -> bool:
        return True


class Elsewhere:
    """A content that is in the bucket alone, where only its size matters: nobody reads what a draft left behind."""

    def __init__(self, size: int) -> None:
        self.size = size

    def read(self, offset: int, length: int) -> bytes:
        raise RemoteUnavailable("the content is in the bucket, and not on this machine")

    def at_hand(self, offset: int, length: int) -> bool:
        return False


class FramedReader:
    """Ranges of a settled content; decompresses only the frames that cover them and keeps the last few."""

    def __init__(self, table: FrameTable, *, raw: bool, fetch: Callable[[int, int], bytes]) -> None:
        self.table = table
        self.size = table.plain_bytes
        self.raw = raw
        self.arriving = False  # not all of its stored bytes are here yet: somebody brings what a read needs
        self._fetch = fetch
        self._frames: OrderedDict[int, bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._busy: dict[int, threading.Event] = {}

    def read(self, offset: int, length: int) -> bytes:
        if offset >= self.size or length <= 0:
            return b""
        end = min(offset + length, self.size)
        if offset % FRAME_BYTES == 0 and end == min(offset + FRAME_BYTES, self.size):
            return self._frame(offset // FRAME_BYTES)  # as the kernel reads ahead: not a byte is copied
        parts = []
        for index in range(offset // FRAME_BYTES, (end - 1) // FRAME_BYTES + 1):
            start = index * FRAME_BYTES
            parts.append(memoryview(self._frame(index))[max(offset - start, 0) : end - start])
        return bytes(parts[0]) if len(parts) == 1 else b"".join(parts)

    def at_hand(self, offset: int, length: int) -> bool:
        end = min(offset + length, self.size)
        frames = self._frames
        return all(i in frames for i in range(offset // FRAME_BYTES, (max(end, offset + 1) - 1) // FRAME_BYTES + 1))

    def stored_frame(self, index: int) -> bytes:
        """The stored bytes of one frame, as they are."""
        frame = self.table[index]
        stored = self._fetch(frame.stored_offset, frame.stored_bytes)
        if len(stored) != frame.stored_bytes:
            raise CorruptContent("integrity check: the stored content ends too early")
        return stored

    def warm(self, index: int) -> None:
        """Decompress a frame ahead of its reader, where it is here. Whoever reads it gets the error: one that went
        through other threads would keep this reader's file, and its room on the disk, until a circle is found."""
        if index < len(self.table):
            with contextlib.suppress(CorruptContent):
                self._frame(index)

    def check(self, index: int) -> None:
        """Decompress a frame and keep nothing of it. Raises CorruptContent."""
        self.decoded(index)

    def _frame(self, index: int) -> bytes:
        """One decompressed frame; whoever comes second waits for the first instead of doing it again."""
        while True:
            with self._lock:
                plain = self._frames.get(index)
                if plain is not None:
                    self._frames.move_to_end(index)
                    return plain
                event = self._busy.get(index)
                if event is None:
                    self._busy[index] = threading.Event()
                    break
            event.wait()
        try:
            plain = self.decoded(index)
            with self._lock:
                self._frames[index] = plain
                while len(self._frames) > FRAMES_KEPT:
                    self._frames.popitem(last=False)
            return plain
        finally:
            with self._lock:
                self._busy.pop(index).set()

    def decoded(self, index: int) -> bytes:
        """The plain bytes of a frame, checked just now. Raises CorruptContent."""
        stored, frame = self.stored_frame(index), self.table[index]
        if not self.raw:
            return codec.decompress_frame(stored, frame)
        codec.check_raw(stored, frame)
        return stored


class ContentFiles:
    """`contents/<two hex digits>/<digest>` below the state directory, and `incoming/` beside it."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.directory = state / "contents"
        self.incoming = state / "incoming"
        self._expected: set[str] = set()  # names that are being given, or were since the last sweep was decided
        self._came: set[str] = set()
        self._lock = threading.Lock()
        for directory in (self.directory, self.incoming):
            directory.mkdir(mode=0o700, exist_ok=True)
        for leftover in self.incoming.iterdir():
            leftover.unlink()

    def path(self, digest: Digest, kind: str) -> Path:
        name = digest.hex()
        return self.directory / name[:2] / (f"{name}.zst" if kind == Codec.ZSTD else name)

    def doom_name(self, digest: Digest, kind: str) -> str:
        """The path below the state directory, as the catalog's list of doomed files has it."""
        return str(self.path(digest, kind).relative_to(self.state))

    def names(self) -> Iterator[str]:
        """Every file that is here, as `doom_name` has it."""
        for directory in self.directory.iterdir():
            for path in directory.iterdir():
                yield str(path.relative_to(self.state))

    def adopt(self, source: Path, digest: Digest, kind: str) -> None:
        """Take a complete, synced file under its digest; durable on return. For a worker thread."""
        path = self.path(digest, kind)
        if not path.parent.is_dir():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            sync_directory(self.directory)
        os.rename(source, path)
        sync_directory(path.parent)

    def adopt_quickly(self, source: Path, digest: Digest, kind: str) -> None:
        """The same for what can be fetched again: power loss may take it. For a worker thread."""
        path = self.path(digest, kind)
        with full_disk():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            os.rename(source, path)

    def expect(self, names: Iterable[str]) -> None:
        """These come back from the bucket: a sweep that was decided when nothing pointed at them leaves them alone."""
        with self._lock:
            self._expected.update(names)
            self._came.difference_update(names)

    def came(self, names: Iterable[str]) -> None:
        """Their rows point at them, or they did not come: the next decision about a sweep sees that."""
        with self._lock:
            self._came.update(names)

    def is_expected(self, name: str) -> bool:
        with self._lock:
            return name in self._expected

    def sweep_decided(self) -> None:
        """What is to go was decided just now by the rows, and no other sweep is under way. On the loop."""
        with self._lock:
            self._expected -= self._came
            self._came.clear()

    def remove(self, names: list[str]) -> None:
        """Delete files, named as in `doom_name`, durably: what is struck off the list afterwards does not come back."""
        paths = [self.state / name for name in names]
        for name, path in zip(names, paths, strict=True):
            with self._lock:
                if name not in self._expected:
                    path.unlink(missing_ok=True)
        for directory in {path.parent for path in paths if path.parent.is_dir()}:
            sync_directory(directory)

    def open(self, content: Content) -> FramedReader:
        """A reader that keeps working after the file is unlinked. Raises ContentLost, CorruptContent."""
        assert content.digest is not None
        try:
            fd = os.open(self.path(content.digest, content.codec), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise ContentLost(
                f"integrity check: the content {content.digest.hex()} is missing on this machine"
            ) from error
        stored = _StoredFile(fd)
        return framed(content, fetch=stored.fetch, stored_bytes=os.fstat(fd).st_size)


class _StoredFile:
    """An open content file, closed when the last reader lets go of it."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._end = 0  # of what was fetched last
        self._asked = 0  # up to where the disk was asked to read ahead

    def fetch(self, offset: int, length: int) -> bytes:
        self._read_ahead(offset, offset + length)
        try:
            return os.pread(self._fd, length, offset)
        except OSError as error:
            raise CorruptContent(f"integrity check: the stored content cannot be read ({error.strerror})") from error

    def _read_ahead(self, offset: int, end: int) -> None:
        """Have the disk fetch what a sequential reader needs next, while it decompresses; without it waits for each
        frame."""
        near, self._end = abs(offset - self._end) < AHEAD_BYTES, end
        if near and offset > 0 and end + AHEAD_BYTES // 2 > self._asked:
            self._asked = end + AHEAD_BYTES
            os.posix_fadvise(self._fd, end, AHEAD_BYTES, os.POSIX_FADV_WILLNEED)

    def __del__(self) -> None:
        os.close(self._fd)


def framed(content: Content, *, fetch: Callable[[int, int], bytes], stored_bytes: int) -> FramedReader:
    """A reader over stored bytes, wherever they are. Raises CorruptContent when they contradict the catalog."""
    if content.codec == Codec.RAW:
        if stored_bytes != content.size:
            raise CorruptContent(f"integrity check: {stored_bytes} bytes are stored, {content.size} were written")
        return FramedReader(codec.raw_table(codec.unpack_sums(content.sums), content.size), raw=True, fetch=fetch)
    footer = fetch(max(0, stored_bytes - codec.FOOTER_BYTES), codec.FOOTER_BYTES)
    extent = codec.seek_table_extent(footer)
    if extent > stored_bytes:
        raise CorruptContent("integrity check: the seek table is longer than the stored content")
    tail = fetch(stored_bytes - extent, extent)
    table = codec.parse_seek_table(tail, stored_file_bytes=stored_bytes)
    if table.plain_bytes != content.size:
        raise CorruptContent(
            f"integrity check: {table.plain_bytes} plain bytes are stored, {content.size} were written"
        )
    return FramedReader(table, raw=False, fetch=fetch)


def in_memory(content: Content, data: bytes) -> ReadsRanges:
    """A reader of a content that lies in the catalog; decompressed at once when that takes microseconds."""
    if content.size <= AT_ONCE_BYTES:
        return PlainReader(codec.decode(data, codec=Codec(content.codec), plain_bytes=content.size, sums=content.sums))
    return framed(content, fetch=lambda offset, length: data[offset : offset + length], stored_bytes=len(data))


def write_quickly(path: Path, data: bytes) -> None:
    """Create a file with these bytes; power loss may take it. For a worker thread. Raises CacheFull."""
    with full_disk():
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with full_disk():
            write_all(fd, data)
    finally:
        os.close(fd)


def write_durably(path: Path, parts: list[bytes]) -> None:
    """Create a file with these bytes and sync it; for a worker thread. Raises CacheFull."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with full_disk():
            for part in parts:
                write_all(fd, part)
        os.fdatasync(fd)
    finally:
        os.close(fd)


def write_all(fd: int, data: bytes | bytearray | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def pwrite_all(fd: int, data: bytes | bytearray | memoryview, offset: int) -> None:
    """Put all of these bytes there: a disk that becomes full takes the first of them without a word."""
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written


class full_disk:  # noqa: N801  # reads as a statement
    """Translate ENOSPC of this disk into CacheFull."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise CacheFull("no space left on the disk that holds the state directory") from error
