"""What one machine publishes another sees: the protocol on the real store, against a bucket in memory."""

import os

import pytest

from mountfs.bucket.maintaining import maintain
from mountfs.bucket.requests import drive
from mountfs.errors import NotFound
from mountfs.store.paths import Changes
from tests.bucket.machines import Machine
from tests.bucket.simulated import SimulatedBucket


def test_what_was_published_is_seen_and_read_elsewhere(a: Machine, b: Machine) -> None:
    large = os.urandom(5 << 20)
    a.write("job/report.xml", b"<testsuite/>" * 100)
    a.write("job/deep/er/log", b"line\n" * 20_000)
    a.write("job/video", large)
    a.write("job/empty", b"")
    a.symlink("job/link", "report.xml")
    a.chmod("job/report.xml", 0o640)
    a.utime("job/report.xml", 1_000_000_000_123_456_789)
    a.tag("job", branch="main")
    a.tag("job/report.xml", flaky="yes")
    a.publish("job")
    b.refresh("job")
    assert b.view("job") == a.view("job")
    assert b.read("job/report.xml") == b"<testsuite/>" * 100
    assert b.read("job/deep/er/log") == b"line\n" * 20_000
    assert b.read("job/video") == large


def test_a_second_publish_of_nothing_sends_nothing(a: Machine, bucket: SimulatedBucket) -> None:
    a.write("job/file", b"content")
    a.publish("job")
    bucket.requests.clear()
    a.publish("job")
    assert bucket.requests == []


def test_changes_of_one_are_changes_of_the_other(a: Machine, b: Machine) -> None:
    a.write("job/one", b"1")
    a.write("job/two", b"2")
    a.write("job/dir/three", b"3")
    a.publish("job")
    b.refresh("job")
    a.unlink("job/one")
    a.rename("job/two", "job/other")
    a.rename("job/dir", "job/moved")
    a.write("job/moved/three", b"changed")
    a.publish("job")
    b.refresh("job")
    assert b.view("job") == a.view("job")
    assert set(b.view("job")) == {"", "/other", "/moved", "/moved/three"}
    assert b.read("job/moved/three") == b"changed"


def test_tags_of_two_machines_merge_and_a_chmod_brings_no_old_content_back(a: Machine, b: Machine) -> None:
    a.write("job/file", b"old")
    a.publish("job")
    b.refresh("job")
    a.write("job/file", b"new content")
    b.chmod("job/file", 0o600)
    b.tag("job/file", from_b="1")
    a.tag("job/file", from_a="1")
    for machine in (a, b, a):
        machine.publish("job")
        for other in (a, b):
            other.refresh("job")
    assert a.view("job") == b.view("job")
    assert a.read("job/file") == b.read("job/file") == b"new content"
    assert a.entry("job/file").mode == 0o600
    assert a.view("job")["/file"][-1] == {"tag:from_a": b"1", "tag:from_b": b"1"}


def test_a_deleted_prefix_is_a_deleted_job_elsewhere(a: Machine, b: Machine, bucket: SimulatedBucket) -> None:
    a.write("job/file", b"content")
    a.publish("job")
    b.refresh("job")
    bucket.objects.clear()
    b.refresh("job")
    with pytest.raises(NotFound):
        b.entry("job/file")


def test_a_fresh_machine_after_everything_was_lost_sees_it_all(a: Machine, b: Machine) -> None:
    for number in range(200):
        a.write(f"job/{number % 7}/{number}", f"content {number}".encode() * number)
    a.publish("job")
    b.refresh("job")
    assert b.view("job") == a.view("job")
    assert all(b.read(f"job/{n % 7}/{n}") == f"content {n}".encode() * n for n in range(200))


def test_a_file_where_another_made_a_directory_shows_beside_it(a: Machine, b: Machine) -> None:
    a.write("job/name/inner", b"inner")
    b.mkdir("job")
    b.write("job/name", b"a file")
    a.publish("job")
    b.publish("job")
    a.refresh("job")
    b.refresh("job")
    assert a.view("job") == b.view("job")
    aside = next(path for path in a.view("job") if path.startswith("/name~"))
    assert a.read(f"job{aside}") == b"a file"
    assert b.read("job/name/inner") == b"inner"


def test_killed_after_everything_was_noted_it_publishes_the_rest(a: Machine, b: Machine) -> None:
    a.write("job/file", b"content")
    a.tag("job/file", branch="main")
    a.killed()
    a.unlink("job/file")
    a.write("job/other", b"other")
    a.killed()
    a.publish("job")
    b.refresh("job")
    assert b.view("job") == a.view("job")
    assert set(b.view("job")) == {"", "/other"}


def test_what_a_reading_changes_is_told_by_whomever_it_was_asked_for(a: Machine, b: Machine) -> None:
    """Otherwise the kernel would go on with what it remembers: the next reading finds nothing new."""
    a.write("job/log", b"one")
    a.publish("job")
    b.refresh("job")
    told: list[Changes] = []
    b.ground.changed = told.append
    a.write("job/log", b"two, and more")
    a.publish("job")
    drive(maintain(b.ground, b.job("job")), b.remote)
    entry = b.entry("job/log")
    assert (entry.parent, entry.name) in {name for changes in told for name in changes.names}
