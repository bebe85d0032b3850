"""`sync: full`: a machine that follows the feed has the rows of all jobs without reading any; it reads what it must."""

import contextlib
import itertools
import random
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from mountfs import bundle, objects
from mountfs.bucket import feed, feedtext, folding, following, lease
from mountfs.bucket.folding import fold_parts
from mountfs.bucket.following import Follower, follow
from mountfs.bucket.ground import DAY_MS, HOUR_MS
from mountfs.bucket.heads import find_jobs
from mountfs.bucket.maintaining import due_jobs
from mountfs.bucket.reading import refresh
from mountfs.bucket.rebuilding import rebuild_feed, rebuild_heads
from mountfs.bucket.requests import Steps, drive
from mountfs.bucket.scanning import read_differing, scan, show_again
from mountfs.bucket.telling import tell
from mountfs.errors import CatalogError, MountfsError
from mountfs.model import ROOT_INO, Place, Standing
from mountfs.records import Record, Value
from mountfs.store.paths import Changes
from mountfs.store.told import Row, Told
from tests.bucket.machines import STORE_ID, Machine
from tests.bucket.simulated import SimulatedBucket

HEADS = ("branch",)


class Following:
    """A machine and its follower."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.open()

    def open(self) -> None:
        machine = self.machine
        self.follower = Follower(
            machine.ground, machine.store.bulk, owner=machine.options.owner, recorded_owner=False
        )  # fmt: skip

    def follow(self) -> None:
        drive(follow(self.follower, self.machine.ground), self.machine.remote)

    def scan(self, *, anew: bool = False) -> None:
        found = drive(scan(self.machine.ground, everything=anew), self.machine.remote)
        drive(read_differing(self.machine.ground, found, anew=anew), self.machine.remote)
        self.follower.scanned(found.began_ms)


@pytest.fixture
def full(b: Machine) -> Following:
    return Following(b)


def publish(machine: Machine, *jobs: str) -> None:
    for job in jobs:
        machine.publish(job)
        drive(tell(machine.ground, machine.job(job)), machine.remote)


def below(bucket: SimulatedBucket, prefix: str) -> list[str]:
    return sorted(key for key in bucket.objects if key.startswith(prefix))


def some_jobs(machine: Machine, count: int = 3) -> list[str]:
    jobs = [f"build-{number}" for number in range(count)]
    for number, job in enumerate(jobs):
        machine.write(f"{job}/junit.xml", b"<testsuite/>" * (number + 1))
        machine.write(f"{job}/htmlcov/deep/index.html", b"<html>%d</html>" % number)
        machine.write(f"{job}/empty", b"")
        machine.symlink(f"{job}/link", "junit.xml")
        machine.chmod(f"{job}/junit.xml", 0o640)
        machine.utime(f"{job}/empty", 1_000_000_000_123_456_789)
        machine.tag(job, branch="main")
        machine.tag(f"{job}/junit.xml", flaky="yes")
    return jobs


def names_in_root(machine: Machine) -> list[str]:
    return [entry.name.decode() for entry in machine.store.ledger.children(ROOT_INO, after=b"", limit=1000)]


def test_rows_of_all_jobs_come_from_the_feed_without_reading_one(
    a: Machine, full: Following, bucket: SimulatedBucket
) -> None:
    jobs = some_jobs(a)
    publish(a, *jobs)
    bucket.requests.clear()
    full.follow()
    assert names_in_root(full.machine) == jobs
    for job in jobs:
        assert full.machine.view(job) == a.view(job)
    assert not [key for _kind, key in bucket.requests if key.startswith(objects.JOBS)]


def test_content_of_a_job_known_by_the_feed_alone_is_read(a: Machine, full: Following) -> None:
    publish(a, *some_jobs(a))
    full.follow()
    entry = full.machine.entry("build-1/junit.xml")
    content = full.machine.store.catalog.content(entry.content or 0)
    assert content is not None
    assert content.place == Place.BUCKET
    assert full.machine.read("build-1/junit.xml") == b"<testsuite/>" * 2
    assert full.machine.view("build-1") == a.view("build-1")


def test_changes_come_by_the_feed_too(a: Machine, full: Following) -> None:
    (job,) = some_jobs(a, 1)
    publish(a, job)
    full.follow()
    a.unlink(f"{job}/empty")
    a.rename(f"{job}/htmlcov", f"{job}/coverage")
    a.write(f"{job}/junit.xml", b"<other/>")
    a.untag(job, "branch")
    a.tag(job, branch="release", pr="7")
    publish(a, job)
    full.follow()
    assert full.machine.view(job) == a.view(job)
    drive(refresh(full.machine.ground, full.machine.job(job)), full.machine.remote)
    assert full.machine.view(job) == a.view(job)


def test_what_was_told_here_already_is_not_taken_in_again(a: Machine, full: Following, bucket: SimulatedBucket) -> None:
    publish(a, *some_jobs(a))
    full.follow()
    records = full.follower.followed.records
    assert records > 0
    bucket.requests.clear()
    full.follow()
    assert full.follower.followed.records == records
    assert not [kind for kind, _key in bucket.requests if kind == "get"]


def test_a_restart_goes_on_from_the_cursor(a: Machine, full: Following, bucket: SimulatedBucket) -> None:
    publish(a, *some_jobs(a))
    full.follow()
    bucket.now_ms += 5 * 60_000
    full.follow()
    full.machine.killed()
    full.open()
    a.write("late/log", b"line\n")
    publish(a, "late")
    bucket.requests.clear()
    full.follow()
    assert [kind for kind, key in bucket.requests if key.startswith(objects.FEED)].count("get") == 1
    assert full.machine.view("late") == a.view("late")


def test_a_part_that_landed_late_is_found(a: Machine, full: Following, bucket: SimulatedBucket) -> None:
    full.follow()
    bucket.now_ms += 60_000
    full.follow()
    a.write("late/log", b"line\n")
    publish(a, "late")
    (key,) = below(bucket, objects.FEED)
    part = objects.parse_feed(key)
    assert part is not None
    named = part.when_ms - 100_000
    bucket.objects[objects.feed_key(objects.hour(named), named, part.writer, part.n)] = bucket.objects.pop(key)
    full.follow()
    assert full.machine.view("late") == a.view("late")


def test_hours_and_days_that_were_merged_during_a_gap_are_read(
    a: Machine, full: Following, bucket: SimulatedBucket
) -> None:
    bucket.now_ms -= bucket.now_ms % DAY_MS
    full.follow()
    for number in range(30):
        a.write(f"job-{number}/log", b"%d" % number)
        publish(a, f"job-{number}")
        bucket.now_ms += HOUR_MS
    drive(feed.keep(a.ground), bucket)
    full.follow()
    assert sorted(names_in_root(full.machine)) == sorted(f"job-{number}" for number in range(30))


def test_what_is_merged_while_it_is_read_is_read_nonetheless(
    a: Machine, full: Following, bucket: SimulatedBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = some_jobs(a)
    publish(a, *jobs)
    bucket.now_ms += 3 * HOUR_MS
    get, merged = bucket.get, [False]

    def merge_first(key: str, *, most_bytes: int) -> object:
        if not merged[0]:
            merged[0] = True
            drive(feed.keep(a.ground), bucket)
        return get(key, most_bytes=most_bytes)

    monkeypatch.setattr(bucket, "get", merge_first)
    full.follow()
    assert merged[0]
    assert names_in_root(full.machine) == jobs


def test_what_is_here_and_was_not_published_stays(a: Machine, full: Following) -> None:
    (job,) = some_jobs(a, 1)
    full.machine.write(f"{job}/junit.xml", b"mine")
    full.machine.write(f"{job}/own", b"own")
    publish(a, job)
    full.follow()
    assert full.machine.read(f"{job}/own") == b"own"
    publish(full.machine, job)
    a.refresh(job)
    full.machine.refresh(job)
    assert a.view(job) == full.machine.view(job)


def test_what_is_told_while_a_job_is_read_is_read_after_it(a: Machine, full: Following) -> None:
    (job,) = some_jobs(a, 1)
    publish(a, job)
    machine = full.machine
    reading = refresh(machine.ground, machine.job(job))
    request = next(reading)
    listed = request.run(machine.remote)
    a.write(f"{job}/new", b"new")
    publish(a, job)
    steps = follow(full.follower, machine.ground)
    answer: object = None
    while not machine.ground.catalog.feed.heard():
        answer = steps.send(answer).run(machine.remote)
    assert names_in_root(machine) == []
    go_on(reading, listed, machine)
    go_on(steps, answer, machine)
    assert machine.view(job) == a.view(job)
    assert machine.ground.catalog.feed.heard() == []


def go_on(steps: Steps[object], answer: object, machine: Machine) -> None:
    """The rest of a run."""
    with contextlib.suppress(StopIteration):
        while True:
            answer = steps.send(answer).run(machine.remote)


def test_a_reading_judges_what_only_the_feed_told(a: Machine, full: Following, bucket: SimulatedBucket) -> None:
    (job,) = some_jobs(a, 1)
    publish(a, job)
    bucket.now_ms += 1000
    a.write(f"{job}/later", b"later")
    publish(a, job)
    full.follow()
    bundles = below(bucket, f"jobs/{job}/")
    bucket.delete(bundles[-1:])
    full.machine.refresh(job)
    a.refresh(job)
    assert full.machine.view(job) == a.view(job)
    assert "/later" not in full.machine.view(job)


def test_the_daily_listing_finds_a_job_without_feed_and_one_whose_prefix_was_deleted(
    a: Machine, full: Following, bucket: SimulatedBucket
) -> None:
    publish(a, *some_jobs(a, 3))
    a.write("silent/log", b"its runner died before it told\n")
    a.publish("silent")
    full.follow()
    bucket.delete(below(bucket, "jobs/build-1/"))
    bucket.now_ms += DAY_MS
    assert full.follower.is_scan_due()
    full.scan()
    assert names_in_root(full.machine) == ["build-0", "build-2", "silent"]
    assert not full.follower.is_scan_due()


def test_the_daily_listing_shows_what_somebody_hid_who_did_not_know_of_it(
    a: Machine, full: Following, bucket: SimulatedBucket
) -> None:
    (job,) = some_jobs(a, 1)
    publish(a, job)
    bucket.put(objects.gone_key(job.encode()), b"")
    bucket.put(objects.gone_key(b"never-heard-of"), b"")
    full.follow()
    drive(show_again(full.machine.ground), bucket)
    assert len(bucket.objects[objects.gone_key(job.encode())][0]) == 1
    assert bucket.objects[objects.gone_key(b"never-heard-of")][0] == b""


def test_the_daily_listing_reads_nothing_where_the_feed_told_all(
    a: Machine, full: Following, bucket: SimulatedBucket
) -> None:
    publish(a, *some_jobs(a))
    full.follow()
    bucket.now_ms += DAY_MS
    bucket.requests.clear()
    full.scan()
    assert {kind for kind, _key in bucket.requests} == {"list"}


def test_catalog_feed_and_heads_come_back_from_jobs_alone(
    a: Machine, make_machine: Callable[..., Machine], bucket: SimulatedBucket
) -> None:
    a.ground.heads = HEADS
    jobs = some_jobs(a)
    publish(a, *jobs)
    found = drive(find_jobs("branch", b"main", limit=10), bucket)
    bucket.delete([*below(bucket, objects.FEED), *below(bucket, objects.HEADS)])
    rebuilder, follower = Following(make_machine()), Following(make_machine())
    rebuilder.machine.ground.heads = HEADS
    rebuilder.scan(anew=True)
    assert drive(rebuild_feed(rebuilder.machine.ground), bucket) == len(jobs)
    assert drive(rebuild_heads(rebuilder.machine.ground), bucket) == len(jobs)
    assert drive(rebuild_feed(rebuilder.machine.ground), bucket) == 0
    assert drive(rebuild_heads(rebuilder.machine.ground), bucket) == 0
    follower.follow()
    for job in jobs:
        assert follower.machine.view(job) == a.view(job) == rebuilder.machine.view(job)
    assert {head.job for head in drive(find_jobs("branch", b"main", limit=10), bucket)} == {h.job for h in found}


def test_a_damaged_part_costs_nothing_but_itself(a: Machine, full: Following, bucket: SimulatedBucket) -> None:
    jobs = some_jobs(a, 2)
    publish(a, jobs[0])
    (first,) = below(bucket, objects.FEED)
    publish(a, jobs[1])
    bucket.objects[first] = (bucket.objects[first][0][:-40], bucket.now_ms)
    full.follow()
    assert names_in_root(full.machine) == jobs[1:]
    assert full.follower.followed.refusals == 1
    bucket.now_ms += 2 * DAY_MS
    full.scan()
    assert full.machine.view(jobs[0]) == a.view(jobs[0])


def test_lines_that_lie_are_refused_and_counted(full: Following, bucket: SimulatedBucket) -> None:
    name = objects.bundle_name(bucket.now_ms, "a" * 8, "b" * 8)
    stamp = f"{bucket.now_ms:012x}-0000-aaaaaaaa"
    good = b'{"path":"ok","set":{"content":{"created_at":1,"kind":"directory"}},"stamp":"%s"}' % stamp.encode()
    climbs, double = good.replace(b'"ok"', b'"../up"'), good.replace(b'"ok"', b'"a//b"')
    lines = (good, climbs, double, b"[1]", good.replace(b":1,", b':"x",'))
    sections = [feedtext.Section(b"job", name, lines), feedtext.Section(b".hidden", name, (good,))]
    (part,) = feedtext.packed(full.machine.ground.store_id, sections)
    drive(feed.put_part(full.machine.ground, part), bucket)
    full.follow()
    assert set(full.machine.view("job")) == {"", "/ok"}
    assert names_in_root(full.machine) == ["job"]
    assert full.follower.followed.refusals == 5


def test_a_job_that_was_published_once_is_not_read_for_its_maintenance(a: Machine, full: Following) -> None:
    jobs = some_jobs(a, 2)
    publish(a, *jobs)
    a.write(f"{jobs[0]}/more", b"more")
    publish(a, jobs[0])
    full.follow()
    assert drive(due_jobs(full.machine.ground), full.machine.remote).keys() == {full.machine.job(jobs[0])}


@pytest.mark.parametrize("seed", range(20))
def test_rows_from_the_feed_are_those_that_a_reading_makes(
    seed: int, make_machine: Callable[..., Machine], bucket: SimulatedBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In whatever order and pieces the parts come, and however often."""
    rnd = random.Random(seed)
    monkeypatch.setattr("mountfs.bucket.folding.PIECE_ROWS", rnd.choice([1, 3, 100]))
    monkeypatch.setattr("mountfs.bucket.folding.CHUNK_RECORDS", rnd.choice([1, 5, 4000]))
    writers = [make_machine(), make_machine()]
    reader, fed = make_machine(), Following(make_machine())
    for _ in range(24):
        machine = rnd.choice(writers)
        random_step(machine, rnd)
        if rnd.random() < 0.5:
            publish(machine, "job")
        if rnd.random() < 0.3:
            machine.refresh("job")
        if rnd.random() < 0.3:
            fed.follow()
        bucket.now_ms += rnd.choice([1, 1000])
    for machine in writers:
        publish(machine, "job")
    parts = [bucket.objects[key][0] for key in below(bucket, objects.FEED)]
    rnd.shuffle(parts)
    for piece in fold_parts(parts + parts[:2], fed.follower.here()):
        fed.follower.take(piece)
    fed.follower.keep()
    reader.refresh("job")
    assert comparable(fed.machine.view("job")) == comparable(reader.view("job"))


