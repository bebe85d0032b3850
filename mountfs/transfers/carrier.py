"""Carries out protocol steps: each request in a worker thread, each answer back on the loop.

Whether the bucket answers is known here. One request without an answer marks it down: from then on who waits for an
answer gets RemoteUnavailable at once, work in the background waits, and one probe at a time asks until it is back.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio
import trio.lowlevel

from mountfs.bucket.requests import MakeRoom, Pause, Request, Steps, Together, Work
from mountfs.clock import Clock
from mountfs.errors import CacheFull, MountfsError, RemoteDenied, RemoteUnavailable
from mountfs.remote.protocol import Remote

log = logging.getLogger(__name__)

T = TypeVar("T")

THREADS = 64  # requests under way; one without an answer keeps its thread until the socket times out
WORKERS = 2  # what computes, beside the loop
TURNS = 3  # that others get at each pause: a stat takes as many, and with one each it waited for as many pieces
PROBE_SECONDS = (0.5, 1.0, 2.0, 5.0)


async def _nothing_goes(lack: CacheFull) -> None:
    raise lack


class Carrier:
    """`heard` is told the server's time of an answer, and when by this machine's clock the request began and ended."""

    def __init__(
        self, remote: Remote, clock: Clock, *, look_seconds: float, heard: Callable[[int, int, int], None]
    ) -> None:
        self.remote = remote
        self.down: str | None = None
        self.refusal: RemoteDenied | None = None  # why it is not even connected
        self.answers = 0  # so far: who waits can tell whether any keep coming
        self._answered = trio.current_time()
        self._asked: dict[object, float] = {}  # requests under way, and since when; the oldest first
        self._clock = clock
        self._look_seconds = look_seconds
        self._heard = heard
        self._threads = trio.CapacityLimiter(THREADS)
        self._workers = trio.CapacityLimiter(WORKERS)
        self._waiting: set[trio.CancelScope] = set()
        self.make_room: Callable[[CacheFull], Awaitable[None]] = _nothing_goes  # or raise that
        self._up = trio.Event()
        self._fell = trio.Event()

    # -- steps --------------------------------------------------------------------------------------------

    async def run(self, steps: Steps[T], *, urgent: bool) -> T:
        """All steps to their end. `urgent`: somebody waits, so that it fails at once while the bucket is down."""
        answer: object = None
        error: MountfsError | None = None
        try:
            while True:
                try:
                    request = steps.throw(error) if error is not None else steps.send(answer)
                except StopIteration as stop:
                    result: T = stop.value
                    return result
                try:
                    answer, error = await self._answer(request, urgent=urgent), None
                except MountfsError as raised:
                    answer, error = None, raised
        finally:
            steps.close()

    async def _answer(self, request: Request[object], *, urgent: bool) -> object:
        match request:
            case Pause():
                for _ in range(TURNS):
                    await trio.lowlevel.checkpoint()
                return None
            case MakeRoom():
                await self.make_room(request.lack)
                return None
            case Work():
                return await trio.to_thread.run_sync(request.run, self.remote, limiter=self._workers)
            case Together():
                return await self._together(request, urgent=urgent)
            case _:
                return await self.request(request, urgent=urgent)

    async def _together(self, together: Together, *, urgent: bool) -> list[object]:
        answers: list[object] = [None] * len(together.requests)

        async def one(number: int, request: Request[object]) -> None:
            try:
                answers[number] = await self._answer(request, urgent=urgent)
            except MountfsError as error:
                answers[number] = error

        async with trio.open_nursery() as nursery:
            for number, request in enumerate(together.requests):
                nursery.start_soon(one, number, request)
        return answers

    async def request(self, request: Request[T], *, urgent: bool) -> T:
        """One request. Raises RemoteUnavailable, also when the bucket went down meanwhile and somebody waits."""
        if self.down is not None:
            if urgent:
                raise self.lack(self.down)
            await self._up.wait()
        began_ms = self._clock.now_ns() // 1_000_000
        with trio.CancelScope() as scope:
            if urgent:
                self._waiting.add(scope)
            self._asked[scope] = trio.current_time()
            try:
                answer = await trio.to_thread.run_sync(
                    request.run, self.remote, limiter=self._threads, abandon_on_cancel=True
                )
            except RemoteUnavailable as error:
                self.mark_down(str(error))
                raise
            finally:
                self._waiting.discard(scope)
                del self._asked[scope]
            self.answers += 1
            self._answered = trio.current_time()
            server_ms = getattr(answer, "server_ms", None)
            if isinstance(server_ms, int):
                self._heard(server_ms, began_ms, self._clock.now_ns() // 1_000_000)
            return answer
        raise RemoteUnavailable(self.down or "the bucket does not answer")

    def seconds_since_answer(self) -> float:
        """For how long it has been asked and has answered nobody. What we do with its answers is not its silence."""
        if not self._asked:
            return 0.0
        return trio.current_time() - max(self._answered, next(iter(self._asked.values())))

    # -- is it there --------------------------------------------------------------------------------------

    def lack(self, sentence: str) -> RemoteUnavailable | RemoteDenied:
        """The error of who needs it now: it does not answer, or it refuses us, which waiting does not mend."""
        return RemoteUnavailable(sentence) if self.refusal is None else RemoteDenied(sentence)

    def mark_down(self, why: str) -> None:
        """It does not answer: whoever waits is told so at once."""
        if self.down is not None:
            return
        log.warning("the bucket does not answer: %s; writing goes on, and it is asked again", why)
        self.down = why
        self._up = trio.Event()
        self._fell.set()
        for scope in list(self._waiting):
            scope.cancel()

    def came_up(self) -> None:
        """It answers: who waited goes on."""
        self.down = self.refusal = None
        self._up.set()

    def end(self) -> None:
        """It is not asked any more: whoever waits is told so, and nobody new waits."""
        self.down = self.down or "the mount is ending"
        for scope in list(self._waiting):
            scope.cancel()

    async def probe_forever(self) -> None:
        """While it is down, ask until it answers."""
        while True:
            await self._fell.wait()
            self._fell = trio.Event()
            tries = 0
            while self.down is not None:
                await trio.sleep(PROBE_SECONDS[min(tries, len(PROBE_SECONDS) - 1)])
                tries += 1
                if await self._answers():
                    log.info("the bucket answers again")
                    self.came_up()

    async def _answers(self) -> bool:
        with trio.move_on_after(max(self._look_seconds, 1.0)):
            try:
                await trio.to_thread.run_sync(self.remote.server_ms, abandon_on_cancel=True)
            except RemoteUnavailable:
                return False
            except MountfsError:
                return True  # it refuses, so it is there
            return True
        return False
