"""The bytes of a report as UTF-8, once: looked at from their beginning, then read in pieces, lines or as a whole."""

import codecs
from collections.abc import Iterable, Iterator
from typing import Final, Protocol

from mountfs.reports.limits import HEAD_BYTES, LINE_BYTES, Broken

_PIECE_BYTES: Final = 64 * 1024
_MARKS: Final = (  # UTF-32's mark begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_ZEROS: Final = {  # which of the first four bytes are zero when two plain signs are written without a mark
    (False, True, True, True): "utf-32-le",
    (True, True, True, False): "utf-32-be",
    (False, True, False, True): "utf-16-le",
    (True, False, True, False): "utf-16-be",
}


class Readable(Protocol):
    """A binary file, or what reads like one."""

    def read(self, size: int, /) -> bytes: ...


class Content:
    """`size` bytes of `source` and no more, brought to UTF-8. Where the text is broken, `Broken`."""

    def __init__(self, source: Readable, size: int) -> None:
        self.size = size
        self.read_bytes = 0
        self._source = source
        self._first = self._read(HEAD_BYTES)
        self._mark, self._codec = encoding_of(self._first)

    @property
    def transcoded(self) -> bool:
        """Whether the text was UTF-16 or UTF-32, so that an encoding it declares is no longer true."""
        return self._codec is not None

    def head(self, most: int = HEAD_BYTES) -> bytes:
        """The beginning in UTF-8, up to its last whole sign; b"" where it is no text of its encoding.

        To be called before anything else is read.
        """
        while len(self._first) < most and (piece := self._read(most - len(self._first))):
            self._first += piece
        first = self._first[len(self._mark) :]
        if self._codec is None:
            return first
        try:
            return codecs.getincrementaldecoder(self._codec)().decode(first).encode()
        except UnicodeError:
            return b""

    def pieces(self) -> Iterator[bytes]:
        """All of it in UTF-8, from the beginning. To be called once."""
        raw = self._raw_pieces()
        return raw if self._codec is None else _transcoded(raw, self._codec)

    def lines(self) -> Iterator[str]:
        """Its lines without their ends; of a line that is longer than `LINE_BYTES` the beginning."""
        for line in _split(self.pieces()):
            yield line.decode("utf-8", "replace")

    def whole(self) -> bytes:
        return b"".join(self.pieces())

    def _raw_pieces(self) -> Iterator[bytes]:
        first, self._first = self._first[len(self._mark) :], b""
        yield first
        while piece := self._read(_PIECE_BYTES):
            yield piece

    def _read(self, size: int) -> bytes:
        piece = self._source.read(min(size, self.size - self.read_bytes))
        self.read_bytes += len(piece)
        return piece


def encoding_of(first: bytes) -> tuple[bytes, str | None]:
    """The mark the text begins with, and its codec; None where it is to be read as it is."""
    if first.startswith(codecs.BOM_UTF8):
        return codecs.BOM_UTF8, None
    for mark, codec in _MARKS:
        if first.startswith(mark):
            return mark, codec
    zeros = tuple(byte == 0 for byte in first[:4])
    return b"", _ZEROS.get(zeros) if len(zeros) == 4 else None


def lines_of(head: bytes) -> list[str]:
    """The lines of the beginning; the last of them may be cut."""
    return [line.decode("utf-8", "replace").removesuffix("\r") for line in head.split(b"\n")]


def _transcoded(pieces: Iterable[bytes], codec: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(codec)()
    try:
        for piece in pieces:
            yield decoder.decode(piece).encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError:
        raise Broken(f"is not the {codec.upper()} text that it begins as") from None


def _split(pieces: Iterable[bytes]) -> Iterator[bytes]:
    kept = b""
    for piece in pieces:
        *whole, rest = piece.split(b"\n")
        for line in whole:
            yield _line(kept + line)
            kept = b""
        if len(kept) < LINE_BYTES:  # a line without end is read on, but not held
            kept += rest
    if kept:
        yield _line(kept)


def _line(raw: bytes) -> bytes:
    return raw[:LINE_BYTES].removesuffix(b"\r")
