"""`mountfs flush`, `wait` and `umount --wait`: exit 0 means that the bucket has confirmed it, and nothing else does."""

import json
import mmap
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from mountfs.config.schema import S3
from tests.faults.proxy import Hang, Refuse, Status
from tests.mounting import REPOSITORY, is_mounted
from tests.s3.conftest import Claims, ExpectedLog
from tests.s3.two import COMMAND_SECONDS, Machine, Machines, Two, eventually, seen_in, wait_until

SLOW_TO_SETTLE = {"sync": {"settle_seconds": "60s", "settle_max_seconds": "60s"}}
MIB = 1 << 20


@pytest.fixture(scope="module")
def machine(shared_machines: Machines) -> Machine:
    """One that sends nothing by itself within the time of a test."""
    return shared_machines(settings=SLOW_TO_SETTLE)


@pytest.fixture(autouse=True)
def _ends_well(shared_machines: Machines, _claims: Claims) -> Iterator[None]:
    """No fault outlives its test, and no complaint that the test did not expect."""
    yield
    for made in shared_machines.made:
        made.proxy.clear()
    assert shared_machines.complaints(_claims) == []


def write(machine: Machine, name: str, data: bytes = b"content") -> Path:
    path = machine.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def state_of(path: Path) -> bytes:
    return os.getxattr(path, "user.mountfs.state")


def in_bucket(machines: Machines, job: str) -> bool:
    return bool(machines.remote().list(f"jobs/{job}/").objects)


# -- what exit 0 means ------------------------------------------------------------------------------------------


def test_a_content_that_lost_is_counted_and_kept(machine: Machine, two: Two, job: str) -> None:
    """DESIGN §2: it is in the trash, and `status` says how many there were."""
    other, before = two[1], machine.bucket_status()["conflicts"]
    path = write(machine, f"{job}/report", b"the earlier one")
    write(other, f"{job}/report", b"the later one")
    other.flush()
    eventually(lambda: (os.listdir(path.parent), path.read_bytes())[1], b"the later one")
    assert machine.bucket_status()["conflicts"] == int(str(before)) + 1
    assert "lost against later ones" in machine.mountfs("status").stdout
    assert f"{job}/report" in machine.mountfs("trash", "list").stdout
    assert machine.mountfs("flush").returncode == 0


def test_after_a_flush_another_machine_sees_it_all(machine: Machine, two: Two, job: str) -> None:
    _, there = two
    write(machine, f"{job}/report.xml", b"<testsuite/>" * 1000)
    write(machine, f"{job}/deep/er/log", os.urandom(MIB))
    (machine.path / job / "link").symlink_to("report.xml")
    os.setxattr(machine.path / job, "user.branch", b"main")
    done = machine.mountfs("flush")
    assert done.returncode == 0, done.stderr
    assert "has confirmed 1 job" in done.stdout
    assert seen_in(there.path / job) == seen_in(machine.path / job)


CHANGES: dict[str, Callable[[Path], object]] = {
    "appended": lambda path: append(path, b"a line\n"),
    "cut": lambda path: os.truncate(path, 100),
    "grown": lambda path: os.truncate(path, 3 * MIB),
    "cut by its handle": lambda path: cut_by_handle(path, 200_000),
    "overwritten in the middle": lambda path: overwrite(path, 250_000, b"another"),
    "overwritten whole": lambda path: path.write_bytes(os.urandom(400_000)),
    "mapped": lambda path: through_a_mapping(path),
}


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def cut_by_handle(path: Path, size: int) -> None:
    with path.open("r+b") as file:
        file.truncate(size)


def through_a_mapping(path: Path) -> None:
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        mapped[1000:1004] = b"here"


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
@pytest.mark.parametrize("size", [300_000, 5 * MIB])
@pytest.mark.parametrize("evicted", [False, True], ids=["here", "evicted"])
def test_every_change_of_a_file_that_the_bucket_has_is_there_after_a_flush(
    machine: Machine, two: Two, job: str, change: Callable[[Path], object], size: int, evicted: bool
) -> None:
    _, there = two
    path = write(machine, f"{job}/file", os.urandom(size))
    flushed(machine)
    if evicted:
        assert machine.mountfs("evict", f"{job}/file").returncode == 0
    change(path)
    flushed(machine)
    assert state_of(path) == b"remote"
    assert (there.path / job / "file").read_bytes() == path.read_bytes()


def flushed(machine: Machine) -> None:
    done = machine.mountfs("flush")
    assert done.returncode == 0, done.stderr


def test_a_flush_of_a_job_does_not_wait_for_another_and_one_of_all_says_which_is_missing(
    machine: Machine, job: str
) -> None:
    machine.proxy.rule(Hang(), method="PUT", path=f"{job}-stuck/")
    write(machine, f"{job}/file")
    write(machine, f"{job}-stuck/file")
    alone = machine.mountfs("flush", f"{job}/file", "--json")
    assert alone.returncode == 0, alone.stderr
    assert json.loads(alone.stdout)["jobs"] == 1
    everything = machine.mountfs("flush", "--timeout", "1s")
    assert everything.returncode == 5
    assert f"{job}-stuck" in everything.stderr
    machine.proxy.clear()
    assert machine.mountfs("wait", f"{job}-stuck").returncode == 0


