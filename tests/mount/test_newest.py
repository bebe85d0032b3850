"""Which job is the newest: the one that began last, whatever is written into older ones since, for all that asks."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.mount.test_cleanup import mountfs
from tests.mounting import Mounted
from tests.written import answered, cobertura, junit

pytestmark = pytest.mark.mountfs_only


@pytest.fixture
def store(shared: Mounted) -> Mounted:
    """The mount that the tests of this module share, with nothing in it."""
    for job in shared.path.iterdir():
        shutil.rmtree(job)
    return shared


def make(root: Path, job: str, files: dict[str, bytes], **tags: str) -> None:
    (root / job).mkdir()
    for key, value in tags.items():
        os.setxattr(root / job, f"user.{key}", value.encode())
    for name, content in files.items():
        (root / job / name).write_bytes(content)
        answered(root / job / name)


def baseline_of(store: Mounted, job: str) -> object:
    return json.loads(mountfs(store, "compare", job, "--baseline", "main", "--json"))["baseline"]["job"]


def test_cleanup_keeps_the_report_that_compare_takes_although_an_older_job_got_a_late_file(store: Mounted) -> None:
    """F-108, F-114: what is a baseline in use is one for both."""
    for job in ("A", "B"):
        make(store.path, job, {"junit.xml": junit(a="P")}, branch="main", status="success")
    make(store.path, "PR", {"junit.xml": junit(a="F")}, branch="feature")
    (store.path / "A" / "late.log").write_text("late\n")
    assert baseline_of(store, "PR") == "B"
    dropped = mountfs(store, "cleanup", "--type", "test-results", "--older-than", "1ms", "--branch", "main")
    assert "drop test-results of A" in dropped
    assert "of B" not in dropped
    assert baseline_of(store, "PR") == "B"


def test_cleanup_keeps_it_when_the_late_file_is_a_report(store: Mounted) -> None:
    for job in ("A", "B"):
        make(store.path, job, {"junit.xml": junit(a="P")}, branch="main")
    make(store.path, "PR", {"junit.xml": junit(a="F")}, branch="feature")
    (store.path / "A" / "junit.xml").write_bytes(junit(a="P", b="P"))
    assert baseline_of(store, "PR") == "B"
    mountfs(store, "cleanup", "--type", "test-results", "--older-than", "1ms", "--branch", "main")
    assert (baseline_of(store, "PR"), (store.path / "A").exists()) == ("B", False)


def test_a_note_in_an_old_job_makes_it_no_newer_for_anybody_who_asks(store: Mounted) -> None:
    """F-103, F-104, F-105."""
    root = store.path
    make(root, "build-1", {"junit.xml": junit(a="P"), "coverage.xml": cobertura(80)}, branch="main")
    make(root, "build-3", {"junit.xml": junit(a="F"), "coverage.xml": cobertura(70)}, branch="main")
    (root / "build-1" / "note.txt").write_text("note\n")
    latest = root / ".latest" / "branch" / "main"
    assert os.readlink(latest / "junit.xml") == "../../../build-3/junit.xml"
    assert os.readlink(latest / ".job") == "../../../build-3"
    assert os.readlink(latest / "note.txt") == "../../../build-1/note.txt"
    assert mountfs(store, "get", "--branch", "main", "--latest", "--type", "junit", "-o", "-") == junit(a="F").decode()
    said = json.loads(mountfs(store, "history", "a", "--branch", "main", "--json"))
    assert [row["job"] for row in said["rows"]] == ["build-3", "build-1"]
    assert said["failing_since"]["first"]["job"] == "build-3"
    points = json.loads(mountfs(store, "trend", "coverage.line", "--branch", "main", "--json"))["points"]
    assert [point["job"] for point in points] == ["build-1", "build-3"]
    assert points[0]["began_ms"] < points[1]["began_ms"]
    assert ">70" in mountfs(store, "badge", "coverage", "--branch", "main")
    assert sorted(os.listdir(root / ".recent")) == ["build-1", "build-3"]


def test_a_job_that_is_made_again_begins_again(store: Mounted) -> None:
    for job in ("build-1", "build-2"):
        make(store.path, job, {"junit.xml": junit(a="P")}, branch="main")
    shutil.rmtree(store.path / "build-1")
    make(store.path, "build-1", {"junit.xml": junit(a="P")}, branch="main")
    assert os.readlink(store.path / ".latest" / "branch" / "main" / ".job") == "../../../build-1"


def test_a_job_into_which_an_older_file_is_moved_is_as_old_as_the_file(store: Mounted) -> None:
    root = store.path
    for job in ("old", "between", "new"):
        make(root, job, {}, branch="main")
        (root / job / "build.log").write_text(job)
    (root / "old" / "late.log").write_text("late\n")
    latest = root / ".latest" / "branch" / "main" / ".job"
    os.rename(root / "old" / "late.log", root / "new" / "late.log")
    assert os.readlink(latest) == "../../../new"
    subprocess.run(["cp", "-a", root / "old" / "build.log", root / "new" / "copy.log"], check=True)
    assert os.readlink(latest) == "../../../new"
    os.rename(root / "old" / "build.log", root / "new" / "moved.log")
    assert os.readlink(latest) == "../../../between"
    (root / "new" / "moved.log").unlink()
    assert os.readlink(latest) == "../../../new"
    mountfs(store, "restore", "new/moved.log", "--as", "new/restored.log")
    assert os.readlink(latest) == "../../../between"


def test_a_job_that_is_restored_is_as_old_as_it_was(store: Mounted) -> None:
    """Also where its directory is older than what is in it: a long build before its first report."""
    for job in ("long", "short"):
        (store.path / job).mkdir()
        os.setxattr(store.path / job, "user.branch", b"main")
    began = os.getxattr(store.path / "long", "user.mountfs.created_at")
    for job in ("short", "long"):
        (store.path / job / "junit.xml").write_bytes(junit(a="P"))
        answered(store.path / job / "junit.xml")
    latest = store.path / ".latest" / "branch" / "main" / ".job"
    assert os.readlink(latest) == "../../../short"
    shutil.rmtree(store.path / "long")
    mountfs(store, "restore", "long")
    assert os.readlink(latest) == "../../../short"
    assert os.getxattr(store.path / "long", "user.mountfs.created_at") == began
