"""Facts: `user.mountfs.<field>` answers on request, is never listed, and takes only what may be written."""

import datetime
import errno
import hashlib
import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from mountfs.api import open_store
from tests.mount.conftest import MountFactory
from tests.mount.syscalls import refused
from tests.mounting import Ground, Mounted

pytestmark = pytest.mark.mountfs_only

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
CONTENT = b"the same line again\n" * 20_000
READ_ONLY = [
    "sha256",
    "size",
    "stored_size",
    "version",
    "created_at",
    "state",
    "recovered",
    "uri",
    "unheard_of",
]


def fact(path: Path, field: str) -> str:
    return os.getxattr(path, f"user.mountfs.{field}").decode()


def set_fact(path: Path, field: str, value: str) -> None:
    os.setxattr(path, f"user.mountfs.{field}", value.encode())


def refusals(machine: Mounted) -> list[dict[str, str]]:
    """What `mountfs status` tells of requests that were refused, newest last."""
    found = machine.ask({"op": "status"}, timeout_seconds=10)["refusals"]
    assert isinstance(found, list)
    return found


@pytest.fixture
def file(job: Path, shared: Ground) -> Path:
    (job / "build.log").write_bytes(CONTENT)
    shared.settle()
    return job / "build.log"


def test_sha256_is_that_of_the_plain_bytes(file: Path) -> None:
    assert fact(file, "sha256") == hashlib.sha256(CONTENT).hexdigest()


@pytest.mark.parametrize("size", [0, 1, 5000, 3_000_000])
def test_sha256_is_right_at_once_after_close(job: Path, size: int) -> None:
    content = os.urandom(size)
    (job / "blob").write_bytes(content)
    assert fact(job / "blob", "sha256") == hashlib.sha256(content).hexdigest()


def test_sha256_follows_a_change(file: Path) -> None:
    with file.open("ab") as log:
        log.write(b"one more\n")
    assert fact(file, "sha256") == hashlib.sha256(CONTENT + b"one more\n").hexdigest()


def test_size_is_plain_and_stored_size_is_what_it_costs(file: Path) -> None:
    assert int(fact(file, "size")) == len(CONTENT)
    assert 0 < int(fact(file, "stored_size")) < len(CONTENT) // 10


def test_compressible_content_is_stored_as_zstd(file: Path) -> None:
    assert fact(file, "codec") == "zstd"


def test_random_content_is_stored_raw(job: Path, shared: Ground) -> None:
    (job / "blob").write_bytes(os.urandom(200_000))
    shared.settle()
    assert fact(job / "blob", "codec") == "none"


def test_the_state_of_a_closed_file_without_a_bucket_is_local(file: Path) -> None:
    assert fact(file, "state") == "local"


def test_the_state_of_a_file_being_written_is_draft(job: Path) -> None:
    with (job / "log").open("wb") as log:
        log.write(b"not closed yet")
        log.flush()
        assert fact(job / "log", "state") == "draft"


def test_created_at_is_a_time_of_now(file: Path) -> None:
    created = datetime.datetime.fromisoformat(fact(file, "created_at"))
    assert abs(created.timestamp() - time.time()) < 120


def test_a_file_written_and_closed_is_not_recovered_and_not_pinned(file: Path) -> None:
    assert (fact(file, "recovered"), fact(file, "pinned")) == ("0", "0")


def test_the_first_version_is_1(file: Path) -> None:
    assert fact(file, "version") == "1"


def test_the_uri_names_the_artifact(job: Path, file: Path) -> None:
    assert fact(file, "uri").startswith("file://")
    assert fact(file, "uri").endswith(f"{job.name}/build.log")


def test_facts_are_never_listed(job: Path, file: Path) -> None:
    set_fact(file, "pinned", "true")
    set_fact(file, "type", "custom")
    set_fact(file, "metadata", "{}")
    assert os.listxattr(file) == []
    assert os.listxattr(job) == []


@pytest.mark.parametrize("field", READ_ONLY)
def test_a_fact_that_cannot_be_written_is_refused(file: Path, field: str) -> None:
    with refused(errno.EPERM):
        set_fact(file, field, "x")
    with refused(errno.EPERM):
        os.removexattr(file, f"user.mountfs.{field}")


def test_an_unknown_fact_is_not_there(file: Path) -> None:
    with refused(errno.ENODATA):
        fact(file, "unheard_of")


