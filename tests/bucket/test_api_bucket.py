"""The bucket without a mount: two directories are two machines, through the API alone.

A remote in memory that can fall silent, be refused or hang stands for S3; a directory remote shows the same by
settings alone.
"""

import hashlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import anyio
import pytest

from mountfs import aio, errors
from mountfs.api import ArtifactStore, bucket, open_store
from mountfs.api.direct import DirectStore
from mountfs.config.schema import Storage
from mountfs.errors import RemoteDenied, RemoteUnavailable
from mountfs.remote import create_remote
from mountfs.remote.around import Around
from mountfs.remote.protocol import Remote
from mountfs.store.tree import Owner
from tests.bucket.simulated import SimulatedBucket

T = TypeVar("T")
Open = Callable[..., ArtifactStore]

LINES = b"".join(b"line %d of a log\n" % number for number in range(2_000))
LOG = "mountfs.api.bucket"


class Moody(Around):
    """A way to the bucket that a test closes and opens: `mood` is raised, `gate` is waited for."""

    def __init__(self, inner: Remote) -> None:
        super().__init__(inner)
        self.mood: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.kinds: list[str] = []

    def _through(self, kind: str, request: Callable[[], T], *, up_bytes: int = 0) -> T:
        self.kinds.append(kind)
        self.gate.wait()
        if self.mood is not None:
            raise type(self.mood)(str(self.mood))
        return request()


