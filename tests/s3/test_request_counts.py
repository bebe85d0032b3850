"""How many requests work costs, counted by the proxy: S3 is slow by the request, and paid by the request."""

import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.s3.two import Machine, Machines

pytestmark = pytest.mark.usefixtures("unmeasured")

FILES = int(os.environ.get("COUNTED_FILES", "1000"))
FILE_BYTES = 10_000
UP_REQUESTS = 20
DOWN_REQUESTS = 40
SMALL_JOB_REQUESTS = 8
FIRST_BYTE_REQUESTS = 4
PATIENT = {"sync": {"settle_seconds": "2s", "settle_max_seconds": "60s", "refresh_seconds": "2s", "look_seconds": "3s"}}


def content_of(number: int) -> bytes:
    """10 KB of which a third is text."""
    noise = random.Random(number).randbytes(FILE_BYTES * 2 // 3)
    return noise + b"0123456789" * ((FILE_BYTES - len(noise)) // 10)


def requests(machine: Machine) -> Counter[tuple[str, str]]:
    return machine.proxy.counted()


def test_ten_thousand_small_files_are_a_handful_of_requests_up_and_down(make_machine: Machines) -> None:
    """As many files as the gate has time for, and the same limits; all 10,000 in the soak."""
    writer, reader = make_machine(settings=PATIENT), make_machine(settings=PATIENT)
    job = writer.path / "job"
    job.mkdir()
    for number in range(FILES):
        (job / f"{number}.txt").write_bytes(content_of(number))
    flushed(writer)
    up = requests(writer)
    reader.proxy.forget()
    wrong = [n for n in range(FILES) if (reader.path / "job" / f"{n}.txt").read_bytes() != content_of(n)]
    down = requests(reader)
    print(f"{FILES} files: {up.total()} requests up {dict(up)}, {down.total()} down {dict(down)}")
    assert wrong == []
    assert up.total() <= UP_REQUESTS
    assert down.total() <= DOWN_REQUESTS


def test_reading_in_any_order_costs_no_more(make_machine: Machines) -> None:
    writer, reader = make_machine(settings=PATIENT), make_machine(settings=PATIENT)
    (writer.path / "job").mkdir()
    numbers = list(range(200))
    for number in numbers:
        (writer.path / "job" / str(number)).write_bytes(content_of(number))
    flushed(writer)
    reader.proxy.forget()
    random.Random(1).shuffle(numbers)
    readers = [
        subprocess.Popen(
            ["cat", *(str(reader.path / "job" / str(n)) for n in numbers[k::8])], stdout=subprocess.DEVNULL
        )
        for k in range(8)
    ]
    assert [process.wait() for process in readers] == [0] * 8
    assert requests(reader).total() <= 8, dict(requests(reader))


@pytest.mark.parametrize("others", [0, 30])
def test_a_small_job_of_a_runner_costs_eight_requests_however_many_jobs_there_are(
    make_machine: Machines, others: int
) -> None:
    elsewhere = make_machine()
    for number in range(others):
        (elsewhere.path / f"other-{number}").mkdir()
        (elsewhere.path / f"other-{number}/file").write_bytes(b"x")
    elsewhere.flush()
    runner = make_machine(settings=PATIENT, start=False)
    runner.start()
    job = runner.path / "build-7"
    job.mkdir()
    for name, value in (("branch", b"main"), ("commit", b"0123abcd"), ("pr", b"12")):
        os.setxattr(job, f"user.{name}", value)
    (job / "junit.xml").write_bytes(b"<testsuite/>")
    (job / "coverage").mkdir()
    (job / "coverage/index.html").write_bytes(b"<html/>" * 1000)
    flushed(runner)
    runner.stop()
    assert requests(runner).total() <= SMALL_JOB_REQUESTS, dict(requests(runner))


def test_who_only_writes_costs_no_looks(make_machine: Machines) -> None:
    """The kernel looks for each name before it makes it; that is no look at what others wrote."""
    quick = {"refresh_seconds": "50ms", "settle_seconds": "10ms", "settle_max_seconds": "50ms"}
    machine = make_machine(settings={"sync": quick})
    job = machine.path / "job"
    job.mkdir()
    machine.flush()
    before = requests(machine)["GET", "list"]
    for number in range(300):
        (job / f"{number}").write_bytes(b"x")
    machine.flush()
    assert requests(machine)["GET", "list"] - before <= 2


def test_the_first_byte_of_a_large_artifact_costs_four_requests(make_machine: Machines) -> None:
    writer, reader = make_machine(), make_machine()
    (writer.path / "job").mkdir()
    (writer.path / "job/large").write_bytes(random.Random(1).randbytes(24 << 20))
    writer.flush()
    reader.proxy.forget()
    fd = os.open(reader.path / "job/large", os.O_RDONLY)
    first = os.pread(fd, 1, 0)
    asked = [one for one in reader.proxy.asked]
    os.close(fd)
    assert first == (writer.path / "job/large").read_bytes()[:1]
    assert len(asked) <= FIRST_BYTE_REQUESTS, asked


def flushed(machine: Machine) -> None:
    """All of it confirmed, asked for as a CI job's last step does."""
    machine.flush()
