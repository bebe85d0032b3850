"""The listing of all jobs: what is due for maintenance is found also by a machine that knows nothing yet."""

import os
from collections.abc import Callable

from mountfs import objects
from mountfs.bucket.ground import DAY_MS, HOUR_MS
from mountfs.bucket.maintaining import due_jobs, maintain
from mountfs.bucket.requests import drive
from mountfs.bucket.scanning import scan
from mountfs.model import Codec, Digest
from tests.bucket.machines import Machine
from tests.bucket.simulated import SimulatedBucket

DIGEST = Digest(bytes(32))


def due(machine: Machine) -> dict[bytes, str]:
    return drive(scan(machine.ground), machine.remote).due


def left_over(bucket: SimulatedBucket, job: bytes = b"job") -> str:
    """A large object of an upload whose bundle never came."""
    name = objects.large_name(bucket.now_ms, "cccccccc", "00000000", DIGEST, Codec.ZSTD)
    key = objects.large_key(job, name)
    bucket.put(key, b"large")
    return key


def test_jobs_of_one_bundle_are_not_due(a: Machine, b: Machine, bucket: SimulatedBucket) -> None:
    a.write("job/file", b"content")
    a.publish("job")
    bucket.now_ms += 400 * DAY_MS
    assert due(b) == {}


def test_a_crowded_job_is_due_on_a_machine_that_never_looked_at_it(
    a: Machine, b: Machine, bucket: SimulatedBucket
) -> None:
    for number in range(16):
        a.write(f"job/{number}", b"%d" % number)
        a.publish("job")
        bucket.now_ms += 100
    a.write("other/file", b"content")
    a.publish("other")
    assert due(b) == {b"job": "it has many small bundles"}
    drive(maintain(b.ground, b.job("job")), b.remote)
    bucket.now_ms += 2000
    assert due(b) == {}


def test_a_job_of_which_only_a_large_object_was_left_is_due_after_the_grace_and_goes(
    make_machine: Callable[..., Machine], bucket: SimulatedBucket
) -> None:
    machine = make_machine(grace_ms=HOUR_MS)
    key = left_over(bucket)
    assert due(machine) == {}
    bucket.now_ms += 2 * HOUR_MS
    assert list(due(machine)) == [b"job"]
    drive(maintain(machine.ground, machine.job("job")), machine.remote)
    assert key not in bucket.objects


def test_large_objects_that_a_bundle_names_are_looked_at_once(
    make_machine: Callable[..., Machine], bucket: SimulatedBucket
) -> None:
    machine = make_machine(grace_ms=HOUR_MS)
    machine.ground.large_bytes = 33_000
    machine.write("job/large", os.urandom(40_000))
    machine.publish("job")
    bucket.now_ms += 2 * HOUR_MS
    assert list(due(machine)) == [b"job"]
    drive(maintain(machine.ground, machine.job("job")), machine.remote)
    bucket.now_ms += 2 * HOUR_MS
    assert due(machine) == {}
    names = [objects.parse_object(key.rpartition("/")[2]) for key in bucket.objects]
    assert sum(isinstance(name, objects.LargeName) for name in names) == 1


def test_an_emptied_job_is_due_until_it_is_gone(a: Machine, b: Machine, bucket: SimulatedBucket) -> None:
    a.write("job/file", b"content")
    a.publish("job")
    a.store.tree.remove_tree(a.entry("job"))
    a.publish("job")
    drive(maintain(a.ground, a.job("job")), a.remote)
    assert bucket.objects["gone/job"][0] == b""
    bucket.now_ms += DAY_MS * 8
    assert list(due(b)) == [b"job"]


def test_the_mark_of_a_job_of_which_nothing_is_left_goes(a: Machine, b: Machine, bucket: SimulatedBucket) -> None:
    bucket.put(objects.gone_key(b"job"), b"")
    assert due(b) == {b"job": "it was emptied"}
    drive(maintain(b.ground, b.job("job")), b.remote)
    assert bucket.objects == {}


def test_the_rows_alone_say_which_jobs_are_due(a: Machine, bucket: SimulatedBucket) -> None:
    for job, bundles in (("one", 1), ("two", 2), ("three", 3)):
        for number in range(bundles):
            a.write(f"{job}/{number}", b"%d" % number)
            a.publish(job)
    bucket.now_ms += 30 * DAY_MS
    bucket.requests.clear()
    assert drive(due_jobs(a.ground), bucket).keys() == {a.job("two"), a.job("three")}
    assert bucket.requests == []
