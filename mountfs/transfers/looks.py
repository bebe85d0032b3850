"""Jobs of others: first looks, refreshes while somebody looks, and the listing of the root.

Only a name that is not known here waits for the bucket, `look_seconds` at most and not for each name: one look without
an answer marks the bucket down, and then nobody waits (DESIGN, "Who may wait").
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import trio

from mountfs import namespace
from mountfs.bucket.ground import Ground
from mountfs.bucket.naming import jobs_in_bucket, show_jobs
from mountfs.bucket.reading import Refreshed, refresh
from mountfs.bucket.scanning import forget_nothing
from mountfs.errors import MountfsError, RemoteUnavailable
from mountfs.model import ROOT_INO
from mountfs.store.origins import Where
from mountfs.transfers.carrier import Carrier

log = logging.getLogger(__name__)

MADE_SECONDS = 0.25  # a name that is made so soon after it was looked for was looked for to be made
WATCHED_SECONDS = 120.0  # after the last look a job is still refreshed, rarer and rarer
MOST_WATCHED = 256  # jobs that are refreshed: those that were looked at last
SIDE_BY_SIDE = 8
REFUSED_SHOWN = 3
MOST_SECONDS = 9.0  # a look may keep a handler waiting: just below its deadline
POLL_SECONDS = 0.05
INOS_KEPT = 20_000
FORGET_SECONDS = 30.0  # directories move between jobs
NAMES_KEPT = 10_000  # names that were looked for in vain


@dataclass(frozen=True, slots=True)
class _Missed:
    """Somebody looked for a name that is not there."""

    job: int
    when: float


class Looks:
    """`lazy` tells whether the rows lack jobs."""

    def __init__(
        self, ground: Ground, carrier: Carrier, nursery: trio.Nursery, *, look_seconds: float, refresh_seconds: float,
        lazy: Callable[[], bool],
    ) -> None:  # fmt: skip
        self._ground = ground
        self._carrier = carrier
        self._nursery = nursery
        self._look_seconds = look_seconds
        self._refresh_seconds = refresh_seconds
        self._lazy = lazy
        self._absent: dict[bytes, float] = {}  # names that the bucket did not know, until when that is believed
        self._looking: dict[bytes, trio.Event] = {}
        self._looked: dict[int, float] = {}  # by job: when somebody last looked into it, in this order
        self._missed: dict[tuple[int, bytes], _Missed] = {}  # by parent and name
        self._refreshed: dict[int, float] = {}
        self._jobs: dict[int, int] = {}  # by ino: its job, of which more than the name is known; forgotten now and then
        self._postponed = set(ground.tables.jobs_to_refold())  # somebody was writing what changed elsewhere
        self._listing: trio.Event | None = None
        self._listed = float("-inf")
        self._listing_error: MountfsError | None = None
        self._refused: dict[int, list[str]] = {}  # as it was logged
        self._makers: dict[tuple[int, int], None] = {}  # (job, process) that made something in it

    # -- names in the root ----------------------------------------------------------------------------------

    async def look(self, name: bytes) -> None:
        """A name in the root that is not known here: ask the bucket, once, and not for long."""
        if namespace.is_reserved_root_name(name) or self._carrier.down is not None:
            return
        if self._absent.get(name, 0.0) > trio.current_time():
            return
        await self.wait_for(self._begun(name))

    def _begun(self, name: bytes) -> trio.Event:
        """A look at a job, begun now unless one is under way; set when it has ended."""
        event = self._looking.get(name)
        if event is None:
            event = self._looking[name] = trio.Event()
            self._nursery.start_soon(self._first_look, name, event)
        return event

    async def wait_for(self, event: trio.Event) -> bool:
        """Wait for a look: `look_seconds` where the bucket is silent, longer while it answers."""
        began = trio.current_time()
        while trio.current_time() - began < MOST_SECONDS:
            with trio.move_on_after(POLL_SECONDS):
                await event.wait()
                return True
            if trio.current_time() - began >= self._look_seconds <= self._carrier.seconds_since_answer():
                self._too_long()
                return False
        return False

    def _too_long(self) -> None:
        if self._carrier.seconds_since_answer() >= self._look_seconds:
            self._carrier.mark_down(f"no answer within {self._look_seconds:g} seconds")

    async def _first_look(self, name: bytes, event: trio.Event) -> None:
        known = self._ground.tables.job_id(name)
        with self._ground.catalog.transaction():
            job = self._ground.tables.make_job(name)
        try:
            await self._refresh(job, urgent=True)
            if self._ground.paths.find(Where(job, b"")) is None:
                self._remember_absent(name)
                if known is None:
                    forget_nothing(self._ground, job)
        except RemoteUnavailable as error:
            log.info("%r could not be looked for: %s", name, error)
        except MountfsError as error:
            log.warning("%r could not be read: %s", name, error)
        except Exception:  # a bug here must not take the mount away from its users
            log.exception("a bug in a first look")
        finally:
            del self._looking[name]
            event.set()

    def _remember_absent(self, name: bytes) -> None:
        now = trio.current_time()
        if len(self._absent) >= NAMES_KEPT:
            self._absent = {name: until for name, until in self._absent.items() if until > now}
        if len(self._absent) < NAMES_KEPT:
            self._absent[name] = now + self._refresh_seconds

    # -- looking into a job -----------------------------------------------------------------------------------

    async def into(self, ino: int, *, missing: bytes | None = None, pid: int = 0, listing: bool = False) -> None:
        """Somebody looks at or below an entry: a job of which only the name is known is read first, and one that nobody
        has looked at for a while is read again for who lists it or misses a name. Who finds what he looks for waits for
        nobody: what is here is read whether the bucket answers or not.

        `missing` is what he, the process `pid`, looks for and is not known: he may be about to make it (`made`).
        """
        job = self._job_of(ino)
        if job is None:
            return
        if (listing or missing is not None) and self._is_first_look(job, missing, pid):
            await self._look_again(job)
        if missing is None:
            self._watch(job, trio.current_time())
        else:
            self._missed.setdefault((ino, missing), _Missed(job, trio.current_time()))  # the first time counts
        if ino in self._jobs:
            return
        if not self._ground.tables.listed_ms(job) and self._is_only_named(job):
            await self.look_into(self._ground.tables.job_name(job))
        self._jobs[ino] = job

    def _is_first_look(self, job: int, missing: bytes | None, pid: int) -> bool:
        """Whether what others flushed may be missing here, and be what he looks for. A process that makes files in the
        job looks for each name before it makes it: that is no looking, and a job of many files would cost a request
        every two seconds."""
        if not self._lazy() or self._carrier.down is not None:
            return False
        if trio.current_time() - self._refreshed.get(job, float("-inf")) < self._refresh_seconds:
            return False
        return job not in self._looked if missing is None else (job, pid) not in self._makers

    async def _look_again(self, job: int) -> None:
        """Wait until it was read; where the bucket is silent what is known here has to do."""
        await self.wait_for(self._begun(self._ground.tables.job_name(job)))

    def noticed(self, ino: int) -> None:
        """Somebody looks at an entry: its job is refreshed from now on, if the bucket can know it."""
        job = self._job_of(ino)
        if job is not None:
            self._watch(job, trio.current_time())

    def _watch(self, job: int, now: float) -> None:
        """Refresh a job from now on. One that the feed tells of is not read because a `find` walks through it."""
        self._looked.pop(job, None)
        self._looked[job] = now
        if len(self._looked) > MOST_WATCHED:
            del self._looked[next(iter(self._looked))]
        if not self._lazy():
            self._refreshed.setdefault(job, now)

    def _job_of(self, ino: int) -> int | None:
        job = self._jobs.get(ino)
        if job is not None:
            return job
        names = self._ground.ledger.path(ino)
        return self._ground.tables.job_id(names[0]) if names else None

    def made(self, parent: int, name: bytes, pid: int) -> None:
        """The kernel looks for each name before it makes it: who only writes does not look, and costs no requests."""
        self._missed.pop((parent, name), None)
        job = self._job_of(parent)
        if job is not None:
            self._makers.pop((job, pid), None)
            self._makers[job, pid] = None
            if len(self._makers) > MOST_WATCHED:
                del self._makers[next(iter(self._makers))]

    def _count_missed(self, now: float) -> None:
        """Who looked for a name that is not there, and did not make it at once, did look."""
        for name, missed in list(self._missed.items()):
            if now - missed.when >= MADE_SECONDS:
                del self._missed[name]
                self._watch(missed.job, missed.when)

    async def look_into(self, name: bytes) -> None:
        """As `look`, for a name that the root has. Raises RemoteUnavailable where nothing is known of what it holds."""
        if self._carrier.down is not None:
            raise self._carrier.lack(f"nothing is known of this job here, and: {self._carrier.down}")
        if not await self.wait_for(self._begun(name)):
            raise RemoteUnavailable("nothing is known of this job here yet: the bucket takes too long")

    async def find_out(self, name: bytes) -> None:
        """As `look`, for who has to know it. Raises RemoteUnavailable where it is not known whether there is such a
        job."""
        if self._absent.get(name, 0.0) > trio.current_time():
            return
        await self.look_into(name)
        if name not in self._absent and self._ground.ledger.child(ROOT_INO, name) is None:
            raise RemoteUnavailable("this job could not be read: the log says why")

    def _is_only_named(self, job: int) -> bool:
        entry = self._ground.paths.find(Where(job, b""))
        return entry is not None and not entry.stamp and not self._ground.catalog.has_children(entry.ino)

    async def _refresh(self, job: int, *, urgent: bool) -> Refreshed:
        self._refreshed[job] = trio.current_time()
        found = await self._carrier.run(refresh(self._ground, job), urgent=urgent)
        (self._postponed.add if found.changes.postponed else self._postponed.discard)(job)
        if found.refused != self._refused.get(job, []):
            self._refused[job] = found.refused
            for sentence in found.refused[:REFUSED_SHOWN]:
                log.warning("%r: %s", self._ground.tables.job_name(job), sentence)
        return found

    async def refresh_now(self, job: int) -> Refreshed:
        """Read a job again, for somebody who asked for it."""
        return await self._refresh(job, urgent=False)

    async def read(self, job: int) -> None:
        """Read a job for somebody who waits. Raises RemoteUnavailable, RemoteDenied."""
        await self._refresh(job, urgent=True)

    async def run(self) -> None:
        """Refresh what somebody looks at."""
        limit = trio.CapacityLimiter(SIDE_BY_SIDE)
        running: set[int] = set()

        async def one(job: int) -> None:
            try:
                async with limit:
                    await self._refresh(job, urgent=True)
            except MountfsError as error:
                log.info("a job could not be refreshed: %s", error)
            except Exception:  # a bug here must not take the mount away from its users
                log.exception("a bug in refreshing a job")
            finally:
                running.discard(job)

        forget_at = trio.current_time() + FORGET_SECONDS
        async with trio.open_nursery() as nursery:
            while True:
                await trio.sleep(max(self._refresh_seconds / 4, 0.02))
                now = trio.current_time()
                self._count_missed(now)
                if self._carrier.down is not None:
                    continue
                if len(self._jobs) > INOS_KEPT or now > forget_at:
                    self._jobs.clear()
                    forget_at = now + FORGET_SECONDS
                for job in self._due(now):
                    if job not in running:
                        running.add(job)
                        nursery.start_soon(one, job)

    def _due(self, now: float) -> list[int]:
        """Jobs to be refreshed: as often as was set while somebody looks, rarer the longer nobody did."""
        again = max(self._refresh_seconds, 1.0)
        due = [job for job in self._postponed if now - self._refreshed.get(job, float("-inf")) >= again]
        for job, looked in list(self._looked.items()):
            idle = now - looked
            since = now - self._refreshed.get(job, float("-inf"))
            if idle > WATCHED_SECONDS:
                del self._looked[job]
            elif job not in self._postponed and since >= max(self._refresh_seconds, idle / 4):
                due.append(job)
        return due

    # -- the root ---------------------------------------------------------------------------------------------

    async def list_root(self, *, seconds: float) -> None:
        """Show every job that the bucket has. Raises RemoteUnavailable rather than showing some of them."""
        if not self._lazy() or trio.current_time() - self._listed < self._refresh_seconds:
            return
        if self._carrier.down is not None:
            raise self._carrier.lack(f"the jobs in the bucket cannot be listed: {self._carrier.down}")
        event = self._listing
        if event is None:
            event = self._listing = trio.Event()
            self._nursery.start_soon(self._list_root, event)
        began = trio.current_time()
        while trio.current_time() - began < seconds:
            with trio.move_on_after(0.1):
                await event.wait()
                if self._listing_error is not None:
                    raise self._listing_error
                return
            waited = trio.current_time() - began
            if waited >= self._look_seconds and self._carrier.seconds_since_answer() >= self._look_seconds:
                self._too_long()
                break
        raise RemoteUnavailable("the jobs in the bucket are still being listed: try again")

    async def _list_root(self, event: trio.Event) -> None:
        try:
            names = await self._carrier.run(jobs_in_bucket(), urgent=True)
            await self._carrier.run(show_jobs(self._ground, names), urgent=True)
            self._listed, self._listing_error = trio.current_time(), None
        except MountfsError as error:
            self._listing_error = error
        except Exception as error:  # a bug here must not take the mount away from its users
            log.exception("a bug in listing the root")
            self._listing_error = MountfsError(f"a bug: {error!r}")
        finally:
            self._listing = None
            event.set()
