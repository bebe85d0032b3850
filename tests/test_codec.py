"""Stored content can always be read again, by us and by others, and damage never becomes wrong bytes.

Promises shown here (DESIGN §2 "a bit rots", §4 "Codec"; FEATURES F-045 to F-050, F-053, F-054):

- what goes in comes out, at every size around a frame's border, at every level, in many threads at once;
- what compression shrinks is a `.zst` that `zstd -d` and another reader of the seekable format read; what it
  does not shrink by 2 % is stored as it is;
- a flipped bit is found or does no harm; hostile frames, seek tables and sums raise `CorruptContent` and
  nothing else, and never buy memory beyond what the caller expects.

The hostile frames are made by hand from RFC 8878, the hostile tables from the description of the seekable
format, so that a mistake shared by our writer and our reader does not hide itself.
"""

import io
import random
import shutil
import struct
import subprocess
import sys
import sysconfig
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import pyzstd
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mountfs import codec
from mountfs.codec import FRAME_BYTES, Frame, FrameTable
from mountfs.errors import ArtifactTooLarge, CorruptContent
from mountfs.model import Codec, Digest

TEXT = (Path(sysconfig.get_path("stdlib")) / "argparse.py").read_bytes()
NOISE = random.Random(7).randbytes(2 * FRAME_BYTES + 5)
SMALL = b"".join(b"PASSED tests/test_%d.py::test_it\n" % number for number in range(20))
BORDER_SIZES = [0, 1, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, 3 * FRAME_BYTES + 7]


