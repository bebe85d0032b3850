"""A newcomer's way to a bucket: the S3 server that `scripts/s3-server` keeps, and all that `scripts/start --s3` shows.

Both run as a newcomer runs them, in a directory of the test's own; whatever happens to the test, what they started is
ended.
"""

import contextlib
import http.client
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.mounting import REPOSITORY, is_mounted, require_fuse
from tests.servers import Weed

pytestmark = pytest.mark.usefixtures("unmeasured")

# --- scripts/s3-server ---

S3_SERVER = REPOSITORY / "scripts" / "s3-server"
SERVER_SECONDS = 90
LEFT = """
import subprocess, sys
sys.stdin.read()
subprocess.run([sys.executable, *sys.argv[1:]])
"""


def s3_server(verb: str, directory: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(S3_SERVER), verb, str(directory)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=SERVER_SECONDS)


@contextlib.contextmanager
def ended_with_us(*command: str) -> Iterator[None]:
    """Runs the command (a Python program) at the end of the block, also when it is we who are killed."""
    left = subprocess.Popen([sys.executable, "-c", LEFT, *command], stdin=subprocess.PIPE, start_new_session=True)
    try:
        yield
    finally:
        left.communicate(timeout=SERVER_SECONDS)


@contextlib.contextmanager
def server_in(directory: Path) -> Iterator[Path]:
    """A server that runs, for as long as the block."""
    with ended_with_us(str(S3_SERVER), "stop", str(directory)):
        answer = s3_server("start", directory)
        assert answer.returncode == 0, answer.stderr
        yield directory


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The directory of a server that runs, and that no test ends."""
    with server_in(tmp_path_factory.mktemp("served")) as directory:
        yield directory


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[Path]:
    """The directory of a server that ran and was stopped; it holds a bucket with one object."""
    with server_in(tmp_path / "s3") as directory:
        curl(directory, "-X", "PUT", f"{url_of(directory)}/artifacts")
        curl(directory, "-T", "-", f"{url_of(directory)}/artifacts/note", stdin="hello")
        assert s3_server("stop", directory).returncode == 0
        yield directory


def pid_of(directory: Path) -> int:
    return int((directory / "pid").read_text())


def url_of(directory: Path) -> str:
    found = re.search(r"^export S3=(.*)$", (directory / "environment").read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


def curl(directory: Path, *words: str, stdin: str = "") -> str:
    command = ["curl", "-K", str(directory / "curl"), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True, input=stdin, timeout=30).stdout


def test_a_server_that_runs_is_not_started_twice(served: Path) -> None:
    pid = pid_of(served)
    assert s3_server("start", served).returncode == 0
    assert pid_of(served) == pid
    assert s3_server("status", served).stdout.startswith(f"{url_of(served)} (process {pid}), ")


def test_the_server_knows_its_credentials_and_refuses_everybody_else(served: Path) -> None:
    curl(served, "-X", "PUT", f"{url_of(served)}/private")
    connection = http.client.HTTPConnection(urlsplit(url_of(served)).netloc, timeout=10)
    connection.request("GET", "/private")
    assert connection.getresponse().status == 403
    connection.close()
    secret = [path.name for path in served.iterdir() if path.is_file() and path.stat().st_mode & 0o077]
    assert set(secret) <= {"lock", "log", "pid", "ports"}
    assert served.stat().st_mode & 0o077 == 0


def test_a_server_that_was_stopped_is_said_not_to_run(stopped: Path) -> None:
    assert s3_server("status", stopped).returncode == 3


def test_what_the_server_stored_is_there_after_stop_and_start_under_the_same_address(stopped: Path) -> None:
    before = url_of(stopped)
    assert s3_server("start", stopped).returncode == 0
    assert url_of(stopped) == before
    assert curl(stopped, f"{before}/artifacts/note") == "hello"


def test_a_server_whose_port_was_taken_meanwhile_moves(stopped: Path) -> None:
    before = url_of(stopped)
    with socket.create_server(("127.0.0.1", urlsplit(before).port or 0)):
        assert s3_server("start", stopped).returncode == 0
    assert url_of(stopped) != before
    assert curl(stopped, f"{url_of(stopped)}/artifacts/note") == "hello"


def test_a_process_that_took_over_the_pid_of_a_dead_server_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as stranger:
        (tmp_path / "pid").write_text(str(stranger.pid))
        assert s3_server("stop", tmp_path).returncode == 0
        assert s3_server("status", tmp_path).returncode == 3
        assert stranger.poll() is None
        stranger.kill()


def requests_of(directory: Path) -> int:
    found = re.search(r", (\d+) requests since", s3_server("status", directory).stdout)
    assert found is not None
    return int(found[1])


def test_requests_are_counted_by_the_server(served: Path) -> None:
    """The benchmark's figures rest on it."""
    before = requests_of(served)
    for name in ("counted", "counted/a", "counted/b"):
        curl(served, "-X", "PUT", f"{url_of(served)}/{name}")
    assert requests_of(served) == before + 3


