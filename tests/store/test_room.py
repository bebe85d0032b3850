"""Limits are met by the write that would cross them, and what is removed or compressed gives its room back."""

import errno
import os
from collections.abc import Callable

import pytest

from mountfs.errors import ArtifactTooLarge, CacheFull, QuotaExceeded
from tests.store.conftest import Bench

MakeBench = Callable[..., Bench]
KIB = 1 << 10


def test_the_write_that_crosses_the_quota_is_refused_and_the_file_keeps_what_it_had(make_bench: MakeBench) -> None:
    bench = make_bench(quota_bytes=100 * KIB)
    live = bench.create("one")
    bench.write(live, os.urandom(90 * KIB))
    with pytest.raises(QuotaExceeded):
        bench.write(live, bytes(20 * KIB), offset=90 * KIB)
    bench.close(live)
    assert bench.entry("one").size == 90 * KIB


def test_compressed_content_counts_what_it_costs(make_bench: MakeBench) -> None:
    bench = make_bench(quota_bytes=100 * KIB)
    for number in range(10):
        bench.save(f"log-{number}", str(number).encode() * 60 * KIB)
        bench.settle()
    assert bench.store.room.used_bytes() < 10 * KIB


def test_overwriting_reserves_only_what_grows(make_bench: MakeBench) -> None:
    bench = make_bench(quota_bytes=200 * KIB)
    bench.save("one", os.urandom(150 * KIB))
    bench.settle()
    live = bench.open("one")
    bench.write(live, os.urandom(10 * KIB), offset=5)
    bench.close(live)
    bench.settle()
    assert bench.store.room.used_bytes() == 150 * KIB


def test_what_is_removed_makes_room_for_the_next_write(make_bench: MakeBench) -> None:
    bench = make_bench(quota_bytes=100 * KIB)
    for _ in range(5):
        bench.save("one", os.urandom(80 * KIB))
        bench.settle()
        bench.store.tree.unlink(bench.job, b"one")
    assert bench.store.tree.find(bench.job, b"one") is None


def test_reservations_end_with_the_files_they_were_for(bench: Bench) -> None:
    for name, size in (("small", 100), ("large", 300 * KIB), ("empty", 0)):
        bench.save(name, os.urandom(size))
    unlinked = bench.create("unlinked")
    bench.write(unlinked, os.urandom(100 * KIB))
    bench.store.tree.unlink(bench.job, b"unlinked")
    bench.close(unlinked)
    bench.settle()
    assert bench.store.room.reserved_bytes == 0


def test_a_draft_taken_up_after_a_kill_is_counted(bench: Bench) -> None:
    bench.save("large", os.urandom(300 * KIB))
    bench.killed()
    assert bench.store.room.used_bytes() == 300 * KIB


def test_truncating_beyond_the_limit_is_refused_like_writing_beyond_it(make_bench: MakeBench) -> None:
    bench = make_bench(max_artifact_bytes=10 * KIB)
    live = bench.create("one")
    with live.lock, pytest.raises(ArtifactTooLarge):
        bench.store.files.truncate(live, 10 * KIB + 1)
    with pytest.raises(ArtifactTooLarge):
        bench.write(live, b"x", offset=10 * KIB)
    bench.close(live)


def test_on_a_full_disk_a_publish_fails_and_the_published_content_stays(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.save("one", b"old")
    live = bench.open("one")
    bench.write(live, b"new")
    with monkeypatch.context() as full:
        full.setattr("mountfs.journal.os.pwritev", _no_space)
        with pytest.raises(CacheFull):
            bench.publish(live)
    bench.killed()
    assert bench.read("one") == b"old"


def test_what_could_not_be_published_at_release_is_published_when_there_is_room(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.save("one", b"old")
    live = bench.open("one")
    bench.write(live, b"new")
    with monkeypatch.context() as full:
        full.setattr("mountfs.journal.os.pwritev", _no_space)
        with live.lock:
            bench.store.files.release(live, write=True)
    bench.settle()
    bench.killed()
    assert bench.read("one") == b"new"


def _no_space(*_: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
