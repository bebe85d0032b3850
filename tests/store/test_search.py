"""Promises of the search index: it finds what the query language says, whatever happened to the artifacts."""

import contextlib
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mountfs import query as q
from mountfs.catalog.search import NEWEST, Found, JobFound, Order, Search, Sum
from mountfs.catalog.search.paging import ORDERS
from mountfs.clock import milliseconds_of
from mountfs.errors import MountfsError
from mountfs.model import ROOT_INO, Digest, Entry, Kind
from mountfs.query import Item, Query
from mountfs.store.indexer import DAY_NS, Indexer
from mountfs.store.options import Options
from tests.query.strategies import JOBS, NAMES, NOW, VALUES, conditions, queries
from tests.store.conftest import OWNER, Bench

TYPES = {"notes": "house-type"}
DIRECTORIES = ("a", "coverage", "a.d", "b")
TAGS = ("branch", "status", "pr", "size")


class Searched:
    """A store, its index and a reader beside it."""

    def __init__(self, path: Path) -> None:
        self.bench = Bench(path, Options(types=TYPES))
        self.indexer = Indexer(self.bench.store.catalog, types=TYPES)
        self.search = Search.open(self.bench.store.state.catalog)

    def close(self) -> None:
        self.search.close()
        self.bench.store.close()

    def catch_up(self) -> None:
        self.bench.store.ledger.drain()
        self.indexer.catch_up()

    def find(self, text: str) -> list[str]:
        """Keys in the order of keys."""
        query = q.parse(text, now_ns=NOW, extra=TYPES)
        return [found.key for found in self.pages(query, Order("job", descending=False))]

    def pages(self, query: Query, order: Order = NEWEST, limit: int = 100) -> Iterator[Found]:
        page = self.search.page(query, order=order, limit=limit)
        while True:
            yield from page.rows
            if page.next is None:
                return
            page = self.search.page(query, order=order, after=page.next, limit=limit)

    # -- what is true -----------------------------------------------------------------------------------------

    def entries(
        self, parent: int = ROOT_INO, names: tuple[bytes, ...] = ()
    ) -> Iterator[tuple[tuple[bytes, ...], Entry]]:
        for entry in self.bench.store.catalog.children(parent):
            if entry.ino == ROOT_INO:
                continue
            yield (*names, entry.name), entry
            if entry.kind == Kind.DIRECTORY:
                yield from self.entries(entry.ino, (*names, entry.name))

    def items(self) -> dict[int, Item]:
        """By ino: what the store itself says of every artifact."""
        self.bench.store.ledger.drain()
        facts = self.bench.store.facts
        found = {}
        for names, entry in self.entries():
            if entry.kind == Kind.DIRECTORY:
                continue
            artifact = facts.artifact(names, entry, facts.inherited(names))
            expires = datetime.fromisoformat(artifact.expires_at) if artifact.expires_at else None
            found[entry.ino] = Item(
                job=artifact.job, path=artifact.path, type=artifact.type, size=artifact.size,
                stored=artifact.stored_size, created_ns=entry.birth_ns, modified_ns=entry.mtime_ns,
                published_ns=milliseconds_of(entry.stamp) * 1_000_000, kind=artifact.kind, mime=artifact.mime_type,
                expires_ns=None if expires is None else int(expires.timestamp()) * 1_000_000_000,
                pinned=artifact.pinned, recovered=artifact.recovered, sha256=artifact.sha256, tags=artifact.tags,
            )  # fmt: skip
        return found


@pytest.fixture
def searched(tmp_path: Path) -> Iterator[Searched]:
    made = Searched(tmp_path / "state")
    yield made
    made.close()


# -- random histories --------------------------------------------------------------------------------------------

Step = tuple[str, int, int, int]

steps = st.tuples(
    st.sampled_from(
        ["file", "file", "file", "directory", "link", "tag", "tag", "tag job", "untag", "fact", "move", "move", "swap",
         "remove", "settle", "index", "index a little", "overwrite", "touch", "kill"]
    ),
    st.integers(0, 40), st.integers(0, 40), st.integers(0, 40),
)  # fmt: skip


def apply(searched: Searched, step: Step) -> None:
    """One thing that happens; what the store refuses does not."""
    with contextlib.suppress(MountfsError):
        _apply(searched, step)


def _pick(names: tuple[str, ...], number: int) -> bytes:
    return names[number % len(names)].encode("utf-8", "surrogateescape")


