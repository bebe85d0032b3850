"""The journal and the catalog together are the truth: whatever part of it was brought over when the daemon died."""

import pytest

from mountfs.errors import CorruptContent, NotFound
from tests.store.conftest import Bench


def test_a_kill_after_a_part_was_brought_into_the_catalog_loses_nothing(bench: Bench) -> None:
    held = bench.create("held-open")
    bench.write(held, b"published while it is open")
    bench.publish(held)
    for number in range(5):
        bench.save(f"file-{number}", b"%d" % number)
    bench.store.settler.commit(jobs := bench.store.settler.take(), bench.store.settler.work(jobs))
    bench.save("later", b"later")
    bench.killed()
    assert [bench.read(f"file-{number}") for number in range(5)] == [b"%d" % number for number in range(5)]
    assert (bench.read("held-open"), bench.read("later")) == (b"published while it is open", b"later")


def test_an_empty_file_and_a_directory_wait_for_nobody(bench: Bench) -> None:
    bench.save("waiting", b"x")
    bench.save("empty", b"")
    bench.store.ledger.drain_settled([])
    assert bench.store.catalog.child(bench.job, b"empty") is not None
    assert bench.store.catalog.child(bench.job, b"waiting") is None
    bench.killed()
    assert bench.read("waiting") == b"x"


def test_names_are_listed_although_they_wait(bench: Bench) -> None:
    for name in ("b", "a", "c"):
        bench.save(name, name.encode())
    assert [entry.name for entry in bench.store.tree.page(bench.job, after=b"a", limit=10)] == [b"b", b"c"]


def test_an_unlinked_file_does_not_come_back_from_the_journal(bench: Bench) -> None:
    bench.save("one", b"x")
    bench.store.tree.unlink(bench.job, b"one")
    bench.killed()
    with pytest.raises(NotFound):
        bench.entry("one")


def test_a_name_used_again_belongs_to_the_new_file_after_a_kill(bench: Bench) -> None:
    bench.save("one", b"old")
    bench.store.tree.unlink(bench.job, b"one")
    bench.save("one", b"new")
    bench.killed()
    assert bench.read("one") == b"new"


def test_kills_in_a_row_lose_nothing(bench: Bench) -> None:
    for number in range(4):
        bench.save(f"file-{number}", b"%d" % number)
        bench.killed()
    assert [bench.read(f"file-{number}") for number in range(4)] == [b"0", b"1", b"2", b"3"]


def test_what_is_saved_after_a_damaged_record_was_found_survives_the_next_kill(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mountfs.journal.SEGMENT_BYTES", 1)  # each record in a segment of its own
    for number in range(4):
        bench.save(f"file-{number}", b"%d" % number)
    damaged = sorted((bench.path / "journal").iterdir())[2]
    damaged.write_bytes(b"torn" + damaged.read_bytes()[4:])
    bench.killed()
    bench.save("after", b"acknowledged")
    bench.killed()
    assert bench.read("after") == b"acknowledged"


def test_zeros_where_the_journal_had_a_record_are_damage(bench: Bench) -> None:
    bench.save("one", b"x")
    content = bench.entry("one").content
    assert content is not None
    found = bench.store.ledger.content(content)
    assert found is not None
    segment = bench.path / "journal" / f"{found.segment:012d}"
    segment.write_bytes(bytes(segment.stat().st_size))
    with pytest.raises(CorruptContent):
        bench.store.journal.read_content(found.segment, found.offset)


def test_a_damaged_record_costs_itself_alone_and_is_told(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(6):
        bench.save(f"file-{number}", b"%d" % number)
    segment = bench.path / "journal" / f"{bench.store.journal.segment:012d}"
    raw = bytearray(segment.read_bytes())
    raw[raw.rindex(b"file-2")] ^= 1  # its close; the record of its creation is sound
    segment.write_bytes(raw)
    bench.killed()
    kept = [bench.read(f"file-{number}") for number in (0, 1, 3, 4, 5)]
    assert kept == [b"0", b"1", b"3", b"4", b"5"]
    assert (bench.read("file-2"), bench.entry("file-2").standing) == (b"", "recovered")
    assert "1 records of the journal are damaged" in caplog.text
