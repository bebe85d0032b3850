"""What counts as the bucket's silence: a request without an answer, and nothing that is done here meanwhile."""

import threading
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

from mountfs.bucket.requests import List
from mountfs.clock import SystemClock
from mountfs.remote.directory import DirectoryRemote
from mountfs.remote.protocol import LIST_LIMIT, Page
from mountfs.transfers.carrier import Carrier


class Hanging(DirectoryRemote):
    """Lists when it is let go."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.let_go = threading.Event()

    def list(
        self, prefix: str, *, after: str = "", delimiter: str = "", token: str | None = None, limit: int = LIST_LIMIT
    ) -> Page:
        self.let_go.wait(30)
        return super().list(prefix, after=after, delimiter=delimiter, token=token, limit=limit)


@pytest.fixture
def remote(tmp_path: Path) -> Hanging:
    made = Hanging(tmp_path / "remote")
    made.create()
    return made


def carrier_of(remote: Hanging) -> Carrier:
    return Carrier(remote, SystemClock(), look_seconds=3.0, heard=lambda *_: None)


def test_a_bucket_that_nobody_asks_is_not_silent(remote: Hanging) -> None:
    """Folding what it answered took longer than `look_seconds`, and it counted as down."""
    clock = trio.testing.MockClock()

    async def asks_and_is_busy() -> float:
        carrier = carrier_of(remote)
        await carrier.request(List(""), urgent=True)
        clock.jump(100)
        return carrier.seconds_since_answer()

    remote.let_go.set()
    assert trio.run(asks_and_is_busy, clock=clock) == 0


def test_a_request_without_an_answer_is_silence_since_it_was_asked(remote: Hanging) -> None:
    clock = trio.testing.MockClock()

    async def asks_in_vain() -> tuple[float, float]:
        carrier = carrier_of(remote)
        clock.jump(100)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(carrier.request, List(""), urgent=True))
            await trio.testing.wait_all_tasks_blocked()
            clock.jump(4)
            silence = carrier.seconds_since_answer()
            remote.let_go.set()
        return silence, carrier.seconds_since_answer()

    assert trio.run(asks_in_vain, clock=clock) == (4, 0)
