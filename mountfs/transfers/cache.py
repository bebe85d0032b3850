"""How much of the contents stays on this machine: evicted behind the writers' backs, before they need the room.

What it keeps true: nothing goes that the bucket lacks; a writer waits for room only while there is hope, that is while
uploads go on, and within its deadline; else it hears ENOSPC at once.
"""

import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass

import trio
import trio.lowlevel

from mountfs.errors import CacheFull
from mountfs.model import Content, Entry, Kind
from mountfs.store.eviction import NEVER_READ, CacheEntry, Stays, choose_victims
from mountfs.store.room import NoRoomYet
from mountfs.store.store import Store
from mountfs.transfers.carrier import Carrier
from mountfs.transfers.uploads import Uploads

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
PAGE = 64  # contents looked at in one go: 64 × 30 µs
WRITERS = 20  # that wait for room at a time: pyfuse3 has 99 tasks, and others need some
NOTED_AT_ONCE = 256  # reads: 256 × 5 µs
TRASH_AT_ONCE = 256  # rows; each round costs a sync


@dataclass(frozen=True, slots=True)
class Pass:
    """What a look at the contents found: bytes that went, and bytes that may go once they are in the bucket."""

    freed_bytes: int
    hopeful_bytes: int


@dataclass(frozen=True, slots=True)
class Judged:
    """A content, an artifact that names it, and what keeps it here; None: nothing."""

    entry: Entry
    content: Content
    stays: Stays | None


@dataclass(frozen=True, slots=True)
class Barren:
    """A look at all contents that found too little; `uploads` had ended by then, and `here_bytes` were here."""

    found: Pass
    uploads: int
    here_bytes: int
    time: float


