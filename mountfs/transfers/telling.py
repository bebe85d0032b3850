"""Feed and heads, told after each publishing and again until they arrived; none of it keeps a job from being published.

A bucket that refuses feed or heads costs others time, not this machine.
"""

import logging
from dataclasses import dataclass

import trio

from mountfs.bucket.ground import Ground
from mountfs.bucket.telling import tell
from mountfs.errors import MountfsError
from mountfs.transfers.carrier import Carrier

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
AGAIN_SECONDS = (1.0, 5.0, 30.0, 60.0)
REFUSED_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class _Untold:
    reason: str
    times: int
    again: float


class Tellings:
    """See the module's docstring."""

    def __init__(self, ground: Ground, carrier: Carrier) -> None:
        self._ground = ground
        self._carrier = carrier
        self._untold: dict[int, _Untold] = {}
        self._running: set[int] = set()

    async def tell(self, job: int) -> None:
        """Tell of a job what was not told yet. Raises nothing: it is tried again."""
        if job in self._running:
            self.tell_soon(job)
            return
        self._running.add(job)
        before = self._untold.pop(job, None)
        try:
            await self._carrier.run(tell(self._ground, job), urgent=False)
        except MountfsError as error:
            self._failed(job, error, before)
        except Exception as error:  # a bug here must not keep jobs from being published
            log.exception("a bug in telling of a job")
            self._failed(job, MountfsError(f"a bug: {error!r}"), before)
        finally:
            self._running.discard(job)

    def tell_soon(self, job: int) -> None:
        """There is more to tell of a job than what was told."""
        self._untold.setdefault(job, _Untold("", 0, trio.current_time()))

    def _failed(self, job: int, error: MountfsError, before: _Untold | None) -> None:
        times = before.times + 1 if before is not None else 1
        pause = AGAIN_SECONDS[min(times, len(AGAIN_SECONDS)) - 1] if error.waiting_helps else REFUSED_SECONDS
        if not error.waiting_helps and self.reason() != str(error):
            log.error("feed and heads lack something that the bucket has: %s", error)
        self._untold[job] = _Untold(str(error), times, trio.current_time() + pause)

    def reason(self) -> str | None:
        """Why something was not told; None where all was."""
        return next((untold.reason for untold in self._untold.values() if untold.reason), None)

    async def run(self) -> None:
        """Tell what a crash, or a refusal, left untold."""
        for job in {job for job, _bundle in self._ground.tables.untold()}:
            await self.tell(job)
        while True:
            await trio.sleep(LOOK_SECONDS)
            if self._carrier.down is not None:
                continue
            now = trio.current_time()
            for job in [job for job, untold in self._untold.items() if untold.again <= now]:
                await self.tell(job)
