"""A real daemon killed with -9 under four writers, again and again: nothing acknowledged is missing or different.

10 rounds, or as many as `KILL_ROUNDS` says. Each round mounts what the last one left, looks at everything that was
acknowledged in it, and lets the writers work in a job of their own until the daemon is killed.
"""

import contextlib
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mountfs.catalog import Catalog
from tests.crash.writers import REMOVED, WRITERS
from tests.mounting import REPOSITORY, Mounted

pytestmark = pytest.mark.usefixtures("unmeasured")

ROUNDS = int(os.environ.get("KILL_ROUNDS", "10"))
SEED = int(os.environ.get("CRASH_SEED", "1"))
JOBS_KEPT = 2
SLACK_BYTES = 64 << 20
UNREADABLE = "unreadable"


@dataclass
class Promised:
    """What a path must be: as acknowledged last, or as it may have become by what was under way."""

    acknowledged: str | None = None
    possible: str | None = None
    tag: str | None = None


@dataclass
class Acknowledged:
    """All that the writers of one round were told."""

    paths: dict[str, Promised] = field(default_factory=dict)
    lines: int = 0

    def add(self, line: bytes) -> None:
        fact = json.loads(line)
        promised = self.paths.setdefault(fact["path"], Promised())
        self.lines += 1
        if "tag" in fact:
            promised.tag = fact["tag"]
        elif "may" in fact:
            promised.possible = fact["may"]
        else:
            promised.acknowledged, promised.possible = fact["done"], None


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Mounted]:
    mounted = Mounted(tmp_path / "mount", tmp_path / "state")
    mounted.start()
    try:
        yield mounted
    finally:
        if mounted.is_started():
            mounted.stop()


@pytest.mark.timeout(3600)
def test_nothing_acknowledged_is_lost_when_the_daemon_is_killed_under_load(mounted: Mounted) -> None:
    rng = random.Random(SEED)
    checked = 0
    for number in range(ROUNDS):
        job = mounted.path / f"job-{number}"
        job.mkdir()
        acknowledged = written_until_killed(mounted, job, seed=rng.randrange(1 << 30), lines=rng.randrange(40, 1000))
        mounted.start()
        wrong = [f"{path}: {said}" for path, promised in acknowledged.paths.items() if (said := judged(path, promised))]
        assert not wrong, f"round {number} (CRASH_SEED={SEED}), after {acknowledged.lines} lines: {wrong}"
        assert_no_leftovers(mounted)
        shutil.rmtree(mounted.path / f"job-{number - JOBS_KEPT}", ignore_errors=True)
        checked += len(acknowledged.paths)
    print(f"{ROUNDS} rounds, {checked} acknowledged paths")


def written_until_killed(mounted: Mounted, job: Path, *, seed: int, lines: int) -> Acknowledged:
    """Let the writers work; the daemon dies when they have said so many lines. What they were told before."""
    reading, writing = os.pipe()
    writers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.crash.writers", kind, str(job), str(seed)],
            stdout=writing,
            cwd=REPOSITORY,
        )
        for kind in WRITERS
    ]
    os.close(writing)
    acknowledged = Acknowledged()
    with mounted.deadline(120), open(reading, "rb") as facts:
        for line in facts:
            acknowledged.add(line)
            if acknowledged.lines == lines:
                mounted.kill()
    assert [writer.wait() for writer in writers] == [0] * len(writers)
    assert not mounted.is_started(), "the writers ended before the daemon was killed"
    return acknowledged


def judged(path: str, promised: Promised) -> str | None:
    """What is wrong with a path, if anything is."""
    found = digest_of(path)
    if found not in (promised.acknowledged or REMOVED, promised.possible):
        is_new = promised.acknowledged in (None, REMOVED) and promised.possible is not None
        if is_new and found != UNREADABLE and os.getxattr(path, "user.mountfs.recovered") == b"1":
            return None  # its writer had not closed it: whatever was written so far, and marked
        return f"found {found}, not {promised.acknowledged} or {promised.possible}"
    if promised.tag is not None and os.getxattr(path, "user.pr").decode() != promised.tag:
        return "has lost its tag"
    return None


def digest_of(path: str) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except FileNotFoundError:
        return REMOVED
    except OSError:
        return UNREADABLE


def assert_no_leftovers(mounted: Mounted) -> None:
    """The state directory holds little more than what is alive or in the trash, without anybody cleaning up."""
    live = sum(path.lstat().st_size for path in mounted.path.rglob("*") if path.is_file())
    trash = trash_bytes(mounted.state / "catalog.db")
    held = sum(map(held_bytes, mounted.state.rglob("*")))
    assert held <= live + trash + SLACK_BYTES, f"{held} bytes held for {live} live ones and {trash} in the trash"


def trash_bytes(catalog: Path) -> int:
    """What the trash alone keeps."""
    opened = Catalog.open(catalog, read_only=True)
    try:
        return opened.trash.totals()[1]
    finally:
        opened.close()


def held_bytes(path: Path) -> int:
    """What a file costs on the disk; nothing when the daemon has just removed it."""
    with contextlib.suppress(FileNotFoundError):
        return path.lstat().st_blocks * 512
    return 0
