"""A large content read in ranges is served before all of it is known; but nobody reads it to its end unchecked.

What lies in the bucket here is put there by hand: objects of sound frames under a manifest that says another digest.
"""

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

import pytest
import trio

from mountfs import bundle, codec, objects
from mountfs.bucket.ground import Ground
from mountfs.bundle import Place
from mountfs.clock import SystemClock
from mountfs.contents import FramedReader, ReadsRanges
from mountfs.errors import CorruptContent, RemoteDenied, RemoteUnavailable
from mountfs.model import Codec, Content, Digest
from mountfs.model import Place as Here
from mountfs.records import FileContent, Record
from mountfs.remote.protocol import Fetched
from mountfs.store.paths import Changes
from mountfs.transfers import downloads
from mountfs.transfers.carrier import Carrier
from mountfs.transfers.downloads import Downloads
from mountfs.transfers.scratch import CHUNK_BYTES
from tests.bucket.conftest import BEGIN_MS
from tests.bucket.machines import STORE_ID, Machine
from tests.bucket.simulated import SimulatedBucket

T = TypeVar("T")

MIB = 1 << 20


def just_below(chunks: int) -> int:
    """How long noise is whose frames end just below so many chunks, so that its seek table alone begins another."""
    size = chunks * CHUNK_BYTES - 1000
    for _ in range(3):
        frames = -(-size // codec.FRAME_BYTES)
        stored = len(codec.pack_text(random.Random(0).randbytes(size), level=1)) - codec.seek_table_bytes(frames)
        size += chunks * CHUNK_BYTES - stored - 10
    return size


SIZE = just_below(3)
PLAIN = random.Random(1).randbytes(SIZE)
OTHER = random.Random(2).randbytes(SIZE)
STORED = {plain: codec.pack_text(plain, level=1) for plain in (PLAIN, OTHER)}
PIECES = [(start, min(MIB, SIZE - start)) for start in range(0, SIZE, MIB)]


@dataclass
class Forger:
    """Puts large objects into the job, and says of them what it likes."""

    bucket: SimulatedBucket
    made: int = 0

    def put(self, plain: bytes, *, said: bytes = PLAIN, path: bytes = b"video") -> str:
        """An object that holds `plain` and a manifest that says it holds `said`; the name of the object."""
        self.made += 1
        digest = Digest.of(said)
        name = objects.large_name(BEGIN_MS, "f0f0f0f0", f"{self.made:08x}", digest, Codec.ZSTD)
        place = Place(digest, Codec.ZSTD, SIZE, len(STORED[plain]), name, 0, "ab" * 32, b"", None)
        content = FileContent(digest, SIZE, len(STORED[plain]), Codec.ZSTD, 1, 1).to_value()
        record = Record(path, f"{BEGIN_MS:012x}-{self.made:04x}-f0f0f0f0", False, {"content": content})
        bundle_name = objects.bundle_name(BEGIN_MS, "f0f0f0f0", f"{self.made:08x}")
        packed = bundle.pack(
            store_id=STORE_ID, job=b"job", name=bundle_name, members=[], large=[place], records=[record]
        )
        prefix = objects.job_prefix(b"job")
        self.bucket.put(prefix + name, STORED[plain])
        self.bucket.put(prefix + bundle_name, packed.data)
        return name


@pytest.fixture
def forger(bucket: SimulatedBucket) -> Forger:
    return Forger(bucket)


@dataclass
class Reader:
    """Reads files of a machine as handlers do. `served` are the bytes that came out, by where they lie."""

    machine: Machine
    downloads: Downloads
    served: dict[int, bytes] = field(default_factory=dict)
    readers: dict[int, ReadsRanges | None] = field(default_factory=dict)

    def content(self, path: str = "video") -> Content:
        entry = self.machine.entry(f"job/{path}")
        content = self.machine.store.catalog.content(entry.content) if entry.content is not None else None
        assert content is not None
        return content

    async def open(self, path: str = "video") -> int:
        content = self.content(path)
        await self.downloads.prepare(content.id)
        self.readers[content.id] = self.downloads.reader(content)
        return content.id

    async def read(self, number: int, offset: int, length: int) -> bytes:
        reader = self.readers[number]
        assert isinstance(reader, FramedReader)
        if reader.arriving:
            await self.downloads.arrive(number, offset, length)
        self.served[offset] = await trio.to_thread.run_sync(reader.read, offset, length)
        return self.served[offset]

    async def read_all(self, number: int, pieces: list[tuple[int, int]] = PIECES) -> bytes:
        for offset, length in pieces:
            await self.read(number, offset, length)
        return b"".join(self.served[offset] for offset, _length in PIECES)

    async def is_here(self, path: str = "video") -> None:
        """Return once all of it is here, within the time of a test."""
        while self.content(path).place == Here.BUCKET:  # noqa: ASYNC110  # nobody is told
            await trio.sleep(0.01)

    def close(self, number: int) -> None:
        del self.readers[number]
        self.downloads.closed(number, self.readers.values())


def reading(machine: Machine, work: Callable[[Reader], Awaitable[T]]) -> T:
    """Run that with a reader of what the bucket has of the job."""
    machine.refresh("job")

    async def main() -> T:
        carrier = Carrier(machine.remote, SystemClock(), look_seconds=3.0, heard=lambda *_: None)
        async with trio.open_nursery() as nursery:

            async def read_job(job: int) -> None: ...

            made = Downloads(machine.ground, carrier, nursery, patience_seconds=20, read_job=read_job)
            result = await work(Reader(machine, made))
            nursery.cancel_scope.cancel()
        return result

    return trio.run(main)


def odd(ground: Ground) -> list[str]:
    return [sentence for _job, sentence in ground.odd.all()]


def in_order(pieces: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return pieces


def from_the_end(pieces: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return pieces[::-1]


def at_random(pieces: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return random.Random(3).sample(pieces, len(pieces))


@pytest.mark.parametrize("order", [in_order, from_the_end, at_random])
def test_nobody_reads_a_lie_to_its_end(
    b: Machine, forger: Forger, order: Callable[[list[tuple[int, int]]], list[tuple[int, int]]]
) -> None:
    forger.put(OTHER)

    async def reads(reader: Reader) -> None:
        number = await reader.open()
        with pytest.raises(CorruptContent, match="integrity check"):
            await reader.read_all(number, order(PIECES))
        assert sum(map(len, reader.served.values())) < SIZE, "the end of it was not served"
        for offset, length in PIECES:
            with pytest.raises(CorruptContent, match="integrity check"):
                await reader.read(number, offset, length)

    reading(b, reads)


@pytest.mark.parametrize("order", [in_order, from_the_end, at_random])
def test_what_is_no_lie_is_read_in_any_order_and_becomes_a_content_of_this_machine(
    b: Machine, forger: Forger, order: Callable[[list[tuple[int, int]]], list[tuple[int, int]]]
) -> None:
    forger.put(PLAIN)

    async def reads(reader: Reader) -> None:
        number = await reader.open()
        assert await reader.read_all(number, order(PIECES)) == PLAIN
        await reader.is_here()

    reading(b, reads)
    assert odd(b.ground) == []
    assert b.read("job/video") == PLAIN


def test_a_lie_is_named_and_refused_at_once_from_then_on(b: Machine, bucket: SimulatedBucket, forger: Forger) -> None:
    name = forger.put(OTHER)

    async def reads(reader: Reader) -> None:
        number = await reader.open()
        with pytest.raises(CorruptContent):
            await reader.read_all(number)
        reader.close(number)
        bucket.requests.clear()
        for _ in range(2):
            with pytest.raises(CorruptContent, match="integrity check"):
                await reader.open()

    reading(b, reads)
    assert bucket.requests == []
    (sentence,) = odd(b.ground)
    assert "integrity check" in sentence
    assert name in sentence


def test_a_lie_of_which_the_object_is_gone_is_forgotten(b: Machine, bucket: SimulatedBucket, forger: Forger) -> None:
    name = forger.put(OTHER)

    async def reads(reader: Reader) -> None:
        with pytest.raises(CorruptContent):
            await reader.downloads.fetch(reader.content().id)

    reading(b, reads)
    assert len(odd(b.ground)) == 1
    b.refresh("job")
    assert len(odd(b.ground)) == 1
    bucket.delete([objects.job_prefix(b"job") + name])
    b.refresh("job")
    assert odd(b.ground) == []


def test_the_kernel_forgets_the_pages_of_a_lie(b: Machine, forger: Forger) -> None:
    forger.put(OTHER)
    told: list[Changes] = []

    async def reads(reader: Reader) -> None:
        told.clear()
        number = await reader.open()
        with pytest.raises(CorruptContent):
            await reader.read_all(number)

    b.ground.changed = told.append
    reading(b, reads)
    assert [changes.grown for changes in told] == [{b.entry("job/video").ino}]


def test_another_place_of_the_content_is_read_instead(b: Machine, forger: Forger) -> None:
    forger.put(OTHER)
    forger.put(PLAIN)

    async def reads(reader: Reader) -> bytes:
        number = await reader.open()
        with pytest.raises(CorruptContent):
            await reader.read_all(number)
        reader.close(number)
        return await reader.read_all(await reader.open())

    assert reading(b, reads) == PLAIN


def test_what_was_fetched_whole_and_is_a_lie_keeps_nobody_from_another_place(b: Machine, forger: Forger) -> None:
    forger.put(OTHER)
    forger.put(PLAIN)

    async def reads(reader: Reader) -> None:
        number = reader.content().id
        with pytest.raises(CorruptContent):
            await reader.downloads.fetch(number)
        while reader.downloads.large(number) is not None:  # noqa: ASYNC110  # what came of it is let go of
            await trio.sleep(0.01)
        await reader.downloads.fetch(number)

    reading(b, reads)
    assert b.read("job/video") == PLAIN


def test_the_end_is_served_without_the_rest(b: Machine, bucket: SimulatedBucket, forger: Forger) -> None:
    forger.put(PLAIN)

    async def reads(reader: Reader) -> bytes:
        return await reader.read(await reader.open(), SIZE - 100, 100)

    assert reading(b, reads) == PLAIN[-100:]
    kinds = Counter(kind for kind, key in bucket.requests if key.endswith(".zst"))
    assert kinds["get_range"] == 4, "the table, the first bytes, and the last two pieces"


class Refusing(SimulatedBucket):
    """Does not give away what lies behind a place of large objects."""

    behind = 1 << 60

    def get_range(self, key: str, offset: int, length: int) -> Fetched:
        if offset >= self.behind:
            raise RemoteDenied(key)
        return super().get_range(key, offset, length)


def test_the_last_bytes_are_not_served_while_a_piece_is_missing(make_machine: Callable[..., Machine]) -> None:
    """Though it be one in which nothing lies but the seek table."""
    machine, refusing = make_machine(), Refusing(now_ms=BEGIN_MS)
    machine.remote = refusing
    Forger(refusing).put(OTHER)
    refusing.behind = len(STORED[OTHER]) // CHUNK_BYTES * CHUNK_BYTES

    async def reads(reader: Reader) -> None:
        number = await reader.open()
        with pytest.raises(RemoteDenied):
            await reader.read_all(number)

    reading(machine, reads)


class Flipping(SimulatedBucket):
    """One byte of large objects arrives wrong, so many times."""

    at = 0
    times = 0

    def get_range(self, key: str, offset: int, length: int) -> Fetched:
        fetched = super().get_range(key, offset, length)
        if self.times and key.endswith(".zst") and offset <= self.at < offset + length:
            self.times -= 1
            data = bytearray(fetched.data)
            data[self.at - offset] ^= 1
            return Fetched(bytes(data), fetched.total_bytes, fetched.server_ms)
        return fetched


@pytest.fixture
def flipping() -> Flipping:
    return Flipping(now_ms=BEGIN_MS)


@pytest.mark.parametrize("times", [1, 2])
def test_what_was_damaged_on_its_way_is_fetched_again(
    make_machine: Callable[..., Machine], flipping: Flipping, times: int
) -> None:
    machine = make_machine()
    machine.remote = flipping
    Forger(flipping).put(PLAIN)
    flipping.at = 2 * CHUNK_BYTES + 100

    async def reads(reader: Reader) -> None:
        flipping.times = times
        with pytest.raises(CorruptContent) if times > 1 else pytest.MonkeyPatch.context():
            await reader.downloads.fetch(reader.content().id)
        await reader.downloads.fetch(reader.content().id)

    reading(machine, reads)
    assert machine.read("job/video") == PLAIN


def test_around_what_stays_damaged_the_rest_is_served(make_machine: Callable[..., Machine], flipping: Flipping) -> None:
    machine = make_machine()
    machine.remote = flipping
    Forger(flipping).put(PLAIN)
    flipping.at, flipping.times = 2 * CHUNK_BYTES + 100, 1000

    async def reads(reader: Reader) -> int:
        number = await reader.open()
        refused = 0
        for offset, length in [*PIECES, *PIECES]:
            try:
                await reader.read(number, offset, length)
            except CorruptContent:
                refused += 1
        return refused

    assert reading(machine, reads) == 2, "one frame, each time"
    assert odd(machine.ground) == []


def test_what_is_being_read_is_never_let_go_of_for_another(
    b: Machine, forger: Forger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "LARGE_KEPT", 1)
    forger.put(PLAIN)
    forger.put(OTHER, said=OTHER, path=b"other")

    async def reads(reader: Reader) -> bytes:
        number = await reader.open()
        await reader.read(number, 0, 100)
        with pytest.raises(RemoteUnavailable, match="try again"):
            await reader.open("other")
        found = await reader.read_all(number)
        await reader.is_here()
        await reader.open("other")
        return found

    assert reading(b, reads) == PLAIN


def test_whoever_opens_without_reading_gives_way(b: Machine, forger: Forger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "LARGE_KEPT", 1)
    forger.put(PLAIN)
    forger.put(OTHER, said=OTHER, path=b"other")

    async def reads(reader: Reader) -> bytes:
        await reader.downloads.prepare(reader.content().id)
        return await reader.read_all(await reader.open("other"))

    assert reading(b, reads) == OTHER
