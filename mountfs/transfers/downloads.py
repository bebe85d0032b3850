"""Content that is not here: one download for all who wait for it, whole when it is small, in ranges when it is large.

Who comes second to the same bundle brings all of it: a job of thousands of small files is a few requests.
"""

import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import partial

import trio

from mountfs.bucket.fetching import (
    absent,
    fetch_bundle,
    is_large,
    jobs_naming,
    wanted_in,
    whereabouts,
)
from mountfs.bucket.gathering import fetch_content
from mountfs.bucket.ground import Ground
from mountfs.contents import ReadsRanges
from mountfs.errors import CacheFull, MountfsError, RemoteUnavailable
from mountfs.model import Content
from mountfs.transfers.carrier import Carrier
from mountfs.transfers.large import Large

log = logging.getLogger(__name__)

MISSES = 2  # in one bundle: then it comes whole
MOST_WAITING = 60  # handlers; pyfuse3 has 99 tasks, and others need some
READS = 6  # that wait for the bucket at a time: the kernel has few slots for reads
SILENCE_SECONDS = 1.0
AGAIN_MISSES = 64  # after a bundle found no room in the cache: then it is tried again
LARGE_KEPT = 64  # large contents that are read in ranges at the same time


RoomFor = Callable[[int], AbstractAsyncContextManager[bool]]
"""Whether so many bytes may come here, and the room for them while they come."""


@contextlib.asynccontextmanager
async def _no_budget(wanted_bytes: int) -> AsyncIterator[bool]:
    yield True


@dataclass(slots=True)
class _Flight:
    """A download under way. `error` is what everybody gets who waited for it."""

    done: trio.Event = field(default_factory=trio.Event)
    error: MountfsError | None = None


