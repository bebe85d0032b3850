"""What leaves a machine, in which order, and what never does: decisions and rows, against a bucket in memory."""

import itertools
import os
import threading
from collections.abc import Callable

import pytest

from mountfs.bucket.gathering import fetch_content
from mountfs.bucket.publishing import Published, publish
from mountfs.bucket.requests import Put, Request, drive
from mountfs.errors import CacheFull, RemoteUnavailable
from mountfs.model import Content, Digest, Place
from mountfs.store.eviction import NEVER_READ, CacheEntry, Stays, choose_victims
from mountfs.store.options import Options
from mountfs.store.room import NoRoomYet
from mountfs.store.store import CarryOver, Store
from tests.bucket.machines import OWNER, Machine
from tests.bucket.simulated import SimulatedBucket

KIB = 1 << 10
MINUTE_MS = 60_000
LARGE = 5 << 20
Make = Callable[..., Machine]


def content_of(machine: Machine, key: str) -> Content:
    found = machine.entry(key).content
    content = machine.store.catalog.content(found) if found is not None else None
    assert content is not None
    return content


def stays(machine: Machine, key: str) -> Stays | None:
    machine.store.ledger.drain()
    return why(machine, content_of(machine, key))


def why(machine: Machine, content: Content) -> Stays | None:
    (found,) = machine.store.eviction.judged([content], pinned=machine.store.eviction.pinned())
    return found


def evict(machine: Machine, key: str) -> None:
    assert stays(machine, key) is None
    machine.store.eviction.evict([content_of(machine, key)])


def sweep(machine: Machine) -> None:
    """What a daemon does every half second: make it durable, then delete what nothing points at."""
    carrying = CarryOver(machine.store)
    carrying.work(truncate=True)
    carrying.finish()


def files_of(machine: Machine) -> list[str]:
    return sorted(machine.store.contents.names())


def order(machine: Machine) -> list[str]:
    """Keys in the order in which their contents go."""
    machine.store.ledger.drain()
    found = machine.store.catalog.least_recently_read(NEVER_READ, limit=100)
    entries = [machine.store.catalog.entries_of(content.id)[0] for _read_s, content in found]
    return [b"/".join(machine.store.ledger.path(entry.ino)).decode() for entry in entries]


# -- what may go ------------------------------------------------------------------------------------------------


def test_content_waiting_for_upload_is_never_evicted(a: Machine) -> None:
    a.write("job/file", os.urandom(KIB))
    assert stays(a, "job/file") is Stays.UNPUBLISHED
    a.publish("job")
    assert stays(a, "job/file") is None


def test_content_that_a_second_job_has_not_published_stays(a: Machine) -> None:
    data = os.urandom(KIB)
    a.write("one/file", data)
    a.publish("one")
    a.write("two/file", data)
    assert stays(a, "one/file") is Stays.UNPUBLISHED
    a.publish("two")
    assert stays(a, "one/file") is None


def test_nothing_below_a_renamed_directory_goes_before_it_is_published_there(a: Machine) -> None:
    a.write("job/dir/file", os.urandom(KIB))
    a.publish("job")
    a.rename("job/dir", "job/moved")
    assert stays(a, "job/moved/file") is Stays.UNPUBLISHED
    a.publish("job")
    assert stays(a, "job/moved/file") is None


def test_what_a_draft_was_begun_on_stays_until_the_draft_is_settled(a: Machine) -> None:
    a.write("job/log", os.urandom(200 * KIB))
    a.publish("job")
    live = a.store.files.open(a.entry("job/log"), write=True)
    assert stays(a, "job/log") is Stays.HELD
    with live.lock:
        a.store.files.prepare_write(live, 200 * KIB, 10)
        a.store.files.write(live, 200 * KIB, b"0123456789")
    assert stays(a, "job/log") is Stays.HELD
    with live.lock:
        a.store.files.release(live, write=True)


def test_pinned_content_stays_also_when_a_directory_above_it_is_pinned(a: Machine) -> None:
    for key in ("job/one", "job/deep/er/two", "job/three"):
        a.write(key, os.urandom(KIB))
    for key in ("job/one", "job/deep"):
        a.store.attributes.set(a.entry(key).ino, b"user.mountfs.pinned", b"1")
    a.publish("job")
    assert stays(a, "job/one") is Stays.PINNED
    assert stays(a, "job/deep/er/two") is Stays.PINNED
    assert stays(a, "job/three") is None
    a.store.attributes.set(a.entry("job/deep").ino, b"user.mountfs.pinned", b"0")
    assert stays(a, "job/deep/er/two") is None


def test_what_was_removed_before_it_was_uploaded_stays_restorable_from_here(a: Machine) -> None:
    a.write("job/kept", b"x")
    a.write("job/file", os.urandom(KIB))
    content = content_of(a, "job/file")
    a.unlink("job/file")
    a.publish("job")
    assert why(a, content) is Stays.TRASH


