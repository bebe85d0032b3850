"""The whole index on this machine (`sync: full`): the feed followed, the bucket listed once a day.

Folding is done by a process of its own; rows go in between requests, and while somebody uses the mount they take half
of the loop's time at most.
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import trio
import trio.lowlevel

from mountfs.bucket import feed
from mountfs.bucket.following import ROUNDS, Follower, Plan, read_heard
from mountfs.bucket.ground import Ground
from mountfs.bucket.rebuilding import rebuild_feed, rebuild_heads
from mountfs.bucket.requests import Steps
from mountfs.bucket.scanning import read_job, scan, show_again
from mountfs.errors import MountfsError, RemoteUnavailable
from mountfs.store.told import Piece
from mountfs.transfers.carrier import Carrier
from mountfs.transfers.folder import Folder

log = logging.getLogger(__name__)

T = TypeVar("T")

SIDE_BY_SIDE = 8  # jobs that are read at the same time
TOGETHER = 16  # pieces of one transaction: pages that all of them touch are written once
AT_ONCE = 128  # jobs, before whoever asked hears of it


class Tell(Protocol):
    """Hears how far a long run is: what it does, and how much of how much."""

    def __call__(self, phase: str, done: int = 0, total: int = 0) -> None: ...


def nobody(phase: str, done: int = 0, total: int = 0) -> None:
    """Nobody asked for it."""


class Following:
    """See the module's docstring. `asked` counts requests to the mount."""

    def __init__(
        self, ground: Ground, follower: Follower, carrier: Carrier, *, sync_seconds: float, writes: bool
    ) -> None:
        self._ground = ground
        self.follower = follower
        self._carrier = carrier
        self._sync_seconds = sync_seconds
        self._writes = writes
        self.asked: Callable[[], int] = lambda: 0
        self._asked_before = 0
        self._lock = trio.Lock()
        self._folder = Folder()
        self._held = 0  # pieces that were taken since they were last kept
        self._complaint = ""
        self.due: dict[bytes, str] = {}  # jobs that the last listing showed to be due for maintenance, and why

    async def run(self) -> None:
        """Follow until cancelled."""
        try:
            while True:
                if self._carrier.down is None and not self._lock.locked():
                    await self._round()
                await self._folder.end_if_idle()
                await trio.sleep(self._sync_seconds)
        finally:
            await self._folder.end()

    async def _round(self) -> None:
        try:
            await self.catch_up()
            if self.follower.is_scan_due():
                await self.scan()
            self._complaint = ""
        except RemoteUnavailable as error:
            log.info("the feed could not be followed: %s", error)
        except MountfsError as error:
            if str(error) != self._complaint:
                log.error("the feed could not be followed: %s", error)
            self._complaint = str(error)
        except Exception:  # a bug here must not take the mount away from its users
            log.exception("a bug in following the feed")
            self._complaint = "the daemon met a bug: see its log"

    async def _steps(self, steps: Steps[T]) -> T:
        return await self._carrier.run(steps, urgent=False)

    # -- the feed -----------------------------------------------------------------------------------------

    async def catch_up(self, tell: Tell = nobody) -> None:
        """Everything that the feed tells by now is in the rows. Raises RemoteUnavailable, RemoteDenied."""
        async with self._lock:
            await self._catch_up(tell)

    async def _catch_up(self, tell: Tell) -> None:
        for _ in range(ROUNDS):
            plan = await self._steps(self.follower.look())
            if await self._read(plan, tell):
                self.follower.advance(plan)
                break
        for job, times in self._ground.catalog.feed.heard():
            await self._steps(read_heard(self._ground, job, times))

    async def _read(self, plan: Plan, tell: Tell) -> bool:
        """Whether all parts were there; what was merged meanwhile is looked for again."""
        whole, done = True, 0
        for group in self.follower.groups(plan):
            tell("reading the feed", done, len(plan.parts))
            got, vanished = await self._steps(feed.fetch(group))
            whole = whole and not vanished
            await self._folder.fold([data for _part, data in got], self.follower.here(), self._take)
            self.follower.have_read(part for part, _data in got)
            done += len(group)
        return whole

    async def _take(self, piece: Piece) -> None:
        began = time.perf_counter()
        self.follower.take(piece)
        self._held += 1
        if self._held >= TOGETHER:
            self.follower.keep()
            self._held = 0
        took = time.perf_counter() - began
        await trio.lowlevel.checkpoint()
        asked = self.asked()
        if asked != self._asked_before:  # somebody uses the mount
            self._asked_before = asked
            await trio.sleep(took)

    # -- the whole bucket ---------------------------------------------------------------------------------

    async def scan(self, tell: Tell = nobody) -> None:
        """List all jobs, and read those of which the rows know other bundles than those that are there."""
        async with self._lock:
            await self._scan(tell, anew=False)

    async def _scan(self, tell: Tell, *, anew: bool) -> None:
        tell("listing all jobs")
        found = await self._steps(scan(self._ground, everything=anew))
        self.due = found.due
        whole = await self._read_jobs(found.differ, tell, anew=anew)
        if self._writes:
            await self._steps(show_again(self._ground))
        if whole:
            self.follower.scanned(found.began_ms)

    async def _read_jobs(self, names: Sequence[bytes], tell: Tell, *, anew: bool) -> bool:
        """Whether all could be read; one that cannot keeps no other from it."""
        todo, whole, done = iter(names[:0]), True, 0

        async def some() -> None:
            nonlocal whole, done
            for name in todo:
                try:
                    await self._steps(read_job(self._ground, name, anew=anew))
                except MountfsError as error:
                    log.warning("%r could not be read: %s", name, error)
                    whole = whole and not error.waiting_helps
                except Exception:  # a bug in one job keeps no other from the index
                    log.exception("a bug in reading %r", name)
                done += 1

        for start in range(0, len(names), AT_ONCE):
            tell("reading jobs", done, len(names))
            todo = iter(names[start : start + AT_ONCE])
            async with trio.open_nursery() as nursery:
                for _ in range(SIDE_BY_SIDE):
                    nursery.start_soon(some)
        return whole

    async def sync(self, tell: Tell) -> None:
        """Catch up now, and look for what the feed missed where that was not done today."""
        async with self._lock:
            await self._catch_up(tell)
            if self.follower.is_scan_due():
                await self._scan(tell, anew=False)

    async def rebuild(self, tell: Tell) -> None:
        """Catalog, feed and heads made anew from `jobs/` alone."""
        async with self._lock:
            self.follower.forget()
            await self._scan(tell, anew=True)
            if self._writes:
                tell("telling of jobs")
                await self._steps(rebuild_feed(self._ground))
                tell("putting heads")
                await self._steps(rebuild_heads(self._ground))
            await self._catch_up(tell)

    # -- what is known of it --------------------------------------------------------------------------------

    def counts(self) -> dict[str, object]:
        """What a catch-up brought, for whoever asked for one."""
        followed = self.follower.followed
        jobs = self._ground.catalog.bulk.root_count()
        return {"jobs": jobs, "records": followed.records, "refused": followed.refusals}

    def status(self) -> dict[str, object]:
        """What is known of the index, for `status`. Times are the server's."""
        followed = self.follower.followed
        return {
            "complete": self.follower.is_complete,
            "followed_until_ms": self.follower.cursor_ms,
            "listed_at_ms": self.follower.scanned_ms,
            "parts": followed.parts,
            "records": followed.records,
            "refused": followed.refusals,
            "trouble": self._complaint,
        }
