"""One store on this machine: opened under its lock, recovered, and put together from its parts.

`Store` is plain and synchronous: a test, or a command where nothing is mounted, drives it directly; the daemon calls
the same parts from its handlers.
"""

import contextlib
import logging
import os
from pathlib import Path

from mountfs import namespace
from mountfs.catalog import Catalog, checkpoint
from mountfs.clock import Clock, Stamps, SystemClock
from mountfs.contents import ContentFiles
from mountfs.errors import CacheFull, ContentLost, CorruptContent
from mountfs.journal import Journal
from mountfs.statedir import StateDirectory
from mountfs.store import recovery
from mountfs.store.attributes import Attributes
from mountfs.store.bulk import Bulk
from mountfs.store.dropping import Dropping
from mountfs.store.eviction import Eviction
from mountfs.store.facts import Facts
from mountfs.store.files import Files
from mountfs.store.indexer import Indexer
from mountfs.store.ledger import Ledger
from mountfs.store.live import LiveFile
from mountfs.store.options import Options
from mountfs.store.outbox import Outbox
from mountfs.store.owing import Owing
from mountfs.store.paths import Paths
from mountfs.store.restoring import Restoring
from mountfs.store.room import Budget, Room
from mountfs.store.settler import Settler
from mountfs.store.snapshots import Snapshots
from mountfs.store.trash import Trash
from mountfs.store.tree import Tree
from mountfs.store.understanding import Understanding
from mountfs.store.versions import Versions

log = logging.getLogger(__name__)

EXPIRED_AT_OPEN = 1024  # rows of the trash: 20 ms
PAGES_AT_OPEN = 40  # of contents, when the disk is full: 40 × 256 × 30 µs
OPENING_BYTES = 512 << 10  # what recovering writes before anything can be evicted
INDEX_AT_CLOSE_SECONDS = 1.0
WAL_BYTES = 4 << 20  # a write-ahead log longer than this is carried into the catalog


