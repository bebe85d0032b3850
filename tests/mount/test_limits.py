"""Limits: refused at the write that would break them, and `rm` always makes room again."""

import errno
import itertools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mount.conftest import ExpectedLog, MountFactory
from tests.mount.syscalls import SharedMapping, refused, tolerated
from tests.mounting import Mounted, disk_of

pytestmark = [pytest.mark.mountfs_only, pytest.mark.usefixtures("unmeasured")]

MIB = 1 << 20
DISK_BYTES = 16 * MIB


def job_in(ground: Mounted) -> Path:
    (ground.path / "job").mkdir()
    return ground.path / "job"


def fill(job: Path, *, code: int) -> list[Path]:
    """Write random files of 256 KiB until that is refused with `code`; answer those that were closed."""
    closed: list[Path] = []
    for number in itertools.count():
        try:
            (job / f"{number}").write_bytes(os.urandom(MIB // 4))
        except OSError as error:
            if error.errno != code:
                raise
            (job / f"{number}").unlink(missing_ok=True)
            return closed
        closed.append(job / f"{number}")
        assert len(closed) < 500, "nothing was refused"
    return closed


@pytest.fixture
def limited(mounted: MountFactory) -> Path:
    """A job where an artifact may have 1 MiB."""
    return job_in(mounted({"limits": {"max_artifact_size": "1 MiB"}}))


def test_an_artifact_of_just_the_limit_is_accepted(limited: Path) -> None:
    (limited / "file").write_bytes(bytes(MIB))
    assert (limited / "file").stat().st_size == MIB


def test_the_write_that_crosses_the_limit_is_refused_and_nothing_of_it_is_there(mounted: MountFactory) -> None:
    # Inside a page, so that the kernel sends the write as one request.
    job = job_in(mounted({"limits": {"max_artifact_size": 1_000_000}}))
    fd = os.open(job / "file", os.O_RDWR | os.O_CREAT)
    os.write(fd, b"x" * 999_990)
    with refused(errno.EFBIG):
        os.write(fd, b"y" * 20)
    assert os.fstat(fd).st_size == 999_990
    os.write(fd, b"z" * 10)
    os.close(fd)
    assert (job / "file").read_bytes() == b"x" * 999_990 + b"z" * 10


def test_a_write_that_the_kernel_splits_at_the_limit_ends_there(limited: Path) -> None:
    # Linux 6.18 sends a write across a page border as two requests: the first fits, the second is refused.
    fd = os.open(limited / "file", os.O_RDWR | os.O_CREAT)
    os.write(fd, b"x" * (MIB - 10))
    with tolerated(errno.EFBIG):
        assert os.write(fd, b"y" * 20) == 10
    with refused(errno.EFBIG):
        os.pwrite(fd, b"z", MIB)
    size = os.fstat(fd).st_size
    os.close(fd)
    assert size in (MIB - 10, MIB)
    assert (limited / "file").read_bytes() == (b"x" * (MIB - 10) + b"y" * 10)[:size]


def test_a_write_far_beyond_the_limit_is_refused(limited: Path) -> None:
    fd = os.open(limited / "file", os.O_RDWR | os.O_CREAT)
    with refused(errno.EFBIG):
        os.pwrite(fd, b"y", 1 << 40)
    os.close(fd)
    assert (limited / "file").stat().st_size == 0


def test_a_truncate_beyond_the_limit_is_refused_by_handle_and_by_path(limited: Path) -> None:
    fd = os.open(limited / "file", os.O_RDWR | os.O_CREAT)
    os.write(fd, b"kept")
    with refused(errno.EFBIG):
        os.ftruncate(fd, MIB + 1)
    os.close(fd)
    with refused(errno.EFBIG):
        os.truncate(limited / "file", MIB + 1)
    assert (limited / "file").read_bytes() == b"kept"
    os.truncate(limited / "file", MIB)
    assert (limited / "file").stat().st_size == MIB


@pytest.fixture
def quota(mounted: MountFactory, expected_log: ExpectedLog) -> Mounted:
    """A mount with a quota of 4 MiB."""
    expected_log(r"(?i)quota")
    return mounted({"limits": {"quota": "4 MiB"}})


def test_a_write_beyond_the_quota_is_refused_and_removing_makes_room(quota: Mounted) -> None:
    job = job_in(quota)
    closed = fill(job, code=errno.EDQUOT)
    assert 12 <= len(closed) <= 16
    for path in closed[:4]:
        path.unlink()
    (job / "again").write_bytes(os.urandom(MIB // 2))
    assert len((job / "again").read_bytes()) == MIB // 2
    quota.assert_alive()


def test_the_refused_write_leaves_what_was_written_before(quota: Mounted) -> None:
    job = job_in(quota)
    content = os.urandom(3 * MIB)
    (job / "first").write_bytes(content)
    fd = os.open(job / "second", os.O_RDWR | os.O_CREAT)
    with refused(errno.EDQUOT):
        for _ in range(100):
            os.write(fd, os.urandom(65_536))
    size = os.fstat(fd).st_size
    assert size % 65_536 == 0
    assert size > 0
    os.close(fd)
    assert (job / "second").stat().st_size == size
    assert (job / "first").read_bytes() == content


def test_the_quota_counts_what_is_stored_not_what_is_written(quota: Mounted) -> None:
    job = job_in(quota)
    for number in range(5):
        (job / f"{number}.log").write_bytes(b"the same line again\n" * 150_000)
        quota.settle()
    assert sum(path.stat().st_size for path in job.iterdir()) > 4 * 3 * MIB


def test_the_quota_is_the_size_of_the_file_system(quota: Mounted) -> None:
    job = job_in(quota)
    before = os.statvfs(quota.path)
    assert before.f_blocks * before.f_frsize == 4 * MIB
    assert before.f_bavail * before.f_frsize <= 4 * MIB
    (job / "file").write_bytes(os.urandom(2 * MIB))
    quota.settle()
    after = os.statvfs(quota.path)
    used = (after.f_blocks - after.f_bfree) * after.f_frsize
    assert 2 * MIB <= used < 2.5 * MIB
    said = subprocess.run(["df", "-B1", "--output=size", str(job)], capture_output=True, text=True, check=True)
    assert said.stdout.split()[-1] == str(4 * MIB)


def test_a_truncate_beyond_the_quota_costs_nothing_until_it_is_written(quota: Mounted) -> None:
    job = job_in(quota)
    (job / "sparse").touch()
    try:
        os.truncate(job / "sparse", 100 * MIB)
    except OSError as error:
        if error.errno != errno.EDQUOT:
            raise
    (job / "other").write_bytes(os.urandom(MIB))
    assert len((job / "other").read_bytes()) == MIB


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MiB of its own; needs root, or sudo without a password."""
    with disk_of(DISK_BYTES, tmp_path / "disk") as disk:
        yield disk


@pytest.fixture
def crowded(small_disk: Path, mounted: MountFactory, expected_log: ExpectedLog) -> Mounted:
    """A mount whose state lies on the small disk."""
    expected_log(r"(?i)no space|ENOSPC|disk|full|room")
    return mounted(state=small_disk / "state")


def test_a_full_disk_refuses_the_writer_and_removing_makes_room(crowded: Mounted) -> None:
    job = job_in(crowded)
    closed = fill(job, code=errno.ENOSPC)
    assert len(closed) >= 16
    crowded.assert_alive()
    for path in closed[: len(closed) // 2]:
        path.unlink()
    (job / "again").write_bytes(os.urandom(MIB))
    assert len((job / "again").read_bytes()) == MIB


def test_a_full_disk_leaves_what_was_closed_as_it_was(crowded: Mounted) -> None:
    job = job_in(crowded)
    contents: dict[Path, bytes] = {}
    with refused(errno.ENOSPC):
        for number in range(500):
            content = os.urandom(50_000)
            (job / f"{number}").write_bytes(content)
            contents[job / f"{number}"] = content
    assert contents
    assert {path: path.read_bytes() for path in contents} == contents
    crowded.assert_alive()


def test_a_full_disk_refuses_also_compressible_content_once_its_drafts_do_not_fit(crowded: Mounted) -> None:
    job = job_in(crowded)
    with refused(errno.ENOSPC), (job / "huge.log").open("wb", buffering=0) as log:
        for _ in range(400):
            log.write(os.urandom(65_536))
            log.write(bytes(65_536))
    crowded.assert_alive()
    (job / "huge.log").unlink()
    crowded.settle()
    (job / "small.log").write_bytes(b"fits\n")
    assert (job / "small.log").read_bytes() == b"fits\n"


def test_a_full_disk_lets_directories_be_listed_and_removed(crowded: Mounted) -> None:
    job = job_in(crowded)
    for path in fill(job, code=errno.ENOSPC):
        path.unlink()
    assert os.listdir(job) == []
    job.rmdir()
    assert os.listdir(crowded.path) == []


def test_after_a_full_disk_the_mount_starts_again_with_all_that_was_closed(crowded: Mounted) -> None:
    closed = fill(job_in(crowded), code=errno.ENOSPC)
    crowded.restart()
    assert all(len(path.read_bytes()) == MIB // 4 for path in closed)


def test_a_mapping_of_a_file_at_the_limit_is_written(limited: Path) -> None:
    (limited / "file").write_bytes(bytes(MIB))
    fd = os.open(limited / "file", os.O_RDWR)
    mapping = SharedMapping(fd, MIB)
    os.close(fd)
    mapping.store(MIB - 4, b"last")
    mapping.unmap()
    assert (limited / "file").read_bytes()[-6:] == b"\0\0last"


def test_a_refused_write_is_told_with_program_and_path(quota: Mounted) -> None:
    job = job_in(quota)
    subprocess.run(["dd", "if=/dev/urandom", f"of={job}/large", "bs=1M", "count=5"], capture_output=True, check=False)
    refusals = quota.ask({"op": "status"}, timeout_seconds=10)["refusals"]
    assert isinstance(refusals, list)
    last = refusals[-1]
    assert (last["path"], last["request"], last["error"]) == ("job/large", "write", "QuotaExceeded")
    assert last["pid"] > 0
