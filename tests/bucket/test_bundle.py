"""A bundle carries contents and records in one object that anybody can read; one that lies costs nothing but itself.

Promises shown here (BUCKET.md "Bundles"): what was packed is what is read, and `unzip`, `zstd -d` and `jq` read it too;
merges carry what they do not understand byte for byte; cut, damaged, foreign and lying bundles raise `CorruptContent`
or lose single lines with a sentence each, and nothing else.

Foreign archives are written by the standard library, lying manifests by hand, so that a mistake shared by our writer
and our reader does not hide itself.
"""

import base64
import io
import json
import shutil
import subprocess
import tracemalloc
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mountfs import bundle, codec, objects
from mountfs.bundle import ForeignBundle, Manifest, Member, NewerFormat, Packed, Place, archive, manifest
from mountfs.errors import CorruptContent
from mountfs.model import Codec, Digest
from mountfs.records import FileContent, Record, RecordRefused, Value

STORE, JOB = "5b1c2d3e", b"build-7"
NAME = objects.bundle_name(1_795_255_200_123, "89abcdef", "00112233")
MERGED = objects.bundle_name(1_795_255_300_123, "89abcdef", "44556677")
TEXT = b"".join(b"PASSED tests/test_%d.py::test_it\n" % number for number in range(60))
NOISE = bytes(range(256))


def member(plain: bytes, *, dead_since_ms: int | None = None) -> Member:
    encoded = codec.encode(plain, level=3)
    return Member(
        encoded.digest, encoded.codec, len(plain), encoded.stored, sums=encoded.sums, dead_since_ms=dead_since_ms
    )


def record(path: bytes = b"a/b", ms: int = 1, **registers: Value) -> Record:
    return Record(path, f"{ms:012x}-0000-00000001", False, registers or {"mode": 0o644})


def record_of_file(path: bytes, one: Member) -> Record:
    content = FileContent(one.digest, one.size, len(one.data), one.codec, 1, 1)
    return record(path, content=content.to_value())


def large(seed: bytes = b"large", *, n: str = "0" * 8) -> Place:
    digest = Digest.of(seed)
    name = objects.large_name(1, "a" * 8, n, digest, Codec.ZSTD)
    return Place(digest, Codec.ZSTD, 9 << 20, 5 << 20, name, 0, "ab" * 32, b"", None)


def pack(
    members: Sequence[Member] = (), records: Sequence[Record] = (), *, large: Sequence[Place] = (),
    carried: Sequence[bytes] = (), name: str = NAME, job: bytes = JOB,
) -> Packed:  # fmt: skip
    return bundle.pack(
        store_id=STORE, job=job, name=name, members=members, large=large, records=records, carried=carried
    )


def read(data: bytes, *, tail_bytes: int = bundle.TAIL_BYTES, name: str = NAME, job: bytes = JOB) -> Manifest:
    """As a machine does it: the tail, and what is missing of the manifest by a second request."""
    tail = data[-tail_bytes:]
    extent = bundle.find_manifest(tail, object_bytes=len(data))
    stored = extent.within(tail, object_bytes=len(data))
    if stored is None:
        stored = data[extent.offset : extent.offset + extent.length]
    return bundle.read_manifest(stored, store_id=STORE, job=job, name=name, extent=extent)


SMALL = pack([member(TEXT), member(NOISE)], [record_of_file(b"a.log", member(TEXT)), record()], large=[large()])


# Round trips

members = st.lists(st.binary(min_size=1, max_size=200), max_size=5, unique=True).map(lambda some: [*map(member, some)])
records = st.lists(
    st.builds(
        record, st.binary(min_size=1, max_size=9).filter(lambda raw: not set(raw) & {0, 46, 47}), st.integers(0, 9)
    ),
    max_size=5,
)


