"""Events: a command or a URL is told of what happened, and nobody ever waits for it (F-135, F-178)."""

import http.server
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mount.conftest import ExpectedLog, MountFactory

pytestmark = pytest.mark.mountfs_only

QUOTA = {"quota": "1 MiB", "warn_threshold": 0.5}


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
