"""A job with a bundle that cannot be understood: nothing is relied on there, and everything can still be published."""

import json
import random
from collections.abc import Callable

import pytest

from mountfs import bundle, codec, objects
from mountfs.bucket.fetching import absent
from mountfs.bucket.oddities import AGAIN_SECONDS
from mountfs.bundle import manifest
from mountfs.bundle.archive import Archive
from mountfs.records import MOST_PATH_BYTES
from tests.bucket.conftest import BEGIN_MS
from tests.bucket.machines import OWNER, STORE_ID, Machine
from tests.bucket.simulated import SimulatedBucket

PREFIX = objects.job_prefix(b"job")
NEWER = objects.bundle_name(BEGIN_MS, "f0f0f0f0", "00000001")
LARGE = random.Random(1).randbytes(5 << 20)


def bundle_of_tomorrow() -> bytes:
    """One that says it is of a newer format."""
    header = {"format": 99, "store": STORE_ID, "job": "job", "name": NEWER}
    made = Archive()
    made.add(bundle.MANIFEST_NAME, codec.pack_text(json.dumps(header).encode() + b"\n", level=1))
    return made.finish()


@pytest.fixture(params=["newer", "noise", "cut"])
def left_alone(bucket: SimulatedBucket, a: Machine, request: pytest.FixtureRequest) -> str:
    """The name of a bundle in the job, beside those of machine a, that cannot be understood."""
    a.write("job/small", b"small")
    a.write("job/large", LARGE)
    a.publish("job")
    whole = bundle_of_tomorrow()
    data = {"newer": whole, "noise": random.Random(2).randbytes(5000), "cut": whole[:-1]}[request.param]
    bucket.put(PREFIX + NEWER, data)
    return NEWER


def read_ms(machine: Machine) -> tuple[int, int]:
    """Since when the job is read: whole, and at all."""
    tables, job = machine.ground.tables, machine.job("job")
    return tables.read_ms(job), tables.listed_ms(job)


def digests_named(bucket: SimulatedBucket, name: str) -> set[str]:
    """Contents of which a bundle says where they lie."""
    data = bucket.objects[PREFIX + name][0]
    extent = bundle.find_manifest(data, object_bytes=len(data))
    stored = data[extent.offset : extent.offset + extent.length]
    found = bundle.read_manifest(stored, store_id=STORE_ID, job=b"job", name=name)
    return {place.digest.hex() for place in found.places}


def test_a_reading_that_left_a_bundle_alone_is_not_complete(b: Machine, left_alone: str) -> None:
    found = b.refresh("job")
    assert (found.whole, found.complete) == (True, False)
    assert read_ms(b) == (0, found.began_ms)
    assert any(left_alone in sentence for sentence in found.refused)
    assert b.read("job/small") == b"small"


def test_it_is_complete_once_that_bundle_is_gone(b: Machine, bucket: SimulatedBucket, left_alone: str) -> None:
    b.refresh("job")
    bucket.delete([PREFIX + left_alone])
    found = b.refresh("job")
    assert found.complete
    assert read_ms(b) == (found.began_ms, found.began_ms)


def test_it_is_complete_once_that_bundle_can_be_read(b: Machine, bucket: SimulatedBucket, left_alone: str) -> None:
    b.refresh("job")
    made = bundle.pack(store_id=STORE_ID, job=b"job", name=left_alone, members=[], large=[], records=[])
    bucket.put(PREFIX + left_alone, made.data)
    bucket.now_ms += int(AGAIN_SECONDS * 1000) + 1
    assert b.refresh("job").complete


def test_what_was_complete_is_so_no_more_when_such_a_bundle_comes(a: Machine, left_alone: str) -> None:
    assert not a.refresh("job").complete
    assert read_ms(a)[0] == 0


def test_an_object_that_is_listed_no_more_is_no_place_whatever_was_left_alone(
    b: Machine, bucket: SimulatedBucket, left_alone: str
) -> None:
    """Else the only copy of it would be evicted."""
    b.refresh("job")
    digest = b.store.catalog.content(b.entry("job/large").content or 0).digest  # type: ignore[union-attr]
    assert digest is not None
    assert b.ground.tables.is_placed(digest, b.job("job"))
    bucket.now_ms += 60_000
    bucket.delete([key for key in bucket.objects if key.endswith((".zst", digest.hex()))])
    b.refresh("job")
    assert not b.ground.tables.is_placed(digest, b.job("job"))


