"""No statement of the daily work reads a whole table: what is quick with a thousand artifacts is so with a million."""

import os
import sqlite3
from pathlib import Path

import pytest

from mountfs.catalog import connection
from mountfs.store.options import Options
from tests.store.conftest import Bench

SMALL_TABLES = {"meta", "usage", "d", "doomed", "draft", "sqlite_sequence", "indexing", "changed", "CONSTANT"}
"""Tables (d: dead) with a row for what is under way, not for each artifact."""


def work(bench: Bench) -> None:
    """A bit of everything that a mount does."""
    bench.save("small", b"small")
    bench.save("same", b"small")
    bench.save("large", os.urandom(200_000))
    bench.settle()
    bench.store.attributes.set(bench.entry("small").ino, b"user.pr", b"1")
    bench.store.attributes.set(bench.entry("small").ino, b"user.mountfs.type", b"videos")
    assert b"user.pr" in bench.store.attributes.list(bench.entry("small").ino)
    bench.store.attributes.get(bench.entry("large").ino, b"user.mountfs.sha256")
    bench.store.tree.rename(bench.job, b"same", bench.job, b"other", replace=True, exchange=False)
    bench.store.tree.unlink(bench.job, b"other")
    bench.store.tree.page(bench.job, after=b"", limit=10)
    live = bench.open("large")
    bench.write(live, b"x", offset=5)
    bench.close(live)
    bench.save("journaled", b"not settled")
    bench.store.ledger.drain()
    bench.create("provisional")
    bench.store.room.used_bytes()
    bench.store.catalog.damaged()
    bench.store.removable_segments()
    bench.store.settler.reclaim()


def scans(statements: set[str], db: sqlite3.Connection) -> set[str]:
    """The steps of their plans that read a large table from one end to the other."""
    found = set()
    for statement in statements:
        for *_, step in db.execute(f"EXPLAIN QUERY PLAN {statement}"):
            words = step.split()
            if words[0] == "SCAN" and "INDEX" not in words and words[1] not in SMALL_TABLES:
                found.add(f"{statement}: {step}")
    return found


def test_no_statement_scans_a_table_that_grows_with_the_artifacts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements: set[str] = set()
    connect = connection._connect

    def connect_and_listen(path: Path, *, read_only: bool) -> sqlite3.Connection:
        opened = connect(path, read_only=read_only)
        opened.set_trace_callback(statements.add)
        return opened

    monkeypatch.setattr(connection, "_connect", connect_and_listen)
    bench = Bench(tmp_path / "state", Options())
    statements.clear()  # making the tables is not daily work
    work(bench)
    bench.killed()
    bench.settle()
    bench.store.close()
    with sqlite3.connect(tmp_path / "state" / "catalog.db") as db:
        daily = {sql for sql in statements if sql.split()[0] in ("SELECT", "INSERT", "UPDATE", "DELETE")}
        assert len(daily) > 50
        assert scans(daily, db) == set()
    db.close()
