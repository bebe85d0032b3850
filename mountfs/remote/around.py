"""A remote around a remote: what all decorators share, so that each holds nothing but its own thought."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeVar

from mountfs.remote.protocol import (
    LIST_LIMIT,
    Answered,
    Capabilities,
    Fetched,
    Found,
    Page,
    Remote,
    Source,
    Unfinished,
    Upload,
    ignore,
)

T = TypeVar("T")


class Around(ABC):
    """Hands every request on through `_through`, which knows its kind and the bytes that go up with it."""

    def __init__(self, inner: Remote) -> None:
        self._inner = inner

    @property
    def capabilities(self) -> Capabilities:
        return self._inner.capabilities

    @property
    def where(self) -> str:
        return self._inner.where

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._inner!r})"

    @abstractmethod
    def _through(self, kind: str, request: Callable[[], T], *, up_bytes: int = 0) -> T:
        """Make the request, as this decorator does it. `kind` is the name of the method."""

    def put(
        self,
        key: str,
        data: bytes,
        *,
        content_type: str | None = None,
        content_encoding: str | None = None,
        if_absent: bool = False,
    ) -> Answered:
        def request() -> Answered:
            return self._inner.put(
                key, data, content_type=content_type, content_encoding=content_encoding, if_absent=if_absent
            )

        return self._through("put", request, up_bytes=len(data))

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
        def request() -> Answered:
            return self._inner.put_large(
                key,
                source,
                resume=resume,
                noted=noted,
                progress=progress,
                content_type=content_type,
                content_encoding=content_encoding,
            )

        return self._through("put_large", request, up_bytes=source.size)

    def get(self, key: str, *, most_bytes: int) -> Fetched:
        return self._through("get", lambda: self._inner.get(key, most_bytes=most_bytes))

    def get_range(self, key: str, offset: int, length: int) -> Fetched:
        return self._through("get_range", lambda: self._inner.get_range(key, offset, length))

    def get_tail(self, key: str, length: int) -> Fetched:
        return self._through("get_tail", lambda: self._inner.get_tail(key, length))

    def head(self, key: str) -> Found | None:
        return self._through("head", lambda: self._inner.head(key))

    def copy(self, source: str, key: str) -> Answered:
        return self._through("copy", lambda: self._inner.copy(source, key))

    def list(
        self, prefix: str, *, after: str = "", delimiter: str = "", token: str | None = None, limit: int = LIST_LIMIT
    ) -> Page:
        def request() -> Page:
            return self._inner.list(prefix, after=after, delimiter=delimiter, token=token, limit=limit)

        return self._through("list", request)

    def delete(self, keys: Sequence[str]) -> None:
        self._through("delete", lambda: self._inner.delete(keys))

    def presign(
        self, key: str, *, seconds: int, content_type: str | None, content_encoding: str | None, filename: str | None
    ) -> tuple[str, int]:
        def request() -> tuple[str, int]:
            return self._inner.presign(
                key, seconds=seconds, content_type=content_type, content_encoding=content_encoding, filename=filename
            )

        return self._through("presign", request)

    def server_ms(self) -> int:
        return self._through("server_ms", self._inner.server_ms)

    def unfinished(self, prefix: str) -> Unfinished:
        return self._through("unfinished", lambda: self._inner.unfinished(prefix))

    def abort(self, upload: Upload) -> None:
        self._through("abort", lambda: self._inner.abort(upload))
