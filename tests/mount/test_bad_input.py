"""Damage and impossible wishes: refused or contained, with a sentence, and never made worse."""

import hashlib
import os
import re
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tests.mount.conftest import ExpectedLog, MountFactory
from tests.mount.syscalls import refused
from tests.mounting import REPOSITORY, Mounted, is_mounted

pytestmark = [pytest.mark.mountfs_only, pytest.mark.usefixtures("unmeasured")]

MIB = 1 << 20
EIO = 5


def refused_start(daemon: Mounted) -> tuple[int, str]:
    """Exit code and stderr of a start that must not succeed; one that serves would run into the timeout."""
    ended = subprocess.run(
        daemon.command(), cwd=REPOSITORY, env=daemon.environment(), capture_output=True, text=True, timeout=30
    )
    assert ended.returncode != 0
    assert not is_mounted(daemon.path)
    assert "Traceback" not in ended.stderr
    return ended.returncode, ended.stderr


def stored_file(state: Path, content: bytes) -> Path:
    """The file that holds a content: its path ends in the digest, however it is spread over directories."""
    digest = hashlib.sha256(content).hexdigest()
    paths = [path for path in state.rglob("*") if path.is_file()]
    found = [path for path in paths if digest in str(path.relative_to(state)).replace("/", "")]
    found = found or [path for path in paths if path.name == digest]
    assert len(found) == 1, f"{digest} is not among {paths}"
    return found[0]


def catalog_of(state: Path) -> Path:
    """The database in a state directory, known by its first bytes."""
    files = [path for path in state.rglob("*") if path.is_file()]
    found = [path for path in files if path.read_bytes()[:15] == b"SQLite format 3"]
    assert found, f"no database among {files}"
    return max(found, key=lambda path: path.stat().st_size)


@pytest.fixture
def stopped(mounted: MountFactory) -> Mounted:
    """A store with one artifact, not mounted."""
    ground = mounted()
    (ground.path / "job").mkdir()
    (ground.path / "job" / "file").write_bytes(b"content")
    ground.settle()
    ground.stop()
    return ground


def test_a_damaged_content_is_an_io_error_for_that_artifact_alone(
    mounted: MountFactory, expected_log: ExpectedLog
) -> None:
    expected_log("integrity check")
    ground = mounted()
    job = ground.path / "job"
    job.mkdir()
    damaged, sound = os.urandom(3 * MIB), os.urandom(3 * MIB)
    (job / "damaged").write_bytes(damaged)
    (job / "sound").write_bytes(sound)
    ground.settle()
    ground.stop()
    with stored_file(ground.state, damaged).open("r+b") as stored:
        stored.seek(MIB + 1000)
        byte = stored.read(1)
        stored.seek(MIB + 1000)
        stored.write(bytes([byte[0] ^ 1]))
    ground.start()
    with refused(EIO):
        (job / "damaged").read_bytes()
    assert (job / "sound").read_bytes() == sound
    assert sorted(os.listdir(job)) == ["damaged", "sound"]
    assert "integrity check" in ground.log.read_text()
    (job / "damaged").write_bytes(b"written anew")
    assert (job / "damaged").read_bytes() == b"written anew"


def test_a_lost_content_is_an_io_error_and_its_name_stays(mounted: MountFactory, expected_log: ExpectedLog) -> None:
    expected_log("integrity check")
    ground = mounted()
    content = os.urandom(2 * MIB)
    (ground.path / "job").mkdir()
    (ground.path / "job" / "lost").write_bytes(content)
    ground.settle()
    ground.stop()
    stored_file(ground.state, content).unlink()
    ground.start()
    with refused(EIO):
        (ground.path / "job" / "lost").read_bytes()
    assert os.listdir(ground.path / "job") == ["lost"]


def test_a_damaged_catalog_is_refused_and_not_touched(stopped: Mounted) -> None:
    catalog = catalog_of(stopped.state)
    damaged = bytearray(catalog.read_bytes())
    damaged[100 : len(damaged) // 2] = os.urandom(len(damaged) // 2 - 100)
    catalog.write_bytes(damaged)
    code, said = refused_start(stopped)
    assert code == 7
    assert str(catalog) in said
    assert catalog.read_bytes() == damaged


def test_a_file_that_is_no_catalog_is_refused_and_not_touched(stopped: Mounted) -> None:
    catalog = catalog_of(stopped.state)
    catalog.write_bytes(b"not a database at all" * 1000)
    code, said = refused_start(stopped)
    assert code == 7
    assert str(catalog) in said
    assert catalog.read_bytes() == b"not a database at all" * 1000


def test_a_state_directory_of_a_newer_version_is_refused(stopped: Mounted) -> None:
    connection = sqlite3.connect(catalog_of(stopped.state))
    connection.execute("PRAGMA user_version = 9999")
    connection.close()
    code, said = refused_start(stopped)
    assert code == 7
    assert "newer" in said


def test_a_state_directory_that_another_daemon_holds_is_refused_with_its_pid(
    mounted: MountFactory, tmp_path: Path
) -> None:
    first = mounted()
    code, said = refused_start(Mounted(tmp_path / "second", first.state))
    assert code == 8
    assert re.search(rf"\b{first.pid}\b", said)
    first.assert_alive()


def test_a_mountpoint_that_is_mounted_already_is_refused(mounted: MountFactory, tmp_path: Path) -> None:
    first = mounted()
    (first.path / "job").mkdir()
    second = Mounted(first.path, tmp_path / "state")
    ended = subprocess.run(second.command(), cwd=REPOSITORY, env=second.environment(), capture_output=True, timeout=30)
    assert ended.returncode == 8
    assert os.listdir(first.path) == ["job"]


def test_a_state_directory_below_the_mountpoint_is_refused(tmp_path: Path) -> None:
    code, said = refused_start(Mounted(tmp_path / "mnt", tmp_path / "mnt" / "state"))
    assert code == 2
    assert "below the mountpoint" in said


def test_a_state_directory_in_another_mount_is_refused(mounted: MountFactory, tmp_path: Path) -> None:
    first = mounted()
    (first.path / "job").mkdir()
    code, said = refused_start(Mounted(tmp_path / "mnt", first.path / "job" / "state"))
    assert code == 2
    assert "fuse.mountfs" in said
    assert "local disk" in said
    assert os.listdir(first.path / "job") == []


def test_a_directory_that_is_not_empty_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "mnt").mkdir()
    (tmp_path / "mnt" / "file").write_text("mine")
    _, said = refused_start(Mounted(tmp_path / "mnt", tmp_path / "state"))
    assert "--adopt" in said
    assert (tmp_path / "mnt" / "file").read_text() == "mine"


def test_a_broken_settings_file_names_every_problem(tmp_path: Path) -> None:
    settings = {"limits": {"quota": "lots"}, "compresion": {}, "trash_days": -1}
    code, said = refused_start(Mounted(tmp_path / "mnt", tmp_path / "state", settings=settings))
    assert code == 2
    for word in ("limits.quota", "compresion", "compression", "trash_days", "mnt.yml"):
        assert word in said


@pytest.mark.parametrize("name", ["..", "."])
def test_dots_are_no_names(mounted: MountFactory, name: str) -> None:
    ground = mounted()
    (ground.path / "job").mkdir()
    with pytest.raises(OSError, match=r"exists|directory|busy|Invalid"):
        os.mkdir(ground.path / "job" / "x" / ".." / name)
    assert os.listdir(ground.path / "job") == []
