"""How much was asked of the bucket: for `status`, metrics, and tests that promise few requests."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from mountfs.errors import MountfsError
from mountfs.remote.around import Around
from mountfs.remote.protocol import Fetched, Remote

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Counts:
    """Since the start. `requests` by method, an upload in parts being one; `failures` by the name of the error."""

    requests: Mapping[str, int]
    failures: Mapping[str, int]
    up_bytes: int
    down_bytes: int

    @property
    def total_requests(self) -> int:
        return sum(self.requests.values())


class Counting(Around):
    """Counts what goes through it: innermost it counts every attempt, outermost what was wanted.

    `up_bytes` are those of confirmed uploads, `down_bytes` those of contents that arrived.
    """

    def __init__(self, inner: Remote) -> None:
        super().__init__(inner)
        self._lock = threading.Lock()
        self._requests: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._up_bytes = 0
        self._down_bytes = 0

    def counts(self) -> Counts:
        with self._lock:
            return Counts(dict(self._requests), dict(self._failures), self._up_bytes, self._down_bytes)

    def _through(self, kind: str, request: Callable[[], T], *, up_bytes: int = 0) -> T:
        with self._lock:
            self._requests[kind] += 1
        try:
            answer = request()
        except MountfsError as error:
            with self._lock:
                self._failures[type(error).__name__] += 1
            raise
        with self._lock:
            self._up_bytes += up_bytes
            self._down_bytes += len(answer.data) if isinstance(answer, Fetched) else 0
        return answer
