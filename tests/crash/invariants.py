"""Opens a state directory as the next mount would, reads everything back and says what is wrong with it.

Two looks: as recovered, and once everything is settled and reclaimed; both must show the same tree. What the
catalog keeps by triggers (links, sums) is counted again from the rows, and every file below the state directory
must be one that the catalog knows.
"""

import contextlib
import hashlib
import logging
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mountfs.errors import ContentLost, CorruptContent
from mountfs.model import ROOT_INO, Entry, Kind, Place
from mountfs.store.dropping import Dropped
from mountfs.store.options import Options
from mountfs.store.store import Store

READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Found:
    """One entry as a reader meets it; `content` is None where reading it fails with an integrity error."""

    kind: int
    mode: int
    size: int
    content: bytes | None
    standing: str
    tags: dict[str, bytes] = field(default_factory=dict)


Tree = dict[str, Found]
"""By path below the root, parents before what is in them."""


def invariants(state: Path, into: Path) -> Tree:
    """Judge a copy of `state`, made at `into`, and return what it holds; `state` stays as it is."""
    shutil.copytree(state, into, symlinks=True)
    try:
        return judge(into)
    finally:
        shutil.rmtree(into)


def judge(state: Path, *, may_be_damaged: bool = False) -> Tree:
    """Recover `state`, assert all invariants and return what it holds; afterwards everything in it is settled.

    After power loss contents may be damaged, and the log may say so: `may_be_damaged`.
    """
    with _no_errors_logged(allowed=may_be_damaged):
        store = Store.open(state, Options())
        try:
            _finish_dropping(store)
            found = read_tree(store)
            store.settler.settle_all()
            store.ledger.drain()
            assert store.settler.idle(), "something is left to settle"
            settled = read_tree(store)
            _same(found, settled)
            damaged = _damaged_contents(store)
            assert may_be_damaged or not damaged, f"contents {damaged} are marked damaged"
            _check_catalog(store, damaged)
        finally:
            store.close()
    _check_files(state)
    return settled


def _finish_dropping(store: Store) -> None:
    """As the next mount does first of all: what began to expire goes whole."""
    if store.dropping.is_unfinished():
        store.ledger.drain()
        store.indexer.catch_up()
        for _ in store.dropping.finish(Dropped()):
            pass
    assert not store.dropping.is_unfinished(), "something that expired is left in part"


@contextlib.contextmanager
def _no_errors_logged(*, allowed: bool) -> Iterator[None]:
    """Recovery has nothing to complain of after a kill."""
    said: list[str] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    log = logging.getLogger("mountfs")
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
    assert allowed or not said, f"the log complains: {said}"


# ---- the tree ------------------------------------------------------------------------------------------------


def read_tree(store: Store) -> Tree:
    """Every entry by its path, read to the end."""
    tree: Tree = {}
    _read_below(store, store.tree.entry(ROOT_INO), "", tree)
    return tree


def _read_below(store: Store, directory: Entry, path: str, tree: Tree) -> None:
    after = b""
    while page := store.tree.page(directory.ino, after=after, limit=100):
        for entry in page:
            place = f"{path}/{entry.name.decode()}".lstrip("/")
            assert entry.parent == directory.ino, f"{place} says that its parent is {entry.parent}"
            content, tags = _content(store, entry), _tags(store, entry)
            tree[place] = Found(entry.kind, entry.mode, entry.size, content, entry.standing, tags)
            if entry.kind == Kind.DIRECTORY:
                _read_below(store, entry, place, tree)
        after = page[-1].name


def _content(store: Store, entry: Entry) -> bytes | None:
    match entry.kind:
        case Kind.DIRECTORY:
            return b""
        case Kind.SYMLINK:
            return entry.target
        case _:
            return _plain_bytes(store, entry)


def _plain_bytes(store: Store, entry: Entry) -> bytes | None:
    try:
        plain = read_file(store, entry)
    except (CorruptContent, ContentLost):
        return None
    assert len(plain) == entry.size, f"{entry.name!r} is {entry.size} bytes long and {len(plain)} can be read"
    return plain


def read_file(store: Store, entry: Entry) -> bytes:
    """All bytes of a file, as a reader gets them. Raises CorruptContent, ContentLost."""
    live = store.files.open(entry, write=False)
    try:
        store.files.reader(live)
        parts: list[bytes] = []
        while part := store.files.read(live, sum(map(len, parts)), READ_BYTES):
            parts.append(part)
        return b"".join(parts)
    finally:
        store.files.release(live, write=False)


def _tags(store: Store, entry: Entry) -> dict[str, bytes]:
    registers = store.catalog.registers(entry.ino, "tag:")
    return {name.removeprefix("tag:"): value for name, value in registers.items()}


def _same(recovered: Tree, settled: Tree) -> None:
    assert recovered.keys() == settled.keys(), "settling changed the names"
    for path, found in recovered.items():
        assert found == settled[path], f"settling changed {path}: {_shown(found)}, then {_shown(settled[path])}"


