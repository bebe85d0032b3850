"""The process ends at its n-th change, n = 1, 2, 3 …; nothing it had acknowledged is lost, nothing removed is back.

By default a sample of the steps; with `CRASH_THOROUGH=1` each of them. `CRASH_SEED` moves the sample and makes up
other scenarios.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.crash.conftest import THOROUGH
from tests.crash.judging import acknowledged_is_there, expected_states
from tests.crash.preparing import Beginnings, command
from tests.crash.scenarios import ALL
from tests.faults import shim

pytestmark = pytest.mark.usefixtures("unmeasured")

SEED = int(os.environ.get("CRASH_SEED", "1"))
RUNS = 3  # of each scenario in each way of dying, in a sample
MADE_UP = [f"random-{SEED + number}" for number in range(20 if THOROUGH else 2)]
WAYS: tuple[shim.How, ...] = ("before", "after", "torn")


def count_changes(scenario: list[str], root: Path, library: Path) -> int:
    """How many steps there are to die at."""
    count = shim.Count(root.parent / "count")
    ended = shim.run(scenario, root, shim.env(root, library=library, count=count, fake_sync=True))
    assert ended.returncode == 0, ended.stderr
    return count.changes


@pytest.mark.parametrize("name", [*ALL, *MADE_UP])
def test_what_was_acknowledged_survives_death_at_any_step(
    name: str, tmp_path: Path, library: Path, beginnings: Beginnings
) -> None:
    roots = shim.copies_of(beginnings.of(name), tmp_path / "roots")
    expected = expected_states(name)
    stride = 1 if THOROUGH else max(1, count_changes(command(name), roots(), library) // RUNS)

    def die(way: shim.How) -> int:
        return shim.crash_at_every_step(
            command(name),
            shim.copies_of(beginnings.of(name), tmp_path / way),
            lambda root, lines: acknowledged_is_there(root, lines, expected),
            library=library,
            how=[way],
            start=1 + (SEED + WAYS.index(way) * stride // 3) % stride,
            stride=stride,
        )[way]

    with ThreadPoolExecutor(len(WAYS)) as pool:
        deaths = list(pool.map(die, WAYS))
    assert all(deaths), f"deaths {dict(zip(WAYS, deaths, strict=True))}"
