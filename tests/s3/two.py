"""A machine: one daemon, one state directory, and a proxy of its own on the way to the bucket that all share.

What tests do with it is what people do: they write and read files below `path`. `flush` returns once the bucket
has confirmed everything; `eventually` waits for what another machine is promised to see in a while.
"""

import hashlib
import os
import re
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from mountfs.config.schema import S3
from mountfs.remote.bucket import S3Remote
from tests.faults.clock import build_clock, skewed
from tests.faults.proxy import Proxy
from tests.mounting import REPOSITORY, DaemonFailed, Mounted
from tests.servers import Weed

T = TypeVar("T")

POLL_SECONDS = 0.02
COMMAND_SECONDS = 60
DEADLINE_SECONDS = float(os.environ.get("MACHINE_SECONDS", "120"))
"""Past this a daemon is aborted, so that no test waits in its mount for ever."""

QUICK_SYNC: Mapping[str, object] = {
    "mode": "lazy",
    "settle_seconds": "200ms",
    "settle_max_seconds": "1s",
    "refresh_seconds": "300ms",
    "patience_seconds": "2s",
    "look_seconds": "1s",
}
"""A machine of the tests is impatient, so that nobody waits for it."""


Two = tuple["Machine", "Machine"]


class Machine(Mounted):
    """See the module's docstring. `settings` are added to those of the bucket."""

    def __init__(
        self,
        folder: Path,
        name: str,
        bucket: S3,
        proxy: Proxy,
        *,
        settings: Mapping[str, object],
        environment: Mapping[str, str],
        arguments: tuple[str, ...] = (),
    ) -> None:
        self.proxy = proxy
        self.bucket = bucket
        self.ahead_seconds = 0
        self.also: dict[str, str] = {}  # in the environment of the next start
        s3 = {**bucket.model_dump(mode="json", exclude_none=True), "endpoint_url": proxy.endpoint_url}
        storage = {"backend": "s3", "s3": {**s3, "connect_timeout_seconds": 2, "read_timeout_seconds": 5}}
        sync = {**QUICK_SYNC, **_section(settings, "sync")}
        rest = {key: value for key, value in settings.items() if key not in ("sync", "storage")}
        super().__init__(
            folder / name,
            folder / f"{name}-state",
            settings={"storage": storage, "sync": sync, **rest},
            environment=environment,
            arguments=arguments,
        )

    def environment(self) -> dict[str, str]:
        return super().environment() | self.also

    def status(self) -> dict[str, object]:
        return self.ask({"op": "status"}, timeout_seconds=30)

    def bucket_status(self) -> dict[str, object]:
        """What it says of its bucket."""
        found = self.status()["bucket"]
        assert isinstance(found, dict)
        return found

    def mountfs(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of mountfs about this machine's mount."""
        return subprocess.run(
            [sys.executable, "-m", "mountfs.cli", *arguments],
            cwd=REPOSITORY,
            env=self.environment() | {"MOUNTFS_MOUNT": str(self.path)},
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
        )

    def alone(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of mountfs about this machine's store, by its settings: for where nothing is mounted."""
        settings = self.path.with_name(f"{self.path.name}.yml")
        return self.mountfs(*arguments, "--config", str(settings), "--state", str(self.state))

    def end(self, number: signal.Signals) -> None:
        """Signal the daemon, and return when it has ended with 0 and its mount is gone."""
        self._running().send_signal(number)
        self.ended(f"on {number.name}")

    def ended(self, how: str) -> None:
        """Return when the daemon has ended with 0 and its mount is gone; `how` it was told to, for the failure."""
        code = self._running().wait(COMMAND_SECONDS)
        self._clear()
        if code != 0:
            raise DaemonFailed(f"The daemon ended with {code} {how}.\n{self._log_tail()}")

    def flush(self, *, timeout_seconds: float = 30) -> None:
        """Return when the bucket has confirmed all that was acknowledged here."""
        self.settle()
        wait_until(self._owes_nothing, "the bucket has confirmed everything", seconds=timeout_seconds)

    def _owes_nothing(self) -> bool:
        found = self.bucket_status()
        if found["failed"]:
            raise DaemonFailed(f"The bucket refuses: {found['failed']}")
        return not found["jobs_to_upload"] and not found["uploading"]


class Machines:
    """Makes machines on one prefix of one bucket, and ends them whatever a test did to their way there."""

    def __init__(self, folder: Path, weed: Weed, bucket: S3, *, deadline_seconds: float | None) -> None:
        """Past `deadline_seconds` after its making a machine's daemon is aborted; None leaves that to others."""
        self._deadline_seconds = deadline_seconds
        self.folder = folder
        self.weed = weed
        self.bucket = bucket
        self.made: list[Machine] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def __call__(
        self,
        *,
        settings: Mapping[str, object] | None = None,
        bucket: S3 | None = None,
        environment: Mapping[str, str] | None = None,
        ahead_seconds: int = 0,
        arguments: tuple[str, ...] = (),
        start: bool = True,
    ) -> Machine:
        """A mounted machine with an empty state directory; `start=False` leaves the mounting to the test."""
        around = self.weed.environment() | dict(environment or {})
        if ahead_seconds:
            around |= skewed(build_clock(self.folder), ahead_seconds=ahead_seconds)
        machine = Machine(
            self.folder,
            f"m{len(self.made)}",
            bucket or self.bucket,
            self._stack.enter_context(Proxy(self.weed.port)),
            settings=settings or {},
            environment=around,
            arguments=arguments,
        )
        self.made.append(machine)
        machine.ahead_seconds = ahead_seconds
        self._stack.callback(_end, machine)
        if self._deadline_seconds is not None:
            self._stack.enter_context(machine.deadline(self._deadline_seconds))
        if start:
            machine.start()
        return machine

    def remote(self, *, by: Proxy | None = None) -> S3Remote:
        """The bucket itself, for what happens there behind everybody's back; by way of a proxy, or straight."""
        changed = {} if by is None else {"endpoint_url": by.endpoint_url}
        remote = S3Remote(self.bucket.model_copy(update=changed))
        self._stack.callback(remote.close)
        return remote

    def complaints(self, claims: Iterable[re.Pattern[str]]) -> list[str]:
        """Lines of their logs, since the last call, that none of the `claims` matches."""
        lines = [line for machine in self.made for line in machine.complaints()]
        return [line for line in lines if not any(claim.search(line) for claim in claims)]


def _end(machine: Machine) -> None:
    """Stop what still runs, with its bucket as it should be; what was killed has nothing left to end."""
    machine.proxy.clear()
    if machine.is_started():
        machine.stop()


def _section(settings: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = settings.get(name, {})
    assert isinstance(found, Mapping)
    return found


def wait_until(holds: Callable[[], bool], what: str, *, seconds: float = 15) -> None:
    """Return as soon as `holds` does; fail when that takes longer than `seconds`."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} seconds: {what}")
        pause.wait(POLL_SECONDS)


def eventually(find: Callable[[], T], expected: T, *, seconds: float = 15) -> None:
    """Return as soon as `find` answers this; fail with what it answered last when that takes too long."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while (found := _attempted(find)) != expected:
        if time.monotonic() > deadline:
            raise AssertionError(f"not {expected!r} within {seconds:g} seconds, but {found!r}")
        pause.wait(POLL_SECONDS)


def _attempted(find: Callable[[], T]) -> T | OSError:
    try:
        return find()
    except OSError as error:
        return error


def seen_in(directory: Path) -> dict[str, tuple[object, ...]]:
    """All below a directory, to compare with what another machine sees: kind, mode, time, tags, content."""
    found: dict[str, tuple[object, ...]] = {}
    for folder, names, files in os.walk(directory):
        for name in [*names, *files]:
            path = Path(folder, name)
            found[str(path.relative_to(directory))] = _described(path)
    return found


def _described(path: Path) -> tuple[object, ...]:
    status = path.lstat()
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFLNK:
        return "symlink", os.readlink(path), status.st_mtime_ns
    tags = {name: os.getxattr(path, name) for name in sorted(os.listxattr(path))}
    if kind == stat.S_IFDIR:
        return "directory", stat.S_IMODE(status.st_mode), tags
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return "file", stat.S_IMODE(status.st_mode), status.st_mtime_ns, status.st_size, tags, digest
