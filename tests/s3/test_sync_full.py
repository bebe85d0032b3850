"""`sync: full` on real mounts: the whole index is here, queries and listings ask nothing, and follow what others do."""

import itertools
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mountfs.bucket.requests import drive, listing
from tests.faults.proxy import Refuse, Status
from tests.mounting import REPOSITORY
from tests.s3.conftest import ExpectedLog, MachineFactory
from tests.s3.two import Machine, eventually, seen_in, wait_until

FULL = {"sync": {"mode": "full", "sync_seconds": "300ms"}}


def index_of(machine: Machine) -> dict[str, object]:
    found = machine.bucket_status()["index"]
    assert isinstance(found, dict)
    return found


def has_index(machine: Machine) -> bool:
    return bool(index_of(machine)["complete"])


def make_jobs(machine: Machine, count: int) -> list[str]:
    for number in range(count):
        job = machine.path / f"build-{number}"
        (job / "htmlcov").mkdir(parents=True)
        (job / "junit.xml").write_bytes(b"<testsuite/>" * (number + 1))
        (job / "htmlcov" / "index.html").write_bytes(b"<html>" * 100)
        os.setxattr(job, "user.branch", b"main")
    machine.flush()
    return sorted(f"build-{number}" for number in range(count))


def keys(machines: MachineFactory, prefix: str) -> list[str]:
    """What lies in the bucket below a prefix."""
    return [listed.key for listed in drive(listing(prefix), machines.remote())]


def test_listings_need_no_request_once_the_index_is_here(make_machine: MachineFactory) -> None:
    writer = make_machine()
    jobs = make_jobs(writer, 5)
    full = make_machine(settings=FULL)
    wait_until(lambda: has_index(full), "the index is complete")
    full.proxy.forget()
    assert sorted(os.listdir(full.path)) == jobs
    assert [path.name for path in sorted(full.path.rglob("*.xml"))] == ["junit.xml"] * 5
    assert [asked for asked in full.proxy.asked if ".zip" in asked.target] == []
    assert seen_in(full.path) == seen_in(writer.path)


def test_what_others_do_is_seen_within_sync_seconds(make_machine: MachineFactory) -> None:
    writer, full = make_machine(), make_machine(settings=FULL)
    wait_until(lambda: has_index(full), "the index is complete")
    make_jobs(writer, 2)
    eventually(lambda: sorted(os.listdir(full.path)), ["build-0", "build-1"])
    (writer.path / "build-0" / "junit.xml").write_text("changed")
    os.remove(writer.path / "build-1" / "junit.xml")
    writer.flush()
    eventually(lambda: (full.path / "build-0" / "junit.xml").read_text(), "changed")
    eventually(lambda: sorted(os.listdir(full.path / "build-1")), ["htmlcov"])


def test_many_who_open_files_of_a_job_known_by_the_feed_alone_share_one_reading(make_machine: MachineFactory) -> None:
    writer = make_machine()
    (writer.path / "job").mkdir()
    for number in range(12):
        (writer.path / "job" / f"file-{number}").write_bytes(b"%d" % number * 100)
    writer.flush()
    full = make_machine(settings={"sync": {"mode": "full", "sync_seconds": "300ms", "refresh_seconds": "1m"}})
    wait_until(lambda: has_index(full), "the index is complete")
    full.proxy.forget()
    with ThreadPoolExecutor(12) as threads:
        read = list(threads.map(lambda number: (full.path / "job" / f"file-{number}").read_bytes(), range(12)))
    assert read == [b"%d" % number * 100 for number in range(12)]
    listings = [asked for asked in full.proxy.asked if "list-type" in asked.target and "jobs%2Fjob%2F" in asked.target]
    assert len(listings) == 1


def test_a_restart_during_an_outage_shows_the_whole_index(
    make_machine: MachineFactory, expected_log: ExpectedLog
) -> None:
    writer, full = make_machine(), make_machine(settings=FULL)
    jobs = make_jobs(writer, 3)
    wait_until(lambda: has_index(full), "the index is complete")
    eventually(lambda: sorted(os.listdir(full.path)), jobs)
    full.stop()
    expected_log(r"mounted without the bucket|the bucket does not answer")
    full.proxy.rule(Refuse())
    full.start()
    assert sorted(os.listdir(full.path)) == jobs
    assert (full.path / "build-1" / "junit.xml").stat().st_size == 24
    full.proxy.clear()


def test_sync_rebuild_brings_back_catalog_feed_and_heads(make_machine: MachineFactory) -> None:
    writer = make_machine()
    jobs = make_jobs(writer, 3)
    derived = [*keys(make_machine, "feed/"), *keys(make_machine, "heads/")]
    assert len(derived) >= 6
    make_machine.remote().delete(derived)
    full = make_machine(settings=FULL)
    said = full.alone("sync", "--rebuild", "--json")
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout)["jobs"] == 3
    assert len(keys(make_machine, "heads/branch/main/")) == 3
    assert keys(make_machine, "feed/")
    assert sorted(os.listdir(full.path)) == jobs
    assert seen_in(full.path) == seen_in(writer.path)


def test_sync_without_a_mount_catches_up_too(make_machine: MachineFactory) -> None:
    writer = make_machine()
    make_jobs(writer, 2)
    full = make_machine(settings=FULL)
    full.stop()
    said = full.alone("sync")
    assert said.returncode == 0, said.stderr
    assert "2 jobs are known here" in said.stdout


def test_sync_of_a_store_without_a_bucket_says_so(tmp_path: Path) -> None:
    file, state = tmp_path / "local.yml", tmp_path / "state"
    file.write_text("{}")
    where = ["--config", str(file), "--state", str(state)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MOUNTFS_")}
    program = [sys.executable, "-m", "mountfs.cli"]
    put = [*program, "put", "job/file", str(file), *where]
    subprocess.run(put, cwd=REPOSITORY, env=environment, check=True, capture_output=True)
    said = subprocess.run([*program, "sync", *where], cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    assert said.returncode == 2
    assert "no bucket" in said.stderr


def test_a_feed_that_is_refused_keeps_no_job_from_the_bucket(
    make_machine: MachineFactory, expected_log: ExpectedLog
) -> None:
    expected_log("feed and heads lack something")
    machine = make_machine()
    machine.proxy.rule(Status(403, "AccessDenied"), method="PUT", path="/feed/")
    make_jobs(machine, 1)
    wait_until(lambda: bool(machine.bucket_status()["untold"]), "status says what is untold")
    assert keys(make_machine, "jobs/build-0/")
    assert not keys(make_machine, "feed/")
    machine.stop()
    machine.proxy.clear()
    machine.start()
    wait_until(lambda: bool(keys(make_machine, "feed/")), "what was untold is told after a restart")


def test_the_process_that_folds_ends_with_its_daemon(make_machine: MachineFactory) -> None:
    writer = make_machine()
    make_jobs(writer, 1)
    full = make_machine(settings=FULL)
    wait_until(lambda: has_index(full), "the index is complete")
    folders = [pid for pid in children(full.pid) if b"mountfs.bucket.folding" in cmdline(pid)]
    assert len(folders) == 1
    full.kill()
    wait_until(lambda: not any(cmdline(pid) for pid in folders), "nothing is left of it")
    full.start()


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for child in itertools.chain(*((task / "children").read_text().split() for task in tasks))]


def cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""
