"""Machines for tests: daemons on one bucket, ended and their logs judged whatever the test did to their bucket."""

import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mountfs.config.schema import S3
from tests.conftest import prefix_for, use_credentials
from tests.s3.two import DEADLINE_SECONDS, Machine, Machines, Two
from tests.servers import Weed

MachineFactory = Machines
Claims = list[re.Pattern[str]]
ExpectedLog = Callable[[str], None]
_numbers = itertools.count(1)


@pytest.fixture
def _claims() -> Claims:
    return []


@pytest.fixture
def expected_log(_claims: Claims) -> ExpectedLog:
    """`expected_log(regex)` claims the complaints of the daemons' logs that match it, for this test."""
    return lambda pattern: _claims.append(re.compile(pattern))


@pytest.fixture
def make_machine(tmp_path: Path, weed: Weed, remote_settings: S3, _claims: Claims) -> Iterator[Machines]:
    """`make_machine()` is a mounted machine of the test's own, on a prefix of the test's own."""
    with Machines(tmp_path, weed, remote_settings, deadline_seconds=DEADLINE_SECONDS) as machines:
        yield machines
    assert machines.complaints(_claims) == [], "a daemon's log complains, and no test claimed it"


@pytest.fixture
def machine(make_machine: Machines) -> Machine:
    return make_machine()


@pytest.fixture(scope="module")
def shared_machines(
    tmp_path_factory: pytest.TempPathFactory, weed: Weed, bucket: str, request: pytest.FixtureRequest
) -> Iterator[Machines]:
    """Machines that the tests of a module share, on a prefix of the module's own: to start one takes seconds."""
    settings = S3(bucket=bucket, prefix=prefix_for(request), endpoint_url=weed.endpoint_url, path_style=True)
    with pytest.MonkeyPatch.context() as patch:
        use_credentials(patch, weed.environment())
        with Machines(tmp_path_factory.mktemp("shared"), weed, settings, deadline_seconds=None) as machines:
            yield machines


@pytest.fixture
def beside(tmp_path: Path, weed: Weed, shared_machines: Machines, _claims: Claims) -> Iterator[Machines]:
    """`beside()` is a mounted machine of the test's own, on the prefix of the module's."""
    with Machines(tmp_path, weed, shared_machines.bucket, deadline_seconds=DEADLINE_SECONDS) as machines:
        yield machines
    assert machines.complaints(_claims) == [], "a daemon's log complains, and no test claimed it"


@pytest.fixture
def elsewhere(shared_machines: Machines) -> Machine:
    """The module's machine that only looks at what others wrote."""
    return shared_machines.made[0] if shared_machines.made else shared_machines()


@pytest.fixture
def two(shared_machines: Machines, _claims: Claims) -> Iterator[Two]:
    """Two machines of the module's; each test takes a job of its own (`job`)."""
    yield from lent(shared_machines, (0, 0), _claims)


def lent(machines: Machines, ahead_seconds: tuple[int, int], claims: Claims) -> Iterator[Two]:
    """Two of the module's machines, with clocks that are so far ahead, for one test."""
    chosen: list[Machine] = []
    for seconds in ahead_seconds:
        free = (m for m in machines.made if m.ahead_seconds == seconds and m not in chosen)
        chosen.append(next(free, None) or machines(ahead_seconds=seconds))
    here, there = chosen
    with here.deadline(DEADLINE_SECONDS), there.deadline(DEADLINE_SECONDS):
        here.assert_alive()
        there.assert_alive()
        yield here, there
    for machine in chosen:
        machine.proxy.clear()
        machine.assert_alive()
    assert machines.complaints(claims) == [], "a daemon's log complains, and no test claimed it"


@pytest.fixture
def job() -> str:
    """The name of a job that no other test has."""
    return f"job-{next(_numbers)}"
