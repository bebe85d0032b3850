"""Cleaning up on the schedule of the settings (`retention.schedule`), by one machine of a bucket at a time.

A child process plans (`mountfs cleanup --automatic`), so that judging a hundred thousand jobs costs this one nothing,
and asks over the control socket for what is to go. Times that were missed while nothing was mounted are made up for by
one run. A store that was never here before begins with the next time of its schedule.
"""

import logging
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

import trio

from mountfs.daemon.dropping import knows_all
from mountfs.daemon.parts import Parts
from mountfs.daemon.process import python_path
from mountfs.errors import MountfsError, Protected, RemoteUnavailable
from mountfs.retention.schedule import is_due

log = logging.getLogger(__name__)

TRIED: Final = "retention_tried"
"""In the catalog's notes: when the last run on the schedule began, in ns; before the first, when this was seen."""

FIRST_SECONDS: Final = 5.0  # after the mount: its first users are served first
LOOK_SECONDS: Final = 30.0
LEASE_SECONDS: Final = 300.0  # another machine is cleaning: it is asked again after so long
MOST_SECONDS: Final = 3600.0
LINES_LOGGED: Final = 100


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended, and what it printed."""

    code: int
    out: Sequence[str]
    err: Sequence[str]


Child = Callable[[Sequence[str]], Awaitable[Ended]]


async def in_child(arguments: Sequence[str]) -> Ended:
    """Run a command of mountfs. Cancelled, it is killed."""
    done = await trio.run_process(
        [sys.executable, "-m", "mountfs.cli", *arguments],
        cwd="/", env={**os.environ, "PYTHONPATH": python_path(os.environ)}, stdin=b"", capture_stdout=True,
        capture_stderr=True, check=False,
    )  # fmt: skip
    out, err = (text.decode(errors="replace").splitlines() for text in (done.stdout, done.stderr))
    return Ended(done.returncode, out, err)


class Cleaning:
    """`child` runs a command of mountfs."""

    def __init__(self, parts: Parts, child: Child = in_child) -> None:
        self._parts = parts
        self._store = parts.store
        self._child = child
        self._not_before = float("-inf")

    async def run(self) -> None:
        """Clean when it is time, until cancelled."""
        await trio.sleep(FIRST_SECONDS)
        while True:
            try:
                await self.look()
            except RemoteUnavailable as error:
                log.info("cleaning up is tried again: %s", error)
            except MountfsError as error:
                log.error("cleaning up stopped: %s", error)
            except Exception:  # a bug here must not take the mount away from its users
                log.exception("a bug in cleaning up")
            await trio.sleep(LOOK_SECONDS)

    async def look(self) -> bool:
        """Clean, if it is time and nobody else is at it; whether that was done."""
        if not self._has_to_do() or not self._is_time() or trio.current_time() < self._not_before:
            return False
        async with AsyncExitStack() as stack:
            bucket = self._parts.bucket
            if bucket is not None and not await stack.enter_async_context(bucket.maintenance.leased()):
                self._not_before = trio.current_time() + LEASE_SECONDS
                return False
            self._note(self._now_ns())  # first: one that fails is not tried again each time
            await self._clean()
        return True

    def _has_to_do(self) -> bool:
        """Whether anything can ever expire, and this machine is one that may say what does."""
        policy, bucket = self._store.options.retention, self._parts.bucket
        if not policy.enabled or not (policy.has_limit or self._store.catalog.units.has_dated()):
            return False
        if bucket is None:
            return True
        may_ask = bucket.connected.is_set() and bucket.carrier.down is None and not bucket.manner.read_only
        return may_ask and knows_all(self._parts)

    def _is_time(self) -> bool:
        now_ns = self._now_ns()
        tried = self._store.catalog.meta(TRIED)
        if tried is None or int(tried) > now_ns:  # the clock was ahead then: that time may be a year off
            self._note(now_ns)
            return False
        return is_due(self._store.options.retention_schedule, last_ns=int(tried), now_ns=now_ns)

    def _now_ns(self) -> int:
        """The server's time, where one has told it."""
        return self._store.stamps.now_ms() * 1_000_000

    def _note(self, now_ns: int) -> None:
        with self._store.catalog.transaction():
            self._store.catalog.set_meta(TRIED, str(now_ns))

    async def _clean(self) -> None:
        where = ["--state", str(self._store.state.path), "--mount", str(self._store.mountpoint)]
        ended = None
        with trio.move_on_after(MOST_SECONDS):
            ended = await self._child(["cleanup", "--automatic", *where])
        if ended is None:
            log.error("cleaning up took more than %d minutes, and was ended: the next run goes on", MOST_SECONDS // 60)
            return
        for line in _shortened(ended.out):
            log.info("%s", line)
        for line in _shortened(ended.err):
            log.log(_level(ended.code), "cleaning up: %s", line.removeprefix("mountfs: "))


def _level(code: int) -> int:
    """A brake is what somebody has to look at; any other end but 0 should not be."""
    return {0: logging.INFO, Protected.exit_code: logging.WARNING}.get(code, logging.ERROR)


def _shortened(lines: Sequence[str]) -> list[str]:
    """The first of them and the last."""
    if len(lines) <= LINES_LOGGED:
        return list(lines)
    return [*lines[: LINES_LOGGED - 1], f"… and {len(lines) - LINES_LOGGED} more", lines[-1]]
