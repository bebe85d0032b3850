"""Reports where nothing is mounted: a question finds what was put a moment ago, whatever its file is called."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from mountfs.api import open_store
from mountfs.api.direct import DirectStore
from tests.mount.test_cleanup import mountfs
from tests.mounting import Mounted
from tests.written import cobertura, junit

pytestmark = pytest.mark.mountfs_only

Settings = Mapping[str, object]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return {"mountpoint": str(tmp_path / "mnt"), "state": str(tmp_path / "state")}


@pytest.fixture
def machine(tmp_path: Path) -> Mounted:
    """A place where nothing is mounted; commands about it know its settings."""
    machine = Mounted(tmp_path / "mnt", tmp_path / "state", settings={"retention": {"types": {"test-results": 30}}})
    machine.command()
    return machine


def put(machine: Mounted, key: str, content: bytes, **tags: str) -> None:
    """As a user does it: a file from elsewhere, then the tags of its job."""
    (machine.path.parent / "file").write_bytes(content)
    mountfs(machine, "put", key, str(machine.path.parent / "file"))
    if tags:
        mountfs(machine, "tag", key.partition("/")[0], *(f"{name}={value}" for name, value in tags.items()))


def test_what_was_put_is_understood_before_a_question_is_answered(settings: Settings) -> None:
    with open_store(settings) as store:
        assert store.put("J/report.xml", junit(a="P", b="F")).type == "custom"
        assert [found.key for found in store.find("type=test-results and format=junit")] == ["J/report.xml"]
        shown = store.metadata("J/report.xml")
        assert (shown.type, shown.format) == ("test-results", "junit")
        store.put("J/cover.xml", cobertura(50))
        assert [artifact.type for artifact in store.list("J")] == ["coverage-report", "test-results"]


def test_facts_of_one_artifact_are_whole_at_once(settings: Settings) -> None:
    with open_store(settings) as store:
        store.put("J/report.xml", junit(a="P", b="F"))
        summary = store.metadata("J/report.xml").summary
    assert summary is not None
    assert summary["numbers"]["tests.failed"] == 1  # type: ignore[index]


def test_a_reader_without_the_lock_has_it_understood_too(settings: Settings) -> None:
    with open_store(settings) as store:
        store.put("J/report.xml", junit(a="P"))
    with open_store(settings, read_only=True) as store:
        assert store.metadata("J/report.xml").format == "junit"
        assert [found.type for found in store.find("job=J")] == ["test-results"]


def test_commands_know_types_numbers_and_baselines_without_a_daemon(machine: Mounted) -> None:
    put(machine, "build-1/report.xml", junit(a="P", b="P"), branch="main")
    put(machine, "build-2/report.xml", junit(a="P", b="F"), branch="other")
    listed = mountfs(machine, "list", "--type", "test-results").splitlines()
    assert [line.split("\t")[0] for line in listed] == ["build-2/report.xml", "build-1/report.xml"]
    put(machine, "build-3/report.xml", junit(a="F", b="F"), branch="main")
    assert "build-3" in mountfs(machine, "trend", "tests.failed", "--branch", "main", "--json")
    failed = mountfs(machine, "compare", "build-2", "--baseline", "main", "--fail-on", "new_failures>0", "--json")
    assert '"baseline"' in failed
    assert '"build-3"' in failed


def test_cleaning_up_without_a_daemon_knows_the_types_of_what_was_just_put(machine: Mounted) -> None:
    put(machine, "build-1/report.xml", junit(a="P"))
    put(machine, "build-2/other.xml", b"<anything/>")
    rows = mountfs(machine, "cleanup", "--dry-run", "--kept").splitlines()
    assert [row.split(": ")[0] for row in rows[:2]] == ["keep test-results of build-1", "keep custom of build-2"]


def test_a_hostile_report_is_answered_and_nobody_waits_for_it_twice(settings: Settings) -> None:
    bomb = b'<!DOCTYPE testsuites [<!ENTITY a "lol">' + b'<!ENTITY b "&a;&a;">' + b"]><testsuites>&b;</testsuites>"
    with open_store(settings) as store:
        store.put("J/report.xml", bomb)
        store.put("J/test-deep.xml", b"<testsuites>" + b"<testsuite>" * 100_000)
        store.put("J/good.xml", junit(a="P"))
        told = {one.path: (one.summary or {}).get("status") for one in store.list("J")}
        assert told == {"good.xml": "parsed", "report.xml": "unreadable", "test-deep.xml": "unreadable"}
        seen: list[int] = []
        store.on_reading = lambda done, total: seen.append(done)
        assert len(list(store.find("job=J"))) == 3
        assert seen == [], "all were read before"


def test_who_wants_to_know_hears_how_far_it_is(settings: Settings) -> None:
    seen: list[tuple[int, int]] = []
    with open_store(settings) as store:
        store.on_reading = lambda done, total: seen.append((done, total))
        for number in range(3):
            store.put(f"J/{number}.xml", junit(a="P", **{f"t{number}": "P"}))
        store.put("J/noise.bin", os.urandom(1000))
        assert len(list(store.find("type=test-results"))) == 3
    assert seen == [(1, 3), (2, 3), (3, 3), (3, 3)]


def test_reading_has_an_end_and_goes_on_with_the_next_command(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with open_store(settings) as store:
        assert isinstance(store, DirectStore)
        for number in range(3):
            store.put(f"J/{number}.xml", junit(a="P", **{f"t{number}": "P"}))
        store._store.understanding.all(lambda done, total: None, seconds=-1)
        assert list(store.find("type=test-results")) == []
        assert caplog.messages == ["3 reports are not read yet: a later command reads on"]
    with open_store(settings) as store:
        assert len(list(store.find("type=test-results"))) == 3
