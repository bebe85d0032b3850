"""A disk full of what the bucket has, or of what others wrote: the store goes on, and says what it lacks."""

import contextlib
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mountfs.bucket import fetching
from mountfs.bucket.gathering import fetch_content
from mountfs.bucket.ground import LARGE_BYTES
from mountfs.bucket.reading import refresh
from mountfs.bucket.requests import drive
from mountfs.contents import pwrite_all
from mountfs.errors import CacheFull
from mountfs.model import Place
from mountfs.remote.protocol import Fetched
from mountfs.store.room import Room
from mountfs.store.store import CarryOver
from mountfs.transfers.scratch import Into
from tests.bucket.machines import Machine, SetClock
from tests.bucket.simulated import SimulatedBucket
from tests.mounting import disk_of

MIB = 1 << 20
DISK_BYTES = 16 * MIB
FILES = 8
FILE_BYTES = 2 * MIB


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own; needs root, or sudo without a password."""
    with disk_of(DISK_BYTES, tmp_path / "disk") as disk:
        yield disk


@pytest.fixture
def small(small_disk: Path, bucket: SimulatedBucket) -> Iterator[Machine]:
    """A machine whose state lies on the small disk."""
    machine = Machine(small_disk / "state", bucket, SetClock(lambda: bucket.now_ms), compress=False)
    yield machine
    (small_disk / "other").unlink(missing_ok=True)
    machine.close()


@pytest.fixture
def others(make_machine: Callable[..., Machine]) -> Machine:
    """A machine with room, whose job holds more than the small disk."""
    machine = make_machine(compress=False)
    for number in range(FILES):
        machine.write(f"job/{number}", data_of(number))
        machine.publish("job")
    return machine


def data_of(number: int, size: int = FILE_BYTES) -> bytes:
    return random.Random(number).randbytes(size)


def free_bytes(machine: Machine) -> int:
    found = os.statvfs(machine.path)
    return found.f_bavail * found.f_frsize


def fill_disk(machine: Machine) -> Path:
    """Another program takes all that is left."""
    path = machine.path.parent / "other"
    with path.open("wb", buffering=0) as other:
        for piece in (MIB, 4096):
            with contextlib.suppress(OSError):
                while other.write(bytes(piece)):
                    pass
    assert free_bytes(machine) == 0
    return path


def write_until_full(machine: Machine, *, size: int) -> None:
    """Contents that the bucket lacks, until there is no room."""
    with contextlib.suppress(CacheFull):
        for number in range(100):
            machine.write(f"own/{number}", data_of(100 + number, size))
        pytest.fail("all of it found room")


def known(machine: Machine) -> Machine:
    drive(refresh(machine.ground, machine.job("job")), machine.remote)
    return machine


def half_full(machine: Machine) -> None:
    """Three contents of its own here, which the bucket has."""
    for number in range(3):
        machine.write(f"own/{number}", data_of(100 + number))
    machine.publish("own")


def sweep(machine: Machine) -> None:
    carrying = CarryOver(machine.store)
    carrying.work(truncate=True)
    carrying.finish()


def carry_no_more(machine: Machine) -> None:
    """The log of the catalog is empty, so that whatever is written to it takes new room."""
    machine.store.ledger.drain()
    sweep(machine)


# -- what comes ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("others")
def test_what_comes_leaves_the_reserve_alone_and_what_was_read_before_goes(small: Machine) -> None:
    known(small)
    for number in range(FILES):
        assert small.read(f"job/{number}") == data_of(number)
        assert free_bytes(small) > MIB


@pytest.mark.usefixtures("others")
def test_what_comes_in_ranges_leaves_it_alone_too(small: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "LARGE_BYTES", 0)
    known(small)
    for number in range(FILES):
        content = small.entry(f"job/{number}").content
        assert content is not None
        drive(fetch_content(small.ground, content), small.remote)
        assert free_bytes(small) > MIB
    assert small.read(f"job/{FILES - 1}") == data_of(FILES - 1)


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize("large_bytes", [0, LARGE_BYTES], ids=["in ranges", "whole"])
def test_where_nothing_may_go_what_comes_is_refused_and_removing_works(
    small: Machine, monkeypatch: pytest.MonkeyPatch, large_bytes: int
) -> None:
    monkeypatch.setattr(fetching, "LARGE_BYTES", large_bytes)
    known(small)
    write_until_full(small, size=MIB)
    with pytest.raises(CacheFull):
        small.read("job/0")
    assert os.listdir(small.path / "incoming") == []
    small.unlink("own/0")


def test_what_is_expected_counts_until_it_came(small_disk: Path) -> None:
    room = Room(small_disk, quota_bytes=0, max_artifact_bytes=0, stored_bytes=lambda: 0)
    room.expect_on_disk(8 * MIB)
    with pytest.raises(CacheFull):
        room.expect_on_disk(8 * MIB)
    room.disk_came(8 * MIB)
    room.expect_on_disk(8 * MIB)


class _Answers(SimulatedBucket):
    def get_range(self, key: str, offset: int, length: int) -> Fetched:
        return Fetched(bytes(length), length, 0)


def test_a_disk_that_takes_half_of_a_piece_is_full_and_the_piece_is_not_damaged(small_disk: Path) -> None:
    """A short write is no error to the kernel."""
    fd = os.open(small_disk / "pieces", os.O_RDWR | os.O_CREAT)
    remote = _Answers(now_ms=0)
    try:
        Into("key", 0, 10 * MIB, fd, 0).run(remote)
        with pytest.raises(CacheFull):
            Into("key", 0, 10 * MIB, fd, 10 * MIB).run(remote)
    finally:
        os.close(fd)


# -- what goes -----------------------------------------------------------------------------------------------------


def evict_all(machine: Machine) -> int:
    freed = machine.store.eviction.evict_now(DISK_BYTES)
    machine.store.contents.sweep_decided()
    machine.store.settler.reclaim()
    return freed


def test_eviction_on_a_full_disk_takes_the_ballast_and_it_is_back_when_there_is_room(small: Machine) -> None:
    half_full(small)
    carry_no_more(small)
    fill_disk(small)
    assert evict_all(small) == 3 * FILE_BYTES
    assert not (small.path / "ballast").exists()
    assert small.store.state.make_ballast()
    assert small.read("own/0") == data_of(100)


def test_the_ballast_is_made_beside_a_full_cache(small: Machine) -> None:
    small.store.state.drop_ballast()
    write_until_full(small, size=MIB // 4)
    assert small.store.state.make_ballast()


def test_eviction_on_a_full_disk_goes_on_where_the_ballast_is_gone(small: Machine) -> None:
    half_full(small)
    for number in range(5):
        small.write(f"own/small-{number}", bytes([number]) * 100)
    small.publish("own")
    carry_no_more(small)
    small.store.state.drop_ballast()
    fill_disk(small)
    assert evict_all(small) >= 3 * FILE_BYTES
    assert free_bytes(small) >= 3 * FILE_BYTES - MIB
    assert small.read("own/2") == data_of(102)


@pytest.mark.parametrize("has_ballast", [True, False])
def test_a_store_on_a_disk_full_of_what_the_bucket_has_comes_back_to_life(small: Machine, has_ballast: bool) -> None:
    half_full(small)
    small.close()
    if not has_ballast:
        (small.path / "ballast").unlink()
    other = fill_disk(small)
    if not has_ballast:
        os.truncate(other, other.stat().st_size - MIB)  # what opening takes
    small.open()
    assert free_bytes(small) >= MIB
    assert (small.path / "ballast").exists()
    small.unlink("own/0")
    assert small.read("own/2") == data_of(102)


def test_what_the_bucket_lacks_stays_on_a_full_disk(small: Machine) -> None:
    small.write("own/file", data_of(1))
    small.store.ledger.drain()
    fill_disk(small)
    assert evict_all(small) == 0
    content = small.store.catalog.content(small.entry("own/file").content or 0)
    assert content is not None
    assert content.place == Place.FILE
    assert small.read("own/file") == data_of(1)


def test_what_came_and_went_gives_its_room_back(small: Machine, others: Machine) -> None:
    known(small)
    small.read("job/0")
    before = free_bytes(small)
    small.store.eviction.evict_now(DISK_BYTES)
    small.store.settler.reclaim()
    sweep(small)
    assert free_bytes(small) >= before + FILE_BYTES - MIB // 4
    assert others.read("job/0") == small.read("job/0")


def test_all_of_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    some = os.pwrite
    monkeypatch.setattr("mountfs.contents.os.pwrite", lambda fd, data, offset: some(fd, bytes(data)[:3], offset))
    fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    pwrite_all(fd, b"0123456789", 2)
    os.close(fd)
    assert (tmp_path / "file").read_bytes() == b"\0\x000123456789"


def test_all_of_a_full_disk_can_be_removed_though_nobody_carries_the_log_over(small: Machine) -> None:
    """As behind a daemon that is busy elsewhere: each removal makes the log longer."""
    count = 0
    with contextlib.suppress(CacheFull):
        for count in range(1000):
            small.write(f"own/{count}", data_of(count, 100_000))
            sweep(small)
    for number in range(count):
        small.unlink(f"own/{number}")
    assert set(small.view("own")) <= {"", f"/{count}"}
