"""Heads: the jobs of a branch, commit or pull request are found without the index, in one LIST and few GETs."""

import json

import pytest

from mountfs import objects
from mountfs.bucket.heads import JobHead, drop_old_heads, find_jobs, jobs_lacking
from mountfs.bucket.requests import drive
from mountfs.bucket.telling import tell
from mountfs.errors import RemoteDenied
from mountfs.reports.wire import Summary
from tests.bucket.machines import Machine
from tests.bucket.simulated import SimulatedBucket

HEADS = ("branch", "commit", "pr")


@pytest.fixture
def machine(a: Machine) -> Machine:
    a.ground.heads = HEADS
    return a


def tell_of(machine: Machine, job: str) -> None:
    machine.publish(job)
    drive(tell(machine.ground, machine.job(job)), machine.remote)


def heads_of(bucket: SimulatedBucket) -> list[objects.Head]:
    parsed = [objects.parse_head(key) for key in sorted(bucket.objects) if key.startswith(objects.HEADS)]
    return [head for head in parsed if head is not None]


def found(bucket: SimulatedBucket, key: str, value: bytes, *, limit: int = 5, beginning: bool = False) -> list[JobHead]:
    return drive(find_jobs(key, value, limit=limit, beginning=beginning), bucket)


def make_jobs(machine: Machine, bucket: SimulatedBucket, count: int, **tags: str) -> None:
    for number in range(count):
        machine.write(f"build-{number}/log", b"line\n")
        machine.tag(f"build-{number}", **tags)
        tell_of(machine, f"build-{number}")
        bucket.now_ms += 1000


def test_a_head_says_status_tags_types_and_top_names(machine: Machine, bucket: SimulatedBucket) -> None:
    machine.write("job/junit.xml", b"<testsuite/>")
    machine.write("job/htmlcov/index.html", b"<html/>")
    machine.tag("job", branch="main", status="success", team="x")
    tell_of(machine, "job")
    (head,) = found(bucket, "branch", b"main")
    assert (head.job, head.status, head.pr, head.tags) == (b"job", b"success", None, {"branch": b"main"})
    assert head.types == ("coverage-report", "test-results")
    assert head.top == (b"htmlcov", b"junit.xml")


def read_as_findings(machine: Machine, key: str) -> bytes:
    """Its digest, once what it says is known."""
    entry = machine.entry(key)
    assert entry.content is not None
    content = machine.store.catalog.content(entry.content)
    assert content is not None
    assert content.digest is not None
    with machine.store.catalog.transaction():
        machine.store.catalog.reports.put(content.digest, Summary("bandit", "1", "findings", "security-findings", {}))
    return content.digest


def test_a_head_names_the_type_of_a_report_whose_name_says_nothing(machine: Machine, bucket: SimulatedBucket) -> None:
    machine.write("job/out.json", b"{}")
    machine.tag("job", branch="main")
    read_as_findings(machine, "job/out.json")
    tell_of(machine, "job")
    (head,) = found(bucket, "branch", b"main")
    assert head.types == ("security-findings",)


def test_a_type_that_was_read_after_the_head_was_told_is_told_again_once(
    machine: Machine, bucket: SimulatedBucket
) -> None:
    machine.write("job/out.json", b"{}")
    machine.tag("job", branch="main")
    tell_of(machine, "job")
    machine.store.indexer.catch_up()
    digest = read_as_findings(machine, "job/out.json")
    assert jobs_lacking(machine.ground, digest, "security-findings") == [machine.job("job")]
    bucket.now_ms += 1000
    drive(tell(machine.ground, machine.job("job")), machine.remote)
    (head,) = found(bucket, "branch", b"main")
    assert head.types == ("security-findings",)
    assert jobs_lacking(machine.ground, digest, "security-findings") == []


def test_the_newest_jobs_come_first_in_one_list_and_a_get_each(machine: Machine, bucket: SimulatedBucket) -> None:
    make_jobs(machine, bucket, 20, branch="main")
    bucket.requests.clear()
    assert [head.job for head in found(bucket, "branch", b"main")] == [b"build-%d" % n for n in (19, 18, 17, 16, 15)]
    assert [kind for kind, _key in bucket.requests] == ["list", *["get"] * 5]