def test_a_second_flush_has_nothing_to_do_and_sends_nothing(machine: Machine, job: str) -> None:
    write(machine, f"{job}/file")
    assert machine.mountfs("flush").returncode == 0
    machine.proxy.forget()
    again = machine.mountfs("flush")
    assert (again.returncode, again.stdout) == (0, "the bucket has everything\n")
    assert not [asked for asked in machine.proxy.asked if asked.method == "PUT"]


def test_a_file_that_is_still_written_is_named_and_not_waited_for(
    machine: Machine, shared_machines: Machines, job: str
) -> None:
    write(machine, f"{job}/closed")
    with open(machine.path / job / "open.log", "wb", buffering=0) as file:
        file.write(b"so far")
        done = machine.mountfs("flush", job)
        assert done.returncode == 0, done.stderr
        assert f"{job}/open.log is still being written" in done.stderr
        assert state_of(machine.path / job / "closed") == b"remote"
    assert machine.mountfs("flush", job).stderr == ""
    assert state_of(machine.path / job / "open.log") == b"remote"


def test_a_flush_ends_although_somebody_goes_on_writing(machine: Machine, job: str) -> None:
    first = write(machine, f"{job}/first")
    ended = threading.Event()

    def go_on() -> None:
        number = 0
        while not ended.wait(0.01):
            number += 1
            write(machine, f"{job}/{number}")

    writer = threading.Thread(target=go_on)
    writer.start()
    try:
        done = machine.mountfs("flush", job, "--timeout", "30s")
    finally:
        ended.set()
        writer.join()
    assert done.returncode == 0, done.stderr
    assert state_of(first) == b"remote"
    assert machine.mountfs("flush", job).returncode == 0


# -- when it cannot be ------------------------------------------------------------------------------------------


def test_past_the_timeout_it_says_what_is_left_and_why(machine: Machine, job: str, expected_log: ExpectedLog) -> None:
    expected_log(r"does not answer|is not in the bucket")
    machine.proxy.rule(Refuse())
    path = write(machine, f"{job}/file", os.urandom(MIB))
    done = machine.mountfs("flush", job, "--timeout", "4s")
    assert done.returncode == 5
    assert f"1.0 MiB of {job}" in done.stderr
    assert "the bucket does not answer" in done.stderr
    machine.proxy.clear()
    assert machine.mountfs("flush").returncode == 0
    assert state_of(path) == b"remote"


def test_what_the_bucket_refuses_fails_with_its_reason_until_it_is_tried_again(
    machine: Machine, job: str, expected_log: ExpectedLog
) -> None:
    expected_log(r"is not in the bucket")
    machine.proxy.rule(Status(403, "AccessDenied"), method="PUT", path=f"jobs/{job}/")
    refused, other = write(machine, f"{job}/file"), write(machine, f"{job}-other/file")
    done = machine.mountfs("flush")
    assert done.returncode == 6
    assert f"{job}: not in the bucket" in done.stderr
    assert "AccessDenied" in done.stderr
    assert (state_of(refused), state_of(other)) == (b"failed", b"remote")
    listed = [json.loads(line) for line in machine.mountfs("list", job, "--json").stdout.splitlines()]
    assert [artifact["state"] for artifact in listed] == ["failed"]
    assert f"failed {job}: " in machine.mountfs("status").stdout
    machine.proxy.clear()
    assert machine.mountfs("flush", job).returncode == 0
    assert state_of(refused) == b"remote"


def test_a_job_that_nobody_knows_is_an_error(machine: Machine) -> None:
    assert machine.mountfs("wait", "no-such-job").returncode == 3


def test_a_removed_job_is_flushed_too(machine: Machine, shared_machines: Machines, two: Two, job: str) -> None:
    _, there = two
    path = write(machine, f"{job}/file")
    assert machine.mountfs("flush").returncode == 0
    assert (there.path / job / "file").exists()
    path.unlink()
    path.parent.rmdir()
    done = machine.mountfs("flush", job)
    assert done.returncode == 0, done.stderr
    eventually((there.path / job / "file").exists, expected=False)


# -- states and requests ----------------------------------------------------------------------------------------


def test_the_state_goes_from_draft_over_local_to_remote(machine: Machine, job: str) -> None:
    path = machine.path / job / "file"
    path.parent.mkdir()
    with open(path, "wb", buffering=0) as file:
        file.write(b"so far")
        assert state_of(path) == b"draft"
    assert state_of(path) == b"local"
    assert machine.mountfs("flush", job).returncode == 0
    assert state_of(path) == b"remote"
    assert json.loads(machine.mountfs("show", f"{job}/file", "--json").stdout)["state"] == "remote"
    os.setxattr(path, "user.pr", b"1")
    assert state_of(path) == b"local"


