"""fio with checksums, verified again after a remount with cold caches; stress-ng's file-system stressors.

`STRESS_SECONDS` (1) is how long each stressor runs, most of them four of a kind at once; `FIO_MIB` (4) the size of
fio's files.
"""

import os
import subprocess
from pathlib import Path

import pytest

from tests.mount.programs import run
from tests.mounting import Ground, drop_caches

pytestmark = pytest.mark.usefixtures("unmeasured")

STRESS_SECONDS = int(os.environ.get("STRESS_SECONDS", "1"))
FIO_MIB = int(os.environ.get("FIO_MIB", "4"))

NOT_RUN = {
    "bind-mount": "makes mounts of its own, never touches ours; only run as --pathological",
    "binderfs": "tests the kernel's binderfs, never touches ours",
    "eventfd": "tests eventfd(2), never touches a file system",
    "procfs": "tests /proc, never touches ours",
    "fiemap": "ioctl FS_IOC_FIEMAP: pyfuse3 has no ioctl (FACTS)",
    "verity": "ioctl FS_IOC_ENABLE_VERITY: pyfuse3 has no ioctl (FACTS)",
    "fsize": "expects fallocate(2) itself to refuse: pyfuse3 has no fallocate (FACTS)",
    "link": "hard links are refused (DESIGN §2)",
    "mknod": "device nodes, sockets and FIFOs are refused (DESIGN §2)",
}

NEEDS_ROOT = {"fanotify": "only root may watch whole mounts"}

SLOW_TO_END = {"symlink": "each removes 16,384 names at its end, whether it made them or not"}

ENDS_BY_COUNT = {"file-ioctl": "writes a file first, and takes one that the end of its time cut short for damage"}
COUNT, COUNT_SECONDS = 400, 120

FIO_JOBS = {
    "sequential": ["--ioengine=psync", "--rw=write", "--bs=64k"],
    "random": ["--ioengine=psync", "--rw=randwrite", "--bs=4k"],
    "mixed": ["--ioengine=psync", "--rw=randrw", "--bs=8k"],
    "mmap": ["--ioengine=mmap", "--rw=randwrite", "--bs=4k"],
    "compressible": ["--ioengine=psync", "--rw=write", "--bs=128k", "--buffer_compress_percentage=80"],
}


def fio(folder: Path, name: str, *options: str) -> None:
    """Run one job of `FIO_JOBS` in `folder`; damage ends fio with an error."""
    shape = [f"--size={FIO_MIB}m", "--numjobs=2", "--fallocate=none", "--randseed=7"]
    checks = ["--verify=crc32c", "--verify_fatal=1", "--verify_state_save=0"]
    run("fio", f"--name={name}", f"--directory={folder}", *FIO_JOBS[name], *shape, *checks, *options)


@pytest.mark.parametrize("name", FIO_JOBS)
def test_what_fio_wrote_verifies_at_once_and_after_a_remount_with_cold_caches(ground: Ground, name: str) -> None:
    folder = ground.path / "fio"
    folder.mkdir()
    fio(folder, name, "--do_verify=1", "--end_fsync=1")
    ground.settle()
    fio(folder, name, "--verify_only")
    ground.restart()
    drop_caches()
    fio(folder, name, "--verify_only")


def stressors() -> list[str]:
    """Every file-system stressor that this machine's stress-ng has, without those of `NOT_RUN`."""
    try:
        said = subprocess.run(["stress-ng", "--class", "filesystem?"], capture_output=True, text=True)
    except FileNotFoundError:
        return ["none: stress-ng is missing"]
    names = said.stdout.partition("stressors:")[2].split()
    return [name for name in names if name not in NOT_RUN] or ["none: stress-ng names no stressor"]


def processes_of(name: str) -> int:
    """How many of a kind run at once: in a short run only one of those that take much longer than they are told."""
    return 1 if name in SLOW_TO_END and STRESS_SECONDS < 10 else 4


def end_of(name: str) -> list[str]:
    if name in ENDS_BY_COUNT:
        return [f"--{name}-ops", str(COUNT * STRESS_SECONDS), "--timeout", f"{COUNT_SECONDS}s"]
    return ["--timeout", f"{STRESS_SECONDS}s"]


def alone_where_it_must(name: str) -> object:
    """`io` opens every mount of the machine: nobody else could unmount meanwhile."""
    return pytest.param(name, marks=pytest.mark.alone) if name == "io" else name


@pytest.mark.parametrize("name", [alone_where_it_must(name) for name in stressors()])
def test_stressors_find_nothing_wrong(job: Path, name: str) -> None:
    if name in NEEDS_ROOT and os.geteuid() != 0:
        pytest.skip(NEEDS_ROOT[name])
    words = ["--temp-path", str(job), f"--{name}", str(processes_of(name)), *end_of(name), "--verify"]
    done = subprocess.run(["stress-ng", *words], capture_output=True, text=True, timeout=STRESS_SECONDS + 200)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "stress-ng: fail:" not in said
    assert "skipp" not in said, f"{name} tested nothing: {said}"
