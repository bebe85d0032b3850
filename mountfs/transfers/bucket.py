"""The bucket as handlers and commands of one mount know it: connected once it said who it is, then asked.

Until it has, nothing is asked of it and nothing sent; writing goes on. A bucket that holds another store, or none
where this machine knows one, stays unconnected, with the reason in `status`.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import trio

from mountfs.bucket.connecting import Store as Known
from mountfs.bucket.connecting import connect, connected, ground_of
from mountfs.bucket.following import Follower
from mountfs.bucket.heads import jobs_lacking
from mountfs.bucket.healing import give_to_bucket
from mountfs.bucket.history import learn_history
from mountfs.bucket.requests import drive
from mountfs.contents import FramedReader
from mountfs.errors import CacheFull, MountfsError, RemoteDenied, RemoteUnavailable
from mountfs.model import ROOT_INO, Entry
from mountfs.remote.counting import Counting
from mountfs.remote.protocol import Remote
from mountfs.store.live import LiveFile
from mountfs.store.paths import CONFLICTS, Changes
from mountfs.store.store import Store
from mountfs.transfers.asked import Asked
from mountfs.transfers.cache import Cache
from mountfs.transfers.carrier import Carrier
from mountfs.transfers.downloads import Downloads
from mountfs.transfers.following import Following
from mountfs.transfers.growing import Growing
from mountfs.transfers.heads import Heads
from mountfs.transfers.linking import Links
from mountfs.transfers.looks import Looks
from mountfs.transfers.maintenance import Maintenance
from mountfs.transfers.prefetch import Prefetch
from mountfs.transfers.telling import Tellings
from mountfs.transfers.uploads import Settle, Uploads

log = logging.getLogger(__name__)

ODD_SHOWN = 100
ASIDE_SHOWN = 10
CONNECTING_SECONDS = 0.1
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
        self.refused_by: MountfsError | None = None  # why it is not connected, where asking again would not help
        self.ground = ground_of(
            store, trash_days=manner.trash_days, heads=manner.heads, on_loop=_on_loop, changed=changed
        )  # fmt: skip
        self.carrier = Carrier(
            self.counting, store.ledger.clock, look_seconds=manner.look_seconds, heard=self._heard
        )  # fmt: skip
        self.carrier.down = "not connected yet"
        settle = Settle(manner.settle_seconds, manner.settle_max_seconds)
        self.tellings = Tellings(self.ground, self.carrier)
        self.uploads = Uploads(self.ground, self.carrier, settle, tell=self.tellings.tell)
        self.looks = Looks(
            self.ground, self.carrier, nursery, look_seconds=manner.look_seconds,
            refresh_seconds=manner.refresh_seconds, lazy=self.lacks_index,
        )  # fmt: skip
        self.heads = Heads(
            self.carrier, self.looks, nursery, refresh_seconds=manner.refresh_seconds
        )  # fmt: skip
        self.downloads = Downloads(
            self.ground, self.carrier, nursery, patience_seconds=manner.patience_seconds, read_job=self.looks.read
        )  # fmt: skip
        follower = Follower(
            self.ground, store.bulk, owner=store.options.owner, recorded_owner=store.options.recorded_owner
        )
        self.following = Following(
            self.ground, follower, self.carrier, sync_seconds=manner.sync_seconds, writes=not manner.read_only
        )  # fmt: skip
        self.maintenance = Maintenance(
            self.ground, self.carrier, self.following, sync_seconds=manner.sync_seconds
        )  # fmt: skip
        self.growing = Growing(
            self.ground, store.snapshots, self.uploads, store.files.live, patterns=manner.live_patterns,
            seconds=manner.live_seconds, patience_seconds=manner.patience_seconds,
        )  # fmt: skip
        self.cache = Cache(store, self.carrier, self.uploads)
        self.prefetch = Prefetch(store, self.ground, self.carrier, self.downloads, self.cache)
        self.asked = Asked(store, self.ground, self.uploads, self.cache, self.prefetch)
        self.links = Links(
            store, self.ground, self.carrier, self.uploads, nursery, read_only=manner.read_only
        )  # fmt: skip
        self.nursery = nursery
        self.connected = trio.Event()
        self._connect_now = trio.Event()
        store.attributes.state_elsewhere = self.state_of
        store.files.elsewhere = self.downloads.reader

    def lacks_index(self) -> bool:
        """Whether the rows know only the jobs that somebody looked at here."""
        return self.manner.lazy or not self.following.follower.is_complete

    def _heard(self, server_ms: int, began_ms: int, ended_ms: int) -> None:
        self.ground.stamps.heard(server_ms, began_ms=began_ms, ended_ms=ended_ms)

    async def learn_history(self, job: bytes) -> None:
        """Know the versions that the bucket has of a job's files, as far as it answers."""
        if self.ground.catalog.child(ROOT_INO, job) is None:
            await self.look(job)
        number = self.ground.tables.job_id(job)
        if number is None or not self.ground.versions or not self.ground.tables.is_shared(number):
            return  # what this machine alone wrote it knows
        if self.carrier.down is not None:
            raise self.carrier.lack(f"which versions others wrote is not known: {self.carrier.down}")
        if self.ground.catalog.feed.has_told(number) or not self.ground.tables.listed_ms(number):
            await self.looks.look_into(job)
        await self.carrier.run(learn_history(self.ground, number), urgent=True)

    def typed(self, digest: bytes, slug: str) -> None:
        """A content was read, and is of that type: heads that were told before lack it."""
        for job in jobs_lacking(self.ground, digest, slug):
            self.tellings.tell_soon(job)

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
        connected(self.ground, found, trash_days=self.manner.trash_days)
        self.refused_by = None
        self.carrier.came_up()
        self.connected.set()

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.cache.run)
            nursery.start_soon(self.asked.run)
            if not self.connected.is_set():
                await self._connect_forever()
            nursery.start_soon(self.carrier.probe_forever)
            if not self.manner.read_only:
                nursery.start_soon(self.uploads.run)
                nursery.start_soon(self.tellings.run)
                nursery.start_soon(self.growing.run)
            nursery.start_soon(self.looks.run)
            if not self.manner.lazy:
                nursery.start_soon(self.following.run)
            if not self.manner.lazy and not self.manner.read_only:
                nursery.start_soon(self.maintenance.run)

    async def _connect_forever(self) -> None:
        tries = 0
        while not self.connected.is_set():
            try:
                await self.connect(seconds=max(self.manner.look_seconds, 5.0))
            except MountfsError as error:
                self.carrier.down = str(error)
                self.carrier.refusal = error if isinstance(error, RemoteDenied) else None
                if not error.waiting_helps:
                    if str(self.refused_by) != str(error):
                        log.error("%s", error)
                    self.refused_by = error
                with trio.move_on_after(AGAIN_SECONDS[min(tries, len(AGAIN_SECONDS) - 1)]):
                    await self._connect_now.wait()
                self._connect_now = trio.Event()
                tries += 1

    def connect_now(self) -> None:
        """Somebody waits: ask the bucket again at once, if it is not connected."""
        if not self.connected.is_set():
            self.refused_by = None
            self._connect_now.set()

    async def connection(self) -> None:
        """Return once the bucket has said who it is. Raises what keeps it from being asked."""
        self.connect_now()
        while not self.connected.is_set():
            if self.refused_by is not None:
                raise self.refused_by
            with trio.move_on_after(CONNECTING_SECONDS):
                await self.connected.wait()

    def end(self) -> None:
        """The mount is ending: whoever waits for the bucket is told so."""
        self.carrier.end()

    # -- for handlers -------------------------------------------------------------------------------------

    async def look(self, name: bytes) -> None:
        await self.looks.look(name)

    async def read_job(self, name: bytes) -> None:
        """Bring in what a job holds now, as a first look does. Raises RemoteUnavailable, RemoteDenied."""
        entry = self.ground.ledger.child(ROOT_INO, name)
        if entry is None:
            await self.looks.find_out(name)
        else:
            await self.looks.into(entry.ino, listing=True)
        if self.carrier.down is not None:
            raise self.carrier.lack(f"a job could not be read: {self.carrier.down}")

    async def into(self, ino: int, *, missing: bytes | None = None, pid: int = 0, listing: bool = False) -> None:
        """Somebody looks at what lies in a directory, or at a file; `missing` is a name that is not known there, and
        `pid` the process that looks for it; `listing`: he wants to know all names."""
        if ino != ROOT_INO:
            await self.looks.into(ino, missing=missing, pid=pid, listing=listing)

    def made(self, parent: int, name: bytes, pid: int) -> None:
        """Who had looked for that name was about to make it, and no more."""
        self.looks.made(parent, name, pid)

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
        if not whole:
            await self.downloads.prepare(entry.content)
            size = self.downloads.size_in_ranges(entry.content)
            whole = size is not None and size != entry.size  # a record claims another: the whole decides
        if whole:
            await self.downloads.fetch(entry.content)

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

    async def arrive_again(self, content_id: int | None, reader: FramedReader, offset: int, length: int) -> bool:
        """A read found damage in a large content that is still on its way here. Whether it may be tried once more."""
        if content_id is None or not reader.arriving:
            return False
        log.warning("a piece of a large content was damaged on its way, and is fetched again")
        return await self.downloads.arrive_again(content_id, offset, length)

    async def heal(self, content_id: int) -> bool:
        """A content rotted here: take it from the bucket, where the bucket has it. Whether it did."""
        if not give_to_bucket(self.ground, content_id):
            return False
        try:
            await self.downloads.fetch(content_id)
        except CacheFull:
            raise
        except MountfsError as error:
            log.error("a damaged content could not be fetched again: %s", error)
            return False
        log.warning("a damaged content was fetched again from the bucket")
        return True

    def state_of(self, entry: Entry) -> str | None:
        """`remote`, `uploading` or `failed`; None where the bucket has nothing to do with it yet."""
        if entry.owed & 31 or self.store.catalog.bucket.owed_registers(entry.ino):
            if self.refused_by is not None:
                return "failed"
            names = self.store.ledger.path(entry.ino)
            job = self.ground.tables.job_id(names[0]) if names else None
            return self.uploads.state_of(job) if job is not None else None
        return "remote"

    def job_states(self) -> dict[str, str]:
        """Jobs whose upload is under way or failed."""
        if self.refused_by is not None:
            states: dict[int, str | None] = dict.fromkeys(self.uploads.owing(None), "failed")
        else:
            states = {job: self.uploads.state_of(job) for job in self.uploads.running | self.uploads.failures.keys()}
        return {
            self.ground.tables.job_name(job).decode("utf-8", "surrogateescape"): state
            for job, state in states.items()
            if state is not None
        }

    # -- for commands -------------------------------------------------------------------------------------

    def status(self) -> dict[str, object]:
        debts = self.store.outbox.debts()
        aside = self.ground.tables.aside()
        failed = [
            {"job": _key(self.ground.tables.job_name(job), b""), "reason": failure.reason}
            for job, failure in self.uploads.failures.items()
            if failure.parked
        ]
        counts = self.counting.counts()
        return {
            "where": self.counting.where,
            "connected": self.connected.is_set(),
            "down": self.carrier.down,
            "refused": str(self.refused_by) if self.refused_by is not None else None,
            "sync": "lazy" if self.manner.lazy else "full",
            "read_only": self.manner.read_only,
            "jobs_to_upload": len(debts),
            "uploading": len(self.uploads.running),
            "failed": failed,
            "set_aside": len(aside),
            "aside": [
                {"key": _key(self.ground.tables.job_name(job), path), "reason": reason}
                for _id, job, path, _ms, reason, _record in aside[:ASIDE_SHOWN]
            ],
            "conflicts": int(self.store.catalog.meta(CONFLICTS) or 0),
            "refused_lines": sum(1 for _ in self.ground.odd.all()),
            "odd": [
                {"job": _key(self.ground.tables.job_name(job), b""), "reason": sentence}
                for job, sentence in islice(self.ground.odd.all(), ODD_SHOWN)
            ],
            "requests": counts.total_requests,
            "untold": self.tellings.reason(),
            "index": None if self.manner.lazy else self.following.status(),
            "here": self.store.catalog.here_bytes(),
            "drafts": self.store.room.reserved_bytes,
            "cache": self.store.room.budget.most_bytes if self.store.room.budget is not None else 0,
            "evicted": self.cache.evicted_bytes,
        }


def _key(job: bytes, path: bytes) -> str:
    return b"/".join(part for part in (job, path) if part).decode("utf-8", "surrogateescape")


def _on_loop(work: Callable[[], None]) -> None:
    trio.from_thread.run_sync(work)
