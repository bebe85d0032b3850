"""A mountfs daemon as a subprocess of a test, and a plain directory that stands in for one.

Why it exists: a test of the mount must never touch it from the loop that serves it, and must leave nothing
behind, whatever happens to it. What it keeps true:

- The daemon is known by its pid and ended by its pid, never by a name.
- When the test process dies, a watchdog that holds the other end of a pipe kills the daemon and unmounts.
- A mount that hangs cannot hang the test run: past a deadline the daemon is aborted (its threads' tracebacks
  go to its log), and whoever waits for it gets ENOTCONN.
- Whatever waits here waits for an event, not for time to pass.

With `MOUNTFS_TEST_PLAIN=1` the tests run on `Plain` instead: a test that fails there is wrong about Linux.
"""

import contextlib
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
PLAIN = os.environ.get("MOUNTFS_TEST_PLAIN") == "1"

READY_SECONDS = 30
STOP_SECONDS = 60
BUSY_SECONDS = 3.0

_COMPLAINT = re.compile(r"\b(WARNING|ERROR|CRITICAL)\b|^Traceback |^Fatal Python error")

_WATCHDOG = """
import os, signal, subprocess, sys
daemon = os.pidfd_open(int(sys.argv[1]))
print("watching", flush=True)
if sys.stdin.readline() != "done\\n":
    signal.pidfd_send_signal(daemon, signal.SIGKILL)
    subprocess.run(["fusermount3", "-u", "-z", sys.argv[2]], stderr=subprocess.DEVNULL)
"""


class MountImpossible(AssertionError):
    """This machine cannot mount; the sentence says what to do. A failure, never a skip."""


class DaemonFailed(AssertionError):
    """The daemon did not start, did not end or did not answer as promised; the text ends with its log."""


def require_fuse() -> None:
    """Raise `MountImpossible` with one sentence where a mount cannot work."""
    if not os.path.exists("/dev/fuse"):
        raise MountImpossible(
            "There is no /dev/fuse: load the kernel module fuse, or start the container with "
            "--device /dev/fuse --cap-add SYS_ADMIN --security-opt apparmor=unconfined."
        )
    if shutil.which("fusermount3") is None:
        raise MountImpossible("There is no fusermount3: install the package fuse3.")


def mounted_paths() -> set[bytes]:
    """Every mountpoint this process sees, as bytes, unescaped."""
    table = Path("/proc/self/mountinfo").read_bytes().splitlines()
    return {_unescape(line.split(b" ")[4]) for line in table}


def is_mounted(path: Path) -> bool:
    return os.fsencode(path) in mounted_paths()


def wait_until_unmounted(path: Path, *, timeout_seconds: float) -> bool:
    """Whether `path` is no mountpoint any more, woken by the kernel whenever the mount table changes."""
    deadline = time.monotonic() + timeout_seconds
    with open("/proc/self/mountinfo", "rb", buffering=0) as table:
        changes = select.poll()
        changes.register(table, select.POLLPRI | select.POLLERR)
        while is_mounted(path):
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            changes.poll(left * 1000)
    return True


def as_root(arguments: Sequence[str]) -> list[str]:
    """The command that does `arguments` as root: itself for root, through sudo for others."""
    return list(arguments) if os.geteuid() == 0 else ["sudo", "-n", *arguments]


@contextlib.contextmanager
def disk_of(size_bytes: int, directory: Path) -> Iterator[Path]:
    """A file system of its own, empty, gone afterwards and when we are killed. Needs root, or sudo without password."""
    directory.mkdir()
    options = f"size={size_bytes},uid={os.geteuid()},gid={os.getegid()},mode=0700"
    subprocess.run(as_root(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(directory)]), check=True)
    until_we_end = as_root(["sh", "-c", 'cat > /dev/null; exec umount -l "$0"', str(directory)])
    watchdog = subprocess.Popen(until_we_end, stdin=subprocess.PIPE, start_new_session=True)
    try:
        yield directory
    finally:
        watchdog.communicate(timeout=STOP_SECONDS)
        assert watchdog.returncode == 0, "a disk of the tests is still there"


def drop_caches() -> None:
    """Make the kernel forget every clean page, name and inode it holds."""
    os.sync()
    command = as_root(["sh", "-c", "echo 3 > /proc/sys/vm/drop_caches"])
    subprocess.run(command, check=True, timeout=120)


