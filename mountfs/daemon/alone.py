"""Control requests where nothing is mounted: the same handlers, in a process of their own for as long as it takes.

The store is opened under its lock, in a thread with an event loop; whoever asks does not see the difference. Nothing
here needs pyfuse3.
"""

import logging
import queue
import threading
from collections.abc import Callable
from functools import partial
from types import TracebackType

import trio

from mountfs.daemon.background import Background
from mountfs.daemon.control import Answer, Handler
from mountfs.daemon.described import Described
from mountfs.daemon.parts import Parts
from mountfs.daemon.requests import requests
from mountfs.daemon.service import Service
from mountfs.errors import InvalidArgument, MountfsError, RemoteUnavailable
from mountfs.store.paths import Changes
from mountfs.store.store import Store
from mountfs.transfers.bucket import Bucket

log = logging.getLogger(__name__)

LAST_SETTLE_SECONDS = 60.0  # nobody waits for this process but the command itself


class Alone:
    """A store of this process, between `with`. Raises AlreadyMounted, CatalogError, RemoteDenied, ConfigError."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._ready: queue.SimpleQueue[trio.lowlevel.TrioToken | BaseException] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="alone", daemon=True)
        self._known: dict[str, Handler] = {}
        self._understand: Callable[[], None] = _nothing
        self._closing = trio.Event()
        self._failure: BaseException | None = None

    def __enter__(self) -> "Alone":
        self._thread.start()
        ready = self._ready.get()
        if isinstance(ready, BaseException):
            self._thread.join()
            raise ready
        self._token = ready
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        trio.from_thread.run_sync(self._closing.set, trio_token=self._token)
        self._thread.join()
        if self._failure is not None and error is None:
            raise self._failure

    def ask(self, op: str, *, timeout: float | None = None, **arguments: object) -> Answer:
        """As `client.ask` asks a daemon."""
        return trio.from_thread.run(self._answer, {"op": op, **arguments}, trio_token=self._token)

    async def _answer(self, request: dict[str, object]) -> Answer:
        handler = self._known.get(str(request["op"]))
        if handler is None:
            raise InvalidArgument(f"{request['op']}: only a mount answers that")
        if request["op"] == "retention":
            self._understand()  # what goes depends on types, and those on formats
        return await handler(request)

    def _serve(self) -> None:
        try:
            store = Store.open(self._service.state, self._service.options, mountpoint=self._service.mountpoint)
        except BaseException as error:  # noqa: BLE001  # raised by whoever waits for us
            self._ready.put(error)
            return
        try:
            trio.run(self._main, store)
        except BaseException as error:  # noqa: BLE001  # as above, or when it is closed
            self._failure = error
            self._ready.put(error)
        finally:
            store.close()

    async def _main(self, store: Store) -> None:
        async with trio.open_nursery() as nursery:
            background = Background(store)
            parts = Parts(store, background, _ignore, background.wake, read_only=self._service.read_only)
            self._understand = partial(store.understanding.all, lambda done, total: None)
            if self._service.bucket is not None:
                try:
                    parts.bucket = await _opened(self._service.bucket, store, nursery)
                except MountfsError as error:
                    self._ready.put(error)
                    return
                nursery.start_soon(parts.bucket.run)
            nursery.start_soon(background.run)
            self._known = requests(parts)
            self._ready.put(trio.lowlevel.current_trio_token())
            await self._closing.wait()
            await background.settled(seconds=LAST_SETTLE_SECONDS)
            nursery.cancel_scope.cancel()


def _nothing() -> None:
    """The store is not open yet."""


def _ignore(changes: Changes) -> None:
    """There is no kernel that remembers anything."""


async def _opened(described: Described, store: Store, nursery: trio.Nursery) -> Bucket:
    remote = await trio.to_thread.run_sync(described.open)
    bucket = Bucket(store, remote, described.manner, nursery, _ignore)
    try:
        await bucket.connect(seconds=max(described.manner.look_seconds, 5.0))
    except RemoteUnavailable as error:
        log.info("not connected yet: %s", error)
    return bucket
