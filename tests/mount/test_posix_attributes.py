"""Modes, owners, times, sizes and the file system's own figures."""

import os
import stat
import time
from pathlib import Path

import pytest

from tests.mount import syscalls
from tests.mounting import Ground

OLD = (1_000_000_000, 123_456_789)
OLDER = (981_173_106, 987_654_321)


def nanoseconds(when: tuple[int, int]) -> int:
    return when[0] * 1_000_000_000 + when[1]


@pytest.fixture
def file(job: Path) -> Path:
    (job / "file").write_bytes(b"content")
    return job / "file"


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755, 0o444, 0o000, 0o1777, 0o4755])
def test_chmod_sets_every_mode_bit(file: Path, mode: int) -> None:
    file.chmod(mode)
    assert stat.S_IMODE(file.stat().st_mode) == mode
    assert stat.S_ISREG(file.stat().st_mode)


def test_chmod_of_a_directory_keeps_it_a_directory(job: Path) -> None:
    (job / "folder").mkdir()
    (job / "folder").chmod(0o710)
    assert (job / "folder").stat().st_mode == stat.S_IFDIR | 0o710


def test_chmod_through_a_handle_works(file: Path) -> None:
    with file.open("r+b") as handle:
        os.fchmod(handle.fileno(), 0o640)
        assert stat.S_IMODE(os.fstat(handle.fileno()).st_mode) == 0o640
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


@pytest.mark.parametrize(("umask", "file_mode", "folder_mode"), [(0o027, 0o640, 0o750), (0, 0o666, 0o777)])
def test_create_and_mkdir_apply_the_umask(job: Path, umask: int, file_mode: int, folder_mode: int) -> None:
    os.umask(umask)
    os.close(os.open(job / "file", os.O_CREAT | os.O_WRONLY, 0o666))
    os.mkdir(job / "folder", 0o777)
    assert stat.S_IMODE((job / "file").stat().st_mode) == file_mode
    assert stat.S_IMODE((job / "folder").stat().st_mode) == folder_mode


def test_create_gives_the_mode_that_was_asked_for(job: Path) -> None:
    os.close(os.open(job / "script", os.O_CREAT | os.O_WRONLY, 0o700))
    assert stat.S_IMODE((job / "script").stat().st_mode) == 0o700


def test_a_file_created_read_only_is_written_through_its_first_handle(job: Path) -> None:
    handle = os.open(job / "object", os.O_CREAT | os.O_RDWR, 0o444)
    os.write(handle, b"as git does")
    os.close(handle)
    assert (job / "object").read_bytes() == b"as git does"


def test_a_script_with_the_execute_bit_runs(job: Path) -> None:
    (job / "script").write_text("#!/bin/sh\nexit 7\n")
    (job / "script").chmod(0o755)
    assert os.waitstatus_to_exitcode(os.system(str(job / "script"))) == 7


def test_what_is_made_belongs_to_its_maker(job: Path) -> None:
    (job / "file").touch()
    (job / "folder").mkdir()
    os.symlink("x", job / "link")
    for name in ("file", "folder", "link"):
        made = os.lstat(job / name)
        assert (made.st_uid, made.st_gid) == (os.geteuid(), os.getegid())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_chown_sets_owner_and_group(file: Path) -> None:
    os.chown(file, 1234, 2345)
    assert (file.stat().st_uid, file.stat().st_gid) == (1234, 2345)
    os.chown(file, -1, 3456)
    assert (file.stat().st_uid, file.stat().st_gid) == (1234, 3456)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_chown_of_a_symlink_leaves_its_target_alone(job: Path, file: Path) -> None:
    os.symlink("file", job / "link")
    os.lchown(job / "link", 1234, 2345)
    assert (os.lstat(job / "link").st_uid, file.stat().st_uid) == (1234, 0)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may give files away")
def test_chown_to_another_user_is_refused(file: Path) -> None:
    with pytest.raises(PermissionError):
        os.chown(file, 0, 0)


