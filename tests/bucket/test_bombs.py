"""A manifest costs no more than honest ones do, whatever a few KB of it unpack to; honest ones are read with room left.

Promises of `mountfs/bundle`: neither memory nor more than seconds of a worker, refused before the work is done.
"""

import json

import pytest

from mountfs import bundle, codec, objects
from mountfs.bucket import reading
from mountfs.bucket.requests import Pause, Request
from mountfs.bundle import DoesNotFit, Manifest, Member, manifest, places
from mountfs.errors import CorruptContent
from mountfs.model import Codec, Digest
from mountfs.records import Fields, FileContent, Record, parse_line
from tests.bucket.conftest import BEGIN_MS
from tests.bucket.machines import STORE_ID, Machine
from tests.bucket.simulated import SimulatedBucket

pytestmark = pytest.mark.usefixtures("unmeasured")

JOB = b"job"
NAME = objects.bundle_name(BEGIN_MS, "89abcdef", "00112233")
HEADER = json.dumps({"format": 1, "store": STORE_ID, "job": "job", "name": NAME}).encode()
MIB = 1 << 20
FILES = 50_000


def stored(*lines: bytes, times: int = 1) -> bytes:
    return codec.pack_text(b"\n".join([HEADER, *lines * times, b""]), level=1)


def read(manifest: bytes) -> Manifest:
    return bundle.read_manifest(manifest, store_id=STORE_ID, job=JOB, name=NAME)


def line_with(value: bytes) -> bytes:
    return b'{"path":"a","stamp":"000000000001-0000-00000001","set":{"of tomorrow":%s}}' % value


def honest_line(number: int) -> list[bytes]:
    """What is said of a file of a test suite and of its content."""
    digest = Digest.of(b"%d" % number)
    content = FileContent(digest, 12_345, 4_321, Codec.ZSTD, BEGIN_MS * 10**6, BEGIN_MS * 10**6)
    path = b"build/reports/tests/%d/org.example.component.SomeIntegrationTest-%d.xml" % (number % 100, number)
    registers: Fields = {"content": content.to_value(), "mode": 0o644, "mtime": BEGIN_MS * 10**6, "owner": [1000, 1000]}
    place = {
        "digest": digest.hex(), "codec": "zstd", "size": 12_345, "stored": 500, "sum": digest.hex(),
        "offset": 200 + 1000 * number,
    }  # fmt: skip
    record = Record(path, f"{BEGIN_MS:012x}-{number % 65_536:04x}-89abcdef", False, registers)
    return [json.dumps(place).encode(), record.encoded()]


def test_fifty_thousand_files_are_read_and_half_of_every_limit_is_left() -> None:
    lines = [line for number in range(FILES) for line in honest_line(number)]
    found = read(stored(*lines))
    assert (len(found.records), len(found.places), found.refused) == (FILES, FILES, ())
    assert 2 * sum(map(manifest.values_of, lines)) < bundle.MOST_VALUES
    assert 1.5 * sum(map(len, lines)) < bundle.MOST_MANIFEST_BYTES
    assert 1.3 * len(lines) < bundle.MOST_LINES


BOMBS = {
    "lists": line_with(b"[" + b"[]," * 32_000 + b"0]"),
    "floats": line_with(b"[" + b"0.1," * 200_000 + b"0]"),
    "texts": line_with(b"[" + b'"ab",' * 180_000 + b"0]"),
    "metadata": b'{"path":"a","stamp":"000000000001-0000-00000001","set":{"metadata":"{\\"a\\":['
    + b"0.1," * 16_000
    + b'0]}"}}',
}


@pytest.mark.parametrize("line", BOMBS.values(), ids=BOMBS.keys())
def test_a_manifest_of_too_many_values_is_refused_before_they_are_made(
    line: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = stored(line, times=60 * MIB // len(line))
    assert len(bomb) < 40_000
    values = 0

    def counted(line: bytes) -> Fields:
        nonlocal values
        values += manifest.values_of(line)
        return parse_line(line)

    monkeypatch.setattr(manifest, "parse_line", counted)
    with pytest.raises(CorruptContent, match="values"):
        read(bomb)
    assert 0 < values <= bundle.MOST_VALUES


def test_a_manifest_of_too_many_bytes_is_refused() -> None:
    with pytest.raises(CorruptContent, match="allowed"):
        read(stored(line_with(b'"' + b"x" * 1_000_000 + b'"'), times=70))


def test_a_text_in_tiny_frames_is_refused() -> None:
    frames = [codec.compress_frame(b"\n", level=1)] * 2000
    sums = [codec.frame_checksum(frame) for frame in frames]
    table = codec.FrameTable.from_sizes(map(len, frames), [1] * len(frames), sums)
    with pytest.raises(CorruptContent, match="frames"):
        codec.unpack_text(b"".join([*frames, codec.seek_table(table)]), most_bytes=MIB)


def test_of_very_many_refused_lines_the_first_are_named_and_all_are_carried() -> None:
    found = read(stored(b'{"stamp":1}', times=5_000))
    assert len(found.carried) == 5_000
    assert 0 < len(found.refused) < 5_000


def test_members_that_no_directory_can_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "MOST_MEMBERS", 3)
    lines = [honest_line(number)[0] for number in range(5)]
    found = read(stored(*lines))
    assert (len(found.places), len(found.refused)) == (3, 2)


def test_more_values_than_readers_take_are_not_packed() -> None:
    line = line_with(b"[" + b"0," * 400_000 + b"0]")
    with pytest.raises(DoesNotFit, match="values"):
        bundle.pack(store_id=STORE_ID, job=JOB, name=NAME, members=[], large=[], records=[], carried=[line] * 8)


# On the loop


def pauses(request: Request[object]) -> bool:
    return isinstance(request, Pause)


def test_a_long_manifest_is_brought_into_the_rows_in_pieces(b: Machine, bucket: SimulatedBucket) -> None:
    """The loop does nothing between two pauses that takes long: neither many rows nor long ones."""
    members = []
    for number in range(2_000):
        plain = b"%d" % number
        encoded = codec.encode(plain, level=1)
        members.append(Member(encoded.digest, encoded.codec, len(plain), encoded.stored, sums=encoded.sums))
    registers = {f"xattr:user.of.{number}": "x" * 60_000 for number in range(8)}
    records = [
        Record(b"%d" % number, f"{BEGIN_MS:012x}-{number:04x}-f0f0f0f0", False, registers) for number in range(20)
    ]
    packed = bundle.pack(store_id=STORE_ID, job=JOB, name=NAME, members=members, large=[], records=records)
    bucket.put(objects.job_prefix(JOB) + NAME, packed.data)
    steps = reading.refresh(b.ground, b.job("job"))
    paused, answer = 0, None
    while True:
        try:
            request = steps.send(answer)
        except StopIteration:
            break
        paused += pauses(request)
        answer = request.run(bucket)
    assert paused >= 2_000 // reading.PLACES_AT_ONCE + len(records) - 1
    assert len(b.ground.tables.bundles(b.job("job"))) == 1


def test_a_path_with_long_records_counts_for_many() -> None:
    def pieces(paths: list[bytes], weight: int) -> list[int]:
        return [len(piece) for piece in reading.in_pieces(paths, 64, lambda _path: weight)]

    assert pieces([b"short"] * 150, 1) == [64, 64, 22]
    assert pieces([b"long"] * 3, 250) == [1, 1, 1]
