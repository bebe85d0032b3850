"""Versions where machines share a bucket: all count alike, whoever wrote, and also who comes later (F-138)."""

import os
from functools import partial

import pytest

from tests.faults.proxy import Refuse
from tests.s3.conftest import ExpectedLog
from tests.s3.test_trash_commands import mountfs
from tests.s3.two import Machine, Machines, Two, eventually, wait_until

SETTINGS = {"versions": {"enabled": True}}


@pytest.fixture
def two(make_machine: Machines) -> Two:
    return make_machine(settings=SETTINGS), make_machine(settings=SETTINGS)


def publish(machine: Machine, key: str, text: str) -> None:
    path = machine.path / key
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    machine.flush()


def versions(machine: Machine, key: str) -> list[str]:
    """What each version held; [] where there is none."""
    directory = machine.path / ".versions" / key
    if not directory.exists():
        return []
    return [(directory / name).read_text() for name in sorted(os.listdir(directory), key=int)]


def seen(machine: Machine, key: str, text: str) -> None:
    eventually(lambda: (machine.path / key).read_text(), text)


def test_two_machines_that_write_over_each_other_see_the_same_versions(two: Two, make_machine: Machines) -> None:
    here, there = two
    publish(here, "J/report.txt", "one")
    seen(there, "J/report.txt", "one")
    publish(there, "J/report.txt", "two")
    seen(here, "J/report.txt", "two")
    publish(here, "J/report.txt", "three")
    seen(there, "J/report.txt", "three")
    for machine in (here, there, make_machine(settings=SETTINGS), make_machine(settings={"sync": {"mode": "lazy"}})):
        eventually(partial(versions, machine, "J/report.txt"), ["one", "two", "three"])
        assert os.getxattr(machine.path / "J" / "report.txt", "user.mountfs.version") == b"3"


def test_a_version_is_read_from_the_bucket_after_it_was_evicted_and_after_everything_was_lost(two: Two) -> None:
    here, there = two
    large = os.urandom(6 << 20).hex()
    publish(here, "J/large.txt", large)
    publish(here, "J/large.txt", "small")
    mountfs(here, "evict", "J")
    assert versions(here, "J/large.txt") == [large, "small"]
    seen(there, "J/large.txt", "small")
    assert versions(there, "J/large.txt") == [large, "small"]


def test_a_save_by_rename_is_a_version_everywhere_and_leaves_no_tag_behind(two: Two) -> None:
    here, there = two
    publish(here, "J/notes.txt", "one")
    os.setxattr(here.path / "J" / "notes.txt", "user.team", b"payments")
    here.flush()
    eventually(lambda: os.getxattr(there.path / "J" / "notes.txt", "user.team"), b"payments")
    (here.path / "J" / "notes.tmp").write_text("two")
    (here.path / "J" / "notes.tmp").rename(here.path / "J" / "notes.txt")
    here.flush()
    seen(there, "J/notes.txt", "two")
    eventually(lambda: len(os.listxattr(there.path / "J" / "notes.txt")), 0)
    for machine in two:
        assert versions(machine, "J/notes.txt") == ["one", "two"]


def test_maintenance_keeps_what_versions_need(two: Two) -> None:
    here, there = two
    for number in range(5):
        publish(here, "J/report.txt", f"state {number}")
    mountfs(here, "maintain", "J")
    seen(there, "J/report.txt", "state 4")
    assert versions(there, "J/report.txt") == [f"state {number}" for number in range(5)]


def test_restoring_a_version_reaches_the_other_machine(two: Two) -> None:
    here, there = two
    publish(here, "J/report.txt", "one")
    publish(here, "J/report.txt", "two")
    mountfs(here, "evict", "J")
    mountfs(here, "restore", "J/report.txt", "--version", "1")
    assert (here.path / "J" / "report.txt").read_text() == "one"
    here.flush()
    seen(there, "J/report.txt", "one")
    for machine in two:
        assert versions(machine, "J/report.txt") == ["one", "two", "one"]


def test_a_removed_file_begins_anew_everywhere(two: Two) -> None:
    here, there = two
    publish(here, "J/report.txt", "one")
    publish(here, "J/report.txt", "two")
    (here.path / "J" / "report.txt").unlink()
    here.flush()
    publish(here, "J/report.txt", "three")
    publish(here, "J/report.txt", "four")
    seen(there, "J/report.txt", "four")
    for machine in two:
        assert versions(machine, "J/report.txt") == ["three", "four"]


def test_what_a_removed_file_held_before_stays_in_the_trash_under_its_number(two: Two) -> None:
    here, there = two
    for number in "123":
        publish(here, "J/report.txt", number)
    (here.path / "J" / "report.txt").unlink()
    here.flush()
    mountfs(here, "restore", "J/report.txt")
    here.flush()
    seen(there, "J/report.txt", "3")
    for machine in two:
        assert versions(machine, "J/report.txt") == []
    listed = [line.split("\t") for line in mountfs(here, "trash", "list", "J/report.txt").splitlines()]
    numbers = {reason: number for number, _gone, _size, reason, _key in listed}
    assert sorted(numbers) == ["version 1", "version 2"]
    said = mountfs(here, "restore", "J/report.txt", "--version", "1", code=3)
    assert "earlier versions are in the trash: see `mountfs trash list J/report.txt`" in said
    mountfs(here, "restore", "J/report.txt", "--id", numbers["version 1"])
    here.flush()
    seen(there, "J/report.txt", "1")


def test_what_others_wrote_is_no_silently_short_list_while_the_bucket_is_silent(
    make_machine: Machines, expected_log: ExpectedLog
) -> None:
    expected_log("the bucket does not answer")
    here, there = make_machine(settings=SETTINGS), make_machine(settings=SETTINGS)
    publish(here, "J/report.txt", "one")
    publish(here, "J/report.txt", "two")
    seen(there, "J/report.txt", "two")
    there.proxy.rule(Refuse())
    wait_until(lambda: there.bucket_status()["down"] is not None, "the bucket counts as down")
    with pytest.raises(TimeoutError):
        os.listdir(there.path / ".versions" / "J" / "report.txt")
    there.proxy.clear()
    eventually(lambda: versions(there, "J/report.txt"), ["one", "two"])
