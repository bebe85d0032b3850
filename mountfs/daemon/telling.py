"""Events leave the daemon: each to the commands and URLs that the settings name for it. Nothing waits for one.

A command runs without a shell, with the event as JSON on its standard input; a URL gets it as a POST, and is not
followed where it redirects. Each has its own time, and one that fails or hangs is a line in the log.
"""

import contextlib
import http.client
import logging
import os
import secrets
import signal
import ssl
import subprocess
import time
from collections.abc import Callable
from functools import partial
from typing import Final
from urllib.parse import urlsplit

import trio

from mountfs.errors import MountfsError
from mountfs.events import (
    AT_ONCE_MAX,
    Deliveries,
    Delivery,
    Event,
    EventKind,
    Hook,
    Tail,
    Told,
    body,
    environment,
    headers,
    warn,
)
from mountfs.store.store import Store

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 5.0
"""How often the quota is looked at."""
LAST_SECONDS: Final = 2.0
"""For what is under way when the mount ends."""
COMPLAIN_SECONDS: Final = 60.0
_TAKEN_AS_READ: Final = 64 << 10


class Telling:
    """`tell` from the loop's thread, at any time; `run` delivers until cancelled."""

    def __init__(self, store: Store, hooks: tuple[Hook, ...], *, mount: str) -> None:
        self._store = store
        self._mount = mount
        self._deliveries = Deliveries(hooks)
        self._run = secrets.token_hex(4)
        self._told = 0
        self._has_warned = False
        self._complains_at = float("-inf")
        self._news = trio.Event()
        self._then: dict[str, Callable[[], None]] = {}
        self._posts = trio.CapacityLimiter(AT_ONCE_MAX)

    def tell(self, event: Event, *, number: str | None = None, then: Callable[[], None] | None = None) -> None:
        """Queue it for everybody who wants it; `then` is called when nobody is left to be told, however that went."""
        if not self._deliveries.wants(event.kind):
            if then is not None:
                then()
            return
        self._told += 1
        number = number or f"{self._run}-{self._told}"
        told = Told(event, number, self._store.ledger.clock.now_ns(), self._mount)
        if then is not None:
            self._then[number] = then
        if self._deliveries.put(told) and trio.current_time() >= self._complains_at:
            self._complains_at = trio.current_time() + COMPLAIN_SECONDS
            log.warning("events come faster than they are taken: %d were not told", self._deliveries.dropped)
        self._conclude()
        self._news.set()

    def _conclude(self) -> None:
        """Of some there is nobody left to be told. What the end of the mount cuts off is none of these."""
        left = self._deliveries.numbers() if self._then else set()
        for number in [number for number in self._then if number not in left]:
            self._then.pop(number)()

    def wants(self, kind: EventKind) -> bool:
        """Whether anybody is to be told of such events."""
        return self._deliveries.wants(kind)

    async def run(self) -> None:
        if not self._deliveries.hooks:
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_quota)
            while True:
                while (delivery := self._deliveries.take()) is not None:
                    nursery.start_soon(self._deliver, delivery)
                await self._news.wait()
                self._news = trio.Event()

    async def _watch_quota(self) -> None:
        while True:
            room, options = self._store.room, self._store.options
            event, self._has_warned = warn(
                room.used_bytes(), room.quota_bytes, threshold=options.warn_threshold, has_warned=self._has_warned
            )
            if event is not None:
                log.warning("%s", event.text)
                self.tell(event)
            await trio.sleep(LOOK_SECONDS)

    async def _deliver(self, delivery: Delivery) -> None:
        hook = self._deliveries.hooks[delivery.hook]
        try:
            with trio.move_on_after(hook.timeout_seconds) as within:
                await (_run_command if hook.command else self._post)(hook, delivery.told)
            if within.cancelled_caught:
                log.warning("%s did not take an event within %g seconds", hook.name, hook.timeout_seconds)
        except (OSError, http.client.HTTPException, MountfsError) as error:
            log.warning("%s could not be told of an event: %s", hook.name, error)
        except Exception:  # a bug here must not take the mount away from its users
            log.exception("a bug in telling %s of an event", hook.name)
        finally:
            self._deliveries.done(delivery)
            self._news.set()
        self._conclude()

    async def _post(self, hook: Hook, told: Told) -> None:
        status = await trio.to_thread.run_sync(
            partial(_posted, hook, told), abandon_on_cancel=True, limiter=self._posts
        )
        if not 200 <= status < 300:
            log.warning("%s answered an event with %d", hook.name, status)


async def _run_command(hook: Hook, told: Told) -> None:
    process = await trio.lowlevel.open_process(
        list(hook.command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment(told, os.environ),
        start_new_session=True,
    )
    tail = Tail()
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_give, process.stdin, body(told))
            nursery.start_soon(_read_all, process.stdout, tail)
        if code := await process.wait():
            log.warning("%s, told of an event, ended with %d: %s", hook.name, code, tail.text)
    finally:
        with trio.CancelScope(shield=True):  # killed, it ends at once, and nobody else would notice that it did
            _kill(process)
            await process.wait()


async def _give(stdin: trio.abc.SendStream, data: bytes) -> None:
    """Who does not read it need not."""
    try:
        await stdin.send_all(data)
    except trio.BrokenResourceError:
        pass
    finally:
        await stdin.aclose()


async def _read_all(stdout: trio.abc.ReceiveStream, tail: Tail) -> None:
    async for printed in stdout:
        tail.add(bytes(printed))


def _kill(process: trio.Process) -> None:
    """With all that it started, where it has not ended by itself: we have not waited for it, so its id is its own."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _posted(hook: Hook, told: Told) -> int:
    """The status of the answer. In a worker thread."""
    parts = urlsplit(hook.url)
    assert parts.hostname is not None
    connect: Callable[..., http.client.HTTPConnection] = http.client.HTTPConnection
    if parts.scheme == "https":
        connect = partial(http.client.HTTPSConnection, context=ssl.create_default_context())
    connection = connect(parts.hostname, parts.port, timeout=hook.timeout_seconds)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", path, body(told), headers(told))
        answer = connection.getresponse()
        until = time.monotonic() + hook.timeout_seconds
        while answer.read1(_TAKEN_AS_READ) and time.monotonic() < until:
            pass
        return answer.status
    finally:
        connection.close()