class Cache:
    """The budget of one mount. `sweep` deletes the files of what was evicted."""

    def __init__(self, store: Store, carrier: Carrier, uploads: Uploads) -> None:
        self._store = store
        self._room = store.room
        self._eviction = store.eviction
        self._carrier = carrier
        self._uploads = uploads
        self._crowded = trio.Event()
        self._lock = trio.Lock()
        self._barren: Barren | None = None
        self._writers = 0
        self._coming_bytes = 0  # of bundles that are being fetched
        self.sweep: Callable[[], Awaitable[None]] = self._sweep
        self.drop_pieces: Callable[[], bool] = lambda: False  # of downloads, that nobody reads; whether there were any
        self.evicted_bytes = 0
        carrier.make_room = self.make_room_now
        store.room.crowded = lambda: self._crowded.set()
        store.room.evict = lambda lacking_bytes: 0  # in pieces, here
        store.files.opened = set()

    # -- behind everybody's back ----------------------------------------------------------------------------

    async def run(self) -> None:
        while True:
            with trio.move_on_after(LOOK_SECONDS):
                await self._crowded.wait()
            self._crowded = trio.Event()
            try:
                await self.note_reads()
                await self._keep_writable()
                await self._keep_low()
            except CacheFull as error:  # the catalog cannot be written now: whoever writes is told
                log.warning("nothing could be evicted: %s", error)
            except Exception:  # a bug here must not take the mount away from its users
                log.exception("a bug in evicting; tried again")
            await trio.sleep(0.01)

    async def _keep_writable(self) -> None:
        """Whoever filled the disk: there is room to remove, to evict and to publish again."""
        lacking_bytes = self._store.disk_low()
        if lacking_bytes and (await self._evict(lacking_bytes)).freed_bytes:
            await self.sweep()

    async def _keep_low(self) -> None:
        budget = self._room.budget
        if budget is None or self._room.here_bytes() <= budget.high_bytes:
            return
        if self._carrier.down is not None:
            return  # what is read from here is all there is now; who needs the room asks for it
        found = await self._evict(self._room.here_bytes() - budget.low_bytes)
        if found.hopeful_bytes and self._room.here_bytes() > budget.high_bytes:
            self._hurry()

    def _hurry(self) -> None:
        """Uploads make room: they do not wait for jobs to be quiet."""
        for job in self._uploads.owing(None) - self._uploads.running:
            if not self._uploads.is_parked(job):
                self._uploads.hurry(job)

    async def note_reads(self) -> None:
        """Bring into the catalog what was opened since the last time. A disk too full for it forgets."""
        opened = self._store.files.opened
        if not opened:
            return
        self._store.files.opened = set()
        contents, now_s = list(opened), self._store.ledger.now_s()
        for start in range(0, len(contents), NOTED_AT_ONCE):
            with contextlib.suppress(CacheFull), self._store.catalog.transaction():
                self._store.catalog.note_reads(contents[start : start + NOTED_AT_ONCE], now_s=now_s)
            await trio.lowlevel.checkpoint()

    async def _evict(self, excess_bytes: int) -> Pass:
        """Evict so many bytes, least recently read first."""
        async with self._lock:
            if self._barren is not None and self._is_still(self._barren):
                return self._barren.found
            self._barren = None
            uploads = self._uploads.ended
            freed = hopeful = 0
            pinned = self._eviction.pinned()
            after: tuple[int, int] | None = NEVER_READ
            while after is not None and freed < excess_bytes:
                page = self._eviction.page(after, pinned=pinned, limit=PAGE)
                victims = choose_victims(page.entries, excess_bytes=excess_bytes - freed)
                if victims:
                    freed += self._eviction.evict(victim.content for victim in victims)
                hopeful += sum(entry.content.stored for entry in page.entries if self._is_hopeful(entry))
                after = page.after
                await trio.lowlevel.checkpoint()
            self.evicted_bytes += freed
            if freed < excess_bytes:
                here_bytes = self._store.catalog.here_bytes()
                self._barren = Barren(Pass(0, hopeful), uploads, here_bytes, trio.current_time())
            return Pass(freed, hopeful)

    def _is_still(self, barren: Barren) -> bool:
        """Whether another look would find no more: each costs 30 µs a content."""
        if barren.uploads != self._uploads.ended:
            return False
        changed = barren.here_bytes != self._store.catalog.here_bytes()
        return not changed or trio.current_time() - barren.time < LOOK_SECONDS

    def _is_hopeful(self, entry: CacheEntry) -> bool:
        """Whether it may go once its job was uploaded, and nothing is known against that."""
        if entry.stays is not Stays.UNPUBLISHED:
            return False
        jobs = self._store.eviction.jobs_owing(entry.content)
        return not any(self._uploads.is_parked(job) for job in jobs)

    async def _sweep(self) -> None:
        self._store.settler.reclaim()

    # -- on demand ------------------------------------------------------------------------------------------

    async def let_go(self, ino: int, *, dry_run: bool) -> AsyncIterator[list[Judged]]:
        """Evict what may go at and below an entry, in pieces; each content under the first artifact that names it."""
        self._eviction.drain()
        await self.note_reads()
        seen: set[int] = set()
        piece: list[tuple[Entry, Content]] = []
        for entry in below(self._store, ino):
            content = self._store.ledger.content(entry.content) if entry.content is not None else None
            if content is None or content.id in seen:
                continue
            seen.add(content.id)
            piece.append((entry, content))
            if len(piece) == PAGE:
                yield self._judge(piece, dry_run=dry_run)
                piece = []
                await trio.lowlevel.checkpoint()
        yield self._judge(piece, dry_run=dry_run)

    def _judge(self, piece: list[tuple[Entry, Content]], *, dry_run: bool) -> list[Judged]:
        eviction = self._eviction
        stays = eviction.judged([content for _entry, content in piece], pinned=eviction.pinned())
        judged = [Judged(entry, content, why) for (entry, content), why in zip(piece, stays, strict=True)]
        victims = [one.content for one in judged if one.stays is None]
        if victims and not dry_run:
            self.evicted_bytes += eviction.evict(victims)
        return judged

    # -- for writers ----------------------------------------------------------------------------------------

    async def make_room(self, lack: NoRoomYet, *, until: float) -> None:
        """Return when the same write is worth another try. Raises CacheFull when there is no hope, or too late."""
        if self._writers >= WRITERS:
            raise CacheFull(f"{lack}; {self._writers} others wait for room")
        self._writers += 1
        try:
            found = await self._evict(lack.lacking_bytes)
            if found.freed_bytes:
                if lack.on_disk:
                    await self.sweep()
                return
            if self._is_hope(found) and trio.current_time() < until:
                self._hurry()
                await self._uploads.next_done(min(0.25, max(0.0, until - trio.current_time())))
            elif not self._let_go_of_trash(lack.lacking_bytes):
                raise CacheFull(str(lack))
        finally:
            self._writers -= 1

    async def make_room_now(self, lack: CacheFull) -> None:
        """For what comes from the bucket: return when another try is worth it. Nobody waits for uploads. Raises `lack`
        when nothing may go."""
        found = await self._evict(lack.lacking_bytes if isinstance(lack, NoRoomYet) else 0)
        if found.freed_bytes:
            await self.sweep()
        elif not self.drop_pieces():
            if found.hopeful_bytes and self._carrier.down is None:
                self._hurry()
            raise lack

    @contextlib.asynccontextmanager
    async def room_for(self, wanted_bytes: int) -> AsyncIterator[bool]:
        """Whether so much may come here from the bucket, evicting what was read least recently; nobody waits for
        uploads. Inside, the room is kept from others who ask."""
        budget = self._room.budget
        lacking = 0
        if budget is not None and wanted_bytes <= budget.high_bytes:
            lacking = self._lacking(wanted_bytes)
            if lacking > 0:
                await self.note_reads()
                await self._evict(lacking)
                lacking = self._lacking(wanted_bytes)
        is_room = budget is None or (wanted_bytes <= budget.high_bytes and lacking <= 0)
        coming_bytes = wanted_bytes if is_room else 0
        self._coming_bytes += coming_bytes
        try:
            yield is_room
        finally:
            self._coming_bytes -= coming_bytes

    def _lacking(self, wanted_bytes: int) -> int:
        assert self._room.budget is not None
        return self._room.here_bytes() + self._coming_bytes + wanted_bytes - self._room.budget.most_bytes

    def _let_go_of_trash(self, lacking_bytes: int) -> bool:
        """The last resort: the oldest of what was removed before the bucket ever had it. Whether there was any."""
        going = []
        for number, freed_bytes in self._store.catalog.trash.only_here(limit=TRASH_AT_ONCE):
            going.append(number)
            lacking_bytes -= freed_bytes
            if lacking_bytes <= 0:
                break
        self._store.trash.forget(going)
        self._store.settler.reclaim()
        self._barren = None
        return bool(going)

    def _is_hope(self, found: Pass) -> bool:
        if self._carrier.down is not None:
            return False
        return bool(found.hopeful_bytes or self._uploads.running) or self._is_settling()

    def _is_settling(self) -> bool:
        """Whether what was closed is still being compressed: it becomes a content that is uploaded."""
        files = self._store.files
        return bool(files.due) or any(live.settling for live in files.live.values())


def below(store: Store, ino: int) -> Iterable[Entry]:
    """Files at and below an entry, in no order that anybody may count on."""
    stack = [ino]
    while stack:
        entry = store.ledger.entry(stack.pop())
        if entry is None:
            continue
        if entry.kind == Kind.FILE:
            yield entry
        if entry.kind != Kind.DIRECTORY:
            continue
        after = b""
        while page := store.ledger.children(entry.ino, after=after, limit=200):
            stack.extend(child.ino for child in page if child.kind == Kind.DIRECTORY)
            yield from (child for child in page if child.kind == Kind.FILE)
            after = page[-1].name