def test_a_head_that_was_written_late_makes_its_job_no_newer_and_costs_a_get(
    machine: Machine, bucket: SimulatedBucket
) -> None:
    make_jobs(machine, bucket, 20, branch="main")
    machine.write("build-3/late/note.txt", b"late\n")
    tell_of(machine, "build-3")
    bucket.requests.clear()
    assert [head.job for head in found(bucket, "branch", b"main", limit=3)] == [b"build-19", b"build-18", b"build-17"]
    assert [kind for kind, _key in bucket.requests] == ["list", *["get"] * 4]
    assert [head.job for head in found(bucket, "branch", b"main", limit=1)] == [b"build-19"]


def test_a_head_says_the_beginning_of_its_job_and_an_older_one_counts_by_its_own_time(
    machine: Machine, bucket: SimulatedBucket
) -> None:
    make_jobs(machine, bucket, 2, branch="main")
    began_ns = machine.entry("build-1").birth_ns
    key = min(key for key in bucket.objects if key.startswith(objects.HEADS))
    said = json.loads(bucket.objects[key][0])
    assert said["began"] == found(bucket, "branch", b"main")[0].began_ns == began_ns
    del said["began"]
    bucket.objects[key] = (json.dumps(said).encode(), bucket.now_ms)
    (listed,) = [head for head in heads_of(bucket) if head.job == "build-1"]
    assert next((head.job, head.began_ns) for head in found(bucket, "branch", b"main")) == (
        b"build-1", listed.when_ms * 1_000_000
    )  # fmt: skip


def test_a_job_began_when_the_first_of_all_in_it_was_made_whoever_made_its_directory_last(
    machine: Machine, b: Machine, bucket: SimulatedBucket
) -> None:
    machine.write("job/first", b"1")
    first_ns = machine.entry("job/first").birth_ns
    machine.publish("job")
    bucket.now_ms += 60_000
    b.write("job/second", b"2")
    made_ns = b.entry("job").birth_ns
    b.publish("job")
    for one in (machine, b):
        one.refresh("job")
        assert one.entry("job").birth_ns == made_ns
        one.store.indexer.catch_up()
        assert one.store.catalog._run("SELECT began_ns FROM holding").fetchall() == [(first_ns,)]


def test_a_directory_alone_that_another_machine_makes_again_is_heard_of_by_the_index(
    machine: Machine, b: Machine, bucket: SimulatedBucket
) -> None:
    machine.mkdir("job")
    bucket.now_ms += 1000
    machine.write("job/first", b"1")
    machine.publish("job")
    machine.store.indexer.catch_up()
    bucket.now_ms += 60_000
    b.mkdir("job")
    b.publish("job")
    for one in (machine, b):
        one.refresh("job")
        one.store.indexer.catch_up()
        began = one.store.catalog._run("SELECT began_ns FROM holding").fetchall()
        assert began == [(machine.entry("job/first").birth_ns,)]


def test_a_short_sha_finds_its_commits(machine: Machine, bucket: SimulatedBucket) -> None:
    for number, sha in enumerate(("abc123ff", "abc123ee", "abd00000")):
        machine.write(f"build-{number}/log", b"line\n")
        machine.tag(f"build-{number}", commit=sha)
        tell_of(machine, f"build-{number}")
        bucket.now_ms += 1000
    assert [head.job for head in found(bucket, "commit", b"abc123", beginning=True)] == [b"build-1", b"build-0"]


def test_a_head_is_written_once_until_it_would_say_something_new(machine: Machine, bucket: SimulatedBucket) -> None:
    machine.write("job/log", b"1")
    machine.tag("job", branch="main")
    tell_of(machine, "job")
    machine.write("job/log", b"2")
    tell_of(machine, "job")
    assert len(heads_of(bucket)) == 1
    machine.tag("job", status="failed")
    bucket.now_ms += 1000
    tell_of(machine, "job")
    assert len(heads_of(bucket)) == 2
    assert [head.status for head in found(bucket, "branch", b"main")] == [b"failed"]


def test_a_job_that_has_the_tag_no_more_is_not_found_by_it(machine: Machine, bucket: SimulatedBucket) -> None:
    make_jobs(machine, bucket, 2, branch="main")
    machine.tag("build-1", branch="release")
    tell_of(machine, "build-1")
    assert [head.job for head in found(bucket, "branch", b"main")] == [b"build-0"]
    assert [head.job for head in found(bucket, "branch", b"release")] == [b"build-1"]