def flags_of(pid: int) -> set[str]:
    """Without places and ports."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    return {re.sub(r"=(\d{4,}|/.*)$", "", word) for word in words if word.startswith("-")}


def test_the_server_runs_with_the_flags_of_the_server_of_the_tests(served: Path, weed: Weed) -> None:
    assert flags_of(pid_of(served)) - flags_of(weed.pid) == {"-metricsIp=127.0.0.1", "-metricsPort"}
    assert flags_of(weed.pid) - flags_of(pid_of(served)) == set()


def test_the_server_listens_on_loopback_alone(served: Path) -> None:
    pid = pid_of(served)
    inodes = {os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir() if os.path.lexists(link)}
    lines = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    listening = [line for line in lines if line[3] == "0A" and f"socket:[{line[9]}]" in inodes]
    assert {line[1].split(":")[0] for line in listening} == {"0100007F"}


@pytest.mark.parametrize("words", [(), ("start",), ("begin", "x"), ("start", "x", "y")])
def test_the_server_refuses_what_it_does_not_know(words: tuple[str, ...]) -> None:
    answer = subprocess.run([sys.executable, str(S3_SERVER), *words], capture_output=True, text=True, check=False)
    assert answer.returncode == 2
    assert (answer.stdout, answer.stderr) == ("", "usage: scripts/s3-server start|stop|status DIR\n")


# --- scripts/start --s3 ---


class Newcomer:
    """Runs `scripts/start` in a clone that is installed: with the packages of this environment."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "clone"
        shutil.copytree(REPOSITORY / "scripts", self.root / "scripts")
        shutil.copytree(
            REPOSITORY / "tests" / "sample_project",
            self.root / "tests" / "sample_project",
            ignore=shutil.ignore_patterns("__pycache__", ".*"),
        )
        (self.root / ".venv").symlink_to(Path(sys.executable).parent.parent)
        (self.root / "scripts" / "install").write_text("#!/bin/sh\n")
        (directory / "home").mkdir()
        strange = ("MOUNTFS_", "XDG_", "GIT_", "AWS_", "PYTEST_", "COV_", "COVERAGE_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(strange)}
        self.environment = {**kept, "HOME": str(directory / "home"), "XDG_STATE_HOME": str(directory / "state")}
        self.mountpoint = self.root / ".artifacts"
        self.mountpoints = [self.root / name for name in (".artifacts-s3", ".artifacts-s3-second")]

    def starts(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.root / "scripts" / "start"), *words],
            env=self.environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=240,
        )


END_OF_A_NEWCOMER = """
import os, pathlib, signal, subprocess, sys
from mountfs.statedir import StateDirectory
server, clone = sys.argv[1], pathlib.Path(sys.argv[2])
for name in ("state", "state-second"):
    state = clone / ".s3-demo" / name
    if state.exists() and (pid := StateDirectory(state).holder()) is not None:
        os.kill(pid, signal.SIGKILL)
subprocess.run([clone / ".venv" / "bin" / "mountfs", "umount", clone / ".artifacts"], stderr=subprocess.DEVNULL)
for name in (".artifacts", ".artifacts-s3", ".artifacts-s3-second"):
    subprocess.run(["fusermount3", "-u", "-z", clone / name], stderr=subprocess.DEVNULL)
subprocess.run([sys.executable, server, "stop", clone / ".s3-demo"])
"""


