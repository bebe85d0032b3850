"""Requests by xattr (`user.mountfs.flush`, `evict`, `prefetch`): they only enqueue, and are carried out in turn.

Whoever wants to know polls `user.mountfs.state`; what fails is in the log.
"""

import logging

import trio

from mountfs.bucket.ground import Ground
from mountfs.errors import DeadlineExceeded, MountfsError
from mountfs.store.store import Store
from mountfs.transfers.cache import Cache
from mountfs.transfers.prefetch import Prefetch
from mountfs.transfers.uploads import Uploads

log = logging.getLogger(__name__)

MOST = 1000  # requests that wait
SETTLE_SECONDS = 60.0


class Asked:
    """See the module's docstring. A request that waits already is not made twice."""

    def __init__(self, store: Store, ground: Ground, uploads: Uploads, cache: Cache, prefetch: Prefetch) -> None:
        self._store = store
        self._ground = ground
        self._uploads = uploads
        self._cache = cache
        self._prefetch = prefetch
        self._waiting: dict[tuple[str, int], None] = {}
        self._event = trio.Event()
        store.attributes.request = self.add

    def add(self, what: str, ino: int) -> None:
        """`what` is flush, evict or prefetch. Raises DeadlineExceeded where too many wait."""
        if len(self._waiting) >= MOST:
            raise DeadlineExceeded(f"{MOST} requests of this kind wait already: try again")
        self._waiting[what, ino] = None
        self._event.set()

    async def run(self) -> None:
        while True:
            await self._event.wait()
            self._event = trio.Event()
            while self._waiting:
                what, ino = next(iter(self._waiting))
                del self._waiting[what, ino]
                try:
                    await self._carry_out(what, ino)
                except MountfsError as error:
                    log.warning("%s of %r: %s", what, b"/".join(self._store.ledger.path(ino)), error)
                except Exception:  # a bug here must not take the mount away from its users
                    log.exception("a bug in a request by xattr")

    async def _carry_out(self, what: str, ino: int) -> None:
        if self._store.ledger.entry(ino) is None:
            return
        match what:
            case "flush":
                await self._flush(ino)
            case "evict":
                async for _ in self._cache.let_go(ino, dry_run=False):
                    pass
            case "prefetch":
                await self._prefetch.run(await self._prefetch.wanted(ino))

    async def _flush(self, ino: int) -> None:
        """Settled first; then it goes out, and nobody waits for that here."""
        job = self._ground.owing.where(ino).job
        files = self._store.files
        with trio.move_on_after(SETTLE_SECONDS):
            while files.due:
                for due in list(files.due):
                    files.hurry(due)
                await trio.sleep(0.02)
        self._uploads.begin_flush({job})
