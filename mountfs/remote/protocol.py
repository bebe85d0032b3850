"""What mountfs needs of a bucket, and nothing more: the contract of every remote, and its words.

Keys are text relative to the prefix of the remote, of valid names (BUCKET.md: percent-encoded already) between
slashes; `server_ms` and `modified_ms` are milliseconds since the epoch by the clock of the server, never by ours.
Every method may be called from any thread, and blocks. Each raises

- `RemoteUnavailable` when nobody answered, or who answered asks to come back: the same request may succeed later.
  It says nothing about whether the request took effect;
- `RemoteDenied` when the answer is no and stays no until somebody changes something;
- `ObjectMissing` when the key that was asked for does not exist (a missing bucket is `RemoteDenied`: an empty or
  vanished bucket never looks like deleted objects).

A remote does not repeat a request: `Retrying` does.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

LIST_LIMIT: Final = 1000
"""Objects and prefixes of one page at most: what S3 gives."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One object in a listing."""

    key: str
    size: int
    modified_ms: int


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a listing. `token` asks for the next part; None: that was all. A page may be empty and not the last."""

    objects: tuple[Listed, ...]
    prefixes: tuple[str, ...]
    token: str | None


@dataclass(frozen=True, slots=True)
class Answered:
    """The server has it, its checksum confirmed."""

    server_ms: int


@dataclass(frozen=True, slots=True)
class Fetched:
    """Bytes of an object whose whole size is `total_bytes`."""

    data: bytes
    total_bytes: int
    server_ms: int


@dataclass(frozen=True, slots=True)
class Found:
    """An object that exists."""

    size: int
    modified_ms: int
    server_ms: int


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart upload as the server has it."""

    number: int
    etag: str
    size: int
    checksum: str


@dataclass(frozen=True, slots=True)
class Upload:
    """A multipart upload that was begun: to be resumed or aborted.

    From `unfinished`, `part_bytes` is 0 (a listing does not tell it), and `key` is "" where the backend cannot tell.
    """

    key: str
    upload_id: str
    part_bytes: int


Unfinished: TypeAlias = list[tuple[Upload, int]]
"""Uploads and when each was begun, by the server's clock in ms. Named here: in a remote `list` is a method."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a remote offers beyond the rest: `put(if_absent=True)`, `presign`, uploads that can be resumed."""

    conditional_put: bool
    presign: bool
    multipart: bool


class Source(Protocol):
    """The stored bytes of a large content. `read` is called from several threads at once."""

    @property
    def size(self) -> int: ...

    def read(self, offset: int, length: int) -> bytes: ...


def ignore(told: object) -> None:
    """For callers of `put_large` who want to hear nothing."""


class Remote(Protocol):
    @property
    def capabilities(self) -> Capabilities: ...

    @property
    def where(self) -> str:
        """For people: `s3://bucket/prefix`, or the directory. Never a credential."""
        ...

    def put(
        self,
        key: str,
        data: bytes,
        *,
        content_type: str | None = None,
        content_encoding: str | None = None,
        if_absent: bool = False,
    ) -> Answered:
        """The object is `data`, whole, and the server has confirmed its checksum.

        With `if_absent`, `PutRefused` when the key exists; of many at once one wins.
        """
        ...

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
        """The object is what `source` holds; no more than a few parts of it are in memory.

        `noted` hears of a multipart upload before its first part; given back as `resume`, parts that the server
        confirms are not sent again, and an upload that had been completed is found so. `progress` hears the bytes
        that the server has confirmed, in total. What either of the two raises ends the upload, which can be resumed.
        """
        ...

    def get(self, key: str, *, most_bytes: int) -> Fetched:
        """The whole object; `CorruptContent` for one longer than `most_bytes`, of which nothing is read."""
        ...

    def get_range(self, key: str, offset: int, length: int) -> Fetched:
        """Up to `length` bytes from `offset`: fewer where the object ends, none beyond."""
        ...

    def get_tail(self, key: str, length: int) -> Fetched:
        """The last `length` bytes; shorter objects come whole."""
        ...

    def head(self, key: str) -> Found | None: ...

    def copy(self, source: str, key: str) -> Answered:
        """`key` is what `source` is, content type and encoding too, without the bytes travelling here."""
        ...

    def list(
        self, prefix: str, *, after: str = "", delimiter: str = "", token: str | None = None, limit: int = LIST_LIMIT
    ) -> Page:
        """A page of the keys that begin with `prefix` and sort after `after`; with delimiter `/`, of what comes next.

        Within a page objects and prefixes are sorted by their bytes; over the pages some servers (SeaweedFS) have an
        order of their own. All pages of one listing take the same arguments but `token`. A prefix that sorts before
        `after` is left out whole. Exact for what exists throughout; what comes or goes meanwhile may be in or not.
        Objects are exact; a prefix may be one below which the last object was just deleted (SeaweedFS).
        """
        ...

    def delete(self, keys: Sequence[str]) -> None:
        """None of the keys exists any more; a missing one is no error. In requests of 1000."""
        ...

    def presign(
        self, key: str, *, seconds: int, content_type: str | None, content_encoding: str | None, filename: str | None
    ) -> tuple[str, int]:
        """A URL that anybody may read with, and when it really ends, in seconds since the epoch by this machine."""
        ...

    def server_ms(self) -> int:
        """What time it is there; one cheap request."""
        ...

    def unfinished(self, prefix: str) -> Unfinished:
        """Uploads that were begun below a prefix and neither completed nor aborted, and when (server's clock)."""
        ...

    def abort(self, upload: Upload) -> None:
        """The upload is gone, and the parts it had; one that is gone already is no error."""
        ...
