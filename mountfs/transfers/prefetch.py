"""Content brought here before anybody reads it: whole bundles where most of one is wanted, side by side.

What is wanted has to fit into the cache, or the first of it would be gone before the last has come.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import trio
import trio.lowlevel

from mountfs.bucket.fetching import absent, fetch_bundle, whereabouts
from mountfs.bucket.ground import Ground
from mountfs.errors import CacheFull, MountfsError
from mountfs.model import Content
from mountfs.store.room import NoRoomYet, Room
from mountfs.store.store import Store
from mountfs.transfers.cache import Cache, below
from mountfs.transfers.carrier import Carrier
from mountfs.transfers.downloads import Downloads

log = logging.getLogger(__name__)

SIDE_BY_SIDE = 4
AT_ONCE = 64  # contents looked for in one go: 64 × 40 µs
ROOM_SECONDS = 60.0


@dataclass(slots=True)
class Batch:
    """Contents that come together: with a bundle (job, id), or one by itself."""

    contents: list[Content]
    bundle: tuple[int, int] | None = None

    @property
    def stored_bytes(self) -> int:
        return sum(content.stored for content in self.contents)


@dataclass(slots=True)
class Wanted:
    """What a prefetch is going to bring. `errors` are told at the end: one content that is lost stops no other."""

    batches: list[Batch] = field(default_factory=list)
    contents: int = 0
    stored_bytes: int = 0
    came: int = 0
    came_bytes: int = 0
    errors: list[MountfsError] = field(default_factory=list)


def choose_batches(
    found: Iterable[tuple[Content, tuple[int, int] | None]], bundle_bytes: Callable[[int], int]
) -> list[Batch]:
    """Bundles of which at least half is wanted come whole; the rest one by one."""
    by_bundle: dict[tuple[int, int], list[Content]] = {}
    single: list[Content] = []
    for content, bundle in found:
        if bundle is None:
            single.append(content)
        else:
            by_bundle.setdefault(bundle, []).append(content)
    batches = []
    for bundle, contents in by_bundle.items():
        batch = Batch(contents, bundle)
        if 2 * batch.stored_bytes >= bundle_bytes(bundle[1]) and len(contents) > 1:
            batches.append(batch)
        else:
            single += contents
    return batches + [Batch([content]) for content in single]


class Prefetch:
    """`run` brings all that lies at and below an entry."""

    def __init__(self, store: Store, ground: Ground, carrier: Carrier, downloads: Downloads, cache: Cache) -> None:
        self._store = store
        self._ground = ground
        self._carrier = carrier
        self._downloads = downloads
        self._cache = cache
        downloads.room_for = cache.room_for  # a bundle comes whole only where it fits
        cache.drop_pieces = downloads.drop_unread

    async def wanted(self, ino: int) -> Wanted:
        """What of the content at and below an entry is not here. Raises CacheFull where it cannot fit."""
        found: list[tuple[Content, tuple[int, int] | None]] = []
        seen: set[int] = set()
        for number, entry in enumerate(below(self._store, ino)):
            if number % AT_ONCE == AT_ONCE - 1:
                await trio.lowlevel.checkpoint()
            content = absent(self._ground, entry.content) if entry.content is not None else None
            if content is None or content.id in seen:
                continue
            seen.add(content.id)
            found.append((content, self._bundle_of(content)))
        wanted = Wanted(choose_batches(found, self._bundle_bytes), len(found), sum(c.stored for c, _ in found))
        budget = self._store.room.budget
        if budget is not None and wanted.stored_bytes > budget.low_bytes:
            raise CacheFull(
                f"{wanted.stored_bytes} bytes are wanted, and the cache keeps {budget.low_bytes} of {budget.most_bytes}"
                " (cache.max_size): prefetch less of it"
            )
        if wanted.stored_bytes > (most_bytes := self._store.room.disk_holds()):
            raise CacheFull(
                f"{wanted.stored_bytes} bytes are wanted, and the disk that holds the state directory has room for"
                f" {most_bytes}: prefetch less of it"
            )
        return wanted

    def _bundle_of(self, content: Content) -> tuple[int, int] | None:
        for place in whereabouts(self._ground, content):
            return None if place.place.object else (place.job, place.place.bundle)
        return None

    def _bundle_bytes(self, bundle: int) -> int:
        return sum(place.stored for place in self._ground.tables.places_in(bundle) if not place.object)

    async def run(self, wanted: Wanted, told: Callable[[], None] = lambda: None) -> None:
        """Bring it; `told` hears whenever something came. Raises the first error once all others were tried."""
        limit = trio.CapacityLimiter(SIDE_BY_SIDE)

        async def one(batch: Batch) -> None:
            async with limit:
                try:
                    await self._make_room(self._store.room, batch.stored_bytes)
                    await self._bring(batch)
                    wanted.came += len(batch.contents)
                    wanted.came_bytes += batch.stored_bytes
                except MountfsError as error:
                    wanted.errors.append(error)

        async with trio.open_nursery() as nursery:
            for batch in wanted.batches:
                nursery.start_soon(one, batch)
            nursery.start_soon(_tell_until, wanted, told, nursery)
        told()
        if wanted.errors:
            raise wanted.errors[0]

    async def _bring(self, batch: Batch) -> None:
        if batch.bundle is not None:
            await self._carrier.run(fetch_bundle(self._ground, *batch.bundle), urgent=False)
        for content in batch.contents:
            await self._downloads.fetch(content.id)

    async def _make_room(self, room: Room, wanted_bytes: int) -> None:
        until = trio.current_time() + ROOM_SECONDS
        while room.budget is not None:
            lacking = room.here_bytes() + wanted_bytes - room.budget.most_bytes
            if lacking <= 0:
                return
            lack = NoRoomYet(
                "the cache is full of what the bucket does not have yet, or was pinned", lacking_bytes=lacking
            )
            await self._cache.make_room(lack, until=until)


async def _tell_until(wanted: Wanted, told: Callable[[], None], nursery: trio.Nursery) -> None:
    """While others bring what is wanted, tell how far they are; the last one here goes too."""
    while len(nursery.child_tasks) > 1:
        told()
        await trio.sleep(0.1)
