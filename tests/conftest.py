"""Fixtures of more than one folder of tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mountfs.config.schema import S3
from tests.faults import shim
from tests.faults.proxy import Proxy
from tests.servers import Weed


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The preloaded library of the fault tests, compiled once."""
    return shim.build(tmp_path_factory.mktemp("shim"))


@pytest.fixture(scope="module")
def unmeasured() -> Iterator[None]:
    """What this module starts is not measured for coverage: it works for long, and other tests cover the same code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
        yield


@pytest.fixture(scope="session")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weed]:
    """A real S3 server, one for the whole run. Who kills it starts it again."""
    server = Weed(tmp_path_factory.mktemp("weed"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def bucket(weed: Weed) -> str:
    """A bucket there, for everybody: tests take a prefix each."""
    from mountfs.remote.bucket import S3Remote

    with pytest.MonkeyPatch.context() as patch:
        use_credentials(patch, weed.environment())
        remote = S3Remote(S3(bucket="artifacts", endpoint_url=weed.endpoint_url, path_style=True))
        remote.create()
        remote.close()
    return "artifacts"


@pytest.fixture
def remote_settings(weed: Weed, bucket: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> S3:
    """A prefix of its own in the bucket, and the credentials for it in the environment."""
    use_credentials(monkeypatch, weed.environment())
    return S3(bucket=bucket, prefix=prefix_for(request), endpoint_url=weed.endpoint_url, path_style=True)


@pytest.fixture
def proxy(weed: Weed) -> Iterator[Proxy]:
    """A proxy before the server, without faults yet: give its `endpoint_url` to what is tested."""
    with Proxy(weed.port) as proxy:
        yield proxy


def prefix_for(request: pytest.FixtureRequest) -> str:
    """A prefix that no other test has, nor a run before this one."""
    name = "".join(sign if sign.isalnum() else "-" for sign in request.node.name)[:60]
    return f"{name}-{os.urandom(4).hex()}/"


def use_credentials(patch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    """Let boto3 find these, and nothing else."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        patch.delenv(name)
    for name, value in environment.items():
        patch.setenv(name, value)