def _apply(searched: Searched, step: Step) -> None:
    what, a, b, c = step
    bench, store = searched.bench, searched.bench.store
    store.ledger.drain()
    entries = list(searched.entries())
    directories = [entry for _, entry in entries if entry.kind == Kind.DIRECTORY]
    files = [entry for _, entry in entries if entry.kind == Kind.FILE]
    if not directories:
        store.tree.make_directory(ROOT_INO, _pick(JOBS, b), 0o755, OWNER)
        return
    anything = entries[a % len(entries)][1]
    directory = directories[a % len(directories)]
    match what:
        case "file":
            live = store.tree.create_file(directory.ino, _pick(NAMES, b), 0o644, OWNER)
            if c % 4:
                bench.write(live, bytes([c % 4]) * 3 ** (c % 8))
            bench.close(live)
        case "directory" if a % 4 == 0:
            store.tree.make_directory(ROOT_INO, _pick(JOBS, b), 0o755, OWNER)
        case "directory":
            store.tree.make_directory(directory.ino, _pick(DIRECTORIES, b), 0o755, OWNER)
        case "link":
            store.tree.make_symlink(directory.ino, _pick(NAMES, b), b"target-%d" % (c % 3), OWNER)
        case "tag" | "tag job":
            jobs = [entry for entry in directories if entry.parent == ROOT_INO]
            ino = jobs[a % len(jobs)].ino if what == "tag job" else anything.ino
            store.attributes.set(ino, b"user." + _pick(TAGS, b), _pick(VALUES, c))
        case "untag":
            store.attributes.remove(anything.ino, b"user." + _pick(TAGS, b))
        case "fact":
            facts = ((b"type", b"videos"), (b"type", b""), (b"pinned", b"1"), (b"pinned", b"0"),
                     (b"expires_at", b"2026-12-24"), (b"expires_at", b""), (b"mime_type", b"a/b"))  # fmt: skip
            name, value = facts[b % len(facts)]
            store.attributes.set(anything.ino, b"user.mountfs." + name, value)
        case "move" | "swap":
            into = ROOT_INO if b % 5 == 0 else directories[b % len(directories)].ino
            name = _pick(JOBS if into == ROOT_INO else (*NAMES, *DIRECTORIES), c)
            exchange = what == "swap"
            store.tree.rename(anything.parent, anything.name, into, name, replace=not exchange, exchange=exchange)
        case "remove" if anything.kind == Kind.DIRECTORY:
            store.tree.remove_directory(anything.parent, anything.name)
        case "remove":
            store.tree.unlink(anything.parent, anything.name)
        case "overwrite" if files:
            live = store.files.open(store.tree.entry(files[a % len(files)].ino), write=True)
            bench.write(live, b"over", offset=b)
            bench.close(live)
        case "touch":
            changed = anything.copy()
            changed.mtime_ns = b * DAY_NS - 5
            store.ledger.put(changed)
        case "settle":
            bench.settle()
        case "index":
            searched.catch_up()
        case "index a little":
            searched.indexer.step(1 + b % 5)
        case _:
            pass


@contextlib.contextmanager
def history(happened: list[Step]) -> Iterator[Searched]:
    with tempfile.TemporaryDirectory() as path:
        searched = Searched(Path(path) / "state")
        try:
            for step in happened:
                apply(searched, step)
            searched.catch_up()
            yield searched
        finally:
            searched.close()


PATHS = (*NAMES, "a/junit.xml", "coverage/report", "a/*", "*/junit.xml", "*/b*")
DIGESTS = tuple(Digest.of(plain).hex() for plain in (b"", b"\1\1\1", b"target-1", b"\2"))
histories = st.lists(steps, min_size=5, max_size=40)
asked = st.lists(queries(conditions(PATHS, DIGESTS)), min_size=1, max_size=5)


@settings(max_examples=50)
@given(histories, asked, st.sampled_from(sorted(ORDERS)), st.booleans(), st.integers(1, 7))
def test_the_index_finds_what_the_language_says(
    happened: list[Step], questions: list[Query], field: str, descending: bool, limit: int
) -> None:
    with history(happened) as searched:
        items = searched.items()
        for query in questions:
            right = sorted(ino for ino, item in items.items() if q.matches(query, item))
            found = list(searched.pages(query, Order(field, descending=descending), limit))
            assert sorted(row.ino for row in found) == right
            assert sorted(row.ino for row in searched.pages(query, limit=limit)) == right
            assert searched.search.count(query) == len(right)
            assert found == sorted(found, key=lambda row: _compared(row, field), reverse=descending)
            for row in found:
                assert _item(row) == _without(items[row.ino])


