"""A large content of the bucket, read in ranges: the first answer after one small range, more the longer it is read.

Its stored bytes gather in a file under `incoming/`, in chunks, in whatever order they are asked for. Each frame is
checked against its own checksum before it is served. The SHA-256 of the whole is taken beside the reader, as far as
there is no gap; once all pieces are here nothing is served until it is known, and then all of it becomes a content of
this machine, or none of it is served any more. So nobody reads such a content to its end unchecked.

What remains: ranges that were read before the last piece was here, which "the first byte after four requests" is about.
Their checksums lie in the object itself, so they prove that the bytes are those of the object, whatever happened to
them on the way or on a disk, but not that the object is the one that its record means. To make the two differ takes
somebody who may write into the bucket and puts a manifest there that lies about its object: he might as well have
written a record that names a content of his own. (Signed records would forbid him that, and not this.) All he gains is
what is read short of the end: a lie that was found out is remembered until the mount ends, refused at once, and named
by `status` (`bucket/oddities.py`).
"""

import hashlib
import logging
import os
from collections.abc import Callable

import trio

from mountfs import codec
from mountfs.bucket.fetching import Whereabouts, disk_for, look_again, lost, name_sizes, whereabouts
from mountfs.bucket.ground import Ground
from mountfs.bucket.requests import Range, Request
from mountfs.contents import FramedReader, framed
from mountfs.errors import CacheFull, CorruptContent, MountfsError, ObjectMissing
from mountfs.model import Codec, Content, Digest
from mountfs.namespace import HEAD_BYTES, mime_by_content
from mountfs.remote.protocol import Fetched
from mountfs.store.paths import Changes
from mountfs.transfers.carrier import Carrier
from mountfs.transfers.scratch import CHUNK_BYTES, Into, Scratch, chunks_of

log = logging.getLogger(__name__)