def random_step(machine: Machine, rnd: random.Random) -> None:
    """One thing that a kernel would let through; what makes no sense there is refused."""
    path, target = rnd.choice(["x", "x/y", "d/e", "d/e/f", "d", "z"]), rnd.choice(["x", "d/g", "w"])
    if not (is_possible(machine, path) and is_possible(machine, target)):
        return
    key, is_file = f"job/{path}", machine.view("job").get(f"/{path}", ("FILE",))[0] == "FILE"
    steps: list[Callable[[], object]] = [
        partial(machine.mkdir, key),
        partial(machine.symlink, key, "target"),
        partial(machine.unlink, key),
        partial(machine.rmdir, key),
        partial(machine.chmod, key, rnd.choice([0o600, 0o640])),
        partial(machine.tag, key, k=str(rnd.randrange(9))),
        partial(machine.untag, key, "k"),
        partial(machine.utime, key, rnd.randrange(10**18)),
        *([partial(machine.write, key, bytes([rnd.randrange(65, 91)]) * rnd.randrange(1, 9))] * 4 if is_file else []),
        *([partial(machine.rename, key, f"job/{target}")] if not target.startswith(path) else []),
    ]
    with contextlib.suppress(MountfsError):
        rnd.choice(steps)()


def is_possible(machine: Machine, path: str) -> bool:
    """Whether what lies above a path are directories."""
    seen = machine.view("job")
    above = itertools.accumulate(path.split("/")[:-1], lambda parent, name: f"{parent}/{name}")
    return all(seen.get(f"/{directory}", ("DIRECTORY",))[0] == "DIRECTORY" for directory in above)