class Downloads:
    """`read_job` reads a job whole."""

    def __init__(
        self, ground: Ground, carrier: Carrier, nursery: trio.Nursery, *, patience_seconds: float,
        read_job: Callable[[int], Awaitable[None]],
    ) -> None:  # fmt: skip
        self._ground = ground
        self._carrier = carrier
        self._nursery = nursery
        self.patience_seconds = patience_seconds
        self.read_job = read_job
        self._flights: dict[object, _Flight] = {}
        self._misses: dict[int, int] = {}
        self._large: dict[int, Large] = {}
        self._waiting = 0
        self._slots = trio.Semaphore(READS)
        self.room_for: RoomFor = _no_budget

    # -- for handlers -------------------------------------------------------------------------------------

    def is_absent(self, content_id: int) -> bool:
        return absent(self._ground, content_id) is not None

    def reader(self, content: Content) -> ReadsRanges | None:
        """The reader of a large content that was prepared; None where there is none."""
        large = self._large.get(content.id)
        if large is None:
            return None
        large.is_read = True
        return large.reader

    def large(self, content_id: int) -> Large | None:
        return self._large.get(content_id)

    async def prepare(self, content_id: int) -> None:
        """Make a content readable: here whole, or in ranges with its first one here. Raises RemoteUnavailable."""
        content = absent(self._ground, content_id)
        if content is None:
            return
        await self._know_places(content)
        if not is_large(self._ground, content):
            await self.fetch(content_id)
            return
        await self._wait(("large", content_id), lambda: self._open_large(content))

    def size_in_ranges(self, content_id: int) -> int | None:
        """The plain size of a content that is read in ranges, as its seek table says."""
        large = self._large.get(content_id)
        return None if large is None or large.reader is None else large.reader.size

    async def fetch(self, content_id: int) -> None:
        """Bring a content here, whole. Raises RemoteUnavailable, RemoteDenied, ContentLost, CorruptContent,
        CacheFull."""
        content = absent(self._ground, content_id)
        if content is None:
            return
        await self._know_places(content)
        if is_large(self._ground, content):
            await self.prepare(content_id)
            large = self._large.get(content_id)
            if large is not None:
                try:
                    await self._wait(("whole", content_id), large.fetch_all)
                except CacheFull:
                    self._drop_unread(large)  # what came of it is in the way of others
                    raise
            return
        bundle = self._bundle_to_fetch(content)
        if bundle is not None:
            await self._wait(("bundle", bundle), lambda: self._fetch_bundle(*bundle))
        if absent(self._ground, content_id) is not None:
            await self._wait(content_id, lambda: self._fetch_one(content_id))

    async def _know_places(self, content: Content) -> None:
        """A job of which only the feed told is read first, once for all who want something in it."""
        if whereabouts(self._ground, content):
            return
        for job in jobs_naming(self._ground, content):
            if not self._ground.tables.listed_ms(job) or self._ground.catalog.feed.has_told(job):
                await self._wait(("job", job), partial(self.read_job, job))

    async def arrive(self, content_id: int, offset: int, length: int) -> None:
        """Wait for the pieces of a large content that a read needs. Few may wait, so that others are served.

        Raises RemoteUnavailable after our patience, or when the bucket gave no answer for a second while many wait;
        CorruptContent when all of it is here, and it is another content.
        """
        large = self._large.get(content_id)
        if large is None:
            raise RemoteUnavailable("not on this machine, and nobody brings it any more: open the file again")
        if large.is_ready(offset, length):
            await large.arrive(offset, length, self._nursery)
            return
        with trio.move_on_after(self.patience_seconds):
            await self._take_slot()
            try:
                await large.arrive(offset, length, self._nursery)
            finally:
                self._slots.release()
            return
        raise RemoteUnavailable(f"not on this machine, and not here within {self.patience_seconds:g} seconds")

    async def arrive_again(self, content_id: int, offset: int, length: int) -> bool:
        """A read found these bytes damaged: ask for them once more, where they came in pieces. Whether they did."""
        large = self._large.get(content_id)
        if large is None:
            return False
        large.forget(offset, length)
        await self.arrive(content_id, offset, length)
        return True

    async def _take_slot(self) -> None:
        while True:
            with trio.move_on_after(SILENCE_SECONDS):
                await self._slots.acquire()
                return
            if self._carrier.seconds_since_answer() >= SILENCE_SECONDS:
                raise RemoteUnavailable("others wait for the bucket, and it has not answered for a second: try again")

    def _is_whole(self, large: Large) -> None:
        self._nursery.start_soon(self._finish, large)

    async def _finish(self, large: Large) -> None:
        try:
            await large.finish()
        except MountfsError as error:
            log.error("a large content of the bucket: %s", error)
        except Exception:  # a bug here must not take the mount away from its users
            log.exception("a bug in finishing a download")
        finally:
            large.finishing = False
            if large.wrong is not None:
                self._drop_unread(large)

    def _bundle_to_fetch(self, content: Content) -> tuple[int, int] | None:
        """(job, bundle) of the first place, when somebody missed another content of it before."""
        for found in whereabouts(self._ground, content):
            if found.place.object:
                return None
            misses = self._misses[found.place.bundle] = self._misses.get(found.place.bundle, 0) + 1
            return (found.job, found.place.bundle) if misses >= MISSES else None
        return None

    # -- flights ------------------------------------------------------------------------------------------

    async def _wait(self, key: object, work: Callable[[], Awaitable[None]]) -> None:
        """Share one download; past our patience it goes on alone."""
        if self._carrier.down is not None:
            does = "does not answer" if self._carrier.refusal is None else "refuses"
            raise self._carrier.lack(f"not on this machine, and the bucket {does}: {self._carrier.down}")
        if self._waiting >= MOST_WAITING:
            raise RemoteUnavailable(f"{self._waiting} others wait for content of the bucket: try again")
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight()
            self._nursery.start_soon(self._fly, key, flight, work)
        self._waiting += 1
        try:
            with trio.move_on_after(self.patience_seconds):
                await flight.done.wait()
                if flight.error is not None:
                    raise flight.error
                return
        finally:
            self._waiting -= 1
        self._carrier.mark_down(f"no answer within {self.patience_seconds:g} seconds") if self._is_silent() else None
        raise RemoteUnavailable(f"not on this machine, and not here within {self.patience_seconds:g} seconds")

    def _is_silent(self) -> bool:
        return self._carrier.seconds_since_answer() >= self.patience_seconds

    async def _fly(self, key: object, flight: _Flight, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except MountfsError as error:
            flight.error = error
        except Exception as error:  # a bug here must not take the mount away from its users
            log.exception("a bug in a download")
            flight.error = MountfsError(f"a bug: {error!r}")
        finally:
            del self._flights[key]
            flight.done.set()

    async def _fetch_one(self, content_id: int) -> None:
        await self._carrier.run(fetch_content(self._ground, content_id), urgent=True)

    async def _fetch_bundle(self, job: int, bundle: int) -> None:
        """All that is absent of a bundle, where there is room for it; else who waits gets his content alone."""
        wanted = await self._carrier.run(wanted_in(self._ground, bundle), urgent=True)
        async with self.room_for(sum(place.stored for place in wanted)) as is_room:
            if is_room:
                try:
                    await self._carrier.run(fetch_bundle(self._ground, job, bundle), urgent=True)
                except CacheFull:  # the disk has no room for all of it
                    is_room = False
        self._misses[bundle] = 0 if is_room else MISSES - AGAIN_MISSES

    # -- large contents -----------------------------------------------------------------------------------

    async def _open_large(self, content: Content) -> None:
        known = self._large.get(content.id)
        if known is not None and (known.wrong is None or known.is_read):
            if known.wrong is not None:
                raise known.wrong
            return
        self._large.pop(content.id, None)
        self._forget_unread()
        if len(self._large) >= LARGE_KEPT:
            raise RemoteUnavailable(f"{len(self._large)} large files are being read from the bucket: try again")
        large = Large(self._ground, self._carrier, content, whole=self._is_whole, arrived=self._arrived)
        await large.open()
        self._large[content.id] = large

    def _arrived(self, content_id: int) -> None:
        """It is here whole: who opens it from now on reads the file."""
        self._large.pop(content_id, None)

    def drop_unread(self) -> bool:
        """The disk is full: let go of pieces that nobody reads. Whether there were any."""
        before = len(self._large)
        for large in list(self._large.values()):
            self._drop_unread(large)
        return len(self._large) < before

    def _forget_unread(self) -> None:
        for large in list(self._large.values()):
            if len(self._large) < LARGE_KEPT:
                return
            self._drop_unread(large)

    def _drop_unread(self, large: Large) -> None:
        """Let go of the pieces, where nobody reads them and no more are coming."""
        if not large.is_read and not large.is_busy and self._large.get(large.content_id) is large:
            del self._large[large.content_id]
            large.let_go()

    def closed(self, content_id: int, still_read: Iterable[ReadsRanges | None]) -> None:
        """A file was closed; pieces that nobody reads any more are dropped, unless the rest is coming."""
        if content_id not in self._large:
            return
        readers = list(still_read)
        for large in list(self._large.values()):
            large.is_read = any(reader is large.reader for reader in readers)
        self._drop_unread(self._large[content_id])
