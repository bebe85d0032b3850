"""Stored bytes and plain bytes: the only module that knows how one becomes the other.

Compressed content is a `.zst` file that `zstd -d` reads: independent frames of up to 1 MiB of plain bytes,
each with its size and checksum, and last a seek table in the zstd seekable format (0.1.0, described in zstd's
`contrib` directory), so that a range is read by decompressing only the frames that cover it. What does not
shrink by 2 % is stored raw, with a CRC-32 for each 1 MiB kept beside it.

What it keeps true: bytes that come out were checked against their checksum just now, and whatever stored
bytes claim, no more memory is taken than the caller expects plain bytes. Pure functions: no clock, no I/O.
Safe in any thread; hashing and compressing release the GIL. A thread that has compressed keeps its zstd
context: 2.6 MB at level 3, 19 MB at level 19.
"""

import struct
import sys
import threading
import zlib
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import assert_never

import zstandard

from mountfs.errors import ArtifactTooLarge, CorruptContent
from mountfs.model import Codec, Digest

Buffer = bytes | bytearray | memoryview
"""Bytes to read from; a memoryview is contiguous and of single bytes."""

FRAME_BYTES = 1 << 20
"""Plain bytes of every frame but the last: 1 MiB costs 2 % of the saving, 128 KiB would cost 10 %."""

SAVING = 0.02
"""The share that compression has to save, seek table included, to be worth its price at every read."""

LEVELS = range(1, 20)

MAX_FRAMES = 1 << 22
"""4 TiB of plain bytes, a seek table of 48 MiB; what claims more is damage, not content."""

FOOTER_BYTES = 9

# No encoder makes a frame longer than its raw blocks: 3 bytes for each 128 KiB, 18 of header, 4 of checksum.
# zstd's own bound adds 1/256. A longer one only serves to make a reader buy memory.
_MAX_STORED_FRAME_BYTES = FRAME_BYTES + (FRAME_BYTES >> 8) + 64

_SKIPPABLE_MAGIC = 0x184D2A5E
_SEEKABLE_MAGIC = 0x8F92EAB1
_WITH_CHECKSUMS = 0x80
_RESERVED_BITS = 0x7C
_HEADER = struct.Struct("<II")  # magic, bytes that follow
_FOOTER = struct.Struct("<IBI")  # number of frames, descriptor, magic
_ENTRY = struct.Struct("<III")  # stored size, plain size, checksum
_SUM = struct.Struct("<I")
_TABLE_OF_ONE = struct.Struct("<IIIIIIBI")


@dataclass(frozen=True, slots=True)
class Frame:
    """Where one independently readable piece lies, stored and plain, and what its plain bytes add up to.

    `checksum` is the low half of XXH64 for a zstd frame, CRC-32 for a raw piece; both unsigned, 32 bits.
    """

    stored_offset: int
    stored_bytes: int
    plain_offset: int
    plain_bytes: int
    checksum: int


