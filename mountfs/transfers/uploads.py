"""When a job's debt to the bucket is paid: settle times, several jobs side by side, and what is parked and why.

A job goes out when it is quiet for `settle_seconds`, its oldest change is `settle_max_seconds` old, or somebody asks.
What the bucket refuses for good is parked with its reason and tried again on demand; nothing is ever dropped.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio

from mountfs.bucket.ground import Ground
from mountfs.bucket.publishing import Published, publish
from mountfs.errors import MountfsError, RemoteUnavailable
from mountfs.store.outbox import Debt
from mountfs.transfers.carrier import Carrier

log = logging.getLogger(__name__)

SIDE_BY_SIDE = 4  # jobs that are published at the same time
LOOK_SECONDS = 0.1  # how often debts are looked at while there are any
AGAIN_SECONDS = (1.0, 5.0, 30.0, 60.0)  # after a failure that may pass
PARKED_SECONDS = 600.0  # what was refused for good is tried again by itself after so long
CROWDED = 16  # own bundles in a job, for each of which the writer waits longer


@dataclass(slots=True)
class Failure:
    """Why a job is not in the bucket. `parked`: trying again by itself would not help."""

    error: MountfsError
    parked: bool
    times: int
    again: float

    @property
    def reason(self) -> str:
        return str(self.error)

    def raised(self) -> MountfsError:
        """The same error, for one who waits."""
        return type(self.error)(self.reason)


@dataclass(frozen=True, slots=True)
class Settle:
    seconds: float
    most_seconds: float


def pay_at(debt: Debt, settle: Settle, *, own_bundles: int) -> float:
    """The monotonic time at which a job goes out: the more bundles it made already, the longer it gathers."""
    quiet = settle.seconds * (1 + own_bundles / CROWDED)
    return min(debt.last + min(quiet, max(settle.most_seconds, settle.seconds)), debt.since + settle.most_seconds)


class Uploads:
    """See the module's docstring. `tell` is run after a job was published: feed and heads. It raises nothing."""

    def __init__(
        self, ground: Ground, carrier: Carrier, settle: Settle, *, tell: Callable[[int], Awaitable[None]]
    ) -> None:
        self._ground = ground
        self._carrier = carrier
        self._settle = settle
        self._tell = tell
        self._clock = ground.clock
        self._running: set[int] = set()
        self.running = self._running
        self._limit = trio.CapacityLimiter(SIDE_BY_SIDE)
        self._own_bundles: dict[int, int] = {}
        self._asked: set[int] = set()
        self.on_parked: Callable[[bytes, str], None] = lambda job, reason: None
        self.failures: dict[int, Failure] = {}
        self.ended = 0  # attempts at publishing a job, so far
        self._rounds: dict[int, int] = {}  # by job: the value of `_round` when its last complete publishing began
        self._round = 0
        self._wake = trio.Event()
        self._done = trio.Event()
        self.stopped = False

    def wake(self) -> None:
        self._wake.set()

    # -- by itself ----------------------------------------------------------------------------------------

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            while True:
                if not self.stopped:
                    for job in self._due():
                        self._running.add(job)
                        nursery.start_soon(self._publish, job)
                pause = LOOK_SECONDS if self._ground.outbox.debts() else 10 * LOOK_SECONDS
                with trio.move_on_after(pause):
                    await self._wake.wait()
                self._wake = trio.Event()

    def _due(self) -> list[int]:
        now = self._clock.monotonic()
        if self._carrier.down is not None:
            return []
        return [
            job
            for job, debt in self._ground.outbox.debts().items()
            if job not in self._running and (job in self._asked or self._is_time(job, debt, now))
        ]

    def _is_time(self, job: int, debt: Debt, now: float) -> bool:
        failure = self.failures.get(job)
        if failure is not None:
            return failure.again <= now
        return pay_at(debt, self._settle, own_bundles=self._own_bundles.get(job, 0)) <= now

    async def _publish(self, job: int) -> None:
        self._asked.discard(job)
        began, is_complete = self._round, False
        try:
            async with self._limit:
                began = self._round
                published = await self._carrier.run(publish(self._ground, job), urgent=False)
                is_complete = published.complete
                if published.bundles:
                    self._own_bundles[job] = self._own_bundles.get(job, 0) + len(published.bundles)
                    await self._tell(job)
            self.failures.pop(job, None)
            self._rest(job, published)
        except MountfsError as error:
            self._failed(job, error)
        except Exception as error:  # a bug here must not take the mount away from its users
            log.exception("publishing failed: a bug")
            self._failed(job, MountfsError(f"a bug: {error!r}"))
        finally:
            self._running.discard(job)
            self.ended += 1
            if is_complete:
                self._rounds[job] = began
            self._done.set()
            self._done = trio.Event()

    def _rest(self, job: int, published: Published) -> None:
        """What was not at rest yet is looked at again in a while, not at once."""
        debt = self._ground.outbox.debts().get(job)
        if debt is not None:
            debt.since = debt.last = self._clock.monotonic()

    def _failed(self, job: int, error: MountfsError) -> None:
        before = self.failures.get(job)
        times = before.times + 1 if before is not None else 1
        parked = not error.waiting_helps
        pause = PARKED_SECONDS if parked else AGAIN_SECONDS[min(times, len(AGAIN_SECONDS)) - 1]
        self.failures[job] = Failure(error, parked, times, self._clock.monotonic() + pause)
        name = self._ground.tables.job_name(job).decode(errors="replace")
        if parked and (before is None or before.reason != str(error)):
            log.error("%s is not in the bucket: %s; `mountfs flush` tries again", name, error)
            self.on_parked(self._ground.tables.job_name(job), str(error))
        elif not isinstance(error, RemoteUnavailable):
            log.warning("%s is not in the bucket yet: %s", name, error)

    # -- on demand ----------------------------------------------------------------------------------------

    def state_of(self, job: int) -> str | None:
        """`uploading` or `failed`, where one of the two is so."""
        if job in self.failures and self.failures[job].parked:
            return "failed"
        return "uploading" if job in self._running else None

    def owing(self, jobs: set[int] | None) -> set[int]:
        """Jobs, of these or of all, that the bucket lacks something of."""
        owing = set(self._ground.outbox.debts()) | self._running
        return owing if jobs is None else owing & jobs

    async def flush(self, jobs: set[int] | None) -> None:
        """Return once the bucket has confirmed all of these jobs (None: of all), however long it is not there.

        What is still being written is not waited for, nor what comes meanwhile. Raises what trying again cannot help.
        """
        began = self.begin_flush(jobs)
        while left := self.unconfirmed(began, jobs):
            if left <= self.refused(began, jobs).keys():
                raise next(iter(self.refused(began, jobs).values()))
            await self.next_done(0.25)

    def begin_flush(self, jobs: set[int] | None) -> int:
        """Try all of these now, also what was parked; a number for `unconfirmed` and `refused`."""
        self._round += 1
        for job in self.owing(jobs):
            self.failures.pop(job, None)
            self._asked.add(job)
        self.wake()
        return self._round

    def unconfirmed(self, began: int, jobs: set[int] | None) -> set[int]:
        """Jobs that owed something when a flush began, and of which not all of that is in the bucket yet."""
        left = {job for job in self.owing(jobs) if self._rounds.get(job, 0) < began}
        again = left - self._running - self._asked - self.refused(began, left).keys()
        if again:
            self._asked |= again
            self.wake()
        return left

    def refused(self, began: int, jobs: set[int] | None) -> dict[int, MountfsError]:
        """Why jobs of a flush do not go out, where trying again would not help."""
        return {
            job: failure.raised()
            for job, failure in self.failures.items()
            if failure.parked and job not in self._running and (jobs is None or job in jobs)
        }

    def is_parked(self, job: int) -> bool:
        failure = self.failures.get(job)
        return failure is not None and failure.parked

    def hurry(self, job: int) -> None:
        """Do not wait for this job to be quiet."""
        self._asked.add(job)
        self.wake()

    async def next_done(self, seconds: float) -> None:
        """Wait until some job was tried, so long at most."""
        with trio.move_on_after(seconds):
            await self._done.wait()