def _compared(row: Found, field: str) -> tuple[object, object]:
    match field:
        case "job":
            return row.job, row.path
        case "name":
            return row.path.rpartition(b"/")[2], row.ino
        case _:
            columns = {"published": "published_ms", "created": "created_ns", "modified": "modified_ns"}
            return getattr(row, columns.get(field, field)), row.ino


def _item(row: Found) -> Item:
    job, _, path = row.key.partition("/")
    return Item(
        job=job, path=path, type=row.type, size=row.size, stored=row.stored, created_ns=row.created_ns,
        modified_ns=row.modified_ns, published_ns=row.published_ms * 1_000_000, kind=row.kind, mime=row.mime,
        expires_ns=None if row.expires_s is None else row.expires_s * 1_000_000_000, pinned=row.pinned,
        recovered=row.recovered, format=row.format,
    )  # fmt: skip


def _without(item: Item) -> Item:
    """What the index tells of it: no tags, no digest."""
    values = {name: getattr(item, name) for name in Item.__slots__ if name not in ("tags", "sha256")}
    return Item(**values)


@settings(max_examples=50)
@given(histories, asked, st.integers(1, 3))
def test_the_index_tells_which_jobs_match_as_a_whole(happened: list[Step], questions: list[Query], limit: int) -> None:
    with history(happened) as searched:
        items = searched.items()
        held = Counter(_raw(item.job) for item in items.values())
        for query in questions:
            matching = Counter(_raw(item.job) for item in items.values() if q.matches(query, item))
            found: list[JobFound] = []
            while page := searched.search.jobs(query, after=found[-1].name if found else b"", limit=limit):
                found.extend(page)
            assert [(job.name, job.matching, job.artifacts) for job in found] == [
                (job, count, held[job]) for job, count in sorted(matching.items())
            ]
            for job in found:
                assert set(leaves(searched, query, job.ino, limit)) == {
                    _raw(item.path) for item in items.values() if _raw(item.job) == job.name and q.matches(query, item)
                }


def leaves(searched: Searched, query: Query, job: int, limit: int, path: bytes = b"") -> Iterator[bytes]:
    """Paths of all that is below a directory of links."""
    after = b""
    while page := searched.search.below(query, job=job, path=path, after=after, limit=limit):
        for below in page:
            inner = path + b"/" + below.name if path else below.name
            if below.is_directory:
                yield from leaves(searched, query, job, limit, inner)
            else:
                yield inner
        after = page[-1].after


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


@settings(max_examples=25)
@given(histories)
def test_sums_are_those_of_the_artifacts(happened: list[Step]) -> None:
    with history(happened) as searched:
        items = list(searched.items().values())
        assert_sums(searched.search.sums_by_job(), [(item.job, item) for item in items])
        assert_sums(searched.search.sums_by_type(), [(item.type, item) for item in items])
        assert_sums(
            searched.search.sums_by_tag("branch"),
            [(item.tags["branch"], item) for item in items if "branch" in item.tags],
        )


def assert_sums(sums: list[Sum], named: list[tuple[str, Item]]) -> None:
    right: dict[bytes, tuple[int, int, int]] = {}
    for name, item in named:
        count, size, stored = right.get(_raw(name), (0, 0, 0))
        right[_raw(name)] = count + 1, size + item.size, stored + item.stored
    assert {one.name: (one.artifacts, one.size, one.stored) for one in sums} == right


@settings(max_examples=25)
@given(histories)
def test_an_index_that_followed_is_the_one_that_is_made_anew(happened: list[Step]) -> None:
    with history(happened) as searched:
        followed = rows_of(searched)
        catalog = searched.bench.store.catalog
        with catalog.transaction():
            for table in ("found", "job_tag", "own_tag", "holding", "tally", "daily"):
                catalog._run(f"DELETE FROM {table}")
            catalog._run("UPDATE indexing SET read_to = 0, noted_to = 0")
        searched.catch_up()
        assert rows_of(searched) == followed


def rows_of(searched: Searched) -> dict[str, list[object]]:
    run = searched.bench.store.catalog._run
    tables = ("found", "job_tag", "own_tag", "holding", "tally", "daily")
    return {table: sorted(run(f"SELECT * FROM {table}").fetchall(), key=repr) for table in tables}