@pytest.mark.parametrize(
    ("path", "type_"),
    [
        ("junit.xml", "test-results"),
        ("coverage.xml", "coverage-report"),
        ("coverage/html/index.html", "coverage-report"),
        ("anything.log", "build-logs"),
        ("scan.sarif", "security-findings"),
        ("page.png", "screenshots"),
        ("run.mp4", "videos"),
        ("change.diff", "diff"),
        ("something", "custom"),
        ("test-results", "test-results"),
    ],
)
def test_the_type_follows_from_the_path(job: Path, path: str, type_: str) -> None:
    (job / path).parent.mkdir(parents=True, exist_ok=True)
    (job / path).write_bytes(b"x")
    assert fact(job / path, "type") == type_


def test_the_type_follows_a_rename_until_it_is_said(job: Path) -> None:
    (job / "something").touch()
    renamed = (job / "something").rename(job / "junit.xml")
    assert fact(renamed, "type") == "test-results"
    set_fact(renamed, "type", "api-docs")
    assert fact(renamed.rename(job / "a.log"), "type") == "api-docs"


def test_the_type_may_be_written_by_an_alias(file: Path) -> None:
    set_fact(file, "type", "coverage")
    assert fact(file, "type") == "coverage-report"


def test_an_unknown_type_is_refused(file: Path) -> None:
    with refused(errno.EINVAL):
        set_fact(file, "type", "no such type")
    assert fact(file, "type") == "build-logs"


def test_the_mime_type_is_guessed_and_may_be_written(job: Path, file: Path) -> None:
    (job / "page.html").write_text("<html></html>")
    assert fact(job / "page.html", "mime_type") == "text/html"
    set_fact(file, "mime_type", "application/x-build")
    assert fact(file, "mime_type") == "application/x-build"


@pytest.mark.parametrize("size", [60, 3_000_000])
def test_a_picture_whose_name_says_nothing_is_one_at_once_after_close(
    job: Path, shared: Ground, tmp_path: Path, size: int
) -> None:
    """Whoever is asked: the attribute, `show`, `list`, `find` and `.metadata.json`."""
    (tmp_path / "shot").write_bytes(PNG + os.urandom(size))
    subprocess.run(["cp", tmp_path / "shot", job / "picture"], check=True)
    assert fact(job / "picture", "mime_type") == "image/png"
    key = f"{job.name}/picture"
    with open_store(mount=shared.path) as store:
        assert store.metadata(key).mime_type == "image/png"
        assert [found.mime_type for found in store.list(job.name)] == ["image/png"]
        assert [found.key for found in store.find(f"job={job.name} and mime=image/png")] == [key]
    described = json.loads((job / ".metadata.json").read_bytes())
    assert [artifact["mime_type"] for artifact in described["artifacts"]] == ["image/png"]


def test_a_mime_type_that_is_said_counts_before_the_content(job: Path) -> None:
    (job / "picture").write_bytes(PNG)
    set_fact(job / "picture", "mime_type", "image/x-house")
    assert fact(job / "picture", "mime_type") == "image/x-house"


def test_a_picture_is_one_after_a_restart_and_after_a_kill(mounted: MountFactory) -> None:
    ground = mounted()
    (ground.path / "job").mkdir()
    (ground.path / "job/picture").write_bytes(PNG)
    assert fact(ground.path / "job/picture", "mime_type") == "image/png"
    ground.restart()
    assert fact(ground.path / "job/picture", "mime_type") == "image/png"
    (ground.path / "job/page").write_bytes(b"<!doctype html>")
    ground.kill()
    ground.start()
    assert fact(ground.path / "job/page", "mime_type") == "text/html"


def test_an_expiry_date_is_kept(file: Path) -> None:
    set_fact(file, "expires_at", "2099-01-31")
    assert fact(file, "expires_at").startswith("2099-01-31T00:00:00")


def test_an_expiry_in_days_is_counted_from_now(file: Path) -> None:
    set_fact(file, "expires_at", "+30d")
    ahead = datetime.datetime.fromisoformat(fact(file, "expires_at")).timestamp() - time.time()
    assert abs(ahead - 30 * 86400) < 120


def test_an_expiry_that_is_no_time_is_refused(file: Path) -> None:
    with refused(errno.EINVAL):
        set_fact(file, "expires_at", "soon")


