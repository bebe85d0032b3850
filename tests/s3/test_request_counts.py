"""How many requests work costs, counted by the proxy: S3 is slow by the request, and paid by the request."""

import os
import random
import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from urllib.parse import unquote

import pytest

from tests.s3.conftest import Claims, lent
from tests.s3.two import Machine, Machines, Two

pytestmark = pytest.mark.usefixtures("unmeasured")

FILES = int(os.environ.get("COUNTED_FILES", "1000"))
FILE_BYTES = 10_000
UP_REQUESTS = 20
DOWN_REQUESTS = 40
FIRST_LISTS = 3  # of the job when it is first looked at, and once more around its first refresh
REFRESH_SECONDS = 2.0
SMALL_JOB_REQUESTS = 8
OTHERS = 30
FIRST_BYTE_REQUESTS = 4
PATIENT = {
    "sync": {
        "settle_seconds": "2s",
        "settle_max_seconds": "60s",
        "refresh_seconds": f"{REFRESH_SECONDS:g}s",
        "look_seconds": "3s",
        "patience_seconds": "30s",
    }
}


@pytest.fixture
def patient(shared_machines: Machines, _claims: Claims) -> Iterator[Two]:
    """Two machines of the module with settle times as people have them, and with no request counted yet."""
    while len(shared_machines.made) < 2:
        shared_machines(settings=PATIENT)
    for two in lent(shared_machines, (0, 0), _claims):
        for machine in two:
            machine.proxy.forget()
        yield two


def content_of(number: int) -> bytes:
    """10 KB of which a third is text."""
    noise = random.Random(number).randbytes(FILE_BYTES * 2 // 3)
    return noise + b"0123456789" * ((FILE_BYTES - len(noise)) // 10)


def requests(machine: Machine, job: str) -> Counter[tuple[str, str]]:
    """How many a machine made since they were forgotten, but for those about jobs of other tests."""
    asked = ((one, set(re.findall(r"job-\d+", unquote(one.target)))) for one in list(machine.proxy.asked))
    return Counter((one.method, one.kind) for one, jobs in asked if not jobs or job in jobs)


def flushed(machine: Machine) -> None:
    """Confirmed by the bucket, asked for as a CI job's last step does."""
    said = machine.mountfs("flush")
    assert said.returncode == 0, said.stderr


@pytest.mark.timeout(3600)
def test_ten_thousand_small_files_are_a_handful_of_requests_up_and_down(patient: Two, job: str) -> None:
    """As many files as the gate has time for, and the same limits; all 10,000 in the soak."""
    writer, reader = patient
    (writer.path / job).mkdir()
    for number in range(FILES):
        (writer.path / job / f"{number}.txt").write_bytes(content_of(number))
    flushed(writer)
    up = requests(writer, job)
    began = time.monotonic()
    wrong = [n for n in range(FILES) if (reader.path / job / f"{n}.txt").read_bytes() != content_of(n)]
    seconds = time.monotonic() - began
    down = requests(reader, job)
    print(f"{FILES} files: {up.total()} requests up {dict(up)}, {down.total()} down {dict(down)} in {seconds:.0f} s")
    assert wrong == []
    assert up.total() <= UP_REQUESTS
    assert down["GET", "list"] <= FIRST_LISTS + seconds / REFRESH_SECONDS, "one each time that the job is refreshed"
    assert down.total() - down["GET", "list"] <= DOWN_REQUESTS - FIRST_LISTS
    assert set(whole_bundles(reader, job).values()) == {1}, "no bundle is fetched twice"


def whole_bundles(machine: Machine, job: str) -> Counter[str]:
    """How often each bundle of a job was fetched whole."""
    asked = [one for one in list(machine.proxy.asked) if one.method == "GET" and one.kind == "object"]
    return Counter(one.target for one in asked if f"/{job}/" in one.target and ".zip" in one.target)


def test_reading_in_any_order_by_many_costs_no_more(patient: Two, job: str) -> None:
    writer, reader = patient
    (writer.path / job).mkdir()
    numbers = list(range(200))
    for number in numbers:
        (writer.path / job / str(number)).write_bytes(content_of(number))
    flushed(writer)
    random.Random(1).shuffle(numbers)
    readers = [
        subprocess.Popen(["cat", *(str(reader.path / job / str(n)) for n in numbers[k::8])], stdout=subprocess.DEVNULL)
        for k in range(8)
    ]
    assert [process.wait() for process in readers] == [0] * 8
    down = requests(reader, job)
    assert down.total() - down["GET", "list"] <= 4, dict(down)


def test_a_small_job_of_a_runner_costs_eight_requests_however_many_jobs_there_are(
    patient: Two, beside: Machines, job: str
) -> None:
    """From mount to `umount --wait`."""
    for number in range(OTHERS):
        (patient[0].path / f"other-{number}").mkdir()
        (patient[0].path / f"other-{number}/file").write_bytes(b"x")
    flushed(patient[0])
    runner = beside(settings=PATIENT)
    (runner.path / job).mkdir()
    for name, value in (("branch", b"main"), ("commit", b"0123abcd"), ("pr", b"12")):
        os.setxattr(runner.path / job, f"user.{name}", value)
    (runner.path / job / "junit.xml").write_bytes(b"<testsuite/>")
    (runner.path / job / "coverage").mkdir()
    (runner.path / job / "coverage/index.html").write_bytes(b"<html/>" * 1000)
    said = runner.mountfs("umount", "--wait")
    assert said.returncode == 0, said.stderr
    runner.ended("after umount --wait")
    asked = runner.proxy.counted()
    print(f"a small job: {asked.total()} requests {dict(asked)}")
    assert asked.total() <= SMALL_JOB_REQUESTS, dict(asked)
    assert (patient[1].path / job / "coverage/index.html").read_bytes() == b"<html/>" * 1000


def test_who_only_writes_costs_no_looks(beside: Machines, job: str) -> None:
    """The kernel looks for each name before it makes it; that is no look at what others wrote."""
    quick = {"refresh_seconds": "50ms", "settle_seconds": "10ms", "settle_max_seconds": "50ms"}
    machine = beside(settings={"sync": quick})
    (machine.path / job).mkdir()
    machine.flush()
    before = requests(machine, job)["GET", "list"]
    for number in range(300):
        (machine.path / job / f"{number}").write_bytes(b"x")
    machine.flush()
    assert requests(machine, job)["GET", "list"] - before <= 5


def test_the_first_byte_of_a_large_artifact_costs_four_requests(patient: Two, job: str) -> None:
    writer, reader = patient
    (writer.path / job).mkdir()
    (writer.path / job / "large").write_bytes(random.Random(1).randbytes(24 << 20))
    flushed(writer)
    fd = os.open(reader.path / job / "large", os.O_RDONLY)
    first = os.pread(fd, 1, 0)
    asked = requests(reader, job)
    os.close(fd)
    assert first == (writer.path / job / "large").read_bytes()[:1]
    assert asked.total() <= FIRST_BYTE_REQUESTS, dict(asked)
