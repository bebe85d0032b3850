"""S3 hangs, and nobody else does: what waits, for how long, and what never waits at all.

Times are medians of many: a busy machine must not fail what a hanging bucket would not.
"""

import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.proxy import Hang, Refuse
from tests.s3.conftest import ExpectedLog
from tests.s3.two import Machine, Machines, Two, wait_until

pytestmark = pytest.mark.usefixtures("unmeasured")

LOOK_SECONDS = 1.0
SLACK_SECONDS = 0.5
AFTERWARDS_SECONDS = 0.05
FIRST_READ_SECONDS = 0.1
UNKNOWN = 20
READERS = 40


@pytest.fixture(autouse=True)
def _told(expected_log: ExpectedLog) -> None:
    expected_log(r"does not answer|is not in the bucket|without the bucket")


def seconds(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def listed(directory: Path) -> None:
    """A lazy `ls` of the root that cannot finish says so; it never shows some of the jobs."""
    with contextlib.suppress(TimeoutError):
        os.listdir(directory)


@pytest.fixture
def hanging(two: Two, job: str) -> Machine:
    """A machine with a job in the bucket, which hangs."""
    machine = two[0]
    (machine.path / job).mkdir()
    (machine.path / job / "file").write_bytes(b"here")
    machine.flush()
    machine.proxy.forget()
    machine.proxy.rule(Hang())
    return machine


def test_ls_and_mkdir_answer_in_time_while_unknown_jobs_are_looked_at(hanging: Machine, job: str) -> None:
    command = [sys.executable, "-c", "import os, sys; print(os.path.exists(sys.argv[1]))"]
    looking = [
        subprocess.Popen([*command, str(hanging.path / f"unknown-{n}")], stdout=subprocess.PIPE) for n in range(UNKNOWN)
    ]
    wait_until(lambda: any("unknown" in one.target for one in hanging.proxy.asked), "the first look is under way")
    first_ls = seconds(lambda: listed(hanging.path))
    first_mkdir = seconds((hanging.path / "new").mkdir)
    assert first_ls <= LOOK_SECONDS + SLACK_SECONDS
    assert first_mkdir <= LOOK_SECONDS + SLACK_SECONDS
    assert [process.communicate()[0].strip() for process in looking] == [b"False"] * UNKNOWN
    afterwards = [seconds((hanging.path / f"new-{n}").mkdir) for n in range(15)]
    afterwards += [seconds(lambda: listed(hanging.path)) for _ in range(15)]
    assert statistics.median(afterwards) <= AFTERWARDS_SECONDS
    assert (hanging.path / job / "file").read_bytes() == b"here"


def test_writing_and_removing_go_on(hanging: Machine, job: str) -> None:
    def work() -> None:
        directory = hanging.path / job / "more"
        directory.mkdir()
        (directory / "file").write_bytes(b"written")
        os.rename(directory / "file", directory / "renamed")
        os.setxattr(directory / "renamed", "user.pr", b"1")
        assert (directory / "renamed").read_bytes() == b"written"
        (directory / "renamed").unlink()
        directory.rmdir()

    work()
    assert statistics.median(seconds(work) for _ in range(10)) <= 5 * AFTERWARDS_SECONDS


def test_many_who_wait_for_the_bucket_do_not_hold_up_a_reader_of_what_is_here(
    two: Two, beside: Machines, job: str
) -> None:
    writer, reader = two[0], beside(settings={"sync": {"patience_seconds": "4s"}})
    names = [f"{job}-{n % 4}/uncached-{n}" for n in range(READERS - 1)] + [f"{job}-0/large"]
    for name in names:
        (writer.path / name).parent.mkdir(exist_ok=True)
        (writer.path / name).write_bytes(os.urandom((6 << 20) if name.endswith("large") else 20_000))
    writer.flush()
    cached = [reader.path / f"{job}-cached" / str(number) for number in range(15)]
    cached[0].parent.mkdir()
    for path in cached:
        path.write_bytes(os.urandom(50_000))
    reader.flush()
    reader.restart()  # nothing is in the kernel's memory
    for number in range(4):
        assert len(os.listdir(reader.path / f"{job}-{number}")) >= READERS // 4 - 1
    reader.proxy.forget()
    reader.proxy.rule(Hang())
    readers = [
        subprocess.Popen(["cat", str(reader.path / name)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for name in names
    ]
    wait_until(lambda: hung_reads(reader) >= 4, "they wait")
    times = [seconds(path.read_bytes) for path in cached]
    assert any(process.poll() is None for process in readers), "they still waited meanwhile"
    assert statistics.median(times) <= FIRST_READ_SECONDS
    for process in readers:
        assert b"timed out" in process.communicate()[1]


def hung_reads(machine: Machine) -> int:
    asked = machine.proxy.counted()
    return asked["GET", "range"] + asked["GET", "object"]


def test_a_reader_of_what_is_not_here_is_told_at_once_while_the_bucket_counts_as_down(two: Two, job: str) -> None:
    writer, reader = two
    (writer.path / job).mkdir()
    for number in range(3):
        (writer.path / job / str(number)).write_bytes(os.urandom(1000))
    writer.flush()
    assert len(os.listdir(reader.path / job)) == 3
    reader.proxy.rule(Hang())
    with pytest.raises(TimeoutError):
        (reader.path / job / "0").read_bytes()
    wait_until(lambda: reader.bucket_status()["down"] is not None, "the bucket counts as down")

    def told() -> None:
        with pytest.raises(TimeoutError):
            (reader.path / job / "1").read_bytes()

    assert statistics.median(seconds(told) for _ in range(10)) <= AFTERWARDS_SECONDS


@pytest.mark.parametrize(
    "asked", [("pin",), ("tag", "a=b"), ("list",), ("show",), ("delete",), ("exists",)], ids=lambda asked: asked[0]
)
def test_of_a_job_that_is_not_known_here_nobody_says_that_there_is_none(
    two: Two, job: str, asked: tuple[str, ...]
) -> None:
    """The bucket may have it."""
    machine = two[0]
    machine.proxy.rule(Refuse())
    listed(machine.path)
    wait_until(lambda: machine.bucket_status()["down"] is not None, "the bucket counts as down")
    said = machine.mountfs(asked[0], f"{job}-of-others", *asked[1:])
    assert said.returncode == 5, said.stderr
    assert "not known here" in said.stderr or "does not answer" in said.stderr or "no answer" in said.stderr


def test_who_asks_for_the_latest_of_a_branch_hears_what_is_not_known(two: Two, job: str) -> None:
    machine = two[0]
    machine.proxy.rule(Refuse())
    said = machine.mountfs("get", "--branch", "main", "--latest", "-o", "-")
    assert said.returncode == 5, said.stderr
    assert "jobs with branch=main cannot be looked for" in said.stderr
