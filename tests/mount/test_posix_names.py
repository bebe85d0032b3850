"""Names: what rename, unlink, mkdir, rmdir and symlink promise, also about files that are open."""

import errno
import os
import random
import socket
import stat
from pathlib import Path

import pytest

from tests.mount import syscalls
from tests.mount.syscalls import refused
from tests.mounting import Ground


@pytest.fixture
def other_job(shared: Ground, job: Path) -> Path:
    other = shared.path / f"{job.name}-other"
    other.mkdir()
    return other


def test_rename_moves_the_content(job: Path) -> None:
    (job / "a").write_bytes(b"content")
    (job / "a").rename(job / "b")
    assert os.listdir(job) == ["b"]
    assert (job / "b").read_bytes() == b"content"


def test_rename_over_an_existing_file_replaces_it(job: Path) -> None:
    (job / "new").write_bytes(b"new")
    (job / "old").write_bytes(b"old")
    os.replace(job / "new", job / "old")
    assert os.listdir(job) == ["old"]
    assert (job / "old").read_bytes() == b"new"


def test_a_file_that_was_renamed_over_stays_readable_and_writable_through_its_handle(job: Path) -> None:
    (job / "new").write_bytes(b"new")
    (job / "old").write_bytes(b"old content")
    handle = os.open(job / "old", os.O_RDWR)
    os.replace(job / "new", job / "old")
    assert os.pread(handle, 100, 0) == b"old content"
    os.pwrite(handle, b"OLD", 0)
    assert os.pread(handle, 100, 0) == b"OLD content"
    os.close(handle)
    assert (job / "old").read_bytes() == b"new"


def test_a_file_renamed_while_open_is_written_on_under_its_new_name(job: Path) -> None:
    handle = os.open(job / "a", os.O_RDWR | os.O_CREAT)
    os.write(handle, b"one ")
    (job / "a").rename(job / "b")
    os.write(handle, b"two")
    assert os.pread(handle, 100, 0) == b"one two"
    os.close(handle)
    assert os.listdir(job) == ["b"]
    assert (job / "b").read_bytes() == b"one two"


def test_a_file_renamed_over_another_while_open_wins_with_all_it_writes(job: Path) -> None:
    (job / "target").write_bytes(b"old")
    handle = os.open(job / "temporary", os.O_WRONLY | os.O_CREAT)
    os.write(handle, b"one ")
    os.replace(job / "temporary", job / "target")
    os.write(handle, b"two")
    os.close(handle)
    assert (job / "target").read_bytes() == b"one two"


def test_an_unlinked_file_is_read_and_written_through_its_handle(job: Path) -> None:
    (job / "a").write_bytes(b"x" * 200_000)
    handle = os.open(job / "a", os.O_RDWR)
    (job / "a").unlink()
    assert os.listdir(job) == []
    assert os.pread(handle, 10, 199_995) == b"xxxxx"
    os.pwrite(handle, b"after unlink", 200_000)
    os.ftruncate(handle, 200_005)
    assert os.fstat(handle).st_size == 200_005
    assert os.pread(handle, 100, 200_000) == b"after"
    os.close(handle)
    assert os.listdir(job) == []


def test_an_unlinked_open_file_has_no_link_left(job: Path) -> None:
    handle = os.open(job / "a", os.O_RDWR | os.O_CREAT)
    (job / "a").unlink()
    assert os.fstat(handle).st_nlink == 0
    os.close(handle)


def test_a_name_may_be_made_anew_while_its_unlinked_predecessor_is_open(job: Path) -> None:
    handle = os.open(job / "a", os.O_RDWR | os.O_CREAT)
    os.write(handle, b"first")
    (job / "a").unlink()
    (job / "a").write_bytes(b"second")
    os.write(handle, b" goes on")
    os.close(handle)
    assert (job / "a").read_bytes() == b"second"


def test_a_file_never_published_may_be_unlinked_while_open(job: Path) -> None:
    handle = os.open(job / "a", os.O_RDWR | os.O_CREAT)
    os.write(handle, b"draft")
    (job / "a").unlink()
    assert os.pread(handle, 100, 0) == b"draft"
    os.close(handle)
    assert not (job / "a").exists()