@given(members, records, st.booleans(), st.binary(min_size=1, max_size=20), st.sampled_from([86, 500, 1 << 18]))
def test_what_was_packed_is_what_is_read(
    some: list[Member], said: list[Record], has_large: bool, job: bytes, tail_bytes: int
) -> None:
    packed = pack(some, said, large=[large()] if has_large else [], job=job, carried=[b'{"kind":"of tomorrow"}'])
    assert read(packed.data, tail_bytes=tail_bytes, job=job) == packed.manifest
    assert [(one.path, one.set) for one in packed.manifest.records] == [(one.path, one.set) for one in said]
    assert [place.digest for place in packed.manifest.places][: len(some)] == [one.digest for one in some]
    assert not packed.manifest.refused


def test_the_same_makes_the_same_bytes() -> None:
    again = pack([member(TEXT), member(NOISE)], [record_of_file(b"a.log", member(TEXT)), record()], large=[large()])
    assert again.data == SMALL.data


def test_a_manifest_kept_without_its_bundle_says_the_same() -> None:
    assert bundle.read_manifest(SMALL.manifest_stored, store_id=None, job=JOB, name=NAME) == SMALL.manifest


def test_a_member_lies_where_its_place_says() -> None:
    for place, plain in zip(SMALL.manifest.places, [TEXT, NOISE], strict=False):
        stored = bundle.member_in(SMALL.data, place)
        assert codec.decode(stored, codec=place.codec, plain_bytes=place.size, sums=place.sums) == plain


def test_records_that_were_read_are_written_byte_for_byte() -> None:
    line = b'{ "stamp": "000000000001-0000-00000001", "path": "a", "set": {}, "sig": "..." }'
    merged = pack(records=[replace(record(), path=b"a", set={}, line=line)], name=MERGED)
    assert [one.line for one in read(merged.data, name=MERGED).records] == [line]


def test_a_content_may_have_many_places() -> None:
    both = [large(), large(n="1" * 8), large(b"other")]
    packed = pack([member(TEXT)], large=both)
    assert [place.object for place in read(packed.data).places] == [None, *(place.object for place in both)]


def test_a_big_bundle_is_read_in_two_requests() -> None:
    packed = pack([member(b"%d" % number) for number in range(2_500)])
    extent = bundle.find_manifest(packed.data[-bundle.TAIL_BYTES :], object_bytes=len(packed.data))
    assert extent.within(packed.data[-bundle.TAIL_BYTES :], object_bytes=len(packed.data)) is None
    assert len(read(packed.data).places) == 2_500


def test_the_cost_of_a_member_can_be_planned() -> None:
    one, two = pack([member(TEXT)]), pack([member(TEXT), member(NOISE)])
    planned = bundle.overhead_bytes(bundle.member_name(Digest.of(NOISE), Codec.RAW)) + len(NOISE)
    manifests = len(two.manifest_stored) - len(one.manifest_stored)
    assert len(two.data) - len(one.data) == planned + manifests


# Read by others


def test_another_reader_of_zip_finds_every_member_sound() -> None:
    with zipfile.ZipFile(io.BytesIO(SMALL.data)) as opened:
        assert opened.testzip() is None
        names = opened.namelist()
    assert names == [f"{Digest.of(TEXT).hex()}.zst", Digest.of(NOISE).hex(), "manifest.jsonl.zst"]


@pytest.mark.skipif(
    not all(map(shutil.which, ["unzip", "zstd", "jq", "sh"])), reason="unzip, zstd and jq are not all installed"
)
def test_a_shell_reads_all_of_it(tmp_path: Path) -> None:
    (tmp_path / "b.zip").write_bytes(SMALL.data)

    def shell(command: str) -> bytes:
        done = subprocess.run(["sh", "-ec", command], cwd=tmp_path, capture_output=True, check=True)
        assert not done.stderr
        return done.stdout

    assert b"No errors detected" in shell("unzip -t b.zip")
    shell("unzip -q b.zip")
    digest = shell("zstd -dc manifest.jsonl.zst | jq -r 'select(.path == \"a.log\") | .set.content.digest'").decode()
    assert shell(f"zstd -dc {digest.strip()}.zst") == TEXT
    assert shell(f"cat {Digest.of(NOISE).hex()}") == NOISE
    sums = shell("zstd -dc manifest.jsonl.zst | jq -r 'select(.offset) | .sum + \"  \" + .digest + (if .codec == "
                 "\"zstd\" then \".zst\" else \"\" end)' | sha256sum -c")  # fmt: skip
    assert sums.count(b": OK") == 2
    assert json.loads(shell("zstd -dc manifest.jsonl.zst | head -n 1 | jq -c .")) == {
        "format": 1, "store": STORE, "job": "build-7", "name": NAME, "members_bytes": SMALL_MEMBERS_BYTES,
    }  # fmt: skip