def text_of(size: int) -> bytes:
    """Compressible bytes whose frames all differ."""
    lines = b"".join(b"%d %s\n" % (number, TEXT[number % 997 : number % 997 + 90]) for number in range(size // 90 + 1))
    return lines[:size]


def decoded(encoded: codec.Encoded, plain_bytes: int) -> bytes:
    return codec.decode(encoded.stored, codec=encoded.codec, plain_bytes=plain_bytes, sums=encoded.sums)


def table_of(stored: bytes) -> FrameTable:
    return codec.parse_seek_table(stored, stored_file_bytes=len(stored))


# Round trips


@pytest.mark.parametrize("size", BORDER_SIZES)
@pytest.mark.parametrize("compress", [True, False])
def test_text_comes_back_at_every_size_around_a_frame_border(size: int, compress: bool) -> None:
    plain = text_of(size)
    encoded = codec.encode(plain, level=3, compress=compress)
    assert decoded(encoded, size) == plain
    assert encoded.digest == Digest.of(plain)


@pytest.mark.parametrize("size", BORDER_SIZES)
def test_noise_comes_back_at_every_size_around_a_frame_border(size: int) -> None:
    plain = random.Random(size).randbytes(size)
    assert decoded(codec.encode(plain, level=3), size) == plain


@given(plain=st.binary(max_size=3000), repeated=st.integers(1, 20), level=st.sampled_from([1, 3]))
@settings(deadline=None)
def test_any_bytes_come_back(plain: bytes, repeated: int, level: int) -> None:
    content = plain * repeated
    assert decoded(codec.encode(content, level=level), len(content)) == content


@pytest.mark.parametrize("level", codec.LEVELS)
def test_every_level_comes_back(level: int) -> None:
    assert decoded(codec.encode(TEXT, level=level), len(TEXT)) == TEXT


@pytest.mark.parametrize("wrap", [bytearray, memoryview])
def test_any_kind_of_buffer_is_encoded_alike(wrap: type[bytearray] | type[memoryview]) -> None:
    assert codec.encode(wrap(TEXT), level=3) == codec.encode(TEXT, level=3)


def test_many_threads_encode_and_decode_at_once() -> None:
    contents = [text_of(20_000 + number) for number in range(400)]

    def round_trip(number: int) -> bool:
        encoded = codec.encode(contents[number], level=1 + number % 5)
        return decoded(encoded, len(contents[number])) == contents[number]

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(round_trip, range(len(contents))))


# What is stored


@pytest.mark.parametrize("size", [1, 40, 10_000, FRAME_BYTES + 1, len(NOISE)])
def test_what_does_not_shrink_is_stored_as_it_is(size: int) -> None:
    encoded = codec.encode(NOISE[:size], level=3)
    assert (encoded.codec, encoded.stored) == (Codec.RAW, NOISE[:size])


def test_text_that_may_not_be_compressed_is_stored_as_it_is() -> None:
    encoded = codec.encode(TEXT, level=3, compress=False)
    assert (encoded.codec, encoded.stored) == (Codec.RAW, TEXT)


def test_empty_content_is_raw_and_has_no_sums() -> None:
    assert codec.encode(b"", level=3) == codec.Encoded(Codec.RAW, Digest.of(b""), b"", b"")


def test_compressed_content_needs_no_sums_beside_it() -> None:
    encoded = codec.encode(TEXT, level=3)
    assert (encoded.codec, encoded.sums) == (Codec.ZSTD, b"")


def test_source_text_shrinks_by_70_to_90_percent() -> None:
    saved = 1 - len(codec.encode(TEXT, level=3).stored) / len(TEXT)
    assert 0.7 <= saved <= 0.9


@pytest.mark.parametrize(("stored", "enough"), [(979, True), (980, True), (981, False), (1000, False), (1029, False)])
def test_two_percent_is_enough(stored: int, enough: bool) -> None:
    assert codec.shrinks_enough(1000, stored) is enough


def test_the_seek_table_counts_when_saving_is_measured() -> None:
    plain = b"abcd" * 11
    assert len(codec.compress_frame(plain, level=3)) < 0.98 * len(plain)
    assert codec.encode(plain, level=3).codec is Codec.RAW


@pytest.mark.parametrize("size", [len(SMALL), FRAME_BYTES])
def test_the_quick_way_for_small_content_stores_what_the_long_way_would(size: int) -> None:
    plain = text_of(size)
    frame = codec.compress_frame(plain, level=3)
    table = FrameTable([Frame(0, len(frame), 0, size, codec.frame_checksum(frame))])
    assert codec.encode(plain, level=3).stored == frame + codec.seek_table(table)


def test_a_frame_carries_size_and_checksum_of_its_plain_bytes() -> None:
    claimed = zstandard.get_frame_parameters(codec.compress_frame(TEXT, level=3))
    assert (claimed.content_size, claimed.has_checksum) == (len(TEXT), True)


@pytest.mark.parametrize("size", [0, FRAME_BYTES + 1])
def test_a_frame_of_nothing_or_too_much_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="a frame holds"):
        codec.compress_frame(bytes(size), level=3)


@pytest.mark.parametrize("level", [-1, 0, 20, 22])
def test_a_level_outside_1_to_19_is_refused(level: int) -> None:
    with pytest.raises(ValueError, match="levels go from 1 to 19"):
        codec.encode(TEXT, level=level)


# Other readers


@pytest.mark.skipif(shutil.which("zstd") is None, reason="the zstd program is not installed")
@pytest.mark.parametrize("size", [len(SMALL), FRAME_BYTES, 3 * FRAME_BYTES + 7])
def test_the_zstd_program_reads_what_we_store(size: int) -> None:
    plain = text_of(size)
    stored = codec.encode(plain, level=3).stored
    assert subprocess.run(["zstd", "-d", "-c"], input=stored, capture_output=True, check=True).stdout == plain


def test_another_reader_finds_random_ranges_through_our_seek_table() -> None:
    plain = text_of(3 * FRAME_BYTES + 7)
    ranges = random.Random(11)
    with pyzstd.SeekableZstdFile(io.BytesIO(codec.encode(plain, level=3).stored)) as theirs:
        for _ in range(30):
            offset, length = ranges.randrange(len(plain)), ranges.randrange(200_000)
            theirs.seek(offset)
            assert theirs.read(length) == plain[offset : offset + length]


