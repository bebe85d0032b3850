"""A large content of the bucket, read in ranges: the first answer after one small range, more the longer it is read.

Its stored bytes gather in a file under `incoming/`, in chunks, in whatever order they are asked for. Each frame is
checked against its own checksum before it is served; once all of them are here, the whole is checked by its SHA-256
and becomes a content of this machine.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import trio

from mountfs import codec
from mountfs.bucket.fetching import look_again, lost, whereabouts
from mountfs.bucket.ground import Ground
from mountfs.bucket.requests import Range, Request
from mountfs.contents import FramedReader, framed, full_disk
from mountfs.errors import CorruptContent, MountfsError, ObjectMissing
from mountfs.model import Codec, Content, Digest
from mountfs.remote.protocol import Fetched, Remote
from mountfs.transfers.carrier import Carrier

CHUNK_BYTES = 4 << 20
SIDE_BY_SIDE = 4
FIRST_BYTES = 256 << 10  # of the content, in the first range: enough for one frame of text
MOST_AHEAD = 8  # chunks that are asked for ahead of a sequential reader


class Large:
    """One large content while it is read. On the loop, but for `reader`, which worker threads read from."""

    def __init__(
        self, ground: Ground, carrier: Carrier, content: Content, *, whole: Callable[["Large"], None],
        arrived: Callable[[int], None],
    ) -> None:  # fmt: skip
        assert content.digest is not None
        self._ground = ground
        self._carrier = carrier
        self._content = content
        self._whole = whole
        self._arrived = arrived
        self._path = ground.contents.incoming / f"large-{content.id}-{ground.random()}"
        self._scratch: _Scratch | None = None
        self._stored = content.stored
        self._have: set[int] = set()
        self._coming: dict[int, trio.Event] = {}
        self._errors: dict[int, MountfsError] = {}
        self._head = b""  # the first bytes, before the first chunk is here
        self._tail = b""
        self._limit = trio.CapacityLimiter(SIDE_BY_SIDE)
        self._keys: list[str] = []
        self._sums = b""
        self._codec: str = content.codec
        self._ahead = 1
        self._last = -1
        self.finishing = False
        self._finishing = trio.Lock()
        self._finished = False
        self._wrong: CorruptContent | None = None  # all of it is here, and it is another content
        self.reader: FramedReader | None = None

    @property
    def is_busy(self) -> bool:
        """Whether pieces are on their way, or it is being finished."""
        return bool(self._coming) or self.finishing

    # -- opening ------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """The seek table and the first frame, side by side. Raises ContentLost, CorruptContent, RemoteUnavailable."""
        for again in (False, True):
            if again:
                await self._carrier.run(look_again(self._ground, self._content), urgent=True)
            for found in whereabouts(self._ground, self._content):
                place = found.place
                self._stored, self._codec, self._sums = place.stored, place.codec, place.sums
                try:
                    await self._open_at(found.key, place.offset)
                except ObjectMissing:
                    continue
                return
        raise lost(self._content)

    async def _open_at(self, key: str, offset: int) -> None:
        self._key, self._offset = key, offset
        tail_bytes = self._table_bytes()
        head, tail = Range(key, offset, min(FIRST_BYTES, self._stored)), None
        if tail_bytes:
            tail = Range(key, offset + self._stored - tail_bytes, tail_bytes)
        answers: list[Fetched | None] = [None, None]

        async def one(number: int, request: Request[Fetched]) -> None:
            answers[number] = await self._carrier.request(request, urgent=True)

        errors: list[MountfsError] = []

        async def safely(number: int, request: Request[Fetched]) -> None:
            try:
                await one(number, request)
            except MountfsError as error:
                errors.append(error)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(safely, 0, head)
            if tail is not None:
                nursery.start_soon(safely, 1, tail)
        if errors:
            raise errors[0]
        assert answers[0] is not None
        self._head = answers[0].data
        self._tail = answers[1].data if answers[1] is not None else b""
        self._scratch = _Scratch(self._path)
        content = self._content
        self.reader = framed(
            Content(content.id, content.place, content.digest, content.size, self._stored, self._codec, self._sums),
            fetch=self.stored, stored_bytes=self._stored,
        )  # fmt: skip
        self.reader.arriving = True

    def _table_bytes(self) -> int:
        if self._codec != Codec.ZSTD:
            return 0
        frames = -(-self._content.size // codec.FRAME_BYTES)
        return min(codec.seek_table_bytes(frames), self._stored)

    # -- reading ------------------------------------------------------------------------------------------

    def stored(self, offset: int, length: int) -> bytes:
        """Stored bytes that are here: `arrive` was awaited before. Any thread."""
        end = offset + length
        if end <= len(self._head):
            return self._head[offset:end]
        if self._tail and offset >= self._stored - len(self._tail):
            at = offset - (self._stored - len(self._tail))
            return self._tail[at : at + length]
        assert self._scratch is not None
        return os.pread(self._scratch.fd, length, offset)

    def needs(self, offset: int, length: int) -> list[int]:
        """Chunks that a read of plain bytes waits for."""
        start, end = self._stored_range(offset, length)
        if end <= len(self._head):
            return []
        return [number for number in _chunks_of(start, end) if number not in self._have]

    def _stored_range(self, offset: int, length: int) -> tuple[int, int]:
        """From where to where the frames lie that hold these plain bytes."""
        assert self.reader is not None
        table = self.reader.table
        first, last = offset // codec.FRAME_BYTES, (min(offset + length, self.reader.size) - 1) // codec.FRAME_BYTES
        if offset >= self.reader.size or last < first:
            return 0, 0
        return table[first].stored_offset, table[last].stored_offset + table[last].stored_bytes

    def forget(self, offset: int, length: int) -> None:
        """These plain bytes were damaged on their way: what they lie in is asked for again."""
        self._head = b""
        self._have.difference_update(_chunks_of(*self._stored_range(offset, length)))

    async def arrive(self, offset: int, length: int, nursery: trio.Nursery) -> None:
        """Wait for what a read of plain bytes needs, and ask for what a sequential reader needs next."""
        if self._wrong is not None:
            raise self._wrong
        needed = self.needs(offset, length)
        self._look_ahead(offset, length, nursery)
        for number in needed:
            await self._chunk(number, nursery)

    def _look_ahead(self, offset: int, length: int, nursery: trio.Nursery) -> None:
        assert self.reader is not None
        table = self.reader.table
        frame = min(offset // codec.FRAME_BYTES, len(table) - 1)
        now = table[frame].stored_offset // CHUNK_BYTES
        if now == self._last + 1:
            self._ahead = min(2 * self._ahead, MOST_AHEAD)
        elif now != self._last:
            self._ahead = 1
        self._last = now
        if offset == 0:
            return
        for number in range(now, min(now + self._ahead + 1, self._chunks())):
            self._ask(number, nursery)

    def _chunks(self) -> int:
        return -(-self._stored // CHUNK_BYTES)

    def _ask(self, number: int, nursery: trio.Nursery) -> None:
        if number not in self._have and number not in self._coming:
            self._coming[number] = trio.Event()
            self._errors.pop(number, None)
            nursery.start_soon(self._bring, number)

    async def _chunk(self, number: int, nursery: trio.Nursery) -> None:
        self._ask(number, nursery)
        coming = self._coming.get(number)
        if coming is not None:
            await coming.wait()
        if number not in self._have:
            raise self._errors.get(number) or CorruptContent("integrity check: a piece did not come")

    async def _bring(self, number: int) -> None:
        start = number * CHUNK_BYTES
        length = min(CHUNK_BYTES, self._stored - start)
        try:
            async with self._limit:
                assert self._scratch is not None
                request = _Into(self._key, self._offset + start, length, self._scratch.fd, start)
                await self._carrier.request(request, urgent=True)
            self._have.add(number)
            if self.is_whole and not self.finishing:
                self.finishing = True
                self._whole(self)
        except MountfsError as error:
            self._errors[number] = error
        finally:
            self._coming.pop(number).set()

    # -- the whole ----------------------------------------------------------------------------------------

    async def fetch_all(self) -> None:
        """All of it, checked by its SHA-256, becomes a content of this machine."""
        await self._bring_all()
        await self.finish()

    async def _bring_all(self) -> None:
        async with trio.open_nursery() as nursery:
            for number in range(self._chunks()):
                self._ask(number, nursery)
        for number in range(self._chunks()):
            if number not in self._have:
                raise self._errors.get(number) or CorruptContent("integrity check: a piece did not come")

    @property
    def is_whole(self) -> bool:
        return len(self._have) == self._chunks()

    async def finish(self) -> None:
        """All pieces are here: check the whole, and make it a content of this machine. Once."""
        async with self._finishing:
            if self._finished:
                return
            damaged = await trio.to_thread.run_sync(self._damaged_frames)
            if damaged:
                for index in damaged:
                    self.forget(index * codec.FRAME_BYTES, codec.FRAME_BYTES)
                await self._bring_all()
                damaged = await trio.to_thread.run_sync(self._damaged_frames)
            if damaged:
                raise CorruptContent(f"integrity check: {len(damaged)} pieces are damaged, also when fetched again")
            await self._keep()
            self._finished = True

    def _damaged_frames(self) -> list[int]:
        """Frames that are not what their checksums say. Raises CorruptContent where all are, and the whole is not."""
        assert self.reader is not None
        total, damaged = hashlib.sha256(), []
        for index in range(len(self.reader.table)):
            try:
                total.update(self.reader.decoded(index))
            except CorruptContent:
                damaged.append(index)
        if not damaged and total.digest() != self._content.digest:
            self._wrong = CorruptContent(f"integrity check: the bucket has other bytes than those of {self._key}")
            raise self._wrong
        return damaged

    async def _keep(self) -> None:
        digest = Digest(self._content.digest or b"")
        ground, reader = self._ground, self.reader
        assert reader is not None
        name = ground.contents.doom_name(digest, self._codec)
        ground.contents.expect([name])
        try:
            with ground.catalog.transaction():
                ground.catalog.doom([name])
            await trio.to_thread.run_sync(lambda: ground.contents.adopt_quickly(self._path, digest, self._codec))
            with ground.ledger.transaction():
                ground.catalog.bring(
                    self._content.id, self._codec, self._sums, self._stored, None, now_s=ground.ledger.now_s()
                )
                ground.catalog.spare([name])
        finally:
            ground.contents.came([name])
        reader.arriving = False
        self._arrived(self._content.id)


def _chunks_of(start: int, end: int) -> range:
    """Chunks that hold these stored bytes."""
    return range(start // CHUNK_BYTES, -(-end // CHUNK_BYTES))


class _Scratch:
    """The file in which the pieces gather; it goes with the last reader, but for one that became a content."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)

    def __del__(self) -> None:
        os.close(self.fd)
        self._path.unlink(missing_ok=True)


class _Into(Request[Fetched]):
    """A range, straight into its place in a file."""

    def __init__(self, key: str, offset: int, length: int, fd: int, at: int) -> None:
        self._range = Range(key, offset, length)
        self._fd = fd
        self._at = at

    def run(self, remote: Remote) -> Fetched:
        fetched = self._range.run(remote)
        if len(fetched.data) != self._range.length:
            raise CorruptContent("integrity check: the object in the bucket ends too early")
        with full_disk():
            os.pwrite(self._fd, fetched.data, self._at)
        return fetched