SMALL_MEMBERS_BYTES = SMALL.data.index(b"manifest.jsonl.zst") - 30


# Cut, damaged, foreign


def test_a_bundle_cut_anywhere_is_refused() -> None:
    for length in range(len(SMALL.data)):
        with pytest.raises(CorruptContent):
            read(SMALL.data[:length])


@pytest.mark.parametrize("more", [b"\0", b"PK", SMALL.data])
def test_a_bundle_with_something_around_it_is_refused(more: bytes) -> None:
    for data in (more + SMALL.data, SMALL.data + more):
        with pytest.raises(CorruptContent):
            read(data)


def test_a_tail_longer_than_its_object_is_refused() -> None:
    with pytest.raises(CorruptContent):
        bundle.find_manifest(SMALL.data, object_bytes=len(SMALL.data) - 1)


def test_a_flipped_bit_of_the_directory_is_found_or_does_no_harm() -> None:
    extent = bundle.find_manifest(SMALL.data, object_bytes=len(SMALL.data))
    for bit in range(8 * (extent.offset + extent.length), 8 * len(SMALL.data)):
        damaged = bytearray(SMALL.data)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            found = read(bytes(damaged))
        except CorruptContent:
            continue
        assert found == SMALL.manifest, f"bit {bit}"


def test_a_flipped_bit_of_the_manifest_is_found_or_does_no_harm() -> None:
    extent = bundle.find_manifest(SMALL.data, object_bytes=len(SMALL.data))
    for bit in range(8 * extent.offset, 8 * (extent.offset + extent.length)):
        damaged = bytearray(SMALL.data)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            found = read(bytes(damaged))
        except CorruptContent:
            continue
        assert found == SMALL.manifest, f"bit {bit}"


@given(st.data())
@settings(max_examples=300)
def test_a_bundle_overwritten_in_places_is_refused_or_says_the_same(data: st.DataObject) -> None:
    damaged = bytearray(SMALL.data)
    for _ in range(data.draw(st.integers(1, 4))):
        at = len(damaged) - 1 - data.draw(st.integers(0, min(900, len(damaged) - 1)))
        piece = data.draw(st.binary(min_size=1, max_size=8))
        damaged[at : at + len(piece)] = piece
    try:
        found = read(bytes(damaged))
    except CorruptContent:
        return
    assert found == SMALL.manifest


@pytest.mark.parametrize("place", SMALL.manifest.places[:2], ids=["zstd", "raw"])
def test_a_member_whose_bytes_changed_is_not_taken(place: Place) -> None:
    damaged = bytearray(SMALL.data)
    damaged[place.offset] ^= 1
    with pytest.raises(CorruptContent, match="integrity check"):
        bundle.member_in(bytes(damaged), place)
    with pytest.raises(CorruptContent, match="integrity check"):
        bundle.check_member(place, SMALL.data[place.offset : place.offset + place.stored - 1])


def test_a_large_object_is_no_member() -> None:
    with pytest.raises(ValueError, match="object of its own"):
        bundle.member_in(SMALL.data, large())


def zipped(*names: str, method: int = zipfile.ZIP_STORED, comment: bytes = b"") -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", method) as opened:
        for name in names:
            opened.writestr(name, SMALL.manifest_stored)
        opened.comment = comment
    return written.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"", b"x" * 1000, zipped(), zipped("other.txt"), zipped("manifest.jsonl.zst", "more.txt"),
        zipped("manifest.jsonl.zst", comment=b"hello"), zipped("sub/manifest.jsonl.zst"), zipped("Manifest.jsonl.zst"),
        zipped("manifest.jsonl.zst", method=zipfile.ZIP_DEFLATED),
        zipped("manifest.jsonl.zst", method=zipfile.ZIP_LZMA),
    ],
)  # fmt: skip
def test_a_foreign_file_is_refused(data: bytes) -> None:
    with pytest.raises(CorruptContent):
        read(data)


