"""Maintenance of the bucket: by the daemon of a machine with the whole index, every hour, or once for whoever asks.

One machine at a time does it on the schedule (the lease saves double work); by hand it is done whoever else does.
"""

import logging
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

import trio

from mountfs import objects
from mountfs.bucket import feed, heads, lease
from mountfs.bucket.dropping import drop_leftovers
from mountfs.bucket.ground import DAY_MS, HOUR_MS, Ground
from mountfs.bucket.maintaining import Maintained, due_jobs, maintain
from mountfs.bucket.requests import List, Steps, ask
from mountfs.bucket.scanning import forget_nothing, scan
from mountfs.errors import MountfsError, NotFound, RemoteDenied, RemoteUnavailable
from mountfs.transfers.carrier import Carrier
from mountfs.transfers.following import Following, Tell, nobody

log = logging.getLogger(__name__)

T = TypeVar("T")

SIDE_BY_SIDE = 2  # jobs: a merge holds up to 32 MiB twice
LEASE_SECONDS = lease.LEASE_MS / 2000  # after which it is taken anew, or asked for again
DONE, LISTED = "maintained", "maintained_lists"  # server's time of the last round, and of what is done once a day


@dataclass(slots=True)
class Round:
    """What one round did. `failed`: jobs that could not be maintained."""

    jobs: int = 0
    merged: int = 0
    into: int = 0
    dropped: int = 0
    gone: int = 0
    ended: int = 0  # interrupted uploads
    heads: int = 0
    failed: int = 0
    beside: bool = False  # another machine held the lease

    def add(self, done: Maintained) -> None:
        self.jobs += 1
        self.merged += done.merged
        self.into += done.into
        self.dropped += done.dropped
        self.gone += done.gone


