"""Promises of the reports that retention decides about: they are what the store's own facts say, whatever happened."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings

from mountfs.clock import milliseconds_of
from mountfs.model import Kind, Standing
from mountfs.retention import Dated, Report, with_baselines
from mountfs.store.facts import tags_in
from mountfs.store.store import Store
from tests.store.conftest import OWNER
from tests.store.test_cleaning import HOUR_NS, Hands
from tests.store.test_search import Searched, Step, histories, history


def told(searched: Searched) -> dict[tuple[str, str], Report]:
    return {report.key: report for report in searched.search.units.reports()}


def expected(searched: Searched) -> dict[tuple[str, str], Report]:
    """By the facts of every artifact, one after the other."""
    catalog, facts = searched.bench.store.catalog, searched.bench.store.facts
    pinned = {names for names, entry in searched.entries() if catalog.register(entry.ino, "pinned") == b"1"}
    units: dict[tuple[str, str], list[tuple[int, Dated | None, bool, int]]] = {}
    tags: dict[str, dict[str, str]] = {}
    began: dict[str, int] = {}
    for names, entry in searched.entries():
        if entry.kind == Kind.DIRECTORY:
            continue
        artifact = facts.artifact(names, entry, {})
        job = catalog.child(1, names[0])
        assert job is not None
        tags[artifact.job] = tags_in(catalog.registers(job.ino, "tag:"))
        began[artifact.job] = min(began.get(artifact.job, job.birth_ns), entry.birth_ns)
        expires_ns = int(datetime.fromisoformat(artifact.expires_at).timestamp() * 1e9) if artifact.expires_at else None
        dated = None if expires_ns is None else Dated(artifact.path, expires_ns, artifact.stored_size)
        is_pinned = any(names[:depth] in pinned for depth in range(1, len(names) + 1))
        published_ns = milliseconds_of(entry.stamp) * 1_000_000
        of_type = units.setdefault((artifact.job, artifact.type), [])
        of_type.append((published_ns, dated, is_pinned, artifact.stored_size))
    made = []
    for (job_name, slug), of_type in units.items():
        dates = tuple(dated for _, dated, _, _ in of_type if dated is not None)
        lasting = [published for published, dated, _, _ in of_type if dated is None]
        made.append(
            Report(
                job_name, slug, max(lasting or [published for published, *_ in of_type]), began[job_name],
                tags[job_name], len(of_type),
                sum(stored for *_, stored in of_type), any(pin for _, _, pin, _ in of_type), dated=dates,
            )
        )  # fmt: skip
    return {report.key: report for report in with_baselines(made)}


def comparable(report: Report) -> tuple[object, ...]:
    return (
        report.key, report.published_ns, report.began_ns, dict(report.tags), report.artifacts,
        report.stored_bytes, report.pinned, report.baseline, sorted(report.dated, key=lambda dated: dated.path),
    )  # fmt: skip


@settings(max_examples=50)
@given(histories)
def test_reports_are_what_the_artifacts_say(happened: list[Step]) -> None:
    with history(happened) as searched:
        found, right = told(searched), expected(searched)
        assert [comparable(found[key]) for key in sorted(found)] == [comparable(right[key]) for key in sorted(right)]
        units = searched.bench.store.catalog.units
        for report in found.values():
            key = units.key(report.job, report.type)
            assert key is not None
            standing = units.standing(key)
            assert standing is not None
            assert (standing.artifacts, standing.published_ns) == (report.artifacts, report.published_ns)
            assert (key in units.pinned()) == report.pinned
            members = units.members(key, after=None, limit=100)
            assert len(members) == report.artifacts
            assert {units.key_of(member.ino) for member in members} == {key}
            assert units.members(key, after=members[0], limit=1) == members[1:2]


@pytest.fixture
def searched(tmp_path: Path) -> Iterator[Searched]:
    made = Searched(tmp_path / "state")
    yield made
    made.close()


def test_the_pin_of_a_directory_holds_for_all_reports_in_it_and_no_other(searched: Searched) -> None:
    store = searched.bench.store
    directory = store.tree.make_directory(searched.bench.job, b"kept", 0o755, OWNER)
    for parent, name in ((directory.ino, b"junit.xml"), (searched.bench.job, b"a.log"), (searched.bench.job, b"z.mp4")):
        searched.bench.close(store.tree.create_file(parent, name, 0o644, OWNER))
    store.attributes.set(directory.ino, b"user.mountfs.pinned", b"1")
    searched.catch_up()
    assert {report.type: report.pinned for report in searched.search.units.reports()} == {
        "test-results": True,
        "build-logs": False,
        "videos": False,
    }


def test_what_has_a_date_of_its_own_makes_a_report_no_newer_unless_all_has(tmp_path: Path) -> None:
    hands = Hands()
    store = Store.open(tmp_path / "state", clock=hands)
    job = store.tree.make_directory(1, b"job", 0o755, OWNER).ino
    times, inos = [], []
    for name in (b"a.log", b"b.log"):
        hands.time_ns += HOUR_NS
        live = store.tree.create_file(job, name, 0o644, OWNER)
        store.files.publish(live, Standing.CLOSED)
        store.files.release(live, write=True)
        times.append(hands.time_ns)
        inos.append(live.ino)
    found = []
    for ino in (inos[1], inos[0]):
        store.attributes.set(ino, b"user.mountfs.expires_at", b"+1d")
        store.ledger.drain()
        store.indexer.catch_up()
        (report,) = store.catalog.units.reports()
        found.append(report.published_ns)
        standing = store.catalog.units.standing(store.catalog.units.key_of(ino) or (0, 0))
        assert standing is not None
        assert (standing.published_ns, standing.newest_ms * 1_000_000) == (report.published_ns, times[1])
    assert found == times
    store.close()


def test_a_report_that_has_gone_is_known_to_be_gone(searched: Searched) -> None:
    searched.bench.save("a.log", b"x")
    searched.catch_up()
    units = searched.bench.store.catalog.units
    key = units.key("job", "build-logs")
    assert key is not None
    searched.bench.store.tree.unlink(searched.bench.job, b"a.log")
    searched.catch_up()
    assert units.standing(key) is None
    assert units.key("no-such-job", "build-logs") is None