def test_a_member_in_the_zip64_form_is_refused() -> None:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as opened, opened.open("manifest.jsonl.zst", "w", force_zip64=True) as inside:
        inside.write(SMALL.manifest_stored)
    with pytest.raises(CorruptContent):
        read(written.getvalue())


def test_an_object_longer_than_any_bundle_is_refused_before_it_is_read() -> None:
    with pytest.raises(CorruptContent, match="allowed"):
        bundle.find_manifest(SMALL.data, object_bytes=bundle.MOST_OBJECT_BYTES + 1)


# Manifests that lie

HEADER: dict[str, Value] = {
    "format": 1, "store": STORE, "job": "build-7", "name": NAME, "members_bytes": 10_000,
}  # fmt: skip


def told(*lines: bytes | Mapping[str, Value], header: Mapping[str, Value] = HEADER) -> Manifest:
    """What is read from a manifest of these lines."""
    texts = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in (header, *lines)]
    stored = codec.pack_text(b"\n".join(texts) + b"\n", level=1)
    return bundle.read_manifest(stored, store_id=STORE, job=JOB, name=NAME)


@pytest.mark.parametrize("version", [2, 1_000])
def test_a_newer_format_is_told_from_damage(version: int) -> None:
    with pytest.raises(NewerFormat, match="upgrade"):
        told(header={"format": version})


@pytest.mark.parametrize(
    "change",
    [{"store": "other"}, {"store": None}, {"store": 7}, {"job": "build-8"}, {"job": None}, {"job_b64": "eA=="},
     {"name": MERGED}, {"name": None}, {"name": "../" + NAME}],
)  # fmt: skip
def test_a_bundle_of_another_store_job_or_name_is_foreign(change: Mapping[str, Value]) -> None:
    with pytest.raises(ForeignBundle):
        told(header=HEADER | dict(change))


@pytest.mark.parametrize(
    "header", [{}, {"format": 0}, {"format": "1"}, {"format": True}, HEADER | {"members_bytes": -1},
               HEADER | {"members_bytes": 1 << 40}, HEADER | {"members_bytes": "x"}],
)  # fmt: skip
def test_a_manifest_that_does_not_begin_as_one_is_refused(header: Mapping[str, Value]) -> None:
    with pytest.raises(CorruptContent):
        told(header=header)


@pytest.mark.parametrize("text", [b"\n", b"no json\n", b"[]\n"])
def test_a_manifest_of_other_text_is_refused(text: bytes) -> None:
    with pytest.raises(CorruptContent):
        bundle.read_manifest(codec.pack_text(text, level=1), store_id=STORE, job=JOB, name=NAME)


def test_a_manifest_that_lies_about_where_its_members_end_is_refused() -> None:
    extent = bundle.find_manifest(SMALL.data, object_bytes=len(SMALL.data))
    shifted = replace(extent, offset=extent.offset + 1)
    with pytest.raises(CorruptContent, match="members end"):
        bundle.read_manifest(SMALL.manifest_stored, store_id=STORE, job=JOB, name=NAME, extent=shifted)


PLACE: dict[str, Value] = {
    "digest": "ab" * 32, "codec": "zstd", "size": 900, "stored": 500, "offset": 98, "sum": "cd" * 32,
}  # fmt: skip
RAW = PLACE | {"codec": "none", "size": 500, "sums": base64.b64encode(bytes(4)).decode(), "digest": "ac" * 32}
STEM = "20261121T100000123Z-89abcdef-00112233"
LARGE: dict[str, Value] = {
    "digest": "ab" * 32, "codec": "zstd", "size": 900, "stored": 500, "sum": "cd" * 32,
    "object": f"{STEM}-{'ab' * 32}.zst",
}  # fmt: skip