def _shown(found: Found) -> str:
    content = "nothing readable" if found.content is None else f"{len(found.content)} bytes"
    return f"{content}, {found.mode:o}, {found.standing}, tags {found.tags}"


# ---- the catalog ---------------------------------------------------------------------------------------------


def _check_catalog(store: Store, damaged: list[int]) -> None:
    with contextlib.closing(sqlite3.connect(store.state.catalog)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        _check_entries(db)
        _check_contents(db)
        _check_drafts(db, damaged)
        inos = [ino for (ino,) in db.execute("SELECT ino FROM entry WHERE content IS NOT NULL")]
    for ino in inos:
        _check_digest(store, ino)


def _damaged_contents(store: Store) -> list[int]:
    with contextlib.closing(sqlite3.connect(store.state.catalog)) as db:
        return [content for (content,) in db.execute("SELECT id FROM content WHERE damaged = 1")]


def _check_entries(db: sqlite3.Connection) -> None:
    orphans = db.execute(
        "SELECT name FROM entry WHERE ino <> 1 AND parent NOT IN (SELECT ino FROM entry WHERE kind = 2)"
    ).fetchall()
    assert not orphans, f"entries below no directory: {orphans}"
    strays = db.execute("SELECT ino, name FROM register WHERE ino NOT IN (SELECT ino FROM entry)").fetchall()
    assert not strays, f"registers of no entry: {strays}"
    dangling = db.execute(
        "SELECT name, content FROM entry WHERE content IS NOT NULL AND content NOT IN (SELECT id FROM content)"
    ).fetchall()
    assert not dangling, f"entries whose content has no row: {dangling}"
    provisional = db.execute("SELECT name FROM entry WHERE standing = 'provisional'").fetchall()
    assert not provisional, f"provisional entries without a writer: {provisional}"


def _check_contents(db: sqlite3.Connection) -> None:
    needed = Counter(content for (content,) in db.execute("SELECT content FROM entry WHERE content IS NOT NULL"))
    needed.update(base for (base,) in db.execute("SELECT base FROM draft WHERE base IS NOT NULL"))
    kept = Counter(content for (content,) in db.execute("SELECT content FROM trash WHERE content IS NOT NULL"))
    kept.update(content for (content,) in db.execute("SELECT content FROM aside WHERE content IS NOT NULL"))
    kept.update(content for (content,) in db.execute("SELECT content FROM version"))
    noted = {content: (links, keeps) for content, links, keeps in db.execute("SELECT id, links, kept FROM content")}
    counted = {content: (needed[content], kept[content]) for content in needed | kept}
    assert noted == counted, f"links noted and counted differ: {sorted(noted.items() ^ counted.items())}"
    assert not db.execute("SELECT content FROM dead").fetchall(), "dead contents are left after reclaiming"
    assert not db.execute("SELECT path FROM doomed").fetchall(), "doomed files are left after reclaiming"
    (used,) = db.execute("SELECT stored FROM usage").fetchone()
    live = "SELECT coalesce(sum(stored), 0) FROM content WHERE digest IS NOT NULL AND links > 0"
    (stored,) = db.execute(live).fetchone()
    assert used == stored, f"usage says {used} stored bytes, the contents have {stored}"
    sizes = db.execute(
        "SELECT e.name, e.size, c.size FROM entry e JOIN content c ON c.id = e.content WHERE e.size <> c.size"
    ).fetchall()
    assert not sizes, f"entry and content differ in size: {sizes}"


def _check_drafts(db: sqlite3.Connection, damaged: list[int]) -> None:
    unsettled = {content for (content,) in db.execute("SELECT id FROM content WHERE digest IS NULL")} - set(damaged)
    assert not unsettled, f"contents that were not settled: {unsettled}"
    drafts = {content for (content,) in db.execute("SELECT content FROM draft")} - set(damaged)
    assert not drafts, f"drafts that are left after settling: {drafts}"


def _check_digest(store: Store, ino: int) -> None:
    entry = store.tree.entry(ino)
    plain = _plain_bytes(store, entry)
    if plain is not None:
        noted = store.attributes.fact(ino, "sha256")
        assert noted == hashlib.sha256(plain).hexdigest(), f"{entry.name!r} does not have the digest that is noted"


# ---- the files -----------------------------------------------------------------------------------------------


def _check_files(state: Path) -> None:
    """After a clean end: every file is known, every known file is there, and nothing is kept for later."""
    with contextlib.closing(sqlite3.connect(state / "catalog.db")) as db:
        rows = db.execute("SELECT digest, codec FROM content WHERE place = ?", (Place.FILE,)).fetchall()
    known = {digest.hex() + (".zst" if codec == "zstd" else "") for digest, codec in rows}
    there = {path.name for path in (state / "contents").rglob("*") if path.is_file()}
    assert there == known, f"contents/ and the catalog differ in {sorted(there ^ known)}"
    for rest in ("drafts", "incoming"):
        left = [path.name for path in (state / rest).iterdir()]
        assert not left, f"left in {rest}/: {left}"
    segments = sorted(path.name for path in (state / "journal").iterdir())
    assert len(segments) <= 1, f"journal segments that nothing needs: {segments[:-1]}"
