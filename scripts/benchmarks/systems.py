"""The file systems that are compared: each is started, settled, made cold and stopped the same way."""

import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

REPOSITORY = Path(__file__).resolve().parents[2]
START_SECONDS = 60
STOP_SECONDS = 120
LIFE_SECONDS = 3600
BARRIER_SECONDS = 600


class BenchmarkFailed(Exception):
    """A file system did not start, answer or stop; the sentence says which and how."""


def interpreter() -> str:
    """The Python that has pyfuse3 and mountfs: the repository's environment when there is one."""
    candidate = REPOSITORY / ".venv" / "bin" / "python"
    return str(candidate) if candidate.exists() else sys.executable


def drop_caches() -> None:
    """Make the kernel forget clean pages, names and inodes."""
    os.sync()
    prefix = [] if os.geteuid() == 0 else ["sudo", "-n"]
    command = [*prefix, "sh", "-c", "echo 3 > /proc/sys/vm/drop_caches"]
    if subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode != 0:
        raise BenchmarkFailed("Cold rows need root or sudo, to drop the kernel's caches.")


def _unmount(path: Path, how: str) -> None:
    command = ["fusermount3", how, str(path)]
    subprocess.run(command, check=True, timeout=STOP_SECONDS, stderr=subprocess.DEVNULL)


class System:
    """A plain directory on the disk: the reference, and what the others are started beside."""

    name = "ext4"

    def __init__(self, directory: Path) -> None:
        self.root = directory / self.name
        self.root.mkdir(parents=True)

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def settle(self) -> None:
        """Return when everything written is stored in its final form."""

    def make_cold(self) -> None:
        drop_caches()

    def job(self, name: str) -> Path:
        """A directory in the root, made when it is not there."""
        path = self.root / name
        path.mkdir(exist_ok=True)
        return path