def written_by_pyzstd(plain: bytes) -> bytes:
    """A seekable file of frames with checksums under a table without: pyzstd never writes those."""
    file = io.BytesIO()
    options: dict[int, int] = {pyzstd.CParameter.checksumFlag: 1}
    with pyzstd.SeekableZstdFile(file, "w", level_or_option=options, max_frame_content_size=FRAME_BYTES) as theirs:
        theirs.write(plain)
    return file.getvalue()


def test_frames_of_another_writer_are_found_once_its_table_has_checksums() -> None:
    plain = text_of(3 * FRAME_BYTES + 7)
    theirs = written_by_pyzstd(plain)
    frames = struct.unpack("<I", theirs[-9:-5])[0]
    body, at, entries = theirs[: -17 - 8 * frames], 0, b""
    for stored, size in struct.iter_unpack("<II", theirs[-9 - 8 * frames : -9]):
        at += stored
        entries += struct.pack("<II", stored, size) + body[at - 4 : at]
    table = table_of(body + hostile_table(entries, frames=frames))
    pieces = [pyzstd.decompress(body[f.stored_offset : f.stored_offset + f.stored_bytes]) for f in table]
    assert len(pieces) == 4
    assert pieces == [plain[f.plain_offset : f.plain_offset + f.plain_bytes] for f in table]


def test_a_table_without_checksums_is_refused() -> None:
    with pytest.raises(CorruptContent, match="checksums are required"):
        table_of(written_by_pyzstd(TEXT))


# Damage


@pytest.mark.parametrize("plain", [SMALL, NOISE[:300]], ids=["zstd", "raw"])
def test_a_flipped_bit_is_found_or_does_no_harm(plain: bytes) -> None:
    encoded = codec.encode(plain, level=3)
    harmless = 0
    for bit in range(8 * len(encoded.stored)):
        damaged = bytearray(encoded.stored)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            result = decoded(replace(encoded, stored=bytes(damaged)), len(plain))
        except CorruptContent:
            continue
        assert result == plain, f"bit {bit} gave wrong bytes"
        harmless += 1
    assert harmless <= 8, "hardly any bit of a stored content is unused"


@pytest.mark.parametrize("plain", [SMALL, NOISE[:300]], ids=["zstd", "raw"])
def test_content_that_was_cut_or_lengthened_is_refused(plain: bytes) -> None:
    encoded = codec.encode(plain, level=3)
    lengths = range(len(encoded.stored))
    for damaged in [
        *(encoded.stored[:length] for length in lengths),
        encoded.stored + b"\0",
        b"\0" + encoded.stored,
    ]:
        with pytest.raises(CorruptContent):
            decoded(replace(encoded, stored=damaged), len(plain))


@given(data=st.data())
@settings(deadline=None)
def test_content_overwritten_in_places_is_found_or_unharmed(data: st.DataObject) -> None:
    stored = bytearray(codec.encode(SMALL, level=3).stored)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(stored) - 1))
        piece = data.draw(st.binary(min_size=1, max_size=12))
        stored[at : at + len(piece)] = piece
    try:
        result = codec.decode(bytes(stored), codec=Codec.ZSTD, plain_bytes=len(SMALL), sums=b"")
    except CorruptContent:
        return
    assert result == SMALL


@pytest.mark.parametrize("claimed", [len(SMALL) - 1, len(SMALL) + 1, 0, -1])
@pytest.mark.parametrize("compress", [True, False])
def test_content_of_another_size_than_recorded_is_refused(claimed: int, compress: bool) -> None:
    with pytest.raises(CorruptContent):
        decoded(codec.encode(SMALL, level=3, compress=compress), claimed)


def frame_of(plain: bytes) -> tuple[bytes, Frame]:
    stored = codec.compress_frame(plain, level=3)
    return stored, Frame(0, len(stored), 0, len(plain), codec.frame_checksum(stored))


