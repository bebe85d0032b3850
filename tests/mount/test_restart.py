"""What a restart and a kill -9 leave: everything that was acknowledged, and nothing half done."""

import contextlib
import os
from pathlib import Path

import pytest

from tests.mount.conftest import ExpectedLog, MountFactory
from tests.mount.programs import companion
from tests.mount.syscalls import RENAME_EXCHANGE, rename
from tests.mount.trees import described, make_tree
from tests.mounting import Mounted

pytestmark = [pytest.mark.mountfs_only, pytest.mark.usefixtures("unmeasured")]

WRITE_UNTIL_KILLED = """
import os, sys
folder, letter = sys.argv[1], sys.argv[2]
number = 0
try:
    while True:
        path = f"{folder}/{letter}-{number}"
        with open(path, "wb") as file:
            file.write((letter * (number % 97 * 100)).encode())
        if number % 5 == 0:
            os.replace(path, path + "-renamed")
        number += 1
        print(number, flush=True)
except OSError:
    pass
"""


@pytest.fixture
def ground_and_job(mounted: MountFactory) -> tuple[Mounted, Path]:
    ground = mounted()
    (ground.path / "job").mkdir()
    return ground, ground.path / "job"


def revive(ground: Mounted) -> None:
    """Kill the daemon as a crash would, and mount again."""
    ground.kill()
    ground.start()


def test_everything_survives_a_restart(ground_and_job: tuple[Mounted, Path]) -> None:
    ground, job = ground_and_job
    before = described(make_tree(job / "tree"))
    ground.restart()
    assert described(job / "tree") == before


def test_everything_closed_survives_a_kill(ground_and_job: tuple[Mounted, Path]) -> None:
    ground, job = ground_and_job
    before = described(make_tree(job / "tree"))
    revive(ground)
    assert described(job / "tree") == before


def test_everything_settled_survives_a_kill(ground_and_job: tuple[Mounted, Path]) -> None:
    ground, job = ground_and_job
    before = described(make_tree(job / "tree"))
    ground.settle()
    revive(ground)
    assert described(job / "tree") == before


def test_inode_numbers_survive_and_are_not_used_again(ground_and_job: tuple[Mounted, Path]) -> None:
    ground, job = ground_and_job
    (job / "kept").touch()
    (job / "removed").touch()
    kept, removed = (job / "kept").stat().st_ino, (job / "removed").stat().st_ino
    (job / "removed").unlink()
    revive(ground)
    (job / "new").touch()
    assert (job / "kept").stat().st_ino == kept
    assert (job / "new").stat().st_ino not in (kept, removed)


def test_each_change_of_names_survives_a_kill(ground_and_job: tuple[Mounted, Path]) -> None:
    ground, job = ground_and_job
    for name in ("moved", "removed", "over", "target", "left", "right"):
        (job / name).write_text(name)
    (job / "folder" / "inner").mkdir(parents=True)
    (job / "gone").mkdir()
    (job / "moved").rename(job / "folder" / "inner" / "moved")
    (job / "removed").unlink()
    (job / "over").replace(job / "target")
    rename(job / "left", job / "right", flags=RENAME_EXCHANGE)
    (job / "folder").rename(job / "renamed")
    (job / "gone").rmdir()
    os.symlink("somewhere", job / "link")
    (job / "target").chmod(0o600)
    os.setxattr(job / "target", "user.branch", b"main")
    revive(ground)
    assert sorted(os.listdir(job)) == ["left", "link", "renamed", "right", "target"]
    assert (job / "renamed" / "inner" / "moved").read_text() == "moved"
    assert [(job / name).read_text() for name in ("left", "right", "target")] == ["right", "left", "over"]
    assert (job / "target").stat().st_mode & 0o777 == 0o600
    assert os.getxattr(job / "target", "user.branch") == b"main"
    assert os.readlink(job / "link") == "somewhere"


def test_a_save_by_rename_is_all_or_nothing_after_a_kill(ground_and_job: tuple[Mounted, Path]) -> None:
    ground, job = ground_and_job
    (job / "notes").write_bytes(b"old")
    (job / "temporary").write_bytes(b"new" * 50_000)
    (job / "temporary").replace(job / "notes")
    revive(ground)
    assert os.listdir(job) == ["notes"]
    assert (job / "notes").read_bytes() == b"new" * 50_000


