"""The way down through directories where strangers write: few are open, and no symlink leads out, however deep."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mountfs.descent import KEPT, Descent
from tests.deep import LEVELS, make_deep


@pytest.fixture
def top(tmp_path_for_depth: Path) -> Path:
    """With 2,000 directories below it, one inside the other."""
    make_deep(tmp_path_for_depth / "top")
    return tmp_path_for_depth / "top"


@pytest.fixture
def way(top: Path) -> Iterator[Descent]:
    start = os.open(top, os.O_RDONLY)
    with Descent(start) as way:
        yield way
    os.close(start)


def inode(way: Descent) -> int:
    return os.fstat(way.here).st_ino


def test_who_comes_back_is_where_he_was_and_few_directories_are_open(way: Descent) -> None:
    before = len(os.listdir("/proc/self/fd"))
    seen = [inode(way)]
    for _ in range(LEVELS):
        way.down("d")
        seen.append(inode(way))
        assert len(os.listdir("/proc/self/fd")) <= before + KEPT
    for expected in reversed(seen[:-1]):
        way.up()
        assert inode(way) == expected
    way.close()
    assert len(os.listdir("/proc/self/fd")) <= before


def test_a_directory_that_became_a_symlink_meanwhile_is_not_gone_back_into(way: Descent, top: Path) -> None:
    elsewhere = top.parent / "elsewhere"
    (elsewhere / "d").mkdir(parents=True)
    for _ in range(KEPT + 3):
        way.down("d")
    os.rename(top / "d" / "d", top.parent / "away")
    (top / "d" / "d").symlink_to(elsewhere)
    for _ in range(KEPT):
        way.up()
    with pytest.raises(NotADirectoryError):
        inode(way)


def test_a_symlink_to_a_directory_is_none(way: Descent, top: Path, tmp_path: Path) -> None:
    (top / "link").symlink_to(tmp_path)
    with pytest.raises(NotADirectoryError):
        way.down("link")
    assert inode(way) == top.stat().st_ino
