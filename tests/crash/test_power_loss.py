"""The power fails at any moment of a recorded run, and the disk forgets what was not synced, or tears it.

The disk is a strict one (see `tests.faults.disk`). Whatever is left of the state directory opens without a repair,
holds what fsync had acknowledged, and never serves bytes that nobody wrote.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mountfs.errors import MountfsError
from tests.crash.after_power_loss import Promises, survives
from tests.crash.conftest import THOROUGH
from tests.crash.preparing import Beginnings, command
from tests.faults import powerloss

SEED = int(os.environ.get("CRASH_SEED", "1"))
SEEDS = range(SEED, SEED + (5 if THOROUGH else 1))
MADE_UP = [f"random-{SEED + number}" for number in range(10 if THOROUGH else 2)]
MOMENTS = 10_000 if THOROUGH else 25  # of each scenario

Recorder = Callable[[str], powerloss.Recording]


@pytest.fixture
def record(tmp_path: Path, library: Path, beginnings: Beginnings) -> Recorder:
    """Perform a scenario once, on a copy of its beginning, and keep what it did to the disk."""

    def recorded(name: str) -> powerloss.Recording:
        root = shutil.copytree(beginnings.of_an_earlier_boot(name), tmp_path / "root")
        return powerloss.record(command(name), root, library=library, into=tmp_path / "recording")

    return recorded


@pytest.mark.parametrize("name", ["first", "synced", "based", "small", "recovery", *MADE_UP])
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


NEEDLESS = (
    "FSYNC catalog.db",  # a checkpoint's, before the log begins anew: the log is not cut while it is needed
)
"""Syncs without which nothing is lost in this scenario, each with its reason."""


@pytest.mark.slow
def test_each_sync_of_ours_is_needed(record: Recorder, tmp_path: Path) -> None:
    recording, promises = record("synced"), Promises.of("synced")
    unnoticed = powerloss.unnoticed_syncs(
        recording,
        lambda state: survives(state, promises),
        tmp_path / "state",
        seeds=SEEDS,
        damage=(AssertionError, MountfsError),
    )
    assert [sync for sync in unnoticed if not sync.endswith(NEEDLESS)] == []
