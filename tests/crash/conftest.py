"""What the crash tests share: the beginnings of their scenarios, and how thorough they are."""

import os

import pytest

from tests.crash.preparing import Beginnings

THOROUGH = os.environ.get("CRASH_THOROUGH") == "1"
"""Every step and many seeds, as `scripts/soak` wants it; else a sample that takes a minute."""


@pytest.fixture(scope="session")
def beginnings(tmp_path_factory: pytest.TempPathFactory) -> Beginnings:
    return Beginnings(tmp_path_factory.mktemp("beginnings"))
