"""Maintenance of a job: merged in tiers, dropped after the grace, nothing lost that nobody here understands."""

import os
from collections.abc import Callable
from dataclasses import replace

import pytest

from mountfs import bundle, codec, objects
from mountfs.bucket.dropping import drop_leftovers
from mountfs.bucket.ground import DAY_MS, HOUR_MS
from mountfs.bucket.maintaining import Maintained, due_jobs, maintain
from mountfs.bucket.publishing import publish
from mountfs.bucket.requests import PutLarge, drive
from mountfs.bucket.tiers import JobFacts, Sized, choose_merges, tier_of, why_due
from mountfs.errors import MountfsError
from mountfs.records import Record
from mountfs.remote.protocol import Unfinished, Upload
from tests.bucket.machines import STORE_ID, Machine
from tests.bucket.simulated import SimulatedBucket

TIERS = 3
MIB = 1 << 20


def maintained(machine: Machine, job: str = "job") -> Maintained:
    return drive(maintain(machine.ground, machine.job(job)), machine.remote)


def keys(bucket: SimulatedBucket, job: str = "job") -> list[str]:
    return sorted(key for key in bucket.objects if key.startswith(f"jobs/{job}/"))


def requests_of_a_first_look(machine: Machine, bucket: SimulatedBucket, job: str = "job") -> int:
    bucket.requests.clear()
    machine.refresh(job)
    return len(bucket.requests)


# -- merging ------------------------------------------------------------------------------------------------------


def put_bundle(bucket: SimulatedBucket, number: int, records: list[Record], job: bytes = b"job") -> None:
    """A bundle of some other machine, without its store around it."""
    name = objects.bundle_name(bucket.now_ms, "aaaaaaaa", f"{number:08x}")
    packed = bundle.pack(store_id=STORE_ID, job=job, name=name, members=[], large=[], records=records)
    bucket.put(objects.bundle_key(job, name), packed.data)


def said(bucket: SimulatedBucket, path: str, number: int) -> Record:
    """A file of its own, or what is said of it anew."""
    stamp = f"{bucket.now_ms:012x}-{number & 0xFFFF:04x}-aaaaaaaa"
    content = {"kind": "file", "size": 0, "stored": 0, "codec": "none", "mtime": number, "created_at": 1}
    return Record(path.encode(), stamp, False, {"content": content, "mode": 0o644})  # type: ignore[dict-item]


def a_year(machine: Machine, bucket: SimulatedBucket, bundles: int, every: int) -> None:
    """So many bundles over a year, maintained now and then."""
    for number in range(bundles):
        put_bundle(bucket, number, [said(bucket, f"{number % 200:03}", number)])
        bucket.now_ms += 365 * DAY_MS // bundles
        if number % every == every - 1:
            maintained(machine)


def test_a_first_look_stays_at_fifteen_requests_a_tier(
    make_machine: Callable[..., Machine], bucket: SimulatedBucket
) -> None:
    a_year(make_machine(), bucket, bundles=500, every=20)
    assert requests_of_a_first_look(make_machine(), bucket) <= 1 + 15 * TIERS


@pytest.mark.slow
def test_a_first_look_stays_at_fifteen_requests_a_tier_after_50_000_bundles(
    make_machine: Callable[..., Machine], bucket: SimulatedBucket
) -> None:
    a_year(make_machine(), bucket, bundles=50_000, every=100)
    assert requests_of_a_first_look(make_machine(), bucket) <= 1 + 15 * TIERS


def test_two_hundred_shards_settle_and_nothing_of_them_is_lost(
    make_machine: Callable[..., Machine], bucket: SimulatedBucket
) -> None:
    shards = [make_machine() for _ in range(8)]
    for number in range(200):
        shard = shards[number % len(shards)]
        shard.write(f"job/shard-{number}/junit.xml", f"<testsuite name='{number}'/>".encode() * (number + 1))
        shard.publish("job")
        bucket.now_ms += 100
    maintained(shards[0])
    fresh = make_machine()
    assert requests_of_a_first_look(fresh, bucket) <= 1 + 15 * TIERS
    assert len(fresh.view("job")) == 401
    assert all(
        fresh.read(f"job/shard-{n}/junit.xml") == f"<testsuite name='{n}'/>".encode() * (n + 1) for n in (0, 77, 199)
    )


