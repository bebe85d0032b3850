"""The power fails at any moment of a recorded run, and the disk forgets what was not synced, or tears it.

The disk is a strict one (see `tests.faults.disk`). Whatever is left of the state directory opens without a repair,
holds what fsync had acknowledged, and never serves bytes that nobody wrote.
"""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.after_power_loss import Promises, survives
from tests.crash.conftest import THOROUGH
from tests.crash.preparing import Beginnings, command
from tests.faults import powerloss
from tests.faults.trace import Kind

pytestmark = pytest.mark.usefixtures("unmeasured")

SEED = int(os.environ.get("CRASH_SEED", "1"))
SEEDS = range(SEED, SEED + (5 if THOROUGH else 1))
MADE_UP = [f"random-{SEED + number}" for number in range(10 if THOROUGH else 2)]
MOMENTS = 10_000 if THOROUGH else 15  # of each scenario

Recorder = Callable[[str], powerloss.Recording]


@pytest.fixture
def record(tmp_path: Path, library: Path, beginnings: Beginnings) -> Recorder:
    """Perform a scenario once, on a copy of its beginning, and keep what it did to the disk."""

    def recorded(name: str) -> powerloss.Recording:
        root = shutil.copytree(beginnings.of_an_earlier_boot(name), tmp_path / "root")
        return powerloss.record(command(name), root, library=library, into=tmp_path / "recording")

    return recorded


@pytest.mark.parametrize("name", ["first", "durable", "synced", "based", "small", "recovery", *MADE_UP])
def test_what_was_synced_survives_power_loss_at_any_moment(name: str, record: Recorder, tmp_path: Path) -> None:
    recording, promises = record(name), Promises.of(name)
    points = recording.trace.crash_points()
    stride = max(1, len(points) // MOMENTS)
    states = powerloss.crash_states(
        recording.trace, recording.initial_tree, tmp_path / "state", at=points[SEED % stride :: stride], seeds=SEEDS
    )
    judged = 0
    for state in states:
        survives(state, promises)
        judged += 1
    assert judged > len(points) // stride


def kind_of(path: str) -> str:
    """Which of our syncs this is: a file by what it is, a directory by its name."""
    for kind, pattern in {
        "a segment of the journal": r"journal/\d+",
        "a draft": r"drafts/\d+",
        "the log of a draft": r"drafts/\d+\.(log|new)",
        "a content": r"(incoming|drafts)/.+",
        "a directory of contents": r"contents/..",
        "the log of the catalog": r"catalog\.db-wal",
        "the catalog": r"catalog\.db(-journal)?",
    }.items():
        if re.fullmatch(pattern, path):
            return kind
    return f"the directory {path or '.'}"


def without(trace: powerloss.Trace, kind: str) -> powerloss.Trace:
    """What would have happened had the code never called this sync."""
    return powerloss.Trace([e for e in trace.events if e.kind is not Kind.FSYNC or kind_of(e.path) != kind])


def is_noticed(trace: powerloss.Trace, initial: Path, promises: Promises, target: Path) -> bool:
    # A disk that keeps nothing unsynced shows most losses at once; the other disks are asked when it shows none.
    for styles in (("none",), powerloss.STYLES):
        for state in powerloss.crash_states(trace, initial, target, styles=styles, seeds=SEEDS):
            try:
                survives(state, promises)
            except Exception:  # noqa: BLE001  # however it shows
                return True
    return False


def test_without_any_one_of_our_syncs_something_is_lost(record: Recorder, tmp_path: Path) -> None:
    recording, promises = record("durable"), Promises.of("durable")
    kinds = {kind_of(event.path) for event in recording.trace.events if event.kind is Kind.FSYNC}
    unnoticed = {
        kind
        for kind in kinds
        if not is_noticed(without(recording.trace, kind), recording.initial_tree, promises, tmp_path / "state")
    }
    assert unnoticed == set()
