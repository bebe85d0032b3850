"""No more requests at a time than the server, the connections and the memory of this machine are meant for."""

import threading
from collections.abc import Callable
from typing import TypeVar

from mountfs.errors import RemoteUnavailable
from mountfs.remote.around import Around
from mountfs.remote.protocol import Remote

T = TypeVar("T")


class Limited(Around):
    """At most `requests` at a time; one that has waited `queue_seconds` for its turn is `RemoteUnavailable`.

    An upload in parts is one request here. Put it inside of `Retrying`, so that a pause holds no place; reads and
    uploads are better given a limit each, since an upload may hold its place for minutes.
    """

    def __init__(self, inner: Remote, *, requests: int, queue_seconds: float) -> None:
        super().__init__(inner)
        self._free = threading.BoundedSemaphore(requests)
        self._queue_seconds = queue_seconds

    def _through(self, kind: str, request: Callable[[], T], *, up_bytes: int = 0) -> T:
        if not self._free.acquire(timeout=self._queue_seconds):
            raise RemoteUnavailable(
                f"{self.where}: no request ended for {self._queue_seconds:g} s, this one was not made"
            )
        try:
            return request()
        finally:
            self._free.release()
