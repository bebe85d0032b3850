"""Whole contents: encoded as they are stored, decoded as they were given. Hashing releases the GIL."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import assert_never

from mountfs.codec.frames import (
    Buffer,
    check_raw,
    compress_frame,
    compress_frames,
    decompress_frame,
    frame_checksum,
    raw_sum,
)
from mountfs.codec.table import (
    FRAME_BYTES,
    Frame,
    FrameTable,
    bad_table,
    frame_count,
    pack_sums,
    parse_seek_table,
    raw_table,
    seek_table,
    seek_table_bytes,
    seek_table_of_one,
    unpack_sums,
)
from mountfs.errors import CorruptContent
from mountfs.model import Codec, Digest

MOST_FRAMES_FOR_ONE = 16
"""Text in smaller frames than ours, by a factor of so much, is still read; in frames of a byte it would take hours."""

SAVING = 0.02
"""The share that compression has to save, seek table included, to be worth its price at every read."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A whole content ready to be stored.

    `stored` ends with the seek table when the codec is zstd; `sums` is what `pack_sums` made of the CRC-32s
    when it is raw, else empty.
    """

    codec: Codec
    digest: Digest
    stored: bytes
    sums: bytes


def shrinks_enough(plain_bytes: int, stored_bytes: int) -> bool:
    """Whether compression saves so much that the content is worth storing compressed."""
    return stored_bytes <= plain_bytes * (1 - SAVING)


def encode(plain: Buffer, *, level: int, compress: bool = True) -> Encoded:
    """A whole content as it is stored: compressed when that saves enough, else raw; empty content is raw.

    Needs memory for the plain and the stored bytes. ValueError for a level outside LEVELS.
    """
    digest = Digest.of(plain)
    if compress and plain:
        stored = _compress(plain, level)
        if shrinks_enough(len(plain), len(stored)):
            return Encoded(Codec.ZSTD, digest, stored, b"")
    return Encoded(Codec.RAW, digest, bytes(plain), pack_sums(map(raw_sum, _chunks(plain))))


def encode_small(plains: Sequence[bytes], digests: Sequence[Digest], *, level: int) -> list[Encoded]:
    """Many contents of 1 to FRAME_BYTES each, whose digests are known, as `encode` would store them."""
    frames = compress_frames(plains, level=level)
    return [_as_stored(plain, digest, frame) for plain, digest, frame in zip(plains, digests, frames, strict=True)]


def _as_stored(plain: bytes, digest: Digest, frame: bytes) -> Encoded:
    stored = frame + seek_table_of_one(len(frame), len(plain), frame_checksum(frame))
    if shrinks_enough(len(plain), len(stored)):
        return Encoded(Codec.ZSTD, digest, stored, b"")
    return Encoded(Codec.RAW, digest, plain, pack_sums([raw_sum(plain)]))


def _compress(plain: Buffer, level: int) -> bytes:
    """Frames and the seek table behind them."""
    if len(plain) <= FRAME_BYTES:
        frame = compress_frame(plain, level=level)
        return frame + seek_table_of_one(len(frame), len(plain), frame_checksum(frame))
    chunks = _chunks(plain)
    frames = [compress_frame(chunk, level=level) for chunk in chunks]
    table = FrameTable.from_sizes(map(len, frames), map(len, chunks), map(frame_checksum, frames))
    return b"".join([*frames, seek_table(table)])


def _chunks(plain: Buffer) -> list[memoryview]:
    view = memoryview(plain)
    return [view[start : start + FRAME_BYTES] for start in range(0, len(view), FRAME_BYTES)]


def decode(stored: bytes, *, codec: Codec, plain_bytes: int, sums: bytes) -> bytes:
    """The plain bytes that `encode` was given, each piece checked; CorruptContent when one is damaged.

    `sums` belongs to raw content; compressed content carries its checksums itself. The digest is not looked
    at: `verify_integrity` is for that.
    """
    match codec:
        case Codec.ZSTD:
            return _decode_zstd(stored, plain_bytes)
        case Codec.RAW:
            return _decode_raw(stored, raw_table(unpack_sums(sums), plain_bytes))
        case _:
            assert_never(codec)


def _decode_zstd(stored: bytes, plain_bytes: int) -> bytes:
    table = parse_seek_table(stored, stored_file_bytes=len(stored))
    if table.plain_bytes != plain_bytes:
        raise bad_table(f"{table.plain_bytes} plain bytes instead of {plain_bytes}")
    return b"".join(decompress_frame(piece, frame) for piece, frame in _pieces(stored, table))


def _decode_raw(stored: bytes, table: FrameTable) -> bytes:
    if len(stored) != table.stored_bytes:
        raise CorruptContent(f"integrity check failed: {len(stored)} bytes instead of {table.stored_bytes}")
    for piece, frame in _pieces(stored, table):
        check_raw(piece, frame)
    return bytes(stored)


def _pieces(stored: bytes, table: FrameTable) -> Iterator[tuple[memoryview, Frame]]:
    view = memoryview(stored)
    for frame in table:
        yield view[frame.stored_offset : frame.stored_offset + frame.stored_bytes], frame


def pack_text(plain: Buffer, *, level: int) -> bytes:
    """Text for the bucket (manifests, feeds): always compressed, as contents are, so that `zstd -d` reads it.

    Raises ValueError for nothing, and for a level outside LEVELS.
    """
    return _compress(plain, level)


def unpack_text(stored: bytes, *, most_bytes: int) -> bytes:
    """Inverse of `pack_text`; CorruptContent for damage, and for more than `most_bytes` before any is made."""
    return b"".join(_text_pieces(stored, most_bytes))


def unpack_lines(stored: bytes, *, most_bytes: int, most_line_bytes: int) -> Iterator[bytes]:
    """The lines that `pack_text` packed, without newlines, while never more than one frame and one line is held.

    Raises CorruptContent as `unpack_text` does, and for a line of more than `most_line_bytes`.
    """
    begun: list[bytes] = []  # pieces of a line that goes on in the next frame
    for piece in _text_pieces(stored, most_bytes):
        first, *others = piece.split(b"\n")
        begun.append(first)
        if others:
            yield _one_line(begun, most_line_bytes)
            begun = [others.pop()]
            yield from (_one_line([line], most_line_bytes) for line in others)
        if sum(map(len, begun)) > most_line_bytes:
            _one_line(begun, most_line_bytes)
    if last := _one_line(begun, most_line_bytes):
        yield last


def _one_line(pieces: list[bytes], most_bytes: int) -> bytes:
    length = sum(map(len, pieces))
    if length > most_bytes:
        raise CorruptContent(f"a line of {length} bytes or more; allowed: up to {most_bytes}")
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _text_pieces(stored: bytes, most_bytes: int) -> Iterator[bytes]:
    table = parse_seek_table(stored, stored_file_bytes=len(stored))
    if table.plain_bytes > most_bytes:
        raise CorruptContent(f"a text of {table.plain_bytes} bytes; allowed: up to {most_bytes}")
    if len(table) > MOST_FRAMES_FOR_ONE * frame_count(table.plain_bytes):
        raise CorruptContent(f"a text of {table.plain_bytes} bytes in {len(table)} frames")
    return (decompress_frame(piece, frame) for piece, frame in _pieces(stored, table))


def estimate_compressed_size(sample: bytes, *, total_bytes: int | None = None, level: int = 3) -> int:
    """About how many bytes content like `sample` will take; exact when the sample is all of it."""
    total_bytes = len(sample) if total_bytes is None else total_bytes
    if not sample:
        return total_bytes
    frames_bytes = sum(len(compress_frame(chunk, level=level)) for chunk in _chunks(sample))
    estimate = total_bytes * frames_bytes // len(sample) + seek_table_bytes(frame_count(total_bytes))
    return estimate if shrinks_enough(total_bytes, estimate) else total_bytes


def verify_integrity(plain: Buffer, digest: Digest) -> bool:
    """Whether these are the bytes that `digest` was made of."""
    return Digest.of(plain) == digest