@pytest.mark.parametrize("when", [OLD, (0, 0), (0, 1), (4_102_444_800, 999_999_999)])
def test_times_are_kept_to_the_nanosecond(file: Path, when: tuple[int, int]) -> None:
    os.utime(file, ns=(nanoseconds(OLDER), nanoseconds(when)))
    assert file.stat().st_mtime_ns == nanoseconds(when)
    assert file.stat().st_atime_ns == nanoseconds(OLDER)


def test_times_of_directories_are_kept_to_the_nanosecond(job: Path) -> None:
    (job / "folder").mkdir()
    os.utime(job / "folder", ns=(nanoseconds(OLDER), nanoseconds(OLD)))
    assert (job / "folder").stat().st_mtime_ns == nanoseconds(OLD)


def test_times_of_a_symlink_are_its_own(job: Path, file: Path) -> None:
    before = file.stat().st_mtime_ns
    os.symlink("file", job / "link")
    os.utime(job / "link", ns=(nanoseconds(OLDER), nanoseconds(OLD)), follow_symlinks=False)
    assert os.lstat(job / "link").st_mtime_ns == nanoseconds(OLD)
    assert file.stat().st_mtime_ns == before


def test_an_omitted_time_stays(file: Path) -> None:
    os.utime(file, ns=(nanoseconds(OLD), nanoseconds(OLD)))
    syscalls.utimens(file, atime=(0, syscalls.UTIME_OMIT), mtime=OLDER)
    assert (file.stat().st_atime_ns, file.stat().st_mtime_ns) == (nanoseconds(OLD), nanoseconds(OLDER))
    syscalls.utimens(file, atime=OLDER, mtime=(0, syscalls.UTIME_OMIT))
    assert (file.stat().st_atime_ns, file.stat().st_mtime_ns) == (nanoseconds(OLDER), nanoseconds(OLDER))


def test_now_means_now(file: Path) -> None:
    os.utime(file, ns=(nanoseconds(OLD), nanoseconds(OLD)))
    syscalls.utimens(file, atime=(0, syscalls.UTIME_OMIT), mtime=(0, syscalls.UTIME_NOW))
    assert abs(file.stat().st_mtime_ns - time.time_ns()) < 60 * 1_000_000_000
    assert file.stat().st_atime_ns == nanoseconds(OLD)


def test_times_set_through_a_handle_outlive_its_close(file: Path) -> None:
    with file.open("r+b") as handle:
        handle.write(b"more")
        handle.flush()
        os.utime(handle.fileno(), ns=(nanoseconds(OLDER), nanoseconds(OLD)))
    assert file.stat().st_mtime_ns == nanoseconds(OLD)


def test_a_write_moves_mtime_and_ctime(file: Path) -> None:
    os.utime(file, ns=(nanoseconds(OLD), nanoseconds(OLD)))
    before = file.stat()
    syscalls.next_clock_tick()
    with file.open("ab") as handle:
        handle.write(b"more")
    assert file.stat().st_mtime_ns > before.st_mtime_ns
    assert file.stat().st_ctime_ns > before.st_ctime_ns


def test_a_truncate_moves_mtime(file: Path) -> None:
    os.utime(file, ns=(nanoseconds(OLD), nanoseconds(OLD)))
    os.truncate(file, 2)
    assert file.stat().st_mtime_ns > nanoseconds(OLD)


@pytest.mark.parametrize("change", ["chmod", "utime", "rename", "setxattr"])
def test_a_change_of_attributes_moves_ctime_and_not_mtime(file: Path, change: str) -> None:
    os.utime(file, ns=(nanoseconds(OLD), nanoseconds(OLD)))
    before = file.stat().st_ctime_ns
    syscalls.next_clock_tick()
    match change:
        case "chmod":
            file.chmod(0o600)
        case "utime":
            os.utime(file, ns=(nanoseconds(OLDER), nanoseconds(OLD)))
        case "rename":
            file = file.rename(file.with_name("renamed"))
        case "setxattr":
            os.setxattr(file, "user.branch", b"main")
    assert file.stat().st_ctime_ns > before
    assert file.stat().st_mtime_ns == nanoseconds(OLD)


