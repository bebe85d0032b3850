"""The work behind the requests: settling, reclaiming, carrying the write-ahead log into the catalog."""

import logging
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import trio

from mountfs.errors import CacheFull, MountfsError
from mountfs.fuse.waiting import OPEN_WRITER_SECONDS
from mountfs.store.settler import BATCH
from mountfs.store.store import WAL_BYTES, CarryOver, Store

log = logging.getLogger(__name__)

T = TypeVar("T")

GATHER_SECONDS = 0.008  # files closed within it are settled together
DRAIN_SECONDS = 0.1  # what the journal holds is in the catalog after this time at the latest
CHECKPOINT_SECONDS = 0.5
INDEX_SECONDS = 0.25
INDEX_PAUSE_SECONDS = 0.01  # a piece takes up to 5 ms: two thirds of the time are left to others
QUIET_SECONDS = 2.0  # without writes for so long, the log is emptied


class Background:
    """Runs until cancelled; `wake` says that there is something to settle."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._event = trio.Event()
        self._last_activity = 0.0
        self._names = trio.Lock()  # files of contents get and lose their names one batch at a time
        self.busy = False

    def wake(self) -> None:
        self._event.set()

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._settle_forever)
            nursery.start_soon(self._checkpoint_forever)
            nursery.start_soon(self._index_forever)

    # -- settling -----------------------------------------------------------------------------------------

    async def _settle_forever(self) -> None:
        while True:
            with trio.move_on_after(self._pause()):
                await self._event.wait()
            self._event = trio.Event()
            if 0 < len(self._store.files.due) < BATCH:
                await trio.sleep(GATHER_SECONDS)
            try:
                await self._round()
            except MountfsError as error:
                log.error("settling failed and is tried again: %s", error)
                await trio.sleep(1.0)
            except Exception:  # a bug here must not take the mount away from its users
                log.exception("a bug in settling; tried again")
                await trio.sleep(1.0)

    def _pause(self) -> float:
        due = self._store.settler.next_due()
        pause = 1.0 if due is None else max(0.0, due - self._store.ledger.clock.monotonic())
        return min(pause, DRAIN_SECONDS) if self._store.ledger.waiting_since is not None else min(pause, 1.0)

    async def _round(self) -> None:
        self.busy = True
        try:
            await self.settle()
            await self.reclaim()
            since = self._store.ledger.waiting_since
            if since is not None and self._store.ledger.clock.monotonic() - since >= DRAIN_SECONDS:
                self._store.ledger.drain()
        finally:
            self.busy = False

    async def settle(self, *, hurry: bool = False) -> None:
        """Settle what is due; with `hurry` also what is not quiet yet."""
        settler = self._store.settler
        while jobs := settler.take(hurry=hurry):
            results = await _in_thread(partial(settler.work, jobs))
            async with self._names:
                if settler.doom(results):
                    await _in_thread(partial(settler.adopt, results))
                settler.commit(jobs, results)
            self._last_activity = trio.current_time()
            if len(jobs) < BATCH:
                return

    async def reclaim(self) -> None:
        while self._store.settler.forget_dead():
            self._last_activity = trio.current_time()
            await trio.lowlevel.checkpoint()

    async def settled(self, *, seconds: float) -> bool:
        """Wait until nothing is left to settle or to reclaim; whether that came true in time."""
        began = trio.current_time()
        with trio.move_on_after(seconds):
            while self._is_settling(closing=trio.current_time() - began < OPEN_WRITER_SECONDS):
                for ino in list(self._store.files.due):
                    self._store.files.hurry(ino)
                self.wake()
                await trio.sleep(0.005)
            self._store.ledger.drain()
            return True
        return False

    def _is_settling(self, *, closing: bool) -> bool:
        """`closing`: also wait for what was closed and whose release is still under way, behind its writer's back."""
        store = self._store
        live = store.files.live.values()
        return (
            not store.settler.idle()
            or self.busy
            or any(file.settling for file in live)
            or (closing and any(file.writers and file.changed and not file.dirty for file in live))
        )

    # -- the search index ---------------------------------------------------------------------------------

    async def _index_forever(self) -> None:
        """Little is left to do when somebody asks."""
        while True:
            await trio.sleep(INDEX_SECONDS)
            try:
                behind = True
                while behind and not self._store.catalog.is_holding:
                    behind = self._store.indexer.step()
                    await trio.sleep(INDEX_PAUSE_SECONDS)
            except CacheFull:
                await trio.sleep(INDEX_SECONDS)
            except Exception:  # as above: whatever it is, the mount goes on
                log.exception("a bug in filling the search index; tried again")
                await trio.sleep(1.0)

    async def index(self) -> None:
        """Everything acknowledged is in the search index."""
        self._store.ledger.drain()
        while self._store.indexer.step():
            await trio.lowlevel.checkpoint()

    # -- the write-ahead log ------------------------------------------------------------------------------

    async def _checkpoint_forever(self) -> None:
        while True:
            await trio.sleep(CHECKPOINT_SECONDS)
            try:
                self._store.state.make_ballast()
                await self._checkpoint()
            except Exception:  # as above: whatever it is, the mount goes on
                log.exception("carrying the log over failed; tried again")

    async def _checkpoint(self) -> None:
        quiet = trio.current_time() - self._last_activity > QUIET_SECONDS
        length = self._store.catalog.wal_bytes()
        waiting = self._store.settler.leftovers or self._store.journal.old_segments() or self._store.drafts_to_sync()
        if length > WAL_BYTES or waiting or (quiet and length):
            await self.carry_over(truncate=quiet)

    async def carry_over(self, *, truncate: bool) -> None:
        async with self._names:
            carrying = CarryOver(self._store)
            try:
                await _in_thread(partial(carrying.work, truncate=truncate))
            except (MountfsError, OSError) as error:
                carrying.give_up()
                log.error("the catalog could not be synced: %s", error)
                return
            except BaseException:
                carrying.give_up()
                raise
            carrying.finish()


async def _in_thread(work: Callable[[], T]) -> T:
    return await trio.to_thread.run_sync(work, abandon_on_cancel=False)
