"""A bundle comes whole with the second miss in it: once, with all that is wanted of it, and only where it fits."""

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator

import trio

from mountfs.bucket.fetching import fetch_bundle
from mountfs.bucket.reading import refresh
from mountfs.bucket.requests import Get, Request, Steps
from mountfs.clock import SystemClock
from mountfs.model import Content, Place
from mountfs.transfers.cache import Cache
from mountfs.transfers.carrier import Carrier
from mountfs.transfers.downloads import Downloads
from mountfs.transfers.uploads import Settle, Uploads
from tests.bucket.machines import Machine
from tests.bucket.simulated import SimulatedBucket

KIB = 1 << 10
FILES = 40
FILE_BYTES = 40 * KIB
SMALL_CACHE = {"cache_bytes": FILES * FILE_BYTES // 2}
ROOMY_CACHE = {"cache_bytes": FILES * FILE_BYTES * 3 // 2}


def data_of(job: str, number: int) -> bytes:
    return random.Random(f"{job}/{number}").randbytes(FILE_BYTES)


def fill(machine: Machine, job: str) -> None:
    """A job of one bundle."""
    for number in range(FILES):
        machine.write(f"{job}/{number}", data_of(job, number))
    machine.publish(job)


def contents(machine: Machine, job: str) -> list[Content]:
    entries = [machine.entry(f"{job}/{number}") for number in range(FILES)]
    found = [machine.store.catalog.content(entry.content) for entry in entries if entry.content is not None]
    return [content for content in found if content is not None]


def here(machine: Machine, job: str) -> int:
    return sum(content.place != Place.BUCKET for content in contents(machine, job))


def asked(bucket: SimulatedBucket) -> Counter[str]:
    return Counter(kind for kind, key in bucket.requests if key.endswith(".zip"))


class Run:
    """Steps that a test carries out as far as it wants."""

    def __init__(self, steps: Steps[object], bucket: SimulatedBucket) -> None:
        self._steps = steps
        self._bucket = bucket
        self._asked: Request[object] | None = next(steps)

    def on(self, until: Callable[[Request[object]], bool] = lambda request: False) -> "Run":
        """Up to the request for which that holds, which is not made yet; else to the end."""
        while self._asked is not None and not until(self._asked):
            self.step()
        return self

    def step(self) -> bool:
        """One request; whether more follow."""
        assert self._asked is not None
        answer = self._asked.run(self._bucket)
        self._asked = next(self._answered(answer), None)
        return self._asked is not None

    def _answered(self, answer: object) -> Iterator[Request[object]]:
        try:
            yield self._steps.send(answer)
        except StopIteration:
            return


def test_what_a_reading_names_while_a_bundle_is_fetched_comes_with_it(
    a: Machine, b: Machine, bucket: SimulatedBucket
) -> None:
    """Else it was missed again, and the whole bundle fetched a second time."""
    fill(a, "job")
    b.ground.piece = 4
    job = b.job("job")
    read = Run(refresh(b.ground, job), bucket).on(lambda _: b.store.tree.find(1, b"job") is not None)
    (bundle,) = b.ground.tables.bundles(job).values()
    fetch = Run(fetch_bundle(b.ground, job, bundle.id), bucket).on(lambda request: isinstance(request, Get))
    fetch.step()
    for _ in range(100):  # while the records of it are brought in, it waits
        fetch.step()
    read.on()
    fetch.on()
    assert here(b, "job") == FILES


def downloading(machine: Machine, work: Callable[[Downloads, Cache], Awaitable[None]]) -> None:
    """Run that with the downloads of a machine and its cache."""

    async def tell(job: int) -> None: ...

    async def main() -> None:
        carrier = Carrier(machine.remote, SystemClock(), look_seconds=3.0, heard=lambda *_: None)
        uploads = Uploads(machine.ground, carrier, Settle(0, 0), tell=tell)
        cache = Cache(machine.store, carrier, uploads)
        async with trio.open_nursery() as nursery:
            made = Downloads(machine.ground, carrier, nursery, patience_seconds=20, read_job=tell)
            made.room_for = cache.room_for
            await work(made, cache)
            nursery.cancel_scope.cancel()

    trio.run(main)


def test_the_second_miss_brings_the_bundle_whole(a: Machine, b: Machine, bucket: SimulatedBucket) -> None:
    fill(a, "job")
    b.refresh("job")
    bucket.requests.clear()

    async def reads(downloads: Downloads, cache: Cache) -> None:
        for content in contents(b, "job"):
            await downloads.fetch(content.id)

    downloading(b, reads)
    assert asked(bucket) == {"get_range": 1, "get": 1}
    assert here(b, "job") == FILES


def test_many_who_miss_at_once_share_one_request(a: Machine, b: Machine, bucket: SimulatedBucket) -> None:
    fill(a, "job")
    b.refresh("job")
    bucket.requests.clear()

    async def read(downloads: Downloads, cache: Cache) -> None:
        async with trio.open_nursery() as nursery:
            for content in contents(b, "job"):
                nursery.start_soon(downloads.fetch, content.id)

    downloading(b, read)
    assert asked(bucket) == {"get_range": 1, "get": 1}


def test_a_bundle_that_the_cache_has_no_room_for_is_not_fetched_whole(
    a: Machine, make_machine: Callable[..., Machine], bucket: SimulatedBucket
) -> None:
    fill(a, "job")
    b = make_machine(**SMALL_CACHE)
    b.refresh("job")
    bucket.requests.clear()
    most = 0

    async def read(downloads: Downloads, cache: Cache) -> None:
        nonlocal most
        for content in contents(b, "job")[: FILES // 3]:
            await downloads.fetch(content.id)
            most = max(most, b.store.room.here_bytes())

    downloading(b, read)
    assert asked(bucket) == {"get_range": FILES // 3}
    assert most <= SMALL_CACHE["cache_bytes"]


def test_what_was_read_least_recently_makes_room_for_a_bundle(
    a: Machine, make_machine: Callable[..., Machine], bucket: SimulatedBucket
) -> None:
    b = make_machine(**ROOMY_CACHE)
    for job in ("old", "new"):
        fill(a, job)
        b.refresh(job)
    bucket.requests.clear()

    async def read(downloads: Downloads, cache: Cache) -> None:
        for job in ("old", "new"):
            for content in contents(b, job)[:3]:
                await downloads.fetch(content.id)

    downloading(b, read)
    assert asked(bucket) == {"get_range": 2, "get": 2}
    assert here(b, "new") == FILES
    assert b.store.room.here_bytes() <= ROOMY_CACHE["cache_bytes"]


def test_room_is_kept_for_what_is_on_its_way(make_machine: Callable[..., Machine]) -> None:
    machine = make_machine(cache_bytes=1000 * KIB)

    async def asks(downloads: Downloads, cache: Cache) -> None:
        async with cache.room_for(600 * KIB) as first, cache.room_for(600 * KIB) as second:
            assert (first, second) == (True, False)
        async with cache.room_for(600 * KIB) as after:
            assert after

    downloading(machine, asks)


def test_what_the_bucket_lacks_makes_no_room(make_machine: Callable[..., Machine]) -> None:
    machine = make_machine(cache_bytes=1000 * KIB)
    for number in range(15):
        machine.write(f"job/{number}", data_of("job", number))

    async def asks(downloads: Downloads, cache: Cache) -> None:
        async with cache.room_for(600 * KIB) as is_room:
            assert not is_room

    downloading(machine, asks)
    assert machine.read("job/0") == data_of("job", 0)
