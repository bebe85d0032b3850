"""What another user may do: mode bits and owners count as on a disk, and nobody comes in unasked."""

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mounting import PLAIN, Ground, Mounted, Plain

OTHER = 65534
"""A uid that owns nothing; the tests act as it from root."""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as a second user")


@pytest.fixture(scope="module")
def open_folder() -> Iterator[Path]:
    """A directory every user can reach; pytest's own are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="mountfs-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def shared(open_folder: Path) -> Iterator[Ground]:
    """In place of the usual mount, one that others may enter."""
    mount, settings = open_folder / "mnt", {"allow_other": True}
    ground = Plain(mount) if PLAIN else Mounted(mount, open_folder / "state", settings=settings)
    ground.start()
    try:
        yield ground
    finally:
        ground.stop()


def as_other(script: str, folder: Path) -> bool:
    """Whether a shell script of the other user succeeds in `folder`."""
    command = ["sh", "-euc", script]
    done = subprocess.run(command, cwd=folder, user=OTHER, group=OTHER, extra_groups=[], capture_output=True)
    return done.returncode == 0


def test_what_another_user_makes_is_theirs(job: Path) -> None:
    job.chmod(0o777)
    assert as_other("umask 027; echo x > file; mkdir folder; ln -s x link", job)
    for name in ("file", "folder", "link"):
        made = os.lstat(job / name)
        assert (made.st_uid, made.st_gid) == (OTHER, OTHER)
    assert stat.S_IMODE((job / "file").stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("mode", "readable", "writable"), [(0o600, False, False), (0o644, True, False), (0o666, True, True)]
)
def test_mode_bits_decide_who_reads_and_writes(job: Path, mode: int, readable: bool, writable: bool) -> None:
    (job / "file").write_bytes(b"x")
    (job / "file").chmod(mode)
    assert as_other("cat file", job) == readable
    assert as_other("echo y >> file", job) == writable


def test_a_closed_directory_is_neither_listed_nor_entered(job: Path) -> None:
    (job / "folder").mkdir(mode=0o700)
    (job / "folder" / "file").write_bytes(b"x")
    assert not as_other("ls folder", job)
    assert not as_other("cat folder/file", job)


def test_a_directory_of_another_user_takes_no_new_names(job: Path) -> None:
    (job / "file").write_bytes(b"x")
    for script in ("touch new", "mkdir new", "rm -f file", "mv file other", "ln -s x new"):
        assert not as_other(script, job)
    assert os.listdir(job) == ["file"]


def test_a_sticky_directory_protects_the_files_of_others(job: Path) -> None:
    job.chmod(0o1777)
    (job / "file").touch(mode=0o666)
    assert as_other("touch theirs", job)
    assert not as_other("rm -f file", job)
    assert not as_other("mv -f theirs file", job)


def test_only_the_owner_changes_mode_owner_and_times(job: Path) -> None:
    (job / "file").write_bytes(b"x")
    (job / "file").chmod(0o666)
    for script in ("chmod 777 file", "chown 65534 file", "touch -d 2001-01-01 file"):
        assert not as_other(script, job)


def test_tags_follow_the_mode_bits(job: Path) -> None:
    (job / "file").touch()
    (job / "file").chmod(0o644)
    assert not as_other("setfattr -n user.branch -v main file", job)
    (job / "file").chmod(0o666)
    assert as_other("setfattr -n user.branch -v main file; getfattr -n user.branch file", job)


def test_a_write_of_another_user_takes_the_setuid_bit_away(job: Path) -> None:
    (job / "file").touch()
    (job / "file").chmod(0o4777)
    assert as_other("echo x >> file", job)
    assert stat.S_IMODE((job / "file").stat().st_mode) == 0o777


@pytest.mark.mountfs_only
def test_without_allow_other_nobody_else_comes_in(open_folder: Path) -> None:
    ground = Mounted(open_folder / "private", open_folder / "private-state")
    ground.start()
    try:
        assert not as_other(f"ls {ground.path}", open_folder)
        assert not as_other(f"stat {ground.path}/job", open_folder)
    finally:
        ground.stop()


@pytest.mark.mountfs_only
def test_the_state_directory_is_closed_to_others(shared: Ground, open_folder: Path) -> None:
    assert stat.S_IMODE((open_folder / "state").stat().st_mode) == 0o700
    assert not as_other("ls state", open_folder)