def comparable(view: dict[str, tuple[object, ...]]) -> dict[str, tuple[object, ...]]:
    """Where two want one name, who came first here names and dresses them; all else is the fold."""
    shared = {path.partition("~")[0] for path in view if "~" in path}
    return {path: seen for path, seen in view.items() if "~" not in path and path not in shared}


def test_who_holds_the_lease_keeps_others_from_double_work(a: Machine, b: Machine, bucket: SimulatedBucket) -> None:
    assert drive(lease.take(a.ground), bucket)
    assert drive(lease.take(a.ground), bucket)
    assert not drive(lease.take(b.ground), bucket)
    bucket.now_ms += lease.LEASE_MS
    assert drive(lease.take(b.ground), bucket)
    drive(lease.give_back(b.ground), bucket)
    assert drive(lease.take(a.ground), bucket)


def test_a_lease_that_cannot_be_read_is_nobodys(a: Machine, bucket: SimulatedBucket) -> None:
    bucket.put(objects.LEASE, b"{}")
    assert drive(lease.take(a.ground), bucket)


def test_who_was_away_for_long_lists_the_bucket(full: Following, bucket: SimulatedBucket) -> None:
    full.follow()
    full.scan()
    assert full.follower.is_complete
    bucket.now_ms += following.BEHIND_MS + 1
    assert full.follower.is_scan_due()


