"""`.versions/`: what was written over, as ordinary files that are only read (F-137, F-138), on a real mount."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mounting import Mounted

pytestmark = pytest.mark.mountfs_only


@pytest.fixture(scope="module")
def keeping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mounted]:
    """One mount that keeps versions, for all tests here."""
    folder = tmp_path_factory.mktemp("versions")
    mount = Mounted(folder / "mnt", folder / "state", settings={"versions": {"enabled": True}})
    mount.start()
    with mount.deadline(240):
        yield mount
    mount.stop()


@pytest.fixture
def root(keeping: Mounted) -> Path:
    for job in keeping.path.iterdir():
        shutil.rmtree(job)
    return keeping.path


def write(mount: Mounted, key: str, *states: str) -> Path:
    """Write each of these over the one before, and wait until it is stored."""
    path = mount.path / key
    path.parent.mkdir(parents=True, exist_ok=True)
    for state in states:
        path.write_text(state)
        mount.settle()
    return path


def mountfs(mount: Mounted, *arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "mountfs.cli", *arguments],
        env=os.environ | {"MOUNTFS_MOUNT": str(mount.path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr if code else done.stdout


def test_an_overwritten_report_is_read_and_compared_under_versions(keeping: Mounted, root: Path) -> None:
    path = write(keeping, "J/deep/report.txt", "one\n", "two\n", "three\n" * 100_000)
    versions = root / ".versions" / "J" / "deep" / "report.txt"
    assert os.listdir(root / ".versions") == ["J"]
    assert os.listdir(root / ".versions" / "J") == ["deep"]
    assert sorted(os.listdir(versions)) == ["1", "2", "3"]
    assert [(versions / name).read_text() for name in "123"] == ["one\n", "two\n", "three\n" * 100_000]
    assert (versions / "3").stat().st_size == path.stat().st_size
    said = subprocess.run(["diff", versions / "1", versions / "2"], capture_output=True, text=True, timeout=20).stdout
    assert said == "1c1\n< one\n---\n> two\n"
    shutil.copy2(versions / "1", root / "J" / "old")
    assert (root / "J" / "old").read_text() == "one\n"


def test_a_version_has_facts_of_its_own(keeping: Mounted, root: Path) -> None:
    path = write(keeping, "J/report.txt", "one\n", "other\n")
    first = root / ".versions" / "J" / "report.txt" / "1"
    assert os.getxattr(path, "user.mountfs.version") == b"2"
    assert os.getxattr(first, "user.mountfs.version") == b"1"
    assert os.getxattr(first, "user.mountfs.sha256") != os.getxattr(path, "user.mountfs.sha256")
    assert os.getxattr(first, "user.mountfs.size") == b"4"
    assert '"version": 2' in mountfs(keeping, "show", "J/report.txt", "--json")
    assert os.listxattr(first) == []


def test_facts_follow_a_file_that_was_made_anew_under_its_name(keeping: Mounted, root: Path) -> None:
    first = root / ".versions" / "J" / "report.txt" / "1"
    for text in ("before\n", "after, and longer\n"):
        write(keeping, "J/report.txt", text, "other\n")
        assert os.getxattr(first, "user.mountfs.size") == b"%d" % len(text)
        assert first.read_text() == text
        (root / "J" / "report.txt").unlink()


def test_versions_are_met_by_nobody_who_did_not_ask_for_them(keeping: Mounted, root: Path) -> None:
    write(keeping, "J/report.txt", "one", "two")
    found = subprocess.run(["find", root], capture_output=True, text=True, timeout=20).stdout
    assert found.splitlines() == [str(root), str(root / "J"), str(root / "J" / "report.txt")]


def test_nothing_in_versions_can_be_changed(keeping: Mounted, root: Path) -> None:
    write(keeping, "J/report.txt", "one", "two")
    first = root / ".versions" / "J" / "report.txt" / "1"
    for change in (
        lambda: first.write_text("x"),
        first.unlink,
        lambda: first.rename(root / "J" / "x"),
        lambda: os.truncate(first, 0),
        lambda: first.chmod(0o777),
        lambda: (first.parent / "9").touch(),
        first.parent.rmdir,
    ):
        with pytest.raises(OSError, match="Read-only file system"):
            change()
    assert first.read_text() == "one"


@pytest.mark.parametrize("name", ["0", "01", "3", "x", "1/2", "-1", "9" * 40])
def test_what_is_no_version_is_not_there(keeping: Mounted, root: Path, name: str) -> None:
    write(keeping, "J/report.txt", "one", "two")
    with pytest.raises((FileNotFoundError, NotADirectoryError)):
        (root / ".versions" / "J" / "report.txt" / name).read_text()


def test_a_file_that_may_not_be_read_may_not_be_read_there_either(keeping: Mounted, root: Path) -> None:
    path = write(keeping, "private/secret.txt", "one", "two")
    path.chmod(0o600)
    (root / "private").chmod(0o700)
    first = root / ".versions" / "private" / "secret.txt" / "1"
    assert first.stat().st_mode & 0o777 == 0o400
    assert (root / ".versions" / "private").stat().st_mode & 0o777 == 0o500


def test_a_save_as_editors_do_it_is_a_version(keeping: Mounted, root: Path) -> None:
    path = write(keeping, "J/notes.txt", "one\n")
    os.setxattr(path, "user.team", b"payments")
    subprocess.run(["sed", "-i", "s/one/two/", path], check=True, timeout=20)
    keeping.settle()
    assert (root / ".versions" / "J" / "notes.txt" / "1").read_text() == "one\n"
    assert path.read_text() == "two\n"


def test_restore_brings_a_version_back_under_its_name_and_keeps_the_tags(keeping: Mounted, root: Path) -> None:
    path = write(keeping, "J/report.txt", "one\n", "two\n")
    os.setxattr(path, "user.team", b"payments")
    with path.open() as reader:
        assert reader.read() == "two\n"
        assert mountfs(keeping, "restore", "J/report.txt", "--version", "1") == "restored J/report.txt\n"
        assert path.read_text() == "one\n"
    assert os.getxattr(path, "user.team") == b"payments"
    keeping.settle()
    assert mountfs(keeping, "restore", f"{root}/.versions/J/report.txt/2") == "restored J/report.txt\n"
    assert path.read_text() == "two\n"
    assert sorted(os.listdir(root / ".versions" / "J" / "report.txt")) == ["1", "2", "3", "4"]


def test_what_was_written_right_before_a_restore_is_a_version(keeping: Mounted, root: Path) -> None:
    path = write(keeping, "J/report.txt", "one\n", "two\n")
    for text in ("three\n", "four\n"):
        path.write_text(text)
    mountfs(keeping, "restore", "J/report.txt", "--version", "1")
    assert path.read_text() == "one\n"
    directory = root / ".versions" / "J" / "report.txt"
    states = [(directory / name).read_text() for name in sorted(os.listdir(directory))]
    assert states == ["one\n", "two\n", "four\n", "one\n"]


def test_what_is_no_version_is_not_restored_and_says_what_there_is(keeping: Mounted, root: Path) -> None:
    write(keeping, "J/report.txt", "one\n", "two\n")
    assert "there are 1 to 2" in mountfs(keeping, "restore", "J/report.txt", "--version", "7", code=3)
    assert "a version is a number" in mountfs(keeping, "restore", ".versions/J/report.txt", code=2)
    assert "--version goes without" in mountfs(
        keeping, "restore", "J/report.txt", "--version", "1", "--as", "K/x", code=2
    )
    with (root / "J" / "report.txt").open("a"):
        assert "is being written" in mountfs(keeping, "restore", "J/report.txt", "--version", "1", code=8)
    assert (root / "J" / "report.txt").read_text() == "two\n"


def test_a_file_that_is_removed_and_restored_has_its_versions_again(keeping: Mounted, root: Path) -> None:
    path = write(keeping, "v/f.txt", "1", "2", "3")
    path.unlink()
    assert mountfs(keeping, "restore", "v/f.txt") == "restored v/f.txt\n"
    versions = root / ".versions" / "v" / "f.txt"
    assert path.read_text() == "3"
    assert [(versions / name).read_text() for name in "123"] == ["1", "2", "3"]
    mountfs(keeping, "restore", "v/f.txt", "--version", "1")
    assert path.read_text() == "1"


def test_versions_outlive_a_kill_and_a_restart(keeping: Mounted, root: Path) -> None:
    write(keeping, "J/report.txt", "one\n", "two\n")
    (root / "J" / "report.txt").write_text("three\n")
    keeping.kill()
    keeping.start()
    keeping.settle()
    versions = root / ".versions" / "J" / "report.txt"
    assert [(versions / name).read_text() for name in "123"] == ["one\n", "two\n", "three\n"]