class Store:
    """The parts, wired: `tree` for names, `files` for bytes, `attributes`, `settler` for what happens behind."""

    def __init__(
        self, state: StateDirectory, options: Options, *, mountpoint: Path | None, clock: Clock | None
    ) -> None:
        self.state = state
        self.options = options
        self.mountpoint = mountpoint
        clock = clock or SystemClock()
        self.contents = ContentFiles(state.path)  # first, for it clears away what never became a content
        self.catalog = _opened(state)
        recovery.replay_journal(self.catalog, state)
        applied, epoch = recovery.applied(self.catalog)
        self.journal = Journal(state.journal, first_number=applied + 1, epoch=epoch)
        self.stamps = Stamps(clock)
        self.stamps.resume(self.catalog.meta("stamp") or "")
        self.ledger = Ledger(self.catalog, self.journal, clock, self.stamps)
        self.room = Room(
            state.path, quota_bytes=options.quota_bytes, max_artifact_bytes=options.max_artifact_bytes,
            stored_bytes=self.catalog.stored_bytes, here_bytes=self.catalog.here_bytes, budget=_budget(options),
        )  # fmt: skip
        self.raw_inos = self.catalog.inos_with_codec()
        self.owing = Owing(self.ledger, self.stamps)
        self.files = Files(self.ledger, self.owing, self.contents, self.room, state.drafts, options, self.compression)
        self.versions = Versions(
            self.ledger, self.owing, wanted=options.versions, has_bucket=options.has_bucket
        )  # fmt: skip
        self.trash = Trash(self.ledger, self.versions, days=options.trash_days)
        self.tree = Tree(self.ledger, self.owing, self.files, self.room, state, options, self.trash)
        self.types = options.type_rules()
        self.indexer = Indexer(self.catalog, types=self.types)
        self.facts = Facts(self.catalog, mountpoint=mountpoint, types=self.types)
        self.dropping = Dropping(self.ledger, self.tree, self.facts)
        self.understanding = Understanding(self.catalog, self.files, self.indexer)
        self.paths = Paths(
            self.ledger, self.owing, self.files, self.trash, self.versions, owner=options.owner,
            recorded_owner=options.recorded_owner,
        )  # fmt: skip
        self.snapshots = Snapshots(self.ledger, self.files, self.contents)
        self.outbox = Outbox(self.ledger, self.owing, self.paths, self.files)
        self.bulk = Bulk(self.ledger, self.owing, self.paths, self.files, owner=options.owner)
        self.attributes = Attributes(self.ledger, self.owing, self.tree, self.files, self.facts, options)
        self.attributes.on_pin = self.dropping.pinned
        self.settler = Settler(self.ledger, self.files, self.contents, self.room)
        self.eviction = Eviction(self.ledger, self.owing, self.files, self.contents, self.settler, state.drop_ballast)
        self.restoring = Restoring(self.ledger, self.owing, self.tree, self.files, self.trash, self.room, options)
        self.room.reclaim = self.settler.reclaim
        if not options.has_bucket:  # with one, what the bucket has goes first (`transfers.cache`)
            self.room.drop_trash = self._drop_trash
        self.room.evict = self._evict
        self.files.overwritten = self.trash.overwritten
        self.owing.on_carried = self.versions.removed
        self.settler.sync_catalog = self.sync_catalog
        self.sync_catalog()
        notes = options.has_bucket or self.catalog.meta("owes") is not None  # also while the settings name it no more
        if notes:
            self._begin_owing()
        recovery.recover(self.catalog, self.files, self.settler, self.contents, state, self.journal)
        if options.has_bucket:
            self.outbox.scan()
        else:
            self.trash.expire(limit=EXPIRED_AT_OPEN)  # with one it goes by the server's clock, once that is known
        self._make_writable()
        _sync_path(state.path)  # the names of catalog, journal, drafts and contents, when they are new
        _sync_path(state.path.parent)

    @classmethod
    def open(
        cls,
        path: Path,
        options: Options | None = None,
        *,
        mountpoint: Path | None = None,
        clock: Clock | None = None,
    ) -> "Store":
        """Take the lock, recover, serve. Raises AlreadyMounted, CatalogError, EnvironmentProblem."""
        state = StateDirectory(path)
        state.make(mountpoint=mountpoint)
        state.lock()
        try:
            state.refuse_without_catalog()
            state.make_rooms()
            return cls(
                state,
                options or Options(owner=(os.getuid(), os.getgid())),
                mountpoint=mountpoint,
                clock=clock,
            )
        except BaseException:
            state.unlock()
            raise

    def _begin_owing(self) -> None:
        """Note what the bucket is to be told; all that is here, where the store has not had one before."""
        if self.catalog.meta("owes") is None:
            with self.catalog.transaction():
                self.catalog.bucket.owe_everything()
                self.catalog.set_meta("owes", "1")
        with self.catalog.transaction():
            self.catalog.bucket.drop_snapshots()
        self.owing.begin()

    def _evict(self, lacking_bytes: int) -> int:
        """A writer needs room: what the bucket has makes it. Where others are served meanwhile, a cache does that."""
        if not self.options.has_bucket:
            return 0
        freed_bytes = self.eviction.evict_now(lacking_bytes)
        self.contents.sweep_decided()
        return freed_bytes

    def disk_low(self) -> int:
        """How much has to go from the disk so that the catalog can be written whatever comes; 0 while it can."""
        return self.room.disk_low(has_ballast=self.state.make_ballast())

    def _make_writable(self) -> None:
        """A disk full of what the bucket has: so much of it goes that this store can be used."""
        lacking_bytes = self.disk_low()
        if not lacking_bytes or not self.options.has_bucket:
            return
        try:
            if self.eviction.evict_now(lacking_bytes, pages=PAGES_AT_OPEN):
                self.contents.sweep_decided()
                self.settler.reclaim()
        except CacheFull as error:
            log.warning("nothing could be evicted: %s", error)
        self.state.make_ballast()

    def _drop_trash(self, wanted_bytes: int) -> bool:
        """The disk is full: the oldest trash goes before a writer is refused. Whether there was any.

        With a bucket the cache decides: what the bucket has of it leaves the disk, and stays restorable.
        """
        if self.options.has_bucket or not self.trash.make_room(wanted_bytes):
            return False
        self.settler.reclaim()
        return True

    def close(self) -> None:
        """Bring everything into the catalog and let go of the lock."""
        self.ledger.drain()
        self._index_rest()
        carrying = CarryOver(self)
        carrying.work(truncate=True)
        carrying.finish()
        self.journal.close()
        self.catalog.close()
        self.state.unlock()

    def _index_rest(self) -> None:
        """So that a reader without the lock finds the index complete; of very much the rest is left to the next."""
        until = self.ledger.clock.monotonic() + INDEX_AT_CLOSE_SECONDS
        with contextlib.suppress(CacheFull):
            while self.indexer.step() and self.ledger.clock.monotonic() < until:
                pass

    def compression(self, ino: int) -> tuple[bool, int]:
        """Whether, and at which level, the content of an entry is compressed."""
        if not self.options.compress or ino in self.raw_inos:
            return False, self.options.level
        if self.options.type_levels:
            names = self.ledger.path(ino)
            kind = self.facts.type_of(names, self.catalog.register(ino, "type")) if names else ""
            level = self.options.type_levels.get(kind, self.options.level)
            return level is not None, level or self.options.level
        return True, self.options.level

    # -- durability ---------------------------------------------------------------------------------------

    def unsynced_drafts(self, parent: int | None) -> list[LiveFile]:
        """Open drafts in a directory (everywhere: None) whose bytes are not on the disk yet."""
        return [
            live
            for live in self.files.live.values()
            if live.draft is not None and live.draft.unsynced and parent in (None, live.entry.parent)
        ]

    def drafts_to_sync(self) -> list[LiveFile]:
        """Open drafts whose log of changes has become long; a sync begins it anew."""
        return [live for live in self.files.live.values() if live.draft is not None and live.draft.wants_sync()]

    def sync(self, drafts: list[LiveFile], segments: set[int]) -> None:
        """Make drafts, journal segments and the catalog's log durable, in this order; for a worker thread."""
        for live in drafts:
            with live.lock:
                if live.draft is not None:
                    live.draft.sync()
        if drafts:
            _sync_path(self.state.drafts)
        self.journal.sync(segments)
        with contextlib.suppress(FileNotFoundError):
            _sync_path(Path(f"{self.state.catalog}-wal"))

    def sync_catalog(self) -> None:
        """Make every transaction so far durable. Any thread; takes as long as the disk does."""
        self.journal.sync(self.journal.take_unsynced())
        with contextlib.suppress(FileNotFoundError):
            _sync_path(Path(f"{self.state.catalog}-wal"))

    def removable_segments(self) -> list[int]:
        """Journal segments without the only copy of anything, once what was applied from them is durable."""
        if self.ledger.waiting_count():
            return []
        used = self.catalog.used_segments()
        return [s for s in self.journal.old_segments() if s not in used]

    def report_damage(self, live: LiveFile, error: CorruptContent | ContentLost) -> str:
        """Mark the content of a file as damaged; the sentence for the log."""
        content = live.acknowledged.content
        if content is not None:
            with self.ledger.transaction():
                self.catalog.mark_damaged(content)
        return f"{self.name_of(live.ino)}: {error}"

    def name_of(self, ino: int) -> str:
        """The key of an entry, for a sentence."""
        names = self.ledger.path(ino)
        return namespace.join_key(names) if names else f"inode {ino}"