# -- what is held until it is kept ----------------------------------------------------------------------------------


def taken(machine: Machine, bucket: SimulatedBucket) -> Follower:
    """All that the feed tells, taken and not kept yet."""
    follower = Follower(machine.ground, machine.store.bulk, owner=machine.options.owner, recorded_owner=False)
    plan = drive(follower.look(), bucket)
    got, _vanished = drive(feed.fetch(plan.parts), bucket)
    for piece in fold_parts([data for _part, data in got], follower.here()):
        follower.take(piece)
    return follower


def test_a_kill_forgets_what_was_not_kept_and_it_comes_again(a: Machine, b: Machine, bucket: SimulatedBucket) -> None:
    publish(a, *some_jobs(a))
    taken(b, bucket)
    assert names_in_root(b) != []
    b.killed()
    assert names_in_root(b) == []
    Following(b).follow()
    assert b.view("build-1") == a.view("build-1")


def test_what_a_user_makes_in_it_survives_a_kill_and_so_does_what_it_lies_in(
    a: Machine, b: Machine, bucket: SimulatedBucket
) -> None:
    publish(a, *some_jobs(a))
    taken(b, bucket)
    b.write("build-1/mine", b"acknowledged")
    b.killed()
    assert b.read("build-1/mine") == b"acknowledged"
    assert set(a.view("build-1")) < set(b.view("build-1"))


