"""How a handler waits: in worker threads, never on the loop, and never beyond its deadline.

A caller whose request the daemon has taken cannot be killed (FACTS: D state for as long as the handler runs), so
the deadline is the only protection there is.
"""

import threading
from collections.abc import Callable
from typing import TypeVar

import trio

from mountfs.errors import DeadlineExceeded

T = TypeVar("T")
OPEN_WRITER_SECONDS = 1.0  # release follows close in no time; a file held open has no digest yet
THREADS = 24  # handlers that wait for a disk at the same time; the others queue, within their deadline


class Waiting:
    """Hops to worker threads and takes the locks of live files, within `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._limiter = trio.CapacityLimiter(THREADS)

    async def hop(self, work: Callable[[], T]) -> T:
        """Run in a worker thread. Past the deadline the thread goes on alone and the caller gets DeadlineExceeded."""
        with trio.move_on_after(self.seconds):
            return await trio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._limiter)
        raise DeadlineExceeded(f"not done within {self.seconds:g} seconds: the disk does not keep up")

    async def lock(self, lock: threading.Lock) -> None:
        """Take a lock that a worker thread may hold."""
        if lock.acquire(blocking=False):
            return

        def wait() -> bool:
            return lock.acquire(timeout=self.seconds)

        if not await trio.to_thread.run_sync(wait, limiter=self._limiter):
            raise DeadlineExceeded(f"not done within {self.seconds:g} seconds: the file is still being written")

    async def hop_locked(self, lock: threading.Lock, work: Callable[[], T]) -> T:
        """Run in a worker thread with a lock that the caller holds; the thread lets go of it, late or not."""

        def locked() -> T:
            try:
                return work()
            finally:
                lock.release()

        return await self.hop(locked)
