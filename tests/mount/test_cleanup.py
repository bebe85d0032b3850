"""Cleaning up as a user does it (FEATURES 8): what goes, with its reason, and what stays, through a real mount."""

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.faults.clock import build_clock, skewed
from tests.mount.conftest import MountFactory
from tests.mount.syscalls import RENAME_EXCHANGE, rename
from tests.mounting import REPOSITORY, Mounted
from tests.s3.two import wait_until

pytestmark = pytest.mark.mountfs_only

DAY_SECONDS = 86_400
KEPT = {"default_ttl_days": 30, "types": {"build-logs": 7, "videos": 0}}


def mountfs(machine: Mounted, *arguments: str, code: int = 0, environment: Mapping[str, str] | None = None) -> str:
    """What a command of mountfs about this mount prints; on stderr where it ends with another code than 0."""
    ended, printed, said = answer(machine, *arguments, environment=environment)
    assert ended == code, printed + said
    return said if code else printed


def answer(machine: Mounted, *arguments: str, environment: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """The exit code of such a command, what it printed and what it said on stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "mountfs.cli", *arguments, "--state", str(machine.state)],
        cwd=REPOSITORY,
        env=machine.environment() | {"MOUNTFS_CONFIG": str(machine.path.with_name(machine.path.name + ".yml"))}
        | dict(environment or {}),
        capture_output=True,
        text=True,
        timeout=60,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def make(root: Path, job: str, *names: str, **tags: str) -> Path:
    (root / job).mkdir()
    for key, value in tags.items():
        os.setxattr(root / job, f"user.{key}", value.encode())
    for name in names:
        (root / job / name).parent.mkdir(parents=True, exist_ok=True)
        (root / job / name).write_text(f"{job} {name}\n" * 50)
    return root / job


@pytest.fixture
def store(shared: Mounted) -> Mounted:
    """The mount that the tests of this module share, with nothing in it. Its settings say nothing of retention."""
    for job in shared.path.iterdir():
        for path in (job, *job.rglob("*")):
            os.setxattr(path, "user.mountfs.pinned", b"0")
        shutil.rmtree(job)
    return shared


def test_without_settings_nothing_ever_expires(store: Mounted) -> None:
    make(store.path, "build-1", "junit.xml", "a.log")
    assert mountfs(store, "cleanup") == "0 artifacts dropped, and 0 jobs are gone with them\n"
    assert sorted(os.listdir(store.path / "build-1")) == ["a.log", "junit.xml"]


def test_by_hand_each_victim_is_named_with_its_reason(store: Mounted) -> None:
    """F-121."""
    make(store.path, "build-1", "junit.xml", "a.log", "deep/b.log", branch="feature")
    make(store.path, "build-2", "a.log", branch="other")
    said = "build-logs of build-1: 0 days since it was published, asked for (--type build-logs --branch feature)"
    select = ("cleanup", "--type", "log", "--branch", "feature")
    # the newest of its branch is what comparisons take, so it stays
    assert mountfs(store, *select, "--dry-run") == "0 artifacts of 0 jobs would go, 0 B\n"
    make(store.path, "build-3", "a.log", branch="feature")
    assert mountfs(store, *select, "--dry-run").splitlines()[0] == f"would drop {said}"
    assert (store.path / "build-1" / "deep" / "b.log").exists()
    assert mountfs(store, *select).splitlines() == [
        f"drop {said}",
        "2 artifacts dropped, and 0 jobs are gone with them",
    ]
    assert os.listdir(store.path / "build-1") == ["junit.xml"]
    assert os.listdir(store.path / "build-2") == ["a.log"]
    listed = mountfs(store, "trash", "list", "build-1")
    assert listed.count("expired") == 2
    mountfs(store, "restore", "build-1")
    assert (store.path / "build-1" / "deep" / "b.log").read_text() == "build-1 deep/b.log\n" * 50


def test_the_kernel_forgets_what_went(store: Mounted) -> None:
    job = make(store.path, "build-1", "a.log", "b.log")
    before = [os.stat(job / name).st_size for name in os.listdir(job)]
    assert len(before) == 2
    mountfs(store, "cleanup", "--type", "build-logs")
    assert not job.exists()
    assert "build-1" not in os.listdir(store.path)
    make(store.path, "build-1", "a.log")
    assert os.listdir(job) == ["a.log"]


def test_programs_read_what_goes_and_what_stays(store: Mounted) -> None:
    make(store.path, "build-1", "junit.xml", "a.log")
    rows = [json.loads(line) for line in mountfs(store, "cleanup", "--type", "log", "--kept", "--json").splitlines()]
    assert [(row.get("action"), row.get("job"), row.get("type"), row.get("rule")) for row in rows[:2]] == [
        ("drop", "build-1", "build-logs", "--type build-logs"),
        ("keep", "build-1", "test-results", None),
    ]
    assert rows[1]["reasons"] == [{"rule": "--type", "reason": "not selected by --type"}]
    assert rows[2] == {"schema": 1, "dropped": 1, "jobs_gone": 0}


def test_an_artifact_goes_when_its_own_date_has_come(store: Mounted) -> None:
    """F-125."""
    job = make(store.path, "build-1", "junit.xml", "a.log", "b.log")
    os.setxattr(job / "a.log", "user.mountfs.expires_at", b"2020-01-02")
    assert mountfs(store, "cleanup").splitlines() == [
        "drop build-1/a.log: its own date was 2020-01-02 00:00 UTC (expires_at)",
        "1 artifacts dropped, and 0 jobs are gone with them",
    ]
    assert sorted(os.listdir(job)) == ["b.log", "junit.xml"]


def test_what_expired_and_is_restored_stays_at_the_next_run(store: Mounted) -> None:
    """Its date has come, and would come again at once; a date that is still to come stays."""
    job = make(store.path, "dated-1", "junit.xml", "a.log", "b.log")
    os.setxattr(job / "a.log", "user.mountfs.expires_at", b"2020-01-02")
    os.setxattr(job / "b.log", "user.mountfs.expires_at", b"2200-01-02")
    store.settle()
    mountfs(store, "cleanup")
    os.unlink(job / "b.log")
    assert sorted(mountfs(store, "restore", "dated-1").splitlines()) == [
        "restored dated-1/a.log; its date had come and is taken away",
        "restored dated-1/b.log",
    ]
    assert mountfs(store, "cleanup") == "0 artifacts dropped, and 0 jobs are gone with them\n"
    assert sorted(os.listdir(job)) == ["a.log", "b.log", "junit.xml"]
    with pytest.raises(OSError, match="No data available"):
        os.getxattr(job / "a.log", "user.mountfs.expires_at")
    assert os.getxattr(job / "b.log", "user.mountfs.expires_at").startswith(b"2200-01-02")


def test_what_is_pinned_stays_whatever_is_asked_for(store: Mounted) -> None:
    """F-114."""
    make(store.path, "build-1", "deep/a.log", "junit.xml")
    make(store.path, "build-2", "a.log")
    os.setxattr(store.path / "build-1" / "deep", "user.mountfs.pinned", b"1")
    mountfs(store, "cleanup", "--older-than", "1ms")
    assert os.listdir(store.path) == ["build-1"]
    assert os.listdir(store.path / "build-1" / "deep") == ["a.log"]


def test_more_than_a_fifth_of_the_jobs_asks_for_yes(store: Mounted) -> None:
    for number in range(8):
        make(store.path, f"build-{number}", "a.log")
    select = ("cleanup", "--older-than", "1ms")
    refused = mountfs(store, *select, code=4)
    assert refused == (
        "mountfs: nothing was dropped: this would take something from 8 of 8 jobs, more than a fifth of them;"
        " look at `mountfs cleanup --dry-run`, and if that is meant: `mountfs cleanup --yes`\n"
    )
    assert len(os.listdir(store.path)) == 8
    assert mountfs(store, *select, "--yes").splitlines()[-1] == "8 artifacts dropped, and 8 jobs are gone with them"
    assert os.listdir(store.path) == []


def test_a_refused_cleanup_says_what_would_go_and_that_nothing_did(store: Mounted) -> None:
    """A program that reads what was dropped must not take a refused run for one that was carried out."""
    for number in range(8):
        make(store.path, f"build-{number}", "a.log")
    select = ("cleanup", "--type", "build-logs", "--older-than", "1ms")
    code, printed, said = answer(store, *select)
    assert (code, said.startswith("mountfs: nothing was dropped: ")) == (4, True)
    assert [line.split(" of ")[0] for line in printed.splitlines()] == ["would drop build-logs"] * 8 + ["8 artifacts"]
    code, printed, _ = answer(store, *select, "--json")
    assert (code, {json.loads(line)["dry_run"] for line in printed.splitlines()}) == (4, {True})
    assert len(os.listdir(store.path)) == 8


def test_where_nothing_is_mounted_the_same_is_done(tmp_path: Path) -> None:
    store = Mounted(tmp_path / "mnt", tmp_path / "state", settings={"retention": KEPT})
    store.command()  # writes the settings
    (tmp_path / "a.log").write_text("log")
    for job in ("build-1", "build-2"):
        mountfs(store, "put", f"{job}/a.log", str(tmp_path / "a.log"))
    late = skewed(build_clock(tmp_path), ahead_seconds=8 * DAY_SECONDS)
    assert mountfs(store, "cleanup", environment=late).splitlines() == [
        "drop build-logs of build-1: 8 days since it was published, kept for 7 (retention.types)",
        "drop build-logs of build-2: 8 days since it was published, kept for 7 (retention.types)",
        "2 artifacts dropped, and 2 jobs are gone with them",
    ]
    assert mountfs(store, "list") == ""
    assert mountfs(store, "trash", "list", environment=late).count("expired") == 2


def test_an_age_without_a_unit_and_a_branch_git_does_not_know_are_refused(store: Mounted, tmp_path: Path) -> None:
    refused = mountfs(store, "cleanup", "--older-than", "90", code=2)
    assert refused == "mountfs: older than 90: say of what; allowed: a duration such as 90d or 12h\n"
    assert "is not a type; known:" in mountfs(store, "cleanup", "--type", "no such", code=2)
    no_repository = mountfs(store, "cleanup", "--merged", "--repo", str(tmp_path), code=2)
    assert "is no git repository" in no_repository


def git(repository: Path, *arguments: str) -> None:
    said = ["-c", "user.name=me", "-c", "user.email=me@here", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", "-C", str(repository), *said, *arguments], check=True, capture_output=True)


def test_jobs_of_branches_that_are_merged_go(store: Mounted, tmp_path: Path) -> None:
    """F-124."""
    git(tmp_path, "init")
    git(tmp_path, "commit", "--allow-empty", "-m", "begun")
    for branch in ("done", "open"):
        git(tmp_path, "checkout", "-b", branch, "main")
        git(tmp_path, "commit", "--allow-empty", "-m", branch)
    git(tmp_path, "checkout", "main")
    git(tmp_path, "merge", "--no-ff", "-m", "merged", "done")
    for branch in ("main", "done", "open"):
        make(store.path, f"{branch}-1", "a.log", branch=branch)
    select = ("cleanup", "--merged", "--repo", str(tmp_path))
    assert mountfs(store, *select).splitlines()[0].startswith("drop build-logs of done-1: ")
    assert sorted(os.listdir(store.path)) == ["main-1", "open-1"]
    assert "has no branch 'master'" in mountfs(store, *select, "--into", "master", code=3)


def test_a_clock_that_jumped_stops_a_run(mounted: MountFactory, tmp_path: Path) -> None:
    store = mounted({"retention": KEPT})
    make(store.path, "build-1", "a.log", "video/a.mp4")
    mountfs(store, "cleanup")
    store.stop()
    ahead = mounted(
        {"retention": KEPT},
        state=store.state,
        environment=skewed(build_clock(tmp_path), ahead_seconds=int(399.5 * DAY_SECONDS)),
    )
    refused = mountfs(ahead, "cleanup", code=4)
    assert "this machine's clock went 399 days ahead against the time it was on since the last cleanup" in refused
    assert mountfs(ahead, "cleanup", "--yes").splitlines()[0] == (
        "drop build-logs of build-1: 399 days since it was published, kept for 7 (retention.types)"
    )
    assert os.listdir(ahead.path / "build-1") == ["video"]


# -- pin, unpin, delete -------------------------------------------------------------------------------------------


def test_what_is_pinned_is_not_deleted_until_it_is_unpinned(store: Mounted) -> None:
    """F-114."""
    job = make(store.path, "build-1", "a.log", "deep/b.log")
    make(store.path, "build-2", "a.log")
    mountfs(store, "pin", "build-1/deep")
    assert os.getxattr(job / "deep", "user.mountfs.pinned") == b"1"
    with pytest.raises(PermissionError):
        os.unlink(job / "deep" / "b.log")
    for old, new in (("a.log", "deep/b.log"), ("deep/b.log", "b.log")):
        with pytest.raises(PermissionError):
            os.rename(job / old, job / new)
    assert "`mountfs unpin build-1/deep` lets it go" in mountfs(store, "status")
    refused = mountfs(store, "delete", "build-2", "build-1", code=4)
    assert refused == (
        "mountfs: build-1: build-1/deep is pinned: `mountfs unpin build-1/deep` lets it go; nothing was deleted\n"
    )
    assert "is pinned" in mountfs(store, "put", "build-1/deep/b.log", str(job / "a.log"), code=4)
    (job / "deep" / "b.log").write_text("written over")
    mountfs(store, "unpin", "build-1/deep")
    assert mountfs(store, "delete", "build-2", "build-1").count("delete ") == 3
    assert os.listdir(store.path) == []


def test_what_is_pinned_keeps_its_name_and_the_directories_above_it_theirs(store: Mounted) -> None:
    """A pin that moves away with `mv` is not where others look for it; what is not pinned moves beside it."""
    job = make(store.path, "build-1", "deep/a.log", "deep/b.log", "c.log")
    mountfs(store, "pin", "build-1/deep/a.log")
    for old, new in (("deep/a.log", "deep/other"), ("deep/a.log", "a.log"), ("deep", "depth"), ("", "../build-2")):
        with pytest.raises(PermissionError):
            os.rename(job / old, job / new)
        assert "`mountfs unpin build-1/deep/a.log` lets it go" in mountfs(store, "status").splitlines()[-1]
    with pytest.raises(PermissionError):
        rename(job / "c.log", job / "deep" / "a.log", flags=RENAME_EXCHANGE)
    assert sorted(os.listdir(job / "deep")) == ["a.log", "b.log"]
    os.rename(job / "deep" / "b.log", job / "deep" / "d.log")
    os.rename(job / "c.log", job / "deep" / "e.log")
    mountfs(store, "unpin", "build-1/deep/a.log")
    os.rename(job / "deep", job / "depth")
    assert sorted(os.listdir(job / "depth")) == ["a.log", "d.log", "e.log"]


def test_in_a_pinned_job_a_tool_may_write_under_a_name_of_its_own_first(store: Mounted) -> None:
    job = make(store.path, "build-1", "a.log")
    mountfs(store, "pin", "build-1")
    (job / ".b.log.tmp").write_text("whole")
    os.rename(job / ".b.log.tmp", job / "b.log")
    assert (job / "b.log").read_text() == "whole"
    with pytest.raises(PermissionError):
        os.rename(job, store.path / "build-2")


def test_what_a_pinned_file_held_is_restored_and_its_pin_stays(store: Mounted) -> None:
    """Also where it was not pinned then; of another name nothing takes its place."""
    job = make(store.path, "held-1", "a.log", "b.log")
    store.settle()
    (job / "a.log").write_text("written over")
    (job / "b.log").unlink()
    store.settle()
    mountfs(store, "pin", "held-1/a.log")
    refused = mountfs(store, "restore", "held-1/b.log", "--as", "held-1/a.log", code=4)
    assert "held-1/a.log is pinned: `mountfs unpin held-1/a.log` lets it go" in refused
    mountfs(store, "restore", "held-1/a.log")
    assert (job / "a.log").read_text() == "held-1 a.log\n" * 50
    assert os.getxattr(job / "a.log", "user.mountfs.pinned") == b"1"


def test_all_jobs_of_a_branch_are_deleted_when_all_is_said(store: Mounted) -> None:
    """F-123."""
    make(store.path, "build-1", "a.log", branch="feature-x")
    make(store.path, "build-2", "a.log", "b.log", branch="feature-x")
    make(store.path, "build-3", "a.log", branch="main")
    assert "say --all if that is meant" in mountfs(store, "delete", "--branch", "feature-x", code=2)
    assert "no job has the branch" in mountfs(store, "delete", "--branch", "nobody-has-it", "--all", code=3)
    named = ["build-1/a.log", "build-2/a.log", "build-2/b.log"]
    select = ("delete", "--branch", "feature-x", "--all")
    assert mountfs(store, *select, "--dry-run").splitlines() == [f"would delete {key}" for key in named]
    assert mountfs(store, *select).splitlines() == [f"delete {key}" for key in named]
    assert os.listdir(store.path) == ["build-3"]


# -- on the schedule ----------------------------------------------------------------------------------------------


def test_what_expired_while_nothing_was_mounted_goes_soon_after_the_mount(
    mounted: MountFactory, tmp_path: Path
) -> None:
    """F-119, F-126: in the daemon, by a child; its words are in the log."""
    settings = {"retention": {**KEPT, "schedule": "0 2 * * *"}}
    store = mounted(settings)
    make(store.path, "build-1", "a.log", "video/a.mp4")
    wait_until(lambda: "retention_tried" in notes(store), "the schedule is known", seconds=60)
    store.stop()
    late = skewed(build_clock(tmp_path), ahead_seconds=8 * DAY_SECONDS)
    later = mounted(settings, state=store.state, environment=late)
    wait_until(lambda: os.listdir(later.path / "build-1") == ["video"], "the log is gone", seconds=60)
    said = "drop build-logs of build-1: 8 days since it was published, kept for 7 (retention.types)"
    wait_until(lambda: said in later.log.read_text(), "what went is in the log", seconds=60)


def notes(store: Mounted) -> set[str]:
    """Keys of the catalog's notes."""
    with contextlib.closing(sqlite3.connect(f"file:{store.state}/catalog.db?mode=ro", uri=True)) as catalog:
        return {key for (key,) in catalog.execute("SELECT key FROM meta")}


# -- who uses the room --------------------------------------------------------------------------------------------


def test_stats_name_who_uses_the_room(store: Mounted) -> None:
    """F-136."""
    make(store.path, "build-1", "junit.xml", "a.log", branch="main", team="payments")
    make(store.path, "build-2", "a.log", branch="main")
    store.settle()
    rows = [json.loads(line) for line in mountfs(store, "stats", "--by", "branch", "--json").splitlines()]
    assert [(row["by"], row["name"], row["artifacts"]) for row in rows] == [("branch", "main", 3)]
    by_job = [line.split("\t")[:2] for line in mountfs(store, "stats", "--by", "job").splitlines()]
    assert by_job == [["build-1", "2"], ["build-2", "1"]]
    by_type = {
        line.split("\t")[0]: line.split("\t")[1] for line in mountfs(store, "stats", "--by", "type").splitlines()
    }
    assert by_type == {"build-logs": "2", "test-results": "1"}
    assert mountfs(store, "stats", "--by", "tag:team").split("\t")[:2] == ["payments", "2"]
    assert "allowed are job, type, branch and tag:KEY" in mountfs(store, "stats", "--by", "owner", code=2)
    assert "build-logs\t2" in mountfs(store, "stats", "--compression")


def test_a_quota_that_is_nearly_used_up_is_a_warning(tmp_path: Path) -> None:
    """F-132, for people."""
    store = Mounted(tmp_path / "mnt", tmp_path / "state", settings={"limits": {"quota": "100 KiB"}})
    store.command()
    (tmp_path / "random").write_bytes(os.urandom(90_000))
    mountfs(store, "put", "empty/a", "/dev/null")
    assert "warning" not in mountfs(store, "stats")
    mountfs(store, "put", "build-1/random", str(tmp_path / "random"))
    assert "warning: 87.9 KiB of the quota of 100.0 KiB are used (88 %)" in mountfs(store, "stats")
