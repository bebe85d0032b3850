"""A project directory whose `.artifacts/` is mounted, a shell in it, and the store from Python."""

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from mountfs.api import ArtifactStore, open_store
from tests.mounting import Mounted

TEST_SECONDS = 240
LINE_SECONDS = 120

# One process for many command lines: each would take its second to start.
COMMAND_LINES = """
import contextlib, io, json, sys
from mountfs.cli import run
for line in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as said:
        code = run(line)
    print(json.dumps([code, out.getvalue(), said.getvalue()]), file=sys.__stdout__)
"""

_numbers = itertools.count(1)


class Shell:
    """A shell in `directory` that finds `mountfs`, with a home of its own and nobody's settings."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        home = directory.parent / "home"
        home.mkdir(exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MOUNTFS_", "XDG_", "GIT_"))}
        path = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)])
        self.environment = {**kept, "HOME": str(home), "PATH": path, "LC_ALL": "C.UTF-8"}

    def __call__(self, script: str, *, code: int = 0, environment: Mapping[str, str] | None = None) -> str:
        """What the script prints when it ends with `code`; what it complains of when that is not 0."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.directory,
            env={**self.environment, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LINE_SECONDS,
            check=False,
        )
        assert done.returncode == code, f"{script!r} ended with {done.returncode}: {done.stdout}{done.stderr}"
        return done.stderr if code else done.stdout

    def answers(self, *lines: Sequence[str]) -> list[tuple[int, str, str]]:
        """What each command line of mountfs ends with, prints and complains of."""
        command = [sys.executable, "-c", COMMAND_LINES, json.dumps(lines)]
        done = subprocess.run(
            command, cwd=self.directory, env=self.environment, capture_output=True, text=True, check=True,
            timeout=LINE_SECONDS,
        )  # fmt: skip
        return [(code, out, said) for code, out, said in map(json.loads, done.stdout.splitlines())]


@pytest.fixture(scope="package")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mounted]:
    """The mount of `project/.artifacts`, served by one daemon from the first test to the last."""
    directory = tmp_path_factory.mktemp("features") / "project"
    directory.mkdir()
    mounted = Mounted(directory / ".artifacts", directory.parent / "state")
    mounted.start()
    try:
        yield mounted
    finally:
        mounted.stop()


@pytest.fixture
def served(project: Mounted) -> Iterator[Mounted]:
    """The mount of the project, alive and without a complaint before and after the test."""
    project.assert_alive()
    with project.deadline(TEST_SECONDS):
        yield project
    project.assert_alive()
    assert project.complaints() == []


@pytest.fixture
def shell(served: Mounted) -> Shell:
    """A shell in the project."""
    return Shell(served.path.parent)


@pytest.fixture
def job(served: Mounted) -> str:
    """The name of a job that no other test uses; nothing is in it yet."""
    return f"build-{next(_numbers)}"


@pytest.fixture
def store(served: Mounted) -> Iterator[ArtifactStore]:
    """The project's store from Python."""
    with open_store(mount=served.path) as opened:
        yield opened


@pytest.fixture
def alone(tmp_path: Path) -> Shell:
    """A shell in a project of the test's own, where nothing is mounted."""
    directory = tmp_path / "project"
    directory.mkdir()
    return Shell(directory)
