"""fsync: many who ask share one round, and none gets a yes that is not true."""

import trio

from mountfs.errors import CatalogError, DeadlineExceeded
from mountfs.fuse.waiting import Waiting
from mountfs.store.store import Store


class Syncing:
    """Rounds of syncing, one at a time. A round covers whoever asked before it began.

    After one failed sync there is no second yes: the kernel marks pages clean that never reached the disk, so a
    later fsync would succeed without them.
    """

    def __init__(self, store: Store, waiting: Waiting) -> None:
        self._store = store
        self._waiting = waiting
        self._lock = trio.Lock()
        self._asked = 0
        self._done = 0
        self._parents: set[int] = set()
        self._broken: str | None = None

    async def sync(self, parent: int) -> None:
        """Make everything that happened in a directory durable. Raises CatalogError (EIO), DeadlineExceeded."""
        self._asked += 1
        ticket = self._asked
        self._parents.add(parent)
        with trio.move_on_after(self._waiting.seconds):  # the round before ours counts too
            async with self._lock:
                if self._done < ticket:
                    await self._round()
            return
        raise DeadlineExceeded(f"not synced within {self._waiting.seconds:g} seconds: the disk does not keep up")

    async def _round(self) -> None:
        if self._broken is not None:
            raise CatalogError(f"an earlier fsync failed ({self._broken}): mount again, and check the disk")
        asked, parents, self._parents = self._asked, self._parents, set()
        drafts = [live for parent in parents for live in self._store.unsynced_drafts(parent)]
        segments = self._store.journal.take_unsynced()
        try:
            await self._waiting.hop(lambda: self._store.sync(drafts, segments))
        except BaseException as error:
            self._store.journal.put_back_unsynced(segments)
            self._parents |= parents
            for live in drafts:
                if live.draft is not None:
                    live.draft.unsynced = True
            if isinstance(error, OSError):
                self._broken = error.strerror
                raise CatalogError(f"fsync failed: {error.strerror}") from error
            raise
        self._done = asked
