"""Asking again: what did not work because nobody answered may work a moment later."""

import random
import time
from collections.abc import Callable
from typing import Final, TypeVar

from mountfs.errors import CorruptContent, ObjectMissing, PutRefused, RemoteUnavailable
from mountfs.remote.around import Around
from mountfs.remote.protocol import Answered, Remote, Source, Upload, ignore

T = TypeVar("T")

FIRST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 10.0


class Retrying(Around):
    """Repeats what ended in `RemoteUnavailable`, for at most `deadline_seconds`, then lets the last error out.

    The pause before each repeat is random between nothing and twice the one before (full jitter): machines that
    were cut off together do not come back together. A refusal is never repeated. An upload in parts goes on where it
    was, and its deadline counts from the last part that was confirmed. `closing` ends the repeats, not the request
    under way; pass the `wait` of an event as `sleep`, and closing does not wait for a pause either.
    """

    def __init__(
        self,
        inner: Remote,
        *,
        deadline_seconds: float,
        closing: Callable[[], bool] = lambda: False,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(inner)
        self._deadline_seconds = deadline_seconds
        self._closing = closing
        self._monotonic = monotonic
        self._sleep = sleep
        self._jitter = jitter

    def _through(self, kind: str, request: Callable[[], T], *, up_bytes: int = 0) -> T:
        return _Attempts(self).run(request)

    def put(
        self,
        key: str,
        data: bytes,
        *,
        content_type: str | None = None,
        content_encoding: str | None = None,
        if_absent: bool = False,
    ) -> Answered:
        attempts = _Attempts(self)

        def request() -> Answered:
            try:
                return self._inner.put(
                    key, data, content_type=content_type, content_encoding=content_encoding, if_absent=if_absent
                )
            except PutRefused:
                if attempts.failed and (ours := self._already(key, data)):
                    return ours
                raise

        return attempts.run(request)

    def put_large(
        self,
        key: str,
        source: Source,
        *,
        resume: Upload | None = None,
        noted: Callable[[Upload], None] = ignore,
        progress: Callable[[int], None] = ignore,
        content_type: str | None = None,
        content_encoding: str | None = None,
    ) -> Answered:
        attempts = _Attempts(self)
        begun = resume
        most_done = 0

        def remember(upload: Upload) -> None:
            nonlocal begun
            begun = upload
            noted(upload)

        def follow(done_bytes: int) -> None:
            nonlocal most_done
            if done_bytes > most_done:
                most_done = done_bytes
                attempts.begin_again()
            progress(done_bytes)

        def request() -> Answered:
            return self._inner.put_large(
                key,
                source,
                resume=begun,
                noted=remember,
                progress=follow,
                content_type=content_type,
                content_encoding=content_encoding,
            )

        return attempts.run(request)

    def _already(self, key: str, data: bytes) -> Answered | None:
        """Whether the object that stands in the way is our own, of an attempt whose answer was lost."""
        try:
            found = self._inner.get(key, most_bytes=len(data))
        except (ObjectMissing, CorruptContent):
            return None
        return Answered(found.server_ms) if found.data == data else None


class _Attempts:
    """The attempts of one request: how many failed in a row, and since when."""

    def __init__(self, owner: Retrying) -> None:
        self._owner = owner
        self._began = owner._monotonic()
        self._pause_seconds = FIRST_PAUSE_SECONDS
        self.failed = 0

    def begin_again(self) -> None:
        self._began = self._owner._monotonic()
        self._pause_seconds = FIRST_PAUSE_SECONDS

    def run(self, request: Callable[[], T]) -> T:
        while True:
            try:
                return request()
            except RemoteUnavailable:
                self.failed += 1
                pause = self._owner._jitter() * self._pause_seconds
                if self._is_over(pause):
                    raise
            self._owner._sleep(pause)
            self._pause_seconds = min(2 * self._pause_seconds, LONGEST_PAUSE_SECONDS)

    def _is_over(self, pause: float) -> bool:
        passed = self._owner._monotonic() - self._began
        return self._owner._closing() or passed + pause > self._owner._deadline_seconds