class FrameTable:
    """The frames of one content in order, without a gap from offset 0; never changes, 20 bytes a frame."""

    __slots__ = ("_checksums", "_plain_starts", "_stored_starts")

    def __init__(self, frames: Iterable[Frame]) -> None:
        """Raise ValueError unless each frame starts where the one before it ends."""
        frames = tuple(frames)
        self._lay_out(
            (frame.stored_bytes for frame in frames),
            (frame.plain_bytes for frame in frames),
            (frame.checksum for frame in frames),
        )
        for expected, frame in zip(self, frames, strict=True):
            if frame != expected:
                raise ValueError(f"{frame} does not follow the frame before it")

    @classmethod
    def from_sizes(cls, stored: Iterable[int], plain: Iterable[int], checksums: Iterable[int]) -> "FrameTable":
        """Lay frames of these sizes one after another."""
        table = cls.__new__(cls)
        table._lay_out(stored, plain, checksums)
        return table

    def _lay_out(self, stored: Iterable[int], plain: Iterable[int], checksums: Iterable[int]) -> None:
        # One more start than frames: the last is where a next frame would begin.
        self._stored_starts = array("Q", accumulate(stored, initial=0))
        self._plain_starts = array("Q", accumulate(plain, initial=0))
        self._checksums = array("I", checksums)

    @property
    def frames(self) -> tuple[Frame, ...]:
        """All frames as values, made anew at each call: for a whole walk, not for one frame."""
        return tuple(self)

    @property
    def plain_bytes(self) -> int:
        return self._plain_starts[-1]

    @property
    def stored_bytes(self) -> int:
        """What the frames take, without the seek table behind them."""
        return self._stored_starts[-1]

    def covering(self, offset: int, length: int) -> range:
        """The indexes of the frames that hold these plain bytes; what lies behind the end is held by none."""
        if offset < 0 or length < 0:
            raise ValueError(f"no range starts at {offset} and is {length} bytes long")
        end = min(offset + length, self.plain_bytes)
        if offset >= end:
            return range(0)
        return range(bisect_right(self._plain_starts, offset) - 1, bisect_left(self._plain_starts, end))

    def __len__(self) -> int:
        return len(self._checksums)

    def __getitem__(self, index: int) -> Frame:
        index = range(len(self))[index]
        stored, plain = self._stored_starts, self._plain_starts
        return Frame(
            stored[index],
            stored[index + 1] - stored[index],
            plain[index],
            plain[index + 1] - plain[index],
            self._checksums[index],
        )

    def __iter__(self) -> Iterator[Frame]:
        return map(self.__getitem__, range(len(self)))


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


# One frame


class _Workbench(threading.local):
    """The zstd contexts of one thread: costly to make, and not to be shared between threads."""

    def __init__(self) -> None:
        self.compressors: dict[int, zstandard.ZstdCompressor] = {}
        self.decompressor = zstandard.ZstdDecompressor()


_workbench = _Workbench()


def _compressor(level: int) -> zstandard.ZstdCompressor:
    known = _workbench.compressors.get(level)
    if known is not None:
        return known
    if level not in LEVELS:
        raise ValueError(f"zstd levels go from {LEVELS[0]} to {LEVELS[-1]}, not {level}")
    made = zstandard.ZstdCompressor(level=level, write_checksum=True, write_content_size=True)
    _workbench.compressors[level] = made
    return made


def compress_frame(plain: Buffer, *, level: int) -> bytes:
    """One independent zstd frame, with its plain size in the header and its checksum at the end.

    Raises ValueError for nothing, for more than FRAME_BYTES, and for a level outside LEVELS.
    """
    if not 0 < len(plain) <= FRAME_BYTES:
        raise ValueError(f"a frame holds 1 to {FRAME_BYTES} plain bytes, not {len(plain)}")
    return _compressor(level).compress(plain)


def frame_checksum(stored: Buffer) -> int:
    """The checksum of what `compress_frame` compressed: zstd ends a frame with it (RFC 8878, 3.1.1)."""
    return int.from_bytes(stored[-4:], "little")