def test_while_it_is_sent_the_state_is_uploading(machine: Machine, job: str) -> None:
    hanging = machine.proxy.rule(Hang(), method="PUT", path=f"jobs/{job}/", times=1)
    path = write(machine, f"{job}/file")
    os.setxattr(path, "user.mountfs.flush", b"1")
    assert hanging.reached.wait(20)
    assert state_of(path) == b"uploading"
    hanging.drop()
    eventually(lambda: state_of(path), b"remote")


def test_a_request_by_xattr_only_enqueues_and_leaves_no_attribute(machine: Machine, job: str) -> None:
    path = write(machine, f"{job}/file")
    os.setxattr(path, "user.mountfs.flush", b"1")
    assert os.listxattr(path) == []
    eventually(lambda: state_of(path), b"remote")


# -- umount, and where nothing is mounted -------------------------------------------------------------------------


def test_umount_wait_unmounts_once_the_bucket_has_everything_and_not_before(
    make_machine: Machines, expected_log: ExpectedLog
) -> None:
    expected_log(r"does not answer|is not in the bucket")
    machine = make_machine(settings=SLOW_TO_SETTLE)
    rule = machine.proxy.rule(Refuse(), method="PUT")
    write(machine, "job/file", os.urandom(MIB))
    failed = machine.mountfs("umount", "--wait", "--timeout", "3s")
    assert failed.returncode == 5
    assert "is still mounted" in failed.stderr
    assert (machine.path / "job/file").stat().st_size == MIB
    rule.drop()
    wait_until(lambda: machine.bucket_status()["down"] is None, "the bucket answers again")
    done = machine.mountfs("umount", "--wait")
    assert done.returncode == 0, done.stderr
    assert not is_mounted(machine.path)
    machine.ended("after umount --wait")
    assert in_bucket(make_machine, "job")


def test_sigterm_ends_in_time_while_parts_of_a_large_upload_hang(make_machine: Machines) -> None:
    machine = make_machine(environment={"MOUNTFS_STORAGE__S3__READ_TIMEOUT_SECONDS": "120"})
    hanging = machine.proxy.rule(Hang(), method="PUT", path="partNumber")
    data = os.urandom(20 * MIB)
    write(machine, "job/large", data)
    assert hanging.reached.wait(30), "the upload has begun"
    began = time.monotonic()
    machine.end(signal.SIGTERM)
    assert time.monotonic() - began < 15
    machine.proxy.clear()
    machine.start()
    assert machine.mountfs("flush").returncode == 0
    assert state_of(machine.path / "job/large") == b"remote"


class Unmounted:
    """Commands about a store that nothing mounts."""

    def __init__(self, folder: Path, storage: object) -> None:
        self.settings = folder / "settings.yml"
        self.settings.write_text(
            yaml.safe_dump(
                {"mountpoint": str(folder / "mount"), "state": str(folder / "state")}
                | ({"storage": storage} if storage else {})
            )
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "mountfs.cli", *arguments, "--config", str(self.settings)],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
        )


def test_where_nothing_is_mounted_the_store_itself_is_flushed(
    tmp_path: Path, make_machine: Machines, remote_settings: S3
) -> None:
    storage = {"backend": "s3", "s3": remote_settings.model_dump(mode="json", exclude_none=True)}
    alone = Unmounted(tmp_path, storage)
    (tmp_path / "report").write_bytes(b"report")
    assert alone.run("put", "job/report", str(tmp_path / "report")).returncode == 0
    done = alone.run("flush")
    assert done.returncode == 0, done.stderr
    assert (make_machine().path / "job/report").read_bytes() == b"report"
    evicted = alone.run("evict")
    assert (evicted.returncode, evicted.stdout) == (0, "evicted 1 contents, 6 B; 0 stay, 0 B\n"), evicted.stderr
    fetched = alone.run("prefetch", "job")
    assert (fetched.returncode, fetched.stdout) == (0, "fetched 1 files, 6 B\n"), fetched.stderr


@pytest.mark.parametrize("command", ["flush", "evict"])
def test_without_a_bucket_there_is_nothing_to_do_and_the_exit_code_is_2(tmp_path: Path, command: str) -> None:
    alone = Unmounted(tmp_path, None)
    (tmp_path / "report").write_bytes(b"report")
    assert alone.run("put", "job/report", str(tmp_path / "report")).returncode == 0
    done = alone.run(command)
    assert done.returncode == 2
    assert done.stderr.startswith("mountfs: this store has no bucket")


def test_where_there_is_no_store_yet_nothing_is_made(tmp_path: Path) -> None:
    alone = Unmounted(tmp_path, None)
    assert alone.run("flush").returncode == 3
    assert not (tmp_path / "state").exists()
