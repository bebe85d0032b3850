"""The API and the commands without a mount, against a real S3 server: alone, beside a mount, and in its absence."""

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mountfs.api import open_store
from mountfs.config.schema import S3
from mountfs.errors import MountfsError, RemoteDenied, RemoteUnavailable
from tests.conftest import use_credentials
from tests.faults.proxy import Hang, Proxy, Refuse, Status
from tests.s3.conftest import MachineFactory
from tests.s3.program import Program, storage_of
from tests.s3.two import QUICK_SYNC
from tests.servers import Weed

LINES = b"".join(b"line %d of a log\n" % number for number in range(20_000))
SECONDS = 12.0  # in which a bucket that is down is found out, on a busy machine: our patience is at most 5

Settings = Callable[[str], dict[str, object]]


@pytest.fixture
def settings(tmp_path: Path, remote_settings: S3, proxy: Proxy) -> Settings:
    """Those of a machine by its name, all on one bucket through one proxy."""

    def of(name: str) -> dict[str, object]:
        place = {"mountpoint": str(tmp_path / name / "mnt"), "state": str(tmp_path / name / "state")}
        storage = storage_of(remote_settings, endpoint_url=proxy.endpoint_url)
        return {**place, "storage": storage, "sync": {**QUICK_SYNC, "refresh_seconds": "0s", "look_seconds": "3s"}}

    return of


def error_of(asks: Callable[[], object]) -> MountfsError:
    """What it raises, in no more time than a bucket that is down may cost."""
    began = time.monotonic()
    with pytest.raises(MountfsError) as raised:
        asks()
    assert time.monotonic() - began < SECONDS
    return raised.value


# -- alone ----------------------------------------------------------------------------------------------------


def test_two_machines_without_a_mount_share_a_bucket(settings: Settings, tmp_path: Path) -> None:
    """F-074 to F-076, F-082, F-184: small, large and nested, byte for byte."""
    video = os.urandom(6 << 20)
    (tmp_path / "video.bin").write_bytes(video)
    with open_store(settings("a")) as a:
        a.put("build-7/app.log", LINES, tags={"branch": "main"})
        a.put("build-7/video.bin", tmp_path / "video.bin")
        for number in range(20):
            a.put(f"build-7/tests/generated/{number}.py", b"assert %d" % number)
        a.flush()
        assert {found.state for found in a.list()} == {"remote"}
    with open_store(settings("b"), read_only=True) as b:
        assert [found.key for found in b.list()][:1] == ["build-7/app.log"]
        assert b.get("build-7/app.log") == LINES
        assert b.metadata("build-7/app.log").tags == {"branch": "main"}
        assert hashlib.sha256(b.get("build-7/video.bin")).digest() == hashlib.sha256(video).digest()
        assert b.save("build-7/tests", tmp_path / "copy") == 20
    assert (tmp_path / "copy/generated/7.py").read_bytes() == b"assert 7"


def test_a_small_job_takes_few_requests(settings: Settings, proxy: Proxy) -> None:
    with open_store(settings("a")) as a:
        a.put("build-7/app.log", LINES)
    proxy.forget()
    with open_store(settings("a")) as a:
        for number in range(20):
            a.put(f"build-8/{number}", b"%d" % number)
    assert sum(proxy.counted().values()) <= 5, proxy.counted()  # who it is, a look, a bundle, the feed
    proxy.forget()
    with open_store(settings("b"), read_only=True) as b:
        assert b.get("build-7/app.log") == LINES
    assert sum(proxy.counted().values()) <= 4, proxy.counted()  # who it is, a look, a tail, the content


