"""Listing all of `jobs/`: which jobs the rows know otherwise than they are, and which are due for maintenance.

A machine with the whole index does it once a day, and so does whoever maintains by hand. What no part of the feed told
of is found only so: a runner that died between bundle and feed, a prefix deleted by hand, an upload that nobody ended.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from mountfs import objects
from mountfs.bucket.dropping import say_gone
from mountfs.bucket.ground import Ground
from mountfs.bucket.naming import hidden_jobs, is_job_name, long_name
from mountfs.bucket.reading import refresh
from mountfs.bucket.requests import List, Pause, Steps, ask
from mountfs.bucket.tiers import RESOLUTION_MS, JobFacts, why_due
from mountfs.remote.protocol import Listed
from mountfs.store.origins import Where

OVERLAP_MS = 120_000  # so far a follower looks back for parts that landed late
JOBS_AT_A_TIME = 32  # judged between two pauses: 2 ms


@dataclass(slots=True)
class Scan:
    """What a listing of all jobs found, by names of jobs.

    `differ` have other bundles than those that the rows know; `due` are worth maintenance, each with the reason.
    """

    began_ms: int
    listed: int = 0
    differ: list[bytes] = field(default_factory=list)
    due: dict[bytes, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Known:
    """What this machine knows before it lists: jobs of which the rows have a bundle, are in work, or were hidden."""

    unseen: set[int]
    in_work: AbstractSet[int]
    hidden: set[str]


def scan(ground: Ground, *, everything: bool = False) -> Steps[Scan]:
    """List the whole of `jobs/` and compare it with the rows; nothing is changed. `everything`: all jobs differ."""
    found = Scan(ground.now_ms())
    known = _Known((yield from _jobs_in_bucket(ground)), ground.tables.jobs_in_work(), (yield from hidden_jobs()))
    part, objects_of = "", list[Listed]()
    token: str | None = None
    while True:
        page = yield from ask(List(objects.JOBS, token=token))
        for listed in sorted(page.objects, key=lambda listed: listed.key):
            at = objects.job_part(listed.key)
            if at is None:
                continue
            if at != part:
                yield from _judge(ground, found, known, part, objects_of, everything=everything)
                part, objects_of = at, []
            objects_of.append(listed)
        if page.token is None:
            break
        token = page.token
    yield from _judge(ground, found, known, part, objects_of, everything=everything)
    found.differ += [ground.tables.job_name(job) for job in sorted(known.unseen)]
    _hidden_for_nothing(found, known.hidden)
    return found


def _jobs_in_bucket(ground: Ground) -> Steps[set[int]]:
    found: set[int] = set()
    after = 0
    while page := ground.catalog.feed.jobs_in_bucket(after, 500):
        found.update(page)
        after = page[-1]
        yield Pause()
    return found


def _judge(
    ground: Ground, found: Scan, known: _Known, part: str, listed: Sequence[Listed], *, everything: bool
) -> Steps[None]:
    """Compare the objects of one job with what the rows know of it."""
    if not part:
        return
    found.listed += 1
    if found.listed % JOBS_AT_A_TIME == 0:
        yield Pause()
    name = (yield from long_name(part)) if objects.is_cut(part) else objects.decode_name(part)
    if name is None or not is_job_name(name):
        return
    job = ground.tables.job_id(name)
    if job is not None:
        known.unseen.discard(job)
    start = len(objects.JOBS) + len(part) + 1
    parsed = [(objects.parse_object(one.key[start:]), one) for one in listed]
    bundles = {one.key[start:]: one for name_, one in parsed if isinstance(name_, objects.BundleName)}
    large = [one for name_, one in parsed if isinstance(name_, objects.LargeName)]
    if everything or not _is_known(ground, job, bundles, before_ms=found.began_ms - OVERLAP_MS):
        found.differ.append(name)
    is_hidden = part in known.hidden
    known.hidden.discard(part)
    in_work = job in known.in_work
    if len(bundles) == 1 and not (large or is_hidden or in_work):
        return  # nearly all jobs of a bucket
    facts = _facts(ground, job, bundles.values(), large, in_work=in_work, now_ms=found.began_ms)
    reason = why_due(replace(facts, is_hidden=is_hidden), now_ms=found.began_ms, grace_ms=ground.grace_ms)
    if reason:
        found.due[name] = reason


def _hidden_for_nothing(found: Scan, hidden: Iterable[str]) -> None:
    """Marks of emptied jobs of which nothing is left."""
    for part in sorted(hidden):
        name = objects.decode_name(part)
        if name is not None and is_job_name(name):
            found.due[name] = "it was emptied"


def _is_known(ground: Ground, job: int | None, bundles: Mapping[str, Listed], *, before_ms: int) -> bool:
    """Whether the rows have the bundles that are there, but for young ones: those are on their way through the feed."""
    known = ground.catalog.feed.known(job) if job is not None else set()
    return known <= bundles.keys() and all(
        name in known or one.modified_ms >= before_ms for name, one in bundles.items()
    )


def _facts(
    ground: Ground, job: int | None, bundles: Collection[Listed], large: Iterable[Listed], *, in_work: bool, now_ms: int
) -> JobFacts:
    """What a listing shows of a job, with what this machine knows of its earlier maintenance."""
    maintained_ms = ground.tables.maintained_ms(job) if job is not None else 0
    leftover = any(is_ripe(one.modified_ms, maintained_ms, now_ms=now_ms, grace_ms=ground.grace_ms) for one in large)
    return JobFacts(
        [one.size for one in bundles], max((one.modified_ms for one in bundles), default=0), maintained_ms,
        is_merging=in_work and job is not None and ground.tables.merge_of(job) is not None,
        has_dead=in_work and job is not None and ground.tables.has_dead(job), has_leftover=leftover,
    )  # fmt: skip


def is_ripe(modified_ms: int, maintained_ms: int, *, now_ms: int, grace_ms: int) -> bool:
    """Whether a large object has become as old as the grace since the job was last maintained.

    Only then can it be told whether it was left over, and once is enough.
    """
    ripe_ms = modified_ms + RESOLUTION_MS + grace_ms
    return maintained_ms <= ripe_ms < now_ms


# -- what differs -----------------------------------------------------------------------------------------------


def read_job(ground: Ground, name: bytes, *, anew: bool = False) -> Steps[None]:
    """Read a job that the listing showed to be otherwise. `anew`: all its rows are compared with what is there."""
    with ground.catalog.transaction():
        job = ground.tables.make_job(name)
        if anew:
            ground.tables.set_refold(job, True)
    found = yield from refresh(ground, job)
    if not found.bundles:
        forget_nothing(ground, job)


def forget_nothing(ground: Ground, job: int) -> None:
    """A job that is not in the bucket, and of which nothing is here either, needs no row; one with objects that cannot
    be right has its name told."""
    is_something = ground.paths.find(Where(job, b"")) is not None or ground.odd.has(job)
    if not is_something and job not in ground.outbox.debts() and not ground.catalog.feed.is_heard(job):
        with ground.catalog.transaction():
            ground.tables.forget_job(job)


def show_again(ground: Ground) -> Steps[None]:
    """Jobs that are hidden from those that list names only, and have something to see: somebody did not know of it."""
    for part in (yield from hidden_jobs()):
        name = objects.decode_name(part)
        job = ground.tables.job_id(name) if name is not None else None
        if job is not None and ground.paths.find(Where(job, b"")) is not None and ground.catalog.feed.known(job):
            yield from say_gone(ground, job, is_gone=False)


def read_differing(ground: Ground, found: Scan, *, anew: bool = False) -> Steps[None]:
    """Read all jobs that the listing showed to be otherwise, one after the other."""
    for name in found.differ:
        yield from read_job(ground, name, anew=anew)
