"""Cleaning up where machines share a bucket: what one drops is gone for the other, and can be brought back."""

import os

from tests.s3.test_trash_commands import mountfs
from tests.s3.two import Two, eventually


def test_what_one_machine_drops_is_gone_on_the_other_and_can_be_brought_back(two: Two, job: str) -> None:
    here, there = two
    (here.path / job / "deep").mkdir(parents=True)
    for name in ("a.log", "deep/b.log", "junit.xml"):
        (here.path / job / name).write_text(name)
    os.setxattr(here.path / job, "user.team", job.encode())
    here.flush()
    eventually(lambda: sorted(os.listdir(there.path / job)), ["a.log", "deep", "junit.xml"])
    select = ("cleanup", "--type", "log", "--tag", f"team={job}")
    assert mountfs(there, *select).splitlines() == [
        f"drop build-logs of {job}: 0 days since it was published, asked for (--type build-logs --tag team={job})",
        "2 artifacts dropped, and 0 jobs are gone with them",
    ]
    assert os.listdir(there.path / job) == ["junit.xml"]
    there.flush()
    eventually(lambda: os.listdir(here.path / job), ["junit.xml"])
    assert mountfs(there, "trash", "list", job).count("expired") >= 2
    mountfs(there, "restore", job)
    there.flush()
    eventually(lambda: sorted(os.listdir(here.path / job)), ["a.log", "deep", "junit.xml"])
    assert (here.path / job / "deep" / "b.log").read_text() == "deep/b.log"


def test_a_pin_of_the_other_machine_is_heard_of_before_anything_goes(two: Two, job: str) -> None:
    here, there = two
    (here.path / job).mkdir()
    (here.path / job / "a.log").write_text("a")
    os.setxattr(here.path / job, "user.team", job.encode())
    here.flush()
    eventually(lambda: os.listdir(there.path / job), ["a.log"])
    os.setxattr(here.path / job, "user.mountfs.pinned", b"1")
    here.flush()
    mountfs(there, "cleanup", "--tag", f"team={job}")
    assert os.listdir(there.path / job) == ["a.log"]
