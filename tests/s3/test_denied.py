"""A bucket that answers, and refuses: whoever reads hears EACCES, not that mountfs forbids it; `status` says why."""

import errno
import os
from pathlib import Path

import pytest

from mountfs.api import open_store
from mountfs.errors import RemoteDenied
from tests.faults.proxy import Status
from tests.s3.two import Machine, Two

DENIED = Status(403, "AccessDenied")


@pytest.fixture(params=[1000, 6 << 20], ids=["small", "large"])
def file(two: Two, job: str, request: pytest.FixtureRequest) -> Path:
    """A file on a machine that knows it, and may not fetch it."""
    writer, reader = two
    (writer.path / job).mkdir()
    (writer.path / job / "file").write_bytes(os.urandom(request.param))
    writer.flush()
    assert os.listdir(reader.path / job) == ["file"]
    reader.proxy.rule(DENIED, method="GET", kind="range|object", path="jobs/")
    return reader.path / job / "file"


def refusals(machine: Machine, key: str) -> list[dict[str, object]]:
    found = machine.status()["refusals"]
    assert isinstance(found, list)
    return [one for one in found if one["path"] == key]


def test_who_may_not_fetch_it_hears_so_and_status_says_why(two: Two, job: str, file: Path) -> None:
    with pytest.raises(OSError, match="Permission denied") as failed:
        file.read_bytes()
    assert failed.value.errno == errno.EACCES
    last = refusals(two[1], f"{job}/file")[-1]
    assert last["error"] == "RemoteDenied"
    assert "AccessDenied" in str(last["sentence"])
    assert "AccessDenied" in two[1].mountfs("status").stdout


def test_a_program_hears_that_the_bucket_refuses(two: Two, job: str, file: Path) -> None:
    done = two[1].mountfs("cat", f"{job}/file")
    assert done.returncode == RemoteDenied.exit_code
    assert "AccessDenied" in done.stderr
    with open_store(mount=two[1].path) as store, pytest.raises(RemoteDenied, match="AccessDenied"):
        store.get(f"{job}/file")