def decompress_frame(stored: Buffer, frame: Frame) -> bytes:
    """The plain bytes of a zstd frame, checked; CorruptContent when anything about it is not as `frame` says.

    Takes memory for `frame.plain_bytes`, FRAME_BYTES at most, whatever the header of the frame claims.
    """
    if not 0 < frame.plain_bytes <= FRAME_BYTES:
        raise _corrupt(frame, f"{frame.plain_bytes} plain bytes in one frame")
    if len(stored) != frame.stored_bytes:
        raise _corrupt(frame, f"{len(stored)} stored bytes instead of {frame.stored_bytes}")
    try:
        _check_claims(zstandard.get_frame_parameters(stored), frame)
        plain = _workbench.decompressor.decompress(stored, max_output_size=frame.plain_bytes, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise _corrupt(frame, str(error)) from error
    # zstd has just compared the plain bytes with the size and the checksum in the frame; this compares the
    # frame with the table, which tells a sound frame in the wrong place from the right one.
    if frame_checksum(stored) != frame.checksum:
        raise _corrupt(frame, "another checksum than recorded")
    return plain


def _check_claims(claimed: zstandard.FrameParameters, frame: Frame) -> None:
    """Refuse a header before memory is taken for it: zstd buys its size, or its window if it says no size."""
    if claimed.content_size != frame.plain_bytes:
        raise _corrupt(frame, f"a header that says {claimed.content_size} plain bytes, not {frame.plain_bytes}")
    if not claimed.has_checksum:
        raise _corrupt(frame, "a frame without a checksum")


def raw_sum(chunk: Buffer) -> int:
    """The checksum of up to FRAME_BYTES of raw content."""
    return zlib.crc32(chunk)


def check_raw(stored: Buffer, frame: Frame) -> None:
    """Return only when a piece of raw content is what `frame` says; CorruptContent otherwise."""
    if len(stored) != frame.stored_bytes:
        raise _corrupt(frame, f"{len(stored)} bytes instead of {frame.stored_bytes}")
    if raw_sum(stored) != frame.checksum:
        raise _corrupt(frame, "another checksum than recorded")


def _corrupt(frame: Frame, what: str) -> CorruptContent:
    return CorruptContent(f"integrity check failed at byte {frame.plain_offset}: {what}")


# Seek tables and sums


def seek_table_bytes(frames: int) -> int:
    """How long the seek table of so many frames is."""
    return _HEADER.size + _ENTRY.size * frames + FOOTER_BYTES


def seek_table(table: FrameTable) -> bytes:
    """What follows the frames in the file: a skippable frame, which `zstd -d` passes over.

    Raises ArtifactTooLarge above MAX_FRAMES, ValueError for no frames: empty content is stored raw.
    """
    frames = len(table)
    if frames > MAX_FRAMES:
        raise ArtifactTooLarge(f"{table.plain_bytes} bytes exceeds limit of {MAX_FRAMES} compressed frames")
    if not frames:
        raise ValueError("a seek table has at least one frame")
    entries = b"".join(_ENTRY.pack(frame.stored_bytes, frame.plain_bytes, frame.checksum) for frame in table)
    header = _HEADER.pack(_SKIPPABLE_MAGIC, len(entries) + FOOTER_BYTES)
    return header + entries + _FOOTER.pack(frames, _WITH_CHECKSUMS, _SEEKABLE_MAGIC)


def _seek_table_of_one(stored_bytes: int, plain_bytes: int, checksum: int) -> bytes:
    """What `seek_table` says of a single frame, a tenth of its time: nearly every artifact is that small."""
    return _TABLE_OF_ONE.pack(
        *(_SKIPPABLE_MAGIC, _ENTRY.size + FOOTER_BYTES),
        *(stored_bytes, plain_bytes, checksum),
        *(1, _WITH_CHECKSUMS, _SEEKABLE_MAGIC),
    )


def seek_table_extent(footer: bytes) -> int:
    """How many bytes at the end of a file are its seek table, told by the last FOOTER_BYTES of the file."""
    return seek_table_bytes(_frames_claimed(footer))


def _frames_claimed(footer: bytes) -> int:
    if len(footer) != FOOTER_BYTES:
        raise _bad_table(f"a footer of {len(footer)} bytes")
    frames, descriptor, magic = _FOOTER.unpack(footer)
    if magic != _SEEKABLE_MAGIC:
        raise _bad_table("no seek table at the end")
    if descriptor & _RESERVED_BITS or not descriptor & _WITH_CHECKSUMS:
        raise _bad_table(f"descriptor {descriptor:#04x}: checksums are required, reserved bits are not known")
    if not 0 < frames <= MAX_FRAMES:
        raise _bad_table(f"{frames} frames")
    return int(frames)


def parse_seek_table(tail: bytes, *, stored_file_bytes: int) -> FrameTable:
    """The frames of a stored file, from its last bytes: at least the whole table, or more.

    Every frame of the table lies in the file, they fill it up to the table, and none is larger than a frame
    may be; CorruptContent otherwise. A table without checksums is foreign and refused like damage.
    """
    frames = _frames_claimed(tail[-FOOTER_BYTES:])
    length = seek_table_bytes(frames)
    if length > len(tail):
        raise _bad_table(f"{length} bytes of table in {len(tail)} bytes")
    at = len(tail) - length
    if _HEADER.unpack_from(tail, at) != (_SKIPPABLE_MAGIC, length - _HEADER.size):
        raise _bad_table("its header does not fit its footer")
    entries = _to_u32(tail[at + _HEADER.size : -FOOTER_BYTES])
    stored, plain = entries[0::3], entries[1::3]
    if min(stored) == 0 or max(stored) > _MAX_STORED_FRAME_BYTES:
        raise _bad_table(f"frames of {min(stored)} to {max(stored)} stored bytes")
    if min(plain) == 0 or max(plain) > FRAME_BYTES:
        raise _bad_table(f"frames of {min(plain)} to {max(plain)} plain bytes")
    if sum(stored) + length != stored_file_bytes:
        raise _bad_table(f"{sum(stored)} bytes of frames in a file of {stored_file_bytes}")
    return FrameTable.from_sizes(stored, plain, entries[2::3])


def _bad_table(what: str) -> CorruptContent:
    return CorruptContent(f"integrity check of the seek table failed: {what}")


def raw_table(sums: Sequence[int], plain_bytes: int) -> FrameTable:
    """The pieces of raw content of that length; CorruptContent unless there is one checksum for each."""
    if plain_bytes < 0 or len(sums) != _frame_count(plain_bytes):
        raise CorruptContent(f"integrity check failed: {len(sums)} checksums for {plain_bytes} raw bytes")
    sizes = [min(FRAME_BYTES, plain_bytes - start) for start in range(0, plain_bytes, FRAME_BYTES)]
    return FrameTable.from_sizes(sizes, sizes, sums)


def _frame_count(plain_bytes: int) -> int:
    return -(-plain_bytes // FRAME_BYTES)


def pack_sums(sums: Iterable[int]) -> bytes:
    """Checksums as the catalog keeps them: 4 bytes each, little-endian."""
    return b"".join(_SUM.pack(value) for value in sums)


def unpack_sums(packed: bytes) -> list[int]:
    """Inverse of `pack_sums`; CorruptContent when bytes are missing."""
    if len(packed) % 4:
        raise CorruptContent(f"integrity check failed: {len(packed)} bytes are no list of checksums")
    return _to_u32(packed).tolist()


def _to_u32(raw: bytes) -> "array[int]":
    values = array("I", raw)
    if sys.byteorder == "big":
        values.byteswap()
    return values


# Whole contents


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
    """Many contents of 1 to FRAME_BYTES each, whose digests are known, as `encode` would store them.

    One call into zstd for all of them: a worker that went back to Python after each would have the event loop wait
    for the interpreter a hundred times a batch (measured: half the creates on a busy machine).
    """
    frames = _compressor(level).multi_compress_to_buffer(list(plains), threads=0)
    return [
        _as_stored(plain, digest, frames[i].tobytes())
        for i, (plain, digest) in enumerate(zip(plains, digests, strict=True))
    ]


def _as_stored(plain: bytes, digest: Digest, frame: bytes) -> Encoded:
    stored = frame + _seek_table_of_one(len(frame), len(plain), frame_checksum(frame))
    if shrinks_enough(len(plain), len(stored)):
        return Encoded(Codec.ZSTD, digest, stored, b"")
    return Encoded(Codec.RAW, digest, plain, pack_sums([raw_sum(plain)]))


def _compress(plain: Buffer, level: int) -> bytes:
    """Frames and the seek table behind them."""
    if len(plain) <= FRAME_BYTES:
        frame = compress_frame(plain, level=level)
        return frame + _seek_table_of_one(len(frame), len(plain), frame_checksum(frame))
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
        raise _bad_table(f"{table.plain_bytes} plain bytes instead of {plain_bytes}")
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


def estimate_compressed_size(sample: bytes, *, total_bytes: int | None = None, level: int = 3) -> int:
    """About how many bytes content like `sample` will take; exact when the sample is all of it."""
    total_bytes = len(sample) if total_bytes is None else total_bytes
    if not sample:
        return total_bytes
    frames_bytes = sum(len(compress_frame(chunk, level=level)) for chunk in _chunks(sample))
    estimate = total_bytes * frames_bytes // len(sample) + seek_table_bytes(_frame_count(total_bytes))
    return estimate if shrinks_enough(total_bytes, estimate) else total_bytes


def verify_integrity(plain: Buffer, digest: Digest) -> bool:
    """Whether these are the bytes that `digest` was made of."""
    return Digest.of(plain) == digest
