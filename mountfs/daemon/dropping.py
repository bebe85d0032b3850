"""`retention` and `expire`: what a command that cleans up asks of the store, and what it has the store drop.

The command plans, in a process of its own; the store acts, and only on what still is what was judged.
"""

import contextlib
import logging
from collections.abc import Iterator
from functools import partial
from typing import Final

import trio

from mountfs import namespace
from mountfs.daemon.control import Answer, Handler
from mountfs.daemon.parts import REMOVED_AT_ONCE, Parts
from mountfs.errors import CacheFull, NotFound, RemoteUnavailable
from mountfs.events import JobExpired
from mountfs.retention import Moment, plain_moment, plain_policy
from mountfs.store.clocks import last_look, look, note_look
from mountfs.store.dropping import Condemned, Dropped, Outdated, condemned, outdated
from mountfs.store.interrupted import has_finished, left

log = logging.getLogger(__name__)

CLOCK_SECONDS: Final = 10.0
TOLD: Final = 1000


def handlers(parts: Parts) -> dict[str, Handler]:
    async def retention(request: dict[str, object]) -> Answer:
        """The policy in force and the time that counts; what was acknowledged is in the search index.

        `left` is what a cleanup that was killed left: `expire` finishes it first.
        """
        async with parts.expiring:  # what a run is just dropping is not left
            await parts.background.index()
            rests = [[one.job, one.type, one.artifacts, one.stored] for one in left(parts.store.catalog)]
        options = parts.store.options
        return {
            "policy": plain_policy(options.retention),
            "types": dict(options.types),
            "now": plain_moment(await _moment(parts)),
            "before": last_look(parts.store.catalog),
            "knows_all": knows_all(parts),
            "left": rests,
        }

    async def expire(request: dict[str, object]) -> Answer:
        """Drop `reports` and `dated` artifacts that still are what was judged; `ran` notes that a run went through."""
        done = await _expire(parts, condemned(request.get("reports")), outdated(request.get("dated")))
        if isinstance(ran := request.get("ran"), dict):
            note_look(parts.store.catalog, ran)
        return {"artifacts": done.artifacts, "jobs": done.jobs, "skipped": done.skipped[:TOLD]}

    return {"retention": retention, "expire": expire}


def knows_all(parts: Parts) -> bool:
    """Whether the rows hold all jobs there are, as others made them too."""
    bucket = parts.bucket
    return bucket is None or (not bucket.manner.lazy and bucket.following.follower.is_complete)


async def _moment(parts: Parts) -> Moment:
    """A look at the clocks. Raises RemoteUnavailable where there is a bucket whose time nobody has heard yet."""
    if parts.bucket is not None:
        with trio.move_on_after(CLOCK_SECONDS):
            await parts.bucket.connection()
        if not parts.bucket.connected.is_set():
            raise RemoteUnavailable("the bucket says what time it is, and it does not answer: nothing is dropped")
    return look(parts.store.ledger.clock, parts.store.stamps)


async def finish(parts: Parts) -> None:
    """What began to go when the last process was killed goes whole, and who is to be told of it is."""
    if parts.read_only:
        return
    async with parts.expiring:
        await _finish(parts, Dropped())


async def finish_early(parts: Parts) -> None:
    """The same right after the start; where that fails, whoever cleans up next has it done first."""
    try:
        await finish(parts)
    except CacheFull as error:
        log.warning("a report that expired is still there in part: %s", error)
    except Exception:  # a bug here must not take the mount away from its users
        log.exception("a bug in finishing what expired")


async def _finish(parts: Parts, done: Dropped) -> None:
    dropping = parts.store.dropping
    if not dropping.is_unfinished():
        tell(parts)
        return
    await parts.background.index()
    await _in_steps(parts, dropping.finish(done), done)
    if said := has_finished(+done.finished, is_kept=parts.store.trash.keep_ms > 0):
        log.info("%s", said)


async def _expire(parts: Parts, reports: list[Condemned], dated: list[Outdated]) -> Dropped:
    async with parts.expiring:
        done = Dropped()
        await _finish(parts, done)
        await _drop(parts, reports, dated, done)
        return done


async def _drop(parts: Parts, reports: list[Condemned], dated: list[Outdated], done: Dropped) -> None:
    if not knows_all(parts):
        await _look_into(parts, {one.job for one in reports} | {one.job for one in dated})
    await parts.background.index()
    await _in_steps(parts, parts.store.dropping.drop(reports, dated, done), done)
    if done.artifacts:
        log.info("%d artifacts expired, and with them %d jobs", done.artifacts, len(done.jobs))


async def _in_steps(parts: Parts, steps: Iterator[None], done: Dropped) -> None:
    try:
        for number, _ in enumerate(steps):
            if number % REMOVED_AT_ONCE == 0:
                await trio.lowlevel.checkpoint()
    finally:
        parts.changed(done.changes)
        parts.wake()
        tell(parts)


def tell(parts: Parts) -> None:
    """One event for each job that lost something. Told again after a crash it has the same number."""
    dropping = parts.store.dropping
    for lost in dropping.expired():
        event = JobExpired(
            lost.job, lost.types, lost.artifacts, lost.size, lost.stored, lost.reasons, is_gone=lost.is_gone
        )  # fmt: skip
        parts.tell(event, number=f"expired-{lost.notes[0]}", then=partial(dropping.told, lost))


async def _look_into(parts: Parts, jobs: set[str]) -> None:
    """What others said of these jobs since somebody looked here: a pin, or a newer report."""
    bucket = parts.need_bucket()
    for job in sorted(jobs):
        with contextlib.suppress(NotFound):
            await bucket.looks.look_into(namespace.split_key(job)[0])