class Plain:
    """A plain directory with the face of a mount, to prove the tests themselves."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(exist_ok=True)
        self.path = directory
        self.pid = os.getpid()

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def restart(self) -> None: ...

    def settle(self) -> None: ...

    def complaints(self) -> list[str]:
        return []

    def assert_alive(self) -> None: ...

    @contextlib.contextmanager
    def deadline(self, seconds: float) -> Iterator[None]:
        yield


class Mounted:
    """One state directory and its daemon, mounted at `directory` from `start` to `stop` or `kill`.

    `settings` go into a settings file; `environment` is added to the daemon's.
    Several starts append to one log.
    """

    def __init__(
        self,
        directory: Path,
        state: Path,
        *,
        settings: Mapping[str, object] | None = None,
        environment: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        self.path = directory
        self.state = state
        self.log = directory.with_name(directory.name + ".log")
        self._settings = dict(settings or {})
        self._environment = dict(environment or {})
        self.arguments = list(arguments)
        self._daemon: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._log_offset = 0

    @property
    def pid(self) -> int:
        return self._running().pid

    def start(self) -> None:
        """Return once the mount answers; raise `DaemonFailed` with the log when it does not."""
        require_fuse()
        self.path.mkdir(exist_ok=True)
        with open(self.log, "ab") as log:
            self._daemon = subprocess.Popen(
                self.command(),
                cwd=REPOSITORY,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        self._watchdog = _watch(self._daemon.pid, self.path)
        if not _reads_line(self._daemon, b"ready\n", timeout_seconds=READY_SECONDS):
            self.kill()
            raise DaemonFailed(f"The daemon did not say `ready`.\n{self._log_tail()}")

    def command(self) -> list[str]:
        """What `start` runs."""
        command = [sys.executable, "-m", "mountfs.cli", "mount", str(self.path), "--foreground"]
        command += ["--state", str(self.state), "--test-auto-unmount", *self.arguments]
        # Always a file, be it empty: otherwise the settings of whoever runs the tests would be found.
        file = self.path.with_name(self.path.name + ".yml")
        file.write_text(yaml.safe_dump(self._settings))
        return [*command, "--config", str(file)]

    def environment(self) -> dict[str, str]:
        """Ours without the settings of whoever runs the tests; an abort writes tracebacks to the log."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("MOUNTFS_") or name.startswith("MOUNTFS_TEST_")
        }
        return inherited | {"PYTHONFAULTHANDLER": "1"} | self._environment

    def stop(self) -> None:
        """Unmount, and return when the daemon has ended with 0 and nothing of it is left."""
        self._assert_not_ended()
        try:
            self._unmount()
            code = self._running().wait(STOP_SECONDS)
        except (DaemonFailed, subprocess.TimeoutExpired) as problem:
            self.kill()
            raise DaemonFailed(f"{problem}\n{self._log_tail()}") from problem
        self._clear()
        if code != 0:
            raise DaemonFailed(f"The daemon ended with {code} after umount.\n{self._log_tail()}")

    def _unmount(self) -> None:
        """Waits while it is busy for a moment: whoever asks for the space of all mounts (df) holds each of them."""
        patience = time.monotonic() + BUSY_SECONDS
        while True:
            said = subprocess.run(
                ["fusermount3", "-u", str(self.path)], capture_output=True, text=True, timeout=STOP_SECONDS
            )
            if said.returncode == 0:
                return
            if "busy" not in said.stderr or time.monotonic() > patience:
                raise DaemonFailed(f"The mount could not be unmounted: {said.stderr}{_users_of(self.path)}")
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL the daemon as a power switch would, and wait until its mount is gone."""
        daemon = self._running()
        daemon.kill()
        daemon.wait(STOP_SECONDS)
        self._clear()

    def restart(self) -> None:
        self.stop()
        self.start()

    def is_started(self) -> bool:
        """Whether there is a daemon that was neither stopped nor killed here; it may have died by itself."""
        return self._daemon is not None

    def assert_alive(self) -> None:
        """Raise `DaemonFailed` unless the daemon that `start` started still runs."""
        code = self._running().poll()
        if code is not None:
            raise DaemonFailed(f"The daemon ended with {code} by itself.\n{self._log_tail()}")

    def settle(self) -> None:
        """Return when the store has nothing left to compress, hash or index."""
        answer = self.ask({"op": "barrier", "settled": True}, timeout_seconds=120)
        if "error" in answer:
            raise DaemonFailed(f"The barrier answered {answer}.\n{self._log_tail()}")

    def ask(self, request: Mapping[str, object], *, timeout_seconds: float) -> dict[str, object]:
        """Send one line to the daemon's control socket and return its one line of answer."""
        # A socket's address ends at 107 bytes, and the state directory of a test is often longer.
        folder = os.open(self.state, os.O_PATH | os.O_DIRECTORY)
        try:
            with socket.socket(socket.AF_UNIX) as control:
                control.settimeout(timeout_seconds)
                control.connect(f"/proc/self/fd/{folder}/control.sock")
                control.sendall(json.dumps(request).encode() + b"\n")
                with control.makefile("rb") as answers:
                    answer = json.loads(answers.readline())
        finally:
            os.close(folder)
        if not isinstance(answer, dict):
            raise DaemonFailed(f"The control socket answered {answer!r}, not an object.")
        return answer

    def complaints(self) -> list[str]:
        """The lines of WARNING and above that the log has gained since the last call."""
        if not self.log.exists():
            return []
        with open(self.log, "rb") as log:
            log.seek(self._log_offset)
            fresh = log.read()
        self._log_offset += len(fresh)
        lines = fresh.decode(errors="replace").splitlines()
        return [line for line in lines if _COMPLAINT.search(line)]

    @contextlib.contextmanager
    def deadline(self, seconds: float) -> Iterator[None]:
        """Abort the daemon when the block takes longer: a caller in the mount can be freed no other way."""
        timer = threading.Timer(seconds, self._abort)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()

    def _abort(self) -> None:
        daemon = self._daemon
        if daemon is None:
            return
        daemon.send_signal(signal.SIGABRT)
        try:
            daemon.wait(5)
        except subprocess.TimeoutExpired:
            daemon.kill()

    def _assert_not_ended(self) -> None:
        try:
            self.assert_alive()
        except DaemonFailed:
            self._clear()
            raise

    def _running(self) -> subprocess.Popen[bytes]:
        if self._daemon is None:
            raise DaemonFailed("No daemon was started here.")
        return self._daemon

    def _clear(self) -> None:
        """Let go of an ended daemon; its mount and everything it started must be gone."""
        daemon, self._daemon = self._running(), None
        if daemon.stdout is not None:
            daemon.stdout.close()
        if self._watchdog is not None:
            self._watchdog.communicate(b"done\n", timeout=STOP_SECONDS)
            self._watchdog = None
        # The helper that unmounts after a death may outlive it, and would unmount our next start.
        left = _unmount_helpers_left(self.path, timeout_seconds=10) + _session_left(daemon.pid)
        if is_mounted(self.path):
            # libfuse's helper looks once, and takes a mount whose daemon is still dying for a live one.
            subprocess.run(["fusermount3", "-u", "-z", str(self.path)], check=False)
            if not wait_until_unmounted(self.path, timeout_seconds=10):
                raise DaemonFailed(f"The daemon ended, its mount stayed.\n{self._log_tail()}")
        if left:
            raise DaemonFailed(f"Left behind by the daemon: processes {left}.\n{self._log_tail()}")

    def _log_tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-60:] if self.log.exists() else []
        return "\n".join(["--- log of the daemon ---", *lines])


