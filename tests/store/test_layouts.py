"""Layouts: parts of a path that become tags (DESIGN §6)."""

from collections.abc import Callable

import pytest

from mountfs.namespace import Layouts
from tests.store.conftest import OWNER, Bench


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    bench = make_bench(layouts=("run-{number}", "{spec}/{task}/{type}"), job_tags={"team": "payments"})
    assert tags(bench, bench.job) == {"team": b"payments"}
    return bench


def tags(bench: Bench, ino: int) -> dict[str, bytes]:
    return {name[4:]: value for name, value in bench.store.catalog.registers(ino, "tag:").items()}


def test_each_directory_gets_the_tag_of_its_place(bench: Bench) -> None:
    spec = bench.store.tree.make_directory(bench.job, b"login", 0o755, OWNER)
    task = bench.store.tree.make_directory(spec.ino, b"t1", 0o755, OWNER)
    deeper = bench.store.tree.make_directory(task.ino, b"coverage", 0o755, OWNER)
    beyond = bench.store.tree.make_directory(deeper.ino, b"html", 0o755, OWNER)
    assert tags(bench, spec.ino) == {"spec": b"login"}
    assert tags(bench, task.ino) == {"task": b"t1"}
    assert tags(bench, deeper.ino) == {}  # {type} is no tag
    assert tags(bench, beyond.ino) == {}


def test_a_file_where_a_directory_is_meant_gets_none(bench: Bench) -> None:
    live = bench.create("notes.txt")
    bench.close(live)
    assert tags(bench, live.ino) == {}


def test_a_renamed_directory_is_tagged_by_its_new_name(bench: Bench) -> None:
    spec = bench.store.tree.make_directory(bench.job, b"login", 0o755, OWNER)
    bench.store.tree.rename(bench.job, b"login", bench.job, b"logout")
    assert tags(bench, spec.ino) == {"spec": b"logout"}


def test_what_somebody_said_otherwise_stays_over_a_rename(bench: Bench) -> None:
    spec = bench.store.tree.make_directory(bench.job, b"login", 0o755, OWNER)
    bench.store.attributes.set(spec.ino, b"user.spec", b"mine")
    bench.store.tree.rename(bench.job, b"login", bench.job, b"logout")
    assert tags(bench, spec.ino) == {"spec": b"mine"}


def test_exchanged_directories_exchange_their_tags(bench: Bench) -> None:
    one = bench.store.tree.make_directory(bench.job, b"one", 0o755, OWNER)
    two = bench.store.tree.make_directory(bench.job, b"two", 0o755, OWNER)
    bench.store.tree.rename(bench.job, b"one", bench.job, b"two", exchange=True)
    assert (tags(bench, one.ino), tags(bench, two.ino)) == ({"spec": b"two"}, {"spec": b"one"})


def test_tags_of_a_layout_outlive_the_daemon(bench: Bench) -> None:
    spec = bench.store.tree.make_directory(bench.job, b"login", 0o755, OWNER)
    bench.killed()
    assert tags(bench, spec.ino) == {"spec": b"login"}


@pytest.mark.parametrize(
    ("texts", "path", "expected"),
    [
        (["{spec}/{task}"], "a", {"spec": b"a"}),
        (["{spec}/{task}"], "a/b", {"task": b"b"}),
        (["{spec}/{task}"], "a/b/c", {}),
        (["run-{number}"], "run-7", {"number": b"7"}),
        (["run-{number}"], "walk-7", {}),
        (["{os}-{arch}/x"], "linux-arm64", {"os": b"linux", "arch": b"arm64"}),
        (["x/{a}", "{b}/{c}"], "y", {"b": b"y"}),
        (["x/{a}", "{b}/{c}"], "x", {}),  # the first that fits counts
        (["a.c/{k}"], "abc/d", {}),  # a dot is a dot
    ],
)
def test_the_first_layout_that_fits_counts(texts: list[str], path: str, expected: dict[str, bytes]) -> None:
    assert Layouts(texts).tags_of_last(tuple(path.encode().split(b"/")), is_directory=True) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [("s/t/perf/x.xml", "performance-metrics"), ("s/t/log.txt", "build-logs"), ("s/t/else.txt", None), ("s", None)],
)
def test_the_part_type_says_the_type(path: str, expected: str | None) -> None:
    layouts = Layouts(["{spec}/{task}/{type}"])
    assert layouts.type_of(tuple(path.encode().split(b"/")), extra={}) == expected


def test_a_layout_that_a_file_lies_above_says_nothing_of_it() -> None:
    layouts = Layouts(["{spec}/{task}/{type}", "{spec}/{type}"])
    assert layouts.type_of((b"s", b"coverage.txt"), extra={}) == "coverage-report"
    assert layouts.type_of((b"s", b"coverage", b"a.log"), extra={}) == "build-logs"
    assert Layouts(["{type}/{task}", "{spec}/{type}"]).type_of((b"else", b"coverage.txt"), extra={}) is None


def test_a_value_longer_than_a_tag_may_be_is_no_tag() -> None:
    assert Layouts(["{a}"]).tags_of_last((b"x" * 2000,), is_directory=True) == {}
