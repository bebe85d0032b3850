"""What a draft is after power loss: each test decides itself what had reached the disk."""

import contextlib
import os
import sqlite3

import pytest

from mountfs import drafts
from mountfs.model import Standing
from tests.dying import die
from tests.store.conftest import Bench

SYNCED = os.urandom(300_000)
LATER = os.urandom(400_000)


def sync(bench: Bench) -> None:
    """What fsync of a file in the job does, after it has published."""
    bench.store.sync(bench.store.unsynced_drafts(bench.job), bench.store.journal.take_unsynced())


def lose_power(bench: Bench, *, drafts_too: bool) -> None:
    """The machine goes down and comes up; `drafts_too`: drafts that were never synced are empty files without a log."""
    die(bench.store)
    with contextlib.closing(sqlite3.connect(bench.path / "catalog.db")) as db, db:
        db.execute("UPDATE meta SET value = 'an earlier boot' WHERE key = 'boot_id'")
    for path in (bench.path / "drafts").iterdir() if drafts_too else ():
        path.unlink() if path.suffix else os.truncate(path, 0)
    bench.store = type(bench.store).open(bench.path)


def overwritten(bench: Bench, before: bytes, *, settled: bool) -> None:
    """`file` held `before`, durably; then it was truncated, rewritten larger than memory takes, and closed."""
    bench.save("file", before)
    if settled:
        bench.settle()
    sync(bench)
    live = bench.open("file")
    with live.lock:
        bench.store.files.truncate(live, 0)
    bench.write(live, LATER)
    bench.close(live)


@pytest.mark.parametrize("settled", [True, False])
@pytest.mark.parametrize("before", [b"small", b"a page of text. " * 1000])
def test_a_file_rewritten_and_never_synced_goes_back_to_its_synced_content(
    bench: Bench, before: bytes, settled: bool
) -> None:
    overwritten(bench, before, settled=settled)
    lose_power(bench, drafts_too=True)
    assert bench.read("file") == before
    assert bench.entry("file").standing == Standing.RECOVERED


def test_after_a_kill_the_rewritten_file_is_there(bench: Bench) -> None:
    overwritten(bench, b"small", settled=True)
    bench.killed()
    assert bench.read("file") == LATER


def test_a_file_that_was_empty_and_synced_keeps_its_name(bench: Bench) -> None:
    bench.save("file", b"")
    sync(bench)
    live = bench.open("file")
    bench.write(live, LATER)
    bench.close(live)
    lose_power(bench, drafts_too=True)
    assert bench.read("file") == b""
    assert bench.entry("file").standing == Standing.RECOVERED


def test_a_synced_draft_goes_back_to_its_last_sync(bench: Bench) -> None:
    bench.save("file", SYNCED)
    bench.settle()
    live = bench.open("file")
    bench.write(live, b"synced", offset=1000)
    bench.publish(live)
    sync(bench)
    bench.write(live, b"closed", offset=1000)
    bench.close(live)
    lose_power(bench, drafts_too=False)
    assert bench.read("file") == SYNCED[:1000] + b"synced" + SYNCED[1006:]


def test_a_draft_truncated_through_an_open_handle_is_still_synced_with_its_directory(bench: Bench) -> None:
    live = bench.create("file")
    bench.write(live, SYNCED)
    bench.publish(live)
    with live.lock:
        bench.store.files.truncate(live, 0)
    assert bench.store.unsynced_drafts(bench.job) == [live]
    sync(bench)
    lose_power(bench, drafts_too=False)
    assert bench.read("file") == SYNCED


def test_what_was_synced_survives_the_log_being_begun_anew(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafts, "COMPACT_BYTES", 100_000)
    bench.save("file", SYNCED)
    bench.settle()
    live = bench.open("file")
    bench.write(live, b"synced", offset=1000)
    bench.publish(live)
    sync(bench)
    for number in range(10):
        bench.write(live, b"%06d" % number, offset=1000)
        bench.publish(live)
    assert live.draft is not None
    assert bench.store.drafts_to_sync() == [live]
    assert live.draft.log_bytes > 500_000
    bench.store.sync([live], set())
    assert live.draft.log_bytes < 1000
    lose_power(bench, drafts_too=False)
    assert bench.read("file") == SYNCED[:1000] + b"000009" + SYNCED[1006:]


def test_a_draft_that_was_never_synced_begins_its_log_anew_by_itself(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafts, "COMPACT_BYTES", 100_000)
    live = bench.create("file")
    bench.write(live, SYNCED)
    for number in range(10):
        bench.publish(live)
        bench.write(live, b"%06d" % number, offset=1000)
    bench.close(live)
    assert live.draft is not None
    assert live.draft.log_bytes < 200_000
    bench.killed()
    assert bench.read("file") == SYNCED[:1000] + b"000009" + SYNCED[1006:]


def test_a_content_that_nothing_knows_of_goes(bench: Bench) -> None:
    stray = bench.path / "contents" / "ab" / ("ab" * 32)
    stray.parent.mkdir()
    stray.write_bytes(b"renamed, and its transaction lost")
    bench.save("file", SYNCED)
    bench.settle()
    lose_power(bench, drafts_too=False)
    assert not stray.exists()
    assert bench.read("file") == SYNCED


def test_stamps_rise_over_a_restart_with_the_clock_set_back(bench: Bench) -> None:
    bench.save("old", b"old")
    for number in range(1500):
        bench.save(f"{number}", b"x")
    late = bench.store.stamps
    late.resume("ffff00000000-0000")
    bench.store.tree.set_attributes(bench.entry("old").ino, mode=0o600)
    bench.store.ledger.drain()
    bench.killed()
    assert bench.store.stamps.next() > "ffff00000000-0000"


def test_a_draft_truncated_to_nothing_and_closed_is_an_empty_file(bench: Bench) -> None:
    live = bench.create("file")
    bench.write(live, SYNCED)
    bench.publish(live)
    with live.lock:
        bench.store.files.truncate(live, 0)
    bench.close(live)
    assert bench.read("file") == b""
    bench.killed()
    assert bench.read("file") == b""
    assert bench.entry("file").standing == Standing.CLOSED
    assert os.listdir(bench.path / "drafts") == []


def test_a_draft_truncated_to_nothing_and_grown_again_is_what_was_closed_last(bench: Bench) -> None:
    live = bench.create("file")
    bench.write(live, SYNCED)
    bench.publish(live)
    with live.lock:
        bench.store.files.truncate(live, 0)
    bench.publish(live)
    bench.write(live, LATER)
    bench.close(live)
    bench.killed()
    assert bench.read("file") == LATER