def test_what_was_removed_after_it_was_uploaded_may_go_and_stays_restorable_from_the_bucket(a: Machine) -> None:
    a.write("job/file", os.urandom(KIB))
    a.publish("job")
    content = content_of(a, "job/file")
    a.unlink("job/file")
    assert why(a, content) is None


def test_content_whose_prefix_was_deleted_stays(a: Machine, bucket: SimulatedBucket) -> None:
    """The bundle is gone, the file is written anew here: the only copy is the one here."""
    data = os.urandom(KIB)
    a.write("job/file", data)
    a.publish("job")
    bucket.objects.clear()
    a.write("job/again", data)
    a.refresh("job")
    assert stays(a, "job/again") is not None


def test_a_large_content_goes_only_when_its_object_was_seen(a: Machine, b: Machine, bucket: SimulatedBucket) -> None:
    a.write("job/video", os.urandom(LARGE))
    a.publish("job")
    assert stays(a, "job/video") is None  # confirmed by its own upload
    del bucket.objects[next(key for key in bucket.objects if key.startswith("jobs/") and not key.endswith(".zip"))]
    bucket.now_ms += MINUTE_MS
    a.write("job/more", b"more")
    b.refresh("job")
    b.write("job/other", b"other")
    b.publish("job")
    a.refresh("job")
    assert stays(a, "job/video") is Stays.UNPLACED


# -- in which order ---------------------------------------------------------------------------------------------


def entry(number: int, stored: int, stays: Stays | None = None) -> CacheEntry:
    content = Content(number, Place.FILE, Digest.of(bytes([number])), stored, stored)
    return CacheEntry(content, number, stays)


def test_victims_are_the_least_recently_read_that_free_enough() -> None:
    entries = [entry(1, 10), entry(2, 10, Stays.PINNED), entry(3, 10), entry(4, 10)]
    chosen = choose_victims(entries, excess_bytes=11)
    assert [victim.content.id for victim in chosen] == [1, 3]


def test_nothing_is_chosen_of_what_stays_whatever_is_wanted() -> None:
    entries = [entry(1, 10, Stays.UNPUBLISHED), entry(2, 10, Stays.HELD)]
    assert choose_victims(entries, excess_bytes=100) == []


def test_what_was_opened_last_goes_last(a: Machine, bucket: SimulatedBucket) -> None:
    for name in ("one", "two", "three"):
        a.write(f"job/{name}", os.urandom(KIB))
        bucket.now_ms += 2 * MINUTE_MS
    a.publish("job")
    assert order(a) == ["job/one", "job/two", "job/three"]
    a.store.files.opened = set()
    live = a.store.files.open(a.entry("job/one"), write=False)
    a.store.files.release(live, write=False)
    with a.store.catalog.transaction():
        a.store.catalog.note_reads(a.store.files.opened, now_s=a.store.ledger.now_s())
    assert order(a) == ["job/two", "job/three", "job/one"]


def test_what_came_from_the_bucket_counts_as_read_now(a: Machine, bucket: SimulatedBucket) -> None:
    a.write("job/one", os.urandom(KIB))
    bucket.now_ms += 2 * MINUTE_MS
    a.write("job/two", os.urandom(KIB))
    a.publish("job")
    evict(a, "job/one")
    bucket.now_ms += 2 * MINUTE_MS
    a.read("job/one")
    assert order(a) == ["job/two", "job/one"]


# -- going and coming back --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [100, 100 * KIB, LARGE])
def test_evicted_content_is_read_again_from_the_bucket(a: Machine, size: int) -> None:
    data = os.urandom(size)
    a.write("job/file", data)
    a.publish("job")
    evict(a, "job/file")
    sweep(a)
    assert files_of(a) == []
    assert a.store.catalog.here_bytes() == 0
    assert a.entry("job/file").size == size
    assert a.read("job/file") == data
    assert a.store.catalog.here_bytes() == size


def test_an_open_handle_makes_eviction_harmless_also_before_its_first_read(a: Machine) -> None:
    data = os.urandom(100 * KIB)
    a.write("job/file", data)
    a.publish("job")
    files = a.store.files
    live = files.open(a.entry("job/file"), write=False)
    evict(a, "job/file")
    sweep(a)
    assert files.read(live, 0, len(data)) == data
    files.release(live, write=False)
    with pytest.raises(RemoteUnavailable):
        files.open_content(content_of(a, "job/file").id)