@pytest.fixture
def way(monkeypatch: pytest.MonkeyPatch) -> Iterator[Moody]:
    """The one way to the bucket of all machines of a test."""
    moody = Moody(SimulatedBucket(now_ms=time.time_ns() // 1_000_000))
    monkeypatch.setattr(bucket, "remote_of", lambda storage: moody)
    monkeypatch.setattr(bucket, "CONNECT_SECONDS", 0.0)
    monkeypatch.setattr(bucket, "AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(bucket, "PAUSE_SECONDS", 0.01)
    yield moody
    moody.gate.set()


def settings_of(folder: Path, name: str, **sections: object) -> dict[str, object]:
    storage = {"backend": "directory", "directory": {"path": str(folder / "bucket")}}
    sync = {"mode": "lazy", "look_seconds": "1s", "refresh_seconds": "0s", "patience_seconds": "1s"}
    place = {"mountpoint": str(folder / name / "mnt"), "state": str(folder / name / "state")}
    said = sections.pop("sync", {})
    assert isinstance(said, Mapping)
    return {**place, "storage": storage, "sync": {**sync, **said}, **sections}


@pytest.fixture
def machine(tmp_path: Path, way: Moody) -> Iterator[Open]:
    """`machine("a")` opens the store of that machine; what a test leaves open is closed."""
    with ExitStack() as stack:

        def opened(name: str = "a", *, read_only: bool = False, **sections: object) -> ArtifactStore:
            return stack.enter_context(open_store(settings_of(tmp_path, name, **sections), read_only=read_only))

        yield opened
        way.mood = None
        way.gate.set()


# -- two machines -----------------------------------------------------------------------------------------


def test_a_mapping_of_settings_is_a_store_in_a_bucket(tmp_path: Path) -> None:
    """F-074 to F-076: with a directory for a bucket, by settings alone."""
    here, there = settings_of(tmp_path, "here"), settings_of(tmp_path, "there")
    create_remote(Storage.model_validate(here["storage"]))
    with open_store(here) as store:
        store.put("build-7/app.log", LINES, tags={"branch": "main"})
    with open_store(there) as store:
        assert store.get("build-7/app.log") == LINES
        assert store.metadata("build-7/app.log").tags == {"branch": "main"}


def test_what_one_machine_closes_the_next_reads(machine: Open) -> None:
    with machine("a") as a:
        a.put("build-7/app.log", LINES)
        a.tag("build-7", pr="12")
    b = machine("b")
    assert b.exists("build-7/app.log")
    assert b.metadata("build-7/app.log").sha256 == hashlib.sha256(LINES).hexdigest()
    assert b.metadata("build-7/app.log").tags == {"pr": "12"}
    assert b.get("build-7/app.log") == LINES


def test_a_store_that_stays_open_sees_what_comes_later(machine: Open) -> None:
    a, b = machine("a"), machine("b")
    assert not b.exists("build-7/app.log")
    a.put("build-7/app.log", b"one")
    a.flush()
    assert b.get("build-7/app.log") == b"one"
    a.put("build-7/app.log", b"two")
    a.flush("build-7/app.log")
    assert b.get("build-7/app.log") == b"two"


def test_a_listing_of_all_has_the_jobs_of_all_machines(machine: Open) -> None:
    with machine("a") as a, machine("b") as b:
        for number in range(20):
            (a, b)[number % 2].put(f"build-{number:02}/app.log", b"%d" % number)
    c = machine("c")
    assert [found.key for found in c.list()] == [f"build-{number:02}/app.log" for number in range(20)]
    assert [found.key for found in c.list("build-1", limit=3)] == [f"build-{number}/app.log" for number in (10, 11, 12)]


def test_a_listing_reads_no_more_jobs_than_are_asked_for(machine: Open, way: Moody) -> None:
    with machine("a") as a:
        for number in range(20):
            a.put(f"build-{number:02}/app.log", b"%d" % number)
    b = machine("b")
    way.kinds.clear()
    assert len(list(b.list(limit=3))) == 3
    assert way.kinds.count("get_tail") == 16


def test_a_directory_of_another_machine_is_copied_whole(machine: Open, tmp_path: Path) -> None:
    """F-186; and the second miss brings all of a bundle."""
    with machine("a") as a:
        for number in range(30):
            a.put(f"build-7/tests/generated/case-{number}.py", b"assert %d" % number)
    way = machine("b")
    assert way.save("build-7/tests", tmp_path / "copy") == 30
    assert (tmp_path / "copy/generated/case-7.py").read_bytes() == b"assert 7"


def test_thirty_small_files_of_a_bundle_take_one_request(machine: Open, way: Moody, tmp_path: Path) -> None:
    with machine("a") as a:
        for number in range(30):
            a.put(f"build-7/{number}", b"%d" % number)
    b = machine("b")
    b.exists("build-7")
    way.kinds.clear()
    b.save("build-7", tmp_path / "copy")
    assert sorted(kind for kind in way.kinds if kind.startswith("get")) == ["get"]


def test_what_came_from_the_bucket_is_known_by_its_first_bytes(machine: Open) -> None:
    png = b"\x89PNG\r\n\x1a\n"
    with machine("a") as a:
        a.put("build-7/picture", png)
        a.put("build-7/poster", png + os.urandom(11 << 20))
    with machine("b") as b:
        for name in ("picture", "poster"):
            assert b.metadata(f"build-7/{name}").mime_type == "text/plain", "nobody has seen it here"
            assert b.get(f"build-7/{name}").startswith(png)
            assert b.metadata(f"build-7/{name}").mime_type == "image/png"
        assert {found.path for found in b.find("mime=image/png")} == {"picture", "poster"}


def test_a_large_content_comes_whole_and_is_read_in_any_part(machine: Open) -> None:
    data = os.urandom(11 << 20)
    with machine("a") as a:
        a.put("build-7/video.bin", data)
    with machine("b") as b, b.open("build-7/video.bin") as content:
        content.seek(10 << 20)
        assert content.read(1000) == data[10 << 20 :][:1000]
        content.seek(0)
        assert hashlib.sha256(content.read()).digest() == hashlib.sha256(data).digest()


def test_a_symlink_into_a_job_of_another_machine_is_followed(machine: Open) -> None:
    with machine("a") as a:
        a.put("build-7/app.log", LINES)
    with machine("b") as b:
        b.put("build-8/own", b"own")
        assert isinstance(b, DirectStore)
        link_to(b, "build-8", b"latest", b"../build-7/app.log")
        assert b.get("build-8/latest") == LINES


def link_to(store: DirectStore, job: str, name: bytes, target: bytes) -> None:
    """What a mount would have made of `ln -s`."""
    tree = store._store.tree
    tree.make_symlink(tree.walk((job.encode(),)).ino, name, target, Owner(os.getuid(), os.getgid()))


def test_what_is_deleted_here_is_gone_there(machine: Open) -> None:
    a, b = machine("a"), machine("b")
    a.put("build-7/app.log", LINES)
    a.put("build-7/junit.xml", b"<testsuite/>")
    a.flush()
    assert b.delete("build-7/app.log")
    b.flush()
    assert not a.exists("build-7/app.log")
    assert a.exists("build-7/junit.xml")


def test_what_is_put_over_another_machines_artifact_replaces_its_tags_too(machine: Open) -> None:
    a, b = machine("a"), machine("b")
    a.put("build-7/app.log", b"old", tags={"status": "failed"})
    a.flush()
    b.put("build-7/app.log", b"new")
    b.flush()
    assert (a.get("build-7/app.log"), a.metadata("build-7/app.log").tags) == (b"new", {})


def test_a_tag_of_another_machines_job_travels(machine: Open) -> None:
    a, b = machine("a"), machine("b")
    a.put("build-7/app.log", b"old")
    a.flush()
    b.tag("build-7/app.log", status="success")
    b.flush("build-7")
    assert a.metadata("build-7/app.log").tags == {"status": "success"}
    b.untag("build-7/app.log", "status")
    b.flush("build-7")
    assert a.metadata("build-7/app.log").tags == {}


def test_the_state_says_whether_the_bucket_has_it(machine: Open) -> None:
    a = machine("a")
    assert a.put("build-7/app.log", LINES).state == "local"
    a.flush()
    assert a.metadata("build-7/app.log").state == "remote"


def test_flush_of_a_key_sends_its_job_alone(machine: Open) -> None:
    a = machine("a")
    a.put("build-7/app.log", LINES)
    a.put("build-8/app.log", LINES)
    a.flush("build-7/app.log")
    assert [a.metadata(f"build-{n}/app.log").state for n in (7, 8)] == ["remote", "local"]


def test_flush_of_what_is_nowhere_says_so(machine: Open) -> None:
    with pytest.raises(errors.NotFound):
        machine("a").flush("build-7")


def test_without_a_bucket_flush_is_refused(tmp_path: Path) -> None:
    place = {"mountpoint": str(tmp_path / "mnt"), "state": str(tmp_path / "state")}
    with open_store(place) as store, pytest.raises(errors.ConfigError, match="no bucket"):
        store.flush()


def test_async_callers_have_the_same(tmp_path: Path, way: Moody) -> None:
    async def work() -> bytes:
        async with aio.open_store(settings_of(tmp_path, "a")) as a:
            await a.put("build-7/app.log", LINES)
            await a.flush("build-7", timeout=20)
        async with aio.open_store(settings_of(tmp_path, "b"), read_only=True) as b:
            assert [found.key async for found in b.list()] == ["build-7/app.log"]
            return await b.get("build-7/app.log")

    assert anyio.run(work) == LINES


def test_many_threads_read_what_is_not_here(machine: Open) -> None:
    with machine("a") as a:
        for number in range(40):
            a.put(f"build-{number % 4}/{number}", b"%d" % number)
    b = machine("b")
    found: dict[int, bytes] = {}
    threads = [threading.Thread(target=lambda n=n: found.update({n: b.get(f"build-{n % 4}/{n}")})) for n in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: b"%d" % number for number in range(40)}


# -- reading only -------------------------------------------------------------------------------------------


def test_a_reader_brings_in_what_others_wrote_on_a_machine_that_has_no_store_yet(machine: Open) -> None:
    with machine("a") as a:
        a.put("build-7/app.log", LINES)
    assert machine("b", read_only=True).get("build-7/app.log") == LINES


def test_a_reader_writes_nothing_into_the_bucket(machine: Open, way: Moody) -> None:
    machine("a").close()
    with machine("b") as b:
        b.put("build-8/app.log", b"before")
    way.mood = RemoteUnavailable("down")
    with machine("a") as a:
        a.put("build-7/app.log", LINES)
    way.mood = None
    way.kinds.clear()
    with machine("a", read_only=True) as reader:
        assert {found.key for found in reader.list()} == {"build-7/app.log", "build-8/app.log"}
        for refused in (lambda: reader.put("x/y", b""), lambda: reader.delete("build-7"), reader.flush):
            with pytest.raises(errors.Protected, match="read only"):
                refused()
    assert not {kind for kind in way.kinds if kind.startswith(("put", "delete"))}


def test_a_reader_of_an_empty_bucket_makes_no_store_there(machine: Open, way: Moody) -> None:
    with pytest.raises(errors.ConfigError, match="no store"):
        machine("a", read_only=True).get("build-7/app.log")
    assert "put" not in way.kinds


def test_beside_a_process_that_holds_the_store_a_reader_says_what_it_cannot_know(
    machine: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mountfs.api.LOCK_SECONDS", 0.0)
    with machine("b") as b:
        b.put("build-8/app.log", b"of another machine")
    a = machine("a")
    a.put("build-7/app.log", LINES)
    assert a.exists("build-8/app.log")
    with machine("a", read_only=True) as reader:
        assert reader.get("build-7/app.log") == LINES
        with pytest.raises(errors.AlreadyMounted):
            reader.exists("build-9")
        with pytest.raises(errors.AlreadyMounted):
            list(reader.list())
        with pytest.raises(RemoteUnavailable):
            reader.get("build-8/app.log")


# -- outages ------------------------------------------------------------------------------------------------


def test_with_the_bucket_down_what_is_here_is_read(machine: Open, way: Moody) -> None:
    with machine("a") as a:
        a.put("build-7/app.log", LINES)
        a.put("build-7/other", b"other")
    with machine("b") as b:
        assert b.get("build-7/app.log") == LINES
    way.mood = RemoteUnavailable("down")
    b = machine("b")
    assert b.get("build-7/app.log") == LINES
    assert b.metadata("build-7/other").size == 5
    assert {found.key for found in b.list("build-7")} == {"build-7/app.log", "build-7/other"}
    with pytest.raises(RemoteUnavailable, match="build-7/other"):
        b.get("build-7/other")


def test_with_the_bucket_down_not_found_is_never_said(machine: Open, way: Moody) -> None:
    with machine("a") as a:
        a.put("build-7/app.log", LINES)
    way.mood = RemoteUnavailable("down")
    a = machine("a")
    for asks in (
        lambda: a.exists("build-8/app.log"),
        lambda: a.get("build-7/other"),
        lambda: a.metadata("build-8"),
        lambda: a.delete("build-8"),
        lambda: a.tag("build-8", status="success"),
        lambda: list(a.list()),
        lambda: list(a.list("build-7/ot")),
    ):
        with pytest.raises(RemoteUnavailable, match="down"):
            asks()


def test_in_full_sync_all_that_is_known_is_listed_while_the_bucket_is_down(machine: Open, way: Moody) -> None:
    with machine("a") as a:
        a.put("build-7/app.log", LINES)
    way.mood = RemoteUnavailable("down")
    a = machine("a", sync={"mode": "full"})
    assert [found.key for found in a.list()] == ["build-7/app.log"]


def test_with_the_bucket_down_put_works_and_close_says_what_is_left(
    machine: Open, way: Moody, caplog: pytest.LogCaptureFixture
) -> None:
    machine("a").close()
    way.mood = RemoteUnavailable("down")
    with machine("a") as a:
        a.put("build-7/app.log", LINES)
        assert a.get("build-7/app.log") == LINES
    assert [record.name for record in caplog.records if "build-7: not in the bucket: down" in record.message] == [LOG]
    way.mood = None
    machine("a").close()
    assert machine("b").get("build-7/app.log") == LINES


def test_a_machine_that_never_reached_the_bucket_stores_while_it_is_down(machine: Open, way: Moody) -> None:
    way.mood = RemoteUnavailable("down")
    with machine("a") as a:
        a.put("build-7/app.log", LINES)
    way.mood = None
    machine("a").close()
    assert machine("b").get("build-7/app.log") == LINES


def test_flush_says_that_the_bucket_does_not_answer(machine: Open, way: Moody) -> None:
    a = machine("a")
    a.put("build-7/app.log", LINES)
    way.mood = RemoteUnavailable("down")
    with pytest.raises(RemoteUnavailable, match="build-7: not in the bucket: down"):
        a.flush(timeout=1.0)


def test_flush_waits_for_the_bucket_to_come_back(machine: Open, way: Moody) -> None:
    a = machine("a")
    a.put("build-7/app.log", LINES)
    way.mood = RemoteUnavailable("down")

    def come_back() -> None:
        while len(way.kinds) < 4:
            way.gate.wait(0.001)
        way.mood = None

    threading.Thread(target=come_back).start()
    a.flush(timeout=30)
    assert a.metadata("build-7/app.log").state == "remote"


def test_a_bucket_that_hangs_costs_a_reader_its_patience_and_no_more(machine: Open, way: Moody) -> None:
    with machine("a") as a:
        a.put("build-7/app.log", LINES)
    way.gate.clear()
    b = machine("b", sync={"look_seconds": "50ms"})
    with pytest.raises(RemoteUnavailable, match="no answer within"):
        b.get("build-7/app.log")
    b.put("build-8/app.log", LINES)
    with pytest.raises(RemoteUnavailable, match="no answer within"):
        b.flush(timeout=0.01)


def test_an_answer_that_comes_too_late_harms_nothing(machine: Open, way: Moody) -> None:
    a = machine("a", sync={"look_seconds": "50ms", "patience_seconds": "50ms"})
    a.put("build-7/app.log", LINES)
    a.flush()
    a.put("build-7/app.log", b"newer")
    way.gate.clear()
    with pytest.raises(RemoteUnavailable):
        a.flush(timeout=0.05)
    way.gate.set()
    a.put("build-7/app.log", b"newest")
    a.flush(timeout=20)
    a.close()
    assert machine("b").get("build-7/app.log") == b"newest"


def test_an_outage_is_waited_for_once_and_not_for_each_name(
    machine: Open, way: Moody, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket, "AGAIN_SECONDS", 60.0)
    a = machine("a")
    a.exists("build-7")
    way.mood = RemoteUnavailable("down")
    way.kinds.clear()
    for number in range(20):
        with pytest.raises(RemoteUnavailable):
            a.exists(f"job-{number}")
    assert len(way.kinds) == 1


# -- refusals -------------------------------------------------------------------------------------------------


def test_wrong_credentials_of_a_bucket_never_used_before_are_said_at_once(machine: Open, way: Moody) -> None:
    way.mood = RemoteDenied("the bucket refuses these credentials")
    a = machine("a")
    with pytest.raises(RemoteDenied, match="credentials"):
        a.put("build-7/app.log", LINES)
    with pytest.raises(RemoteDenied, match="credentials"):
        a.get("build-7/app.log")
    way.mood = None


def test_what_the_bucket_refuses_later_is_kept_and_has_failed(machine: Open, way: Moody) -> None:
    a = machine("a")
    a.exists("build-7")
    way.mood = RemoteDenied("AccessDenied")
    a.put("build-7/app.log", LINES)
    with pytest.raises(RemoteDenied, match="build-7: not in the bucket: AccessDenied"):
        a.flush()
    assert a.metadata("build-7/app.log").state == "failed"
    way.mood = None
    a.flush()
    assert a.metadata("build-7/app.log").state == "remote"


def test_another_store_under_the_same_name_is_refused_and_what_is_here_stays(
    machine: Open, way: Moody, monkeypatch: pytest.MonkeyPatch
) -> None:
    with machine("a") as a:
        a.put("build-7/app.log", LINES)
    monkeypatch.setattr(way, "_inner", SimulatedBucket(now_ms=1_795_000_000_000))
    machine("b").put("build-9/x", b"another store")
    a = machine("a")
    assert a.get("build-7/app.log") == LINES
    with pytest.raises(errors.ConfigError, match="another store"):
        a.exists("build-9/x")


# -- what is here -----------------------------------------------------------------------------------------------


def test_a_content_that_rots_here_is_healed_from_the_bucket(
    machine: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = os.urandom(3 << 20)
    a = machine("a")
    a.put("build-7/video.bin", data)
    a.flush()
    (stored,) = [path for path in (tmp_path / "a/state/contents").rglob("*") if path.is_file()]
    with open(stored, "r+b") as file:
        file.seek(2 << 20)
        file.write(b"rot")
    assert a.get("build-7/video.bin") == data
    assert "fetched again from the bucket" in caplog.text
    assert not a.metadata("build-7/video.bin").damaged


def test_a_cache_that_is_full_makes_room_for_what_is_written_and_read(machine: Open) -> None:
    budget = {"cache": {"max_size": "6 MiB"}}
    data = [os.urandom(2 << 20) for _ in range(6)]
    a = machine("a", **budget)
    for number, content in enumerate(data):
        a.put(f"build-7/{number}.bin", content)
    for number, content in enumerate(data):
        assert a.get(f"build-7/{number}.bin") == content
        assert a.get(f"build-7/{5 - number}.bin") == data[5 - number]
    stored = sum(path.stat().st_size for path in (a.state / "contents").rglob("*") if path.is_file())
    assert stored <= 6 << 20


def test_the_log_is_quiet_when_nothing_is_wrong(machine: Open, caplog: pytest.LogCaptureFixture) -> None:
    with machine("a") as a:
        a.put("build-7/app.log", LINES)
    machine("b").get("build-7/app.log")
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
