"""How the nearest neighbour loses data: each thing that was done to it, done to us, and what must happen here."""

import errno
import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults.proxy import Hang, Refuse, Status
from tests.mounting import disk_of
from tests.s3.conftest import ExpectedLog
from tests.s3.two import Machine, Machines, wait_until

pytestmark = pytest.mark.usefixtures("unmeasured")

MIB = 1 << 20
CACHE_BYTES = 6 * MIB
DISK_BYTES = 48 * MIB
END_SECONDS = 15
SMALL_CACHE = {"cache": {"max_size": CACHE_BYTES}, "compression": {"enabled": False}}


@pytest.fixture(autouse=True)
def _told(expected_log: ExpectedLog) -> None:
    """A bucket that fails is said in the log."""
    expected_log(r"does not answer|is not in the bucket|without the bucket|could not be refreshed")


def filled(directory: Path, count: int, *, seed: int = 1, size: int = 40_000) -> dict[Path, bytes]:
    """So many files of bytes that do not compress, written and closed; those of `acknowledged` close only."""
    rng = random.Random(seed)
    contents: dict[Path, bytes] = {}
    directory.mkdir(exist_ok=True)
    for number in range(count):
        path = directory / f"{seed}-{number}"
        contents[path] = rng.randbytes(size)
        path.write_bytes(contents[path])
    return contents


