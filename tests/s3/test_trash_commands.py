"""`restore`, `trash` and `adopt` as users call them, through real mounts and without one."""

import errno
import os
import subprocess
from pathlib import Path

import pytest

from tests.mount.conftest import MountFactory, mounted  # noqa: F401  # a fixture
from tests.s3.program import Program
from tests.s3.two import Machine, Two, eventually

LOCAL = {"backend": "local"}


def mountfs(machine: Machine, *arguments: str, code: int = 0) -> str:
    done = machine.mountfs(*arguments)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr if code else done.stdout


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Nothing is mounted, and there is no bucket."""
    return Program(tmp_path / "here", LOCAL)


# -- through a mount ----------------------------------------------------------------------------------------------


def test_what_rm_removed_is_there_again_at_once(two: Two, job: str) -> None:
    here, there = two
    (here.path / job).mkdir()
    file = here.path / job / "file"
    file.write_bytes(b"content")
    here.flush()
    file.unlink()
    assert not file.exists()
    assert mountfs(here, "restore", f"{job}/file") == f"restored {job}/file\n"
    assert file.read_bytes() == b"content"
    here.flush()
    eventually(lambda: (there.path / job / "file").read_bytes(), b"content")


def test_a_whole_job_removed_by_rm_comes_back(two: Two, job: str) -> None:
    here, _ = two
    for name in ("a/one", "a/b/two", "three"):
        (here.path / job / name).parent.mkdir(parents=True, exist_ok=True)
        (here.path / job / name).write_text(name)
    os.setxattr(here.path / job, "user.branch", b"main")
    here.settle()
    subprocess.run(["rm", "-rf", here.path / job], check=True)
    assert not (here.path / job).exists()
    mountfs(here, "restore", job)
    assert {name: (here.path / job / name).read_text() for name in ("a/one", "a/b/two", "three")} == {
        name: name for name in ("a/one", "a/b/two", "three")
    }
    assert os.getxattr(here.path / job, "user.branch") == b"main"


def test_what_another_machine_wrote_is_refused_with_the_reason_in_status(two: Two, job: str) -> None:
    here, there = two
    (here.path / job).mkdir()
    (here.path / job / "file").write_bytes(b"theirs")
    here.flush()
    for new in (f"{job}/other", f"{job}-other/file"):
        (there.path / f"{job}-other").mkdir(exist_ok=True)
        with pytest.raises(PermissionError):
            os.rename(there.path / job / "file", there.path / new)
    with pytest.raises(PermissionError):
        os.rename(there.path / job, there.path / f"{job}-another")
    with pytest.raises(PermissionError) as error:
        os.unlink(there.path / job / "file")
    assert error.value.errno == errno.EPERM
    assert f"mountfs adopt {job}" in mountfs(there, "status")
    (there.path / job / "file").write_bytes(b"written there")
    there.flush()
    eventually(lambda: (here.path / job / "file").read_bytes(), b"written there")


def test_wiping_the_tree_on_one_machine_leaves_the_jobs_of_the_other(two: Two, job: str) -> None:
    here, there = two
    (here.path / job / "deep").mkdir(parents=True)
    (here.path / job / "deep" / "file").write_bytes(b"theirs")
    (there.path / f"{job}-own").mkdir()
    (there.path / f"{job}-own" / "file").write_bytes(b"own")
    here.flush()
    there.flush()
    assert (there.path / job / "deep" / "file").read_bytes() == b"theirs"
    subprocess.run(["rm", "-rf", there.path / job, there.path / f"{job}-own"], capture_output=True, check=False)
    there.flush()
    assert not (there.path / f"{job}-own").exists()
    for machine in two:
        assert (machine.path / job / "deep" / "file").read_bytes() == b"theirs"


def test_an_adopted_job_is_removed_like_ones_own_and_mv_copies_what_is_elsewhere(two: Two, job: str) -> None:
    here, there = two
    content = os.urandom(1000)  # what is known here from another job would move
    (here.path / job).mkdir()
    (here.path / job / "file").write_bytes(content)
    here.flush()
    assert (there.path / job / "file").exists()
    mountfs(there, "adopt", job)
    (there.path / f"{job}-other").mkdir()
    with pytest.raises(OSError, match="cross-device"):
        os.rename(there.path / job / "file", there.path / f"{job}-other" / "file")
    subprocess.run(["mv", there.path / job / "file", there.path / f"{job}-other" / "file"], check=True)
    assert (there.path / f"{job}-other" / "file").read_bytes() == content
    there.flush()
    eventually(lambda: (here.path / job / "file").exists(), expected=False)


def test_mountfs_delete_removes_a_job_of_which_only_the_name_was_seen(two: Two, job: str) -> None:
    here, there = two
    (here.path / job).mkdir()
    (here.path / job / "file").write_bytes(b"theirs")
    here.flush()
    eventually(lambda: job in os.listdir(there.path), expected=True)
    there.ask({"op": "delete", "key": job}, timeout_seconds=30)
    there.flush()
    eventually(lambda: (here.path / job / "file").exists(), expected=False)


def test_the_mount_of_a_store_without_a_bucket_has_a_trash_too(mounted: MountFactory) -> None:  # noqa: F811
    daemon = mounted()
    file = daemon.path / "job" / "file"
    file.parent.mkdir()
    file.write_bytes(b"old")
    daemon.settle()
    file.write_bytes(b"new")
    daemon.settle()
    answer = daemon.ask({"op": "restore", "key": "job/file"}, timeout_seconds=30)
    assert answer["restored"] == 1
    assert file.read_bytes() == b"old"


# -- without one ------------------------------------------------------------------------------------------------------


def test_the_list_says_what_went_when_and_why_newest_first(program: Program) -> None:
    program.put("job/file", b"first")
    program.put("job/file", b"second")
    program("delete", "job/file")
    newest, older = program.json("trash", "list")
    assert (newest["key"], newest["reason"], newest["size"]) == ("job/file", "removed", 6)
    assert (older["reason"], older["size"]) == ("replaced", 5)
    assert str(newest["until"]) > str(newest["gone_at"])
    assert program("trash", "list", "job/file").splitlines()[0].split("\t")[-1] == "job/file"
    assert program.json("trash", "list", "other") == []


def test_an_older_one_is_restored_by_its_id_under_another_key(program: Program) -> None:
    program.put("job/file", b"first")
    program.put("job/file", b"second")
    (older,) = program.json("trash", "list")
    program("restore", "job/file", "--id", str(older["id"]), "--as", "job/copy")
    assert (program("cat", "job/file"), program("cat", "job/copy")) == ("second", "first")


def test_emptying_says_what_goes_and_a_dry_run_leaves_it(program: Program) -> None:
    program.put("job/one", b"1")
    program.put("job/two", b"2")
    program("delete", "job", "--yes")
    assert "would let go of job/one" in program("trash", "empty", "job/one", "--dry-run")
    assert len(program.json("trash", "list")) == 2
    assert "let go of job/one" in program("trash", "empty", "job/one")
    program("trash", "empty")
    assert program.json("trash", "list") == []
    assert "not in the trash" in program("restore", "job/two", code=3)


def test_adopting_needs_a_bucket(program: Program) -> None:
    program.put("job/one", b"1")
    assert "no bucket" in program("adopt", "job", code=2)