SIDE_BY_SIDE = 4
FRAMES_AT_ONCE = 16  # hashed before others are let through: 16 MiB, 20 to 50 ms
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
        self._scratch: Scratch | None = None
        self._stored = content.stored
        self._have: set[int] = set()
        self._coming: dict[int, trio.Event] = {}
        self._errors: dict[int, MountfsError] = {}
        self._head = b""  # the first bytes, before the first chunk is here
        self._tail = b""
        self._limit = trio.CapacityLimiter(SIDE_BY_SIDE)
        self._size = content.size
        self._sums = b""
        self._codec: str = content.codec
        self._ahead = 1
        self._last = -1
        self.finishing = False
        self._finishing = trio.Lock()
        self._finished = False
        self._check: _Check | None = None
        self._checking = trio.Lock()
        self._is_checked = False
        self._following = False  # a task hashes what is here
        self._retried: set[int] = set()  # frames that came damaged
        self._spoiled: int | None = None  # one of them, which came damaged again
        self.wrong: CorruptContent | None = None  # all of it is here, and it is another content
        self.is_read = False  # somebody has the reader
        self.reader: FramedReader | None = None

    @property
    def content_id(self) -> int:
        return self._content.id

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
            refused: CorruptContent | None = None
            for found in whereabouts(self._ground, self._content):
                try:
                    await self._open_at(found)
                except ObjectMissing:
                    continue
                except CorruptContent as error:
                    refused = error
                    continue
                return
            if refused is not None:
                raise refused
        raise lost(self._content)

    async def _open_at(self, found: Whereabouts) -> None:
        place, key, offset = found.place, found.key, found.place.offset
        if self._ground.odd.is_wrong(found.job, found.name, place.digest):
            raise _another_content(found)
        self._found = found
        self._key, self._offset = key, offset
        self._size, self._stored, self._codec, self._sums = place.size, place.stored, place.codec, place.sums
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
        content = self._content
        self._scratch = Scratch(self._ground.contents.incoming / f"large-{content.id}-{self._ground.random()}")
        self.reader = framed(
            Content(content.id, content.place, content.digest, self._size, self._stored, self._codec, self._sums),
            fetch=self.stored, stored_bytes=self._stored,
        )  # fmt: skip
        self.reader.arriving = True
        self._check = _Check(self.reader)

    def _table_bytes(self) -> int:
        if self._codec != Codec.ZSTD:
            return 0
        frames = -(-self._size // codec.FRAME_BYTES)
        return min(codec.seek_table_bytes(frames), self._stored)

    # -- reading ------------------------------------------------------------------------------------------

    def stored(self, offset: int, length: int) -> bytes:
        """Stored bytes that are here: `arrive` was awaited before. Any thread."""
        end = offset + length
        head = self._head
        if end <= len(head):
            return head[offset:end]
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
        return [number for number in chunks_of(start, end) if number not in self._have]

    def _stored_range(self, offset: int, length: int) -> tuple[int, int]:
        """From where to where the frames lie that hold these plain bytes; behind the last one, all that is left."""
        assert self.reader is not None
        table = self.reader.table
        first, last = offset // codec.FRAME_BYTES, (min(offset + length, self.reader.size) - 1) // codec.FRAME_BYTES
        if offset >= self.reader.size or last < first:
            return 0, 0
        if last == len(table) - 1:
            return table[first].stored_offset, self._stored
        return table[first].stored_offset, table[last].stored_offset + table[last].stored_bytes

    def forget(self, offset: int, length: int) -> None:
        """These plain bytes were damaged on their way: what they lie in is asked for again."""
        assert self._check is not None
        self._head = b""
        self._have.difference_update(chunks_of(*self._stored_range(offset, length)))
        self._spoiled = None
        self._is_checked = False
        if offset < self._check.hashed_bytes:
            self._check = _Check(self._check.reader)

    async def arrive(self, offset: int, length: int, nursery: trio.Nursery) -> None:
        """Wait for what a read of plain bytes needs, and ask for what a sequential reader needs next."""
        if self.wrong is not None:
            raise self.wrong
        needed = self.needs(offset, length)
        self._look_ahead(offset, length, nursery)
        for number in needed:
            await self._chunk(number, nursery)
        if self._is_to_be_checked(offset, length):
            try:
                await self.check()
            except CacheFull:
                raise
            except MountfsError:
                pass  # what is damaged is an error for who reads it
        if self.wrong is not None:
            raise self.wrong

    def is_ready(self, offset: int, length: int) -> bool:
        """Whether `arrive` would not wait."""
        return not self.needs(offset, length) and not self._is_to_be_checked(offset, length)

    def _is_to_be_checked(self, offset: int, length: int) -> bool:
        """Whether all of it is here, and nobody knows yet whether it is that content. Around a frame that came damaged
        twice the others are served: nobody reads all of it."""
        if self._spoiled is not None:
            start = self._spoiled * codec.FRAME_BYTES
            return offset < start + codec.FRAME_BYTES and start < offset + length
        return self.is_whole and not self._is_checked

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

    def _length(self, number: int) -> int:
        return min(CHUNK_BYTES, self._stored - number * CHUNK_BYTES)

    def _ask(self, number: int, nursery: trio.Nursery) -> None:
        if number not in self._have and number not in self._coming:
            self._coming[number] = trio.Event()
            self._errors.pop(number, None)
            nursery.start_soon(self._bring, number, nursery)

    async def _chunk(self, number: int, nursery: trio.Nursery) -> None:
        self._ask(number, nursery)
        coming = self._coming.get(number)
        if coming is not None:
            await coming.wait()
        if number not in self._have:
            raise self._errors.get(number) or CorruptContent("integrity check: a piece did not come")

    async def _bring(self, number: int, nursery: trio.Nursery) -> None:
        start, length = number * CHUNK_BYTES, self._length(number)
        try:
            async with self._limit:
                assert self._scratch is not None
                request = Into(self._key, self._offset + start, length, self._scratch.fd, start)
                await self._carrier.run(disk_for(self._ground, length), urgent=True)
                try:
                    await self._carrier.request(request, urgent=True)
                finally:
                    self._ground.room.disk_came(length)
            self._have.add(number)
            self._follow(nursery)
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
        if self._spoiled is not None:  # for an earlier caller
            self._retried.clear()
            self.forget(self._spoiled * codec.FRAME_BYTES, codec.FRAME_BYTES)
        await self._room_for_all()
        await self._bring_all()
        await self.finish()

    async def _room_for_all(self) -> None:
        """Rather now than when most of it has come. Raises CacheFull."""
        missing = sum(self._length(number) for number in range(self._chunks()) if number not in self._have)
        await self._carrier.run(disk_for(self._ground, missing), urgent=True)
        self._ground.room.disk_came(missing)  # each piece takes its own

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
            if not self._finished:
                await self.check()
                await self._keep()
                self._finished = True

    async def check(self) -> None:
        """All pieces are here: return once it is known that they are that content. Raises CorruptContent, and what
        fetching a damaged piece again raises."""
        async with self._checking:
            while not self._is_checked:
                if self.wrong is not None:
                    raise self.wrong
                check = self._check
                assert check is not None
                try:
                    await trio.to_thread.run_sync(check.advance, check.next + FRAMES_AT_ONCE)
                except CorruptContent as error:
                    await self._once_more(check.next, error)
                else:
                    self._judge(check)

    async def _once_more(self, index: int, error: CorruptContent) -> None:
        """A frame came damaged: ask for it again, once."""
        if index in self._retried:
            self._spoiled = index
            raise CorruptContent(f"{error}, also when fetched again")
        self._retried.add(index)
        self.forget(index * codec.FRAME_BYTES, codec.FRAME_BYTES)
        await self._bring_all()

    def _judge(self, check: "_Check") -> None:
        """What the SHA-256 says, once it was taken of everything."""
        if check is not self._check or check.next < len(check.reader.table):
            return
        if check.total.digest() == self._content.digest:
            self._is_checked = True
            return
        found, ground = self._found, self._ground
        self.wrong = _another_content(found)
        ground.odd.wrong(found.job, found.name, found.place.digest, str(self.wrong))
        # the kernel has pages of it, and would serve them to whoever has it open
        ground.show(Changes(grown={entry.ino for entry in ground.catalog.entries_with(found.place.digest)}))

    def _follow(self, nursery: trio.Nursery) -> None:
        """Hash what came beside its reader, so that he need not wait for it at the end."""
        if not self._following and not self._checking.locked() and self._here_without_gap():
            self._following = True
            nursery.start_soon(self._hash_what_is_here)

    async def _hash_what_is_here(self) -> None:
        try:
            while until := self._here_without_gap():
                self._checking.acquire_nowait()
                try:
                    await trio.to_thread.run_sync(self._advance, until)
                finally:
                    self._checking.release()
        except (CorruptContent, trio.WouldBlock):
            pass  # whoever checks the whole asks for it again
        except Exception:  # a bug here must not take the mount away from its users
            log.exception("a bug in checking a download")
        finally:
            self._following = False

    def _here_without_gap(self) -> int:
        """Up to which frame more can be hashed now; 0: none."""
        check = self._check
        if check is None:
            return 0
        table, index = check.reader.table, check.next
        while index < min(len(table), check.next + FRAMES_AT_ONCE):
            frame = table[index]
            if not self._have.issuperset(chunks_of(frame.stored_offset, frame.stored_offset + frame.stored_bytes)):
                break
            index += 1
        return index if index > check.next else 0

    def _advance(self, until: int) -> None:
        check = self._check
        if check is not None:
            check.advance(until)

    async def _keep(self) -> None:
        digest = Digest(self._content.digest or b"")
        ground, reader, scratch, check = self._ground, self.reader, self._scratch, self._check
        assert reader is not None
        assert check is not None
        assert scratch is not None
        name = ground.contents.doom_name(digest, self._codec)
        ground.contents.expect([name])
        try:
            with ground.catalog.transaction():
                ground.catalog.doom([name])
            await trio.to_thread.run_sync(lambda: ground.contents.adopt_quickly(scratch.path, digest, self._codec))
            with ground.ledger.transaction():
                ground.catalog.mimes.put(digest, mime_by_content(check.head))
                resized = ground.catalog.bring(
                    self._content.id, self._codec, self._sums, self._size, self._stored, None,
                    now_s=ground.ledger.now_s(),
                )  # fmt: skip
                ground.catalog.spare([name])
            name_sizes(ground, resized)
        finally:
            ground.contents.came([name])
        reader.arriving = False
        self._arrived(self._content.id)
        self.let_go()

    def let_go(self) -> None:
        """Nobody asks for more of it: its file goes with the last who reads it, not when a circle is found."""
        self.reader = None
        self._check = None


def _another_content(found: Whereabouts) -> CorruptContent:
    return CorruptContent(
        f"integrity check: {found.name} holds another content than {found.place.digest.hex()}, as a manifest says"
    )


class _Check:
    """The SHA-256 of a content, frame by frame from the first. `advance` in one thread at a time."""

    def __init__(self, reader: FramedReader) -> None:
        self.reader = reader
        self.total = hashlib.sha256()
        self.head = b""  # its first bytes, which tell what it is
        self.next = 0  # the first frame that is not in it

    @property
    def hashed_bytes(self) -> int:
        return self.next * codec.FRAME_BYTES

    def advance(self, until: int) -> None:
        """Take in the frames before `until`. Raises CorruptContent for the one that is `next` then."""
        while self.next < min(until, len(self.reader.table)):
            plain = self.reader.decoded(self.next)
            self.head = self.head or plain[:HEAD_BYTES]
            self.total.update(plain)
            self.next += 1