def test_rename_noreplace_keeps_both_when_the_target_exists(job: Path) -> None:
    (job / "a").write_bytes(b"a")
    (job / "b").write_bytes(b"b")
    with pytest.raises(FileExistsError):
        syscalls.rename(job / "a", job / "b", flags=syscalls.RENAME_NOREPLACE)
    assert ((job / "a").read_bytes(), (job / "b").read_bytes()) == (b"a", b"b")


def test_rename_noreplace_moves_to_a_free_name(job: Path) -> None:
    (job / "a").write_bytes(b"a")
    syscalls.rename(job / "a", job / "b", flags=syscalls.RENAME_NOREPLACE)
    assert os.listdir(job) == ["b"]


def test_rename_exchange_swaps_files_between_jobs(job: Path, other_job: Path) -> None:
    (job / "a").write_bytes(b"a")
    (other_job / "b").write_bytes(b"bb")
    syscalls.rename(job / "a", other_job / "b", flags=syscalls.RENAME_EXCHANGE)
    assert ((job / "a").read_bytes(), (other_job / "b").read_bytes()) == (b"bb", b"a")


def test_rename_exchange_swaps_a_file_and_a_directory(job: Path) -> None:
    (job / "file").write_bytes(b"content")
    (job / "folder").mkdir()
    (job / "folder" / "inner").write_bytes(b"inner")
    syscalls.rename(job / "file", job / "folder", flags=syscalls.RENAME_EXCHANGE)
    assert (job / "folder").read_bytes() == b"content"
    assert (job / "file" / "inner").read_bytes() == b"inner"


def test_rename_exchange_with_a_missing_name_is_refused(job: Path) -> None:
    (job / "a").touch()
    with pytest.raises(FileNotFoundError):
        syscalls.rename(job / "a", job / "missing", flags=syscalls.RENAME_EXCHANGE)
    assert os.listdir(job) == ["a"]


def test_rename_exchange_of_open_files_follows_the_files(job: Path) -> None:
    first = os.open(job / "a", os.O_WRONLY | os.O_CREAT)
    second = os.open(job / "b", os.O_WRONLY | os.O_CREAT)
    syscalls.rename(job / "a", job / "b", flags=syscalls.RENAME_EXCHANGE)
    os.write(first, b"first")
    os.write(second, b"second")
    os.close(first)
    os.close(second)
    assert ((job / "a").read_bytes(), (job / "b").read_bytes()) == (b"second", b"first")


def test_a_directory_moves_to_another_job_with_all_below_it(job: Path, other_job: Path) -> None:
    (job / "report" / "html").mkdir(parents=True)
    (job / "report" / "html" / "index.html").write_bytes(b"<html>")
    (job / "report" / "top").write_bytes(b"top")
    (job / "report").rename(other_job / "moved")
    assert os.listdir(job) == []
    assert (other_job / "moved" / "html" / "index.html").read_bytes() == b"<html>"
    assert (other_job / "moved" / "top").read_bytes() == b"top"


def test_a_file_open_in_a_directory_that_moves_is_written_on_there(job: Path, other_job: Path) -> None:
    (job / "report").mkdir()
    handle = os.open(job / "report" / "log", os.O_WRONLY | os.O_CREAT)
    os.write(handle, b"one ")
    (job / "report").rename(other_job / "moved")
    os.write(handle, b"two")
    os.close(handle)
    assert (other_job / "moved" / "log").read_bytes() == b"one two"


def test_a_process_inside_a_directory_that_moves_stays_in_it(job: Path, other_job: Path) -> None:
    (job / "report").mkdir()
    inside = os.open(job / "report", os.O_RDONLY | os.O_DIRECTORY)
    (job / "report").rename(other_job / "moved")
    os.close(os.open("made-inside", os.O_WRONLY | os.O_CREAT, dir_fd=inside))
    os.close(inside)
    assert os.listdir(other_job / "moved") == ["made-inside"]