class Mount(System):
    """A file system served by a process of ours, with a watchdog that ends it if we cannot."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / self.name
        self.root = self.directory / "mount"
        self.root.mkdir(parents=True, exist_ok=True)
        self.ready_seconds = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    @property
    def pid(self) -> int:
        if self._process is None:
            raise BenchmarkFailed(f"{self.name} is not running.")
        return self._process.pid

    @property
    def resident_bytes(self) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise BenchmarkFailed(f"{self.name} has no resident memory: it has ended.")

    def start(self) -> None:
        if self._process is not None:
            return
        self._log = (self.directory / "log").open("ab")
        begun = time.monotonic()
        self._process = subprocess.Popen(
            self.command(),
            cwd=self.directory,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,
        )
        self._watch()
        self._wait_until_ready()
        self.ready_seconds = time.monotonic() - begun

    def stop(self) -> None:
        """Unmount and wait for the process; by force when it does not end."""
        if self._process is None:
            return
        process, self._process = self._process, None
        try:
            _unmount(self.root, "-u")
            process.wait(STOP_SECONDS)
        except (subprocess.SubprocessError, OSError):
            process.kill()
            process.wait()
            if os.path.ismount(self.root):
                _unmount(self.root, "-uz")
        self._let_go(process)

    def make_cold(self) -> None:
        self.stop()
        drop_caches()
        self.start()

    def revive(self) -> None:
        """Run again after something went wrong."""
        if self._process is None or self._process.poll() is not None or not os.path.ismount(self.root):
            self.stop()
            self.start()

    def _environment(self) -> dict[str, str]:
        """Without the settings of whoever runs this; repository code is found without being installed."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MOUNTFS_")}
        own = {"XDG_CONFIG_HOME": str(self.directory / "config"), "PYTHONPATH": str(REPOSITORY)}
        return kept | own

    def _watch(self) -> None:
        program = Path(__file__).with_name("watchdog.py")
        self._watchdog = subprocess.Popen(
            [sys.executable, "-I", "-S", str(program), str(self.pid), str(self.root), str(LIFE_SECONDS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            if time.monotonic() > deadline or (self._process is not None and self._process.poll() is not None):
                self.stop()
                raise BenchmarkFailed(f"{self.name} did not start: {self._log_tail()}")

    def _is_ready(self) -> bool:
        raise NotImplementedError

    def _let_go(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdout is not None:
            process.stdout.close()
        if self._watchdog is not None:
            self._watchdog.communicate(b"done\n")
        if self._log is not None:
            self._log.close()

    def _log_tail(self) -> str:
        return (self.directory / "log").read_text(errors="replace")[-2000:]


class Passthrough(Mount):
    """pyfuse3's own example over a directory of the same disk."""

    name = "passthroughfs"

    def __init__(self, directory: Path, *, cache: Path) -> None:
        super().__init__(directory)
        self.source = self.directory / "source"
        self.source.mkdir()
        self._cache = cache

    def command(self) -> list[str]:
        return [interpreter(), str(example_of_pyfuse3(self._cache)), str(self.source), str(self.root)]

    def _is_ready(self) -> bool:
        time.sleep(0.01)
        return os.path.ismount(self.root)


class Mountfs(Mount):
    """The mount of this repository, with its default settings."""

    name = "mountfs"

    @property
    def state(self) -> Path:
        return self.directory / "state"

    def command(self) -> list[str]:
        words = ["-m", "mountfs.cli", "mount", str(self.root), "--foreground", "--state", str(self.state)]
        return [interpreter(), *words]

    def _is_ready(self) -> bool:
        stdout = self._process.stdout if self._process else None
        if stdout is None or not select.select([stdout], [], [], 1)[0]:
            return False
        return b"ready" in stdout.readline()

    def settle(self) -> None:
        folder = os.open(self.state, os.O_PATH | os.O_DIRECTORY)
        try:
            with socket.socket(socket.AF_UNIX) as control:
                control.settimeout(BARRIER_SECONDS)
                control.connect(f"/proc/self/fd/{folder}/control.sock")
                control.sendall(b'{"op":"barrier","settled":true}\n')
                with control.makefile("rb") as answers:
                    answer = json.loads(answers.readline())
        finally:
            os.close(folder)
        if "error" in answer:
            raise BenchmarkFailed(f"The barrier answered {answer}.")


def example_of_pyfuse3(cache: Path) -> Path:
    """`passthroughfs.py` of the installed pyfuse3's source package, fetched by pip once into `cache`."""
    version = subprocess.run(
        [interpreter(), "-c", "import importlib.metadata as m; print(m.version('pyfuse3'))"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    target = cache / f"pyfuse3-{version}" / "passthroughfs.py"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        _download_source(version, target.parent)
        with tarfile.open(target.parent / f"pyfuse3-{version}.tar.gz") as archive:
            member = archive.extractfile(f"pyfuse3-{version}/examples/passthroughfs.py")
            if member is None:
                raise BenchmarkFailed(f"pyfuse3 {version} ships no passthroughfs example.")
            target.write_bytes(member.read())
    return target


def _download_source(version: str, directory: Path) -> None:
    command = [interpreter(), "-m", "pip", "download", "--quiet", "--no-binary", ":all:", "--no-deps"]
    command += ["--dest", str(directory), f"pyfuse3=={version}"]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    if said.returncode != 0:
        raise BenchmarkFailed(f"pip could not fetch the source of pyfuse3 {version}: {said.stderr[-500:]}")


@contextmanager
def workspace(parent: Path) -> Iterator[Path]:
    """A directory that is gone afterwards, whatever was written to it."""
    directory = parent / f"mountfs-bench-{os.getpid()}"
    directory.mkdir(parents=True)
    try:
        yield directory
    finally:
        places = (*directory.glob("*/mount"), *directory.glob("*/*/mount"))
        if not any(os.path.ismount(path) for path in places):
            shutil.rmtree(directory)