def test_writers_lose_nothing_they_closed_when_the_daemon_is_killed(
    ground_and_job: tuple[Mounted, Path],
) -> None:
    ground, job = ground_and_job
    with contextlib.ExitStack() as stack:
        writers = {letter: stack.enter_context(companion(WRITE_UNTIL_KILLED, job, letter)) for letter in "abcd"}
        for number in range(1, 200):
            writers["a"].wait_for(str(number))
        ground.kill()
        done = {letter: int(["199", *writer.last_words()][-1]) for letter, writer in writers.items()}
    ground.start()
    for letter, count in done.items():
        for number in range(count):
            path = job / f"{letter}-{number}{'-renamed' if number % 5 == 0 else ''}"
            assert path.read_text() == letter * (number % 97 * 100)


def test_an_unlinked_file_that_was_open_does_not_come_back(ground_and_job: tuple[Mounted, Path]) -> None:
    ground, job = ground_and_job
    with contextlib.suppress(OSError), (job / "gone").open("wb") as handle:
        handle.write(b"x" * 100_000)
        handle.flush()
        (job / "gone").unlink()
        ground.kill()
    ground.start()
    assert os.listdir(job) == []


def test_a_draft_that_was_synced_is_published_as_recovered(
    ground_and_job: tuple[Mounted, Path], expected_log: ExpectedLog
) -> None:
    expected_log(r"(?i)recover")
    ground, job = ground_and_job
    (job / "file").write_bytes(b"published")
    with contextlib.suppress(OSError), (job / "file").open("r+b") as handle:
        handle.write(b"SYNCED---")
        handle.flush()
        os.fsync(handle.fileno())
        ground.kill()
    ground.start()
    assert (job / "file").read_bytes() == b"SYNCED---"
    assert os.getxattr(job / "file", "user.mountfs.recovered") == b"1"


def test_a_new_file_never_closed_is_published_as_found(
    ground_and_job: tuple[Mounted, Path], expected_log: ExpectedLog
) -> None:
    expected_log(r"(?i)recover")
    ground, job = ground_and_job
    content = os.urandom(500_000)
    with contextlib.suppress(OSError), (job / "file").open("wb", buffering=0) as handle:
        handle.write(content)
        ground.kill()
    ground.start()
    assert content.startswith((job / "file").read_bytes())
    assert os.getxattr(job / "file", "user.mountfs.recovered") == b"1"


def test_a_draft_over_published_content_that_was_not_synced_is_dropped(
    ground_and_job: tuple[Mounted, Path], expected_log: ExpectedLog
) -> None:
    expected_log(r"(?i)draft")
    ground, job = ground_and_job
    (job / "file").write_bytes(b"published" * 20_000)
    with contextlib.suppress(OSError), (job / "file").open("r+b") as handle:
        handle.write(b"X" * 90_000)
        handle.flush()
        ground.kill()
    ground.start()
    assert (job / "file").read_bytes() == b"published" * 20_000
    assert os.getxattr(job / "file", "user.mountfs.recovered") == b"0"


def test_writing_goes_on_after_a_kill(ground_and_job: tuple[Mounted, Path]) -> None:
    ground, job = ground_and_job
    for number in range(3):
        with (job / "log").open("a") as log:
            log.write(f"{number}\n")
        revive(ground)
    assert (job / "log").read_text() == "0\n1\n2\n"


def test_kills_in_a_row_leave_no_space_behind(ground_and_job: tuple[Mounted, Path]) -> None:
    ground, job = ground_and_job
    for _ in range(4):
        with contextlib.suppress(OSError), (job / "draft").open("wb", buffering=0) as handle:
            handle.write(os.urandom(4 << 20))
            ground.kill()
        ground.start()
        (job / "draft").unlink(missing_ok=True)
    ground.settle()
    ground.stop()
    stored = sum(path.lstat().st_blocks * 512 for path in ground.state.rglob("*"))
    ground.start()
    assert stored < (4 * 4 << 20) + (64 << 20)