def test_sixteen_small_bundles_cost_a_request_each_and_five_more(
    make_machine: Callable[..., Machine], bucket: SimulatedBucket
) -> None:
    machine = make_machine()
    for number in range(16):
        machine.write(f"job/{number}", os.urandom(100))
        machine.publish("job")
        bucket.now_ms += 100
    bucket.requests.clear()
    assert maintained(machine).merged == 16
    kinds = ["read" if kind.startswith("get") else kind for kind, _key in bucket.requests]
    counts = {kind: kinds.count(kind) for kind in kinds}
    assert counts == {"list": 3, "read": 16, "put": 1, "delete": 16}  # `delete` is one request for up to 1000 keys


def test_of_a_bundle_that_is_mostly_dead_only_the_rest_travels(
    make_machine: Callable[..., Machine], bucket: SimulatedBucket
) -> None:
    machine = make_machine()
    machine.write("job/a", os.urandom(20_000))
    machine.write("job/dead", os.urandom(3 * MIB))
    machine.write("job/z", os.urandom(20_000))
    machine.publish("job")
    machine.unlink("job/dead")
    machine.publish("job")
    maintained(machine)
    bucket.now_ms += 8 * DAY_MS
    bucket.requests.clear()
    maintained(machine)
    read = [key for kind, key in bucket.requests if kind in ("get", "get_range")]
    assert [kind for kind, _ in bucket.requests].count("get") == 0
    assert len(read) == 2
    assert sum(len(bucket.objects[key][0]) for key in keys(bucket)) < 60_000


def test_what_nobody_here_understands_survives_merges_byte_for_byte(
    make_machine: Callable[..., Machine], bucket: SimulatedBucket
) -> None:
    strange = [
        b'{"future":{"of":["a",1,null]},"kind":"lease"}',
        b'{"stamp":"0190aaaaaaaa-0000-bbbbbbbb","set":{},"path":"../climbs"}',
        b'{"stamp":"not a stamp","path":"x","set":{"content":null}}',
        b'{"digest":"00","object":"nowhere"}',
        b"not json at all \xff\xfe",
        b'{"nested":' + b"[" * 200 + b"]" * 200 + b"}",
    ]
    record = b'{ "path":"odd","set":{"content":{"kind":"directory","created_at":1},"x-later":[1.5,{"a":"b"}]},' + (
        b'"sig":"c2ln","stamp":"0190aaaaaaaa-0001-bbbbbbbb" }'
    )
    machine = make_machine()
    name = objects.bundle_name(bucket.now_ms, "bbbbbbbb", "00000000")
    packed = bundle.pack(
        store_id=STORE_ID, job=b"job", name=name, members=[], large=[], records=[], carried=[*strange, record]
    )
    bucket.put(objects.bundle_key(b"job", name), packed.data)
    for number in range(40):
        bucket.now_ms += 1000
        machine.write(f"job/{number}", b"%d" % number)
        machine.publish("job")
    maintained(machine)
    bucket.now_ms += 40 * DAY_MS
    maintained(machine)
    assert objects.bundle_key(b"job", name) not in bucket.objects
    lines = [line for key in keys(bucket) for line in manifest_lines(bucket.objects[key][0])]
    assert [line for line in lines if line in strange] == strange
    assert record in lines


def manifest_lines(data: bytes) -> list[bytes]:
    extent = bundle.find_manifest(data[-bundle.TAIL_BYTES :], object_bytes=len(data))
    stored = data[extent.offset : extent.offset + extent.length]
    return list(codec.unpack_lines(stored, most_bytes=MIB, most_line_bytes=MIB))


def test_a_bundle_whose_bytes_are_not_what_it_says_is_left_alone(
    make_machine: Callable[..., Machine], bucket: SimulatedBucket
) -> None:
    machine = make_machine()
    for number in range(17):
        machine.write(f"job/{number}", os.urandom(200))
        machine.publish("job")
        bucket.now_ms += 100
    rotten = keys(bucket)[3]
    data, when = bucket.objects[rotten]
    bucket.objects[rotten] = (data[:100] + bytes([data[100] ^ 1]) + data[101:], when)
    assert maintained(machine).merged == 16
    assert rotten in bucket.objects


