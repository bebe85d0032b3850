"""Machines for tests: daemons on one bucket, ended and their logs judged whatever the test did to their bucket."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from mountfs.config.schema import S3
from tests.faults.clock import build_clock, skewed
from tests.faults.proxy import Proxy
from tests.s3.two import Machine
from tests.servers import Weed

TEST_SECONDS = 120
"""Past this a daemon is aborted, so that no test waits in the mount for ever."""

Claims = list[re.Pattern[str]]
ExpectedLog = Callable[[str], None]


class MachineFactory(Protocol):
    """`make_machine()` returns a mounted machine with an empty state directory; `start=False` leaves that to the test."""

    def __call__(
        self,
        *,
        settings: Mapping[str, object] | None = None,
        bucket: S3 | None = None,
        environment: Mapping[str, str] | None = None,
        ahead_seconds: int = 0,
        arguments: tuple[str, ...] = (),
        start: bool = True,
    ) -> Machine: ...


@pytest.fixture
def _claims() -> Claims:
    return []


@pytest.fixture
def expected_log(_claims: Claims) -> ExpectedLog:
    """`expected_log(regex)` claims the complaints of the daemons' logs that match it, for this test."""
    return lambda pattern: _claims.append(re.compile(pattern))


@pytest.fixture(scope="session")
def clock_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The preloaded library of machines whose clock is wrong, compiled once."""
    return build_clock(tmp_path_factory.mktemp("clock"))


@pytest.fixture
def make_machine(
    tmp_path: Path, weed: Weed, remote_settings: S3, _claims: Claims, request: pytest.FixtureRequest
) -> Iterator[MachineFactory]:
    made: list[Machine] = []
    with ExitStack() as stack:

        def make(
            *,
            settings: Mapping[str, object] | None = None,
            bucket: S3 | None = None,
            environment: Mapping[str, str] | None = None,
            ahead_seconds: int = 0,
            arguments: tuple[str, ...] = (),
            start: bool = True,
        ) -> Machine:
            around = weed.environment() | dict(environment or {})
            if ahead_seconds:
                around |= skewed(request.getfixturevalue("clock_library"), ahead_seconds=ahead_seconds)
            machine = Machine(
                tmp_path,
                f"m{len(made)}",
                bucket or remote_settings,
                stack.enter_context(Proxy(weed.port)),
                settings=settings or {},
                environment=around,
                arguments=arguments,
            )
            made.append(machine)
            stack.callback(_end, machine)
            stack.enter_context(machine.deadline(TEST_SECONDS))
            if start:
                machine.start()
            return machine

        yield make
    for machine in made:
        unclaimed = [line for line in machine.complaints() if not any(claim.search(line) for claim in _claims)]
        assert unclaimed == [], "a daemon's log complains, and no test claimed it"


@pytest.fixture
def machine(make_machine: MachineFactory) -> Machine:
    return make_machine()


@pytest.fixture
def two(make_machine: MachineFactory) -> tuple[Machine, Machine]:
    return make_machine(), make_machine()


def _end(machine: Machine) -> None:
    """Stop what still runs, with its bucket as it should be; what was killed has nothing left to end."""
    machine.proxy.clear()
    if machine.is_started():
        machine.stop()