@pytest.mark.parametrize("said", ["9999-12-31", "2300-01-01", "never", "now", "0", "-5d"])
def test_an_expiry_that_is_refused_is_explained_by_status(shared: Mounted, file: Path, said: str) -> None:
    """setfattr prints no more than `Invalid argument`."""
    set_fact(file, "expires_at", "2099-01-31")
    with refused(errno.EINVAL):
        set_fact(file, "expires_at", said)
    last = refusals(shared)[-1]
    assert (last["request"], last["path"]) == ("setxattr", str(file.relative_to(shared.path)))
    assert last["sentence"].startswith(f"user.mountfs.expires_at: '{said}' is ")
    assert "; allowed: " in last["sentence"]
    assert last["sentence"].endswith("or nothing: no date")
    assert fact(file, "expires_at").startswith("2099-01-31")


def test_a_type_that_nobody_knows_is_explained_by_status(shared: Mounted, file: Path) -> None:
    with refused(errno.EINVAL):
        set_fact(file, "type", "no such")
    assert refusals(shared)[-1]["sentence"].startswith("'no such' is not a type; known: ")


def test_an_empty_expiry_takes_the_date_away(file: Path) -> None:
    set_fact(file, "expires_at", "2099-01-31")
    set_fact(file, "expires_at", "")
    with refused(errno.ENODATA):
        fact(file, "expires_at")


def test_a_file_is_pinned_and_unpinned(file: Path) -> None:
    set_fact(file, "pinned", "true")
    assert fact(file, "pinned") == "1"
    set_fact(file, "pinned", "false")
    assert fact(file, "pinned") == "0"


def test_metadata_is_json_up_to_64_kib(file: Path) -> None:
    metadata = {"tool": "pytest", "numbers": [1, 2.5, None], "text": "x" * 60_000}
    set_fact(file, "metadata", json.dumps(metadata))
    assert json.loads(fact(file, "metadata")) == metadata


def test_metadata_that_is_not_json_is_refused(file: Path) -> None:
    with refused(errno.EINVAL):
        set_fact(file, "metadata", "{not json")


def test_codec_none_before_the_first_write_keeps_the_content_raw(job: Path, shared: Ground) -> None:
    with (job / "build.log").open("wb") as log:
        os.setxattr(log.fileno(), "user.mountfs.codec", b"none")
        log.write(CONTENT)
    shared.settle()
    assert fact(job / "build.log", "codec") == "none"
    assert int(fact(job / "build.log", "stored_size")) >= len(CONTENT)
    assert (job / "build.log").read_bytes() == CONTENT


def test_codec_none_on_a_touched_file_counts_as_before_the_first_write(job: Path, shared: Ground) -> None:
    (job / "build.log").touch()
    set_fact(job / "build.log", "codec", "none")
    (job / "build.log").write_bytes(CONTENT)
    shared.settle()
    assert fact(job / "build.log", "codec") == "none"


def test_written_facts_move_with_the_file(job: Path, file: Path) -> None:
    set_fact(file, "mime_type", "application/x-build")
    set_fact(file, "type", "security-findings")
    moved = file.rename(job / "moved")
    assert (fact(moved, "mime_type"), fact(moved, "type")) == ("application/x-build", "security-findings")


def test_a_pinned_file_keeps_its_name_until_it_is_let_go(job: Path, file: Path) -> None:
    set_fact(file, "pinned", "true")
    with pytest.raises(PermissionError):
        file.rename(job / "moved")
    set_fact(file, "pinned", "false")
    assert file.rename(job / "moved").exists()


def test_compression_switched_off_stores_raw(mounted: MountFactory) -> None:
    ground = mounted({"compression": {"enabled": False}})
    (ground.path / "job").mkdir()
    (ground.path / "job" / "build.log").write_bytes(CONTENT)
    ground.settle()
    assert fact(ground.path / "job" / "build.log", "codec") == "none"
    assert (ground.path / "job" / "build.log").read_bytes() == CONTENT


def test_compression_is_chosen_by_type(mounted: MountFactory) -> None:
    ground = mounted({"compression": {"types": {"build-logs": "none"}}})
    (ground.path / "job").mkdir()
    for name in ("build.log", "junit.xml"):
        (ground.path / "job" / name).write_bytes(CONTENT)
    ground.settle()
    assert fact(ground.path / "job" / "build.log", "codec") == "none"
    assert fact(ground.path / "job" / "junit.xml", "codec") == "zstd"


def test_a_type_of_the_settings_is_known(mounted: MountFactory) -> None:
    ground = mounted({"types": {"dataroom": ["teaser", "*.loi"]}})
    (ground.path / "job").mkdir()
    for name in ("teaser.pdf", "offer.loi"):
        (ground.path / "job" / name).write_bytes(b"x")
        assert fact(ground.path / "job" / name, "type") == "dataroom"