def test_a_bundle_of_a_newer_format_keeps_anything_from_being_dropped(
    make_machine: Callable[..., Machine], bucket: SimulatedBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = make_machine()
    machine.write("job/file", os.urandom(5 * MIB))
    machine.publish("job")
    machine.unlink("job/file")
    machine.publish("job")
    with monkeypatch.context() as patch:
        patch.setattr("mountfs.bundle.manifest.FORMAT", 2)
        put_bundle(bucket, 1, [said(bucket, "new", 1)])
    before = keys(bucket)
    for _ in range(4):
        assert not maintained(machine).complete
        bucket.now_ms += 20 * DAY_MS
    assert keys(bucket) == before


# -- dropping -------------------------------------------------------------------------------------------------------


def test_dead_content_goes_after_a_grace_of_an_hour_and_not_before(
    make_machine: Callable[..., Machine], bucket: SimulatedBucket
) -> None:
    machine = make_machine(grace_ms=HOUR_MS)
    machine.write("job/large", os.urandom(5 * MIB))
    machine.write("job/small", os.urandom(50_000))
    machine.publish("job")
    machine.unlink("job/large")
    machine.unlink("job/small")
    machine.publish("job")
    maintained(machine)
    bucket.now_ms += HOUR_MS - 1000
    maintained(machine)
    assert sum(len(bucket.objects[key][0]) for key in keys(bucket)) > 5 * MIB
    bucket.now_ms += 2000
    maintained(machine)
    assert sum(len(bucket.objects[key][0]) for key in keys(bucket)) < 5000


class LeavingUploads(SimulatedBucket):
    """A server that knows of multipart uploads which nobody ended."""

    def __init__(self, *, now_ms: int) -> None:
        super().__init__(now_ms=now_ms)
        self.begun: Unfinished = []

    def unfinished(self, prefix: str) -> Unfinished:
        return [(upload, ms) for upload, ms in self.begun if upload.key.startswith(prefix)]

    def abort(self, upload: Upload) -> None:
        self.begun = [(other, ms) for other, ms in self.begun if other != upload]


def test_what_an_interrupted_upload_left_goes_after_the_grace(
    make_machine: Callable[..., Machine], bucket: SimulatedBucket
) -> None:
    machine = make_machine(grace_ms=HOUR_MS)
    machine.write("job/large", os.urandom(5 * MIB))
    steps = publish(machine.ground, machine.job("job"))
    request = next(steps)
    while True:
        answer = request.run(bucket)
        if isinstance(request, PutLarge):
            break
        request = steps.send(answer)
    steps.close()  # the machine never comes back
    other = make_machine(grace_ms=HOUR_MS)
    maintained(other)
    bucket.now_ms += HOUR_MS - 1000
    maintained(other)
    assert len(keys(bucket)) == 1
    bucket.now_ms += 2000
    maintained(other)
    assert keys(bucket) == []


def test_unfinished_multipart_uploads_are_ended_after_the_grace(make_machine: Callable[..., Machine]) -> None:
    bucket = LeavingUploads(now_ms=1_795_000_000_000)
    machine = make_machine(grace_ms=HOUR_MS)
    machine.remote = bucket
    young = Upload("jobs/job/young", "1", 0)
    bucket.begun = [
        (young, bucket.now_ms - HOUR_MS + 1000),
        (Upload("jobs/job/old", "2", 0), bucket.now_ms - 2 * HOUR_MS),
    ]
    assert drive(drop_leftovers(machine.ground), bucket) == 1
    assert [upload for upload, _ms in bucket.begun] == [young]


def test_an_emptied_job_is_hidden_and_goes_when_its_clears_may(
    make_machine: Callable[..., Machine], bucket: SimulatedBucket
) -> None:
    machine = make_machine()
    machine.write("job/deep/file", b"content")
    machine.publish("job")
    machine.store.tree.remove_tree(machine.entry("job"))
    machine.publish("job")
    maintained(machine)
    assert bucket.objects["gone/job"][0] == b""
    days = 0
    while bucket.objects:
        assert days < 60
        bucket.now_ms += DAY_MS
        days += 1
        maintained(machine)
    assert days > 30 + 7


def test_a_job_that_is_back_is_shown_again(make_machine: Callable[..., Machine], bucket: SimulatedBucket) -> None:
    machine = make_machine()
    machine.write("job/file", b"content")
    machine.publish("job")
    machine.store.tree.remove_tree(machine.entry("job"))
    machine.publish("job")
    maintained(machine)
    machine.write("job/file", b"again")
    machine.publish("job")
    maintained(machine)
    assert bucket.objects["gone/job"][0] == b"1"


# -- decisions --------------------------------------------------------------------------------------------------------


def sized(count: int, size: int, *, lines: int = 2) -> list[Sized]:
    return [Sized(f"{number:04}", size, lines) for number in range(count)]


def test_fifteen_alike_wait_for_the_sixteenth() -> None:
    assert choose_merges(sized(15, 5000), is_emptied=False) == []
    assert choose_merges(sized(16, 5000), is_emptied=False) == [[f"{n:04}" for n in range(16)]]


def test_an_output_has_thirty_two_mebibytes_at_most() -> None:
    groups = choose_merges(sized(17, 7 * MIB), is_emptied=False)
    assert groups == [[f"{n:04}" for n in range(4)]]


def test_large_bundles_and_long_manifests_are_settled() -> None:
    assert tier_of(8 * MIB) is None
    assert choose_merges(sized(40, 9 * MIB), is_emptied=False) == []
    assert choose_merges(sized(40, 100_000, lines=60_000), is_emptied=False) == []


def test_a_bundle_half_of_which_may_go_is_merged_alone() -> None:
    full, half = Sized("a", 20 * MIB, 10, 9 * MIB), Sized("b", 20 * MIB, 10, 10 * MIB)
    assert choose_merges([full, half], is_emptied=False) == [["b"]]


def test_no_bundle_is_in_two_merges() -> None:
    bundles = [replace(b, dropped_bytes=5000) for b in sized(40, 5000)]
    groups = choose_merges(bundles, is_emptied=False)
    names = [name for group in groups for name in group]
    assert sorted(names) == sorted(b.name for b in bundles)


def test_a_job_is_due_when_it_is_crowded_or_something_in_it_may_have_died() -> None:
    quiet = JobFacts([5000] * 15, changed_ms=1000, maintained_ms=100_000)
    now, grace = 10 * HOUR_MS, HOUR_MS
    assert not why_due(quiet, now_ms=now, grace_ms=grace)
    assert why_due(replace(quiet, is_merging=True), now_ms=now, grace_ms=grace)
    assert why_due(replace(quiet, has_dead=True), now_ms=now, grace_ms=grace)
    assert not why_due(replace(quiet, has_dead=True), now_ms=200_000, grace_ms=grace)
    assert why_due(replace(quiet, is_hidden=True), now_ms=now, grace_ms=grace)
    assert why_due(replace(quiet, changed_ms=150_000), now_ms=now, grace_ms=grace)
    crowded = replace(quiet, sizes=[5000] * 16, changed_ms=150_000)
    assert why_due(crowded, now_ms=200_000, grace_ms=grace)
    assert not why_due(replace(crowded, changed_ms=1000), now_ms=200_000, grace_ms=grace)


def test_of_a_job_of_one_bundle_nothing_is_due() -> None:
    alone = JobFacts([5000], changed_ms=1000, maintained_ms=0)
    assert not why_due(alone, now_ms=10 * HOUR_MS, grace_ms=HOUR_MS)


def test_a_job_that_was_maintained_is_not_due_again(a: Machine, bucket: SimulatedBucket) -> None:
    for number in range(20):
        a.write(f"job/{number}", b"%d" % number)
        a.publish("job")
        bucket.now_ms += 100
    assert drive(due_jobs(a.ground), bucket).keys() == {a.job("job")}
    bucket.now_ms += 2000
    maintained(a)
    bucket.requests.clear()
    assert drive(due_jobs(a.ground), bucket) == {}
    assert bucket.requests == []


def test_maintenance_that_was_interrupted_goes_on(
    make_machine: Callable[..., Machine], bucket: SimulatedBucket
) -> None:
    machine = make_machine()
    for number in range(16):
        machine.write(f"job/{number}", b"%d" % number)
        machine.publish("job")
        bucket.now_ms += 100
    steps = maintain(machine.ground, machine.job("job"))
    answer: object = None
    while "put" not in {kind for kind, key in bucket.requests[-1:] if key.startswith("jobs/")} or answer is None:
        answer = steps.send(answer).run(bucket)
    steps.close()
    machine.killed()
    assert len(keys(bucket)) == 17
    maintained(machine)
    assert len(keys(bucket)) == 1
    assert len(make_machine().refresh("job").names) == 1


def test_errors_of_the_bucket_end_maintenance_and_nothing_else(a: Machine, bucket: SimulatedBucket) -> None:
    a.write("job/file", b"content")
    a.publish("job")
    steps = maintain(a.ground, a.job("job"))
    next(steps)
    with pytest.raises(MountfsError):
        steps.throw(MountfsError("no answer"))
    assert a.ground.maintained == set()
    assert maintained(a).complete
