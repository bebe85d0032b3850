"""Events: a command or a URL is told of what happened, and nobody ever waits for it (F-135, F-178)."""

import contextlib
import http.server
import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.faults.clock import build_clock, skewed
from tests.mount.conftest import ExpectedLog, MountFactory
from tests.mount.test_cleanup import KEPT, make, mountfs, notes
from tests.mounting import REPOSITORY, Mounted
from tests.s3.two import eventually as becomes
from tests.s3.two import wait_until

pytestmark = pytest.mark.mountfs_only

QUOTA = {"quota": "1 MiB", "warn_threshold": 0.5}
MIB = 1 << 20
DAY_SECONDS = 86_400


def eventually(path: Path) -> str:
    """What is in a file, once there is something."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if path.exists() and (text := path.read_text()).endswith("\n"):
            return text
        time.sleep(0.05)
    pytest.fail(f"{path} was not written")


def fill(root: Path, *, job: str = "J") -> None:
    (root / job).mkdir()
    (root / job / "noise").write_bytes(os.urandom(700_000))


def test_a_command_is_told_of_the_quota_and_gets_no_secret(
    mounted: MountFactory, expected_log: ExpectedLog, tmp_path: Path
) -> None:
    expected_log("of the quota")
    said, environment = tmp_path / "said", tmp_path / "environment"
    script = f"cat > {said}.new && mv {said}.new {said}; env > {environment}.new && mv {environment}.new {environment}"
    mount = mounted(
        {"limits": QUOTA, "events": [{"on": ["quota_warning"], "command": ["sh", "-c", script]}]},
        environment={"AWS_SECRET_ACCESS_KEY": "a secret"},
    )
    fill(mount.path)
    told = json.loads(eventually(said))
    assert (told["schema"], told["kind"]) == (1, "quota_warning")
    assert told["data"]["quota_bytes"] == 1 << 20
    assert told["mount"] == str(mount.path)
    assert "a secret" not in eventually(environment)
    assert "MOUNTFS_EVENT_KIND=quota_warning" in environment.read_text()


class _Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:  # as the library calls it
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, self.headers["Mountfs-Event"], body))  # type: ignore[attr-defined]
        self.send_response(302 if self.path == "/elsewhere" else 204)
        self.send_header("Location", "/stolen")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def receiver() -> Iterator[http.server.HTTPServer]:
    server = http.server.HTTPServer(("127.0.0.1", 0), _Receiver)
    server.got = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_url_is_told_and_not_followed_elsewhere(
    mounted: MountFactory, expected_log: ExpectedLog, receiver: http.server.HTTPServer
) -> None:
    expected_log("of the quota")
    expected_log("answered an event with 302")
    url = f"http://127.0.0.1:{receiver.server_port}"
    hooks = [{"on": ["quota_warning"], "url": f"{url}/{path}"} for path in ("hook?key=1", "elsewhere")]
    fill(mounted({"limits": QUOTA, "events": hooks}).path)
    got: list[tuple[str, str, bytes]] = receiver.got  # type: ignore[attr-defined]
    until = time.monotonic() + 60
    while len(got) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    assert sorted((path, kind) for path, kind, _ in got) == [
        ("/elsewhere", "quota_warning"), ("/hook?key=1", "quota_warning"),
    ]  # fmt: skip
    assert all(json.loads(body)["kind"] == "quota_warning" for _, _, body in got)


def test_a_command_that_hangs_or_fails_holds_up_nobody(
    mounted: MountFactory, expected_log: ExpectedLog, tmp_path: Path
) -> None:
    for complaint in ("of the quota", "did not take an event within 1 seconds", "ended with 3: no luck"):
        expected_log(complaint)
    expected_log("could not be told of an event")
    said, pid = tmp_path / "said", tmp_path / "pid"
    hangs = f"import os, time; open('{pid}', 'w').write(str(os.getpid()) + '\\n'); time.sleep(1000)"
    commands = [
        [sys.executable, "-c", hangs],
        ["sh", "-c", "echo no luck; exit 3"],
        ["/does/not/exist"],
        ["sh", "-c", f"echo told > {said}"],
    ]
    hooks = [{"on": ["quota_warning"], "command": command, "timeout_seconds": 1} for command in commands]
    mount = mounted({"limits": QUOTA, "events": hooks})
    fill(mount.path)
    assert eventually(said) == "told\n"
    assert (mount.path / "J" / "noise").stat().st_size == 700_000
    hung = int(eventually(pid))
    until = time.monotonic() + 30
    while Path(f"/proc/{hung}").exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not Path(f"/proc/{hung}").exists(), "the command outlived its time"


# -- sizes, and what expired --------------------------------------------------------------------------------------


def telling(directory: Path, *kinds: str) -> Mapping[str, object]:
    """A command that adds the JSON of each event to a file of `directory`."""
    return {"on": list(kinds), "command": ["sh", "-c", f"cat >> {directory}/said"]}


def said(directory: Path) -> list[dict[str, object]]:
    """The data of what was told so far."""
    path = directory / "said"
    return [json.loads(line)["data"] for line in path.read_text().splitlines()] if path.exists() else []


def save(root: Path, job: str, size: int, *, branch: str = "main") -> Path:
    """A job with one artifact; its branch is said after that, as CI does."""
    (root / job / "logs").mkdir(parents=True, exist_ok=True)
    (root / job / "logs" / "app.log").write_bytes(b"x" * size)
    os.setxattr(root / job, b"user.branch", branch.encode())
    return root / job / "logs" / "app.log"


def test_an_artifact_that_is_much_larger_than_usual_is_told_once(mounted: MountFactory, tmp_path: Path) -> None:
    """F-135: compared with what lay at its path in earlier jobs of its branch."""
    mount = mounted({"events": [telling(tmp_path, "size_jump")]})
    for number, size in enumerate((2 * MIB, 3 * MIB, 2 * MIB)):
        save(mount.path, f"build-{number}", size)
    save(mount.path, "other-1", 9 * MIB, branch="other")
    save(mount.path, "build-7", 3 * MIB - 1)  # as large as one may be
    jumped = save(mount.path, "build-8", 6 * MIB)
    wait_until(lambda: len(said(tmp_path)) > 0, "the jump is told", seconds=60)
    jumped.write_bytes(b"x" * (7 * MIB))  # it has been told of
    save(mount.path, "build-9", 5 * MIB)
    wait_until(lambda: len(said(tmp_path)) > 1, "the next one is told", seconds=60)
    assert said(tmp_path) == [
        {
            "job": job, "path": "logs/app.log", "type": "build-logs", "branch": "main", "size_bytes": size,
            "usual_bytes": usual, "of": of,
        }
        for job, size, usual, of in (("build-8", 6 * MIB, 5 * MIB // 2 - 1, 4), ("build-9", 5 * MIB, 3 * MIB - 1, 5))
    ]  # fmt: skip


def test_a_restart_tells_of_no_jump_again_and_of_none_from_before_anybody_asked(
    mounted: MountFactory, tmp_path: Path
) -> None:
    first = mounted()
    for number in range(3):
        save(first.path, f"build-{number}", 2 * MIB)
    save(first.path, "build-4", 9 * MIB)
    first.stop()
    told = {"events": [telling(tmp_path, "size_jump")]}
    second = mounted(told, state=first.state)
    save(second.path, "build-5", 7 * MIB)
    wait_until(lambda: len(said(tmp_path)) > 0, "the jump is told", seconds=60)
    second.stop()
    third = mounted(told, state=first.state)
    save(third.path, "build-6", 8 * MIB)
    wait_until(lambda: len(said(tmp_path)) > 1, "the next one is told", seconds=60)
    assert [data["job"] for data in said(tmp_path)] == ["build-5", "build-6"]


def test_each_job_that_expires_is_told_with_what_went_and_why(mounted: MountFactory, tmp_path: Path) -> None:
    """F-178: through cleaning by hand, with what has a date of its own."""
    mount = mounted({"events": [telling(tmp_path, "job_expired")]})
    make(mount.path, "build-1", "a.log", "deep/b.log")
    make(mount.path, "build-2", "junit.xml", "a.log")
    os.setxattr(mount.path / "build-2" / "a.log", b"user.mountfs.expires_at", b"2020-01-02")
    mount.settle()
    mountfs(mount, "cleanup")
    mountfs(mount, "cleanup", "--type", "build-logs", "--yes")
    wait_until(lambda: len(said(tmp_path)) > 1, "both are told", seconds=60)
    dated, whole = said(tmp_path)
    assert all(0 < int(str(data.pop("stored_bytes"))) <= int(str(data["size_bytes"])) for data in (dated, whole))
    size = len("build-1 a.log\n") * 50
    assert dated == {
        "job": "build-2", "types": ["build-logs"], "artifacts": 1, "size_bytes": size, "more": 0, "is_gone": False,
        "reasons": ["build-2/a.log: its own date was 2020-01-02 00:00 UTC (expires_at)"],
    }  # fmt: skip
    assert whole == {
        "job": "build-1", "types": ["build-logs"], "artifacts": 2, "size_bytes": 2 * size + 250, "more": 0,
        "reasons": ["build-logs of build-1: 0 days since it was published, asked for (--type build-logs)"],
        "is_gone": True,
    }  # fmt: skip


def test_a_cleanup_that_is_killed_in_the_middle_leaves_no_half_report_and_each_job_is_told(
    mounted: MountFactory, tmp_path: Path
) -> None:
    """Each report is there whole or gone whole after the next start, and what went has been told."""
    told = {"events": [telling(tmp_path, "job_expired")]}
    first = mounted(told)
    logs = [f"{number}.log" for number in range(60)]
    for number in range(12):
        make(first.path, f"build-{number}", *logs)
    first.settle()
    with running(first, "cleanup", "--type", "build-logs", "--yes"):
        wait_until(lambda: gone_in(first) > 100, "some of them go", seconds=60)
        first.kill()
    assert gone_in(first) < 12 * len(logs), "all of it went before the kill"
    second = mounted(told, state=first.state)
    becomes(lambda: len(halves(second, logs)), 0, seconds=30)
    went = 12 - len(os.listdir(second.path))
    assert went > 0
    wait_until(lambda: len(jobs_told(tmp_path)) == went, "all that went is told", seconds=60)
    mountfs(second, "cleanup", "--type", "build-logs", "--yes")
    wait_until(lambda: len(jobs_told(tmp_path)) == 12, "the rest is told", seconds=60)
    assert {(str(data["job"]), data["artifacts"], data["is_gone"]) for data in said(tmp_path)} == {
        (f"build-{number}", 60, True) for number in range(12)
    }


def gone_in(mount: Mounted) -> int:
    """How much the trash holds, read beside the daemon."""
    with contextlib.closing(sqlite3.connect(f"file:{mount.state}/catalog.db?mode=ro", uri=True)) as catalog:
        return int(catalog.execute("SELECT count(*) FROM trash").fetchone()[0])


def halves(mount: Mounted, names: list[str]) -> list[str]:
    """Jobs that hold some of these, and not all."""
    return [job.name for job in mount.path.iterdir() if len(os.listdir(job)) != len(names)]


def jobs_told(directory: Path) -> set[str]:
    return {str(data["job"]) for data in said(directory)}


@contextlib.contextmanager
def running(machine: Mounted, *arguments: str) -> Iterator[None]:
    """A command of mountfs beside what happens inside; how it ends is nobody's business."""
    command = subprocess.Popen(
        [sys.executable, "-m", "mountfs.cli", *arguments, "--state", str(machine.state)],
        cwd=REPOSITORY, env=machine.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield
    finally:
        command.kill()
        command.wait()


def test_what_goes_on_the_schedule_is_one_event_a_job(mounted: MountFactory, tmp_path: Path) -> None:
    settings = {"retention": {**KEPT, "schedule": "0 2 * * *"}, "events": [telling(tmp_path, "job_expired")]}
    store = mounted(settings)
    make(store.path, "build-1", "a.log", "junit.xml", "video/a.mp4")
    make(store.path, "build-2", "a.log")
    wait_until(lambda: "retention_tried" in notes(store), "the schedule is known", seconds=60)
    store.stop()
    late = skewed(build_clock(tmp_path), ahead_seconds=31 * DAY_SECONDS)
    mounted(settings, state=store.state, environment=late)
    wait_until(lambda: len(said(tmp_path)) > 1, "both are told", seconds=60)
    assert [(data["job"], data["types"], data["artifacts"], data["is_gone"]) for data in said(tmp_path)] == [
        ("build-1", ["build-logs", "test-results"], 2, False),
        ("build-2", ["build-logs"], 1, True),
    ]
    assert said(tmp_path)[0]["reasons"] == [
        "build-logs of build-1: 31 days since it was published, kept for 7 (retention.types)",
        "test-results of build-1: 31 days since it was published, kept for 30 (retention.default_ttl_days)",
    ]


def test_a_cleanup_does_not_wait_for_a_command_that_hangs(
    mounted: MountFactory, expected_log: ExpectedLog, tmp_path: Path
) -> None:
    expected_log("did not take an event within 2 seconds")
    pid = tmp_path / "pid"
    hangs = f"import os, time; open('{pid}', 'w').write(str(os.getpid()) + '\\n'); time.sleep(1000)"
    hanging = {"on": ["job_expired"], "command": [sys.executable, "-c", hangs], "timeout_seconds": 2}
    mount = mounted({"events": [hanging, telling(tmp_path, "job_expired")]})
    make(mount.path, "build-1", "a.log")
    mount.settle()
    assert mountfs(mount, "cleanup", "--type", "build-logs", "--yes").endswith("1 jobs are gone with them\n")
    wait_until(lambda: len(said(tmp_path)) > 0, "the other receiver is told", seconds=60)
    hung = int(eventually(pid))
    wait_until(lambda: not Path(f"/proc/{hung}").exists(), "the command is ended after its time", seconds=30)
