"""Logs whose writers fork, and disks that sync slowly: neither may be felt by others."""

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.mount.conftest import MountFactory
from tests.mount.programs import Companion, companion
from tests.mounting import Ground

pytestmark = [pytest.mark.mountfs_only, pytest.mark.usefixtures("unmeasured")]

CHILDREN = int(os.environ.get("FORKED_CHILDREN", "1000"))
STAT_P99_SECONDS = float(os.environ.get("STAT_P99_SECONDS", "0.15"))  # 0.02 in scripts/soak; a fsync here takes 0.2

WRITE_AND_FORK = """
import os, sys
forks = sys.argv[2] == "forks"
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
for number in range(int(sys.argv[3])):
    os.write(fd, b"%06d a line of a log that a build writes while it starts one program after another\\n" % number)
    if forks:
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
os.close(fd)
"""

SLOW_SYNC = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
static int slowly(const char *name, int fd) {
    struct timespec pause = {0, 200000000};
    int (*call)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    nanosleep(&pause, 0);
    return call(fd);
}
int fsync(int fd) { return slowly("fsync", fd); }
int fdatasync(int fd) { return slowly("fdatasync", fd); }
"""

WRITE_AND_SYNC = """
import os, select, sys, time
number = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    fd = os.open(f"{sys.argv[1]}/{number}", os.O_WRONLY | os.O_CREAT)
    os.write(fd, os.urandom(20_000))
    began = time.monotonic()
    os.fsync(fd)
    assert time.monotonic() - began >= 0.19, "fsync answered before the disk did"
    os.close(fd)
    number += 1
    if number == 1:
        print("writing", flush=True)
"""


def seconds_of(path: Path, *, forks: bool) -> float:
    words = [sys.executable, "-c", WRITE_AND_FORK, str(path), "forks" if forks else "alone", str(CHILDREN)]
    began = time.monotonic()
    subprocess.run(words, check=True)
    return time.monotonic() - began


@pytest.mark.slow
@pytest.mark.alone
def test_a_log_of_thousands_of_children_costs_no_more_than_three_times_the_log_alone(job: Path, tmp_path: Path) -> None:
    alone = min(seconds_of(job / "alone.log", forks=False) for _ in range(3))
    # What the children themselves cost is measured beside the mount, and taken off.
    children = min(seconds_of(tmp_path / "plain.log", forks=True) for _ in range(2))
    together = min(seconds_of(job / f"forks-{n}.log", forks=True) for n in range(2))
    assert together - children <= 3 * alone
    assert (job / "forks-0.log").read_bytes() == (job / "alone.log").read_bytes()


def test_a_log_of_many_children_settles_as_one_state(job: Path, shared: Ground) -> None:
    seconds_of(job / "build.log", forks=True)
    shared.settle()
    assert os.getxattr(job / "build.log", "user.mountfs.version") == b"1"
    assert len((job / "build.log").read_bytes().splitlines()) == CHILDREN


@pytest.fixture
def slow_disk(mounted: MountFactory, tmp_path: Path) -> Ground:
    """A mount whose every fsync takes 200 ms longer."""
    (tmp_path / "slow.c").write_text(SLOW_SYNC)
    shim = tmp_path / "slow.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", shim, tmp_path / "slow.c", "-ldl"], check=True)
    return mounted(environment={"LD_PRELOAD": str(shim)})


def stat_seconds(folder: Path, *, for_seconds: float) -> list[float]:
    """How long each look at a name took that the kernel does not know yet."""
    took: list[float] = []
    end = time.monotonic() + for_seconds
    while (began := time.monotonic()) < end:
        os.path.lexists(folder / f"unknown-{len(took)}")
        took.append(time.monotonic() - began)
    return took


@pytest.mark.alone
def test_stat_stays_quick_while_every_fsync_takes_200_ms(slow_disk: Ground) -> None:
    with ExitStack() as stack:
        writers: list[Companion] = []
        for number in range(4):
            (slow_disk.path / f"writer-{number}").mkdir()
            writers.append(stack.enter_context(companion(WRITE_AND_SYNC, slow_disk.path / f"writer-{number}")))
        (slow_disk.path / "seen").mkdir()
        for writer in writers:
            writer.wait_for("writing")
        took = sorted(stat_seconds(slow_disk.path / "seen", for_seconds=2))
        for writer in writers:
            writer.tell("enough")
            writer.finish()
    assert took[int(len(took) * 0.99)] < STAT_P99_SECONDS
