"""What the first bytes of a content tell is kept by content: wherever it lies, as long as anybody has it."""

import os
from collections.abc import Callable, Iterator

import pytest

from mountfs import query as q
from mountfs.catalog.search import Search
from mountfs.codec import FRAME_BYTES
from tests.query.strategies import NOW
from tests.store.conftest import Bench

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
LARGE_PNG = PNG + os.urandom(3 * FRAME_BYTES)


class Told:
    """A store, what it says of a file, and what the index finds."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.search = Search.open(bench.store.state.catalog)

    def mime(self, name: str) -> str:
        fact = self.bench.store.attributes.fact(self.bench.entry(name).ino, "mime_type")
        names = (b"job", name.encode())
        assert self.bench.store.facts.artifact(names, self.bench.entry(name), {}).mime_type == fact
        return fact

    def found(self, mime: str) -> list[str]:
        self.bench.store.indexer.catch_up()
        rows = self.search.page(q.parse(f"mime={mime}", now_ns=NOW, extra={})).rows
        return sorted(row.path.decode() for row in rows)

    def rows(self) -> int:
        return int(self.bench.store.catalog._run("SELECT count(*) FROM mime", ()).fetchone()[0])


@pytest.fixture
def told(bench: Bench) -> Iterator[Told]:
    made = Told(bench)
    yield made
    made.search.close()


@pytest.mark.parametrize("content", [PNG, LARGE_PNG], ids=["small", "large"])
def test_a_picture_without_a_suffix_is_one(told: Told, content: bytes) -> None:
    told.bench.save("picture", content)
    told.bench.settle()
    assert told.mime("picture") == "image/png"
    assert told.found("image/png") == ["picture"]


@pytest.mark.parametrize("content", [PNG, LARGE_PNG], ids=["small", "large"])
def test_an_index_that_was_quicker_looks_again(told: Told, content: bytes) -> None:
    told.bench.save("picture", content)
    told.bench.store.ledger.drain()
    assert told.found("text/plain") == ["picture"]
    told.bench.settle()
    assert (told.found("text/plain"), told.found("image/png")) == ([], ["picture"])


def test_an_index_that_was_quicker_looks_again_at_a_content_known_in_another_form(told: Told) -> None:
    compressible = PNG + bytes(4000)
    told.bench.save("first", compressible)
    told.bench.settle()
    told.bench.save("second", b"")
    told.bench.store.attributes.set(told.bench.entry("second").ino, b"user.mountfs.codec", b"none")
    live = told.bench.open("second")
    told.bench.write(live, compressible)
    told.bench.close(live)
    told.bench.store.ledger.drain()
    assert told.found("image/png") == ["first"]
    told.bench.settle()
    assert told.found("image/png") == ["first", "second"]
    assert told.rows() == 1


def test_a_name_and_a_word_of_its_owner_come_before_the_content(told: Told) -> None:
    told.bench.save("picture.json", PNG)
    told.bench.save("picture", PNG)
    told.bench.settle()
    assert (told.mime("picture.json"), told.mime("picture")) == ("application/json", "image/png")
    told.bench.store.attributes.set(told.bench.entry("picture").ino, b"user.mountfs.mime_type", b"image/x-house")
    assert told.mime("picture") == "image/x-house"
    assert told.found("image/x-house") == ["picture"]


def test_a_renamed_picture_is_what_its_new_name_says(told: Told) -> None:
    told.bench.save("picture", PNG)
    told.bench.settle()
    assert told.found("image/png") == ["picture"]
    told.bench.store.tree.rename(told.bench.job, b"picture", told.bench.job, b"page.html")
    assert (told.mime("page.html"), told.found("text/html")) == ("text/html", ["page.html"])


def test_what_is_written_over_a_picture_is_what_it_is(told: Told) -> None:
    told.bench.save("picture", LARGE_PNG)
    told.bench.settle()
    live = told.bench.open("picture")
    told.bench.write(live, b"%PDF-1.7")
    told.bench.close(live)
    told.bench.settle()
    assert (told.mime("picture"), told.found("image/png")) == ("application/pdf", [])


def test_text_takes_no_row_and_a_row_goes_with_its_content(make_bench: Callable[..., Bench]) -> None:
    told = Told(make_bench(trash_days=0))
    told.bench.save("notes", b"a line\n" * 100)
    told.bench.save("picture", PNG)
    told.bench.save("copy", PNG)
    told.bench.settle()
    for name in (b"picture", b"copy"):
        assert (told.mime("notes"), told.rows()) == ("text/plain", 1)
        told.bench.store.tree.unlink(told.bench.job, name)
        told.bench.settle()
    assert told.rows() == 0
    told.search.close()


def test_a_content_that_was_stored_before_anybody_looked_is_known_once_it_is_written_again(told: Told) -> None:
    told.bench.save("picture", PNG)
    told.bench.settle()
    with told.bench.store.catalog.transaction():
        told.bench.store.catalog._run("DELETE FROM mime")
        told.bench.store.catalog.index.note([told.bench.entry("picture").ino])
    assert told.found("text/plain") == ["picture"]
    told.bench.save("again", PNG)
    told.bench.settle()
    assert told.found("image/png") == ["again", "picture"]


def test_a_killed_daemon_and_a_restart_change_nothing(told: Told) -> None:
    told.bench.save("picture", PNG)
    told.bench.save("large", LARGE_PNG)
    told.bench.killed()
    told.bench.settle()
    assert (told.mime("picture"), told.mime("large")) == ("image/png", "image/png")
    told.bench.restarted()
    assert told.found("image/png") == ["large", "picture"]
