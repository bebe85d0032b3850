"""What a directory promises beside the suite for all: nothing leads out of it, an unmounted share is not empty."""

import errno
import os
import resource
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mountfs.errors import InvalidName, MountfsError, ObjectMissing, PutRefused, RemoteDenied, RemoteUnavailable
from mountfs.remote.directory import DirectoryRemote
from mountfs.remote.folder import INCOMING, MARKER
from mountfs.remote.protocol import Page, Upload
from tests.deep import CONTENT, deep_key, make_deep
from tests.remote.test_conformance import TEN, Bytes, keys, pages, prefixes


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "share" / "bucket"


@pytest.fixture
def remote(path: Path) -> DirectoryRemote:
    made = DirectoryRemote(path)
    made.create()
    return made


def every_request(remote: DirectoryRemote) -> list[Callable[[], object]]:
    return [
        lambda: remote.put("key", TEN),
        lambda: remote.put_large("key", Bytes(TEN)),
        lambda: remote.get("key", most_bytes=10),
        lambda: remote.get_range("key", 0, 1),
        lambda: remote.get_tail("key", 1),
        lambda: remote.head("key"),
        lambda: remote.copy("key", "copy"),
        lambda: remote.list(""),
        lambda: remote.delete(["key"]),
        remote.server_ms,
        lambda: remote.unfinished(""),
        lambda: remote.abort(Upload("", "name", 0)),
    ]


# --- which directory ---


def test_a_share_that_is_not_mounted_is_unavailable_and_never_empty(remote: DirectoryRemote, path: Path) -> None:
    (path / MARKER).rename(path.parent / "marker")
    for ask in every_request(remote):
        with pytest.raises(RemoteUnavailable, match="mount the share"):
            ask()
    assert os.listdir(path) == [INCOMING]


def test_a_directory_that_vanished_is_unavailable(remote: DirectoryRemote, path: Path) -> None:
    shutil.rmtree(path)
    for ask in every_request(remote):
        with pytest.raises(RemoteUnavailable):
            ask()


def test_a_directory_of_something_else_is_not_made_a_bucket(path: Path) -> None:
    path.mkdir(parents=True)
    (path / "holiday.jpg").touch()
    with pytest.raises(RemoteDenied, match="not empty"):
        DirectoryRemote(path).create()
    assert os.listdir(path) == ["holiday.jpg"]


def test_a_bucket_is_made_once(remote: DirectoryRemote) -> None:
    remote.put("key", TEN)
    remote.create()
    assert keys(pages(remote, "")) == ["key"]


# --- names ---


@pytest.mark.parametrize(
    "key", ["../out", "a/../../out", "a//b", "a/", "./a", "a/.", "..", ".mountfs-incoming/x", MARKER, "n" * 256]
)
def test_keys_that_lead_elsewhere_are_refused(remote: DirectoryRemote, path: Path, key: str) -> None:
    for ask in (
        lambda: remote.put(key, TEN),
        lambda: remote.get(key, most_bytes=10),
        lambda: remote.delete([key]),
        lambda: remote.copy(key, "x"),
    ):
        with pytest.raises(InvalidName):
            ask()
    assert os.listdir(path.parent) == ["bucket"]


@pytest.mark.parametrize("prefix", ["../", "/", "a/../../", ".mountfs-incoming/", "\0/"])
def test_prefixes_that_lead_elsewhere_hold_nothing(remote: DirectoryRemote, path: Path, prefix: str) -> None:
    (path.parent / "outside").touch()
    (path / INCOMING / "left").touch()
    assert remote.list(prefix) == Page((), (), None)


def test_links_and_fifos_are_no_objects(remote: DirectoryRemote, path: Path) -> None:
    outside = path.parent / "secret"
    outside.mkdir()
    (outside / "file").write_bytes(TEN)
    (path / "link").symlink_to(outside / "file")
    (path / "jobs").symlink_to(outside)
    os.mkfifo(path / "fifo")
    for key in ("link", "jobs/file", "fifo"):
        assert remote.head(key) is None
        with pytest.raises(ObjectMissing):
            remote.get(key, most_bytes=10)
    assert remote.list("") == remote.list("jobs/") == remote.list("", delimiter="/") == Page((), (), None)


def test_writing_and_deleting_follow_no_link(remote: DirectoryRemote, path: Path) -> None:
    outside = path.parent / "secret"
    outside.mkdir()
    (outside / "file").write_bytes(TEN)
    (path / "link").symlink_to(outside / "file")
    (path / "jobs").symlink_to(outside)
    remote.put("link", b"ours")
    remote.delete(["jobs/file"])
    with pytest.raises(RemoteDenied):
        remote.put("jobs/new", b"ours")
    assert [(name, (outside / name).read_bytes()) for name in os.listdir(outside)] == [("file", TEN)]
    assert remote.get("link", most_bytes=10).data == b"ours"


def test_a_key_below_an_object_is_refused(remote: DirectoryRemote) -> None:
    remote.put("jobs/a", TEN)
    with pytest.raises(RemoteDenied):
        remote.put("jobs/a/b", TEN)
    with pytest.raises(RemoteDenied):
        remote.put("jobs", TEN)
    remote.delete(["jobs"])
    assert keys(pages(remote, "")) == ["jobs/a"]


def test_names_that_are_no_text_are_not_listed(remote: DirectoryRemote, path: Path) -> None:
    Path(os.fsdecode(os.fsencode(path) + b"/\xff\xfe")).touch()
    remote.put("key", TEN)
    assert keys(pages(remote, "")) == ["key"]


# --- all or nothing ---


