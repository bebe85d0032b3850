"""Two machines on one simulated bucket."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bucket.machines import Machine, SetClock
from tests.bucket.simulated import SimulatedBucket

BEGIN_MS = 1_795_000_000_000


@pytest.fixture
def bucket() -> SimulatedBucket:
    return SimulatedBucket(now_ms=BEGIN_MS)


@pytest.fixture
def make_machine(tmp_path: Path, bucket: SimulatedBucket) -> Iterator[Callable[..., Machine]]:
    made: list[Machine] = []

    def make(*, skew_ms: int = 0, **options: object) -> Machine:
        clock = SetClock(lambda: bucket.now_ms, skew_ms=skew_ms)
        made.append(Machine(tmp_path / f"machine-{len(made)}", bucket, clock, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for machine in made:
        machine.close()


@pytest.fixture
def a(make_machine: Callable[..., Machine]) -> Machine:
    return make_machine()


@pytest.fixture
def b(make_machine: Callable[..., Machine]) -> Machine:
    return make_machine()
