"""Stored bytes and plain bytes: the only room that knows how one becomes the other.

Compressed content is a `.zst` file that `zstd -d` reads: independent frames of up to 1 MiB of plain bytes,
each with its size and checksum, and last a seek table, so that a range is read by decompressing only the frames
that cover it. What does not shrink by 2 % is stored raw, with a CRC-32 for each 1 MiB kept beside it.

`table.py` says where the frames lie, `frames.py` compresses and checks one of them, `whole.py` does it with a whole
content.

What they keep true: bytes that come out were checked against their checksum just now, and whatever stored
bytes claim, no more memory is taken than the caller expects plain bytes. Pure functions: no clock, no I/O.
Safe in any thread.
"""

from mountfs.codec.frames import (
    LEVELS,
    check_raw,
    compress_frame,
    decompress_frame,
    frame_checksum,
    raw_sum,
)
from mountfs.codec.table import (
    FOOTER_BYTES,
    FRAME_BYTES,
    MAX_FRAMES,
    Frame,
    FrameTable,
    pack_sums,
    parse_seek_table,
    raw_table,
    seek_table,
    seek_table_bytes,
    seek_table_extent,
    unpack_sums,
)
from mountfs.codec.whole import (
    Encoded,
    decode,
    encode,
    encode_small,
    estimate_compressed_size,
    pack_text,
    shrinks_enough,
    unpack_lines,
    unpack_text,
    verify_integrity,
)

__all__ = [
    "FOOTER_BYTES", "FRAME_BYTES", "LEVELS", "MAX_FRAMES", "Encoded", "Frame", "FrameTable", "check_raw",
    "compress_frame", "decode", "decompress_frame", "encode", "encode_small", "estimate_compressed_size",
    "frame_checksum", "pack_sums", "pack_text", "parse_seek_table", "raw_sum", "raw_table", "seek_table",
    "seek_table_bytes", "seek_table_extent", "shrinks_enough", "unpack_lines", "unpack_sums", "unpack_text",
    "verify_integrity",
]  # fmt: skip
