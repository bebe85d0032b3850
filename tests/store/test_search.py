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
from mountfs.catalog.search import NEWEST, USUAL, Found, JobFound, Order, Reach, Search, Sum
from mountfs.catalog.search.paging import ORDERS
from mountfs.clock import milliseconds_of
from mountfs.errors import CatalogError, InvalidArgument, MountfsError
from mountfs.model import ROOT_INO, Digest, Entry, Kind
from mountfs.namespace import TypeRules
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

    def __init__(self, path: Path, reach: Reach = USUAL) -> None:
        self.bench = Bench(path, Options(types=TYPES))
        self.indexer = Indexer(self.bench.store.catalog, types=TypeRules(TYPES))
        self.search = Search.open(self.bench.store.state.catalog, reach=reach)

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
    """One thing that happens; what the store refuses does not, and the index refuses nothing."""
    try:
        _apply(searched, step)
    except CatalogError:
        raise
    except MountfsError:
        pass


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


def begin(searched: Searched) -> None:
    """Two jobs with something in each of their directories, tags at every level, half of it in the index."""
    bench, tree, tags = searched.bench, searched.bench.store.tree, searched.bench.store.attributes
    for number, job in enumerate(JOBS[:2]):
        parent = tree.make_directory(ROOT_INO, _raw(job), 0o755, OWNER).ino
        tags.set(parent, b"user.branch", b"main")
        for directory in ("", *DIRECTORIES[:2]):
            where = tree.make_directory(parent, _raw(directory), 0o755, OWNER).ino if directory else parent
            if directory:
                tags.set(where, b"user.status", b"dev")
            for name in NAMES[:3]:
                live = tree.create_file(where, _raw(name), 0o644, OWNER)
                bench.write(live, b"\1\1\1")
                bench.close(live)
        tags.set(live.ino, b"user.branch", b"dev")
        if number == 0:
            searched.catch_up()


@contextlib.contextmanager
def history(happened: list[Step], reach: Reach = USUAL) -> Iterator[Searched]:
    with tempfile.TemporaryDirectory() as path:
        searched = Searched(Path(path) / "state", reach)
        try:
            begin(searched)
            for step in happened:
                apply(searched, step)
            searched.catch_up()
            yield searched
        finally:
            searched.close()


PATHS = (*NAMES, "a/junit.xml", "coverage/report", "a/*", "*/junit.xml", "*/b*")
DIGESTS = tuple(Digest.of(plain).hex() for plain in (b"", b"\1\1\1", b"target-1", b"\2"))
histories = st.lists(steps, max_size=30)
reaches = st.sampled_from([
    USUAL,
    Reach(few=0, few_jobs=0, most=0, near=(1, 2), near_jobs=0),  # as if a million artifacts were behind each corner
    Reach(few=1, few_jobs=1, most=5, near=(2, 3), near_jobs=1),
    Reach(few=0, few_jobs=3, most=100, near=(1, 1), near_jobs=1),
    Reach(few=2, few_jobs=0, most=100, near=(3, 5), near_jobs=2),
])  # fmt: skip
asked = st.lists(queries(conditions(PATHS, DIGESTS)), min_size=8, max_size=16)


@settings(max_examples=80)
@given(histories, asked, st.sampled_from(sorted(ORDERS)), st.booleans(), st.integers(1, 7), reaches)
def test_the_index_finds_what_the_language_says(
    happened: list[Step], questions: list[Query], field: str, descending: bool, limit: int, reach: Reach
) -> None:
    with history(happened, reach) as searched:
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