def test_sound_places_are_believed() -> None:
    found = told(PLACE, RAW | {"offset": 5_000, "dead_since": 7}, LARGE)
    assert [(place.offset, place.object, place.dead_since_ms) for place in found.places] == [
        (98, None, None), (5_000, None, 7), (0, LARGE["object"], None),
    ]  # fmt: skip
    assert not found.refused


@pytest.mark.parametrize(
    "lie",
    [
        PLACE | {"digest": "ab" * 31}, PLACE | {"digest": "AB" * 32}, PLACE | {"digest": None}, PLACE | {"codec": "br"},
        PLACE | {"size": -1}, PLACE | {"size": 0}, PLACE | {"size": 2**63}, PLACE | {"size": 1.5},
        PLACE | {"size": True},
        PLACE | {"stored": 0}, PLACE | {"stored": -5}, PLACE | {"stored": 9_903}, PLACE | {"stored": 2**62},
        PLACE | {"offset": -1}, PLACE | {"offset": 97}, PLACE | {"offset": 9_501}, PLACE | {"offset": 2**62},
        PLACE | {"offset": None}, PLACE | {"offset": "98"}, PLACE | {"sum": "x"}, PLACE | {"sum": None},
        PLACE | {"sums": "AAAAAA=="}, PLACE | {"dead_since": -1}, PLACE | {"dead_since": None},
        RAW | {"stored": 499}, RAW | {"sums": ""}, RAW | {"sums": "AAAA"}, RAW | {"sums": "!"}, RAW | {"size": 2**50},
        LARGE | {"object": ""}, LARGE | {"object": "../../x"}, LARGE | {"object": f"../other/{LARGE['object']}"},
        LARGE | {"object": f"{STEM}.zip"}, LARGE | {"object": f"{STEM}-{'ab' * 32}"}, LARGE | {"object": 7},
        LARGE | {"object": f"{STEM}-{'ac' * 32}.zst"}, LARGE | {"stored": 2**63},
    ],
)  # fmt: skip
def test_a_place_that_cannot_be_right_is_one_refused_line(lie: Mapping[str, Value]) -> None:
    sound = PLACE | {"digest": "ff" * 32, "offset": 2_000}
    found = told(lie, sound)
    assert [place.digest.hex() for place in found.places] == ["ff" * 32]
    assert found.carried == (json.dumps(lie).encode(),)
    (sentence,) = found.refused
    assert sentence.startswith("line 2: ")


@pytest.mark.parametrize(
    "second",
    [PLACE, PLACE | {"offset": 5_000}, PLACE | {"digest": "ff" * 32}, PLACE | {"digest": "ff" * 32, "offset": 597},
     PLACE | {"digest": "ff" * 32, "offset": 600 + 97}, PLACE | {"digest": "ff" * 32, "offset": 500, "stored": 5_000}],
)  # fmt: skip
def test_of_two_places_that_cannot_both_be_right_the_first_is_believed(second: Mapping[str, Value]) -> None:
    found = told(PLACE | {"stored": 600}, second)
    assert [place.stored for place in found.places] == [600]
    assert len(found.refused) == 1


def test_a_large_object_is_named_once() -> None:
    found = told(LARGE, LARGE)
    assert (len(found.places), len(found.refused)) == (1, 1)


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a\0b", "a//b"])
def test_a_record_that_climbs_is_refused_and_the_others_count(path: str) -> None:
    found = told({"path": path, "stamp": "0" * 12 + "-0000-00000000", "set": {}}, record().encoded())
    assert [one.path for one in found.records] == [b"a/b"]
    assert len(found.refused) == 1


@pytest.mark.parametrize("line", [b"\xff\xfe", b"{", b"null", b"\0", b'{"stamp":1}', b'{"digest":1}'])
def test_any_bytes_on_a_line_are_refused_and_carried(line: bytes) -> None:
    found = told(line, record().encoded())
    assert (found.carried, len(found.refused), len(found.records)) == ((line,), 1, 1)


