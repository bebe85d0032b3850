"""A store to copy machines from, made once."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bucket.protocol.world import MEMORY, template_store


@pytest.fixture(scope="session")
def template() -> Iterator[Path]:
    """In memory where there is such a place: fsync costs nothing there."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as directory:
        yield template_store(Path(directory) / "template")
