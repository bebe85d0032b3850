"""A small project, and what real tools write of it: each tool once for a whole run of tests, in a folder of its own.

Two states of it: `changed` has one line more at its top, and one more finding.
"""

import http.server
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

CODE: Final = """\
import subprocess


def divide(a, b):
    if b == 0:
        raise ValueError("no")
    return a / b


def classify(number):
    if number < 0:
        return "negative"
    if number == 0:
        return "zero"
    return "positive"


def listing(name):
    return subprocess.call("ls " + name, shell=True)


def unused():
    import os

    assert True
"""
ADDED: Final = """

def run(text):
    return eval(text)
"""
TESTS: Final = """\
import pathlib

import pytest

import calc


@pytest.fixture
def database():
    raise RuntimeError("no database")


@pytest.fixture
def closing():
    yield
    raise RuntimeError("does not close")


class TestDivide:
    def test_halves(self):
        assert calc.divide(4, 2) == 2

    def test_is_wrong(self):
        assert calc.divide(4, 2) == 3, "a < b & c"


@pytest.mark.parametrize("number", [1, -1])
def test_classify(number):
    assert calc.classify(number) in ("negative", "positive")


def test_needs_a_database(database):
    pass


def test_does_not_close(closing):
    pass


@pytest.mark.skip(reason="not today")
def test_skipped():
    pass


@pytest.mark.xfail(reason="known")
def test_expected_to_fail():
    assert False


def test_flaky():
    seen = pathlib.Path(__file__).with_name("seen")
    first = not seen.exists()
    seen.touch()
    assert not first
"""
BENCHMARKS: Final = """\
def test_sum(benchmark):
    benchmark(sum, range(10))


def test_sort(benchmark):
    benchmark(sorted, range(100))
"""
USERS: Final = """\
from locust import HttpUser, constant, task


class Visitor(HttpUser):
    wait_time = constant(0.01)

    @task(3)
    def find(self):
        self.client.get("/here")

    @task
    def miss(self):
        self.client.get("/missing")
"""
CASES: Final = 9  # in TESTS


class Project:
    """The project in a folder, and its tools."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, text in (("calc.py", CODE), ("test_calc.py", TESTS), ("locustfile.py", USERS)):
            (folder / name).write_text(text)
        (folder / "test_speed.py").write_text(BENCHMARKS)
        (folder / "changed").mkdir()
        (folder / "changed" / "calc.py").write_text("# one line more\n" + CODE + ADDED)

    def path(self, name: str) -> Path:
        return self.folder / name

    def python(self, *arguments: str, folder: str = ".", exits: Sequence[int] = (0,)) -> None:
        """Run a module of this Python there, without what the tests' own pytest and coverage put around it."""
        self.run([sys.executable, "-m", *arguments], folder=folder, exits=exits)

    def run(self, command: Sequence[str], *, folder: str = ".", exits: Sequence[int] = (0,)) -> None:
        done = subprocess.run(
            command, cwd=self.folder / folder, env=_environment(), capture_output=True, check=False, timeout=60
        )
        assert done.returncode in exits, done.stdout + done.stderr


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def try_it(project: Project) -> None:
    """pytest, with reruns and without, and coverage of the latter."""
    quiet = ("-q", "-p", "no:cacheprovider", "test_calc.py")
    again = ("-p", "pytest_rerunfailures", "--reruns", "1", "--only-rerun", "AssertionError")
    project.python("pytest", *quiet, *again, "--junitxml", "rerun.xml", exits=[1])
    project.path("seen").unlink()
    measured = ("coverage", "run", "--branch", "--include", "calc.py")
    project.python(*measured, "-m", "pytest", *quiet, "--junitxml", "once.xml", exits=[1])
    for kind in ("xml", "json", "lcov"):
        project.python("coverage", kind)
    project.python("lcov_cobertura", "coverage.lcov", "--output", "from-lcov.xml")


def scan(project: Project) -> None:
    """Bandit and ruff, of both states."""
    for state in (".", "changed"):
        for kind in ("json", "sarif"):
            project.python("bandit", "-q", "-f", kind, "-o", f"bandit.{kind}", "calc.py", folder=state, exits=[1])
        for kind in ("sarif", "junit", "gitlab"):
            ruff = ("ruff", "check", "--no-cache", "--isolated", "--select", "E,F,S", "--exit-zero", "-q")
            project.python(*ruff, "--output-format", kind, "-o", f"ruff.{kind}", "calc.py", folder=state)


def measure(project: Project) -> None:
    """pytest-benchmark."""
    told = ("--benchmark-json", "benchmarks.json", "--benchmark-max-time", "0.02", "--benchmark-min-rounds", "3")
    project.python("pytest", "-q", "-p", "no:cacheprovider", "-p", "pytest_benchmark.plugin", *told, "test_speed.py")


def time_commands(project: Project) -> None:
    """hyperfine; scripts/install --dev brings it."""
    hyperfine = shutil.which("hyperfine")
    assert hyperfine is not None
    told = ("-N", "--runs", "3", "-L", "sign", "a,b", "--export-json", "hyperfine.json")
    project.run([hyperfine, *told, "true {sign}"])


class _Site(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/here" else 404)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *arguments: object) -> None:
        """Nobody asks."""


def visit(project: Project) -> None:
    """Locust, against a server on loopback."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Site) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{site.server_address[1]}"
        users = ("--headless", "--users", "2", "--spawn-rate", "2", "--run-time", "2s", "--stop-timeout", "1")
        told = ("--json-file", "locust", "--csv", "locust", "--only-summary")
        project.python("locust", "-f", "locustfile.py", "--host", url, *users, *told, exits=[1])
        site.shutdown()
