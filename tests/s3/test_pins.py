"""A pin counts on other machines from the moment at which `mountfs pin` is done."""

import os

import pytest

from mountfs.model import State
from tests.faults.proxy import Refuse
from tests.s3.conftest import ExpectedLog
from tests.s3.test_trash_commands import mountfs
from tests.s3.two import Machine, Machines, Two, eventually, wait_until

SLOW = {"sync": {"settle_seconds": "60s", "settle_max_seconds": "60s"}}
NOT_TOLD = "other machines will know when the bucket answers"


@pytest.fixture
def two(make_machine: Machines) -> Two:
    """The first tells the bucket of nothing by itself within a minute."""
    here, there = make_machine(settings=SLOW), make_machine()
    (here.path / "w3" / "deep").mkdir(parents=True)
    (here.path / "w3" / "deep" / "a.log").write_text("a")
    mountfs(here, "flush")
    eventually(lambda: os.listdir(there.path / "w3"), ["deep"])
    return here, there


def pinned(machine: Machine, key: str) -> bytes:
    return os.getxattr(machine.path / key, "user.mountfs.pinned")


def test_what_was_pinned_is_not_deleted_by_another_machine(two: Two) -> None:
    here, there = two
    assert here.mountfs("pin", "w3", "w3/deep").stderr == ""
    assert os.getxattr(here.path / "w3" / "deep" / "a.log", "user.mountfs.state") == State.REMOTE.encode()
    eventually(lambda: pinned(there, "w3"), b"1", seconds=5)
    assert "w3 is pinned" in mountfs(there, "delete", "w3", "--yes", code=4)
    mountfs(here, "unpin", "w3", "w3/deep")
    eventually(lambda: pinned(there, "w3"), b"0", seconds=5)
    mountfs(there, "delete", "w3", "--yes")
    assert not (there.path / "w3").exists()


def test_where_nothing_is_mounted_a_pin_is_told_too(two: Two) -> None:
    here, there = two
    here.stop()
    done = here.alone("pin", "w3")
    assert (done.returncode, done.stderr) == (0, "")
    eventually(lambda: pinned(there, "w3"), b"1", seconds=5)


def test_while_the_bucket_is_silent_it_is_pinned_here_and_said_so(two: Two, expected_log: ExpectedLog) -> None:
    expected_log(r"does not answer|is not in the bucket")
    here, there = two
    here.proxy.rule(Refuse())
    for command, value in (("pin", b"1"), ("unpin", b"0"), ("pin", b"1")):
        done = here.mountfs(command, "w3")
        assert (done.returncode, done.stderr) == (0, f"mountfs: {command}ned here; {NOT_TOLD}\n")
        assert pinned(here, "w3") == value
    here.proxy.clear()
    wait_until(lambda: here.bucket_status()["down"] is None, "the bucket answers again")
    mountfs(here, "flush")
    eventually(lambda: pinned(there, "w3"), b"1", seconds=5)
