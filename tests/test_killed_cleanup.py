"""A cleanup whose process is killed in the middle of a report, and what the next commands make of it.

The real program, which kills itself with -9 before the third artifact of `q1` goes; nothing is mounted unless said.
"""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mountfs import open_store
from tests.mounting import require_fuse
from tests.test_cli import Program

JOBS, LOGS, GONE = 3, 6, 2
LEFT = LOGS - GONE
DYING = f"""
import os, runpy, signal
from mountfs.store.dropping import Dropping
take, seen = Dropping._take, []
def dying(self, *arguments):
    seen.append(1)
    if len(seen) > {LOGS + GONE}:
        os.kill(os.getpid(), signal.SIGKILL)
    return take(self, *arguments)
Dropping._take = dying
runpy.run_module("mountfs.cli", run_name="__main__", alter_sys=True)
"""
CLEANUP = ("cleanup", "--type", "build-logs", "--older-than", "1ms", "--yes")
INTERRUPTED = (
    f"mountfs: a cleanup was interrupted, and {LEFT} artifacts of q1 are still here: the next mount or"
    " `mountfs cleanup` drops them too, `mountfs restore q1` brings back what has gone\n"
)
FINISHED = (
    f"mountfs: finished a cleanup that was interrupted: {LEFT} artifacts of q1; `mountfs restore q1` brings them back\n"
)


@pytest.fixture
def killed(tmp_path: Path) -> Program:
    """`q0` has lost its logs, `q1` some of them, `q2` none."""
    here = tmp_path / "project"
    here.mkdir()
    settings = {"mountpoint": str(here / "mnt"), "state": str(tmp_path / "state")}
    (tmp_path / "mountfs.yml").write_text("".join(f"{key}: {value}\n" for key, value in settings.items()))
    with open_store(settings) as store:
        for job in range(JOBS):
            store.put(f"q{job}/junit.xml", b"<testsuite/>")
            for log in range(LOGS):
                store.put(f"q{job}/logs/{log}.log", b"said %d" % log)
    program = Program(here)
    program.environment["MOUNTFS_CONFIG"] = str(tmp_path / "mountfs.yml")
    done = subprocess.run(
        [sys.executable, "-c", DYING, *CLEANUP], cwd=here, env=program.environment, capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    return program


def logs(mountfs: Program, job: str) -> int:
    done = mountfs.run("list", job, "--type", "build-logs", "--limit", "0")
    assert done.returncode == 0, done.stderr
    return len(done.stdout.splitlines())


def test_a_report_restored_after_a_killed_cleanup_stays_whole(killed: Program) -> None:
    assert logs(killed, "q1") == LEFT
    assert len(killed("restore", "q1").splitlines()) == GONE
    for command in (("tag", "q0", "x=1"), ("cleanup",), ("put", "q2/new.log", sys.executable)):
        done = killed.run(*command)
        assert (done.returncode, done.stderr) == (0, "")
        assert logs(killed, "q1") == LOGS


def test_one_log_restored_after_a_killed_cleanup_keeps_the_others_that_are_still_there(killed: Program) -> None:
    killed("restore", "q1/logs/0.log")
    killed("tag", "q2", "x=1")
    assert logs(killed, "q1") == LEFT + 1


def test_a_pin_after_a_killed_cleanup_drops_nothing(killed: Program) -> None:
    for command in (("pin", "q1"), ("unpin", "q1"), ("tag", "q2", "x=1"), ("cleanup",)):
        done = killed.run(*command)
        assert (done.returncode, done.stderr) == (0, "")
        assert logs(killed, "q1") == LEFT


def test_a_pin_of_another_job_leaves_it_to_whoever_writes_next(killed: Program) -> None:
    killed("pin", "q2")
    assert logs(killed, "q1") == LEFT
    assert killed.run("tag", "q2", "x=1").stderr == FINISHED
    assert logs(killed, "q1") == 0


def test_a_dry_run_lists_what_a_killed_cleanup_left_and_changes_nothing(killed: Program) -> None:
    first, second = killed("cleanup", "--dry-run").splitlines()
    assert first == "would drop build-logs of q1: began by a run that was killed"
    assert second.startswith(f"{LEFT} artifacts of 1 jobs would go, ")
    [row] = killed.json("cleanup", "--dry-run")
    assert (row["job"], row["type"], row["artifacts"], row["rule"]) == ("q1", "build-logs", LEFT, "interrupted")
    with open_store(killed.environment["MOUNTFS_CONFIG"]) as store:
        assert store.cleanup(dry_run=True) == LEFT
    assert logs(killed, "q1") == LEFT


def test_the_next_cleanup_says_that_it_goes_on_with_it(killed: Program) -> None:
    assert killed("cleanup").splitlines() == [
        "drop build-logs of q1: began by a run that was killed",
        f"{LEFT} artifacts dropped, and 0 jobs are gone with them",
    ]
    assert logs(killed, "q1") == 0
    assert killed("cleanup") == "0 artifacts dropped, and 0 jobs are gone with them\n"


def test_a_report_that_was_going_is_not_listed_twice_where_it_is_selected_too(killed: Program) -> None:
    assert [line.partition(": ")[0] for line in killed(*CLEANUP).splitlines()[:-1]] == [
        "drop build-logs of q1",
        "drop build-logs of q2",
    ]
    assert killed("list", "--type", "build-logs") == ""


def test_a_command_that_writes_says_once_that_it_finished_a_cleanup(killed: Program) -> None:
    assert killed.run("tag", "q2", "x=1").stderr == FINISHED
    assert killed.run("tag", "q2", "x=2").stderr == ""
    assert logs(killed, "q1") == 0
    assert len(killed("restore", "q1").splitlines()) == LOGS
    assert logs(killed, "q1") == LOGS


def test_who_only_reads_says_that_a_report_is_half_gone_and_programs_read_the_same_as_ever(killed: Program) -> None:
    select = ("delete", "q2", "--dry-run")
    for command in (("list", "q1"), ("find", "job=q1"), ("show", "q1"), ("stats", "--by", "job"), select):
        done = killed.run(*command)
        assert (done.returncode, done.stderr) == (0, INTERRUPTED)
    assert len(killed.json("list", "q1", "--type", "build-logs")) == LEFT
    killed("cleanup")
    assert killed.run("list", "q1").stderr == ""


@pytest.fixture
def mounted(killed: Program) -> Iterator[Program]:
    require_fuse()
    killed("mount")
    try:
        yield killed
    finally:
        with contextlib.suppress(AssertionError):
            killed("umount", "--timeout", "20")


def test_the_next_mount_finishes_it_and_a_restore_there_is_whole_for_good(mounted: Program) -> None:
    dry = mounted("cleanup", "--dry-run")
    assert dry == "0 artifacts of 0 jobs would go, 0 B\n"
    assert mounted.run("list", "q1").stderr == ""
    assert len(mounted("restore", "q1").splitlines()) == LOGS
    mounted("umount", "--timeout", "20")
    mounted("tag", "q2", "x=1")
    mounted("mount")
    assert mounted("cleanup") == "0 artifacts dropped, and 0 jobs are gone with them\n"
    assert logs(mounted, "q1") == LOGS