def test_a_job_may_be_renamed(shared: Ground, job: Path) -> None:
    (job / "log").write_bytes(b"content")
    renamed = shared.path / f"{job.name}-renamed"
    job.rename(renamed)
    assert (renamed / "log").read_bytes() == b"content"
    assert not job.exists()


def test_a_directory_replaces_an_empty_directory(job: Path) -> None:
    (job / "full").mkdir()
    (job / "full" / "file").write_bytes(b"x")
    (job / "empty").mkdir()
    (job / "full").rename(job / "empty")
    assert os.listdir(job) == ["empty"]
    assert (job / "empty" / "file").read_bytes() == b"x"


def test_a_directory_does_not_replace_one_that_is_not_empty(job: Path) -> None:
    for name in ("one", "two"):
        (job / name).mkdir()
        (job / name / "file").write_text(name)
    with refused(errno.ENOTEMPTY):
        (job / "one").rename(job / "two")
    assert (job / "two" / "file").read_text() == "two"


def test_a_directory_does_not_replace_a_file(job: Path) -> None:
    (job / "folder").mkdir()
    (job / "file").touch()
    with pytest.raises(NotADirectoryError):
        (job / "folder").rename(job / "file")


def test_a_file_does_not_replace_a_directory(job: Path) -> None:
    (job / "folder").mkdir()
    (job / "file").touch()
    with pytest.raises(IsADirectoryError):
        (job / "file").rename(job / "folder")


def test_a_directory_is_not_moved_below_itself(job: Path) -> None:
    (job / "outer" / "inner").mkdir(parents=True)
    with refused(errno.EINVAL):
        (job / "outer").rename(job / "outer" / "inner" / "loop")
    assert (job / "outer" / "inner").is_dir()


def test_a_rename_to_the_same_name_changes_nothing(job: Path) -> None:
    (job / "a").write_bytes(b"kept")
    (job / "a").rename(job / "a")
    assert (job / "a").read_bytes() == b"kept"


def test_a_rename_keeps_the_inode_number(job: Path) -> None:
    (job / "a").touch()
    before = (job / "a").stat().st_ino
    (job / "a").rename(job / "b")
    assert (job / "b").stat().st_ino == before


def test_rmdir_refuses_a_directory_that_is_not_empty(job: Path) -> None:
    (job / "folder").mkdir()
    (job / "folder" / "file").touch()
    with refused(errno.ENOTEMPTY):
        (job / "folder").rmdir()
    (job / "folder" / "file").unlink()
    (job / "folder").rmdir()
    assert os.listdir(job) == []


def test_mkdir_refuses_a_name_that_exists(job: Path) -> None:
    (job / "file").touch()
    with pytest.raises(FileExistsError):
        (job / "file").mkdir()


def test_unlink_of_a_directory_and_rmdir_of_a_file_are_refused(job: Path) -> None:
    (job / "folder").mkdir()
    (job / "file").touch()
    with pytest.raises(IsADirectoryError):
        os.unlink(job / "folder")
    with pytest.raises(NotADirectoryError):
        os.rmdir(job / "file")


def test_nothing_is_made_in_a_directory_that_was_removed(job: Path) -> None:
    (job / "folder").mkdir()
    removed = os.open(job / "folder", os.O_RDONLY | os.O_DIRECTORY)
    (job / "folder").rmdir()
    with pytest.raises(FileNotFoundError):
        os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=removed)
    os.close(removed)


@pytest.mark.parametrize("length", [1, 59, 60, 255, 1024, 4095])
def test_a_symlink_is_as_long_as_its_target_and_reads_back(job: Path, length: int) -> None:
    target = ("x/" * length)[:length]
    os.symlink(target, job / "link")
    assert os.readlink(job / "link") == target
    assert os.lstat(job / "link").st_size == length
    assert stat.S_ISLNK(os.lstat(job / "link").st_mode)


def test_a_symlink_keeps_a_target_of_any_bytes(job: Path) -> None:
    os.symlink(b"\xff\n caf\xc3\xa9", os.fsencode(job / "link"))
    assert os.readlink(os.fsencode(job / "link")) == b"\xff\n caf\xc3\xa9"


