"""What must not grow with the number of jobs in a bucket: 2,000 here, 100,000 in `scripts/soak index`."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from mountfs import objects
from mountfs.bucket.following import Follower, follow
from mountfs.bucket.heads import find_jobs
from mountfs.bucket.requests import drive
from mountfs.bucket.scanning import scan
from mountfs.model import Entry
from tests.bucket.index_size import FILES, LargeBucket, many_jobs, objects_of
from tests.bucket.machines import STORE_ID, Machine, SetClock

JOBS = int(os.environ.get("INDEX_JOBS", "2000"))
BEGAN_MS = 1_795_000_000_000


@pytest.fixture(scope="module")
def large() -> LargeBucket:
    bucket = LargeBucket(now_ms=BEGAN_MS)
    for key, data in objects_of(many_jobs(JOBS, store_id=STORE_ID, began_ms=BEGAN_MS), store_id=STORE_ID):
        bucket.objects[key] = (data, BEGAN_MS)
    bucket.now_ms = BEGAN_MS + 100 * JOBS + 3 * 86_400_000
    return bucket


@pytest.fixture
def machine(tmp_path: Path, large: LargeBucket) -> Iterator[Machine]:
    large.requests.clear()
    machine = Machine(tmp_path / "machine", large, SetClock(lambda: large.now_ms))
    yield machine
    machine.close()


def asked(large: LargeBucket) -> Counter[str]:
    return Counter(kind for kind, _key in large.requests)


def test_the_first_look_at_one_job_takes_a_list_and_a_request_a_bundle(machine: Machine, large: LargeBucket) -> None:
    machine.refresh(f"build-{JOBS // 2}")
    assert asked(large) == {"list": 1, "get_tail": 1}
    assert len([path for path, seen in machine.view(f"build-{JOBS // 2}").items() if seen[0] == "FILE"]) == FILES


def test_the_newest_five_jobs_of_main_take_at_most_eight_requests(large: LargeBucket) -> None:
    large.requests.clear()
    newest = range(JOBS - 1 - (JOBS - 1) % 10, -1, -10)
    found = drive(find_jobs("branch", b"main", limit=5), large)
    assert [head.job for head in found] == [b"build-%d" % number for number in newest[:5]]
    assert sum(asked(large).values()) <= 8


def test_the_whole_index_takes_a_request_a_part_of_the_feed(machine: Machine, large: LargeBucket) -> None:
    follower = Follower(machine.ground, machine.store.bulk, owner=machine.options.owner, recorded_owner=False)
    drive(follow(follower, machine.ground), large)
    parts = sum(key.startswith(objects.FEED) for key in large.objects)
    assert asked(large)["get"] == parts
    assert follower.followed.records == JOBS * (FILES + 1)
    assert machine.store.catalog.totals()["artifacts"] == JOBS * FILES
    assert machine.store.catalog.stored_bytes() == _counted(machine)
    large.requests.clear()
    assert drive(scan(machine.ground), large).differ == []
    assert asked(large) == {"list": -(-JOBS // 1000) + 1}  # and one for what is hidden


def _counted(machine: Machine) -> int:
    """What the triggers would have counted, one by one."""
    rows = machine.store.catalog.least_recently_read((0, 0), limit=10**9)
    assert rows == []  # nothing of it is here
    contents = {entry.content for entry in _files(machine)}
    found = (machine.store.catalog.content(content) for content in contents if content is not None)
    return sum(content.stored for content in found if content is not None)


def _files(machine: Machine) -> list[Entry]:
    catalog = machine.store.catalog
    entries, todo = [], [1]
    while todo:
        ino, after = todo.pop(), b""
        while page := catalog.children(ino, after=after, limit=1000):
            after = page[-1].name
            todo += [entry.ino for entry in page if entry.kind == 2]
            entries += [entry for entry in page if entry.kind == 1]
    return entries