class Maintenance:
    """See the module's docstring."""

    def __init__(self, ground: Ground, carrier: Carrier, following: Following, *, sync_seconds: float) -> None:
        self._ground = ground
        self._carrier = carrier
        self._following = following
        self._sync_seconds = sync_seconds
        self._lock = trio.Lock()
        self._taken = float("-inf")  # when the lease was asked for the last time
        self._complaint = ""

    async def _steps(self, steps: Steps[T]) -> T:
        return await self._carrier.run(steps, urgent=False)

    # -- on a schedule --------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Do what is due every hour, until cancelled."""
        while True:
            if self._carrier.down is None and self._is_time():
                try:
                    await self._scheduled()
                    self._complaint = ""
                except RemoteUnavailable as error:
                    log.info("maintenance stopped: %s", error)
                except MountfsError as error:
                    if str(error) != self._complaint:
                        log.error("maintenance stopped: %s", error)
                    self._complaint = str(error)
                except Exception:  # a bug here must not take the mount away from its users
                    log.exception("a bug in maintenance")
            await trio.sleep(self._sync_seconds)

    def _is_time(self) -> bool:
        if not self._following.follower.is_complete or trio.current_time() - self._taken < LEASE_SECONDS:
            return False
        return bool(self._following.due) or self._ground.now_ms() - self._noted(DONE) >= HOUR_MS

    async def _scheduled(self) -> None:
        async with self._lock:
            if not await self._may_go_on():
                return
            now_ms = self._ground.now_ms()
            self._note(DONE, now_ms)  # first: one that is refused is not tried again each time
            done = Round()
            daily = now_ms - self._noted(LISTED) >= DAY_MS
            if daily:
                self._note(LISTED, now_ms)
            await self._keep_lists(done, nobody, daily=daily)
            due = await self._due_here()
            if due:
                log.info("maintenance of %d jobs begins", len(due))
            await self._maintain_all(due, done, nobody, by_hand=False)
            await self._steps(lease.give_back(self._ground))
            self._taken = float("-inf")
            if done.jobs:
                log.info("%s", sentence(done))

    async def _may_go_on(self) -> bool:
        """Whether this machine holds the lease; asked for again every few minutes."""
        if trio.current_time() - self._taken < LEASE_SECONDS:
            return True
        self._taken = trio.current_time()
        return await self._steps(lease.take(self._ground))

    async def _due_here(self) -> dict[bytes, str]:
        """Jobs that are due by what the rows know, and by the last listing of all."""
        due = {
            self._ground.tables.job_name(job): why for job, why in (await self._steps(due_jobs(self._ground))).items()
        }
        listed, self._following.due = self._following.due, {}
        return {**listed, **due}

    @asynccontextmanager
    async def leased(self) -> AsyncIterator[bool]:
        """Whether this machine alone may work on the bucket now; if so until the block ends.

        Rounds of its own wait meanwhile. Raises RemoteUnavailable, RemoteDenied.
        """
        async with self._lock:
            if not await self._steps(lease.take(self._ground)):
                yield False
                return
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._keep_lease)
                yield True
                nursery.cancel_scope.cancel()
            with suppress(RemoteUnavailable):
                await self._steps(lease.give_back(self._ground))

    async def _keep_lease(self) -> None:
        while True:
            await trio.sleep(LEASE_SECONDS)
            with suppress(MountfsError):
                await self._steps(lease.take(self._ground))

    # -- by hand --------------------------------------------------------------------------------------------

    async def due(self, tell: Tell, *, everything: bool = False) -> dict[bytes, str]:
        """Jobs that are due by a listing of the bucket made now, and why; with `everything` all there are."""
        tell("listing all jobs")
        found = await self._steps(scan(self._ground, everything=everything))
        return {**dict.fromkeys(found.differ, "asked for"), **found.due} if everything else found.due

    async def named(self, names: Collection[bytes]) -> dict[bytes, str]:
        """These jobs. Raises NotFound for one that is not in the bucket."""
        for name in names:
            page = await self._steps(ask(List(objects.job_prefix(name))))
            if not page.objects:
                raise NotFound(f"{name.decode('utf-8', 'backslashreplace')}: not found in the bucket")
        return dict.fromkeys(names, "asked for")

    async def once(self, due: Mapping[bytes, str], tell: Tell, *, lists: bool) -> Round:
        """Maintain these jobs now; `lists`: feed, heads and interrupted uploads too."""
        async with self._lock:
            done = Round(beside=not await self._steps(lease.take(self._ground)))
            if lists:
                await self._keep_lists(done, tell, daily=True)
            await self._maintain_all(due, done, tell, by_hand=True)
            if not done.beside:
                await self._steps(lease.give_back(self._ground))
            return done

    # -- the work -------------------------------------------------------------------------------------------

    async def _keep_lists(self, done: Round, tell: Tell, *, daily: bool) -> None:
        tell("merging the feed")
        await self._steps(feed.keep(self._ground))
        if not daily:
            return
        tell("dropping old heads")
        done.heads = await self._steps(heads.drop_old_heads(self._ground))
        tell("ending interrupted uploads")
        done.ended = await self._steps(drop_leftovers(self._ground))

    async def _maintain_all(self, due: Mapping[bytes, str], done: Round, tell: Tell, *, by_hand: bool) -> None:
        names = sorted(due)
        for start in range(0, len(names), SIDE_BY_SIDE):
            tell("maintaining jobs", start, len(names))
            if not by_hand and not await self._may_go_on():
                return
            stopped: list[MountfsError] = []
            async with trio.open_nursery() as nursery:
                for name in names[start : start + SIDE_BY_SIDE]:
                    nursery.start_soon(self._maintain, name, done, stopped)
            if stopped:
                raise stopped[0]
        tell("maintaining jobs", len(names), len(names))

    async def _maintain(self, name: bytes, done: Round, stopped: list[MountfsError]) -> None:
        """`stopped` takes what keeps all jobs from it, not this one alone."""
        with self._ground.catalog.transaction():
            job = self._ground.tables.make_job(name)
        try:
            found = await self._steps(maintain(self._ground, job))
        except (RemoteUnavailable, RemoteDenied) as error:
            stopped.append(error)
            return
        except MountfsError as error:
            log.warning("%r could not be maintained: %s", name, error)
            done.failed += 1
            return
        if not found.complete:
            log.warning("%r holds a bundle that cannot be understood here: nothing of it is dropped", name)
        if found.gone:
            forget_nothing(self._ground, job)
        done.add(found)

    def _noted(self, name: str) -> int:
        return int(self._ground.catalog.meta(name) or 0)

    def _note(self, name: str, ms: int) -> None:
        with self._ground.catalog.transaction():
            self._ground.catalog.set_meta(name, str(ms))


def sentence(done: Round) -> str:
    """What a round did, for people."""
    words = [f"{done.jobs} jobs maintained: {done.merged} bundles merged into {done.into}"]
    words.append(f"{done.dropped} large contents dropped")
    words.append(f"{done.gone} emptied jobs gone")
    if done.failed:
        words.append(f"{done.failed} jobs failed: see the log")
    return ", ".join(words)