def _opened(state: StateDirectory) -> Catalog:
    """The catalog. A disk that has no room even for its log gets the ballast."""
    found = os.statvfs(state.path)
    if found.f_bavail * found.f_frsize < OPENING_BYTES:
        state.drop_ballast()
    return Catalog.open(state.catalog)


def _budget(options: Options) -> Budget | None:
    if not options.has_bucket or not options.cache_bytes:
        return None
    most = options.cache_bytes
    return Budget(most, int(most * options.cache_high), int(most * options.cache_low))


class CarryOver:
    """Make all transactions durable, carry them from the log into the catalog, delete what they left behind.

    Decisions read the catalog and belong to the loop's thread, disks are waited for in a worker: so made on the loop,
    `work` anywhere, then `finish` or `give_up` on the loop. No file of a content may be given a name meanwhile.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._drafts = store.drafts_to_sync()
        self._removable = store.removable_segments()
        store.contents.sweep_decided()
        self._unused = store.settler.unused(store.settler.leftovers)
        self._leftovers = store.settler.take_leftovers()  # last: what fails before it has taken nothing
        self._segments = store.journal.take_unsynced()

    def work(self, *, truncate: bool) -> None:
        """Raises CacheFull, OSError."""
        self._store.sync(self._drafts, self._segments)
        checkpoint(self._store.state.catalog, truncate=truncate)
        self._store.settler.sweep(self._unused)

    def finish(self) -> None:
        self._store.settler.swept(self._leftovers)
        for segment in self._removable:
            self._store.journal.remove_segment(segment)

    def give_up(self) -> None:
        """It failed: everything is still owed."""
        self._store.journal.put_back_unsynced(self._segments)
        self._store.settler.leftovers.extend(self._leftovers)


def _sync_path(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
