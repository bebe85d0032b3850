"""Promises of cleaning on the schedule: when a run begins, and what becomes of what it says."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio

from mountfs.daemon.background import Background
from mountfs.daemon.cleaning import Cleaning, Ended
from mountfs.daemon.parts import Parts
from mountfs.retention import DAY_NS, Policy
from mountfs.store.options import Options
from mountfs.store.store import Store
from tests.store.conftest import OWNER

NOON_NS = 20_000 * DAY_NS + DAY_NS // 2
HOUR_NS = DAY_NS // 24


class Hands:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.time_ns = NOON_NS

    def now_ns(self) -> int:
        return self.time_ns

    def monotonic(self) -> float:
        return self.time_ns / 1e9


@dataclass
class Cleaned:
    """A store that is cleaned at 02:00, by a child that only notes that it was started."""

    store: Store
    hands: Hands
    ended: Ended = field(default_factory=lambda: Ended(0, (), ()))
    started: list[Sequence[str]] = field(default_factory=list)

    async def child(self, arguments: Sequence[str]) -> Ended:
        self.started.append(arguments)
        return self.ended

    def look(self, *, after_hours: float = 0) -> bool:
        self.hands.time_ns += int(after_hours * HOUR_NS)

        async def look() -> bool:
            background = Background(self.store)
            parts = Parts(self.store, background, lambda changes: None, background.wake)
            return await Cleaning(parts, self.child).look()

        return trio.run(look)


Make = Callable[[Policy], Cleaned]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Store] = []

    def opened(policy: Policy) -> Cleaned:
        hands = Hands()
        options = Options(retention=policy, retention_schedule="0 2 * * *")
        made.append(Store.open(tmp_path / f"state-{len(made)}", options, clock=hands, mountpoint=Path("/mnt")))
        return Cleaned(made[-1], hands)

    yield opened
    for store in made:
        store.close()


def test_a_run_begins_when_the_schedule_says_so_and_once(make: Make) -> None:
    cleaned = make(Policy(default_ttl_days=30))
    assert not cleaned.look()
    assert not cleaned.look(after_hours=13.9)
    assert cleaned.look(after_hours=0.2)
    assert not cleaned.look(after_hours=1)
    assert cleaned.look(after_hours=23)
    state = str(cleaned.store.state.path)
    assert cleaned.started == [["cleanup", "--automatic", "--state", state, "--mount", "/mnt"]] * 2


def test_missed_times_are_made_up_for_by_one_run(make: Make) -> None:
    cleaned = make(Policy(default_ttl_days=30))
    cleaned.look()
    assert cleaned.look(after_hours=24 * 10)
    assert not cleaned.look(after_hours=0.1)


def test_a_clock_that_was_ahead_delays_nothing(make: Make) -> None:
    cleaned = make(Policy(default_ttl_days=30))
    cleaned.look()
    cleaned.look(after_hours=24 * 365)
    cleaned.look(after_hours=-24 * 365)
    assert cleaned.look(after_hours=24)


@pytest.mark.parametrize("policy", [Policy(), Policy(enabled=False, default_ttl_days=30), Policy(keep_latest_n=3)])
def test_where_nothing_can_expire_no_run_begins(make: Make, policy: Policy) -> None:
    cleaned = make(policy)
    cleaned.look()
    assert not cleaned.look(after_hours=48)
    assert cleaned.started == []


def test_a_date_of_its_own_is_enough_for_runs(make: Make) -> None:
    cleaned = make(Policy())
    store = cleaned.store
    job = store.tree.make_directory(1, b"job", 0o755, OWNER).ino
    store.attributes.set(store.tree.make_directory(job, b"d", 0o755, OWNER).ino, b"user.mountfs.expires_at", b"+1d")
    cleaned.look()
    assert not cleaned.look(after_hours=48)
    live = store.tree.create_file(job, b"a.log", 0o644, OWNER)
    store.files.release(live, write=True)
    store.attributes.set(live.ino, b"user.mountfs.expires_at", b"+1d")
    store.ledger.drain()
    store.indexer.catch_up()
    cleaned.look()
    assert cleaned.look(after_hours=48)


def test_what_a_run_says_is_in_the_log(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    cleaned = make(Policy(default_ttl_days=30))
    cleaned.look()
    dropped = [f"drop report {number}" for number in range(300)]
    cleaned.ended = Ended(4, [*dropped, "the end"], ["mountfs: nothing was dropped: too much"])
    with caplog.at_level(logging.INFO):
        cleaned.look(after_hours=24)
    lines = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert lines[0] == ("INFO", "drop report 0")
    assert lines[-2:] == [("INFO", "the end"), ("WARNING", "cleaning up: nothing was dropped: too much")]
    assert len(lines) == 102
    assert ("INFO", "… and 201 more") in lines
