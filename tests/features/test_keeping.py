"""Promises F-114 to F-129: what goes, when and why, what stays, and what goes with it that is deleted."""

import json
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from mountfs import errors
from mountfs.api import ArtifactStore, open_store
from tests.faults.clock import build_clock, skewed
from tests.features.conftest import Shell
from tests.mounting import Mounted

pytestmark = pytest.mark.usefixtures("unmeasured")

DAY_SECONDS = 86_400
YEAR = {"default_ttl_days": 30, "types": {"coverage_reports": 90, "security": 365}, "keep_latest_n": 1}


class Later:
    """A project whose settings say `retention`, and its cleanups in the days to come."""

    def __init__(self, shell: Shell, folder: Path, retention: Mapping[str, object]) -> None:
        self._shell = shell
        self._clock = build_clock(folder)
        self._file = shell.directory / "mine.yml"
        place = {"state": str(folder / "state"), "mountpoint": str(folder / "mnt")}
        self._file.write_text(yaml.safe_dump({**place, "retention": dict(retention)}))

    def open(self) -> ArtifactStore:
        return open_store(self._file)

    def going(self, *, days: int, more: str = "--dry-run") -> list[str]:
        """What a cleanup after so many days takes, as JSON says it."""
        late = skewed(self._clock, ahead_seconds=days * DAY_SECONDS + 60)
        said = self._shell(f"mountfs cleanup {more} --json --config {self._file}", environment=late)
        rows = [json.loads(line) for line in said.splitlines()]
        return sorted(f"{row['job']}: {row['type']}" for row in rows if row.get("action") == "drop")


@pytest.fixture
def later(alone: Shell, tmp_path: Path) -> Later:
    return Later(alone, tmp_path, YEAR)


def test_each_type_goes_when_its_days_are_over_and_the_newest_job_stays(later: Later) -> None:
    """F-115, F-116, F-117: 30 days for all, 90 and 365 for two types, the latest job of each type for ever."""
    with later.open() as store:
        for job in ("build-1", "build-2"):
            for name in ("a.log", "coverage.xml", "scan.sarif"):
                store.put(f"{job}/{name}", b"x")
    assert later.going(days=31) == ["build-1: build-logs"]
    assert later.going(days=91) == ["build-1: build-logs", "build-1: coverage-report"]
    assert later.going(days=3650, more="--yes") == [
        "build-1: build-logs", "build-1: coverage-report", "build-1: security-findings",
    ]  # fmt: skip
    with later.open() as store:
        assert [found.job for found in store.find("*")] == ["build-2"] * 3


def test_a_policy_that_is_switched_off_takes_nothing(alone: Shell, tmp_path: Path) -> None:
    """F-118."""
    later = Later(alone, tmp_path, {**YEAR, "keep_latest_n": 0, "enabled": False})
    with later.open() as store:
        store.put("build-1/a.log", b"x", expires="+1d")
    assert later.going(days=3650) == []


def test_the_policy_of_a_store_is_shown(alone: Shell, tmp_path: Path) -> None:
    """F-116, F-129: a preset has the numbers that its users knew; what one says oneself goes first."""
    (alone.directory / "mine.yml").write_text("preset: qe-fleet\nretention: {keep_latest_n: 5}\n")
    shown = yaml.safe_load(alone("mountfs config show mine.yml"))["retention"]
    assert (shown["default_ttl_days"], shown["keep_latest_n"], shown["enabled"]) == (90, 5, True)
    assert shown["types"] == {"test-results": 30, "coverage-report": 90, "security-findings": 365}


def test_cleanup_takes_what_has_a_date_of_its_own_and_says_how_many(alone: Shell, tmp_path: Path) -> None:
    """F-120, F-125, F-126: a date is said at the writing or later; until the cleanup the artifact is there."""
    with open_store({"state": str(tmp_path / "state"), "mountpoint": str(tmp_path / "mnt")}) as store:
        store.put("build-1/old", b"old", expires="2020-01-02")
        store.put("build-1/soon", b"soon", expires="+30d")
        store.put("build-1/ever", b"ever")
        assert store.metadata("build-1/old").is_expired()
        assert store.get("build-1/old") == b"old"
        assert store.cleanup(dry_run=True) == store.cleanup() == 1
        assert [found.path for found in store.list("build-1")] == ["ever", "soon"]
        assert store.cleanup() == 0


def test_a_historical_baseline_is_kept(shell: Shell, served: Mounted, store: ArtifactStore, job: str) -> None:
    """F-114: by an attribute or a command; it neither expires nor is removed until somebody lets go of it."""
    for name in ("a.log", "b.log"):
        store.put(f"{job}/{name}", b"x")
    shell(f"setfattr -n user.mountfs.pinned -v 1 .artifacts/{job}/a.log")
    store.tag(job, team=job)
    assert store.cleanup(tags=[f"team={job}"]) == 0  # a report goes whole, or not at all
    assert "not permitted" in shell(f"rm -r .artifacts/{job}", code=1)
    with pytest.raises(errors.Protected, match=f"mountfs unpin {job}/a.log"):
        store.delete(job)
    assert (served.path / job / "a.log").read_bytes() == b"x"
    store.unpin(f"{job}/a.log")
    assert store.delete(job)


def test_what_is_deleted_goes_with_all_that_was_known_of_it(
    shell: Shell, served: Mounted, store: ArtifactStore, job: str
) -> None:
    """F-122, F-128: by `mountfs delete` and by `rm -r`; what comes under that name later knows nothing of it."""
    for name in ("a.log", "deep/b.log"):
        store.put(f"{job}/{name}", b"x", tags={"owner": job}, metadata={"attempt": 2}, expires="+30d")
    assert len(list(store.find(f"owner={job}"))) == 2
    assert shell(f"mountfs delete {job}/deep") == f"delete {job}/deep/b.log\n"
    shell(f"rm -r .artifacts/{job}")
    for view in (f".by-tag/owner/{job}", f".find/job={job}"):
        assert os.listdir(served.path / view) == []
    with pytest.raises(errors.NotFound):
        store.metadata(f"{job}/a.log")
    with sqlite3.connect(f"file:{served.state}/catalog.db?mode=ro", uri=True) as catalog:
        left = catalog.execute("SELECT count(*) FROM register WHERE ino NOT IN (SELECT ino FROM entry)").fetchone()
    catalog.close()
    assert left == (0,)
    again = store.put(f"{job}/a.log", b"y")
    assert (again.tags, again.metadata, again.expires_at) == ({}, {}, None)
