"""Mounts for tests: `job` shares one daemon per module, `mounted` makes daemons of the test's own.

After each test its daemon is the one that was started, its log holds no complaint that nobody claimed, and
after the last one neither mount nor process is left.
"""

import itertools
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from tests.mounting import PLAIN, Ground, Mounted, Plain

TEST_SECONDS = 240
"""Shorter than the runner's own timeout, which cannot free a process that waits for the mount."""

_numbers = itertools.count(1)


class MountFactory(Protocol):
    """`mounted(settings=…)` returns a running daemon of the test's own, on an empty state directory."""

    def __call__(
        self,
        settings: Mapping[str, object] | None = None,
        *,
        state: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Mounted: ...


Claims = list[re.Pattern[str]]
ExpectedLog = Callable[[str], None]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "mountfs_only: not promised by a plain directory")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On a plain directory leave out what only mountfs promises."""
    if not PLAIN:
        return
    ours = [item for item in items if item.get_closest_marker("mountfs_only") is not None]
    config.hook.pytest_deselected(items=ours)
    items[:] = [item for item in items if item not in ours]


@pytest.fixture(autouse=True)
def _usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def expected_log(_claims: Claims) -> ExpectedLog:
    """`expected_log(regex)` claims the complaints of the daemon's log that match it, for this test."""
    return lambda pattern: _claims.append(re.compile(pattern))


@pytest.fixture
def _claims() -> Claims:
    return []


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """One mount for all tests of a module, served by the same process from the first to the last."""
    ground = _ground(tmp_path_factory.mktemp("shared"))
    ground.start()
    pid = ground.pid
    try:
        yield ground
        assert ground.pid == pid, "the daemon was replaced behind the tests"
    finally:
        ground.stop()
    _assert_no_complaints(ground, [])


@pytest.fixture
def job(shared: Ground, _claims: Claims) -> Iterator[Path]:
    """A fresh job directory; the daemon survives the test and has nothing to complain about."""
    directory = shared.path / f"job-{next(_numbers)}"
    shared.assert_alive()
    with shared.deadline(TEST_SECONDS):
        directory.mkdir()
        yield directory
        shared.assert_alive()
    _assert_no_complaints(shared, _claims)


@pytest.fixture
def mounted(tmp_path_factory: pytest.TempPathFactory, _claims: Claims) -> Iterator[MountFactory]:
    """A factory of daemons that end with the test; one that died by itself fails it."""
    folder = tmp_path_factory.mktemp("own")
    made: list[Mounted] = []

    with ExitStack() as stack:

        def make(
            settings: Mapping[str, object] | None = None,
            *,
            state: Path | None = None,
            environment: Mapping[str, str] | None = None,
        ) -> Mounted:
            place = folder / f"m{len(made)}"
            state = state or place.with_name(f"{place.name}-state")
            daemon = Mounted(place, state, settings=settings, environment=environment)
            daemon.start()
            stack.callback(_end, daemon)
            stack.enter_context(daemon.deadline(TEST_SECONDS))
            made.append(daemon)
            return daemon

        yield make
    for daemon in made:
        _assert_no_complaints(daemon, _claims)


@pytest.fixture
def ground(tmp_path_factory: pytest.TempPathFactory, _claims: Claims) -> Iterator[Ground]:
    """A mount of the test's own that also has a plain stand-in, for tests that restart it."""
    own = _ground(tmp_path_factory.mktemp("ground"))
    own.start()
    try:
        with own.deadline(TEST_SECONDS):
            yield own
    finally:
        own.stop()
    _assert_no_complaints(own, _claims)


def _ground(folder: Path) -> Ground:
    return Plain(folder / "mnt") if PLAIN else Mounted(folder / "mnt", folder / "state")


def _end(daemon: Mounted) -> None:
    """Stop what still runs; a test that stopped or killed its daemon itself has nothing left to end."""
    if daemon.is_started():
        daemon.stop()


def _assert_no_complaints(ground: Ground, claims: Claims) -> None:
    unclaimed = [line for line in ground.complaints() if not any(claim.search(line) for claim in claims)]
    assert unclaimed == [], "the daemon's log complains, and no test claimed it"