@pytest.mark.parametrize("change", ["create", "mkdir", "symlink", "unlink", "rmdir", "rename"])
def test_a_directorys_mtime_and_ctime_move_with_its_entries(job: Path, change: str) -> None:
    (job / "file").touch()
    (job / "folder").mkdir()
    os.utime(job, ns=(nanoseconds(OLD), nanoseconds(OLD)))
    before = job.stat()
    syscalls.next_clock_tick()
    match change:
        case "create":
            (job / "new").touch()
        case "mkdir":
            (job / "new").mkdir()
        case "symlink":
            os.symlink("x", job / "new")
        case "unlink":
            (job / "file").unlink()
        case "rmdir":
            (job / "folder").rmdir()
        case "rename":
            (job / "file").rename(job / "new")
    assert job.stat().st_mtime_ns > before.st_mtime_ns
    assert job.stat().st_ctime_ns > before.st_ctime_ns


def test_a_rename_between_directories_moves_the_mtime_of_both(job: Path) -> None:
    (job / "a").mkdir()
    (job / "b").mkdir()
    (job / "a" / "file").touch()
    for name in "ab":
        os.utime(job / name, ns=(nanoseconds(OLD), nanoseconds(OLD)))
    (job / "a" / "file").rename(job / "b" / "file")
    assert (job / "a").stat().st_mtime_ns > nanoseconds(OLD)
    assert (job / "b").stat().st_mtime_ns > nanoseconds(OLD)


def test_a_directorys_mtime_does_not_move_when_a_file_in_it_is_written(job: Path, file: Path) -> None:
    os.utime(job, ns=(nanoseconds(OLD), nanoseconds(OLD)))
    file.write_bytes(b"other")
    assert job.stat().st_mtime_ns == nanoseconds(OLD)


def test_opening_for_reading_and_closing_changes_no_time(file: Path) -> None:
    before = file.stat()
    syscalls.next_clock_tick()
    file.read_bytes()
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert file.stat().st_ctime_ns == before.st_ctime_ns


def test_opening_for_writing_and_closing_changes_no_time(file: Path) -> None:
    before = file.stat()
    syscalls.next_clock_tick()
    os.close(os.open(file, os.O_RDWR))
    assert file.stat().st_mtime_ns == before.st_mtime_ns


def test_new_files_carry_the_time_of_now(job: Path) -> None:
    (job / "file").touch()
    assert abs((job / "file").stat().st_mtime_ns - time.time_ns()) < 60 * 1_000_000_000


@pytest.mark.parametrize("size", [1, 100, 4096, 100_000])
def test_a_non_empty_file_has_a_block_while_it_is_written_and_after(job: Path, size: int) -> None:
    with (job / "file").open("wb") as handle:
        handle.write(b"x" * size)
        handle.flush()
        assert os.fstat(handle.fileno()).st_blocks >= 1
        assert (job / "file").stat().st_blocks >= 1
    assert (job / "file").stat().st_blocks >= 1


@pytest.mark.mountfs_only
def test_a_file_that_is_one_hole_has_a_block_too(job: Path) -> None:
    (job / "hole").touch()
    os.truncate(job / "hole", 50_000)
    assert (job / "hole").stat().st_blocks >= 1


@pytest.mark.mountfs_only
def test_a_compressible_file_costs_fewer_blocks_than_its_size(job: Path, shared: Ground) -> None:
    (job / "build.log").write_bytes(b"the same line again\n" * 100_000)
    shared.settle()
    seen = os.stat(job / "build.log")
    assert seen.st_size == 2_000_000
    assert seen.st_blocks * 512 < 200_000


def test_different_files_have_different_inode_numbers(job: Path) -> None:
    for number in range(100):
        (job / str(number)).touch()
    assert len({entry.inode() for entry in os.scandir(job)}) == 100


def test_the_file_systems_figures_are_believable(job: Path) -> None:
    figures = os.statvfs(job)
    assert figures.f_bsize >= 512
    assert figures.f_blocks >= figures.f_bfree >= figures.f_bavail > 0
    assert figures.f_files >= figures.f_ffree > 0
    assert figures.f_namemax == 255


def test_access_answers_by_mode(file: Path) -> None:
    file.chmod(0o444)
    assert os.access(file, os.R_OK)
    assert not os.access(file, os.X_OK)