@given(st.lists(st.binary(max_size=30).filter(lambda raw: b"\n" not in raw), max_size=4))
def test_whatever_lines_there_are_none_is_lost(lines: list[bytes]) -> None:
    found = told(*lines)
    assert list(found.carried) == [line for line in lines if line]


def test_lines_of_tomorrow_are_carried_and_not_refused() -> None:
    line = b'{"kind": "of tomorrow",  "x": 1.50}'
    found = told(line)
    assert (found.carried, found.refused) == ((line,), ())


# Bombs


def test_a_manifest_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = codec.pack_text(b"{}\n" * 700_000, level=1)
    monkeypatch.setattr(manifest, "MOST_MANIFEST_BYTES", 2 << 20)
    with pytest.raises(CorruptContent, match="allowed"):
        bundle.read_manifest(stored, store_id=STORE, job=JOB, name=NAME)


def test_a_manifest_of_too_many_lines_is_refused() -> None:
    with pytest.raises(CorruptContent, match="lines"):
        told(b"{}\n" * bundle.MOST_LINES)


def test_a_line_that_is_too_long_ends_the_reading() -> None:
    with pytest.raises(CorruptContent, match="a line of"):
        told(b" " * (3 << 20))


def test_a_line_without_an_end_takes_no_more_memory_than_a_line() -> None:
    stored = codec.pack_text(bytes(64 << 20), level=1)
    tracemalloc.start()
    try:
        with pytest.raises(CorruptContent, match="a line of"):
            next(codec.unpack_lines(stored, most_bytes=64 << 20, most_line_bytes=1 << 20))
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_a_stored_manifest_that_is_too_long_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "MOST_STORED_MANIFEST_BYTES", 100)
    with pytest.raises(CorruptContent, match="allowed: up to 100"):
        bundle.read_manifest(SMALL.manifest_stored, store_id=STORE, job=JOB, name=NAME)


def test_a_long_line_over_the_border_of_two_frames_is_whole() -> None:
    line = b'{"kind":"' + b"x" * 1_000_000 + b'"}'
    assert told(line, line, line).carried == (line, line, line)


# Text, as manifests and feeds are packed


@given(
    st.lists(st.binary(max_size=20).filter(lambda raw: b"\n" not in raw), min_size=1, max_size=9),
    st.integers(1, 9_999),
)
@settings(max_examples=30, deadline=None)
def test_lines_come_back_over_any_number_of_frames(lines: list[bytes], repeated: int) -> None:
    text = b"\n".join([*lines * repeated, b"the end"])
    stored = codec.pack_text(text, level=1)
    assert codec.unpack_text(stored, most_bytes=len(text)) == text
    assert list(codec.unpack_lines(stored, most_bytes=len(text), most_line_bytes=20)) == text.split(b"\n")


def test_text_longer_than_expected_is_refused_before_it_is_made() -> None:
    stored = codec.pack_text(bytes(8 << 20), level=1)
    with pytest.raises(CorruptContent, match="allowed"):
        codec.unpack_text(stored, most_bytes=(8 << 20) - 1)


def test_text_that_was_cut_is_refused() -> None:
    stored = codec.pack_text(TEXT, level=3)
    for length in range(len(stored)):
        with pytest.raises(CorruptContent):
            codec.unpack_text(stored[:length], most_bytes=1 << 20)


# Packing


def test_a_record_that_readers_would_refuse_is_not_packed() -> None:
    with pytest.raises(RecordRefused, match="path"):
        pack(records=[record(b"x/" * 2_100 + b"x")])
    with pytest.raises(RecordRefused, match="mode"):
        pack(records=[record(mode=-1)])


def test_a_place_that_readers_would_refuse_is_not_packed() -> None:
    with pytest.raises(RecordRefused, match="object"):
        pack(large=[replace(large(), object="../x")])
    with pytest.raises(RecordRefused, match="second time"):
        pack([member(TEXT), member(TEXT)])
    with pytest.raises(RecordRefused, match="sums"):
        pack([replace(member(NOISE), sums=b"")])


