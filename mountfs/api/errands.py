"""Carries out protocol steps for a caller that waits: the steps in the caller's thread, each request in another.

A request without an answer cannot be taken back. Its thread is left behind and dies with the process, so that whoever
waits is told in time; the run hears of it as of any other request that nobody answered.
"""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from mountfs.bucket.requests import Pause, Request, Steps, Together, Work
from mountfs.clock import Clock
from mountfs.errors import MountfsError, RemoteUnavailable
from mountfs.remote.protocol import Remote

T = TypeVar("T")
Then = Callable[[object, MountfsError | None], None]
Heard = Callable[[int, int, int], None]

SIDE_BY_SIDE = 16  # requests under way: as many as the pool of connections has by default


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a caller waits: for any sign of the bucket, and in all."""

    silence_seconds: float
    seconds: float = float("inf")


class Errands:
    """Runs against one remote, one call at a time. `signs` changes while a long request makes progress.

    `heard` is told the server's time of an answer, and when by this machine's clock the request began and ended.
    """

    def __init__(self, clock: Clock, *, heard: Heard, signs: Callable[[], Hashable]) -> None:
        self._clock = clock
        self._heard = heard
        self._signs = signs
        self._round: _Round[object] | None = None

    def run(self, steps: Steps[T], remote: Remote, patience: Patience) -> T:
        """The end of one run. Raises what it raises, RemoteUnavailable when our patience is at its end."""
        (found,) = self.run_all([steps], remote, patience)
        if isinstance(found, MountfsError):
            raise found
        return found

    def run_all(self, many: Sequence[Steps[T]], remote: Remote, patience: Patience) -> list[T | MountfsError]:
        """Several runs side by side; the end of each, an error as a value."""
        round_: _Round[T] = _Round(remote, self._clock, self._heard, self._signs, patience)
        self._round = round_  # type: ignore[assignment]
        try:
            return round_.carry_out(many)
        finally:
            self._round = None
            round_.close()

    def on_loop(self, work: Callable[[], None]) -> None:
        """From the thread of a request: run that in the thread of the steps. Raises RemoteUnavailable."""
        round_ = self._round
        if round_ is None:
            raise _nobody_waits()
        round_.call(work)


class _Round(Generic[T]):
    """One call of `run_all`. What happens in its thread comes through the inbox, one after the other."""

    def __init__(
        self, remote: Remote, clock: Clock, heard: Heard, signs: Callable[[], Hashable], patience: Patience
    ) -> None:
        self._remote = remote
        self._clock = clock
        self._heard = heard
        self._signs = signs
        self._patience = patience
        self._inbox: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._queue: deque[tuple[Request[object], Then]] = deque()
        self._under_way = 0
        self._results: dict[int, T | MountfsError] = {}
        self._steps: dict[int, Steps[T]] = {}
        self._lock = threading.Lock()
        self._calls: set[Future[None]] = set()
        self._closed = False
        self._ends_at = time.monotonic() + patience.seconds
        self._sign_at = time.monotonic()
        self._sign = signs()

    def carry_out(self, many: Sequence[Steps[T]]) -> list[T | MountfsError]:
        self._steps = dict(enumerate(many))
        try:
            for number in range(len(many)):
                self._go_on(number, None, None)
            while len(self._results) < len(many):
                self._next()()
        except RemoteUnavailable as error:
            self._give_up(error)
        except BaseException:
            self._give_up(RemoteUnavailable("interrupted"))
            raise
        return [self._results[number] for number in range(len(many))]

    def _next(self) -> Callable[[], None]:
        while True:
            silent_at = self._sign_at + self._patience.silence_seconds
            left = min(silent_at, self._ends_at) - time.monotonic()
            try:
                return self._inbox.get(timeout=min(max(left, 0.0), threading.TIMEOUT_MAX))
            except Empty:
                if time.monotonic() >= self._ends_at or not self._is_alive():
                    raise self._too_late() from None

    def _is_alive(self) -> bool:
        """Whether a request that has not ended yet has come further meanwhile."""
        before, self._sign = self._sign, self._signs()
        if self._sign == before:
            return False
        self._sign_at = time.monotonic()
        return True

    def _too_late(self) -> RemoteUnavailable:
        if time.monotonic() >= self._ends_at:
            return RemoteUnavailable(f"{self._remote.where}: not done within {self._patience.seconds:g} seconds")
        seconds = self._patience.silence_seconds
        return RemoteUnavailable(f"{self._remote.where}: no answer within {seconds:g} seconds")

    # -- one run --------------------------------------------------------------------------------------------

    def _go_on(self, number: int, answer: object, error: MountfsError | None) -> None:
        steps = self._steps[number]
        while True:
            try:
                request = steps.throw(error) if error is not None else steps.send(answer)
            except StopIteration as stop:
                self._results[number] = stop.value
                return
            except MountfsError as raised:
                self._results[number] = raised
                return
            match request:
                case Work():
                    answer, error = self._worked(request)
                case Together(requests=()):
                    answer, error = [], None
                case _:
                    self._begin(request, partial(self._go_on, number))
                    return

    def _worked(self, work: Work[object]) -> tuple[object, MountfsError | None]:
        try:
            return work.run(self._remote), None
        except MountfsError as error:
            return None, error
        finally:
            self._sign_at = time.monotonic()

    def _begin(self, request: Request[object], then: Then) -> None:
        match request:
            case Pause():
                self._inbox.put(partial(then, None, None))
            case Together():
                self._begin_together(request, then)
            case _:
                self._queue.append((request, then))
                self._send()

    def _begin_together(self, together: Together, then: Then) -> None:
        answers: list[object] = [None] * len(together.requests)
        missing = set(range(len(answers)))

        def came(number: int, answer: object, error: MountfsError | None) -> None:
            answers[number] = answer if error is None else error
            missing.discard(number)
            if not missing:
                then(answers, None)

        for number, request in enumerate(together.requests):
            self._begin(request, partial(came, number))

    def _give_up(self, error: RemoteUnavailable) -> None:
        """Who still waits hears that nobody answered, to note it in the rows; what it asks for then it does not get."""
        for number, steps in self._steps.items():
            if number in self._results:
                continue
            self._results[number] = error
            with contextlib.suppress(MountfsError, StopIteration):
                steps.throw(error)
            steps.close()

    # -- requests -------------------------------------------------------------------------------------------

    def _send(self) -> None:
        while self._queue and self._under_way < SIDE_BY_SIDE:
            request, then = self._queue.popleft()
            self._under_way += 1
            self._sign_at = time.monotonic()
            threading.Thread(target=self._ask, args=(request, then), daemon=True, name="mountfs-request").start()

    def _ask(self, request: Request[object], then: Then) -> None:
        """In a thread of its own."""
        began_ms = self._clock.now_ns() // 1_000_000
        answer: object = None
        error: BaseException | None = None
        try:
            answer = request.run(self._remote)
        except BaseException as raised:  # noqa: BLE001  # who waits gets it, whatever it is
            error = raised
        ended_ms = self._clock.now_ns() // 1_000_000
        self._inbox.put(lambda: self._answered(answer, error, (began_ms, ended_ms), then))

    def _answered(self, answer: object, error: BaseException | None, times_ms: tuple[int, int], then: Then) -> None:
        self._under_way -= 1
        self._sign_at = time.monotonic()
        self._send()
        if error is not None and not isinstance(error, MountfsError):
            raise error
        server_ms = getattr(answer, "server_ms", None)
        if isinstance(server_ms, int):
            self._heard(server_ms, *times_ms)
        then(answer, error)

    # -- from the threads of requests -------------------------------------------------------------------------

    def call(self, work: Callable[[], None]) -> None:
        done: Future[None] = Future()
        with self._lock:
            if self._closed:
                raise _nobody_waits()
            self._calls.add(done)
        self._inbox.put(partial(self._called, work, done))
        done.result()

    def _called(self, work: Callable[[], None], done: "Future[None]") -> None:
        with self._lock:
            self._calls.discard(done)
        try:
            work()
        except MountfsError as error:
            done.set_exception(error)
        else:
            done.set_result(None)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            for done in self._calls:
                done.set_exception(_nobody_waits())
            self._calls.clear()


def _nobody_waits() -> RemoteUnavailable:
    return RemoteUnavailable("whoever asked for this has gone")
