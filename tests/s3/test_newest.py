"""Which job is the newest, where a bucket tells of most: the one that began last, on every machine."""

import json
import os
from collections.abc import Iterator

import pytest

from tests.s3.conftest import Claims, lent
from tests.s3.program import Program, storage_of
from tests.s3.test_latest import make
from tests.s3.two import Machine, Machines, eventually
from tests.written import junit

MODES = pytest.mark.parametrize("mode", ["lazy", "full"])


@pytest.fixture
def writer(shared_machines: Machines, _claims: Claims) -> Iterator[Machine]:
    """A machine that has made three jobs of `main` and one of a feature, and put a note into the first at last."""
    for two in lent(shared_machines, (0, 0), _claims):
        here = two[0]
        if not (here.path / "build-1").exists():
            make(here, "build-1", {"junit.xml": junit(a="P")})
            make(here, "build-2", {"junit.xml": junit(a="P")})
            make(here, "build-3", {"junit.xml": junit(a="F")})
            make(here, "mine", {"junit.xml": junit(a="F")}, branch=b"feature")
            (here.path / "build-1" / "note.txt").write_text("note\n")
            here.flush()
        yield here


def baseline_of(machine: Machine, job: str = "mine") -> object:
    done = machine.mountfs("compare", job, "--baseline", "main", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["baseline"]["job"]


def latest_of(machine: Machine) -> str:
    return os.readlink(machine.path / ".latest" / "branch" / "main" / "junit.xml")


@MODES
def test_a_note_in_an_old_job_makes_it_no_newer_on_another_machine(
    writer: Machine, beside: Machines, mode: str
) -> None:
    other = beside(settings={"sync": {"mode": mode}})
    eventually(lambda: latest_of(other), "../../../build-3/junit.xml")
    assert baseline_of(other) == "build-3"
    got = other.mountfs("get", "--branch", "main", "--latest", "--type", "junit", "-o", "-")
    assert got.stdout == junit(a="F").decode()
    said = json.loads(other.mountfs("history", "a", "--branch", "main", "--json").stdout)
    assert [row["job"] for row in said["rows"]] == ["build-3", "build-2", "build-1"]
    assert "1" in other.mountfs("badge", "tests.failed", "--branch", "main").stdout


def test_nor_for_a_runner_that_asks_for_the_newest_alone(writer: Machine, beside: Machines) -> None:
    lazy = beside()
    said = json.loads(lazy.mountfs("history", "a", "--branch", "main", "-n", "1", "--json").stdout)
    assert [row["job"] for row in said["rows"]] == ["build-3"]


def test_nor_when_the_late_file_comes_from_a_fresh_runner_that_says_the_branch_once_more(
    writer: Machine, shared_machines: Machines, beside: Machines, tmp_path_factory: pytest.TempPathFactory
) -> None:
    runner = Program(tmp_path_factory.mktemp("late"), storage_of(shared_machines.bucket), sync={"mode": "lazy"})
    (runner.directory / "late.log").write_text("late\n")
    runner("put", "build-2/late.log", "late.log")
    runner("tag", "build-2", "branch=main")
    runner("flush")
    for mode in ("lazy", "full"):
        other = beside(settings={"sync": {"mode": mode}})
        eventually(lambda other=other: latest_of(other), "../../../build-3/junit.xml")  # type: ignore[misc]
        assert baseline_of(other) == "build-3"
        said = json.loads(other.mountfs("history", "a", "--branch", "main", "-n", "1", "--json").stdout)
        assert [row["job"] for row in said["rows"]] == ["build-3"]


def test_cleanup_of_a_full_machine_keeps_the_report_that_a_lazy_one_compares_with(
    writer: Machine, beside: Machines
) -> None:
    full, lazy = beside(settings={"sync": {"mode": "full"}}), beside()
    eventually(lambda: latest_of(full), "../../../build-3/junit.xml")
    asked = ("cleanup", "--type", "test-results", "--older-than", "1ms", "--branch", "main", "--dry-run")
    said = full.mountfs(*asked).stdout
    assert "would drop test-results of build-1" in said
    assert "would drop test-results of build-2" in said
    assert "build-3" not in said
    assert baseline_of(lazy) == baseline_of(full) == "build-3"
