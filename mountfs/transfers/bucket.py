"""The bucket as handlers and commands of one mount know it: connected once it said who it is, then asked.

Until it has, nothing is asked of it and nothing sent; writing goes on. A bucket that holds another store, or none
where this machine knows one, stays unconnected, with the reason in `status`.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import trio

from mountfs.bucket.connecting import Store as Known
from mountfs.bucket.connecting import connect
from mountfs.bucket.ground import DAY_MS, Ground
from mountfs.bucket.healing import give_to_bucket
from mountfs.bucket.recovering import finish_interrupted
from mountfs.bucket.requests import drive
from mountfs.bucket.telling import tell
from mountfs.contents import FramedReader
from mountfs.errors import MountfsError, RemoteUnavailable
from mountfs.model import ROOT_INO, Entry
from mountfs.remote.counting import Counting
from mountfs.remote.protocol import Remote
from mountfs.store.live import LiveFile
from mountfs.store.paths import Changes
from mountfs.store.store import Store
from mountfs.transfers.carrier import Carrier
from mountfs.transfers.downloads import Downloads
from mountfs.transfers.growing import Growing
from mountfs.transfers.looks import Looks
from mountfs.transfers.uploads import Settle, Uploads

log = logging.getLogger(__name__)

AGAIN_SECONDS = (1.0, 2.0, 5.0, 15.0, 30.0)


@dataclass(frozen=True, slots=True)
class Manner:
    """How the settings want it: seconds of DESIGN §6, and who this machine is to the bucket."""

    lazy: bool
    look_seconds: float
    refresh_seconds: float
    sync_seconds: float
    settle_seconds: float
    settle_max_seconds: float
    patience_seconds: float
    trash_days: int
    versions: bool
    heads: tuple[str, ...]
    live_patterns: tuple[str, ...] = ()
    live_seconds: float = 30.0
    fsync_bucket: bool = False
    read_only: bool = False


class Bucket:
    """See the module's docstring. `changed` tells the kernel what it may no longer remember."""

    def __init__(
        self, store: Store, remote: Remote, manner: Manner, nursery: trio.Nursery, changed: Callable[[Changes], None]
    ) -> None:
        self.counting = Counting(remote)
        self.store = store
        self.manner = manner
        self.refusal: str | None = None  # why it is not connected, where asking again would not help
        known = store.catalog.meta("store_id") or ""
        grace_ms = int(store.catalog.meta("grace_ms") or manner.trash_days * DAY_MS)
        self.ground = Ground(
            store.ledger, store.owing, store.paths, store.outbox, store.contents, known, grace_ms,
            on_loop=_on_loop, heads=manner.heads,
        )  # fmt: skip
        self.carrier = Carrier(
            self.counting, store.ledger.clock, look_seconds=manner.look_seconds, heard=self._heard
        )  # fmt: skip
        self.carrier.down = "not connected yet"
        settle = Settle(manner.settle_seconds, manner.settle_max_seconds)
        self.uploads = Uploads(self.ground, self.carrier, settle, tell=tell)
        self.downloads = Downloads(
            self.ground, self.carrier, nursery, patience_seconds=manner.patience_seconds
        )  # fmt: skip
        self.looks = Looks(
            self.ground, self.carrier, nursery, look_seconds=manner.look_seconds,
            refresh_seconds=manner.refresh_seconds, lazy=manner.lazy, changed=changed,
        )  # fmt: skip
        self.growing = Growing(
            self.ground, store.snapshots, self.uploads, store.files.live, patterns=manner.live_patterns,
            seconds=manner.live_seconds, patience_seconds=manner.patience_seconds,
        )  # fmt: skip
        self.connected = trio.Event()
        store.files.elsewhere = self.downloads.reader

    def _heard(self, server_ms: int, began_ms: int, ended_ms: int) -> None:
        self.ground.stamps.heard(server_ms, began_ms=began_ms, ended_ms=ended_ms)

    # -- connecting ---------------------------------------------------------------------------------------

    async def connect(self, *, seconds: float) -> None:
        """Ask the bucket who it is. Raises ConfigError, CorruptContent, RemoteDenied, RemoteUnavailable."""
        steps = connect(
            known=self.ground.store_id or None, trash_days=self.manner.trash_days, versions=self.manner.versions,
            where=self.counting.where, read_only=self.manner.read_only,
        )  # fmt: skip
        found = None
        with trio.move_on_after(seconds):
            found = await trio.to_thread.run_sync(lambda: drive(steps, self.counting), abandon_on_cancel=True)
        if found is None:
            raise RemoteUnavailable(f"{self.counting.where} does not answer within {seconds:g} seconds")
        self._connected(found)

    def _connected(self, found: Known) -> None:
        if found.grace_ms != self.manner.trash_days * DAY_MS:
            log.info("the bucket keeps what was removed for %.3g days", found.grace_ms / DAY_MS)
        with self.store.ledger.transaction():
            self.store.catalog.set_meta("store_id", found.store_id)
            self.store.catalog.set_meta("grace_ms", str(found.grace_ms))
        self.ground.store_id, self.ground.grace_ms = found.store_id, found.grace_ms
        now_ms = self.store.ledger.clock.now_ns() // 1_000_000
        if found.server_ms:
            self._heard(found.server_ms, now_ms - 1000, now_ms)
        self.refusal = None
        finish_interrupted(self.ground)
        self.carrier.came_up()
        self.connected.set()

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            if not self.connected.is_set():
                await self._connect_forever()
            nursery.start_soon(self.carrier.probe_forever)
            if not self.manner.read_only:
                nursery.start_soon(self.uploads.run)
                nursery.start_soon(self.growing.run)
            nursery.start_soon(self.looks.run)

    async def _connect_forever(self) -> None:
        tries = 0
        while not self.connected.is_set():
            try:
                await self.connect(seconds=max(self.manner.look_seconds, 5.0))
            except MountfsError as error:
                self.carrier.down = str(error)
                if not error.waiting_helps and self.refusal != str(error):
                    self.refusal = str(error)
                    log.error("%s", error)
                await trio.sleep(AGAIN_SECONDS[min(tries, len(AGAIN_SECONDS) - 1)])
                tries += 1

    # -- for handlers -------------------------------------------------------------------------------------

    async def look(self, name: bytes) -> None:
        await self.looks.look(name)

    async def into(self, ino: int) -> None:
        """Somebody looks at what lies in a directory, or at a file."""
        if ino != ROOT_INO:
            await self.looks.into(ino)

    def noticed(self, ino: int) -> None:
        """Somebody asks for attributes, which the kernel forgets early so that we hear of it."""
        if ino != ROOT_INO:
            self.looks.noticed(ino)

    async def list_root(self, *, seconds: float) -> None:
        await self.looks.list_root(seconds=seconds)

    async def prepare(self, entry: Entry, *, whole: bool) -> None:
        """Make the content of a file readable; `whole`: somebody is going to write into it."""
        if entry.content is None or not self.downloads.is_absent(entry.content):
            return
        await (self.downloads.fetch(entry.content) if whole else self.downloads.prepare(entry.content))

    async def arrive(self, content_id: int | None, reader: FramedReader, offset: int, length: int) -> None:
        """Before a read of a large content that is not here whole: its pieces. Raises RemoteUnavailable."""
        if content_id is not None and reader.arriving:
            await self.downloads.arrive(content_id, offset, length)

    def closed(self, live: LiveFile) -> None:
        """A handle of this file was closed."""
        if live.acknowledged.content is not None:
            readers = (other.reader for other in self.store.files.live.values())
            self.downloads.closed(live.acknowledged.content, readers)

    async def confirm(self, live: LiveFile) -> None:
        """`fsync: bucket`: return once the bucket has what was acknowledged. Raises RemoteUnavailable, RemoteDenied."""
        await self.growing.confirm(live)

    async def heal(self, content_id: int) -> bool:
        """A content rotted here: take it from the bucket, where the bucket has it. Whether it did."""
        if not give_to_bucket(self.ground, content_id):
            return False
        try:
            await self.downloads.fetch(content_id)
        except MountfsError as error:
            log.error("a damaged content could not be fetched again: %s", error)
            return False
        log.warning("a damaged content was fetched again from the bucket")
        return True

    def state_of(self, entry: Entry) -> str | None:
        """`remote`, `uploading` or `failed`; None where the bucket has nothing to do with it yet."""
        if entry.owed & 31 or self.store.catalog.bucket.owed_registers(entry.ino):
            names = self.store.ledger.path(entry.ino)
            job = self.ground.tables.job_id(names[0]) if names else None
            return self.uploads.state_of(job) if job is not None else None
        return "remote"

    # -- for commands -------------------------------------------------------------------------------------

    def status(self) -> dict[str, object]:
        debts = self.store.outbox.debts()
        failed = [
            {"job": self.ground.tables.job_name(job).decode(errors="replace"), "reason": failure.reason}
            for job, failure in self.uploads.failures.items()
            if failure.parked
        ]
        counts = self.counting.counts()
        return {
            "where": self.counting.where,
            "connected": self.connected.is_set(),
            "down": self.carrier.down,
            "refused": self.refusal,
            "sync": "lazy" if self.manner.lazy else "full",
            "jobs_to_upload": len(debts),
            "uploading": len(self.uploads.running),
            "failed": failed,
            "set_aside": len(self.ground.tables.aside()),
            "requests": counts.total_requests,
            "here": self.store.catalog.here_bytes(),
        }


def _on_loop(work: Callable[[], None]) -> None:
    trio.from_thread.run_sync(work)