def test_a_sound_frame_in_the_wrong_place_is_refused() -> None:
    _, expected = frame_of(NOISE[:1000])
    stored, other = frame_of(NOISE[1000:2000])
    assert (other.stored_bytes, other.plain_bytes) == (expected.stored_bytes, expected.plain_bytes)
    with pytest.raises(CorruptContent, match="another checksum"):
        codec.decompress_frame(stored, expected)


def test_frames_that_changed_places_are_refused() -> None:
    one, two = (codec.compress_frame(NOISE[at : at + 1000], level=3) for at in (0, 1000))
    sums = map(codec.frame_checksum, (one, two))
    table = codec.seek_table(FrameTable.from_sizes([len(one), len(two)], [1000, 1000], sums))
    with pytest.raises(CorruptContent, match="another checksum"):
        codec.decode(two + one + table, codec=Codec.ZSTD, plain_bytes=2000, sums=b"")


@pytest.mark.parametrize("change", [{"stored_bytes": 1}, {"plain_bytes": 1}, {"plain_bytes": -1}, {"checksum": 1}])
def test_a_frame_that_is_not_as_recorded_is_refused(change: dict[str, int]) -> None:
    stored, frame = frame_of(SMALL)
    expected = {name: getattr(frame, name) + difference for name, difference in change.items()}
    assert codec.decompress_frame(stored, frame) == SMALL
    with pytest.raises(CorruptContent, match="integrity check"):
        codec.decompress_frame(stored, replace(frame, **expected))


@given(stored=st.binary(max_size=200), plain_bytes=st.integers(-1, 2 * FRAME_BYTES), magic=st.booleans())
@settings(deadline=None)
def test_arbitrary_bytes_are_no_frame(stored: bytes, plain_bytes: int, magic: bool) -> None:
    stored = b"\x28\xb5\x2f\xfd" + stored if magic else stored
    with pytest.raises(CorruptContent, match="integrity check"):
        codec.decompress_frame(stored, Frame(0, len(stored), 0, plain_bytes, codec.frame_checksum(stored)))


# Hostile frames: RFC 8878, 3.1.1. Descriptor: 2 bits size of the content size, single segment, unused,
# reserved, checksum, 2 bits dictionary. Block header: last | type << 1 | size << 3; type 0 raw, 1 repeated.

MAGIC = b"\x28\xb5\x2f\xfd"
WINDOW_128_MIB = bytes([17 << 3])


def block(type_: int, size: int, *, last: bool = True) -> bytes:
    return (last | type_ << 1 | size << 3).to_bytes(3, "little")


def zeros(blocks: int) -> bytes:
    """So many blocks of 128 KiB of zeros, 4 bytes each."""
    return (block(1, 1 << 17, last=False) + b"\0") * blocks + block(1, 1) + b"\0"


HOSTILE_FRAMES = {
    "an honest bomb": MAGIC + b"\xa4" + struct.pack("<I", (1 << 26) + 1) + zeros(512) + b"sums",
    "claims a tebibyte": MAGIC + b"\xe4" + struct.pack("<Q", 1 << 40) + zeros(4) + b"sums",
    "a bomb that claims one frame": MAGIC + b"\xa4" + struct.pack("<I", FRAME_BYTES) + zeros(512) + b"sums",
    "a bomb without a claim": MAGIC + b"\x04" + WINDOW_128_MIB + zeros(512) + b"sums",
    "a huge window, cut off": MAGIC + b"\x84" + WINDOW_128_MIB + struct.pack("<I", FRAME_BYTES) + block(0, 1 << 17),
    "a skippable frame": struct.pack("<II", 0x184D2A50, FRAME_BYTES),
}