def test_a_write_that_fails_leaves_nothing(
    remote: DirectoryRemote, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(RemoteDenied, match="full"):
            remote.put("jobs/key", TEN)
    assert (os.listdir(path / INCOMING), keys(pages(remote, ""))) == ([], [])


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, RemoteDenied),
        (errno.EDQUOT, RemoteDenied),
        (errno.EACCES, RemoteDenied),
        (errno.EROFS, RemoteDenied),
        (errno.EOPNOTSUPP, RemoteDenied),
        (errno.EIO, RemoteUnavailable),
        (errno.ESTALE, RemoteUnavailable),
        (errno.ETIMEDOUT, RemoteUnavailable),
        (errno.ENOTCONN, RemoteUnavailable),
        (errno.EMFILE, RemoteUnavailable),
        (errno.ENAMETOOLONG, InvalidName),
    ],
    ids=lambda value: errno.errorcode.get(value, "") if isinstance(value, int) else value.__name__,
)
def test_what_the_file_system_says_is_told_as_what_helps(
    remote: DirectoryRemote, monkeypatch: pytest.MonkeyPatch, number: int, expected: type[MountfsError]
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", failing)
        with pytest.raises(expected):
            remote.put("key", TEN)


def test_readers_find_all_of_it_or_nothing(remote: DirectoryRemote) -> None:
    versions = {bytes([number]) * 300_000 for number in range(20)}
    remote.put("key", min(versions))
    done = threading.Event()

    def read() -> set[bytes]:
        seen = set()
        while not done.is_set():
            seen.add(remote.get("key", most_bytes=300_000).data)
        return seen

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        for version in versions:
            remote.put("key", version)
        done.set()
        assert all(reader.result(30) <= versions for reader in readers)


def test_a_directory_emptied_meanwhile_is_made_anew(remote: DirectoryRemote) -> None:
    """Two machines: one deletes the last object of a job while the other puts one there."""

    def put_and_delete(name: str) -> None:
        for number in range(60):
            remote.put(f"jobs/one/{name}-{number}", b"")
            remote.delete([f"jobs/one/{name}-{number}"])

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(put_and_delete, "abc"))
    assert keys(pages(remote, "")) == []


def test_a_deleted_job_is_no_prefix_any_more(remote: DirectoryRemote, path: Path) -> None:
    remote.put("jobs/gone/a/b", TEN)
    remote.delete(["jobs/gone/a/b"])
    assert prefixes(pages(remote, "", delimiter="/")) == []
    assert sorted(os.listdir(path)) == sorted([MARKER, INCOMING])


def test_what_a_killed_writer_left_is_found_with_its_time_and_goes(remote: DirectoryRemote, path: Path) -> None:
    (path / INCOMING / "half").write_bytes(TEN)
    os.utime(path / INCOMING / "half", (1000, 1000))
    assert keys(pages(remote, "")) == []
    ((left, begun_ms),) = remote.unfinished("jobs/")
    assert begun_ms == 1_000_000
    remote.abort(left)
    remote.abort(left)
    assert remote.unfinished("jobs/") == []


def test_nothing_but_unfinished_writes_can_be_aborted(remote: DirectoryRemote) -> None:
    remote.put("key", TEN)
    for name in ("../key", "..", "/etc/passwd", ""):
        with pytest.raises(MountfsError):
            remote.abort(Upload("", name, 0))
    assert remote.head("key")


def test_where_links_cannot_be_made_nothing_is_created_by_guesswork(
    remote: DirectoryRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "link", failing)
    with pytest.raises(RemoteDenied, match="hard links"):
        remote.put("mountfs.json", TEN, if_absent=True)


def test_a_link_in_the_way_counts_as_existing(remote: DirectoryRemote, path: Path) -> None:
    (path / "mountfs.json").symlink_to("nowhere")
    with pytest.raises(PutRefused):
        remote.put("mountfs.json", TEN, if_absent=True)


# --- time ---


def test_time_is_the_file_systems_whatever_ours_says(path: Path) -> None:
    remote = DirectoryRemote(path, now_ms=lambda: 5)
    remote.create()
    now_ms = time.time() * 1000
    written_ms = remote.put("key", TEN).server_ms
    for answer_ms in (written_ms, remote.server_ms(), remote.get("key", most_bytes=10).server_ms):
        assert abs(answer_ms - now_ms) < 20_000


def test_a_copy_is_dated_when_it_was_made(remote: DirectoryRemote, path: Path) -> None:
    remote.put("old", TEN)
    os.utime(path / "old", (1000, 1000))
    made_ms = remote.copy("old", "new").server_ms
    (_, new) = (remote.head("old"), remote.head("new"))
    assert new is not None
    assert new.modified_ms == made_ms > 1_000_000_000_000


# --- depth ---


def test_what_somebody_planted_2000_directories_deep_is_listed_read_and_removed(tmp_path_for_depth: Path) -> None:
    path = tmp_path_for_depth / "bucket"
    remote = DirectoryRemote(path)
    remote.create()
    make_deep(path / "jobs")
    key = deep_key("jobs")
    remote.put("jobs/d/e", TEN)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 100, hard))
    try:
        assert sorted(keys(pages(remote, ""))) == sorted([key, "jobs/d/e"])
        assert prefixes(pages(remote, "", delimiter="/")) == ["jobs/"]
        assert remote.get(key, most_bytes=100).data == CONTENT
        remote.put(key.replace("log", "more"), TEN)
        remote.delete([key])
        assert sorted(keys(pages(remote, ""))) == sorted([key.replace("log", "more"), "jobs/d/e"])
        remote.delete([key.replace("log", "more")])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert os.listdir(path / "jobs" / "d") == ["e"]
