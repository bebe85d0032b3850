"""`mountfs maintain`, and what a machine with the whole index does of it by itself, on a real S3 server."""

import contextlib
import json
import sqlite3
from collections.abc import Iterator

from mountfs import bundle, objects
from mountfs.bucket.requests import drive, listing
from mountfs.records import Record, Value
from tests.faults.proxy import ShiftDate, Status
from tests.s3.conftest import ExpectedLog, MachineFactory
from tests.s3.two import Machine, eventually, seen_in, wait_until

SHARDS = 17
FULL = {"sync": {"mode": "full", "sync_seconds": "300ms"}}
A_DAY_AND_MORE = 26 * 3600


def crowded(machines: MachineFactory, job: bytes = b"build-1") -> None:
    """A job of many small bundles, as shards of many machines make it."""
    remote = machines.remote()
    store_id = json.loads(remote.get(objects.MOUNTFS_JSON, most_bytes=4096).data)["store"]
    for number in range(SHARDS):
        now_ms = remote.server_ms()
        stamp = f"{now_ms:012x}-{number:04x}-aaaaaaaa"
        content: Value = {"kind": "file", "size": 0, "stored": 0, "codec": "none", "mtime": 1, "created_at": 1}
        record = Record(b"shard-%d" % number, stamp, False, {"content": content, "tag:shard": str(number)})
        name = objects.bundle_name(now_ms, "aaaaaaaa", f"{number:08x}")
        packed = bundle.pack(store_id=store_id, job=job, name=name, members=[], large=[], records=[record])
        remote.put(objects.bundle_key(job, name), packed.data)


def bundles(machines: MachineFactory, job: str = "build-1") -> list[str]:
    return [listed.key for listed in drive(listing(objects.job_prefix(job.encode())), machines.remote())]


def dated_later(machine: Machine, seconds: float) -> None:
    machine.proxy.rule(ShiftDate(seconds))


def lines(said: str) -> Iterator[dict[str, object]]:
    return (json.loads(line) for line in said.splitlines())


def test_small_bundles_are_merged_and_nothing_is_lost(make_machine: MachineFactory) -> None:
    machine = make_machine()
    crowded(make_machine)
    assert len(bundles(make_machine)) == SHARDS
    said = machine.mountfs("maintain")
    assert said.returncode == 0, said.stderr
    assert "1 jobs maintained: 16 bundles merged into 1" in said.stdout
    assert len(bundles(make_machine)) == SHARDS - 15
    assert seen_in(make_machine().path / "build-1") == seen_in(machine.path / "build-1")


def test_a_dry_run_names_what_is_due_and_changes_nothing(make_machine: MachineFactory) -> None:
    machine = make_machine()
    crowded(make_machine)
    (machine.path / "quiet").mkdir()
    machine.flush()
    said = machine.mountfs("maintain", "--dry-run")
    assert said.returncode == 0, said.stderr
    assert said.stdout.splitlines() == ["would maintain build-1: it has many small bundles", "1 jobs are due"]
    assert list(lines(machine.mountfs("maintain", "--dry-run", "--json").stdout)) == [
        {"schema": 1, "job": "build-1", "reason": "it has many small bundles"}
    ]
    assert len(bundles(make_machine)) == SHARDS


def test_it_works_where_nothing_is_mounted(make_machine: MachineFactory) -> None:
    machine = make_machine()
    crowded(make_machine)
    machine.stop()
    said = machine.alone("maintain", "--json")
    assert said.returncode == 0, said.stderr
    (done,) = lines(said.stdout)
    assert (done["jobs"], done["merged"], done["into"], done["failed"]) == (1, 16, 1, 0)
    assert len(bundles(make_machine)) == SHARDS - 15


def test_a_job_that_the_bucket_does_not_have_is_told(machine: Machine) -> None:
    said = machine.mountfs("maintain", "build-9")
    assert said.returncode == 3
    assert "build-9: not found in the bucket" in said.stderr


def test_a_part_of_a_job_is_refused(machine: Machine) -> None:
    said = machine.mountfs("maintain", "build-1/coverage")
    assert said.returncode == 2
    assert "whole jobs" in said.stderr


def test_a_read_only_mount_maintains_nothing(make_machine: MachineFactory) -> None:
    make_machine()
    crowded(make_machine)
    reader = make_machine(arguments=("--read-only",))
    said = reader.mountfs("maintain")
    assert said.returncode == 4
    assert "read-only" in said.stderr
    assert len(bundles(make_machine)) == SHARDS


def test_who_may_not_delete_is_told_and_nothing_is_lost(
    make_machine: MachineFactory, expected_log: ExpectedLog
) -> None:
    expected_log("AccessDenied|refuse")
    machine = make_machine()
    crowded(make_machine)
    machine.proxy.rule(Status(403, "AccessDenied"), method="POST", path=r"\?delete")
    said = machine.mountfs("maintain")
    assert said.returncode == 6, said.stdout
    machine.proxy.clear()
    assert machine.mountfs("maintain").returncode == 0
    assert len(bundles(make_machine)) == SHARDS - 15
    assert seen_in(make_machine().path / "build-1") == seen_in(machine.path / "build-1")


def test_a_machine_with_the_whole_index_maintains_by_itself(make_machine: MachineFactory) -> None:
    runner = make_machine()
    crowded(make_machine)
    before = seen_in(runner.path / "build-1")
    assert len(before) == SHARDS
    full = make_machine(settings=FULL)
    eventually(lambda: len(bundles(make_machine)), SHARDS - 15)
    assert seen_in(full.path / "build-1") == before


def test_what_no_feed_told_of_is_maintained_after_the_daily_listing(make_machine: MachineFactory) -> None:
    machine = make_machine(settings=FULL)
    wait_until(lambda: "maintained" in known(machine), "it had its first round")
    crowded(make_machine)
    assert len(bundles(make_machine)) == SHARDS
    dated_later(machine, A_DAY_AND_MORE)
    (machine.path / "build-2").mkdir()  # what is published is answered with the server's time
    eventually(lambda: len(bundles(make_machine)), SHARDS - 15)


def known(machine: Machine) -> set[str]:
    """What its catalog has noted."""
    with contextlib.closing(sqlite3.connect(f"file:{machine.state}/catalog.db?mode=ro", uri=True)) as db:
        return {key for (key,) in db.execute("SELECT key FROM meta")}