@pytest.mark.parametrize("name", ["", "x.zip", "../" + NAME, large().object or ""])
def test_a_bundle_has_a_name_of_a_bundle(name: str) -> None:
    with pytest.raises(ValueError, match="no name of a bundle"):
        pack(name=name)


@pytest.mark.parametrize("line", [b"", b"a\nb", b"x" * (1 << 20) + b"x"])
def test_what_is_carried_is_a_line(line: bytes) -> None:
    with pytest.raises(ValueError, match="a line is"):
        pack(carried=[line])


def test_more_lines_than_readers_take_are_not_packed() -> None:
    with pytest.raises(ValueError, match="lines"):
        pack(carried=[b"{}"] * bundle.MOST_LINES)


def test_more_members_than_a_directory_holds_are_not_packed() -> None:
    written = archive.Archive()
    for _ in range(bundle.MOST_MEMBERS + 1):
        written.add("x", b"")
    with pytest.raises(ValueError, match="members"):
        written.finish()


# Merging


def merged(source: Packed | Manifest, data: bytes, *, dead_since_ms: int | None = None) -> Packed:
    said = source.manifest if isinstance(source, Packed) else source
    inside = [place for place in said.places if place.object is None]
    return pack(
        [Member.carried(place, bundle.member_in(data, place), dead_since_ms=dead_since_ms) for place in inside],
        said.records, large=[place for place in said.places if place.object is not None], carried=said.carried,
        name=MERGED,
    )  # fmt: skip


def test_a_merge_carries_contents_places_and_records() -> None:
    after = read(merged(SMALL, SMALL.data).data, name=MERGED)
    assert after == replace(SMALL.manifest, name=MERGED)


def test_a_merge_marks_what_is_dead() -> None:
    after = read(merged(SMALL, SMALL.data, dead_since_ms=77).data, name=MERGED)
    assert [place.dead_since_ms for place in after.places] == [77, 77, None]


def test_a_mark_on_a_large_content_replaces_the_old_one() -> None:
    (before,) = read(pack(large=[replace(large(), dead_since_ms=5)]).data).places
    (after,) = read(pack(large=[replace(before, dead_since_ms=9)], name=MERGED).data, name=MERGED).places
    (gone,) = read(pack(large=[replace(before, dead_since_ms=None)], name=MERGED).data, name=MERGED).places
    assert (before.dead_since_ms, after.dead_since_ms, gone.dead_since_ms) == (5, 9, None)


def test_a_merge_carries_what_a_place_says_that_we_do_not_know() -> None:
    ((first, *_),) = [SMALL.manifest.places]
    known = json.loads(first.line) | {"of tomorrow": [1.5, None]}
    before = replace(first, line=json.dumps(known).encode())
    carried = Member.carried(before, bundle.member_in(SMALL.data, before), dead_since_ms=None)
    (after,) = read(pack([member(NOISE), carried]).data).places[1:]
    assert json.loads(after.line) == known | {"offset": after.offset}


def test_a_merge_does_not_carry_damaged_bytes() -> None:
    place = SMALL.manifest.places[0]
    with pytest.raises(CorruptContent):
        Member.carried(place, b"x" * place.stored, dead_since_ms=None)


def test_a_lie_stays_refused_and_whole_through_merges() -> None:
    lies = [json.dumps(PLACE | {"offset": offset}).encode() for offset in (60, 5_000, 2**40)]
    before = pack([member(NOISE), member(TEXT)], carried=lies)
    after = merged(before.manifest, before.data)
    assert list(before.manifest.carried) == list(after.manifest.carried) == lies
    assert len(after.manifest.refused) == 3
    assert read(after.data, name=MERGED) == after.manifest


def test_what_a_newer_reader_understands_of_what_was_carried_counts() -> None:
    packed = pack([member(TEXT)], [record()], carried=[record(b"late", 2).encoded(), b'{"kind":"x"}'])
    assert [one.path for one in packed.manifest.records] == [b"a/b", b"late"]
    assert read(packed.data) == packed.manifest