def test_what_could_not_be_kept_is_told_so_that_it_is_read_again(
    a: Machine, b: Machine, bucket: SimulatedBucket, caplog: pytest.LogCaptureFixture
) -> None:
    publish(a, *some_jobs(a))
    follower = taken(b, bucket)
    b.store.catalog._db.set_authorizer(refuse_commit)
    b.store.ledger.commit_held()  # by somebody else, whom it must not hurt
    b.store.catalog._db.set_authorizer(None)
    assert "read again" in caplog.text
    with pytest.raises(CatalogError, match="could not be written"):
        follower.keep()
    Following(b).follow()
    assert b.view("build-1") == a.view("build-1")


def test_what_is_closed_after_something_could_not_be_kept_survives_a_kill(
    a: Machine, b: Machine, bucket: SimulatedBucket
) -> None:
    b.write("here/file", b"one")
    publish(a, *some_jobs(a))
    taken(b, bucket)
    b.store.catalog._db.set_authorizer(refuse_commit)
    b.store.catalog.commit_held()
    b.store.catalog._db.set_authorizer(None)
    live = b.store.files.open(b.entry("here/file"), write=True, truncate=True)
    with live.lock:
        b.store.files.prepare_write(live, 0, 3)
        b.store.files.write(live, 0, b"two")
        b.store.files.publish(live, Standing.CLOSED)
    b.killed()
    assert b.read("here/file") == b"two"


def refuse_commit(_action: int, word: str | None, *_rest: str | None) -> int:
    """As a full disk does; SQLite asks before it prepares a statement."""
    return sqlite3.SQLITE_DENY if word == "COMMIT" else sqlite3.SQLITE_OK


