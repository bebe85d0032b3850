"""Objects made for URLs live and die with what refers to their content, like any large content."""

import os

import pytest

from mountfs.bucket.gathering import fetch_content
from mountfs.bucket.ground import DAY_MS
from mountfs.bucket.links import Alone, own_object
from mountfs.bucket.maintaining import maintain
from mountfs.bucket.requests import drive
from mountfs.codec import decode
from mountfs.errors import RemoteUnavailable
from mountfs.model import Codec
from tests.bucket.machines import Machine
from tests.bucket.simulated import SimulatedBucket

TEXT = b"a line of text\n" * 100_000


def linked(machine: Machine, key: str, *, plain: bool = False) -> Alone:
    content = machine.entry(key).content
    assert content is not None
    found = drive(own_object(machine.ground, machine.job("job"), content, plain=plain), machine.remote)
    assert found is not None
    return found


def maintain_for(machine: Machine, bucket: SimulatedBucket, days: int) -> None:
    """Another machine does maintenance every day."""
    for _ in range(days):
        bucket.now_ms += DAY_MS
        machine.refresh("job")
        drive(maintain(machine.ground, machine.job("job")), machine.remote)


def large_objects(bucket: SimulatedBucket) -> list[str]:
    return [key for key in bucket.objects if key.startswith("jobs/job/") and not key.endswith(".zip")]


def test_the_object_holds_the_content_as_it_is_stored(a: Machine, bucket: SimulatedBucket) -> None:
    a.write("job/log", TEXT)
    a.publish("job")
    found = linked(a, "job/log")
    stored = bucket.objects[found.key][0]
    assert found.codec is Codec.ZSTD
    assert decode(stored, codec=Codec.ZSTD, plain_bytes=len(TEXT), sums=b"") == TEXT


def test_plain_holds_the_plain_bytes_and_is_a_place_of_the_content(
    a: Machine, b: Machine, bucket: SimulatedBucket
) -> None:
    a.write("job/log", TEXT)
    a.publish("job")
    found = linked(a, "job/log", plain=True)
    assert bucket.objects[found.key][0] == TEXT
    b.refresh("job")
    for key in [key for key in bucket.objects if key != found.key and key.startswith("jobs/") and "zip" not in key]:
        del bucket.objects[key]
    content = b.entry("job/log").content
    assert content is not None
    drive(fetch_content(b.ground, content), b.remote)
    assert b.read("job/log") == TEXT


def test_it_stays_while_the_artifact_does_and_is_found_again(a: Machine, b: Machine, bucket: SimulatedBucket) -> None:
    a.write("job/log", TEXT)
    a.publish("job")
    found = linked(a, "job/log")
    maintain_for(b, bucket, 20)
    assert large_objects(bucket) == [found.key]
    a.refresh("job")
    assert linked(a, "job/log") == Alone(found.key, Codec.ZSTD, uploaded=False)


def test_it_goes_after_the_grace_when_the_artifact_went(a: Machine, b: Machine, bucket: SimulatedBucket) -> None:
    a.write("job/log", TEXT)
    a.write("job/other", b"other")
    a.publish("job")
    linked(a, "job/log")
    a.unlink("job/log")
    a.publish("job")
    maintain_for(b, bucket, 20)
    assert large_objects(bucket) == []
    assert b.read("job/other") == b"other"


def test_what_is_in_the_bucket_alone_is_fetched_first(a: Machine, b: Machine, bucket: SimulatedBucket) -> None:
    a.write("job/noise", noise := os.urandom(50_000))
    a.publish("job")
    b.refresh("job")
    found = linked(b, "job/noise")
    assert (found.codec, bucket.objects[found.key][0]) == (Codec.RAW, noise)


def test_a_large_content_is_its_own_object_already(a: Machine, bucket: SimulatedBucket) -> None:
    a.write("job/video", os.urandom(5 << 20))
    a.publish("job")
    bucket.requests.clear()
    assert not linked(a, "job/video").uploaded
    assert [kind for kind, _ in bucket.requests] == ["head"]


def test_cut_off_before_the_bundle_the_next_one_goes_on_with_the_same_object(
    a: Machine, bucket: SimulatedBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    a.write("job/log", TEXT)
    a.publish("job")

    def refuses(*_: object, **__: object) -> None:
        raise RemoteUnavailable("cut off")

    with monkeypatch.context() as cut:
        cut.setattr(bucket, "put", refuses)
        with pytest.raises(RemoteUnavailable):
            linked(a, "job/log")
    (first,) = large_objects(bucket)
    a.killed()
    bucket.requests.clear()
    assert linked(a, "job/log").key == first
    assert [kind for kind, _ in bucket.requests] == ["put"]


def test_nothing_is_made_where_nothing_may_be_uploaded(a: Machine, bucket: SimulatedBucket) -> None:
    a.write("job/log", TEXT)
    a.publish("job")
    content = a.entry("job/log").content
    assert content is not None
    assert drive(own_object(a.ground, a.job("job"), content, plain=False, may_upload=False), a.remote) is None
    assert large_objects(bucket) == []
