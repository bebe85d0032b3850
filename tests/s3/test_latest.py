"""`.latest/` on a machine that knows few jobs: the bucket's heads tell of the others, and nobody waits for long."""

import errno
import os
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.proxy import Hang
from tests.s3.conftest import Claims, ExpectedLog, lent
from tests.s3.program import Program, storage_of
from tests.s3.test_request_counts import PATIENT, flushed
from tests.s3.two import Machine, Machines, Two, eventually, wait_until

pytestmark = pytest.mark.usefixtures("unmeasured")

OTHERS = 12
MOST_REQUESTS = 11
LOOK_SECONDS = 1.0
SLACK_SECONDS = 1.0
AFTERWARDS_SECONDS = 0.1
STILL = {**PATIENT, "sync": {**PATIENT["sync"], "refresh_seconds": "60s", "mode": "lazy"}}


@pytest.fixture
def writer(shared_machines: Machines, _claims: Claims) -> Iterator[Machine]:
    """A machine that has made jobs of `main`: many, a good one, and one that failed."""
    for two in lent(shared_machines, (0, 0), _claims):
        here = two[0]
        if not (here.path / "good").exists():
            for number in range(OTHERS):
                make(here, f"old-{number}", {"junit.xml": b"old", "old.log": b"old"})
            make(here, "good", {"junit.xml": b"good", "cov/a.xml": b"a", "cov/b.xml": b"b"}, commit=b"abcdef0123")
            make(here, "failed", {"junit.xml": b"failed"}, status=b"failed")
        yield here


def make(machine: Machine, job: str, files: dict[str, bytes], branch: bytes = b"main", **tags: bytes) -> None:
    (machine.path / job).mkdir()
    for key, value in {"branch": branch, **tags}.items():
        os.setxattr(machine.path / job, f"user.{key}", value)
    for name, content in files.items():
        (machine.path / job / name).parent.mkdir(exist_ok=True)
        (machine.path / job / name).write_bytes(content)
    flushed(machine)


def latest(machine: Machine, value: str = "main", key: str = "branch") -> Path:
    return machine.path / ".latest" / key / value


def test_a_fresh_lazy_machine_reads_the_latest_of_a_branch_in_few_requests(writer: Machine, beside: Machines) -> None:
    """F-103. Counted from the mount on; what was found once costs nothing for a while."""
    fresh = beside(settings=STILL)
    assert (latest(fresh) / "junit.xml").read_bytes() == b"good"
    assert os.readlink(latest(fresh) / "junit.xml") == "../../../good/junit.xml"
    asked = fresh.proxy.counted()
    print(f"the latest of a branch: {asked.total()} requests {dict(asked)}")
    assert asked.total() <= MOST_REQUESTS, [(one.method, one.target) for one in fresh.proxy.asked]
    fresh.proxy.forget()
    assert sorted(os.listdir(latest(fresh))) == [".job", "cov", "coverage-report", "junit.xml", "test-results"]
    assert (latest(fresh) / "junit.xml").read_bytes() == b"good"
    assert fresh.proxy.counted().total() == 0


def test_a_name_or_a_type_leads_into_the_newest_job_that_has_it(writer: Machine, beside: Machines) -> None:
    fresh = beside(settings=STILL)
    assert os.readlink(latest(fresh) / ".job") == "../../../good"
    assert os.readlink(latest(fresh) / "old.log") == f"../../../old-{OTHERS - 1}/old.log"
    assert os.readlink(latest(fresh) / "coverage-report") == "../../../good/cov"
    assert os.readlink(latest(fresh, "abcdef0123", "commit") / ".job") == "../../../good"
    assert not (latest(fresh) / "nobody-wrote-this").is_symlink()
    assert not (latest(fresh, "nobody") / ".job").is_symlink()


def test_what_another_machine_flushes_is_the_latest_soon(two: Two, job: str) -> None:
    here, there = two
    make(here, f"{job}-1", {"a.log": b"one"}, branch=job.encode())
    assert (latest(there, job) / "a.log").read_bytes() == b"one"
    make(here, f"{job}-2", {"a.log": b"two"}, branch=job.encode())
    eventually(lambda: (latest(there, job) / "a.log").read_bytes(), b"two")


def test_what_is_written_here_is_the_latest_at_once(two: Two, job: str) -> None:
    make(two[0], f"{job}-1", {"a.log": b"one"}, branch=job.encode())
    here = two[1]
    assert (latest(here, job) / "a.log").read_bytes() == b"one"
    (here.path / f"{job}-2").mkdir()
    os.setxattr(here.path / f"{job}-2", "user.branch", job.encode())
    (here.path / f"{job}-2" / "a.log").write_bytes(b"two")
    assert (latest(here, job) / "a.log").read_bytes() == b"two"
    os.setxattr(here.path / f"{job}-2", "user.status", b"failed")
    assert (latest(here, job) / "a.log").read_bytes() == b"one"


