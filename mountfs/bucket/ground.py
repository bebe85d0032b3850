"""What all runs of the protocol stand on: the parts of the store, the store's id and grace, the server's time."""

import logging
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from mountfs import objects
from mountfs.bucket.bodies import body_of
from mountfs.bucket.oddities import Oddities
from mountfs.bucket.requests import ServerTime, Steps, ask
from mountfs.bundle import Place
from mountfs.catalog import Catalog
from mountfs.catalog.bucket import BucketTables, NotedUpload, Row
from mountfs.clock import Clock, Stamps
from mountfs.contents import ContentFiles
from mountfs.errors import ContentLost, CorruptContent, MountfsError
from mountfs.model import Content
from mountfs.namespace import TypeRules
from mountfs.remote.protocol import Upload
from mountfs.store.ledger import Ledger
from mountfs.store.outbox import Outbox
from mountfs.store.owing import Owing
from mountfs.store.paths import Changes, Paths
from mountfs.store.room import Room

log = logging.getLogger(__name__)

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
CLEARS_STAY_MS = 30 * DAY_MS
LARGE_BYTES = 4 << 20  # stored; more than this is an object of its own
PIECE = 64  # rows changed at a time: 64 × 60 µs


def _random() -> str:
    return secrets.token_hex(4)


def _at_once(work: Callable[[], None]) -> None:
    work()


def nobody(changes: Changes) -> None:
    """There is no kernel that remembers anything."""


@dataclass(slots=True)
class Ground:
    """`grace_ms` stands in the bucket's `mountfs.json`, one for all machines."""

    ledger: Ledger
    owing: Owing
    paths: Paths
    outbox: Outbox
    contents: ContentFiles
    room: Room
    store_id: str
    grace_ms: int
    heads: tuple[str, ...] = ()
    types: TypeRules = field(default_factory=TypeRules)
    piece: int = PIECE
    large_bytes: int = LARGE_BYTES
    clears_stay_ms: int = CLEARS_STAY_MS
    versions: bool = False  # the store keeps superseded contents
    random: Callable[[], str] = _random
    reading: Counter[int] = field(default_factory=Counter)  # jobs of which a LIST is under way, or what follows it
    applying: set[int] = field(default_factory=set)  # jobs whose reading is being brought into the rows
    maintained: set[int] = field(default_factory=set)  # jobs that are being maintained
    histories: dict[int, frozenset[int]] = field(default_factory=dict)  # by job: bundles looked through for versions
    untouched: set[tuple[int, str]] = field(default_factory=set)  # bundles that could not be merged, until a restart
    odd: Oddities = field(default_factory=Oddities)  # what cannot be right in the bucket
    changed: Callable[[Changes], None] = nobody  # the kernel may remember this, and it no longer holds
    on_loop: Callable[[Callable[[], None]], None] = _at_once  # from a worker thread: run that on the loop's thread
    sent: dict[str, int] = field(default_factory=dict)  # by key: bytes of large contents on their way, confirmed so far

    def show(self, changes: Changes) -> None:
        """Rows changed by what others wrote: whoever reads ahead, and the kernel, has to look again."""
        self.ledger.changes += len(changes.names)
        self.changed(changes)

    @property
    def catalog(self) -> Catalog:
        return self.ledger.catalog

    @property
    def tables(self) -> BucketTables:
        return self.ledger.catalog.bucket

    @property
    def stamps(self) -> Stamps:
        return self.ledger.stamps

    @property
    def clock(self) -> Clock:
        return self.ledger.clock

    @property
    def half_ms(self) -> int:
        """Half the grace: nothing older is relied on."""
        return self.grace_ms // 2

    def now_ms(self) -> int:
        """The server's time, as far as its answers told."""
        return self.stamps.now_ms()

    def bundle_name(self, *, after: str = "") -> str:
        """A name that nobody else can choose; with `after` one that sorts behind that."""
        ms = self.now_ms()
        found = objects.parse_object(after)
        if isinstance(found, objects.BundleName) and found.when_ms >= ms:
            ms = found.when_ms + 1
        return objects.bundle_name(ms, self.stamps.writer, self.random())

    def prefix(self, job: int) -> str:
        return objects.job_prefix(self.tables.job_name(job))

    def key(self, job: int, name: str) -> str:
        """The key of an object of a job."""
        return self.prefix(job) + name

    def multiparts(self, job: int, noted: NotedUpload) -> Callable[[Upload], None]:
        """For `put_large`: a multipart upload that was begun is noted, to be resumed by whoever comes after a crash."""

        def note(upload: Upload) -> None:
            row = replace(noted, upload_id=upload.upload_id, part_bytes=upload.part_bytes)

            def write() -> None:
                with self.catalog.transaction():
                    self.tables.note_upload(job, row)

            self.on_loop(write)

        return note

    def doubt(self, contents: list[Content], error: MountfsError) -> None:
        """One of these could not be read whole: find out which, and mark it as damaged."""
        for content in contents:
            try:
                data = self.catalog.content_data(content.id) if content.place == "catalog" else None
                body_of(content, self.contents, data=data)()
            except (CorruptContent, ContentLost) as found:
                log.error("%s", found)
                with self.catalog.transaction():
                    self.catalog.mark_damaged(content.id)


def know_time(ground: Ground) -> Steps[None]:
    """Ask for the server's time where no answer has told it yet: ages are never measured by this machine's clock."""
    if not ground.stamps.is_told:
        began_ms = ground.clock.now_ns() // 1_000_000
        answered = yield from ask(ServerTime())
        ground.stamps.heard(answered.server_ms, began_ms=began_ms, ended_ms=ground.clock.now_ns() // 1_000_000)


def place_row(place: Place) -> Row:
    """A content line of a manifest as the catalog keeps it."""
    return (
        place.digest, place.object or "", place.codec, place.size, place.stored, place.offset,
        bytes.fromhex(place.sum), place.sums, place.dead_since_ms,
    )  # fmt: skip
