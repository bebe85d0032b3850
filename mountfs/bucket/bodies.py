"""The stored bytes of contents on their way out, checked before they leave.

A content that rotted here is not carried to where it would look sound: whoever reads it there could not tell.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from mountfs import codec
from mountfs.bundle import Member
from mountfs.contents import ContentFiles
from mountfs.errors import ContentLost, CorruptContent
from mountfs.model import Codec, Content, Digest, Place
from mountfs.namespace import mime_by_content

PIECE_BYTES = 1 << 20

Body = Callable[[], Member]
"""To be called where it holds up nobody: reads, checks, answers."""


def body_of(content: Content, contents: ContentFiles, *, data: bytes | None) -> Body:
    """A small content as a member of a bundle; `data` are its stored bytes where they lie in the catalog."""
    assert content.digest is not None
    digest, kind = content.digest, Codec(content.codec)

    def body() -> Member:
        stored = data if data is not None else _read(contents.path(digest, kind), content.stored)
        plain = codec.decode(stored, codec=kind, plain_bytes=content.size, sums=content.sums)
        if Digest.of(plain) != digest:
            raise CorruptContent(f"integrity check: the content {digest.hex()} has rotted on this machine")
        return Member(digest, kind, content.size, stored, sums=content.sums)

    return body


def fetched_body(digest: Digest, kind: Codec, size: int, sums: bytes, stored: bytes) -> Body:
    """A content that was just read out of the bucket."""

    def body() -> Member:
        plain = codec.decode(stored, codec=kind, plain_bytes=size, sums=sums)
        if Digest.of(plain) != digest:
            raise CorruptContent(f"integrity check: the bucket has other bytes than those of {digest.hex()}")
        return Member(digest, kind, size, stored, sums=sums, mime=mime_by_content(plain))

    return body


def _read(path: Path, length: int) -> bytes:
    try:
        stored = path.read_bytes()
    except FileNotFoundError as error:
        raise ContentLost(f"integrity check: {path.name} is missing on this machine") from error
    if len(stored) != length:
        raise CorruptContent(f"integrity check: {path.name} has {len(stored)} bytes, not {length}")
    return stored


class FileSource:
    """A stored content in a file, read in any order by several threads."""

    def __init__(self, path: Path) -> None:
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise ContentLost(f"integrity check: {path.name} is missing on this machine") from error
        self._size = os.fstat(self._fd).st_size

    @property
    def size(self) -> int:
        return self._size

    def read(self, offset: int, length: int) -> bytes:
        return os.pread(self._fd, length, offset)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def checked_sum(content: Content, contents: ContentFiles) -> bytes:
    """SHA-256 of the stored bytes of a large content, after each of its frames was checked. Takes as long as it is."""
    assert content.digest is not None
    assert content.place == Place.FILE
    reader = contents.open(content)
    for index in range(len(reader.table)):
        reader.check(index)
    source = FileSource(contents.path(content.digest, content.codec))
    try:
        total = hashlib.sha256()
        for offset in range(0, source.size, PIECE_BYTES):
            total.update(source.read(offset, PIECE_BYTES))
        return total.digest()
    finally:
        source.close()