@settings(max_examples=60)
@given(histories, asked, st.integers(1, 3), reaches)
def test_the_index_tells_which_jobs_match_as_a_whole(
    happened: list[Step], questions: list[Query], limit: int, reach: Reach
) -> None:
    with history(happened, reach) as searched:
        items = searched.items()
        held = Counter(_raw(item.job) for item in items.values())
        for query in questions:
            matching = Counter(_raw(item.job) for item in items.values() if q.matches(query, item))
            found: list[JobFound] = []
            while page := searched.search.jobs(query, after=found[-1].name if found else b"", limit=limit):
                found.extend(page)
            assert [(job.name, job.whole) for job in found] == [
                (job, count == held[job]) for job, count in sorted(matching.items())
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


# -- what follows what ---------------------------------------------------------------------------------------------


class Small:
    """A job `job` in which files are made by their paths, and asked for by the language."""

    def __init__(self, searched: Searched) -> None:
        self.searched = searched
        self.tree = searched.bench.store.tree
        self.tags = searched.bench.store.attributes

    def ino(self, path: str) -> int:
        return self.tree.walk(tuple(_raw(path).split(b"/"))).ino

    def directory(self, path: str) -> int:
        above, _, name = path.rpartition("/")
        return self.tree.make_directory(self.ino(above) if above else ROOT_INO, _raw(name), 0o755, OWNER).ino

    def file(self, path: str, data: bytes = b"data") -> int:
        above, _, name = path.rpartition("/")
        live = self.tree.create_file(self.ino(above), _raw(name), 0o644, OWNER)
        if data:
            self.searched.bench.write(live, data)
        self.searched.bench.close(live)
        return live.ino

    def tag(self, path: str, **tags: str) -> None:
        for key, value in tags.items():
            self.tags.set(self.ino(path), b"user." + key.encode(), value.encode())

    def fact(self, path: str, name: str, value: str) -> None:
        self.tags.set(self.ino(path), b"user.mountfs." + name.encode(), value.encode())

    def move(self, path: str, to: str) -> None:
        above, _, name = path.rpartition("/")
        into, _, new = to.rpartition("/")
        parent = self.ino(above) if above else ROOT_INO
        target = self.ino(into) if into else ROOT_INO
        self.tree.rename(parent, _raw(name), target, _raw(new), replace=True, exchange=False)

    def find(self, text: str) -> list[str]:
        self.searched.catch_up()
        return self.searched.find(text)

    def work(self) -> int:
        """How many entries the index has to look at for what happened."""
        self.searched.bench.store.ledger.drain()
        steps = 0
        while self.searched.indexer.step(1):
            steps += 1
        return steps


@pytest.fixture
def small(searched: Searched) -> Small:
    return Small(searched)


def test_a_new_artifact_is_found(small: Small) -> None:
    small.file("job/junit.xml")
    assert small.find("type=test-results") == ["job/junit.xml"]


def test_what_was_there_before_the_index_is_found(small: Small) -> None:
    small.file("job/junit.xml")
    small.tag("job", branch="main")
    small.searched.bench.restarted()
    Indexer(small.searched.bench.store.catalog, types=TypeRules(TYPES)).catch_up()
    assert small.searched.find("branch=main and type=test-results") == ["job/junit.xml"]


def test_an_artifacts_own_tag_wins_over_its_directories_and_its_job(small: Small) -> None:
    small.directory("job/a")
    for name in ("job/of-job", "job/a/of-directory", "job/a/own"):
        small.file(name)
    small.tag("job", branch="main")
    small.tag("job/a", branch="dev")
    small.tag("job/a/own", branch="own")
    assert small.find("branch=main") == ["job/of-job"]
    assert small.find("branch=dev") == ["job/a/of-directory"]
    assert small.find("branch=own") == ["job/a/own"]
    assert small.find("branch!=main") == ["job/a/of-directory", "job/a/own"]


def test_a_directory_that_moves_takes_along_paths_types_and_tags(small: Small) -> None:
    small.directory("job/plain")
    small.directory("job/plain/deep")
    small.file("job/plain/deep/index.html")
    small.directory("other")
    small.tag("other", branch="other")
    assert small.find("type=custom") == ["job/plain/deep/index.html"]
    small.move("job/plain", "other/coverage")
    assert small.find("type=coverage-report and branch=other") == ["other/coverage/deep/index.html"]
    assert small.find("job=job") == []


def test_a_directory_that_becomes_a_job_and_a_job_that_becomes_a_directory_are_followed(small: Small) -> None:
    small.directory("job/a")
    small.file("job/a/file")
    small.tag("job/a", status="good")
    assert small.find("status=good") == ["job/a/file"]
    small.move("job/a", "new")
    assert small.find("status=good and job=new") == ["new/file"]
    small.move("new", "job/b")
    assert small.find("status=good and job=job") == ["job/b/file"]


def test_renaming_or_tagging_a_job_rewrites_none_of_its_artifacts(small: Small) -> None:
    for number in range(50):
        small.file(f"job/file-{number}")
    small.find("*")
    small.tag("job", branch="main")
    assert small.work() <= 2
    small.move("job", "renamed")
    assert small.work() <= 2
    assert len(small.find("branch=main and job=renamed")) == 50


def test_renaming_a_directory_notes_one_row_whatever_lies_below_it(small: Small) -> None:
    small.directory("job/a")
    for number in range(30):
        small.file(f"job/a/file-{number}")
    small.find("*")
    small.move("job/a", "job/b")
    changed = small.searched.bench.store.catalog._run("SELECT count(*) FROM changed").fetchone()
    assert changed == (1,)
    assert len(small.find("path~b/*")) == 30


def test_what_is_renamed_while_it_is_gone_through_is_gone_through_again(small: Small) -> None:
    small.directory("job/a")
    for number in range(10):
        small.file(f"job/a/file-{number}")
    small.find("*")
    small.move("job/a", "job/b")
    for name in ("job/c", "job/d"):
        small.searched.bench.store.ledger.drain()
        small.searched.indexer.step(4)
        small.move("job/b" if name == "job/c" else "job/c", name)
    assert len(small.find("path~d/*")) == 10


def test_a_name_that_was_taken_over_is_followed_although_its_last_owner_is_looked_at_later(small: Small) -> None:
    """A piece at a time: files and directories that trade their names come in pieces of their own."""
    small.directory("job/a")
    small.directory("job/b")
    for path in ("job/first", "job/second", "job/a/file", "job/b/file"):
        small.file(path, path.encode())
    small.find("*")
    for one, other in (("first", "second"), ("a", "b")):
        for path, to in ((other, "aside"), (one, other), ("aside", one)):
            small.move(f"job/{path}", f"job/{to}")
    assert small.work() > 2
    assert small.searched.find("*") == ["job/a/file", "job/b/file", "job/first", "job/second"]
    assert small.searched.find("size=9") == ["job/second"]


def test_settling_tells_what_an_artifact_costs(small: Small) -> None:
    small.file("job/large", b"a" * 50_000)
    assert small.find("stored<50000") == []
    small.searched.bench.settle()
    assert small.find("stored<50000") == ["job/large"]


def test_a_sha256_finds_files_links_and_what_is_empty(small: Small) -> None:
    small.file("job/file", b"one")
    small.file("job/empty", b"")
    small.tree.make_symlink(small.ino("job"), b"link", b"one", OWNER)
    small.searched.bench.settle()
    assert small.find(f"sha256={Digest.of(b'one').hex()}") == ["job/file", "job/link"]
    assert small.find(f"sha256~{Digest.of(b'').hex()[:8]}") == ["job/empty"]


def test_facts_that_are_said_are_found(small: Small) -> None:
    small.file("job/a.bin")
    small.file("job/b.bin")
    small.fact("job/a.bin", "type", "videos")
    small.fact("job/a.bin", "mime_type", "video/house")
    small.fact("job/a.bin", "expires_at", "2026-12-24")
    small.fact("job/a.bin", "pinned", "1")
    assert small.find("type=videos and mime~video/* and expires=2026-12-24 and pinned") == ["job/a.bin"]
    for fact in ("type", "mime_type", "expires_at", "pinned"):
        small.fact("job/a.bin", fact, "") if fact != "mime_type" else None
    assert small.find("type=videos or expires>1970 or pinned") == []


def test_a_removed_tag_lets_the_inherited_one_show(small: Small) -> None:
    small.file("job/file")
    small.tag("job", branch="main")
    small.tag("job/file", branch="dev")
    assert small.find("branch=dev") == ["job/file"]
    small.tags.remove(small.ino("job/file"), b"user.branch")
    assert small.find("branch=main") == ["job/file"]


def test_other_types_in_the_settings_are_told_of_all_that_is_there(small: Small) -> None:
    small.file("job/spectrum.csv")
    assert small.find("type~sp*") == []
    types = {"spectrum": "spectra"}
    Indexer(small.searched.bench.store.catalog, types=TypeRules(types)).catch_up()
    assert small.searched.find("type~sp*") == ["job/spectrum.csv"]
    again = Indexer(small.searched.bench.store.catalog, types=TypeRules(types))
    assert not again.is_behind


def test_what_goes_while_all_is_read_again_is_not_left_behind(small: Small) -> None:
    for number in range(10):
        small.file(f"job/file-{number}")
    small.find("*")
    again = Indexer(small.searched.bench.store.catalog, types=TypeRules({"a": "b"}))
    again.step(3)
    small.tree.unlink(small.ino("job"), b"file-9")
    small.searched.bench.store.ledger.drain()
    again.catch_up()
    assert len(small.searched.find("*")) == 9


def test_the_last_publication_of_a_type_is_known_although_newer_ones_go(small: Small) -> None:
    inos = [small.file(f"job/{name}.log") for name in "ab"]
    small.find("*")
    stamps = [milliseconds_of(small.tree.entry(ino).stamp) for ino in inos]
    small.tree.unlink(small.ino("job"), b"b.log")
    small.find("*")
    newest = small.searched.bench.store.catalog._run("SELECT newest_ms FROM tally").fetchall()
    assert newest == [(stamps[0],)]


def test_an_order_that_there_is_not_is_refused(searched: Searched) -> None:
    with pytest.raises(InvalidArgument, match="colour is no order"):
        searched.search.page(q.EVERYTHING, order=Order("colour"))


def test_a_reader_changes_nothing_and_an_index_that_is_damaged_is_a_catalog_error(searched: Searched) -> None:
    with pytest.raises(CatalogError):
        searched.search._run("DELETE FROM found")


def test_a_hundred_stars_take_no_time(small: Small) -> None:
    small.file("job/" + "a" * 200)
    assert small.find("name~" + "a*" * 40 + "b") == []
