"""Promises of `.expiring/`: what the settings are about to take is in it, and what has a date that is near."""

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from mountfs.catalog.search import Search
from mountfs.errors import NotFound
from mountfs.retention import DAY_NS, Policy
from mountfs.views.answers import Answers, Place
from mountfs.views.choosing import Done, Steps, advance
from mountfs.views.expiring import KEPT_TIMES, ExpiringJobs
from mountfs.views.nodes import Sense, node_at
from tests.store.conftest import OWNER
from tests.store.test_search import Searched

T = TypeVar("T")

VIEW = Place((b".expiring",), 1)


@pytest.fixture
def searched(tmp_path: Path) -> Iterator[Searched]:
    made = Searched(tmp_path / "state")
    for job, names in ((b"build-1", (b"a.log", b"junit.xml")), (b"build-2", (b"a.log",))):
        ino = made.bench.store.tree.make_directory(1, job, 0o755, OWNER).ino
        for name in names:
            made.bench.close(made.bench.store.tree.create_file(ino, name, 0o644, OWNER))
    made.catch_up()
    yield made
    made.close()


def here(steps: Steps[T]) -> T:
    """What they come to where all is known here."""
    turn = advance(steps, knows_all=True)
    assert isinstance(turn, Done)
    return turn.value


def listed(searched: Searched, policy: Policy, *, days: int) -> dict[str, list[str]]:
    """Jobs in the view after so many days, with what is in them; a job that goes as a whole is a link: []."""
    now_ns = searched.bench.store.ledger.clock.now_ns() + days * DAY_NS
    sense = Sense(now_ns, {}, policy)
    node = node_at(VIEW.names, sense)
    assert node is not None
    answers = Answers(searched.search, lambda: sense)
    found = {}
    for held in here(answers.page(node, VIEW, after=b"", limit=100)):
        assert here(answers.find(node, VIEW, held.name)) == held
        inside = [] if held.place is None else here(answers.page(node, held.place, after=b"", limit=100))
        found[held.name.decode()] = [below.name.decode() for below in inside]
    return found


def test_a_report_is_in_it_a_week_before_it_goes(searched: Searched) -> None:
    policy = Policy(types={"build-logs": 30})
    assert listed(searched, policy, days=22) == {}
    assert listed(searched, policy, days=24) == {"build-1": ["a.log"], "build-2": []}
    assert listed(searched, Policy(default_ttl_days=30), days=24) == {"build-1": [], "build-2": []}


def test_what_is_kept_is_not_in_it(searched: Searched) -> None:
    policy = Policy(types={"build-logs": 30}, keep_latest_n=1)
    (link,) = listed(searched, policy, days=40)
    assert link in ("build-1", "build-2")
    assert listed(searched, Policy(enabled=False, default_ttl_days=1), days=40) == {}


def test_a_date_of_its_own_is_enough(searched: Searched) -> None:
    store = searched.bench.store
    log = store.tree.walk((b"build-1", b"a.log"))
    store.attributes.set(log.ino, b"user.mountfs.expires_at", b"+3d")
    searched.catch_up()
    assert listed(searched, Policy(), days=0) == {"build-1": ["a.log"]}


def test_a_job_that_is_not_in_it_is_not_found(searched: Searched) -> None:
    sense = Sense(0, {}, Policy())
    node = node_at(VIEW.names, sense)
    assert node is not None
    answers = Answers(searched.search, lambda: sense)
    assert here(answers.find(node, VIEW, b"build-1")) is None
    with pytest.raises(NotFound):
        here(answers.page(node, VIEW.down(b"build-1"), after=b"", limit=10))


def test_what_was_dear_to_work_out_is_kept_for_a_while(searched: Searched) -> None:
    moments = iter([0.0, 2.0, 2.0 + 2 * KEPT_TIMES - 1, 2.0 + 2 * KEPT_TIMES + 1, 100.0])
    asked: list[Search] = []

    def sense() -> Sense:
        asked.append(searched.search)
        return Sense(searched.bench.store.ledger.clock.now_ns() + 99 * DAY_NS, {}, Policy(default_ttl_days=9))

    jobs = ExpiringJobs(searched.search, sense, monotonic=lambda: next(moments))
    assert jobs.names(b"") == [b"build-1", b"build-2"]
    assert jobs.names(b"build-1") == [b"build-2"]
    assert len(asked) == 1
    assert jobs.wanted(b"no-such-job") is None
    assert len(asked) == 2
