"""What ruff, Bandit and coverage wrote in two directories of different depth: only what changed in the code is told.

The second state has one line more at its top, another constant and one finding more.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from mountfs.compare import Comparison, Side, Source, compare, judge, parse_gates
from mountfs.reports.model import Parsed
from mountfs.reports.reading import read

CODE: Final = """\
import os, subprocess


def called(name):
    limit = 1
    return subprocess.call("ls " + name, shell=True)


def evaluated(text):
    if text:
        return eval(text)
    return None


called("")
"""
MORE: Final = """\


def executed(text):
    exec(text)
"""
OTHER: Final = """\
import json


def unused(name):
    assert name
"""


@pytest.fixture(scope="session")
def checkouts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The project before and after, each with what the tools wrote of it."""
    folder = tmp_path_factory.mktemp("checkouts")
    before, after = folder / "wa", folder / "builds" / "12" / "group" / "wb"
    _check_out(before, CODE)
    _check_out(after, "# one line more\n" + CODE.replace("limit = 1", "limit = 2") + MORE)
    return before, after


def _check_out(checkout: Path, code: str) -> None:
    (checkout / "src" / "sub").mkdir(parents=True)
    (checkout / "src" / "m.py").write_text(code)
    (checkout / "src" / "sub" / "n.py").write_text(OTHER)
    for kind in ("sarif", "junit", "gitlab"):
        ruff = ("ruff", "check", "--no-cache", "--isolated", "--select", "E,F,S", "--exit-zero", "-q")
        _run(checkout, *ruff, "--output-format", kind, "-o", f"ruff.{kind}", "src")
    for kind in ("json", "sarif"):
        _run(checkout, "bandit", "-q", "-r", "-f", kind, "-o", f"bandit.{kind}", "src", exits=[1])
    _run(checkout, "coverage", "run", "--branch", "--include", f"{checkout}/src/*", "src/m.py")
    _run(checkout, "coverage", "xml")
    elsewhere = checkout.parent / "elsewhere"  # from there, coverage's paths are absolute
    elsewhere.mkdir()
    for kind in ("json", "lcov"):
        _run(elsewhere, "coverage", kind, f"--data-file={checkout}/.coverage", "-o", str(checkout / f"coverage.{kind}"))


def _run(folder: Path, *arguments: str, exits: Sequence[int] = (0,)) -> None:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, cwd=folder, env=kept, capture_output=True, check=False, timeout=60)
    assert done.returncode in exits, done.stdout + done.stderr


def _compared(checkouts: tuple[Path, Path], *names: str) -> Comparison:
    before, after = (_side(checkout, names) for checkout in checkouts)
    return compare(before, after)


def _side(checkout: Path, names: Sequence[str]) -> Side:
    sources = tuple(Source(name, read((checkout / name).read_bytes())) for name in names)
    assert all(isinstance(source.answer, Parsed) for source in sources)
    return Side(checkout.name, sources)


@pytest.mark.parametrize(
    ("name", "new"),
    [
        ("ruff.sarif", ("S102", "m.py")),
        ("ruff.gitlab", ("S102", "src/m.py")),
        ("bandit.json", ("B102", "src/m.py")),
        ("bandit.sarif", ("B102", "src/m.py")),
    ],
)
def test_only_the_finding_that_came_is_new(checkouts: tuple[Path, Path], name: str, new: tuple[str, str]) -> None:
    """ruff's SARIF has absolute paths, all of them in `src`; the other reports say that it is below the project."""
    found = _compared(checkouts, name).findings
    assert found is not None
    assert ([(one.rule, one.path) for one in found.new], found.fixed) == ([new], ())
    assert found.unchanged > 3


def test_only_the_linters_case_that_came_is_a_new_failure(checkouts: tuple[Path, Path]) -> None:
    tests = _compared(checkouts, "ruff.junit").tests
    assert tests is not None
    assert [str(test) for test in tests.new_failures] == ["m::org.ruff.S102"]
    assert (tests.disappeared, len(tests.still_failing)) == ((), 7)


@pytest.mark.parametrize("name", ["coverage.xml", "coverage.json", "coverage.lcov"])
def test_only_the_file_whose_coverage_changed_is_told(checkouts: tuple[Path, Path], name: str) -> None:
    coverage = _compared(checkouts, name).coverage
    assert coverage is not None
    assert [(file.path.rpartition("/")[2], file.missed.change) for file in coverage.files] == [("m.py", 1.0)]
    assert coverage.files[0].before is not None


def test_all_of_a_job_together_says_the_same(checkouts: tuple[Path, Path]) -> None:
    comparison = _compared(checkouts, "ruff.sarif", "ruff.junit", "bandit.json", "coverage.json", "coverage.xml")
    assert comparison.findings is not None
    assert [(one.rule, one.path) for one in comparison.findings.new] == [("S102", "src/m.py"), ("B102", "src/m.py")]
    assert comparison.findings.fixed == ()


def test_gates_pass_where_the_checkout_alone_is_another_one(checkouts: tuple[Path, Path], tmp_path: Path) -> None:
    again = tmp_path / "job@2"
    _check_out(again, CODE)
    comparison = _compared((checkouts[0], again), "ruff.sarif", "ruff.junit", "bandit.json", "coverage.lcov")
    gates = parse_gates("findings.high>0, findings.low>0, new_failures>0, disappeared>0, coverage.line<0")
    assert not any(result.failed for result in judge(gates, comparison))
    assert not comparison.changed
