"""Fixtures of more than one folder of tests, and what lets tests run beside each other.

The gate runs tests in several processes at once. A test marked `alone` looks at times that others would falsify: while
it runs, no other process runs a test.
"""

import contextlib
import fcntl
import gc
import os
import subprocess
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from mountfs.config.schema import S3
from tests.faults import shim
from tests.faults.proxy import Proxy
from tests.servers import Weed

_DOOR = Path(__file__)
_ROOM = Path(__file__).parent
_FORGOTTEN_DESCRIPTORS = 30

# The gate tries the same examples each time, however slow the machine is; scripts/soak makes up others, and more.
_SLOW = [HealthCheck.too_slow]
settings.register_profile("gate", deadline=None, derandomize=True, suppress_health_check=_SLOW)
settings.register_profile("soak", deadline=None, max_examples=5_000, suppress_health_check=_SLOW)
settings.load_profile("gate")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "alone: looks at times that other tests beside it would falsify")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Around all of a test: its fixtures too, and its timeout does not run while it waits."""
    with _in_the_room(alone=item.get_closest_marker("alone") is not None):
        return (yield)


@contextlib.contextmanager
def _in_the_room(*, alone: bool) -> Iterator[None]:
    """Among others or alone; whoever waits to be alone stands in the door, so that nobody else comes in."""
    how = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
    door, room = os.open(_DOOR, os.O_RDONLY), os.open(_ROOM, os.O_RDONLY)
    try:
        fcntl.flock(door, how)
        fcntl.flock(room, how)
        fcntl.flock(door, fcntl.LOCK_UN)
        yield
    finally:
        os.close(door)
        os.close(room)


@pytest.fixture(autouse=True)
def few_descriptors_forgotten() -> Iterator[None]:
    """Thousands of tests run in one process: what they leave open adds up to its limit, in a test of somebody else."""
    before = _descriptors()
    yield
    if _descriptors() - before > _FORGOTTEN_DESCRIPTORS:
        gc.collect()
        assert _descriptors() - before <= _FORGOTTEN_DESCRIPTORS


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def pytest_itemcollected(item: pytest.Item) -> None:
    """What an `unmeasured` test does in its own process is not measured either."""
    if "unmeasured" in getattr(item, "fixturenames", ()):
        item.add_marker("no_cover")


@pytest.fixture
def tmp_path_for_depth(tmp_path: Path) -> Iterator[Path]:
    """A directory of the test's own in which thousands may lie one inside the other.

    pytest removes directories by functions that call themselves: it would fail at this, and so would each later run.
    """
    directory = tmp_path / "any-depth"
    directory.mkdir()
    yield directory
    subprocess.run(["rm", "-rf", directory], check=True)


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