def test_a_dangling_symlink_is_there_but_leads_nowhere(job: Path) -> None:
    os.symlink("missing", job / "link")
    assert os.path.lexists(job / "link")
    with pytest.raises(FileNotFoundError):
        (job / "link").read_bytes()


def test_symlinks_lead_to_files_and_directories(job: Path) -> None:
    (job / "folder").mkdir()
    (job / "folder" / "file").write_bytes(b"content")
    os.symlink("folder", job / "to-folder")
    os.symlink("to-folder/file", job / "to-file")
    assert (job / "to-file").read_bytes() == b"content"
    (job / "to-file").write_bytes(b"through the link")
    assert (job / "folder" / "file").read_bytes() == b"through the link"


def test_a_symlink_may_be_renamed_over_and_removed(job: Path) -> None:
    os.symlink("one", job / "link")
    os.symlink("two", job / "next")
    os.replace(job / "next", job / "link")
    assert os.readlink(job / "link") == "two"
    (job / "link").unlink()
    assert os.listdir(job) == []


def test_names_of_every_length_up_to_255_bytes_exist(job: Path) -> None:
    names = {"n" * length for length in range(1, 256)}
    for name in names:
        (job / name).write_text(str(len(name)))
    assert set(os.listdir(job)) == names
    assert (job / ("n" * 255)).read_text() == "255"


def test_names_of_any_bytes_exist(job: Path) -> None:
    folder = os.fsencode(job)
    singles = {bytes([value]) for value in range(1, 256)} - {b".", b"/"}
    random_bytes = random.Random(7)
    longs = {bytes(random_bytes.choices([*range(1, 47), *range(48, 256)], k=255)) for _ in range(50)}
    odd = {b" ", b"  two  ", b"new\nline", b"-rf", b"*", b"...", b"caf\xe9", b"\xff\xfe", "日本語".encode()}
    for name in singles | longs | odd:
        with open(folder + b"/" + name, "wb") as file:
            file.write(name)
    assert set(os.listdir(folder)) == singles | longs | odd
    for name in singles | longs | odd:
        with open(folder + b"/" + name, "rb") as file:
            assert file.read() == name


def test_names_that_differ_in_case_are_different(job: Path) -> None:
    (job / "Name").write_bytes(b"upper")
    (job / "name").write_bytes(b"lower")
    assert ((job / "Name").read_bytes(), (job / "name").read_bytes()) == (b"upper", b"lower")


def test_a_name_of_256_bytes_is_too_long(job: Path) -> None:
    name = job / ("n" * 256)
    (job / "file").touch()
    for attempt in (name.touch, name.mkdir, name.stat, lambda: (job / "file").rename(name)):
        with refused(errno.ENAMETOOLONG):
            attempt()


def test_a_path_of_a_hundred_directories_works(job: Path) -> None:
    deep = job.joinpath(*[f"level-{number}" for number in range(100)])
    deep.mkdir(parents=True)
    (deep / "file").write_bytes(b"deep")
    assert (deep / "file").read_bytes() == b"deep"
    (job / "level-0").rename(job / "moved")
    assert (job / "moved" / deep.relative_to(job / "level-0") / "file").read_bytes() == b"deep"


@pytest.mark.mountfs_only
def test_hard_links_are_refused(job: Path) -> None:
    (job / "file").touch()
    with refused(errno.EPERM):
        os.link(job / "file", job / "second")
    assert os.listdir(job) == ["file"]


@pytest.mark.mountfs_only
def test_fifos_are_refused(job: Path) -> None:
    with refused(errno.EPERM):
        os.mkfifo(job / "fifo")
    assert os.listdir(job) == []


@pytest.mark.mountfs_only
def test_device_nodes_are_refused(job: Path) -> None:
    with refused(errno.EPERM):
        os.mknod(job / "null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    assert os.listdir(job) == []


@pytest.mark.mountfs_only
def test_sockets_are_refused(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(job)  # an address ends at 107 bytes
    with (
        socket.socket(socket.AF_UNIX) as server,
        refused(errno.EPERM),
    ):
        server.bind("socket")
    assert os.listdir(job) == []