def written_until_full(directory: Path, *, most_bytes: int) -> dict[Path, bytes]:
    """Files of 1 MiB until a writer is told that there is no room; those that were closed before."""
    contents: dict[Path, bytes] = {}
    for number in range(most_bytes // MIB):
        try:
            contents |= filled(directory, 1, seed=number, size=MIB)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            return contents
    pytest.fail(f"{most_bytes} bytes found room")


def seconds_until_told(write: Path, data: bytes) -> float:
    """How long a writer waits until he hears that there is no room."""
    began = time.monotonic()
    with pytest.raises(OSError, match="No space left on device"):
        write.write_bytes(data)
    return time.monotonic() - began


def read_all(contents: dict[Path, bytes]) -> None:
    assert {path: path.read_bytes() for path in contents} == contents


def seen_by(other: Machine, machine: Machine, contents: dict[Path, bytes]) -> None:
    """What `machine` acknowledged, read by another from the bucket alone."""
    read_all({other.path / path.relative_to(machine.path): data for path, data in contents.items()})


def test_s3_hangs_and_the_daemon_is_killed_during_upload(beside: Machines, elsewhere: Machine, job: str) -> None:
    machine = beside()
    hanging = machine.proxy.rule(Hang(), method="PUT", path="jobs/")
    contents = filled(machine.path / job, 20)
    synced = machine.path / job / "synced"
    with synced.open("wb") as file:
        file.write(b"fsynced")
        file.flush()
        os.fsync(file.fileno())
    contents[synced] = b"fsynced"
    assert hanging.reached.wait(10), "the upload has begun"
    machine.kill()
    machine.proxy.clear()
    machine.start()
    read_all(contents)
    machine.flush()
    seen_by(elsewhere, machine, contents)


@pytest.mark.parametrize(
    "refusal", [Status(403, "AccessDenied"), Status(507, "InsufficientStorage")], ids=["403", "507"]
)
def test_s3_refuses_and_the_mount_serves_on_with_the_work_parked_until_asked(
    beside: Machines, elsewhere: Machine, job: str, refusal: Status
) -> None:
    machine = beside()
    machine.proxy.rule(refusal, method="PUT")
    contents = filled(machine.path / job, 3)
    wait_until(lambda: bool(machine.bucket_status()["failed"]), "the refusal is in the status")
    assert all(os.getxattr(path, "user.mountfs.state") == b"failed" for path in contents)
    assert refusal.code in str(machine.bucket_status()["failed"])
    contents |= filled(machine.path / f"{job}-more", 3, seed=2)
    read_all(contents)
    machine.proxy.clear()
    asked = machine.mountfs("flush")
    assert asked.returncode == 0, asked.stderr
    assert machine.bucket_status()["failed"] == []
    assert all(os.getxattr(path, "user.mountfs.state") == b"remote" for path in contents)
    seen_by(elsewhere, machine, contents)


def test_flush_says_no_while_s3_refuses(beside: Machines, job: str) -> None:
    machine = beside()
    machine.proxy.rule(Status(403, "AccessDenied"), method="PUT")
    filled(machine.path / job, 1)
    asked = machine.mountfs("flush")
    assert asked.returncode == 6
    assert "AccessDenied" in asked.stderr


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own for a state directory; needs root, or sudo without a password."""
    with disk_of(DISK_BYTES, tmp_path / "disk") as disk:
        yield disk


def test_the_disk_of_the_cache_is_full(
    small_disk: Path, beside: Machines, elsewhere: Machine, job: str, expected_log: ExpectedLog
) -> None:
    expected_log(r"(?i)no space|disk|full|room")
    machine = beside(settings={"compression": {"enabled": False}}, start=False)
    machine.state = small_disk / "state"
    machine.start()
    machine.proxy.rule(Refuse())
    directory = machine.path / job
    contents = written_until_full(directory, most_bytes=DISK_BYTES)
    machine.assert_alive()
    read_all(contents)
    machine.proxy.clear()
    machine.flush()
    again = {
        path: data for number in range(100, 110) for path, data in filled(directory, 1, seed=number, size=MIB).items()
    }
    read_all(again)
    machine.flush()
    seen_by(elsewhere, machine, contents | again)


def test_s3_refuses_connections_and_a_full_cache_says_so_at_once(beside: Machines, job: str) -> None:
    machine = beside(settings=SMALL_CACHE)
    machine.proxy.rule(Refuse())
    directory = machine.path / job
    contents = written_until_full(directory, most_bytes=2 * CACHE_BYTES)
    wait_until(lambda: machine.bucket_status()["down"] is not None, "the bucket counts as down")
    assert seconds_until_told(directory / "more", os.urandom(3 * MIB)) < 1
    read_all(contents)
    machine.proxy.clear()
    machine.flush()
    read_all(contents)


def test_s3_hangs_on_a_read(beside: Machines, elsewhere: Machine, job: str) -> None:
    writer, reader = elsewhere, beside()
    contents = filled(writer.path / job, 2)
    writer.flush()
    cached, uncached = (reader.path / path.relative_to(writer.path) for path in contents)
    assert sorted(os.listdir(cached.parent)) == sorted([cached.name, uncached.name])
    assert cached.read_bytes()
    reader.proxy.rule(Hang())
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        uncached.read_bytes()
    assert time.monotonic() - began < 4, "the patience of the settings is 2 s"
    assert cached.read_bytes() == contents[writer.path / job / cached.name]
    assert len(os.listdir(cached.parent)) == 2
    reader.proxy.clear()
    wait_until(lambda: _reads(uncached), "the bucket is asked again")


def _reads(path: Path) -> bool:
    try:
        return bool(path.read_bytes())
    except OSError:
        return False


def test_sigterm_while_idle_is_a_clean_end_with_everything_durable(beside: Machines, job: str) -> None:
    machine = beside()
    contents = filled(machine.path / job, 5)
    assert ended_by_sigterm(machine) < END_SECONDS
    machine.start()
    read_all(contents)


def test_sigterm_while_s3_hangs_ends_in_time_and_keeps_the_queue(
    beside: Machines, elsewhere: Machine, job: str
) -> None:
    machine = beside()
    hanging = machine.proxy.rule(Hang())
    contents = filled(machine.path / job, 5)
    assert hanging.reached.wait(10), "the upload has begun"
    assert ended_by_sigterm(machine) < END_SECONDS
    machine.proxy.clear()
    machine.start()
    read_all(contents)
    machine.flush()
    seen_by(elsewhere, machine, contents)


def ended_by_sigterm(machine: Machine) -> float:
    """Seconds that the daemon took to end, with 0."""
    began = time.monotonic()
    machine.end(signal.SIGTERM)
    return time.monotonic() - began


def test_a_cache_smaller_than_the_working_set_makes_room_before_the_writer_needs_it(beside: Machines, job: str) -> None:
    machine = beside(settings=SMALL_CACHE)
    contents: dict[Path, bytes] = {}
    for number in range(4 * CACHE_BYTES // MIB):
        contents |= filled(machine.path / job, 4, seed=number, size=MIB // 4)
    machine.flush()
    assert int(str(machine.status()["stored_bytes"])) >= 4 * CACHE_BYTES
    wait_until(lambda: held_bytes(machine.state) < CACHE_BYTES + 4 * MIB, "the cache is within its budget")
    read_all(contents)


def held_bytes(directory: Path) -> int:
    """What the contents below a state directory take on the disk."""
    return sum(path.stat().st_blocks * 512 for path in directory.rglob("*") if path.is_file() and "db" not in path.name)


def free_bytes(disk: Path) -> int:
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize


def test_a_disk_full_of_what_the_bucket_has_is_no_trap(
    small_disk: Path, beside: Machines, job: str, expected_log: ExpectedLog
) -> None:
    """Written and read back again and again, then somebody else fills the disk, and goes."""
    expected_log(r"(?i)no space|disk|full|room")
    machine = beside(settings={"compression": {"enabled": False}}, start=False)
    machine.state = small_disk / "state"
    machine.start()
    directory = machine.path / job
    contents: dict[Path, bytes] = {}
    for number in range(8):
        contents |= filled(directory, 1, seed=number, size=8 * MIB)
        machine.flush()
    read_all(contents)
    assert free_bytes(small_disk) > 2 * MIB
    other = small_disk / "other"
    with other.open("wb", buffering=0) as filling, suppress(OSError):
        while filling.write(bytes(MIB // 16)):
            pass
    with suppress(OSError):
        (directory / "one-more").write_bytes(os.urandom(MIB))
    wait_until(lambda: free_bytes(small_disk) > MIB, "what the bucket has makes room")
    first, *rest = contents
    first.unlink()
    assert set(os.listdir(directory)) >= {path.name for path in rest}
    other.unlink()
    wait_until((machine.state / "ballast").exists, "the ballast is back")
    read_all({path: contents[path] for path in rest})
    asked = [machine.mountfs(command) for command in ("evict", "flush")]
    assert [done.returncode for done in asked] == [0, 0], [done.stderr for done in asked]
    machine.restart()
    read_all({path: contents[path] for path in rest})


def test_a_content_that_finds_no_room_is_told_so_and_not_as_damage(
    small_disk: Path, beside: Machines, elsewhere: Machine, job: str, expected_log: ExpectedLog
) -> None:
    expected_log(r"(?i)no space|disk|full|room")
    contents = filled(elsewhere.path / job, 1, size=8 * MIB)
    elsewhere.flush()
    machine = beside(settings={"compression": {"enabled": False}}, start=False)
    machine.state = small_disk / "state"
    machine.start()
    (path,) = (machine.path / path.relative_to(elsewhere.path) for path in contents)
    machine.proxy.rule(Status(403, "AccessDenied"), method="PUT")
    written_until_full(machine.path / f"{job}-own", most_bytes=DISK_BYTES)
    with pytest.raises(OSError, match="No space left on device"):
        path.read_bytes()
    assert machine.status()["damaged"] == 0
    machine.proxy.clear()
