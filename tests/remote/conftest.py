"""Every remote there is, as one fixture."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from mountfs.config.schema import S3
from mountfs.remote.bucket import S3Remote
from mountfs.remote.counting import Counting
from mountfs.remote.directory import DirectoryRemote
from mountfs.remote.limited import Limited
from mountfs.remote.protocol import Remote
from mountfs.remote.retrying import Retrying
from mountfs.remote.s3 import Connection
from tests.conftest import prefix_for, use_credentials
from tests.remote.faulty import Faulty, now_and_then
from tests.servers import aws_environment

PART_BYTES: Final = 5 << 20
"""The smallest part that S3 takes."""

OTHER_ENDPOINT: Final = os.environ.get("MOUNTFS_TEST_S3_ENDPOINT")
"""A second real engine, with MOUNTFS_TEST_S3_KEY and MOUNTFS_TEST_S3_SECRET; MOUNTFS_TEST_S3_BUCKET is made there."""


def s3(settings: S3, connection: Connection | None = None, *, part_bytes: int = PART_BYTES) -> S3Remote:
    """A remote whose uploads and copies go in parts early."""
    return S3Remote(
        settings, connection=connection, part_bytes=part_bytes, copy_bytes=part_bytes, copy_part_bytes=part_bytes
    )


@pytest.fixture(scope="session")
def connections() -> Iterator[dict[str, Connection]]:
    """One connection to each server for the whole run: to make one costs more than most tests."""
    made: dict[str, Connection] = {}
    yield made
    for connection in made.values():
        connection.close()


def patient(inner: Remote) -> Retrying:
    """Repeats without pausing, some ten times."""
    return Retrying(inner, deadline_seconds=10, sleep=lambda seconds: None, jitter=lambda: 0.0)


def around(inner: Remote) -> Remote:
    """All decorators, around a remote that fails before or after the effect of every second request."""
    return patient(Limited(Counting(Faulty(inner, now_and_then(seed=7))), requests=4, queue_seconds=30))


KINDS: Final = ["directory-bare", "directory-around", "s3-bare", "s3-around"]


@pytest.fixture(params=[*KINDS, *(["other-bare", "other-around"] if OTHER_ENDPOINT else [])])
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> Remote:
    """An empty remote of each kind."""
    backend, _, how = str(request.param).partition("-")
    made = _directory(tmp_path) if backend == "directory" else _shared(backend, request)
    return around(made) if how == "around" else made


def _directory(tmp_path: Path) -> DirectoryRemote:
    made = DirectoryRemote(tmp_path / "bucket")
    made.create()
    return made


def _shared(backend: str, request: pytest.FixtureRequest) -> S3Remote:
    connections: dict[str, Connection] = request.getfixturevalue("connections")
    settings = _settings(backend, request)
    return s3(settings, connections.setdefault(backend, Connection(settings)))


def _settings(backend: str, request: pytest.FixtureRequest) -> S3:
    if backend == "s3":
        settings: S3 = request.getfixturevalue("remote_settings")
        return settings
    return other_settings(request, request.getfixturevalue("monkeypatch"))


def other_settings(request: pytest.FixtureRequest, patch: pytest.MonkeyPatch) -> S3:
    """The second engine, whose bucket is made where it is missing."""
    key, secret = (os.environ.get(f"MOUNTFS_TEST_S3_{name}", "") for name in ("KEY", "SECRET"))
    use_credentials(patch, aws_environment(key, secret))
    settings = S3(
        bucket=os.environ.get("MOUNTFS_TEST_S3_BUCKET", "mountfs-test"),
        prefix=prefix_for(request),
        endpoint_url=OTHER_ENDPOINT,
        path_style=True,
        use_ssl=False,
    )
    S3Remote(settings).create()
    return settings
