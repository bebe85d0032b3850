"""What one machine publishes another sees: the protocol on the real store, against a bucket in memory."""

import itertools
import os
from collections.abc import Callable

import pytest

from mountfs.bucket.maintaining import maintain
from mountfs.bucket.naming import show_jobs
from mountfs.bucket.requests import drive
from mountfs.errors import CacheFull, NotFound
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


# What is removed and made again is the same to who looks at it


def made_again(machine: Machine, key: str, bucket: SimulatedBucket) -> None:
    """A directory with a file in it: made, removed and made again, and each of this is published."""
    machine.write(f"{key}/x", b"1")
    published_later(machine, bucket)
    machine.unlink(f"{key}/x")
    machine.rmdir(key)
    published_later(machine, bucket)
    machine.write(f"{key}/x", b"2")
    published_later(machine, bucket)


def published_later(machine: Machine, bucket: SimulatedBucket) -> None:
    """Bundles are read by their names: in the order in which they were published."""
    bucket.now_ms += 1000
    machine.publish("job")


def test_a_job_known_by_name_that_was_removed_and_made_again_keeps_its_number(
    a: Machine, b: Machine, bucket: SimulatedBucket
) -> None:
    """Whoever looks into it asks by that number: what came on his behalf must not take it from him."""
    drive(show_jobs(b.ground, [b"job"]), b.remote)
    ino = b.entry("job").ino
    made_again(a, "job", bucket)
    b.refresh("job")
    assert b.entry("job").ino == ino
    assert b.view("job") == a.view("job")
    assert b.read("job/x") == b"2"


def test_a_directory_that_was_removed_and_made_again_keeps_its_number(
    a: Machine, b: Machine, bucket: SimulatedBucket
) -> None:
    a.write("job/dir/x", b"0")
    a.publish("job")
    b.refresh("job")
    ino = b.entry("job/dir").ino
    a.unlink("job/dir/x")
    a.rmdir("job/dir")
    published_later(a, bucket)
    made_again(a, "job/dir", bucket)
    b.refresh("job")
    assert b.entry("job/dir").ino == ino
    assert b.view("job") == a.view("job")
    assert b.read("job/dir/x") == b"2"


def test_a_directory_kept_alive_by_what_lies_in_it_is_the_same_when_that_is_another(
    make_machine: Callable[..., Machine],
) -> None:
    a, b = make_machine(protect_others=False), make_machine()
    a.write("job/dir/one", b"1")
    a.publish("job")
    b.refresh("job")
    b.write("job/dir/two", b"2")
    a.unlink("job/dir/one")
    a.rmdir("job/dir")
    a.publish("job")
    b.refresh("job")  # of the directory nothing is said any more: it is there for what lies in it
    b.publish("job")
    a.refresh("job")
    ino, stamp = b.entry("job/dir").ino, b.entry("job/dir").stamp
    assert not stamp
    a.write("job/dir/zz", b"zz")
    a.unlink("job/dir/two")
    a.publish("job")
    b.refresh("job")
    assert b.entry("job/dir").ino == ino
    assert set(b.view("job")) == {"", "/dir", "/dir/zz"}
    assert b.view("job") == a.view("job")


def test_a_file_takes_the_place_of_a_directory_that_was_removed(a: Machine, b: Machine) -> None:
    a.write("job/name/deep/file", b"1")
    a.publish("job")
    b.refresh("job")
    a.unlink("job/name/deep/file")
    a.rmdir("job/name/deep")
    a.rmdir("job/name")
    a.write("job/name", b"2")
    a.publish("job")
    b.refresh("job")
    assert set(b.view("job")) == {"", "/name"}
    assert b.read("job/name") == b"2"
    a.unlink("job/name")
    a.write("job/name/deep/file", b"3")
    a.publish("job")
    b.refresh("job")
    assert b.view("job") == a.view("job")
    assert b.read("job/name/deep/file") == b"3"


@pytest.mark.parametrize("held_up", ["places", "first file", "last file"])
def test_a_reading_that_a_full_disk_cut_off_is_done_again(
    a: Machine, b: Machine, monkeypatch: pytest.MonkeyPatch, held_up: str
) -> None:
    for name in ("one", "two", "three"):
        a.write(f"job/{name}", name.encode())
    a.publish("job")
    b.ground.piece = 1
    fold, count = b.ground.paths.fold, itertools.count()
    at = {"places": -1, "first file": 1, "last file": 3}[held_up]

    def full(*arguments: object) -> None:
        if next(count) == at or held_up == "places":
            raise CacheFull("no space left")
        fold(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        if held_up == "places":
            patch.setattr(b.ground.tables, "add_places", full)
        patch.setattr(b.ground.paths, "fold", full)
        with pytest.raises(CacheFull):
            b.refresh("job")
    b.refresh("job")
    assert b.view("job") == a.view("job")
    assert b.read("job/two") == b"two"
