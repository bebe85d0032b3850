"""Maintenance of one job: what is due of merging and dropping, in the order in which it saves most.

Any number of machines may do it at once, and any of them may stop in the middle for any time: what it keeps true stands
in `merging.py` and `dropping.py`.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mountfs import objects
from mountfs.bucket.dropping import clear_away, drop
from mountfs.bucket.ground import Ground
from mountfs.bucket.merging import finish, merge
from mountfs.bucket.requests import Pause, Steps
from mountfs.bucket.survey import Survey, sizes, survey
from mountfs.bucket.tiers import JobFacts, choose_merges, why_due

log = logging.getLogger(__name__)

FAILURES = 4  # merges that came to nothing, before the rest waits for the next time
PAGE = 200  # numbers of jobs looked at between two pauses: a millisecond where none of them is due


@dataclass(slots=True)
class Maintained:
    """What was done for a job."""

    merged: int = 0  # bundles that are in others now
    into: int = 0
    dropped: int = 0  # large objects
    gone: bool = False  # nothing of the job is left
    complete: bool = True  # False: a bundle in it cannot be understood, so that nothing was dropped


def maintain(ground: Ground, job: int, *, hidden: bool | None = None) -> Steps[Maintained]:
    """Do what is due for one job. Raises RemoteUnavailable, RemoteDenied.

    `hidden`: whether `gone/<job>` is there with 0 bytes; None: what this machine knows of it.
    """
    if job in ground.maintained:
        return Maintained()
    ground.maintained.add(job)
    try:
        done = Maintained()
        yield from finish(ground, job)
        seen = yield from _drop_and_merge(ground, job, done)
        done.complete = seen.complete
        done.gone = yield from clear_away(ground, job, seen, hidden=hidden)
        with ground.catalog.transaction():
            ground.tables.set_maintained_ms(job, seen.began_ms)
        return done
    finally:
        ground.maintained.discard(job)


def _drop_and_merge(ground: Ground, job: int, done: Maintained) -> Steps[Survey]:
    """Drop what may go, then merge until nothing is worth it; the last reading.

    In this order, because a merge marks what it carries dead as dead from now on.
    """
    failures = 0
    while True:
        seen = yield from survey(ground, job)
        dropped = yield from drop(ground, job, seen)
        done.dropped += len(dropped)
        seen = replace(seen, large={name: ms for name, ms in seen.large.items() if name not in dropped})
        groups = choose_merges(sizes(ground, job, seen), is_emptied=seen.census.is_emptied)
        for sources in groups:
            if (yield from merge(ground, job, seen, sources)):
                done.merged, done.into = done.merged + len(sources), done.into + 1
            else:
                failures += 1
        if not groups or failures > FAILURES:
            return seen


def due_jobs(ground: Ground) -> Steps[dict[int, str]]:
    """Jobs whose maintenance is worth its requests now, and why; nothing is asked of the bucket."""
    due: dict[int, str] = {}
    last = ground.catalog.bulk.last_job()
    for first in range(1, last + 1, PAGE):
        now_ms = ground.now_ms()
        for job in ground.tables.jobs_with_work(first, first + PAGE):
            reason = why_due(facts_of(ground, job), now_ms=now_ms, grace_ms=ground.grace_ms)
            if reason:
                due[job] = reason
        yield Pause()
    return due


def facts_of(ground: Ground, job: int) -> JobFacts:
    """What the catalog knows of a job; of bundles that only the feed told of, when they were put."""
    found: Sequence[tuple[int, int]] = ground.tables.bundle_sizes(job) or _told_of(ground, job)
    return JobFacts(
        [size for size, _ms in found], max((ms for _size, ms in found), default=0), ground.tables.maintained_ms(job),
        is_merging=ground.tables.merge_of(job) is not None, has_dead=ground.tables.has_dead(job),
    )  # fmt: skip


def _told_of(ground: Ground, job: int) -> list[tuple[int, int]]:
    named = [objects.parse_object(name) for name in ground.catalog.feed.told_names(job)]
    return [(0, name.when_ms) for name in named if isinstance(name, objects.BundleName)]
