"""Listing directories: every entry once, also when there are many, also while others come and go."""

import os
import random
import stat
from pathlib import Path

import pytest

from tests.mount.programs import companion, run, shell
from tests.mount.syscalls import DirectoryStream

pytestmark = pytest.mark.usefixtures("unmeasured")

COME_AND_GO = """
import os, select, sys
folder = sys.argv[1]
print("started", flush=True)
number = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    number += 1
    os.close(os.open(f"{folder}/passing-{number}", os.O_CREAT | os.O_WRONLY))
    if number > 50:
        os.unlink(f"{folder}/passing-{number - 50}")
"""


def fill(folder: Path, count: int, *, prefix: str = "entry") -> set[str]:
    """Make `count` empty files and return their names."""
    names = {f"{prefix}-{number:06}" for number in range(count)}
    for name in names:
        os.close(os.open(folder / name, os.O_CREAT | os.O_WRONLY))
    return names


@pytest.mark.parametrize(
    "count",
    [0, 1, 2_000, pytest.param(100_000, marks=[pytest.mark.slow, pytest.mark.timeout(600)])],
)
def test_find_counts_every_entry_once(job: Path, count: int) -> None:
    names = fill(job, count)
    assert int(shell("find . -mindepth 1 | wc -l", cwd=job)) == count
    assert int(shell("ls -U | wc -l", cwd=job)) == count
    listed = os.listdir(job)
    assert len(listed) == count
    assert set(listed) == names


def test_find_counts_entries_of_a_tree_once(job: Path) -> None:
    for folder in range(20):
        (job / f"folder-{folder}" / "inner").mkdir(parents=True)
        fill(job / f"folder-{folder}" / "inner", 50)
    assert int(shell("find . -type f | wc -l", cwd=job)) == 1000
    assert int(shell("find . -type d | wc -l", cwd=job)) == 41


def test_entries_that_stay_appear_once_while_others_come_and_go(job: Path) -> None:
    stable = sorted(fill(job, 2000, prefix="stable"))
    with companion(COME_AND_GO, job) as other:
        other.wait_for("started")
        for _ in range(4):
            # A stat for each entry: the listing spans many changes of the directory.
            seen = [entry.name for entry in os.scandir(job) if os.path.lexists(entry)]
            assert sorted(name for name in seen if name.startswith("stable")) == stable
        other.tell("enough")
        other.finish()


def test_entries_that_stay_appear_once_while_others_are_renamed_over_them(job: Path) -> None:
    stable = sorted(fill(job, 2000, prefix="stable"))
    seen = []
    for number, entry in enumerate(os.scandir(job)):
        seen.append(entry.name)
        if number % 10 == 0:
            (job / "temporary").touch()
            os.replace(job / "temporary", job / stable[number % 2000])
    assert sorted(name for name in seen if name != "temporary") == stable


def test_removing_each_entry_as_it_is_listed_leaves_nothing(job: Path) -> None:
    fill(job, 1500)
    for entry in os.scandir(job):
        os.unlink(entry)
    assert os.listdir(job) == []


def test_a_stream_goes_back_to_every_position_it_told(job: Path) -> None:
    fill(job, 600)
    positions = []
    with DirectoryStream(job) as stream:
        position = stream.tell()
        while (entry := stream.read()) is not None:
            positions.append((position, entry))
            position = stream.tell()
        random.Random(1).shuffle(positions)
        for position, entry in positions:
            stream.seek(position)
            assert stream.read() == entry


def test_a_stream_that_goes_back_lists_the_rest_once(job: Path) -> None:
    names = {os.fsencode(name) for name in fill(job, 2000)}
    with DirectoryStream(job) as stream:
        rest = stream.names()
        first = {next(rest) for _ in range(700)}
        position = stream.tell()
        second = list(rest)
        stream.seek(position)
        assert list(stream.names()) == second
    assert first | set(second) == names
    assert len(first) + len(second) == 2000


def test_a_rewound_stream_shows_what_is_there_now(job: Path) -> None:
    fill(job, 500)
    with DirectoryStream(job) as stream:
        assert len(list(stream.names())) == 500
        (job / "later").touch()
        (job / "entry-000007").unlink()
        stream.rewind()
        names = list(stream.names())
    assert len(names) == len(set(names)) == 500
    assert b"later" in names
    assert b"entry-000007" not in names


def test_two_streams_of_one_directory_do_not_disturb_each_other(job: Path) -> None:
    fill(job, 1000)
    with DirectoryStream(job) as first, DirectoryStream(job) as second:
        pairs = list(zip(first.names(), second.names(), strict=True))
    assert len({one for one, _ in pairs}) == len({two for _, two in pairs}) == 1000


def test_a_removed_directory_that_is_still_open_lists_as_empty(job: Path) -> None:
    (job / "folder").mkdir()
    with DirectoryStream(job / "folder") as stream:
        (job / "folder").rmdir()
        assert list(stream.names()) == []


def test_listed_inode_numbers_and_kinds_are_those_of_stat(job: Path) -> None:
    (job / "file").write_bytes(b"x")
    (job / "folder").mkdir()
    os.symlink("nowhere", job / "link")
    with DirectoryStream(job) as stream:
        while (entry := stream.read()) is not None:
            name, ino = entry
            if name not in (b".", b".."):
                assert os.lstat(job / os.fsdecode(name)).st_ino == ino
    kinds = {entry.name: (entry.is_file(), entry.is_dir(), entry.is_symlink()) for entry in os.scandir(job)}
    assert kinds == {
        "file": (True, False, False),
        "folder": (False, True, False),
        "link": (False, False, True),
    }


def test_names_that_need_much_room_are_all_listed(job: Path) -> None:
    names = {f"{number:03}" + "n" * 252 for number in range(400)}
    for name in names:
        (job / name).touch()
    assert set(os.listdir(job)) == names


def test_a_listing_shows_sizes_modes_and_times_as_stat_does(job: Path) -> None:
    for number in range(50):
        (job / f"{number:02}").write_bytes(b"x" * number)
    lines = run("find", job, "-type", "f", "-printf", "%f %s %m %T@\\n").splitlines()
    for line in lines:
        name, size, mode, _ = line.split()
        seen = (job / name).stat()
        assert (int(size), int(mode, 8)) == (seen.st_size, stat.S_IMODE(seen.st_mode))
        assert int(size) == int(name)


def test_a_new_entry_is_listed_at_once_and_a_removed_one_no_more(job: Path) -> None:
    for number in range(20):
        (job / f"{number}").touch()
        assert str(number) in os.listdir(job)
    for number in range(20):
        (job / f"{number}").unlink()
        assert str(number) not in os.listdir(job)


def test_jobs_are_listed_in_the_root(job: Path) -> None:
    assert job.name in os.listdir(job.parent)
