"""Bytes in, bytes out: what read, write and truncate promise, through one handle, several, or a path."""

import errno
import os
import signal
from pathlib import Path

import pytest

from tests.mount import syscalls
from tests.mount.programs import run_at_once
from tests.mount.syscalls import refused, tolerated

MIB = 1 << 20
TIB = 1 << 40

APPEND_LINES = """
import os, sys
path, letter = sys.argv[1], sys.argv[2]
fd = os.open(path, os.O_WRONLY | os.O_APPEND)
for number in range(1000):
    os.write(fd, b"%s%06d\\n" % (letter.encode(), number))
"""


def opened(path: Path, flags: int) -> int:
    return os.open(path, flags | os.O_CREAT, 0o644)


def test_a_written_file_reads_back(job: Path) -> None:
    file = job / "log.txt"
    file.write_bytes(b"hello")
    assert file.read_bytes() == b"hello"


def test_an_empty_file_exists_and_reads_as_nothing(job: Path) -> None:
    (job / "empty").touch()
    assert (job / "empty").read_bytes() == b""
    assert (job / "empty").stat().st_size == 0


@pytest.mark.parametrize("size", [1, 4095, 4096, 65535, 65536, 65537, MIB - 1, MIB, MIB + 1, 5 * MIB + 123])
def test_random_bytes_of_any_size_read_back(job: Path, size: int) -> None:
    content = os.urandom(size)
    (job / "blob").write_bytes(content)
    assert (job / "blob").read_bytes() == content


def test_compressible_bytes_read_back(job: Path) -> None:
    content = b"".join(b"%08d the same line again\n" % number for number in range(200_000))
    (job / "build.log").write_bytes(content)
    assert (job / "build.log").read_bytes() == content


@pytest.mark.parametrize("offset", [0, 1, 4095, 65530, 300_000, 999_990])
def test_a_write_in_the_middle_changes_only_its_bytes(job: Path, offset: int) -> None:
    content = bytearray(os.urandom(MIB))
    file = job / "blob"
    file.write_bytes(content)
    fd = os.open(file, os.O_RDWR)
    os.pwrite(fd, b"0123456789abcdef", offset)
    os.close(fd)
    content[offset : offset + 16] = b"0123456789abcdef"
    assert file.read_bytes() == content


def test_writes_in_descending_order_fill_the_file(job: Path) -> None:
    file = job / "blob"
    pieces = [os.urandom(10_000) for _ in range(50)]
    fd = opened(file, os.O_WRONLY)
    for number in reversed(range(50)):
        os.pwrite(fd, pieces[number], number * 10_000)
    os.close(fd)
    assert file.read_bytes() == b"".join(pieces)


def test_a_read_at_any_offset_of_a_stored_file_is_exact(job: Path) -> None:
    content = os.urandom(MIB) + b"x" * MIB
    file = job / "blob"
    file.write_bytes(content)
    fd = os.open(file, os.O_RDONLY)
    for offset in (0, 1, MIB - 3, MIB, 2 * MIB - 7, 2 * MIB, 3 * MIB):
        assert os.pread(fd, 100_000, offset) == content[offset : offset + 100_000]
    os.close(fd)


def test_append_adds_to_the_end(job: Path) -> None:
    file = job / "log"
    file.write_bytes(b"one\n")
    with file.open("ab") as log:
        log.write(b"two\n")
    assert file.read_bytes() == b"one\ntwo\n"


def test_append_after_truncate_writes_at_the_new_end(job: Path) -> None:
    fd = opened(job / "log", os.O_RDWR | os.O_APPEND)
    os.write(fd, b"0123456789")
    os.ftruncate(fd, 4)
    os.write(fd, b"ab")
    assert os.pread(fd, 100, 0) == b"0123ab"
    os.close(fd)
    assert (job / "log").read_bytes() == b"0123ab"


def test_two_processes_that_append_lose_no_line(job: Path) -> None:
    log = job / "log"
    log.touch()
    run_at_once(APPEND_LINES, [(log, "a"), (log, "b")])
    lines = log.read_text().splitlines()
    for letter in "ab":
        assert [line for line in lines if line[0] == letter] == [f"{letter}{n:06}" for n in range(1000)]
    assert len(lines) == 2000