MEASURE = """
import sys
from mountfs import codec
from mountfs.errors import CorruptContent

def peak_kib():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmPeak"))

hostile = sys.stdin.buffer.read()
honest = codec.compress_frame(bytes(codec.FRAME_BYTES), level=1)
frame = codec.Frame(0, len(honest), 0, codec.FRAME_BYTES, codec.frame_checksum(honest))
codec.decompress_frame(honest, frame)
before = peak_kib()
try:
    codec.decompress_frame(hostile, codec.Frame(0, len(hostile), 0, codec.FRAME_BYTES, 0))
except CorruptContent:
    print(peak_kib() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is told by Linux only")
@pytest.mark.parametrize("name", HOSTILE_FRAMES)
def test_a_hostile_frame_is_refused_within_the_memory_of_one_frame(name: str) -> None:
    measured = subprocess.run(
        [sys.executable, "-c", MEASURE], input=HOSTILE_FRAMES[name], capture_output=True, check=True
    )
    assert int(measured.stdout) <= 3 * 1024


def test_the_hostile_frames_are_hostile_to_a_trusting_reader() -> None:
    bomb = zstandard.ZstdDecompressor().decompressobj().decompress(HOSTILE_FRAMES["a bomb without a claim"][:-4])
    assert len(bomb) == (1 << 26) + 1


def test_a_frame_larger_than_frames_are_is_refused_though_sound() -> None:
    stored = zstandard.ZstdCompressor(write_checksum=True).compress(bytes(FRAME_BYTES + 1))
    with pytest.raises(CorruptContent, match="in one frame"):
        codec.decompress_frame(stored, Frame(0, len(stored), 0, FRAME_BYTES + 1, codec.frame_checksum(stored)))


def test_bytes_behind_a_frame_are_refused_though_they_end_like_it() -> None:
    stored, frame = frame_of(SMALL)
    padded = stored + b"junk" + stored[-4:]
    with pytest.raises(CorruptContent, match="unused data"):
        codec.decompress_frame(padded, replace(frame, stored_bytes=len(padded)))


def test_a_frame_without_a_checksum_is_refused() -> None:
    stored = zstandard.ZstdCompressor(write_checksum=False).compress(SMALL)
    with pytest.raises(CorruptContent, match="without a checksum"):
        codec.decompress_frame(stored, Frame(0, len(stored), 0, len(SMALL), codec.frame_checksum(stored)))


# Frame tables

sizes = st.lists(st.tuples(st.integers(1, 50), st.integers(1, 50), st.integers(0, 2**32 - 1)), min_size=1, max_size=30)


def tiled(parts: list[tuple[int, int, int]]) -> FrameTable:
    stored, plain, sums = zip(*parts, strict=True)
    return FrameTable.from_sizes(stored, plain, sums)


@given(parts=sizes)
def test_a_table_is_the_sequence_of_its_frames(parts: list[tuple[int, int, int]]) -> None:
    table = tiled(parts)
    assert [(frame.stored_bytes, frame.plain_bytes, frame.checksum) for frame in table] == parts
    assert FrameTable(table.frames).frames == table.frames
    assert (table[0], table[-1], len(table)) == (table.frames[0], table.frames[-1], len(parts))
    assert table.plain_bytes == sum(plain for _, plain, _ in parts)
    assert table.stored_bytes == sum(stored for stored, _, _ in parts)


@given(parts=sizes, offset=st.integers(0, 1600), length=st.integers(0, 1600))
def test_exactly_the_frames_that_hold_a_byte_of_the_range_cover_it(
    parts: list[tuple[int, int, int]], offset: int, length: int
) -> None:
    table = tiled(parts)
    wanted = range(offset, offset + length)
    holding = [
        index
        for index, frame in enumerate(table)
        if max(wanted.start, frame.plain_offset) < min(wanted.stop, frame.plain_offset + frame.plain_bytes)
    ]
    assert list(table.covering(offset, length)) == holding


def test_a_range_before_the_start_is_refused() -> None:
    with pytest.raises(ValueError, match="no range starts at -1"):
        tiled([(1, 1, 1)]).covering(-1, 5)


@pytest.mark.parametrize("offsets", [(1, 0), (0, 1)])
def test_frames_with_a_gap_are_no_table(offsets: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="does not follow"):
        FrameTable([Frame(offsets[0], 5, offsets[1], 5, 0)])


def test_a_table_has_no_frame_behind_its_last() -> None:
    with pytest.raises(IndexError):
        tiled([(1, 1, 1)])[1]


# Seek tables


@given(parts=sizes, before=st.binary(max_size=40))
def test_a_seek_table_is_read_as_it_was_written(parts: list[tuple[int, int, int]], before: bytes) -> None:
    table = tiled(parts)
    written = codec.seek_table(table)
    before = before[: table.stored_bytes]
    parsed = codec.parse_seek_table(before + written, stored_file_bytes=table.stored_bytes + len(written))
    assert parsed.frames == table.frames
    assert codec.seek_table_extent(written[-9:]) == codec.seek_table_bytes(len(parts)) == len(written)


def test_a_hundred_thousand_frames_are_read_as_they_were_written() -> None:
    table = FrameTable.from_sizes([300_000] * 100_000, [FRAME_BYTES] * 100_000, range(100_000))
    written = codec.seek_table(table)
    parsed = codec.parse_seek_table(written, stored_file_bytes=table.stored_bytes + len(written))
    assert parsed[99_999] == Frame(99_999 * 300_000, 300_000, 99_999 * FRAME_BYTES, FRAME_BYTES, 99_999)


def test_more_frames_than_the_limit_are_refused_when_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mountfs.codec.table.MAX_FRAMES", 2)
    with pytest.raises(ArtifactTooLarge, match="exceeds limit"):
        codec.seek_table(tiled([(1, 1, 1)] * 3))


def test_a_seek_table_of_nothing_is_refused_when_written() -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        codec.seek_table(FrameTable([]))


def hostile_table(
    entries: bytes,
    *,
    frames: int = 1,
    length: int | None = None,
    descriptor: int = 0x80,
    skippable: int = 0x184D2A5E,
    seekable: int = 0x8F92EAB1,
) -> bytes:
    length = len(entries) + 9 if length is None else length
    return struct.pack("<II", skippable, length) + entries + struct.pack("<IBI", frames, descriptor, seekable)


ENTRY = struct.pack("<III", 60, 100, 7)
HOSTILE_TABLES = {
    "nothing": b"",
    "a footer only": hostile_table(ENTRY)[-9:],
    "no frames": hostile_table(b"", frames=0),
    "fewer frames than entries": hostile_table(ENTRY * 2, frames=1),
    "more frames than entries": hostile_table(ENTRY, frames=2),
    "more frames than the limit": hostile_table(ENTRY, frames=codec.MAX_FRAMES + 1),
    "all the frames there are": hostile_table(ENTRY, frames=2**32 - 1),
    "another length in the header": hostile_table(ENTRY, length=20),
    "another skippable magic": hostile_table(ENTRY, skippable=0x184D2A5D),
    "another seekable magic": hostile_table(ENTRY, seekable=0x8F92EAB0),
    "no checksums": hostile_table(ENTRY[:8], descriptor=0),
    "a reserved bit": hostile_table(ENTRY, descriptor=0x84),
    "a frame beyond the file": hostile_table(struct.pack("<III", 61, 100, 7)),
    "a hole behind the frame": hostile_table(struct.pack("<III", 59, 100, 7)),
    "a frame of no stored bytes": hostile_table(ENTRY + struct.pack("<III", 0, 100, 7), frames=2),
    "a frame of no plain bytes": hostile_table(struct.pack("<III", 60, 0, 7)),
    "a frame of too many plain bytes": hostile_table(struct.pack("<III", 60, FRAME_BYTES + 1, 7)),
}


def test_the_table_from_which_the_hostile_ones_differ_is_sound() -> None:
    tail = bytes(60) + hostile_table(ENTRY)
    assert codec.parse_seek_table(tail, stored_file_bytes=len(tail)).frames == (Frame(0, 60, 0, 100, 7),)


@pytest.mark.parametrize("name", HOSTILE_TABLES)
def test_a_hostile_seek_table_is_refused(name: str) -> None:
    tail = bytes(60) + HOSTILE_TABLES[name]
    with pytest.raises(CorruptContent, match="integrity check"):
        codec.parse_seek_table(tail, stored_file_bytes=len(tail))


def test_a_frame_longer_than_an_encoder_makes_is_refused() -> None:
    stored = 2 * FRAME_BYTES
    tail = hostile_table(struct.pack("<III", stored, FRAME_BYTES, 7))
    with pytest.raises(CorruptContent, match="stored bytes"):
        codec.parse_seek_table(tail, stored_file_bytes=stored + len(tail))


def test_the_longest_frame_an_encoder_makes_is_not_too_long() -> None:
    noise = NOISE[:FRAME_BYTES]
    stored = codec.compress_frame(noise, level=1)
    tail = hostile_table(struct.pack("<III", len(stored), FRAME_BYTES, codec.frame_checksum(stored)))
    assert codec.decode(stored + tail, codec=Codec.ZSTD, plain_bytes=FRAME_BYTES, sums=b"") == noise


@pytest.mark.parametrize("difference", [-61, -1, 1, 2**40])
def test_a_seek_table_of_a_file_of_another_size_is_refused(difference: int) -> None:
    tail = bytes(60) + hostile_table(ENTRY)
    with pytest.raises(CorruptContent, match="seek table"):
        codec.parse_seek_table(tail, stored_file_bytes=len(tail) + difference)


def test_a_tail_without_the_whole_table_is_refused() -> None:
    tail = bytes(60) + hostile_table(ENTRY)
    with pytest.raises(CorruptContent, match="seek table"):
        codec.parse_seek_table(tail[-20:], stored_file_bytes=len(tail))


@given(tail=st.binary(max_size=120), stored_file_bytes=st.integers(-1, 2**50))
@example(tail=b"", stored_file_bytes=0)
def test_arbitrary_bytes_are_no_seek_table(tail: bytes, stored_file_bytes: int) -> None:
    with pytest.raises(CorruptContent):
        codec.parse_seek_table(tail, stored_file_bytes=stored_file_bytes)


@given(
    entries=st.lists(st.tuples(*[st.integers(0, 2**32 - 1) | st.integers(0, 99)] * 3), max_size=5),
    data=st.data(),
)
def test_a_seek_table_that_is_accepted_describes_the_file(
    entries: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    tail = hostile_table(b"".join(struct.pack("<III", *entry) for entry in entries), frames=len(entries))
    size = len(tail) + data.draw(st.just(sum(stored for stored, _, _ in entries)) | st.integers(-50, 2**34))
    try:
        table = codec.parse_seek_table(tail, stored_file_bytes=size)
    except CorruptContent:
        return
    assert table.stored_bytes + len(tail) == size
    assert all(0 < frame.plain_bytes <= FRAME_BYTES for frame in table)
    assert all(0 < frame.stored_bytes <= 1.01 * FRAME_BYTES for frame in table)


@given(footer=st.binary(max_size=12))
def test_arbitrary_bytes_are_no_footer(footer: bytes) -> None:
    with pytest.raises(CorruptContent):
        codec.seek_table_extent(footer)


def test_a_footer_of_more_frames_than_the_limit_makes_nobody_fetch_them() -> None:
    assert codec.seek_table_extent(hostile_table(b"", frames=codec.MAX_FRAMES)[-9:]) < 50 << 20
    with pytest.raises(CorruptContent, match="frames"):
        codec.seek_table_extent(hostile_table(b"", frames=codec.MAX_FRAMES + 1)[-9:])


# Raw content


def test_raw_content_has_a_crc_32_for_each_mebibyte() -> None:
    encoded = codec.encode(NOISE, level=3)
    expected = [zlib.crc32(NOISE[at : at + FRAME_BYTES]) for at in range(0, len(NOISE), FRAME_BYTES)]
    assert codec.unpack_sums(encoded.sums) == expected
    assert [codec.raw_sum(NOISE[at : at + FRAME_BYTES]) for at in range(0, len(NOISE), FRAME_BYTES)] == expected


def test_raw_pieces_lie_where_they_do_in_the_plain_bytes() -> None:
    table = codec.raw_table([1, 2, 3], 2 * FRAME_BYTES + 5)
    assert table.frames == (
        Frame(0, FRAME_BYTES, 0, FRAME_BYTES, 1),
        Frame(FRAME_BYTES, FRAME_BYTES, FRAME_BYTES, FRAME_BYTES, 2),
        Frame(2 * FRAME_BYTES, 5, 2 * FRAME_BYTES, 5, 3),
    )


def test_empty_raw_content_has_no_piece() -> None:
    assert codec.raw_table([], 0).frames == ()


@pytest.mark.parametrize(
    ("sums", "plain_bytes"), [(0, 1), (1, 0), (1, FRAME_BYTES + 1), (2, FRAME_BYTES), (0, -1), (1, -1)]
)
def test_sums_that_do_not_fit_the_size_are_refused(sums: int, plain_bytes: int) -> None:
    with pytest.raises(CorruptContent, match="integrity check"):
        codec.raw_table([0] * sums, plain_bytes)


def test_a_whole_raw_piece_is_accepted() -> None:
    codec.check_raw(SMALL, Frame(0, len(SMALL), 0, len(SMALL), zlib.crc32(SMALL)))


@pytest.mark.parametrize("piece", [SMALL[:-1], SMALL + b"\0", b"X" + SMALL[1:], b""])
def test_a_damaged_raw_piece_is_refused(piece: bytes) -> None:
    with pytest.raises(CorruptContent, match="integrity check"):
        codec.check_raw(piece, Frame(0, len(SMALL), 0, len(SMALL), zlib.crc32(SMALL)))


def test_a_raw_piece_of_another_length_is_refused_though_its_sum_is_right() -> None:
    assert zlib.crc32(b"") == zlib.crc32(b"\x9d\x0a\xd9\x6d") == 0
    with pytest.raises(CorruptContent, match="0 bytes instead of 4"):
        codec.check_raw(b"", Frame(0, 4, 0, 4, 0))


@given(sums=st.lists(st.integers(0, 2**32 - 1)))
def test_sums_come_back_from_4_bytes_each(sums: list[int]) -> None:
    packed = codec.pack_sums(sums)
    assert packed == b"".join(value.to_bytes(4, "little") for value in sums)
    assert codec.unpack_sums(packed) == sums


@pytest.mark.parametrize("length", [1, 2, 3, 5])
def test_sums_with_bytes_missing_are_refused(length: int) -> None:
    with pytest.raises(CorruptContent, match="integrity check"):
        codec.unpack_sums(bytes(length))


# Answers for people


@pytest.mark.parametrize("size", [len(SMALL), len(TEXT), 3 * FRAME_BYTES + 7])
def test_the_estimate_is_exact_when_the_sample_is_everything(size: int) -> None:
    plain = text_of(size)
    assert codec.estimate_compressed_size(plain) == len(codec.encode(plain, level=3).stored)


def test_the_estimate_from_a_sample_is_near_what_is_stored() -> None:
    plain = text_of(3 * FRAME_BYTES)
    estimate = codec.estimate_compressed_size(plain[: FRAME_BYTES // 2], total_bytes=len(plain))
    assert estimate == pytest.approx(len(codec.encode(plain, level=3).stored), rel=0.2)


@pytest.mark.parametrize("sample", [b"", NOISE[:5000]])
def test_what_will_not_shrink_is_estimated_at_its_own_size(sample: bytes) -> None:
    assert codec.estimate_compressed_size(sample, total_bytes=70_000) == 70_000


def test_integrity_holds_for_the_same_bytes_only() -> None:
    assert codec.verify_integrity(SMALL, Digest.of(SMALL))
    assert not codec.verify_integrity(SMALL + b"\0", Digest.of(SMALL))
