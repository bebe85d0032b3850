"""The same store for async callers, under asyncio and trio alike: every call runs in a worker thread.

async with mountfs.aio.open_store() as store:
    await store.put("build-7/junit.xml", Path("junit.xml"))
"""

import os
from collections.abc import AsyncIterator, Callable, Generator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import anyio
import anyio.to_thread

from mountfs import api
from mountfs.api import LIST_LIMIT, ArtifactStore, Data, Key
from mountfs.model import Artifact

if TYPE_CHECKING:
    from mountfs.api.comparing import Compared
    from mountfs.api.copying import Told
    from mountfs.api.getting import Chosen
    from mountfs.api.trends import HistoryFound, TrendFound
    from mountfs.compare.values import Options
    from mountfs.config import Settings
    from mountfs.query import Query

__all__ = ["AsyncArtifactStore", "open_store"]

P = ParamSpec("P")
R = TypeVar("R")

PAGE = 100


async def _in_thread(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    return await anyio.to_thread.run_sync(partial(work, *args, **kwargs))


class AsyncArtifactStore:
    """`mountfs.api.ArtifactStore`, method by method; see there for what each promises."""

    def __init__(self, store: ArtifactStore) -> None:
        self._store = store

    @property
    def mountpoint(self) -> Path:
        return self._store.mountpoint

    async def put(
        self,
        key: Key,
        data: Data,
        *,
        type: str | None = None,
        tags: Mapping[str, object] | None = None,
        metadata: Mapping[str, object] | None = None,
        mime_type: str | None = None,
        expires: str | None = None,
    ) -> Artifact:
        return await _in_thread(
            self._store.put, key, data, type=type, tags=tags, metadata=metadata, mime_type=mime_type, expires=expires
        )

    async def get(self, key: Key) -> bytes:
        return await _in_thread(self._store.get, key)

    async def open(self, key: Key) -> anyio.AsyncFile[bytes]:
        """The content as an asynchronous, seekable file."""
        return anyio.wrap_file(await _in_thread(self._store.open, key))

    async def exists(self, key: Key) -> bool:
        return await _in_thread(self._store.exists, key)

    async def list(
        self, prefix: Key = "", *, recursive: bool = True, limit: int | None = LIST_LIMIT
    ) -> AsyncIterator[Artifact]:
        found = self._store.list(prefix, recursive=recursive, limit=limit)
        while page := await _in_thread(lambda: tuple(islice(found, PAGE))):
            for artifact in page:
                yield artifact

    async def find(
        self, wanted: "str | Query" = "*", *, sort: str = "-published", limit: int | None = LIST_LIMIT
    ) -> AsyncIterator[Artifact]:
        found = self._store.find(wanted, sort=sort, limit=limit)
        while page := await _in_thread(lambda: tuple(islice(found, PAGE))):
            for artifact in page:
                yield artifact

    async def metadata(self, key: Key) -> Artifact:
        return await _in_thread(self._store.metadata, key)

    async def get_size(self, key: Key) -> int:
        return await _in_thread(self._store.get_size, key)

    async def delete(self, key: Key) -> bool:
        return await _in_thread(self._store.delete, key)

    async def tag(self, key: Key, **tags: object) -> None:
        await _in_thread(self._store.tag, key, **tags)

    async def untag(self, key: Key, *keys: str) -> None:
        await _in_thread(self._store.untag, key, *keys)

    async def pin(self, key: Key, *more: Key) -> bool:
        return await _in_thread(self._store.pin, key, *more)

    async def unpin(self, key: Key, *more: Key) -> bool:
        return await _in_thread(self._store.unpin, key, *more)

    async def cleanup(
        self,
        *,
        older_than: str | None = None,
        types: Sequence[str] = (),
        tags: Sequence[str] = (),
        branches: Sequence[str] = (),
        dry_run: bool = False,
        yes: bool = False,
    ) -> int:
        return await _in_thread(
            self._store.cleanup, older_than=older_than, types=types, tags=tags, branches=branches, dry_run=dry_run,
            yes=yes,
        )  # fmt: skip

    async def compare(
        self,
        a: Key,
        b: Key | None = None,
        *,
        baseline: str | None = None,
        repo: Path | None = None,
        fail_on: str | None = None,
        options: "Options | None" = None,
    ) -> "Compared":
        return await _in_thread(
            self._store.compare, a, b, baseline=baseline, repo=repo, fail_on=fail_on, options=options
        )

    async def history(
        self, test: str, *, branch: str | None = None, newest: int = 50, type: str | None = None
    ) -> "HistoryFound":
        return await _in_thread(self._store.history, test, branch=branch, newest=newest, type=type)

    async def trend(
        self, what: str, *, branch: str | None = None, newest: int = 50, type: str | None = None
    ) -> "TrendFound":
        return await _in_thread(self._store.trend, what, branch=branch, newest=newest, type=type)

    async def badge(self, what: str, *, branch: str | None = None, type: str | None = None, label: str = "") -> str:
        return await _in_thread(self._store.badge, what, branch=branch, type=type, label=label)

    async def stats(self) -> dict[str, object]:
        return await _in_thread(self._store.stats)

    async def verify_integrity(self, key: Key, data: bytes | None = None) -> bool:
        return await _in_thread(self._store.verify_integrity, key, data)

    async def path(self, key: Key) -> Path:
        return await _in_thread(self._store.path, key)

    async def url(self, key: Key, *, expires_in: float = 3600, plain: bool = False) -> str:
        return await _in_thread(self._store.url, key, expires_in=expires_in, plain=plain)

    async def save(
        self, key: Key, target: Path, *, type: str | None = None, replace: bool = True, told: "Told | None" = None
    ) -> int:
        """`told` is called in a thread."""
        return await _in_thread(self._store.save, key, target, type=type, replace=replace, told=told)

    async def choose(
        self, *, branch: str | None = None, commit: str | None = None, latest: bool = False, type: str | None = None
    ) -> "Chosen":
        return await _in_thread(self._store.choose, branch=branch, commit=commit, latest=latest, type=type)

    async def through_latest(self, key: Key) -> "Chosen | None":
        return await _in_thread(self._store.through_latest, key)

    async def flush(self, key: Key | None = None, *, timeout: float | None = None) -> None:  # noqa: ASYNC109
        await _in_thread(self._store.flush, key, timeout=timeout)

    async def close(self) -> None:
        await _in_thread(self._store.close)


class _Opening:
    """What `open_store` returns: enter it, or await it."""

    def __init__(self, opens: Callable[[], ArtifactStore]) -> None:
        self._opens = opens
        self._store: AsyncArtifactStore | None = None

    def __await__(self) -> Generator[object, object, AsyncArtifactStore]:
        return self.__aenter__().__await__()

    async def __aenter__(self) -> AsyncArtifactStore:
        self._store = AsyncArtifactStore(await _in_thread(self._opens))
        return self._store

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._store is not None:
            with anyio.CancelScope(shield=True):
                await self._store.close()


def open_store(
    config: "Settings | Mapping[str, object] | os.PathLike[str] | str | None" = None,
    *,
    mount: os.PathLike[str] | str | None = None,
    state: os.PathLike[str] | str | None = None,
    read_only: bool = False,
) -> _Opening:
    """As `mountfs.open_store`: `async with open_store() as store`, or `store = await open_store()`."""
    return _Opening(partial(api.open_store, config, mount=mount, state=state, read_only=read_only))
