"""Fixtures of more than one folder of tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import shim


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The preloaded library of the fault tests, compiled once."""
    return shim.build(tmp_path_factory.mktemp("shim"))


@pytest.fixture(scope="module")
def unmeasured() -> Iterator[None]:
    """What this module starts is not measured for coverage: it works for long, and other tests cover the same code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
        yield
