"""Open files, published while they grow: by name every so often (`live`), or because somebody waits (`fsync`)."""

import fnmatch
import logging

import trio

from mountfs.bucket.ground import Ground
from mountfs.errors import MountfsError, RemoteUnavailable
from mountfs.model import Owed
from mountfs.store.live import LiveFile
from mountfs.store.snapshots import Snapshots
from mountfs.transfers.uploads import Uploads

log = logging.getLogger(__name__)


class Growing:
    """`patterns` are shell patterns for names; the others are published when they are closed."""

    def __init__(
        self, ground: Ground, snapshots: Snapshots, uploads: Uploads, live: dict[int, LiveFile], *,
        patterns: tuple[str, ...], seconds: float, patience_seconds: float,
    ) -> None:  # fmt: skip
        self._ground = ground
        self._snapshots = snapshots
        self._uploads = uploads
        self._live = live
        self._patterns = tuple(pattern.encode() for pattern in patterns)
        self._seconds = seconds
        self._patience_seconds = patience_seconds
        self._taking = trio.Lock()

    async def run(self) -> None:
        while self._patterns:
            await trio.sleep(self._seconds)
            for live in list(self._live.values()):
                if live.writers and any(fnmatch.fnmatchcase(live.entry.name, p) for p in self._patterns):
                    await self._safely(live)

    async def _safely(self, live: LiveFile) -> None:
        try:
            await self.take(live)
        except MountfsError as error:
            log.warning("%r is not published while it grows: %s", live.entry.name, error)
        except Exception:  # a bug here must not take the mount away from its users
            log.exception("a bug in publishing a growing file")

    async def take(self, live: LiveFile) -> None:
        """Store the acknowledged state of an open file, and let it go out."""
        async with self._taking:
            if not live.lock.acquire(blocking=False):
                return  # it is being written this very moment: the next time
            try:
                taken = self._snapshots.take(live)
            finally:
                live.lock.release()
            if taken is None:
                return
            settled = await trio.to_thread.run_sync(self._snapshots.work, taken)
            if settled is None:
                return
            self._snapshots.doom(settled)
            await trio.to_thread.run_sync(self._snapshots.adopt, settled)
            self._snapshots.commit(taken, settled)
        self._uploads.hurry(self._job_of(live))

    def _job_of(self, live: LiveFile) -> int:
        return self._ground.owing.where(live.ino).job

    async def confirm(self, live: LiveFile) -> None:
        """Return once the bucket has what is acknowledged of a file. Raises RemoteUnavailable, RemoteDenied."""
        stamp = live.acknowledged.stamp
        with trio.move_on_after(self._patience_seconds):
            while not live.unlinked:
                entry = live.acknowledged
                if entry.stamp >= stamp and not entry.owed & Owed.CONTENT:
                    return
                if live.changed:
                    await self.take(live)
                job = self._job_of(live)
                self._uploads.hurry(job)
                failure = self._uploads.failures.get(job)
                if failure is not None and failure.parked:
                    raise failure.raised()
                await self._uploads.next_done(0.25)
            return
        raise RemoteUnavailable(f"the bucket has not confirmed it within {self._patience_seconds:g} seconds")
