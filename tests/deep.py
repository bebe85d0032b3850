"""A tree of 2,000 directories, one inside the other: as deep as a path may be, deeper than calls and descriptors."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mountfs.descent import Descent

LEVELS = 2_000
NAME = "d"
CONTENT = b"deep\n"


def make_deep(top: Path, *, levels: int = LEVELS, mode: int = 0o755) -> None:
    """Below a new directory so many more, and in the last one a file."""
    top.mkdir()
    with _descent(top) as way:
        for _ in range(levels):
            os.mkdir(NAME, mode, dir_fd=way.here)
            way.down(NAME)
        with open(os.open("log", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=way.here), "wb") as log:
            log.write(CONTENT)


def read_deep(top: Path, *, levels: int = LEVELS) -> bytes:
    """What the file in the last directory holds."""
    with _descent(top) as way:
        for _ in range(levels):
            way.down(NAME)
        with open(os.open("log", os.O_RDONLY, dir_fd=way.here), "rb") as log:
            return log.read()


def deep_key(job: str, *, levels: int = LEVELS) -> str:
    return "/".join([job, *[NAME] * levels, "log"])


@contextmanager
def _descent(top: Path) -> Iterator[Descent]:
    start = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with Descent(start) as way:
            yield way
    finally:
        os.close(start)
