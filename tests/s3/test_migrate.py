"""A store that had no bucket gets one: everything is sent, looked at there, and lies where it lay."""

import os
from pathlib import Path

import pytest

from mountfs.config.schema import S3
from mountfs.remote.bucket import S3Remote
from tests.faults.proxy import Proxy, Refuse
from tests.s3.program import Program, storage_of
from tests.s3.two import Machines, seen_in

LOCAL = {"backend": "local"}


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """A store of this machine alone, with two jobs in it."""
    program = Program(tmp_path / "here", LOCAL)
    program.put("one/report.xml", b"<testsuite/>" * 100)
    program.put("one/copy.xml", b"<testsuite/>" * 100)
    program.put("two/video.mp4", os.urandom(5 << 20))
    program("tag", "one", "branch=main")
    return program


def test_without_a_bucket_in_the_settings_there_is_nothing_to_do(program: Program) -> None:
    assert "storage.backend" in program("migrate", code=2)


def test_a_dry_run_counts_and_neither_sends_nor_notes_anything(program: Program, remote_settings: S3) -> None:
    program.configure(storage=storage_of(remote_settings))
    (told,) = program.json("migrate", "--dry-run")
    assert (told["jobs"], told["paths"], told["contents"]) == (2, 3, 2)
    assert int(str(told["bytes"])) > 5 << 20
    remote = S3Remote(remote_settings)
    assert remote.list("").objects == ()
    remote.close()
    program.configure(storage=LOCAL)
    program("delete", "two", "--yes")
    program.configure(storage=storage_of(remote_settings))
    assert program.json("migrate", "--dry-run")[0]["jobs"] == 1


def test_everything_is_there_and_on_another_machine_under_the_same_paths(
    program: Program, remote_settings: S3, make_machine: Machines, tmp_path: Path
) -> None:
    program.configure(storage=storage_of(remote_settings))
    (told,) = program.json("migrate", "--read-back")
    assert (told["jobs"], told["contents"], told["skipped"]) == (2, 2, 0)
    elsewhere = make_machine()
    assert (elsewhere.path / "one/report.xml").read_bytes() == b"<testsuite/>" * 100
    assert os.getxattr(elsewhere.path / "one/copy.xml", "user.branch") == b"main"
    assert set(seen_in(elsewhere.path / "two")) == {"video.mp4"}
    assert program.json("migrate", "--dry-run")[0]["bytes"] == 0


def test_interrupted_it_goes_on_where_it_was(program: Program, remote_settings: S3, proxy: Proxy) -> None:
    slow = storage_of(remote_settings, endpoint_url=proxy.endpoint_url)
    program.configure(storage=slow, sync={"patience_seconds": "1s"})
    rule = proxy.rule(Refuse(), method="PUT", path=r".*/jobs/two/.*")
    assert "run it again" in program("migrate", "--timeout", "4s", code=5)
    assert rule.hits
    proxy.clear()
    proxy.forget()
    program("migrate")
    sent = [path for method, path in _puts(proxy)]
    assert sent
    remote = S3Remote(remote_settings)
    assert len([f for f in remote.list("jobs/one/").objects if f.key.endswith(".zip")]) == 1
    remote.close()


def _puts(proxy: Proxy) -> list[tuple[str, str]]:
    return [(method, kind) for method, kind in proxy.counted() if method == "PUT"]


def test_content_that_is_missing_in_the_bucket_is_told(program: Program, remote_settings: S3) -> None:
    program.configure(storage=storage_of(remote_settings))
    program("migrate")
    remote = S3Remote(remote_settings)
    remote.delete([found.key for found in remote.list("jobs/two/").objects if not found.key.endswith(".zip")])
    remote.close()
    assert "two/the content" in program("migrate", code=7)


def test_content_that_rotted_in_the_bucket_is_found_by_reading_it_back(program: Program, remote_settings: S3) -> None:
    program.configure(storage=storage_of(remote_settings))
    program("migrate")
    remote = S3Remote(remote_settings)
    (large,) = [found for found in remote.list("jobs/two/").objects if not found.key.endswith(".zip")]
    remote.put(large.key, bytes(large.size))
    remote.close()
    program("migrate")
    assert "not what its checksum says" in program("migrate", "--read-back", code=7)


def test_what_is_written_while_the_settings_name_no_bucket_is_sent_later(
    program: Program, remote_settings: S3, make_machine: Machines
) -> None:
    program.configure(storage=storage_of(remote_settings))
    program("migrate")
    program.configure(storage=LOCAL)
    program.put("one/later", b"later")
    program("delete", "one/copy.xml")
    program.configure(storage=storage_of(remote_settings))
    program("migrate")
    elsewhere = make_machine()
    assert set(seen_in(elsewhere.path / "one")) == {"report.xml", "later"}


def test_a_mounted_store_is_migrated_by_its_daemon(make_machine: Machines) -> None:
    machine = make_machine()
    (machine.path / "job").mkdir()
    (machine.path / "job" / "file").write_bytes(b"content")
    settings = machine.path.with_name(machine.path.name + ".yml")
    done = machine.mountfs("migrate", "--config", str(settings), "--state", str(machine.state))
    assert done.returncode == 0, done.stderr
    assert "the bucket has 1 jobs" in done.stdout
