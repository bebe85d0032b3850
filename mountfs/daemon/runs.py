"""Long requests: begun by one request, heard of by others (`follow`), so that no answer keeps its client for minutes.

A run that nobody follows any more ends by itself at its next word.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import trio

from mountfs.daemon.control import Answer
from mountfs.errors import MountfsError, NotFound

log = logging.getLogger(__name__)

FOLLOW_SECONDS = 60.0  # without a client that asks
MOST_SECONDS = 5.0  # that one answer takes
LINES_KEPT = 500  # of those that nobody has heard yet
RUNS = 64


class Abandoned(Exception):
    """Nobody follows the run any more."""


@dataclass(slots=True)
class Run:
    """What a long request tells: `progress` as it is now, and lines that are heard once each."""

    progress: dict[str, object] = field(default_factory=dict)
    lines: list[dict[str, object]] = field(default_factory=list)
    error: MountfsError | None = None
    done: bool = False
    followed: float = field(default_factory=trio.current_time)
    news: trio.Event = field(default_factory=trio.Event)
    heard: trio.Event = field(default_factory=trio.Event)

    def tell(self, **progress: object) -> None:
        """How far it is. Raises Abandoned."""
        if trio.current_time() - self.followed > FOLLOW_SECONDS:
            raise Abandoned
        if self.progress != progress:
            self.progress = progress
            self.news.set()

    async def say(self, **line: object) -> None:
        """One line; waits while the client has enough of them. Raises Abandoned."""
        self.lines.append(line)
        self.news.set()
        while len(self.lines) >= LINES_KEPT:
            with trio.move_on_after(FOLLOW_SECONDS) as waited:
                await self.heard.wait()
            if waited.cancelled_caught:
                raise Abandoned


class Runs:
    """Those of one daemon, by number."""

    def __init__(self) -> None:
        self._runs: dict[int, Run] = {}
        self._last = 0

    def begin(self, nursery: trio.Nursery, work: Callable[[Run], Awaitable[None]]) -> Answer:
        """Begin one; the answer names it."""
        self._forget_abandoned()
        self._last += 1
        run = self._runs[self._last] = Run()
        nursery.start_soon(self._work, run, work)
        return {"run": self._last}

    def _forget_abandoned(self) -> None:
        now = trio.current_time()
        for number, run in list(self._runs.items()):
            if run.done and (now - run.followed > FOLLOW_SECONDS or len(self._runs) >= RUNS):
                del self._runs[number]

    async def _work(self, run: Run, work: Callable[[Run], Awaitable[None]]) -> None:
        try:
            await work(run)
        except Abandoned:
            log.info("a long request ended: its client is gone")
        except MountfsError as error:
            run.error = error
        except Exception:  # a bug here must not take the mount away from its users
            log.exception("a bug in a long request")
            run.error = MountfsError("the daemon met a bug: see its log")
        finally:
            run.done = True
            run.news.set()

    async def follow(self, request: dict[str, object]) -> Answer:
        """What is new of a run, as soon as there is something. Raises what ended it."""
        number = int(str(request.get("run", 0)))
        run = self._runs.get(number)
        if run is None:
            raise NotFound("no such long request: the daemon was restarted, or asked again too late")
        run.followed = trio.current_time()
        if not run.lines and not run.done:
            with trio.move_on_after(min(MOST_SECONDS, float(str(request.get("seconds", 1.0))))):
                await run.news.wait()
        run.news = trio.Event()
        lines, run.lines = run.lines, []
        run.heard.set()
        run.heard = trio.Event()
        if run.done and not lines:
            del self._runs[number]
            if run.error is not None:
                raise run.error
        return {"done": run.done and not lines, "lines": lines, "progress": run.progress}
