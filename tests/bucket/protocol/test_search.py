"""Random runs of the protocol on real stores: whatever order, crash, loss or pause, no invariant breaks.

PROTOCOL_SEEDS says how many (`scripts/soak protocol`: 10,000), PROTOCOL_SEED which is the first. A failure names its
seed, and prints the shortest run that was found to fail as a scenario that can be kept in `found.py`.
"""

import os
from pathlib import Path

import pytest

from tests.bucket.protocol.search import search

pytestmark = pytest.mark.usefixtures("unmeasured")

SEEDS = int(os.environ.get("PROTOCOL_SEEDS", "300"))
FIRST = int(os.environ.get("PROTOCOL_SEED", "0"))
AT_A_TIME = 10


@pytest.mark.parametrize("first", range(FIRST, FIRST + SEEDS, AT_A_TIME))
def test_no_invariant_breaks_in_random_runs_from_seed(first: int, template: Path) -> None:
    runs = min(AT_A_TIME, FIRST + SEEDS - first)
    found = search(first, runs, template, shrink_seconds=30)
    assert found is None, found