Ground = Mounted | Plain
"""Where a test works: the same promises hold on both."""


def _watch(pid: int, path: Path) -> subprocess.Popen[bytes]:
    """A process of its own session that ends the daemon when we die, unless it has read `done`."""
    watchdog = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _WATCHDOG, str(pid), str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    if not _reads_line(watchdog, b"watching\n", timeout_seconds=READY_SECONDS):
        raise DaemonFailed("The watchdog did not start.")
    return watchdog


def _reads_line(process: subprocess.Popen[bytes], line: bytes, *, timeout_seconds: float) -> bool:
    """Whether `process` prints `line` on its stdout in time, whatever it prints before."""
    if process.stdout is None:
        return False
    deadline = time.monotonic() + timeout_seconds
    seen = b""
    while line not in seen:
        ready, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
        piece = os.read(process.stdout.fileno(), 4096) if ready else b""
        if not piece:
            return False
        seen += piece
    return True


def _unmount_helpers_left(path: Path, *, timeout_seconds: float) -> list[int]:
    """The fusermount processes of this mountpoint that are still there after `timeout_seconds`."""
    deadline = time.monotonic() + timeout_seconds
    while helpers := [pid for pid, words in _processes() if _unmounts(words, path)]:
        if time.monotonic() > deadline:
            return helpers
        _wait_for_end(helpers[0], timeout_seconds=deadline - time.monotonic())
    return []


def _unmounts(words: list[bytes], path: Path) -> bool:
    return words[0].rsplit(b"/")[-1].startswith(b"fusermount") and os.fsencode(path) in words


def _processes() -> Iterator[tuple[int, list[bytes]]]:
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            yield int(name), Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")


def _wait_for_end(pid: int, *, timeout_seconds: float) -> None:
    with contextlib.suppress(ProcessLookupError):
        process = os.pidfd_open(pid)
        try:
            select.select([process], [], [], max(0.0, timeout_seconds))
        finally:
            os.close(process)


def _session_left(session: int, *, timeout_seconds: float = 2) -> list[int]:
    """Living processes of the daemon's own session: children it forgot, and that do not notice its end themselves."""
    deadline = time.monotonic() + timeout_seconds
    while left := _in_session(session):
        if time.monotonic() > deadline:
            break
        _wait_for_end(left[0], timeout_seconds=deadline - time.monotonic())
    return left


def _in_session(session: int) -> list[int]:
    left = []
    for pid, _ in _processes():
        with contextlib.suppress(OSError):
            if os.getsid(pid) == session and b") Z " not in Path(f"/proc/{pid}/stat").read_bytes():
                left.append(pid)
    return left


def _users_of(path: Path) -> str:
    """Who keeps the mount busy, for the message of a failed stop."""
    if shutil.which("fuser") is None:
        return ""
    said = subprocess.run(["fuser", "-v", "-m", str(path)], capture_output=True, text=True, timeout=20)
    return "\n".join(line for line in said.stderr.splitlines() if "Cannot stat" not in line)


def _unescape(word: bytes) -> bytes:
    return re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match[1], 8)]), word)