@dataclass(frozen=True)
class Tour:
    """`scripts/start --s3` and `--s3-stop`."""

    newcomer: Newcomer
    first: subprocess.CompletedProcess[str]
    stopped: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tour]:
    require_fuse()
    directory = tmp_path_factory.mktemp("newcomer")
    newcomer = Newcomer(directory)
    program = directory / "end.py"
    program.write_text(END_OF_A_NEWCOMER)
    with ended_with_us(str(program), str(S3_SERVER), str(newcomer.root)):
        yield Tour(newcomer, newcomer.starts("--s3"), newcomer.starts("--s3-stop"))


def test_a_newcomer_is_shown_a_mount_without_any_line_failing(tmp_path: Path) -> None:
    require_fuse()
    newcomer = Newcomer(tmp_path)
    program = tmp_path / "end.py"
    program.write_text(END_OF_A_NEWCOMER)
    with ended_with_us(str(program), str(S3_SERVER), str(newcomer.root)):
        told = newcomer.starts()
        assert told.returncode == 0, told.stdout
        assert is_mounted(newcomer.mountpoint)
        assert (newcomer.mountpoint / "demo-1" / "junit.xml").exists()
    assert "user.mountfs.sha256" in told.stdout
    assert re.findall(r"^(?:mountfs: |.*Traceback|.*: line \d+:).*", told.stdout, re.MULTILINE) == []
    assert not is_mounted(newcomer.mountpoint)


def test_a_newcomer_is_shown_a_bucket_without_any_line_failing(tour: Tour) -> None:
    assert tour.first.returncode == 0, tour.first.stdout
    complaints = re.findall(r"^(?:mountfs: (?!it works until)|.*Traceback).*", tour.first.stdout, re.MULTILINE)
    assert complaints == []


def test_a_newcomer_sees_few_objects_for_many_files(tour: Tour) -> None:
    files = re.search(r"^(\d+) files, and this is all that the bucket holds of them", tour.first.stdout, re.MULTILINE)
    assert files is not None
    assert int(files[1]) > 15
    assert 1 <= len(re.findall(r"^<Key>", tour.first.stdout, re.MULTILINE)) <= 5


def test_a_newcomer_reads_a_bundle_without_mountfs(tour: Tour) -> None:
    assert "\nthe same junit.xml\n" in tour.first.stdout


def test_a_newcomer_sees_on_a_second_machine_what_the_first_wrote(tour: Tour) -> None:
    assert "\nthe same, byte for byte\n" in tour.first.stdout


def test_a_newcomer_reads_what_was_evicted(tour: Tour) -> None:
    evicted = tour.first.stdout.partition("mountfs evict demo-1")[2].partition("an address")[0]
    assert "\nremote\n" in evicted
    assert " passed in " in evicted


def test_a_newcomer_fetches_the_plain_bytes_of_a_url_with_curl(tour: Tour) -> None:
    assert " passed in " in tour.first.stdout.partition("curl --silent --compressed")[2].partition("loses its")[0]


def test_a_newcomer_loses_a_state_directory_and_nothing_else(tour: Tour) -> None:
    assert "\neverything is back, byte for byte\n" in tour.first.stdout


def test_the_end_of_a_tour_leaves_nothing_mounted_and_nothing_running(tour: Tour) -> None:
    assert tour.stopped.returncode == 0, tour.stopped.stdout
    assert [path for path in tour.newcomer.mountpoints if is_mounted(path)] == []
    assert s3_server("status", tour.newcomer.root / ".s3-demo").returncode == 3


@pytest.mark.slow
def test_a_second_tour_goes_on_with_the_same_bucket(tour: Tour) -> None:
    again = tour.newcomer.starts("--s3")
    there = tour.newcomer.mountpoints[1]
    names = sorted(path.name for path in there.iterdir())
    stopped = tour.newcomer.starts("--s3-stop")
    assert again.returncode == 0, again.stdout
    assert "mountfs flush demo-2\n" in again.stdout
    assert names == ["demo-1", "demo-2"]
    assert stopped.returncode == 0, stopped.stdout


def test_the_end_of_a_tour_that_never_began_is_no_error(tmp_path: Path) -> None:
    assert Newcomer(tmp_path).starts("--s3-stop").returncode == 0
