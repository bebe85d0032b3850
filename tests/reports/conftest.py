"""What real tools wrote, each once a run: under several processes, once in each that asks."""

import shutil
import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from tests.reports import project
from tests.reports.project import Project


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def tried(sources: Project) -> Project:
    """With the files of pytest and coverage."""
    project.try_it(sources)
    return sources


@pytest.fixture(scope="session")
def scanned(sources: Project) -> Project:
    """With the files of Bandit and ruff."""
    project.scan(sources)
    return sources


@pytest.fixture(scope="session")
def measured(sources: Project) -> Project:
    """With the file of pytest-benchmark."""
    project.measure(sources)
    return sources


@pytest.fixture(scope="session")
def timed(sources: Project) -> Project:
    """With the file of hyperfine."""
    if shutil.which("hyperfine") is None:
        pytest.skip("hyperfine is not installed: scripts/install --dev installs it")
    project.time_commands(sources)
    return sources


@pytest.fixture(scope="session")
def visited(sources: Project) -> Project:
    """With the files of Locust."""
    project.visit(sources)
    return sources


@pytest.fixture
def measured_memory() -> Iterator[Callable[[], int]]:
    """How much Python had at most since the test began, beyond what it had then."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    yield lambda: tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
