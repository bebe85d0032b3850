"""Choosing the newest job where the bucket's heads tell of most: what a job says itself decides, not who told of it."""

import contextlib
from collections.abc import Callable, Iterator

import pytest

from mountfs.bucket.heads import find_jobs
from mountfs.bucket.requests import drive
from mountfs.bucket.telling import tell
from mountfs.catalog.search import Search
from mountfs.compare.baseline import Candidate, Wanted, latest
from mountfs.views.candidates import of_heads
from mountfs.views.choosing import AskHeads, Done, ReadJob, Request, advance, look_for
from tests.bucket.machines import Machine
from tests.bucket.simulated import SimulatedBucket

MAIN = Wanted("branch", b"main")


@contextlib.contextmanager
def searching(machine: Machine) -> Iterator[Search]:
    with contextlib.closing(Search.open(machine.store.state.catalog)) as search:
        yield search


def catch_up(machine: Machine) -> None:
    machine.store.ledger.drain()
    machine.store.indexer.catch_up()


def chosen(machine: Machine, bucket: SimulatedBucket) -> tuple[str, list[str]]:
    """The job that a machine which asks the bucket takes, and the jobs that it read for that, in their order."""
    read: list[str] = []
    with searching(machine) as search:
        steps = look_for(search, MAIN)
        turn = advance(steps, knows_all=False)
        while not isinstance(turn, Done):
            turn = advance(steps, _answer(machine, bucket, turn, read), knows_all=False)
        taken = latest(turn.value, MAIN).chosen
        return "" if taken is None else taken.job.decode(), read


def _answer(machine: Machine, bucket: SimulatedBucket, turn: Request, read: list[str]) -> list[Candidate] | None:
    match turn:
        case AskHeads():
            return of_heads(drive(find_jobs(turn.key, turn.value, limit=turn.limit), bucket))
        case ReadJob():
            read.append(turn.job.decode())
            machine.refresh(turn.job.decode())
            catch_up(machine)
            return None


def make(machine: Machine, job: str, *names: str) -> None:
    machine.ground.heads = ("branch",)
    for name in names:
        machine.write(f"{job}/{name}", job.encode())
    machine.tag(job, branch="main")
    machine.publish(job)
    drive(tell(machine.ground, machine.job(job)), machine.remote)
    machine.ground.ledger.drain()


@pytest.fixture
def jobs(a: Machine, bucket: SimulatedBucket) -> Machine:
    """A machine that has made six jobs, one after the other."""
    for number in range(6):
        make(a, f"build-{number}", "junit.xml")
        bucket.now_ms += 60_000
    return a


def test_the_newest_is_read_and_no_other(jobs: Machine, b: Machine, bucket: SimulatedBucket) -> None:
    assert chosen(b, bucket) == ("build-5", ["build-5"])


@pytest.mark.parametrize("old", [4, 3, 0])
def test_a_head_of_who_knew_a_part_of_an_old_job_makes_that_no_newer(
    jobs: Machine, make_machine: Callable[..., Machine], bucket: SimulatedBucket, old: int
) -> None:
    """Three of them are asked for first; where the job that was thought to be the newest is none, others come."""
    make(make_machine(), f"build-{old}", "late.log")
    lazy = make_machine()
    assert chosen(lazy, bucket) == ("build-5", [f"build-{old}", "build-5"])
    assert chosen(lazy, bucket)[0] == "build-5"


def test_when_all_heads_at_first_are_such_ones_more_are_asked_for(
    jobs: Machine, make_machine: Callable[..., Machine], bucket: SimulatedBucket
) -> None:
    late = make_machine()
    for old in (2, 1, 0):
        bucket.now_ms += 1000
        make(late, f"build-{old}", "late.log")
    assert chosen(make_machine(), bucket) == ("build-5", ["build-0", "build-1", "build-2", "build-5"])


def test_a_machine_that_knows_all_takes_the_same(
    jobs: Machine, make_machine: Callable[..., Machine], bucket: SimulatedBucket
) -> None:
    make(make_machine(), "build-3", "late.log")
    jobs.refresh("build-3")
    catch_up(jobs)
    with searching(jobs) as search:
        done = advance(look_for(search, MAIN), knows_all=True)
    assert isinstance(done, Done)
    assert [job.job for job in done.value] == [b"build-5"]
