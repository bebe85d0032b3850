"""What several processes share: locks, mappings, and handles passed on."""

import mmap
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mount.programs import companion, run_at_once
from tests.mount.syscalls import SharedMapping

MIB = 1 << 20

TRY_FLOCK = """
import fcntl, sys
with open(sys.argv[1]) as file:
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if sys.argv[2] == "shared" else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(3)
"""

TRY_RECORD_LOCK = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, int(sys.argv[2]))
    except (BlockingIOError, PermissionError):
        sys.exit(3)
"""

HOLD_LOCK = """
import fcntl, sys
file = open(sys.argv[1], "r+b")
getattr(fcntl, sys.argv[2])(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.readline()
getattr(fcntl, sys.argv[2])(file, fcntl.LOCK_UN)
print("released", flush=True)
sys.stdin.read()
"""

COUNT_UNDER_LOCK = """
import fcntl, os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
for _ in range(200):
    getattr(fcntl, sys.argv[2])(fd, fcntl.LOCK_EX)
    number = int(os.pread(fd, 20, 0))
    os.pwrite(fd, b"%d" % (number + 1), 0)
    getattr(fcntl, sys.argv[2])(fd, fcntl.LOCK_UN)
"""


def tries(code: str, *arguments: str | Path) -> bool:
    """Whether a process of its own gets the lock."""
    ended = subprocess.run([sys.executable, "-c", code, *[str(word) for word in arguments]], timeout=60)
    assert ended.returncode in (0, 3)
    return ended.returncode == 0


@pytest.fixture
def file(job: Path) -> Path:
    (job / "file").write_bytes(b"0" * 100)
    return job / "file"


def test_an_flock_keeps_others_out_until_it_is_released(file: Path) -> None:
    with companion(HOLD_LOCK, file, "flock") as holder:
        holder.wait_for("held")
        assert not tries(TRY_FLOCK, file, "exclusive")
        assert not tries(TRY_FLOCK, file, "shared")
        holder.tell("release")
        holder.wait_for("released")
        assert tries(TRY_FLOCK, file, "exclusive")
        holder.finish()


def test_an_flock_ends_with_its_holder(file: Path) -> None:
    with companion(HOLD_LOCK, file, "flock") as holder:
        holder.wait_for("held")
        holder.process.kill()
        holder.process.wait()
        assert tries(TRY_FLOCK, file, "exclusive")


def test_a_posix_lock_covers_its_bytes_only(file: Path) -> None:
    code = HOLD_LOCK.replace("fcntl.LOCK_EX)", "fcntl.LOCK_EX, 10, 20)")
    with companion(code, file, "lockf") as holder:
        holder.wait_for("held")
        assert not tries(TRY_RECORD_LOCK, file, "25")
        assert tries(TRY_RECORD_LOCK, file, "30")
        holder.tell("release")
        holder.wait_for("released")
        assert tries(TRY_RECORD_LOCK, file, "25")
        holder.finish()


@pytest.mark.parametrize("kind", ["flock", "lockf"])
def test_processes_that_lock_count_without_losing_one(file: Path, kind: str) -> None:
    file.write_bytes(b"0")
    run_at_once(COUNT_UNDER_LOCK, [(file, kind)] * 3)
    assert file.read_bytes() == b"600"


def test_a_mapping_reads_the_stored_content(job: Path) -> None:
    content = os.urandom(MIB + 77)
    (job / "blob").write_bytes(content)
    with (
        (job / "blob").open("rb") as handle,
        mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as mapping,
    ):
        assert mapping[:] == content


def test_a_shared_mapping_writes_the_file(job: Path) -> None:
    (job / "blob").write_bytes(bytes(MIB))
    with (job / "blob").open("r+b") as handle, mmap.mmap(handle.fileno(), 0) as mapping:
        mapping[70_000:70_005] = b"store"
        mapping.flush()
        assert os.pread(handle.fileno(), 7, 69_999) == b"\0store\0"
    assert (job / "blob").read_bytes() == bytes(70_000) + b"store" + bytes(MIB - 70_005)


def test_a_private_mapping_leaves_the_file_alone(job: Path) -> None:
    (job / "blob").write_bytes(b"kept" * 5000)
    with (
        (job / "blob").open("rb") as handle,
        mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_COPY) as mapping,
    ):
        mapping[0:4] = b"lost"
    assert (job / "blob").read_bytes() == b"kept" * 5000


def test_a_store_after_the_last_close_is_covered_by_msync(job: Path) -> None:
    handle = os.open(job / "blob", os.O_RDWR | os.O_CREAT)
    os.ftruncate(handle, 200_000)
    mapping = SharedMapping(handle, 200_000)
    os.close(handle)
    mapping.store(100_000, b"after close")
    mapping.sync()
    assert (job / "blob").read_bytes()[99_999:100_012] == b"\0after close\0"
    mapping.unmap()
    assert (job / "blob").read_bytes() == bytes(100_000) + b"after close" + bytes(99_989)


def test_a_store_after_the_last_close_is_there_after_munmap(job: Path) -> None:
    (job / "blob").write_bytes(b"x" * 50_000)
    handle = os.open(job / "blob", os.O_RDWR)
    mapping = SharedMapping(handle, 50_000)
    os.close(handle)
    mapping.store(0, b"first")
    mapping.store(49_996, b"last")
    mapping.unmap()
    assert (job / "blob").read_bytes() == b"first" + b"x" * 49_991 + b"last"


def test_a_store_into_a_mapping_outlives_the_mount(job: Path, file: Path) -> None:
    handle = os.open(file, os.O_RDWR)
    mapping = SharedMapping(handle, 100)
    os.close(handle)
    mapping.store(50, b"mapped")
    mapping.sync()
    mapping.unmap()
    file.rename(job / "renamed")
    assert (job / "renamed").read_bytes() == b"0" * 50 + b"mapped" + b"0" * 44


def test_two_processes_share_a_mapping(job: Path) -> None:
    (job / "shm").write_bytes(bytes(65536))
    code = """
import mmap, sys
with open(sys.argv[1], "r+b") as file, mmap.mmap(file.fileno(), 0) as mapping:
    sys.stdin.readline()
    assert mapping[100:105] == b"hello", mapping[100:105]
    mapping[200:205] = b"there"
    print("stored", flush=True)
    sys.stdin.read()
"""
    with (
        (job / "shm").open("r+b") as handle,
        mmap.mmap(handle.fileno(), 0) as mapping,
        companion(code, job / "shm") as other,
    ):
        mapping[100:105] = b"hello"
        other.tell("look")
        other.wait_for("stored")
        assert mapping[200:205] == b"there"
        other.finish()


def test_a_write_shows_in_a_mapping_and_a_store_shows_in_a_read(job: Path) -> None:
    (job / "blob").write_bytes(bytes(8192))
    handle = os.open(job / "blob", os.O_RDWR)
    mapping = SharedMapping(handle, 8192)
    os.pwrite(handle, b"written", 4096)
    assert mapping.load(4096, 7) == b"written"
    mapping.store(10, b"stored")
    assert os.pread(handle, 6, 10) == b"stored"
    os.close(handle)
    mapping.unmap()


def test_a_descriptor_passed_to_a_child_writes_after_the_parent_closed_it(job: Path) -> None:
    code = "import sys; sys.stdin.readline(); print('from the child', end='')"
    with (job / "log").open("w") as log:
        child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=log)
    with child:
        assert (job / "log").read_text() == ""
        child.communicate(b"go\n")
    assert (job / "log").read_text() == "from the child"