def test_what_is_here_is_published(a: Machine, b: Machine, left_alone: str) -> None:
    a.write("job/more", b"more")
    assert a.publish("job").complete
    b.refresh("job")
    assert b.read("job/more") == b"more"


@pytest.mark.parametrize("name", ["small", "large"])
def test_what_is_in_the_bucket_alone_goes_out_again_with_its_content(
    make_machine: Callable[..., Machine], b: Machine, bucket: SimulatedBucket, left_alone: str, name: str
) -> None:
    """The bundle that was left alone may say that the content is wanted no more."""
    machine = make_machine(protect_others=False)
    machine.refresh("job")
    content = machine.entry(f"job/{name}").content
    assert content is not None
    assert absent(machine.ground, content) is not None
    machine.rename(f"job/{name}", "job/renamed")
    before = set(bucket.objects)
    assert machine.publish("job").complete
    landed = [key.rpartition("/")[2] for key in set(bucket.objects) - before if key.endswith(".zip")]
    assert len(set().union(*(digests_named(bucket, one) for one in landed))) == 1
    b.refresh("job")
    assert b.read("job/renamed") == (LARGE if name == "large" else b"small")


def test_the_job_is_read_once_however_many_contents_are_in_the_bucket_alone(
    make_machine: Callable[..., Machine], a: Machine, bucket: SimulatedBucket
) -> None:
    for number in range(30):
        a.write(f"job/dir/{number}", b"content %d" % number)
    a.publish("job")
    bucket.put(PREFIX + NEWER, b"noise")
    machine = make_machine(protect_others=False)
    machine.refresh("job")
    machine.rename("job/dir", "job/renamed")
    bucket.requests.clear()
    assert machine.publish("job").complete
    assert sum(kind == "list" for kind, _key in bucket.requests) <= 2


# What no bundle can say


def aside(machine: Machine) -> list[tuple[bytes, str]]:
    return [(path, reason) for _id, _job, path, _ms, reason, _record, *_ in machine.ground.tables.aside()]


def test_a_path_that_no_record_can_say_is_set_aside_alone(a: Machine, b: Machine) -> None:
    """It came to be so long when a directory above it was renamed."""
    a.mkdir("job/d")
    a.write("job/good", b"good")
    ino, left = a.entry("job/d").ino, MOST_PATH_BYTES - 100
    while left > 0:
        ino = a.store.tree.make_directory(ino, b"x" * min(255, left), 0o755, OWNER).ino
        left -= 256
    a.store.tree.make_symlink(ino, b"deep", b"target", OWNER)
    a.rename("job/d", "job/" + "d" * 250)
    assert a.publish("job").complete
    b.refresh("job")
    assert b.read("job/good") == b"good"
    found = aside(a)
    assert found
    assert all("path" in reason and len(path) > MOST_PATH_BYTES for path, reason in found)


def test_what_does_not_fit_into_one_bundle_goes_out_in_several(
    a: Machine, b: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "MOST_VALUES", 400)
    for number in range(50):
        a.write(f"job/{number}", b"%d" % number)
    done = a.publish("job")
    assert done.complete
    assert len(done.bundles) > 1
    b.refresh("job")
    assert [b.read(f"job/{number}") for number in range(50)] == [b"%d" % number for number in range(50)]


def test_what_does_not_fit_into_any_bundle_is_set_aside_alone(
    a: Machine, b: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    a.write("job/good", b"good")
    a.write("job/bad", b"bad")
    a.store.attributes.set(
        a.entry("job/bad").ino, b"user.mountfs.metadata", json.dumps([0] * 500).join(['{"a":', "}"]).encode()
    )
    monkeypatch.setattr(manifest, "MOST_VALUES", 400)
    assert a.publish("job").complete
    b.refresh("job")
    assert b.read("job/good") == b"good"
    assert {path for path, _reason in aside(a)} == {b"bad"}