@pytest.mark.parametrize("size", [0, 1, 4096, 70_000, 200_000])
def test_truncate_down_by_path_keeps_the_beginning(job: Path, size: int) -> None:
    content = os.urandom(200_000)
    (job / "blob").write_bytes(content)
    os.truncate(job / "blob", size)
    assert (job / "blob").read_bytes() == content[:size]


@pytest.mark.parametrize("size", [5, 4096, 70_000, 3 * MIB])
def test_truncate_up_by_path_reads_zeros_behind(job: Path, size: int) -> None:
    (job / "blob").write_bytes(b"abc")
    os.truncate(job / "blob", size)
    assert (job / "blob").stat().st_size == size
    assert (job / "blob").read_bytes() == b"abc" + bytes(size - 3)


def test_truncate_by_handle_down_then_up_leaves_zeros_not_old_bytes(job: Path) -> None:
    fd = opened(job / "blob", os.O_RDWR)
    os.write(fd, b"x" * 100_000)
    os.ftruncate(fd, 10)
    os.ftruncate(fd, 100_000)
    assert os.pread(fd, 200_000, 0) == b"x" * 10 + bytes(99_990)
    os.close(fd)
    assert (job / "blob").read_bytes() == b"x" * 10 + bytes(99_990)


def test_truncate_by_path_reaches_a_handle_that_is_open(job: Path) -> None:
    fd = opened(job / "blob", os.O_RDWR)
    os.write(fd, b"0123456789")
    os.truncate(job / "blob", 3)
    assert os.fstat(fd).st_size == 3
    assert os.pread(fd, 100, 0) == b"012"
    os.close(fd)
    assert (job / "blob").read_bytes() == b"012"


def test_truncate_of_a_file_opened_for_reading_only_is_refused(job: Path) -> None:
    (job / "blob").write_bytes(b"abc")
    fd = os.open(job / "blob", os.O_RDONLY)
    with refused(errno.EINVAL):
        os.ftruncate(fd, 1)
    os.close(fd)


def test_a_write_beyond_the_end_reads_zeros_before_it(job: Path) -> None:
    fd = opened(job / "blob", os.O_RDWR)
    os.write(fd, b"abc")
    os.pwrite(fd, b"end", 500_000)
    assert os.pread(fd, 500_003, 0) == b"abc" + bytes(499_997) + b"end"
    os.close(fd)
    assert (job / "blob").read_bytes() == b"abc" + bytes(499_997) + b"end"


def test_a_write_far_beyond_the_end_is_stored(job: Path) -> None:
    fd = opened(job / "sparse", os.O_RDWR)
    os.pwrite(fd, b"far", 3 << 30)
    os.close(fd)
    fd = os.open(job / "sparse", os.O_RDONLY)
    assert os.fstat(fd).st_size == (3 << 30) + 3
    assert os.pread(fd, 10, (3 << 30) - 2) == b"\0\0far"
    assert os.pread(fd, 100_000, 1 << 30) == bytes(100_000)
    os.close(fd)
    (job / "sparse").unlink()  # nobody waits for its three gigabytes to be hashed


