"""Fixtures of more than one folder of tests."""

from pathlib import Path

import pytest

from tests.faults import shim


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The preloaded library of the fault tests, compiled once."""
    return shim.build(tmp_path_factory.mktemp("shim"))