def test_every_command_works_on_the_bucket_without_a_mount(tmp_path: Path, remote_settings: S3) -> None:
    a, b = (
        Program(tmp_path / name, storage_of(remote_settings), sync={**QUICK_SYNC, "look_seconds": "3s"})
        for name in "ab"
    )
    a.put("build-7/app.log", LINES)
    a("tag", "build-7", "branch=main")
    assert b("list", "--paths", "--limit", "0", code=3)  # no path without a mount
    assert [row["key"] for row in b.json("list")] == ["build-7/app.log"]
    assert b.json("show", "build-7/app.log")[0]["tags"] == {"branch": "main"}
    b("exists", "build-7/app.log")
    b("exists", "build-7/other", code=3)
    b("get", "build-7/app.log", "-o", str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == LINES
    b("delete", "build-7", "--yes")
    a("exists", "build-7", code=3)


# -- beside a mount ---------------------------------------------------------------------------------------------


def test_a_program_without_a_mount_and_a_mount_see_each_other(make_machine: MachineFactory, settings: Settings) -> None:
    mounted = make_machine()
    (mounted.path / "build-7").mkdir()
    (mounted.path / "build-7" / "app.log").write_bytes(LINES)
    os.setxattr(mounted.path / "build-7", "user.branch", b"main")
    with open_store(mount=mounted.path) as beside:
        beside.flush("build-7", timeout=30)
        assert beside.metadata("build-7/app.log").state == "remote"
    with open_store(settings("alone")) as alone:
        assert alone.get("build-7/app.log") == LINES
        assert alone.metadata("build-7/app.log").tags == {"branch": "main"}
        alone.put("build-8/own.log", b"own")
    assert (mounted.path / "build-8" / "own.log").read_bytes() == b"own"


def test_the_api_beside_a_mount_sees_jobs_that_nobody_looked_at(
    make_machine: MachineFactory, settings: Settings
) -> None:
    mounted = make_machine()
    with open_store(settings("alone")) as alone:
        for number in range(3):
            alone.put(f"build-{number}/own.log", b"own %d" % number)
    with open_store(mount=mounted.path) as beside:
        assert beside.exists("build-0/own.log")
        assert beside.get("build-1/own.log") == b"own 1"
        assert [found.key for found in beside.list()] == [f"build-{number}/own.log" for number in range(3)]


def test_put_beside_a_mount_replaces_what_another_machine_wrote(
    make_machine: MachineFactory, settings: Settings, expected_log: Callable[[str], None]
) -> None:
    mounted = make_machine()
    with open_store(settings("alone")) as alone:
        alone.put("build-7/app.log", b"old", tags={"status": "failed"})
    with open_store(mount=mounted.path) as beside:
        beside.put("build-7/app.log", b"new")
        assert beside.get("build-7/app.log") == b"new"
        beside.flush()
    assert (mounted.path / "build-7" / "app.log").read_bytes() == b"new"
    assert os.listdir(mounted.path / "build-7") == ["app.log"]
    with open_store(settings("alone")) as alone:
        assert (alone.get("build-7/app.log"), alone.metadata("build-7/app.log").tags) == (b"new", {})


# -- without the bucket -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [Refuse(), Hang(), Status(503, "SlowDown")], ids=lambda fault: type(fault).__name__)
def test_an_outage_leaves_what_is_here_and_loses_nothing(
    settings: Settings, proxy: Proxy, fault: Refuse | Hang | Status, caplog: pytest.LogCaptureFixture
) -> None:
    with open_store(settings("a")) as a:
        a.put("build-7/app.log", LINES)
        a.put("build-7/other", b"other")
    with open_store(settings("b")) as b:
        assert b.get("build-7/app.log") == LINES
    proxy.rule(fault)
    with open_store(settings("b")) as b:
        assert b.get("build-7/app.log") == LINES
        assert isinstance(error_of(lambda: b.get("build-7/other")), RemoteUnavailable)
        assert isinstance(error_of(lambda: b.exists("build-9")), RemoteUnavailable)
        b.put("build-8/app.log", LINES)
        assert isinstance(error_of(lambda: b.flush(timeout=0.1)), RemoteUnavailable)
    assert "build-8: not in the bucket" in caplog.text
    proxy.clear()
    open_store(settings("b")).close()
    with open_store(settings("a")) as a:
        assert a.get("build-8/app.log") == LINES


def test_an_upload_that_is_cut_off_at_close_goes_on_at_the_next_open(settings: Settings, proxy: Proxy) -> None:
    with open_store(settings("a")) as a:
        a.put("build-7/app.log", LINES)
        a.flush()
        a.put("build-7/video.bin", os.urandom(12 << 20))
        proxy.rule(Refuse(), method="PUT")
    proxy.clear()
    with open_store(settings("a")) as a:
        a.flush()
        assert a.metadata("build-7/video.bin").state == "remote"


# -- refusals -------------------------------------------------------------------------------------------------------


def test_wrong_credentials_are_exit_6(
    tmp_path: Path, remote_settings: S3, weed: Weed, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = Program(tmp_path / "a", storage_of(remote_settings), sync={**QUICK_SYNC, "look_seconds": "3s"})
    use_credentials(monkeypatch, weed.denied_environment())
    (program.directory / "file").write_bytes(LINES)
    assert "put" not in program("put", "build-7/app.log", "file", code=6)
    program("get", "build-7/app.log", code=6)
    program("list", code=6)
    program("exists", "build-7", code=6)


def test_credentials_that_are_withdrawn_keep_the_work_here(
    settings: Settings, weed: Weed, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_store(settings("a")) as a:
        a.put("build-7/app.log", LINES)
    use_credentials(monkeypatch, weed.denied_environment())
    with open_store(settings("a")) as a:
        assert a.get("build-7/app.log") == LINES
        a.put("build-8/app.log", LINES)
        assert isinstance(error_of(a.flush), RemoteDenied)
        assert a.metadata("build-8/app.log").state == "failed"
    use_credentials(monkeypatch, weed.environment())
    with open_store(settings("a")) as a:
        a.flush()
        assert a.metadata("build-8/app.log").state == "remote"


# -- what it costs --------------------------------------------------------------------------------------------------


IMPORTS = """
import sys
from mountfs.api import open_store
with open_store({settings!r}) as store:
    assert store.stats()["jobs"] == 0
print([name for name in ("boto3", "botocore", "trio", "pyfuse3") if name in sys.modules])
"""


def test_a_store_that_asks_nothing_of_its_bucket_imports_nothing_for_it(settings: Settings) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS.format(settings=settings("a"))], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
