"""Where the frames of a content lie: in memory, and as the seek table at the end of a stored file.

The table is that of the zstd seekable format (0.1.0, described in zstd's `contrib` directory). Raw content has no
table in its file: its pieces follow from its size, and their checksums are kept beside it.

What it keeps true: a table that was parsed describes the file it came from to the last byte, and asks nobody to take
more memory than a frame may need.
"""

import struct
import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from mountfs.errors import ArtifactTooLarge, CorruptContent

FRAME_BYTES = 1 << 20
"""Plain bytes of every frame but the last: 1 MiB costs 2 % of the saving, 128 KiB would cost 10 %."""

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


def seek_table_of_one(stored_bytes: int, plain_bytes: int, checksum: int) -> bytes:
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
        raise bad_table(f"a footer of {len(footer)} bytes")
    frames, descriptor, magic = _FOOTER.unpack(footer)
    if magic != _SEEKABLE_MAGIC:
        raise bad_table("no seek table at the end")
    if descriptor & _RESERVED_BITS or not descriptor & _WITH_CHECKSUMS:
        raise bad_table(f"descriptor {descriptor:#04x}: checksums are required, reserved bits are not known")
    if not 0 < frames <= MAX_FRAMES:
        raise bad_table(f"{frames} frames")
    return int(frames)


def parse_seek_table(tail: bytes, *, stored_file_bytes: int) -> FrameTable:
    """The frames of a stored file, from its last bytes: at least the whole table, or more.

    Every frame of the table lies in the file, they fill it up to the table, and none is larger than a frame
    may be; CorruptContent otherwise. A table without checksums is foreign and refused like damage.
    """
    frames = _frames_claimed(tail[-FOOTER_BYTES:])
    length = seek_table_bytes(frames)
    if length > len(tail):
        raise bad_table(f"{length} bytes of table in {len(tail)} bytes")
    at = len(tail) - length
    if _HEADER.unpack_from(tail, at) != (_SKIPPABLE_MAGIC, length - _HEADER.size):
        raise bad_table("its header does not fit its footer")
    entries = _to_u32(tail[at + _HEADER.size : -FOOTER_BYTES])
    stored, plain = entries[0::3], entries[1::3]
    if min(stored) == 0 or max(stored) > _MAX_STORED_FRAME_BYTES:
        raise bad_table(f"frames of {min(stored)} to {max(stored)} stored bytes")
    if min(plain) == 0 or max(plain) > FRAME_BYTES:
        raise bad_table(f"frames of {min(plain)} to {max(plain)} plain bytes")
    if sum(stored) + length != stored_file_bytes:
        raise bad_table(f"{sum(stored)} bytes of frames in a file of {stored_file_bytes}")
    return FrameTable.from_sizes(stored, plain, entries[2::3])


def bad_table(what: str) -> CorruptContent:
    return CorruptContent(f"integrity check of the seek table failed: {what}")


def raw_table(sums: Sequence[int], plain_bytes: int) -> FrameTable:
    """The pieces of raw content of that length; CorruptContent unless there is one checksum for each."""
    if plain_bytes < 0 or len(sums) != frame_count(plain_bytes):
        raise CorruptContent(f"integrity check failed: {len(sums)} checksums for {plain_bytes} raw bytes")
    sizes = [min(FRAME_BYTES, plain_bytes - start) for start in range(0, plain_bytes, FRAME_BYTES)]
    return FrameTable.from_sizes(sizes, sizes, sums)


def frame_count(plain_bytes: int) -> int:
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
