"""Content of the store as files that a program reads."""

import io
import os
from typing import TYPE_CHECKING, BinaryIO

from mountfs.api.pieces import PIECE_BYTES
from mountfs.contents import ReadsRanges
from mountfs.errors import ContentLost, CorruptContent, InvalidArgument

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer as Buffer  # collections.abc.Buffer from Python 3.12 on


class ContentFile(io.RawIOBase):
    """A settled content as a read-only, seekable file; `on_damage` is called before a damage is raised."""

    def __init__(self, key: str, content: ReadsRanges) -> None:
        self._key = key
        self._content = content
        self._position = 0

    @classmethod
    def opened(cls, key: str, content: ReadsRanges) -> BinaryIO:
        return io.BufferedReader(cls(key, content), buffer_size=PIECE_BYTES)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: "Buffer") -> int:
        view = memoryview(buffer).cast("B")
        try:
            piece = self._content.read(self._position, len(view))
        except (CorruptContent, ContentLost) as error:
            raise type(error)(f"{self._key}: {error}") from error
        view[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._content.size}[whence]
        if base + offset < 0:
            raise InvalidArgument("a seek to before the start")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position
