"""What reports say is kept by content: read once, wherever it lies, and gone when nobody has it any more."""

import hashlib
import json
from collections.abc import Callable, Iterator

import pytest

from mountfs import query as q
from mountfs.catalog import reports
from mountfs.catalog.reports import Told
from mountfs.catalog.search import Search
from mountfs.errors import TagNotFound
from mountfs.reports.model import Unknown, Unreadable
from mountfs.reports.reading import read
from mountfs.reports.wire import Summary, summary_of
from mountfs.store.indexer import Indexer
from tests.query.strategies import NOW
from tests.store.conftest import Bench
from tests.written import junit

JUNIT = junit(a="P", b="F")


class Read:
    """A store whose reports are read when one says so."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.search = Search.open(bench.store.state.catalog)

    def catch_up(self) -> None:
        self.bench.settle()
        self.bench.store.indexer.catch_up()

    def read_all(self) -> list[bytes]:
        """What the daemon does; the contents that it looked at."""
        self.catch_up()
        catalog, looked = self.bench.store.catalog, []
        while found := catalog.reports.next_unread(1):
            reader = self.bench.store.files.open_content(found[0].id)
            looked.append(reader.read(0, found[0].size))
            with catalog.transaction():
                catalog.reports.forget(found[0].id)
                catalog.reports.put(found[0].digest, summary_of(read(looked[-1])))
        self.bench.store.indexer.catch_up()
        return looked

    def fact(self, name: str, field: str) -> str | None:
        try:
            return self.bench.store.attributes.fact(self.bench.entry(name).ino, field)
        except TagNotFound:
            return None

    def find(self, text: str) -> list[str]:
        found = self.search.page(q.parse(text, now_ns=NOW, extra={})).rows
        return sorted(one.path.decode() for one in found)

    def told(self, name: str) -> Told | None:
        return self.search.reports.of_entry(self.bench.entry(name).ino)


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench()


@pytest.fixture
def stored(bench: Bench) -> Iterator[Read]:
    made = Read(bench)
    yield made
    made.search.close()


def test_a_report_has_format_summary_and_where_no_name_says_another_a_type(stored: Read) -> None:
    stored.bench.save("results.xml", JUNIT)
    stored.catch_up()
    assert (stored.fact("results.xml", "type"), stored.fact("results.xml", "format")) == ("custom", None)
    assert stored.fact("results.xml", "summary") is None, "nobody has looked yet"
    assert stored.read_all() == [JUNIT]
    assert (stored.fact("results.xml", "type"), stored.fact("results.xml", "format")) == ("test-results", "junit")
    summary = json.loads(stored.fact("results.xml", "summary") or "")
    assert (summary["status"], summary["kind"]) == ("parsed", "tests")
    assert (summary["numbers"]["tests.total"], summary["numbers"]["tests.failed"]) == (2, 1)
    assert stored.find("format=junit and type=test-results") == ["results.xml"]


def test_a_name_or_a_person_says_the_type_before_the_format_does(stored: Read) -> None:
    stored.bench.save("bandit.xml", JUNIT)
    stored.bench.save("results.xml", JUNIT + b"<!-- another -->")
    attributes = stored.bench.store.attributes
    attributes.set(stored.bench.entry("results.xml").ino, b"user.mountfs.type", b"diff")
    stored.read_all()
    assert stored.fact("bandit.xml", "type") == "security-findings"
    assert stored.fact("results.xml", "type") == "diff"
    assert stored.find("format=junit") == ["bandit.xml", "results.xml"]
    assert stored.find("type=diff") == ["results.xml"]


def test_what_cannot_be_read_and_what_nobody_knows_have_no_numbers(stored: Read) -> None:
    stored.bench.save("junit.xml", JUNIT[:-20])
    stored.bench.save("test.json", b'{"any": "thing"}')
    stored.read_all()
    unreadable, unknown = (json.loads(stored.fact(name, "summary") or "") for name in ("junit.xml", "test.json"))
    assert (unreadable["status"], stored.fact("junit.xml", "format")) == ("unreadable", "junit")
    assert unreadable["reason"]
    assert "numbers" not in unreadable
    assert (unknown, stored.fact("test.json", "format")) == ({"status": "unknown"}, None)


def test_the_same_content_is_read_once_wherever_it_lies(stored: Read) -> None:
    for name in ("junit.xml", "copy.xml", "coverage.txt", "results.json"):
        stored.bench.save(name, JUNIT)
    assert stored.read_all() == [JUNIT]
    stored.bench.save("later.xml", JUNIT)
    assert stored.read_all() == []
    assert stored.find("format=junit") == ["copy.xml", "coverage.txt", "junit.xml", "later.xml", "results.json"]
    assert stored.fact("later.xml", "format") == "junit"


def test_what_can_be_no_report_is_never_looked_at(stored: Read) -> None:
    for name in ("app.log", "index.html", "a.png", "program.bin", "data.db"):
        stored.bench.save(name, JUNIT)
    assert stored.read_all() == []


def test_content_without_compression_is_read_too(stored: Read) -> None:
    """Settling changes neither its size nor what it costs."""
    stored.bench.save("junit.xml", b"<a/>")
    assert stored.read_all() == [b"<a/>"]
    assert stored.told("junit.xml") == Unknown()


def test_what_a_content_said_goes_with_the_content(stored: Read) -> None:
    bench = stored.bench
    stored.bench.save("junit.xml", JUNIT)
    stored.read_all()
    digest = bench.store.catalog.content(bench.entry("junit.xml").content or 0)
    assert digest is not None
    assert digest.digest is not None
    bench.store.tree.unlink(bench.job, b"junit.xml")
    _forget(bench)
    assert bench.store.catalog.reports.of_digest(digest.digest) is None


def _forget(bench: Bench) -> None:
    """Nothing keeps any content any more."""
    catalog = bench.store.catalog
    bench.settle()
    with catalog.transaction():
        catalog._run("UPDATE content SET kept = 0")
        catalog._run("INSERT OR IGNORE INTO dead SELECT id FROM content WHERE links = 0")
    while bench.store.settler.forget_dead():
        pass


def test_a_new_content_of_a_file_has_another_answer(stored: Read) -> None:
    stored.bench.save("junit.xml", JUNIT)
    stored.read_all()
    live = stored.bench.open("junit.xml")
    stored.bench.write(live, b"something else entirely, no report at all, and longer than it was, padded" * 10)
    stored.bench.close(live)
    stored.bench.settle()
    assert stored.fact("junit.xml", "summary") is None
    stored.read_all()
    assert json.loads(stored.fact("junit.xml", "summary") or "") == {"status": "unknown"}
    assert stored.find("format=junit") == []


def test_it_is_known_after_a_restart_and_what_was_not_read_still_is(stored: Read) -> None:
    stored.bench.save("junit.xml", JUNIT)
    stored.read_all()
    stored.bench.save("later.xml", JUNIT + b"<!-- x -->")
    stored.catch_up()
    stored.bench.restarted()
    assert stored.fact("junit.xml", "format") == "junit"
    assert len(stored.read_all()) == 1


def test_other_readers_read_all_again(stored: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    stored.bench.save("junit.xml", JUNIT)
    stored.read_all()
    digest = hashlib.sha256(JUNIT).digest()
    assert stored.bench.store.catalog.reports.is_read(digest)
    monkeypatch.setattr(reports, "READER", 2)
    assert not stored.bench.store.catalog.reports.is_read(digest)
    monkeypatch.setattr("mountfs.store.indexer.READER", 2)
    stored.bench.store.indexer = Indexer(stored.bench.store.catalog)
    assert stored.read_all() == [JUNIT]
    assert stored.read_all() == []


def test_what_is_still_written_does_not_hide_what_is_settled(stored: Read) -> None:
    stored.bench.save("junit.xml", JUNIT)
    stored.catch_up()
    catalog = stored.bench.store.catalog
    open_files = [stored.bench.create(f"test-{number}.xml") for number in range(3)]
    for live in open_files:
        stored.bench.write(live, JUNIT)
        stored.bench.publish(live)
    stored.bench.store.ledger.drain()
    stored.bench.store.indexer.catch_up()
    with catalog.transaction():
        assert [found.size for found in catalog.reports.next_unread(8)] == [len(JUNIT)]
    for live in open_files:
        stored.bench.close(live)


@pytest.mark.parametrize(
    "told",
    [
        Summary("junit", "", "tests", "test-results", {"tests.total": 1, "tests.seconds": 0.5}),
        Unreadable("sarif", "The report ends in the middle."),
        Unknown(),
    ],
)
def test_an_answer_comes_back_as_it_was(stored: Read, told: Told) -> None:
    catalog = stored.bench.store.catalog
    with catalog.transaction():
        catalog.reports.put(b"d" * 32, told)
    assert catalog.reports.of_digest(b"d" * 32) == told
