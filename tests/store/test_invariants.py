"""What must hold of any state directory, and that the checker sees when it does not."""

import contextlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from mountfs.errors import MountfsError
from tests.crash.invariants import invariants
from tests.store.conftest import Bench


@pytest.fixture
def used(bench: Bench) -> Bench:
    """A bit of everything, settled and not."""
    bench.save("file", os.urandom(100_000))
    bench.save("small", b"small")
    bench.save("gone", os.urandom(100_000))
    bench.settle()
    bench.store.tree.unlink(bench.job, b"gone")
    bench.save("draft", os.urandom(200_000))
    bench.save("journal", b"not settled")
    bench.store.attributes.set(bench.entry("small").ino, b"user.pr", b"1")
    return bench


def test_they_hold_after_a_kill(used: Bench, tmp_path: Path) -> None:
    assert set(invariants(used.path, tmp_path / "copy")) == {
        "job", "job/file", "job/small", "job/draft", "job/journal",
    }  # fmt: skip


def change(statement: str) -> Callable[[Path], None]:
    def changed(state: Path) -> None:
        with contextlib.closing(sqlite3.connect(state / "catalog.db")) as db, db:
            db.execute(statement)

    return changed


def forget_a_file(state: Path) -> None:
    next(path for path in (state / "contents").rglob("*") if path.is_file()).unlink()


def add_a_file(state: Path) -> None:
    (state / "contents" / "ab").mkdir(exist_ok=True)
    (state / "contents" / "ab" / ("ab" * 32)).write_bytes(b"who am I?")


DEFECTS: dict[str, Callable[[Path], None]] = {
    "links": change("UPDATE content SET links = links + 1"),
    "usage": change("UPDATE usage SET stored = stored + 1"),
    "orphan": change("UPDATE entry SET parent = 999 WHERE name = CAST('small' AS BLOB)"),
    "stray register": change("INSERT INTO register (ino, name, value, stamp) VALUES (999, 'tag:x', x'00', '')"),
    "dangling content": change("UPDATE entry SET content = 999, size = 5 WHERE name = CAST('small' AS BLOB)"),
    "unlinked content": change("INSERT INTO content (id, place, size, stored) VALUES (999, 'journal', 1, 1)"),
    "size": change("UPDATE entry SET size = size + 1 WHERE name = CAST('small' AS BLOB)"),
    "digest": change("UPDATE content SET digest = randomblob(32) WHERE place = 'catalog'"),
    "missing file": forget_a_file,
    "unknown file": add_a_file,
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_broken_one_is_seen(used: Bench, tmp_path: Path, defect: str) -> None:
    used.restarted()
    used.store.close()
    DEFECTS[defect](used.path)
    with pytest.raises((AssertionError, MountfsError)):
        invariants(used.path, tmp_path / "copy")
    used.store = type(used.store).open(tmp_path / "another")