def test_evicted_content_that_is_written_again_is_here_again(a: Machine) -> None:
    """In a job that the bucket has it for, and for one that it does not: that one must bring it itself."""
    for size in (100, 100 * KIB, 2 << 20):
        data = os.urandom(size)
        a.write(f"one/{size}", data)
        a.publish("one")
        evict(a, f"one/{size}")
        sweep(a)
        a.write(f"two/{size}", data)
        assert content_of(a, f"two/{size}").place != Place.BUCKET
        a.publish("two")
        sweep(a)
        assert a.read(f"two/{size}") == data
    assert not a.ground.tables.aside()


def test_a_sweep_decided_before_content_came_back_does_not_take_it(a: Machine) -> None:
    data = os.urandom(100 * KIB)
    a.write("job/file", data)
    a.publish("job")
    evict(a, "job/file")
    decided = CarryOver(a.store)  # the file is to go
    content_id = content_of(a, "job/file").id
    drive(fetch_content(a.ground, content_id), a.remote)
    decided.work(truncate=True)
    decided.finish()
    assert len(files_of(a)) == 1
    assert a.read("job/file") == data
    evict(a, "job/file")
    sweep(a)
    assert files_of(a) == []


def test_a_kill_after_an_eviction_leaves_no_file_and_no_gap(a: Machine) -> None:
    data = os.urandom(100 * KIB)
    a.write("job/file", data)
    a.publish("job")
    evict(a, "job/file")
    a.killed()
    assert files_of(a) == []
    assert a.read("job/file") == data


# -- the budget -------------------------------------------------------------------------------------------------


def test_a_write_beyond_the_budget_is_refused_before_a_byte_of_it_is_written(make_machine: Make) -> None:
    machine = make_machine(cache_bytes=100 * KIB)
    machine.write("job/one", os.urandom(90 * KIB))
    with pytest.raises(NoRoomYet) as refused:
        machine.write("job/two", os.urandom(20 * KIB))
    assert refused.value.lacking_bytes == 10 * KIB
    assert isinstance(refused.value, CacheFull)


def test_a_store_that_serves_nobody_evicts_at_once(make_machine: Make) -> None:
    machine = make_machine(cache_bytes=100 * KIB)
    for number in range(10):
        machine.write(f"job/{number}", os.urandom(40 * KIB))
        machine.publish("job")
    assert machine.store.room.here_bytes() <= 100 * KIB
    assert len(machine.read("job/0")) == 40 * KIB


def test_the_budget_counts_what_it_costs_here_and_drafts_in_full(make_machine: Make) -> None:
    machine = make_machine(cache_bytes=1000 * KIB)
    machine.write("job/log", b"line\n" * 20 * KIB)
    assert machine.store.room.here_bytes() < 10 * KIB
    live = machine.store.tree.create_file(machine.entry("job").ino, b"draft", 0o644, OWNER)
    with live.lock:
        machine.store.files.prepare_write(live, 0, 300 * KIB)
        machine.store.files.write(live, 0, bytes(300 * KIB))
    assert 300 * KIB <= machine.store.room.here_bytes() < 310 * KIB
    with live.lock:
        machine.store.files.release(live, write=True)


def test_a_store_without_a_bucket_has_no_budget(a: Machine) -> None:
    store = Store.open(a.path.with_name("alone"), Options(cache_bytes=1000))
    assert store.room.budget is None
    store.close()


def test_more_than_the_high_mark_is_told(make_machine: Make) -> None:
    machine = make_machine(cache_bytes=100 * KIB)
    told = threading.Event()
    machine.store.room.crowded = told.set
    machine.write("job/one", os.urandom(80 * KIB))
    assert not told.is_set()
    machine.write("job/two", os.urandom(15 * KIB))
    assert told.is_set()


# -- while it is published --------------------------------------------------------------------------------------


def test_content_cannot_go_between_being_packed_and_being_confirmed(a: Machine) -> None:
    a.write("job/file", os.urandom(KIB))
    seen = []

    def look(request: Request[object]) -> None:
        seen.append((type(request), stays(a, "job/file")))

    carry_out(a, look)
    assert (Put, Stays.UNPUBLISHED) in seen
    assert {kept for _request, kept in seen} == {Stays.UNPUBLISHED}
    assert stays(a, "job/file") is None


def test_a_publish_ends_although_somebody_goes_on_writing(a: Machine) -> None:
    a.write("job/0", b"0")
    numbers = itertools.count(1)

    def write(request: Request[object]) -> None:
        number = next(numbers)
        a.write(f"job/{number}", str(number).encode())

    published = carry_out(a, write)
    assert published.complete
    assert len(published.bundles) == 1


def carry_out(machine: Machine, meanwhile: Callable[[Request[object]], None]) -> Published:
    """Publish; something happens between each two steps."""
    steps = publish(machine.ground, machine.job("job"))
    answer: object = None
    while True:
        try:
            request = steps.send(answer)
        except StopIteration as stop:
            done: Published = stop.value
            return done
        meanwhile(request)
        answer = request.run(machine.remote)
