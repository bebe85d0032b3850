"""A directory as a `Remote`: a disk, or a share that other machines mount too.

An object is a file under its key. It is written under a name of its own, synced, and then renamed (or linked, where
the name must be new), so that a reader finds all of it or nothing. Times are those of the file system: on a share,
the server's. What a file system cannot do is left out: uploads are not resumed, and there are no URLs.
"""

import contextlib
import itertools
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from mountfs.errors import CorruptContent, InvalidArgument, ObjectMissing, PutRefused, Unsupported
from mountfs.remote.folder import INCOMING, Folder, parts_of
from mountfs.remote.folder import Found as File
from mountfs.remote.protocol import (
    LIST_LIMIT,
    Answered,
    Capabilities,
    Fetched,
    Found,
    Listed,
    Page,
    Source,
    Unfinished,
    Upload,
    ignore,
)
from mountfs.remote.refusals import shown

PIECE_BYTES: Final = 4 << 20
_NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class DirectoryRemote:
    """One directory, made a bucket by `create`. See `Remote` for the promises; content types are not kept."""

    capabilities = Capabilities(conditional_put=True, presign=False, multipart=False)

    def __init__(self, path: Path, *, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self.where = str(path)
        self._folder = Folder(path)
        self._now_ms = now_ms
        self._ahead_ms = 0  # by how much the file system's clock is ahead of ours, when last seen

    def __repr__(self) -> str:
        return f"DirectoryRemote({self.where!r})"

    def create(self) -> None:
        """Make the directory a bucket; one that is a bucket already is no error."""
        self._folder.create()

    def close(self) -> None:
        """Nothing is held open between requests."""

    # -- writing ------------------------------------------------------------------------------------------

    def put(
        self,
        key: str,
        data: bytes,
        *,
        content_type: str | None = None,
        content_encoding: str | None = None,
        if_absent: bool = False,
    ) -> Answered:
        return self._written(key, iter([data]), if_absent=if_absent)

    def put_large(
        self,
        key: str,
        source: Source,
        *,
        resume: Upload | None = None,
        noted: Callable[[Upload], None] = ignore,
        progress: Callable[[int], None] = ignore,
        content_type: str | None = None,
        content_encoding: str | None = None,
    ) -> Answered:
        return self._written(key, _pieces(source, progress))

    def _written(self, key: str, pieces: Iterator[bytes], *, if_absent: bool = False) -> Answered:
        parts_of(key)
        with self._folder.translated(key), self._folder.opened() as root, _incoming(root) as incoming:
            with _temporary(incoming) as (name, fd):
                for piece in pieces:
                    _write_all(fd, piece)
                os.fsync(fd)
                written_ms = os.fstat(fd).st_mtime_ns // 1_000_000
                try:
                    self._folder.place(root, incoming, name, key, if_absent=if_absent)
                except FileExistsError:
                    raise PutRefused(f"{shown(key)} exists already in {self.where}") from None
            self._ahead_ms = written_ms - self._now_ms()
            return Answered(written_ms)

    def copy(self, source: str, key: str) -> Answered:
        """A file of its own, not a link: its time says when the copy was made."""
        with self._folder.translated(source), self._folder.reading(source) as fd:
            size = os.fstat(fd).st_size
            return self._written(key, _file_pieces(fd, size))

    def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            parts_of(key)
        with self._folder.translated(self.where), self._folder.opened() as root:
            for key in keys:
                self._folder.remove(root, key)

    # -- reading ------------------------------------------------------------------------------------------

    def get(self, key: str, *, most_bytes: int) -> Fetched:
        with self._folder.translated(key), self._folder.reading(key) as fd:
            size = os.fstat(fd).st_size
            if size > most_bytes:
                raise CorruptContent(f"{shown(key)} is {size} bytes long, {most_bytes} at most were expected")
            return Fetched(_read(fd, 0, size), size, self._time())

    def get_range(self, key: str, offset: int, length: int) -> Fetched:
        if offset < 0 or length < 1:
            raise InvalidArgument(f"no range: {length} bytes from {offset}")
        with self._folder.translated(key), self._folder.reading(key) as fd:
            return Fetched(_read(fd, offset, length), os.fstat(fd).st_size, self._time())

    def get_tail(self, key: str, length: int) -> Fetched:
        if length < 1:
            raise InvalidArgument(f"no tail: {length} bytes")
        with self._folder.translated(key), self._folder.reading(key) as fd:
            size = os.fstat(fd).st_size
            return Fetched(_read(fd, max(0, size - length), length), size, self._time())

    def head(self, key: str) -> Found | None:
        with self._folder.translated(key):
            try:
                with self._folder.reading(key) as fd:
                    status = os.fstat(fd)
            except ObjectMissing:
                return None
            return Found(status.st_size, status.st_mtime_ns // 1_000_000, self._time())

    def list(
        self, prefix: str, *, after: str = "", delimiter: str = "", token: str | None = None, limit: int = LIST_LIMIT
    ) -> Page:
        """In the order of S3, over all pages; a token is the last key or prefix of the page before."""
        if delimiter not in ("", "/"):
            raise InvalidArgument(f"{delimiter!r} is no delimiter: only / is")
        limit = min(limit, LIST_LIMIT)
        start = max(after, token or "")
        with self._folder.translated(self.where), self._folder.opened() as root:
            walk = self._folder.walk(root, prefix, start, rolled=bool(delimiter))
            with contextlib.closing(walk):
                found = [*itertools.islice(walk, limit + 1)]
        page = found[:limit]
        last = page[-1] if len(found) > limit else None
        return Page(
            tuple(Listed(one.key, one.size, one.modified_ms) for one in page if isinstance(one, File)),
            tuple(one for one in page if isinstance(one, str)),
            last.key if isinstance(last, File) else last,
        )

    def server_ms(self) -> int:
        with self._folder.translated(self.where), self._folder.opened() as root, _incoming(root) as incoming:
            with _temporary(incoming) as (_, fd):
                os.write(fd, b"?")
                os.fsync(fd)
                said = os.fstat(fd).st_mtime_ns // 1_000_000
            self._ahead_ms = said - self._now_ms()
            return said

    def presign(
        self, key: str, *, seconds: int, content_type: str | None, content_encoding: str | None, filename: str | None
    ) -> tuple[str, int]:
        raise Unsupported(f"{self.where} is a directory: no server answers URLs for what is in it")

    # -- what was begun -----------------------------------------------------------------------------------

    def unfinished(self, prefix: str) -> Unfinished:
        """Files that a write left when its process died. For which key is not known: all are told for any prefix."""
        with self._folder.translated(self.where), self._folder.opened() as root, _incoming(root) as incoming:
            left = []
            for name in sorted(os.listdir(incoming)):
                with contextlib.suppress(FileNotFoundError):
                    status = os.stat(name, dir_fd=incoming, follow_symlinks=False)
                    left.append((Upload("", name, 0), status.st_mtime_ns // 1_000_000))
            return left

    def abort(self, upload: Upload) -> None:
        parts_of(upload.upload_id)
        if "/" in upload.upload_id:
            raise InvalidArgument(f"{shown(upload.upload_id)} is no unfinished write")
        with (
            self._folder.translated(self.where),
            self._folder.opened() as root,
            _incoming(root) as incoming,
            contextlib.suppress(FileNotFoundError),
        ):
            os.unlink(upload.upload_id, dir_fd=incoming)

    def _time(self) -> int:
        return self._now_ms() + self._ahead_ms


@contextlib.contextmanager
def _incoming(root: int) -> Iterator[int]:
    """The directory of files that have no name yet: on the same file system, and in no listing."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(INCOMING, dir_fd=root)
    fd = os.open(INCOMING, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=root)
    try:
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def _temporary(incoming: int) -> Iterator[tuple[str, int]]:
    """A new file, which goes again unless it was given a name meanwhile."""
    name = f"{os.getpid()}-{threading.get_native_id()}-{secrets.token_hex(8)}"
    fd = os.open(name, _NEW, 0o666, dir_fd=incoming)
    try:
        yield name, fd
    finally:
        os.close(fd)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=incoming)


def _pieces(source: Source, progress: Callable[[int], None]) -> Iterator[bytes]:
    for offset in range(0, source.size, PIECE_BYTES):
        length = min(PIECE_BYTES, source.size - offset)
        data = source.read(offset, length)
        if len(data) != length:
            raise CorruptContent("the content is shorter here than it should be: not uploaded")
        yield data
        progress(offset + length)


def _file_pieces(fd: int, size: int) -> Iterator[bytes]:
    for offset in range(0, size, PIECE_BYTES):
        yield _read(fd, offset, min(PIECE_BYTES, size - offset))


def _read(fd: int, offset: int, length: int) -> bytes:
    """What is there of these bytes; a read may give less than it was asked for."""
    pieces = []
    while length:
        piece = os.pread(fd, length, offset)
        if not piece:
            break
        pieces.append(piece)
        offset, length = offset + len(piece), length - len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