def test_a_removed_job_is_not_found(machine: Machine, bucket: SimulatedBucket) -> None:
    make_jobs(machine, bucket, 2, branch="main")
    machine.unlink("build-1/log")
    machine.rmdir("build-1")
    tell_of(machine, "build-1")
    assert [head.job for head in found(bucket, "branch", b"main")] == [b"build-0"]


def test_values_and_jobs_of_any_bytes_and_length_are_found(machine: Machine, bucket: SimulatedBucket) -> None:
    job, branch = "ü" * 100, "feature/" + "ö/" * 200
    machine.write(f"{job}/log", b"line\n")
    machine.tag(job, branch=branch)
    tell_of(machine, job)
    assert [head.job for head in found(bucket, "branch", branch.encode())] == [job.encode()]
    assert found(bucket, "branch", (branch + "x").encode()) == []


def test_a_head_that_lies_or_is_damaged_is_left_out(machine: Machine, bucket: SimulatedBucket) -> None:
    make_jobs(machine, bucket, 3, branch="main")
    first, second, _third = sorted(key for key in bucket.objects if key.startswith(objects.HEADS))
    bucket.objects[first] = (b"{", bucket.now_ms)
    said = json.loads(bucket.objects[second][0])
    bucket.objects[second] = (json.dumps({**said, "job": "another"}).encode(), bucket.now_ms)
    assert [head.job for head in found(bucket, "branch", b"main")] == [b"build-0"]


def test_maintenance_keeps_the_newest_head_of_a_job(machine: Machine, bucket: SimulatedBucket) -> None:
    make_jobs(machine, bucket, 2, branch="main")
    for status in ("running", "failed", "success"):
        bucket.now_ms += 1000
        machine.tag("build-0", status=status)
        tell_of(machine, "build-0")
    bucket.now_ms += 2 * 3_600_000
    assert drive(drop_old_heads(machine.ground), bucket) == 3
    assert [(head.job, head.status) for head in found(bucket, "branch", b"main")] == [
        (b"build-1", None), (b"build-0", b"success")
    ]  # fmt: skip


def test_heads_that_are_refused_keep_neither_the_feed_nor_the_job_back(
    machine: Machine, bucket: SimulatedBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = bucket.put

    def refuse(key: str, data: bytes, **about: object) -> object:
        if key.startswith(objects.HEADS):
            raise RemoteDenied("403")
        return put(key, data, **about)  # type: ignore[arg-type]

    monkeypatch.setattr(bucket, "put", refuse)
    machine.write("job/log", b"line\n")
    machine.tag("job", branch="main")
    with pytest.raises(RemoteDenied):
        tell_of(machine, "job")
    assert not machine.ground.tables.untold()
    monkeypatch.undo()
    drive(tell(machine.ground, machine.job("job")), bucket)
    assert [head.job for head in found(bucket, "branch", b"main")] == [b"job"]
    assert len([key for key in bucket.objects if key.startswith(objects.FEED)]) == 1


def test_an_emptied_job_is_hidden_and_shown_again_when_it_is_back(
    machine: Machine, b: Machine, bucket: SimulatedBucket
) -> None:
    gone = objects.gone_key(b"job")
    machine.write("job/log", b"line\n")
    tell_of(machine, "job")
    assert gone not in bucket.objects
    machine.unlink("job/log")
    machine.rmdir("job")
    tell_of(machine, "job")
    assert bucket.objects[gone][0] == b""
    b.refresh("job")
    b.write("job/other", b"back\n")
    tell_of(b, "job")
    assert len(bucket.objects[gone][0]) == 1


def test_a_job_in_which_others_wrote_is_not_hidden_by_who_removed_his_part(
    machine: Machine, b: Machine, bucket: SimulatedBucket
) -> None:
    machine.write("job/mine", b"1")
    machine.publish("job")
    b.write("job/yours", b"2")
    b.publish("job")
    machine.unlink("job/mine")
    machine.rmdir("job")
    tell_of(machine, "job")
    assert objects.gone_key(b"job") not in bucket.objects