# -- what nobody expects --------------------------------------------------------------------------------------------


def put_told(bucket: SimulatedBucket, job: bytes, records: list[Record]) -> None:
    """A bundle of a stranger, and the feed that tells of it."""
    name = objects.bundle_name(bucket.now_ms, "eeeeeeee", "00000000")
    packed = bundle.pack(store_id=STORE_ID, job=job, name=name, members=[], large=[], records=records)
    bucket.put(objects.bundle_key(job, name), packed.data)
    section = feedtext.Section(job, name, tuple(record.line for record in packed.manifest.records))
    for data in feedtext.packed(STORE_ID, [section]):
        bucket.put(objects.feed_key(objects.hour(bucket.now_ms), bucket.now_ms, "eeeeeeee", "00000000"), data)


def empty_file(path: bytes, stamp: str) -> Record:
    content: Value = {"kind": "file", "size": 0, "stored": 0, "codec": "none", "mtime": 1, "created_at": 1}
    return Record(path, stamp, False, {"content": content, "mode": 0o644})


@pytest.mark.parametrize("stamp", ["086362cb1b7e-0000-eeeeeeee", "fffffffffffe-ffff-eeeeeeee"])
def test_a_stamp_beyond_the_times_that_files_have_folds_like_any_other(
    a: Machine, b: Machine, full: Following, bucket: SimulatedBucket, stamp: str
) -> None:
    now = f"{bucket.now_ms:012x}-0000-eeeeeeee"
    put_told(bucket, b"job", [empty_file(b"far", stamp), empty_file(b"here", now)])
    full.follow()
    a.refresh("job")
    assert set(full.machine.view("job")) == set(a.view("job")) == {"", "/far", "/here"}
    assert full.follower.followed.refusals == 0


def test_what_is_written_over_a_stamp_beyond_the_times_of_files_wins(
    a: Machine, full: Following, bucket: SimulatedBucket
) -> None:
    put_told(bucket, b"job", [empty_file(b"far", "086362cb1b7e-0000-eeeeeeee")])
    full.follow()
    full.machine.write("job/far", b"written here")
    full.machine.publish("job")
    a.refresh("job")
    assert a.read("job/far") == full.machine.read("job/far") == b"written here"


def test_a_path_as_deep_as_the_format_takes_is_followed(a: Machine, full: Following, bucket: SimulatedBucket) -> None:
    stamp = f"{bucket.now_ms:012x}-0000-eeeeeeee"
    put_told(bucket, b"deep", [empty_file(b"/".join([b"d"] * 2000), stamp)])
    publish(a, *some_jobs(a))
    full.follow()
    assert names_in_root(full.machine) == ["build-0", "build-1", "build-2", "deep"]
    assert full.follower.followed.refusals == 0


def test_a_bug_that_one_job_meets_keeps_no_other_from_the_index(
    a: Machine, full: Following, bucket: SimulatedBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(a, *some_jobs(a))
    told = folding._told

    def stumbling(job: folding._Job, here: folding.Here, *, room: int) -> Iterator[Told]:
        if job.name == b"build-1":
            raise ZeroDivisionError
        yield from told(job, here, room=room)

    monkeypatch.setattr(folding, "_told", stumbling)
    full.follow()
    assert names_in_root(full.machine) == ["build-0", "build-2"]
    assert full.follower.followed.refusals == 1
    bucket.now_ms += DAY_MS  # what is younger may be on its way through the feed
    full.scan()
    assert full.machine.view("build-1") == a.view("build-1")


# -- depth --------------------------------------------------------------------------------------------------------


def test_a_file_below_2000_directories_of_which_nobody_told_is_shown(a: Machine, full: Following) -> None:
    a.write("job/file", b"content")
    publish(a, "job")
    full.follow()
    rows: list[Row] = [(number - 1, b"d" if number else b"job", 1) for number in range(2_001)]
    stamp = "0" * 12 + "-0-" + "0" * 8
    rows.append((2_000, b"empty", 1, 0o644, 0, 0, 0, 1, 1, 1, None, stamp, None, None, None, None, 0, "raw"))
    told = Told(b"job", [], [], rows, [], [], [])
    with full.machine.store.ledger.transaction():
        full.machine.store.bulk.take([told], Changes())
    assert full.machine.entry("job/" + "d/" * 2_000 + "empty").size == 0
