"""`mountfs` as a user calls it where nothing is mounted: in a directory with a settings file that names a bucket."""

import contextlib
import io
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from unittest.mock import patch

import yaml

from mountfs import cli
from mountfs.config.schema import S3


class Program:
    """Commands in one directory. `settings` are added to those of the storage."""

    def __init__(self, directory: Path, storage: Mapping[str, object], **settings: object) -> None:
        self.directory = directory
        directory.mkdir(exist_ok=True)
        self.settings: dict[str, object] = {"storage": dict(storage), "state": str(directory / "state"), **settings}
        self.configure()

    def configure(self, **settings: object) -> None:
        """Write the settings file, with these changed."""
        self.settings.update(settings)
        (self.directory / "settings.yml").write_text(yaml.safe_dump(self.settings))

    def run(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """In this process: boto3 takes a second to import."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MOUNTFS_", "XDG_"))}
        kept |= {"HOME": str(self.directory), "MOUNTFS_CONFIG": str(self.directory / "settings.yml")} | environment
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", "surrogateescape", newline="") for _ in range(2))
        with (
            patch.dict(os.environ, kept, clear=True),
            contextlib.chdir(self.directory),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = cli.run([*arguments])
        return subprocess.CompletedProcess(arguments, code, _read(out), _read(err))

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """What it prints; on stderr where it ends with another code than 0."""
        done = self.run(*arguments)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stderr if code else done.stdout

    def put(self, key: str, content: bytes) -> None:
        """Store an artifact."""
        (self.directory / "content").write_bytes(content)
        self("put", key, "content")

    def json(self, *arguments: str, code: int = 0) -> list[dict[str, object]]:
        done = self.run(*arguments, "--json")
        assert done.returncode == code, done.stdout + done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]


def _read(written: io.TextIOWrapper) -> str:
    written.seek(0)
    return written.read()


def storage_of(s3: S3, **changed: object) -> dict[str, object]:
    """The section of the settings."""
    said = s3.model_dump(mode="json", exclude_none=True)
    return {"backend": "s3", "s3": {**said, "read_timeout_seconds": 3, "connect_timeout_seconds": 2, **changed}}
