"""`retention` and `expire`: what a command that cleans up asks of the store, and what it has the store drop.

The command plans, in a process of its own; the store acts, and only on what still is what was judged.
"""

import contextlib
import json
import logging
from pathlib import Path
from typing import Final

import trio

from mountfs import namespace
from mountfs.daemon.control import Answer, Handler
from mountfs.daemon.parts import REMOVED_AT_ONCE, Parts
from mountfs.errors import InvalidArgument, NotFound, RemoteUnavailable
from mountfs.retention import Moment, moment_of, plain_moment, plain_policy
from mountfs.store.dropping import Condemned, Dropped, Outdated

log = logging.getLogger(__name__)

RAN: Final = "retention_ran"
"""In the catalog's notes: the look at the clocks at the last run that went through."""

CLOCK_SECONDS: Final = 10.0
TOLD: Final = 1000
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


def handlers(parts: Parts) -> dict[str, Handler]:
    async def retention(request: dict[str, object]) -> Answer:
        """The policy in force and the time that counts; what was acknowledged is in the search index."""
        await parts.background.index()
        options = parts.store.options
        ran = parts.store.catalog.meta(RAN)
        return {
            "policy": plain_policy(options.retention),
            "types": dict(options.types),
            "now": plain_moment(await _moment(parts)),
            "before": None if ran is None else json.loads(ran),
            "knows_all": knows_all(parts),
        }

    async def expire(request: dict[str, object]) -> Answer:
        """Drop `reports` and `dated` artifacts that still are what was judged; `ran` notes that a run went through."""
        done = await _expire(parts, _condemned(request.get("reports")), _outdated(request.get("dated")))
        if isinstance(ran := request.get("ran"), dict):
            with parts.store.catalog.transaction():
                parts.store.catalog.set_meta(RAN, json.dumps(plain_moment(moment_of(ran))))
        return {"artifacts": done.artifacts, "jobs": done.jobs, "skipped": done.skipped[:TOLD]}

    return {"retention": retention, "expire": expire}


def knows_all(parts: Parts) -> bool:
    """Whether the rows hold all jobs there are, as others made them too."""
    bucket = parts.bucket
    return bucket is None or (not bucket.manner.lazy and bucket.following.follower.is_complete)


async def _moment(parts: Parts) -> Moment:
    """A look at the clocks. Raises RemoteUnavailable where there is a bucket whose time nobody has heard yet."""
    store = parts.store
    clock = store.ledger.clock
    server_ns = None
    if parts.bucket is not None:
        with trio.move_on_after(CLOCK_SECONDS):
            await parts.bucket.connection()
        if not parts.bucket.connected.is_set():
            raise RemoteUnavailable("the bucket says what time it is, and it does not answer: nothing is dropped")
        if store.stamps.is_told:
            server_ns = store.stamps.now_ms() * 1_000_000
    boot = ""
    with contextlib.suppress(OSError):
        boot = _BOOT.read_text().strip()
    return Moment(clock.now_ns(), int(clock.monotonic() * 1e9), boot, server_ns)


async def _expire(parts: Parts, reports: list[Condemned], dated: list[Outdated]) -> Dropped:
    if not knows_all(parts):
        await _look_into(parts, {one.job for one in reports} | {one.job for one in dated})
    await parts.background.index()
    done = Dropped()
    try:
        for number, _ in enumerate(parts.store.dropping.drop(reports, dated, done)):
            if number % REMOVED_AT_ONCE == 0:
                await trio.lowlevel.checkpoint()
    finally:
        parts.changed(done.changes)
        parts.wake()
    if done.artifacts:
        log.info("%d artifacts expired, and with them %d jobs", done.artifacts, len(done.jobs))
    return done


async def _look_into(parts: Parts, jobs: set[str]) -> None:
    """What others said of these jobs since somebody looked here: a pin, or a newer report."""
    bucket = parts.need_bucket()
    for job in sorted(jobs):
        with contextlib.suppress(NotFound):
            await bucket.looks.look_into(namespace.split_key(job)[0])


def _condemned(said: object) -> list[Condemned]:
    return [Condemned(str(job), str(slug), int(ns), int(count)) for job, slug, ns, count in _rows(said, 4)]


def _outdated(said: object) -> list[Outdated]:
    return [Outdated(str(job), str(path), int(seconds)) for job, path, seconds in _rows(said, 3)]


def _rows(said: object, width: int) -> list[list[str]]:
    rows = said if isinstance(said, list) else []
    if not all(isinstance(row, list) and len(row) == width for row in rows):
        raise InvalidArgument("expire: client and daemon are of different versions")
    return rows