def test_a_huge_truncate_costs_no_space_and_reads_zeros(job: Path) -> None:
    fd = opened(job / "huge", os.O_RDWR)
    os.ftruncate(fd, TIB)
    assert os.fstat(fd).st_size == TIB
    assert os.fstat(fd).st_blocks * 512 < MIB
    assert os.pread(fd, 4096, TIB // 2) == bytes(4096)
    assert os.pread(fd, 4096, TIB - 100) == bytes(100)
    os.pwrite(fd, b"middle", TIB // 2)
    assert os.pread(fd, 8, TIB // 2 - 1) == b"\0middle\0"
    os.ftruncate(fd, 0)
    os.close(fd)
    assert (job / "huge").read_bytes() == b""


@pytest.mark.parametrize("offset", [(1 << 44) - 1, 1 << 45, (1 << 63) - 4097])
def test_a_write_beyond_all_disks_is_stored_or_too_big_and_breaks_nothing(job: Path, offset: int) -> None:
    fd = opened(job / "file", os.O_RDWR)
    os.write(fd, b"kept")
    with tolerated(errno.EFBIG):
        os.pwrite(fd, b"far", offset)
    with tolerated(errno.EFBIG):
        os.ftruncate(fd, offset)
    os.ftruncate(fd, 4)
    os.close(fd)
    assert (job / "file").read_bytes() == b"kept"


def test_a_write_beyond_the_callers_own_limit_is_refused(job: Path) -> None:
    code = """
import os, resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
assert os.write(fd, b"x" * 6000) == 5000
try:
    os.write(fd, b"y")
except OSError as error:
    sys.exit(0 if error.errno == 27 else error.errno)
"""
    run_at_once(code, [(job / "file",)])
    assert (job / "file").read_bytes() == b"x" * 5000


def test_a_huge_file_is_closed_and_reads_zeros_afterwards(job: Path) -> None:
    file = job / "huge"
    file.touch()
    os.truncate(file, TIB)
    with file.open("rb") as content:
        content.seek(TIB - 10)
        assert content.read() == bytes(10)
    file.unlink()


def test_o_trunc_empties_what_was_there(job: Path) -> None:
    (job / "blob").write_bytes(b"old content")
    os.close(os.open(job / "blob", os.O_WRONLY | os.O_TRUNC))
    assert (job / "blob").read_bytes() == b""


def test_o_trunc_empties_also_when_opened_for_reading(job: Path) -> None:
    (job / "blob").write_bytes(b"old content")
    os.close(os.open(job / "blob", os.O_RDONLY | os.O_TRUNC))
    assert (job / "blob").stat().st_size == 0
    assert (job / "blob").read_bytes() == b""


def test_o_trunc_reaches_a_handle_that_is_open(job: Path) -> None:
    (job / "blob").write_bytes(b"old content")
    reader = os.open(job / "blob", os.O_RDONLY)
    writer = os.open(job / "blob", os.O_WRONLY | os.O_TRUNC)
    os.write(writer, b"new")
    assert os.pread(reader, 100, 0) == b"new"
    os.close(writer)
    os.close(reader)


def test_o_excl_refuses_an_existing_name(job: Path) -> None:
    (job / "blob").write_bytes(b"first")
    with pytest.raises(FileExistsError):
        os.open(job / "blob", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    assert (job / "blob").read_bytes() == b"first"


def test_two_handles_see_each_others_writes_at_once(job: Path) -> None:
    first, second = opened(job / "blob", os.O_RDWR), opened(job / "blob", os.O_RDWR)
    os.pwrite(first, b"first", 0)
    assert os.pread(second, 100, 0) == b"first"
    os.pwrite(second, b"SECOND", 5)
    assert os.pread(first, 100, 0) == b"firstSECOND"
    assert os.fstat(first).st_size == 11
    os.close(first)
    assert os.pread(second, 100, 0) == b"firstSECOND"
    os.pwrite(second, b"!", 11)
    os.close(second)
    assert (job / "blob").read_bytes() == b"firstSECOND!"


def test_a_write_only_handle_may_write_parts_of_a_stored_file(job: Path) -> None:
    content = bytearray(os.urandom(300_000))
    (job / "blob").write_bytes(content)
    fd = os.open(job / "blob", os.O_WRONLY)
    os.pwrite(fd, b"part", 150_001)
    os.close(fd)
    content[150_001:150_005] = b"part"
    assert (job / "blob").read_bytes() == content


def test_a_reader_beside_a_write_only_handle_reads(job: Path) -> None:
    writer = opened(job / "blob", os.O_WRONLY)
    os.write(writer, b"seen")
    assert (job / "blob").read_bytes() == b"seen"
    os.close(writer)


def test_reading_through_a_write_only_handle_is_refused(job: Path) -> None:
    fd = opened(job / "blob", os.O_WRONLY)
    with refused(errno.EBADF):
        os.read(fd, 1)
    os.close(fd)


def test_writing_through_a_read_only_handle_is_refused(job: Path) -> None:
    (job / "blob").write_bytes(b"x")
    fd = os.open(job / "blob", os.O_RDONLY)
    with refused(errno.EBADF):
        os.write(fd, b"y")
    os.close(fd)


def test_a_file_opened_for_writing_and_closed_keeps_its_bytes(job: Path) -> None:
    (job / "blob").write_bytes(b"kept")
    os.close(os.open(job / "blob", os.O_RDWR))
    assert (job / "blob").read_bytes() == b"kept"


def test_fsync_and_fdatasync_of_files_and_directories_succeed(job: Path) -> None:
    fd = opened(job / "blob", os.O_RDWR)
    os.write(fd, b"durable")
    os.fsync(fd)
    os.fdatasync(fd)
    os.close(fd)
    directory = os.open(job, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(directory)
    os.close(directory)
    assert (job / "blob").read_bytes() == b"durable"


def test_writing_goes_on_after_fsync(job: Path) -> None:
    fd = opened(job / "blob", os.O_WRONLY)
    for piece in (b"one ", b"two ", b"three"):
        os.write(fd, piece)
        os.fsync(fd)
    os.close(fd)
    assert (job / "blob").read_bytes() == b"one two three"


def test_a_direct_write_of_any_size_is_stored_or_refused_but_breaks_nothing(job: Path) -> None:
    file = job / "direct"
    fd = opened(file, os.O_RDWR | os.O_DIRECT)
    written = 0
    with tolerated(errno.EINVAL):
        written = os.write(fd, b"x" * 777)
    os.close(fd)
    with file.open("ab") as later:
        later.write(b"later")
    assert file.read_bytes() == b"x" * written + b"later"


@pytest.mark.parametrize("mode", [0, syscalls.FALLOC_FL_PUNCH_HOLE_AND_KEEP_SIZE])
def test_fallocate_works_or_says_that_it_is_not_supported(job: Path, mode: int) -> None:
    fd = opened(job / "blob", os.O_RDWR)
    os.write(fd, b"abc")
    with tolerated(errno.EOPNOTSUPP):
        syscalls.fallocate(fd, mode=mode, offset=4096, length=4096)
    assert os.pread(fd, 3, 0) == b"abc"
    os.close(fd)


def test_posix_fallocate_makes_room_either_way(job: Path) -> None:
    fd = opened(job / "blob", os.O_RDWR)
    os.write(fd, b"abc")
    os.posix_fallocate(fd, 0, 50_000)
    os.close(fd)
    assert (job / "blob").read_bytes() == b"abc" + bytes(49_997)


def test_seeking_for_data_and_holes_is_answered(job: Path) -> None:
    (job / "blob").write_bytes(b"data" * 10_000)
    fd = os.open(job / "blob", os.O_RDONLY)
    assert os.lseek(fd, 0, os.SEEK_DATA) == 0
    assert os.lseek(fd, 0, os.SEEK_HOLE) == 40_000
    os.close(fd)


def test_copy_file_range_and_sendfile_copy(job: Path) -> None:
    content = os.urandom(300_000)
    (job / "from").write_bytes(content)
    source = os.open(job / "from", os.O_RDONLY)
    ranged, sent = opened(job / "ranged", os.O_WRONLY), opened(job / "sent", os.O_WRONLY)
    offset = 0
    while offset < len(content):
        offset += os.copy_file_range(source, ranged, len(content), offset, offset)
    offset = 0
    while offset < len(content):
        offset += os.sendfile(sent, source, offset, len(content))
    for fd in (source, ranged, sent):
        os.close(fd)
    assert (job / "ranged").read_bytes() == content
    assert (job / "sent").read_bytes() == content


def test_a_forked_child_that_closes_its_copy_does_not_end_the_writing(job: Path) -> None:
    fd = opened(job / "log", os.O_WRONLY)
    os.write(fd, b"before ")
    child = os.fork()
    if child == 0:
        os.kill(os.getpid(), signal.SIGKILL)  # os._exit would save what this process has measured of coverage
    os.waitpid(child, 0)
    os.write(fd, b"after")
    os.close(fd)
    assert (job / "log").read_bytes() == b"before after"
