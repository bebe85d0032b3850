"""Promises of what is told of many artifacts at once: the same as of each by itself, with few statements."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mountfs.catalog.known import TOGETHER
from mountfs.model import ROOT_INO, Artifact
from mountfs.store.options import Options
from tests.store.conftest import OWNER, Bench

FILES = 2 * TOGETHER + 5


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Bench]:
    """Some of each: with tags of their own and of a directory, empty, a symlink, written over, in a draft."""
    bench = Bench(tmp_path / "state", Options(versions=True))
    tree, tags = bench.store.tree, bench.store.attributes
    directory = tree.make_directory(bench.job, b"coverage", 0o755, OWNER).ino
    tags.set(bench.job, b"user.branch", b"main")
    tags.set(directory, b"user.branch", b"dev")
    for number in range(FILES):
        live = tree.create_file(directory if number % 3 else bench.job, b"file-%d" % number, 0o644, OWNER)
        bench.write(live, b"content of %d" % (number % 50))
        bench.close(live)
        if number % 7 == 0:
            tags.set(live.ino, b"user.team", b"%d" % number)
            tags.set(live.ino, b"user.mountfs.metadata", b'{"a": %d}' % number)
    tree.make_symlink(bench.job, b"link", b"file-0", OWNER)
    bench.save("empty", b"")
    bench.settle()
    live = bench.open("file-0")
    bench.write(live, b"other")
    bench.close(live)
    bench.settle()
    bench.create("draft")
    bench.store.ledger.drain()
    yield bench
    bench.store.close()


def listed(bench: Bench) -> list[Artifact]:
    facts, entry = bench.store.facts, bench.store.catalog.entry(bench.job)
    assert entry is not None
    return list(facts.walk((b"job",), entry, {}, recursive=True))


def inos(bench: Bench, artifacts: list[Artifact]) -> list[int]:
    found = (bench.store.tree.walk(tuple(artifact.key.encode().split(b"/"))) for artifact in artifacts)
    return [entry.ino for entry in found]


def test_many_artifacts_are_told_as_each_by_itself_in_the_order_asked_for(made: Bench) -> None:
    walked = listed(made)
    numbers = inos(made, walked)
    assert len(walked) == FILES + 3
    assert made.store.facts.of_inos(numbers[::-1]) == walked[::-1]
    assert [made.store.facts.of_inos([ino])[0] for ino in numbers] == walked
    by_key = {artifact.key: artifact for artifact in walked}
    assert by_key["job/coverage/file-7"].tags == {"branch": "dev", "team": "7"}
    assert by_key["job/coverage/file-7"].metadata == {"a": 7}
    assert by_key["job/file-0"].tags["branch"] == "main"
    assert by_key["job/file-0"].version == 2
    assert by_key["job/file-3"].version == 1
    assert by_key["job/draft"].state == "draft"


def test_what_went_is_left_out(made: Bench) -> None:
    assert made.store.facts.of_inos([10**9, made.entry("empty").ino, ROOT_INO + 10**8])[0].key == "job/empty"


def test_a_list_of_many_takes_few_statements(made: Bench) -> None:
    statements: list[str] = []
    made.store.catalog._db.set_trace_callback(statements.append)
    assert len(listed(made)) > 2 * TOGETHER
    assert len(statements) < 40


def test_a_file_two_thousand_directories_deep_is_listed_and_found(made: Bench) -> None:
    directory, tree, store = made.job, made.store.tree, made.store
    for _ in range(2000):
        directory = tree.make_directory(directory, b"d", 0o755, OWNER).ino
    made.close(tree.create_file(directory, b"f", 0o644, OWNER))
    store.ledger.drain()
    store.indexer.catch_up()
    key = "job" + 2000 * "/d" + "/f"
    assert key in [artifact.key for artifact in listed(made)]
    file = tree.walk(tuple(key.encode().split(b"/")))
    store.attributes.set(file.ino, b"user.team", b"deep")  # looked at by itself, when its directories are forgotten
    store.indexer.catch_up()
    assert store.catalog._run("SELECT value FROM own_tag WHERE ino = ?", (file.ino,)).fetchone() == (b"deep",)
    assert [artifact.key for artifact in store.facts.of_inos([file.ino])] == [key]
