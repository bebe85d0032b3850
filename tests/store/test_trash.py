"""The trash of one store, without a bucket: what leaves something there, for how long, and what makes room."""

import os
from collections.abc import Callable

import pytest

from mountfs.errors import CacheFull
from mountfs.store.paths import Changes
from mountfs.store.store import Store
from tests.store.conftest import Bench


def names(key: str) -> tuple[bytes, ...]:
    return tuple(key.encode().split(b"/"))


def trashed(store: Store, key: str) -> list[str]:
    """Why each of what can be brought back of a key went, newest first."""
    return [removed.reason for removed in store.restoring.bin.at(names(key))]


def restore(bench: Bench, name: str) -> None:
    (removed,) = bench.store.restoring.choose(names(f"job/{name}"))
    bench.store.restoring.put_back(removed, names=None, changes=Changes())


def test_a_file_that_went_before_it_was_settled_leaves_nothing(bench: Bench) -> None:
    bench.save("file", b"content")
    bench.store.tree.unlink(bench.job, b"file")
    bench.settle()
    assert trashed(bench.store, "job/file") == []


def test_a_file_that_only_grew_leaves_nothing(bench: Bench) -> None:
    for size in (10, 100 << 10):
        bench.save(f"log-{size}", b"x" * size)
        bench.settle()
        live = bench.open(f"log-{size}")
        bench.write(live, b"more", offset=size)
        bench.close(live)
        bench.settle()
        assert trashed(bench.store, f"job/log-{size}") == []


@pytest.mark.parametrize("size", [10, 100 << 10])
def test_bytes_that_were_written_over_leave_what_was_there(bench: Bench, size: int) -> None:
    bench.save("file", b"x" * size)
    bench.settle()
    live = bench.open("file")
    bench.write(live, b"y", offset=size // 2)
    bench.publish(live)
    bench.write(live, b"z", offset=size // 2)
    bench.close(live)
    bench.settle()
    assert trashed(bench.store, "job/file") == ["overwritten"]
    restore(bench, "file")
    assert bench.read("file") == b"x" * size


def test_truncating_leaves_what_was_there(bench: Bench) -> None:
    bench.save("file", b"content")
    bench.settle()
    live = bench.open("file")
    with live.lock:
        bench.store.files.truncate(live, 0)
    bench.close(live)
    assert trashed(bench.store, "job/file") == ["overwritten"]


def test_a_file_removed_while_it_is_rewritten_leaves_what_was_stored_last(bench: Bench) -> None:
    bench.save("file", b"x" * (200 << 10))
    bench.settle()
    live = bench.open("file")
    bench.write(live, b"more", offset=200 << 10)
    bench.close(live)
    bench.store.tree.unlink(bench.job, b"file")
    restore(bench, "file")
    bench.settle()
    assert bench.read("file") == b"x" * (200 << 10)


def test_what_comes_back_is_known_not_to_be_what_was_there_last_where_that_was_not_stored(bench: Bench) -> None:
    bench.save("file", b"one")
    bench.settle()
    live = bench.open("file")
    with live.lock:
        bench.store.files.truncate(live, 0)
    bench.write(live, b"two")
    bench.close(live)
    (removed,) = bench.store.restoring.choose(names("job/file"))
    assert bench.store.restoring.earlier(removed) == ""  # it is still there: who asks wants what it held before
    bench.store.tree.unlink(bench.job, b"file")
    assert bench.store.restoring.earlier(removed) == "overwritten"
    restore(bench, "file")
    bench.settle()
    bench.store.tree.unlink(bench.job, b"file")
    removed, *_ = bench.store.restoring.choose(names("job/file"))
    assert (removed.reason, bench.store.restoring.earlier(removed)) == ("removed", "")


def test_a_path_keeps_only_the_newest_of_what_was_there(bench: Bench) -> None:
    for number in range(40):
        bench.save("file", str(number).encode())
        bench.settle()
        bench.store.tree.unlink(bench.job, b"file")
    assert len(trashed(bench.store, "job/file")) == 16


def test_without_days_nothing_is_kept(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(trash_days=0)
    bench.save("file", b"content")
    bench.settle()
    bench.store.tree.unlink(bench.job, b"file")
    bench.settle()
    assert trashed(bench.store, "job/file") == []
    assert bench.store.catalog.here_bytes() == 0


def test_emptying_gives_the_room_back(bench: Bench) -> None:
    bench.save("file", os.urandom(100_000))
    bench.settle()
    bench.store.tree.unlink(bench.job, b"file")
    bench.settle()
    assert bench.store.catalog.here_bytes() == 100_000
    (removed,) = bench.store.restoring.choose(names("job/file"))
    bench.store.restoring.forget(removed)
    bench.settle()
    assert bench.store.catalog.here_bytes() == 0
    assert [*(bench.path / "contents").rglob("*.zst"), *(bench.path / "contents").rglob("[0-9a-f]" * 64)] == []


def test_the_trash_survives_a_kill(bench: Bench) -> None:
    bench.save("file", b"old")
    bench.settle()
    live = bench.open("file")
    with live.lock:
        bench.store.files.truncate(live, 0)
    bench.write(live, b"new")
    bench.close(live)
    bench.killed()
    bench.settle()
    bench.killed()
    restore(bench, "file")
    assert bench.read("file") == b"old"


def test_on_a_full_disk_the_oldest_trash_goes_before_a_writer_is_refused(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = bench.path / "contents"
    for number in range(3):
        bench.save(f"file-{number}", os.urandom(100_000))
        bench.settle()
        bench.store.tree.unlink(bench.job, f"file-{number}".encode())
    bench.settle()

    def free_and_reserve() -> tuple[int, int]:
        taken = sum(path.stat().st_size for path in contents.rglob("*") if path.is_file())
        return 310_000 - taken, 0

    monkeypatch.setattr(bench.store.room, "_free_and_reserve", free_and_reserve)
    monkeypatch.setattr(bench.store.room, "_disk_allowance", 0)
    bench.store.room.take_disk(50_000)
    assert [len(trashed(bench.store, f"job/file-{number}")) for number in range(3)] == [0, 1, 1]


def test_on_a_full_disk_rm_works_without_the_trash(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.save("file", b"content")
    bench.settle()

    def full(*_: object, **__: object) -> None:
        raise CacheFull("no space left")

    monkeypatch.setattr(bench.store.catalog.trash, "add", full)
    bench.store.tree.unlink(bench.job, b"file")
    assert bench.store.tree.find(bench.job, b"file") is None
    assert trashed(bench.store, "job/file") == []
