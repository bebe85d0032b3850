"""Unmounting: who keeps a mount busy, and the wait until its daemon has ended."""

import contextlib
import os
import select
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mountfs.daemon import client, mountpoint
from mountfs.daemon.mountpoint import PROBE_SECONDS, Health, Mount
from mountfs.errors import DeadlineExceeded, EnvironmentProblem, MountBusy, NotMounted
from mountfs.statedir import StateDirectory

USERS_SHOWN = 10
LOCK_POLL_SECONDS = 0.01
BUSY_SECONDS = 2.0  # a request or a close that is still under way keeps the mount busy, and names nobody
BUSY_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class User:
    """One way in which one process uses a mount."""

    pid: int
    program: str
    how: str
    path: str


def unmount_and_wait(mount: Mount, *, settled: bool, timeout_seconds: float) -> None:
    """Unmount; return when the daemon has published its drafts and ended.

    `settled` waits first until everything is hashed and compressed. Raises MountBusy, DeadlineExceeded.
    """
    deadline = time.monotonic() + timeout_seconds
    dead = mountpoint.health(mount.mountpoint, seconds=min(PROBE_SECONDS, timeout_seconds / 2)) is Health.DEAD
    if settled and not dead:
        _settle(mount, deadline)
    _unmount(mount.mountpoint, lazily=dead, deadline=deadline)
    _await_end(mount.state, deadline)


def _unmount(path: Path, *, lazily: bool, deadline: float) -> None:
    patience = min(deadline, time.monotonic() + BUSY_SECONDS)
    while said := mountpoint.unmount(path, lazily=lazily, seconds=max(0.5, deadline - time.monotonic())):
        users = users_of(path)
        if not users and "busy" not in said:
            hint = "; run `ln -s /proc/self/mounts /etc/mtab` as root" if "/etc/mtab" in said else ""
            raise EnvironmentProblem(f"{path} could not be unmounted: {said}{hint}")
        if users or time.monotonic() > patience:
            raise MountBusy(_busy(path, users))
        time.sleep(BUSY_POLL_SECONDS)


def _settle(mount: Mount, deadline: float) -> None:
    left = max(0.1, deadline - time.monotonic())
    answer = client.ask(mount.state, "barrier", settled=True, seconds=max(0.1, left - 0.2), timeout=left)
    if not answer.get("settled"):
        raise DeadlineExceeded(f"{mount.mountpoint} is still mounted: not everything was compressed in time")


def _await_end(state: Path, deadline: float) -> None:
    """Return when nobody holds the store any more."""
    directory = StateDirectory(state)
    while (pid := _holder(directory)) is not None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise DeadlineExceeded(f"unmounted, but process {pid} is still busy with {state}: it ends by itself")
        _await_process(pid, left)


def _holder(directory: StateDirectory) -> int | None:
    """Who holds the store; None also where that is nobody's but the owner's to know."""
    with contextlib.suppress(PermissionError):
        return directory.holder()
    return None


def _await_process(pid: int, seconds: float) -> None:
    try:
        process = os.pidfd_open(pid)
    except OSError:
        time.sleep(LOCK_POLL_SECONDS)  # it has just ended, or says no pid yet
        return
    try:
        select.select([process], [], [], seconds)
    finally:
        os.close(process)


def _busy(path: Path, users: list[User]) -> str:
    if not users:
        return f"{path} is in use by processes that you may not look at: run this as root, or end them"
    lines = [f"{user.program} (pid {user.pid}) {user.how} {user.path}" for user in users[:USERS_SHOWN]]
    more = f"; and {len(users) - USERS_SHOWN} more" if len(users) > USERS_SHOWN else ""
    return f"{path} is in use: {'; '.join(lines)}{more}"


def users_of(path: Path) -> list[User]:
    """Processes with a working directory, an open file or a mapping below a path, as far as we may look.

    Only names of links are read: a look at the files themselves could hang with their mount.
    """
    inside = f"{path}/"
    found = []
    for pid in sorted({int(name) for name in os.listdir("/proc") if name.isdigit()} - {os.getpid()}):
        with contextlib.suppress(OSError):
            uses = {target: how for how, target in _uses(pid) if target == str(path) or target.startswith(inside)}
            found += [User(pid, _program(pid), how, target) for target, how in uses.items()]
    return found


def _uses(pid: int) -> Iterator[tuple[str, str]]:
    process = f"/proc/{pid}"
    for line in Path(f"{process}/maps").read_text(errors="surrogateescape").splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6:
            yield "has mapped", fields[5]
    for name in os.listdir(f"{process}/fd"):
        with contextlib.suppress(OSError):
            yield "has open", os.readlink(f"{process}/fd/{name}")
    yield "has its root directory at", os.readlink(f"{process}/root")
    yield "works in", os.readlink(f"{process}/cwd")


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
    except OSError:
        return "a process"


def mount_to_end(path: Path) -> Mount:
    """The mount at a path given by a user. Raises NotMounted."""
    found = mountpoint.mount_at(mountpoint.real_path(path))
    if found is None:
        raise NotMounted(f"{path} is not mounted")
    return found
