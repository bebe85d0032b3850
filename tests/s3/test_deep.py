"""A job of 2,000 directories, one inside the other, on real mounts: what people do to any job they can do to this one.

`cp` and `rsync` name each file from the top, and where others may change what lies on the way the kernel asks us for
each name again: they are tried in `tests/mount`.

That is as deep as a path may be (4,095 bytes), more than Python's calls may be deep (1,000) and more than a process may
usually have open (1,024).
"""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deep import CONTENT, LEVELS, NAME, deep_key, make_deep, read_deep
from tests.mounting import REPOSITORY
from tests.s3.program import Program
from tests.s3.two import Machine, Machines, eventually

pytestmark = pytest.mark.usefixtures("unmeasured")

KEY = deep_key("deep")
FEW = 128
"""Descriptors that a command gets."""

LESS = 1_100
"""Levels of what is renamed: still more than calls may be deep."""


@pytest.fixture(scope="module")
def here(shared_machines: Machines) -> Machine:
    """A machine with the job `deep`, in the bucket too."""
    machine = shared_machines(settings={"sync": {"mode": "full"}})
    make_deep(machine.path / "deep")
    machine.flush(timeout_seconds=60)
    return machine


@pytest.fixture
def out(tmp_path_for_depth: Path) -> Path:
    """A plain directory to copy into."""
    return tmp_path_for_depth


def said(machine: Machine, *arguments: str, code: int = 0) -> str:
    done = machine.mountfs(*arguments)
    assert done.returncode == code, (done.stdout + done.stderr)[-1000:]
    return done.stderr if code else done.stdout


def with_few_descriptors(machine: Machine, *arguments: str) -> None:
    command = ["bash", "-c", f'ulimit -n {FEW}; exec "$@"', "-", sys.executable, "-m", "mountfs.cli", *arguments]
    environment = machine.environment() | {"MOUNTFS_MOUNT": str(machine.path)}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-1000:]


def depth(directory: Path) -> int:
    """How many directories lie one inside the other below it."""
    found = subprocess.run(["find", directory, "-type", "d", "-printf", "."], capture_output=True, check=True)
    return len(found.stdout) - 1


# -- out of the store ---------------------------------------------------------------------------------------------


def test_get_copies_it_out_of_a_mount_with_few_descriptors_and_again_over_itself(here: Machine, out: Path) -> None:
    with_few_descriptors(here, "get", "deep", "-o", f"{out}/copy")
    assert read_deep(out / "copy") == CONTENT
    with_few_descriptors(here, "get", "deep", "-o", f"{out}", "--force")
    with_few_descriptors(here, "get", "deep", "-o", f"{out}", "--force")
    assert read_deep(out / "deep") == CONTENT


def test_get_finds_what_is_in_the_way_at_its_very_end(here: Machine, out: Path) -> None:
    make_deep(out / "deep")
    assert "is in the way" in said(here, "get", "deep", "-o", str(out), code=4)


def test_put_and_get_do_it_without_a_mount(tmp_path: Path, out: Path) -> None:
    program = Program(tmp_path / "program", {"backend": "local"})
    program.put(KEY, CONTENT)
    program("get", "deep", "-o", str(out / "copy"))
    assert read_deep(out / "copy") == CONTENT
    assert program("get", KEY, "-o", "-") == CONTENT.decode()


# -- what asks about it -------------------------------------------------------------------------------------------


def test_commands_that_read_answer_for_it(here: Machine) -> None:
    assert said(here, "list", "deep", "--paths").endswith(KEY + "\n")
    assert said(here, "find", "job=deep", "--paths").endswith(KEY + "\n")
    assert json.loads(said(here, "show", KEY, "--json"))["key"] == KEY
    assert json.loads(said(here, "stats", "--json"))["artifacts"] >= 1
    said(here, "cleanup", "--older-than", "90d", "--dry-run")
    assert depth(here.path / "deep") == LEVELS


def test_its_metadata_is_a_file_in_it(here: Machine) -> None:
    artifacts = json.loads((here.path / "deep" / ".metadata.json").read_bytes())["artifacts"]
    assert [artifact["key"] for artifact in artifacts] == [KEY]


# -- into the store and back --------------------------------------------------------------------------------------


def test_what_rm_removed_comes_back_whole(here: Machine) -> None:
    make_deep(here.path / "gone", mode=0o700)
    here.flush(timeout_seconds=60)
    subprocess.run(["rm", "-r", here.path / "gone"], check=True)
    assert said(here, "trash", "list", "gone", "--json").count("\n") == LEVELS + 1
    assert json.loads(said(here, "restore", "gone", "--json"))["restored"] == LEVELS + 1
    assert read_deep(here.path / "gone") == CONTENT
    assert stat.S_IMODE((here.path / "gone" / NAME / NAME).stat().st_mode) == 0o700


def test_a_job_gets_another_name_in_the_bucket_too(here: Machine, elsewhere: Machine) -> None:
    make_deep(here.path / "first", levels=LESS)
    here.flush(timeout_seconds=60)
    os.rename(here.path / "first", here.path / "second")
    here.flush(timeout_seconds=60)
    eventually(lambda: read_deep(elsewhere.path / "second", levels=LESS), CONTENT)


# -- out of the bucket --------------------------------------------------------------------------------------------


def test_another_machine_reads_it_keeps_it_at_hand_and_lets_go_of_it(beside: Machines, here: Machine) -> None:
    other = beside()
    assert depth(other.path / "deep") == LEVELS
    said(other, "prefetch", "deep")
    said(other, "evict", "deep")
    assert read_deep(other.path / "deep") == CONTENT
