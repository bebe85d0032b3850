"""The feed: each publishing is told once, in the hour in which it landed, and nothing rests on it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mountfs import bundle, codec, objects
from mountfs.bucket import feed, feedtext
from mountfs.bucket.ground import DAY_MS, HOUR_MS
from mountfs.bucket.requests import drive
from mountfs.bucket.telling import tell
from mountfs.errors import CorruptContent, RemoteUnavailable
from mountfs.records import Record, decode_record, match_usual_file, parse_line
from mountfs.remote.protocol import Answered
from tests.bucket.machines import STORE_ID, Machine
from tests.bucket.simulated import SimulatedBucket


def tell_of(machine: Machine, job: str) -> None:
    machine.publish(job)
    drive(tell(machine.ground, machine.job(job)), machine.remote)


def feed_keys(bucket: SimulatedBucket) -> list[str]:
    return sorted(key for key in bucket.objects if key.startswith(objects.FEED))


def lines_of(bucket: SimulatedBucket, key: str) -> list[bytes]:
    return list(feedtext.read_lines(bucket.objects[key][0], store_id=STORE_ID))


def test_a_small_job_that_settles_once_costs_a_bundle_a_feed_part_and_its_heads(
    a: Machine, bucket: SimulatedBucket
) -> None:
    a.ground.heads = ("branch", "commit", "pr")
    a.write("job/junit.xml", b"<testsuite/>")
    a.tag("job", branch="main", commit="abc")
    tell_of(a, "job")
    assert sorted(key.partition("/")[0] for kind, key in bucket.requests) == ["feed", "heads", "heads", "jobs"]
    assert {kind for kind, _key in bucket.requests} == {"put"}


def test_a_part_has_the_records_byte_for_byte_below_job_and_bundle(a: Machine, bucket: SimulatedBucket) -> None:
    a.write("job/one", b"1")
    a.write("job/two", b"2")
    tell_of(a, "job")
    (key,) = feed_keys(bucket)
    assert objects.parse_feed(key).period == objects.hour(bucket.now_ms)  # type: ignore[union-attr]
    (known,) = a.ground.tables.bundles(a.job("job")).values()
    manifest = bundle.read_manifest(a.ground.tables.manifest(known.id), store_id=STORE_ID, job=b"job", name=known.name)
    name, *records = lines_of(bucket, key)
    assert feedtext.parse_section(parse_line(name)) == (b"job", known.name)
    assert records == [record.line for record in manifest.records]


def test_what_was_told_is_not_told_again_but_what_a_crash_left_untold_is(a: Machine, bucket: SimulatedBucket) -> None:
    a.write("job/one", b"1")
    a.publish("job")
    a.killed()
    drive(tell(a.ground, a.job("job")), bucket)
    drive(tell(a.ground, a.job("job")), bucket)
    assert len(feed_keys(bucket)) == 1


def test_a_feed_that_does_not_answer_leaves_the_job_published_and_untold(
    a: Machine, bucket: SimulatedBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    a.write("job/one", b"1")
    a.publish("job")

    def fail(key: str, data: bytes, **about: object) -> Answered:
        raise RemoteUnavailable("503")

    monkeypatch.setattr(bucket, "put", fail)
    with pytest.raises(RemoteUnavailable):
        drive(tell(a.ground, a.job("job")), bucket)
    assert not a.ground.outbox.owes(a.job("job"))
    assert a.ground.tables.untold()


def test_a_part_that_landed_late_is_put_again_in_its_hour(
    a: Machine, bucket: SimulatedBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, late = bucket.put, [3 * HOUR_MS]

    def slow(key: str, data: bytes, **about: object) -> Answered:
        bucket.now_ms += late.pop() if late else 0
        return put(key, data, **about)  # type: ignore[arg-type]

    a.write("job/one", b"1")
    a.publish("job")
    monkeypatch.setattr(bucket, "put", slow)
    drive(tell(a.ground, a.job("job")), bucket)
    assert [objects.parse_feed(key).period for key in feed_keys(bucket)][-1] == objects.hour(bucket.now_ms)  # type: ignore[union-attr]


def test_parts_stay_below_their_limit_and_name_the_bundle_in_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feedtext, "MOST_PART_BYTES", 1000)
    name = objects.bundle_name(1_795_000_000_000, "0" * 8, "1" * 8)
    lines = tuple(b'{"stamp":"%04d"}' % number for number in range(200))
    parts = list(feedtext.packed(STORE_ID, [feedtext.Section(b"job", name, lines)]))
    read: list[bytes] = []
    for part in parts:
        assert len(codec.unpack_text(part, most_bytes=1000)) <= 1000
        first, *rest = feedtext.read_lines(part, store_id=STORE_ID)
        assert first == feedtext.section_line(b"job", name)
        read += rest
    assert tuple(read) == lines


def test_a_part_of_another_store_or_of_a_newer_format_is_an_error() -> None:
    (part,) = feedtext.packed("f" * 32, [feedtext.Section(b"job", objects.bundle_name(0, "0" * 8, "1" * 8), ())])
    with pytest.raises(CorruptContent, match="another store"):
        list(feedtext.read_lines(part, store_id=STORE_ID))
    newer = codec.pack_text(b'{"feed":2,"store":"%s"}\n' % STORE_ID.encode(), level=3)
    with pytest.raises(feedtext.NewerFeed, match="upgrade"):
        list(feedtext.read_lines(newer, store_id=STORE_ID))


def test_finished_hours_and_days_become_few_parts_with_the_same_lines(a: Machine, bucket: SimulatedBucket) -> None:
    bucket.now_ms -= bucket.now_ms % DAY_MS
    for number in range(40):
        a.write(f"job-{number}/log", b"%d" % number)
        tell_of(a, f"job-{number}")
        bucket.now_ms += HOUR_MS // 10
    before = sorted(line for key in feed_keys(bucket) for line in lines_of(bucket, key))
    bucket.now_ms += 2 * HOUR_MS
    drive(feed.keep(a.ground), bucket)
    hours = feed_keys(bucket)
    assert len(hours) == 4
    assert {objects.parse_feed(key).period for key in hours} == {objects.day(bucket.now_ms)}  # type: ignore[union-attr]
    bucket.now_ms += DAY_MS
    drive(feed.keep(a.ground), bucket)
    assert len(feed_keys(bucket)) == 1
    assert sorted(line for key in feed_keys(bucket) for line in lines_of(bucket, key)) == before


def test_a_part_that_cannot_be_read_stays_when_its_hour_is_merged(a: Machine, bucket: SimulatedBucket) -> None:
    a.write("job/log", b"1")
    tell_of(a, "job")
    damaged = objects.feed_key(objects.hour(bucket.now_ms), bucket.now_ms, "0" * 8, "1" * 8)
    bucket.objects[damaged] = (b"nothing", bucket.now_ms)
    bucket.now_ms += 2 * HOUR_MS
    drive(feed.keep(a.ground), bucket)
    assert damaged in feed_keys(bucket)
    assert len(feed_keys(bucket)) == 2


def test_a_feed_older_than_thirty_days_goes(a: Machine, bucket: SimulatedBucket) -> None:
    a.write("job/log", b"1")
    tell_of(a, "job")
    bucket.now_ms += DAY_MS
    drive(feed.keep(a.ground), bucket)
    bucket.now_ms += 30 * DAY_MS
    a.write("job/log", b"2")
    tell_of(a, "job")
    drive(feed.keep(a.ground), bucket)
    assert [objects.parse_feed(key).period for key in feed_keys(bucket)] == [objects.hour(bucket.now_ms)]  # type: ignore[union-attr]


def usual_line() -> bytes:
    content = {
        "kind": "file", "codec": "zstd", "created_at": 1_795_000_000_000_000_000, "digest": "ab" * 32,
        "mtime": 1_795_000_000_000_000_001, "size": 12, "stored": 34,
    }  # fmt: skip
    said = {"content": content, "mode": 0o644, "mtime": 1_795_000_000_000_000_002, "owner": [1000, 1001]}
    return Record(b"dir/file.xml", f"{1_795_000_000_000:012x}-0000-abcdef01", False, said).encoded()  # type: ignore[arg-type]


def test_a_usual_line_is_read_at_a_glance_and_means_the_same() -> None:
    found = match_usual_file(usual_line())
    assert found is not None
    path, created, digest, size, stored, mode, mtime, uid, gid, stamp = found.groups()
    record = decode_record(usual_line())
    content = record.set["content"]
    assert isinstance(content, dict)
    assert (path, stamp.decode(), [int(uid), int(gid)]) == (record.path, record.stamp, record.set["owner"])
    assert (int(mode), int(mtime)) == (record.set["mode"], record.set["mtime"])
    assert (int(created), int(size), int(stored)) == (content["created_at"], content["size"], content["stored"])
    assert digest.decode() == content["digest"]


@settings(max_examples=500)
@given(data=st.data())
def test_what_is_read_at_a_glance_is_never_what_would_be_refused(data: st.DataObject) -> None:
    line = bytearray(usual_line())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(line) - 1))
        line[at : at + data.draw(st.integers(0, 2))] = data.draw(
            st.sampled_from([b"", b"0", b"9", b"9" * 10, b"/", b"//", b".", b"..", b'"', b"\\", b"-", b"\xff", b"\n"])
        )
    found = match_usual_file(bytes(line))
    if found is not None:
        record = decode_record(bytes(line))
        assert (record.path, record.stamp, record.clear) == (found[1], found[10].decode(), False)
        assert record.set.keys() == {"content", "mode", "mtime", "owner"}
