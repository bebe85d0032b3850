"""One frame, or one piece of raw content: compressed, decompressed, checked. The only module that imports zstandard.

What it keeps true: plain bytes that come out were checked against their checksum just now, and no header makes it
take more memory than the caller expects plain bytes. Compressing releases the GIL; a thread that has compressed
keeps its zstd context: 2.6 MB at level 3, 19 MB at level 19.
"""

import threading
import zlib
from collections.abc import Sequence

import zstandard

from mountfs.codec.table import FRAME_BYTES, Frame
from mountfs.errors import CorruptContent

Buffer = bytes | bytearray | memoryview
"""Bytes to read from; a memoryview is contiguous and of single bytes."""

LEVELS = range(1, 20)


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


def compress_frames(plains: Sequence[bytes], *, level: int) -> list[bytes]:
    """Many frames, each of 1 to FRAME_BYTES, as `compress_frame` makes them.

    One call into zstd for all of them: a worker that went back to Python after each would have the event loop wait
    for the interpreter a hundred times a batch (measured: half the creates on a busy machine).
    """
    frames = _compressor(level).multi_compress_to_buffer(list(plains), threads=0)
    return [frames[i].tobytes() for i in range(len(plains))]


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