def test_a_job_whose_prefix_was_deleted_is_not_the_latest_although_its_head_is_there(
    two: Two, shared_machines: Machines, beside: Machines, job: str
) -> None:
    """Nothing rests on heads: what a job itself says decides."""
    for number in (1, 2):
        make(two[0], f"{job}-{number}", {"a.log": b"%d" % number}, branch=job.encode())
    remote = shared_machines.remote()
    keys = [found.key for found in remote.list(f"jobs/{job}-2/").objects]
    assert keys
    remote.delete(keys)
    fresh = beside()
    assert (latest(fresh, job) / "a.log").read_bytes() == b"1"


# -- mountfs get ------------------------------------------------------------------------------------------


def test_a_fresh_lazy_machine_gets_the_latest_of_a_branch_and_a_commit_in_few_requests(
    writer: Machine, beside: Machines, tmp_path: Path
) -> None:
    """F-102, F-103. Counted from the mount on."""
    fresh = beside(settings=STILL)
    done = fresh.mountfs("get", "--branch", "main", "--latest", "-o", str(tmp_path))
    assert "good: the newest successful job with branch=main" in done.stderr
    asked = fresh.proxy.counted()
    print(f"get of the latest: {asked.total()} requests {dict(asked)}")
    assert asked.total() <= MOST_REQUESTS, [(one.method, one.target) for one in fresh.proxy.asked]
    assert (tmp_path / "good" / "cov" / "b.xml").read_bytes() == b"b"
    fresh.proxy.forget()
    assert fresh.mountfs("get", "--commit", "abcde", "--type", "junit", "-o", "-").stdout == "good"
    assert fresh.proxy.counted().total() <= 3
    named = fresh.mountfs("get", "--branch", "main")
    assert (named.returncode, named.stdout) == (2, "")
    assert f"failed, good, old-{OTHERS - 1}" in named.stderr
    assert "and more" in named.stderr


def test_so_does_a_runner_that_cannot_mount(
    writer: Machine, shared_machines: Machines, beside: Machines, tmp_path: Path
) -> None:
    proxied = beside(start=False)
    storage = storage_of(shared_machines.bucket, endpoint_url=proxied.proxy.endpoint_url)
    runner = Program(tmp_path / "runner", storage, sync=STILL["sync"])
    runner("get", "--commit", "abcd", "-o", "out")
    asked = proxied.proxy.counted()
    print(f"without a mount: {asked.total()} requests {dict(asked)}")
    assert asked.total() <= MOST_REQUESTS, [(one.method, one.target) for one in proxied.proxy.asked]
    assert (tmp_path / "runner" / "out" / "junit.xml").read_bytes() == b"good"
    (said,) = runner.json("show", ".latest/branch/main/old.log")
    assert said["key"] == f"old-{OTHERS - 1}/old.log"
    assert runner.run("get", "--branch", "nobody", "--latest").returncode == 3


# -- the bucket hangs -------------------------------------------------------------------------------------


def refused(path: Path) -> float:
    """How long it took to be told that the bucket does not answer."""
    began = time.monotonic()
    with pytest.raises(OSError, match=r".") as raised:
        os.readlink(path)
    assert raised.value.errno == errno.ETIMEDOUT
    return time.monotonic() - began


def test_with_a_hanging_bucket_it_times_out_and_other_names_go_on(
    two: Two, job: str, expected_log: ExpectedLog
) -> None:
    expected_log(r"does not answer")
    machine = two[0]
    make(machine, job, {"a.log": b"here"}, branch=job.encode())
    machine.proxy.rule(Hang())
    assert refused(latest(machine, f"{job}-unknown") / ".job") <= LOOK_SECONDS + SLACK_SECONDS
    wait_until(lambda: machine.bucket_status()["down"] is not None, "the bucket counts as down")
    assert statistics.median(refused(latest(machine, job) / "a.log") for _ in range(10)) <= AFTERWARDS_SECONDS
    assert (machine.path / job / "a.log").read_bytes() == b"here"
    assert os.listdir(machine.path / ".by-branch" / job) == [job]


def test_while_it_is_asked_other_views_and_files_answer(two: Two, job: str, expected_log: ExpectedLog) -> None:
    expected_log(r"does not answer")
    machine = two[0]
    make(machine, job, {"a.log": b"here"}, branch=job.encode())
    machine.proxy.forget()
    machine.proxy.rule(Hang())
    waiting = [
        subprocess.Popen(["cat", str(latest(machine, f"{job}-{number}") / "x")], stderr=subprocess.PIPE)
        for number in range(20)
    ]
    wait_until(lambda: any("heads" in one.target for one in machine.proxy.asked), "the bucket is asked")
    began = time.monotonic()
    assert os.listdir(machine.path / ".by-branch" / job) == [job]
    assert (machine.path / job / "a.log").read_bytes() == b"here"
    assert time.monotonic() - began <= LOOK_SECONDS / 2
    assert any(process.poll() is None for process in waiting), "they still waited meanwhile"
    assert all(b"timed out" in process.communicate()[1] for process in waiting)
