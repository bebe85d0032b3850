"""The cache of a mount: what is evicted and brought back, when a writer waits for room, and what he never waits for."""

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.proxy import Hang, Refuse, SlowRequest
from tests.s3.conftest import Claims, ExpectedLog
from tests.s3.two import Machine, Machines, wait_until

pytestmark = pytest.mark.usefixtures("unmeasured")

MIB = 1 << 20
CACHE_BYTES = 8 * MIB
SMALL = {"cache": {"max_size": CACHE_BYTES}, "compression": {"enabled": False}}


@pytest.fixture(scope="module")
def machine(shared_machines: Machines) -> Machine:
    return shared_machines(settings=SMALL)


@pytest.fixture(autouse=True)
def _ends_well(shared_machines: Machines, _claims: Claims) -> Iterator[None]:
    """No fault outlives its test, and no complaint that the test did not expect."""
    yield
    for made in shared_machines.made:
        made.proxy.clear()
    assert shared_machines.complaints(_claims) == []


def write(machine: Machine, name: str, size: int) -> tuple[Path, bytes]:
    path, data = machine.path / name, os.urandom(size)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path, data


def evicted(machine: Machine, *arguments: str) -> dict[str, dict[str, object]]:
    """By key, what `mountfs evict` said of it; its sums under ""."""
    done = machine.mountfs("evict", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {str(line.get("key", "")): line for line in lines}


def empty(machine: Machine) -> None:
    """Everything is in the bucket, and nothing here."""
    assert machine.mountfs("flush").returncode == 0
    evicted(machine)
    assert machine.bucket_status()["here"] == 0


def fetched(machine: Machine) -> list[str]:
    """Requests for objects since the last `forget`."""
    return [asked.target for asked in machine.proxy.asked if asked.method == "GET" and asked.kind != "list"]


# -- evict ------------------------------------------------------------------------------------------------------


def test_what_was_evicted_is_remote_still_and_read_again_from_the_bucket(machine: Machine, job: str) -> None:
    small, small_data = write(machine, f"{job}/small", 1000)
    large, large_data = write(machine, f"{job}/large", 5 * MIB)
    empty(machine)
    assert small.stat().st_size == 1000
    assert os.getxattr(small, "user.mountfs.state") == b"remote"
    assert small.read_bytes() == small_data
    assert large.read_bytes() == large_data


def test_a_dry_run_says_what_would_go_and_why_the_rest_stays(machine: Machine, job: str) -> None:
    write(machine, f"{job}/file", 1000)
    pinned, _ = write(machine, f"{job}/pinned", 1001)
    os.setxattr(pinned, "user.mountfs.pinned", b"1")
    assert machine.mountfs("flush").returncode == 0
    said = evicted(machine, job, "--dry-run")
    assert said[f"{job}/file"]["reason"] == "the bucket has it"
    assert said[f"{job}/pinned"]["reason"] == "pinned"
    assert (said[""]["evicted"], said[""]["stays"], said[""]["dry_run"]) == (1, 1, True)
    done = evicted(machine, job)
    assert [key for key, line in done.items() if line["evicted"]] == [f"{job}/file", ""]
    machine.proxy.forget()
    assert len(pinned.read_bytes()) == 1001
    assert fetched(machine) == []
    os.removexattr(pinned, "user.mountfs.pinned")


def test_what_the_bucket_does_not_have_yet_is_not_evicted(machine: Machine, job: str) -> None:
    hanging = machine.proxy.rule(Hang(), method="PUT", path=f"jobs/{job}/")
    path, data = write(machine, f"{job}/file", 1000)
    assert hanging.reached.wait(20)
    assert evicted(machine, job)[f"{job}/file"]["reason"] == "the bucket does not have it yet"
    assert path.read_bytes() == data
    machine.proxy.clear()
    assert machine.mountfs("flush").returncode == 0


def test_an_open_handle_reads_on_what_was_evicted_although_the_bucket_hangs(machine: Machine, job: str) -> None:
    empty(machine)
    path, data = write(machine, f"{job}/file", 3 * MIB)
    assert machine.mountfs("flush").returncode == 0
    with open(path, "rb") as file:
        os.setxattr(path, "user.mountfs.evict", b"1")
        wait_until(lambda: machine.bucket_status()["here"] == 0, "it is evicted")
        machine.proxy.rule(Hang())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        assert file.read() == data
    machine.proxy.clear()


# -- prefetch ---------------------------------------------------------------------------------------------------


def test_a_job_is_prefetched_in_whole_bundles_and_read_without_a_request(machine: Machine, job: str) -> None:
    written = dict(write(machine, f"{job}/dir/{number}", 10_000) for number in range(100))
    empty(machine)
    machine.proxy.forget()
    done = machine.mountfs("prefetch", f"{job}/dir", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["files_here"] == 100
    assert len(fetched(machine)) <= 4, "bundles, not files"
    machine.proxy.rule(Refuse(), path="zip")
    assert {path: path.read_bytes() for path in written} == written


def test_a_fresh_machine_prefetches_a_job_that_it_never_looked_at(
    machine: Machine, shared_machines: Machines, job: str
) -> None:
    path, data = write(machine, f"{job}/file", 2 * MIB)
    assert machine.mountfs("flush").returncode == 0
    fresh = shared_machines(settings=SMALL)
    done = fresh.mountfs("prefetch", job)
    assert (done.returncode, done.stdout) == (0, "fetched 1 files, 2.0 MiB\n"), done.stderr
    fresh.proxy.rule(Refuse(), path="zip|zst")
    assert (fresh.path / job / "file").read_bytes() == data
    assert fresh.mountfs("prefetch", "no-such-job").returncode == 3
    assert path.exists()


def test_more_than_the_cache_keeps_is_not_prefetched(machine: Machine, job: str) -> None:
    for number in range(3):
        write(machine, f"{job}/{number}", 3 * MIB)
        assert machine.mountfs("flush").returncode == 0
    evicted(machine)
    done = machine.mountfs("prefetch", job)
    assert done.returncode == 5
    assert "cache.max_size" in done.stderr


def test_requests_by_xattr_evict_and_prefetch_a_directory(machine: Machine, job: str) -> None:
    write(machine, f"{job}/dir/one", MIB)
    write(machine, f"{job}/two", MIB)
    empty(machine)
    os.setxattr(machine.path / job, "user.mountfs.prefetch", b"1")
    wait_until(lambda: machine.bucket_status()["here"] == 2 * MIB, "both came")
    os.setxattr(machine.path / job / "dir", "user.mountfs.evict", b"1")
    wait_until(lambda: machine.bucket_status()["here"] == MIB, "one went")


# -- room -------------------------------------------------------------------------------------------------------


def test_a_writer_waits_for_room_while_uploads_go_on(machine: Machine, job: str) -> None:
    empty(machine)
    machine.proxy.rule(SlowRequest(8 * MIB), method="PUT")
    for number in range(3 * CACHE_BYTES // MIB):
        write(machine, f"{job}/{number}", MIB)
    found = machine.bucket_status()
    assert int(str(found["here"])) + int(str(found["drafts"])) <= CACHE_BYTES
    machine.proxy.clear()
    assert machine.mountfs("flush").returncode == 0


def test_a_file_larger_than_the_cache_is_refused_at_once(machine: Machine, job: str) -> None:
    empty(machine)
    (machine.path / job).mkdir()
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        write(machine, f"{job}/file", CACHE_BYTES + MIB)
    (machine.path / job / "file").unlink()
    assert "refused" in machine.mountfs("status").stdout


def test_what_was_removed_before_it_was_uploaded_is_in_nobodys_way(
    machine: Machine, job: str, expected_log: ExpectedLog
) -> None:
    expected_log(r"does not answer|is not in the bucket")
    empty(machine)
    machine.proxy.rule(Refuse())
    for number in range(4):
        path, _ = write(machine, f"{job}/{number}", 3 * MIB)
        machine.settle()
        path.unlink()
    machine.proxy.clear()


def test_status_says_how_full_the_cache_is(machine: Machine) -> None:
    assert "of 8.0 MiB" in machine.mountfs("status").stdout
