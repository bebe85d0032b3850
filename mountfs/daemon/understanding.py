"""What published reports say, read behind the writes: one at a time, newest first, in a child process.

The daemon decompresses a report in a worker thread and hands it over; nothing of it is parsed here. The child has less
priority than anybody else, a deadline for each report, and is replaced when it dies. One that cannot even read nothing
is not asked: what it answered would be no answer.
"""

import logging
import subprocess
import sys
from collections.abc import Callable
from typing import Final

import trio

from mountfs.catalog.reports import Told, Unread
from mountfs.contents import ReadsRanges
from mountfs.daemon.background import Background
from mountfs.errors import CacheFull, MountfsError
from mountfs.reports.model import Unknown, Unreadable
from mountfs.reports.process import DEADLINE_SECONDS, environment
from mountfs.reports.wire import AnswerRefused, Request, Summary, decode, encode_request
from mountfs.store.store import Store
from mountfs.store.understanding import known, next_unread, note

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.5
PAUSE_SECONDS: Final = 0.01  # between two reports: others come first
BUSY_SECONDS: Final = 0.05
MOST_BUSY_SECONDS: Final = 5.0  # writers who never pause do not keep reports from being read
AGAIN_SECONDS: Final = 60.0  # after a child could not be started
IDLE_SECONDS: Final = 30.0  # after the last report the child ends: it holds some 20 MiB
PIECE_BYTES: Final = 256 << 10
ANSWER_BYTES: Final = 1 << 20  # a summary is at most a few KiB
_NO_ANSWER: Final = Unreadable(
    "unknown", "Reading the report ended without an answer; it may need too much memory."
)  # fmt: skip
_LATE: Final = Unreadable("unknown", f"Reading the report took longer than {DEADLINE_SECONDS:g} s.")


class ChildLost(Exception):
    """The child is no more, or says what it should not."""


class Understanding:
    """Runs until cancelled. `on_type` is told of a content that was read which type its artifacts have if nothing else
    says one."""

    def __init__(self, store: Store, background: Background) -> None:
        self._store = store
        self._background = background
        self._child: Child | None = None
        self._last = 0.0
        self.on_type: Callable[[bytes, str], None] = lambda digest, slug: None

    async def run(self) -> None:
        try:
            while True:
                pause = POLL_SECONDS
                try:
                    pause = PAUSE_SECONDS if await self._some() else POLL_SECONDS
                except (ChildLost, OSError) as error:
                    log.error("reports cannot be read: %s; tried again in %g s", error, AGAIN_SECONDS)
                    pause = AGAIN_SECONDS
                except CacheFull:
                    pause = MOST_BUSY_SECONDS
                except Exception:  # a bug here must not take the mount away from its users
                    log.exception("a bug in reading reports; tried again")
                    pause = AGAIN_SECONDS
                await trio.sleep(pause)
        finally:
            with trio.CancelScope(shield=True):
                await self._end_child()

    async def _some(self) -> bool:
        """Whether there was one to read."""
        catalog = self._store.catalog
        if catalog.is_holding:
            return False
        found = next_unread(catalog)
        for unread in found:
            await self._while_busy()
            await self._understand(unread)
            self._last = trio.current_time()
            await trio.sleep(PAUSE_SECONDS)
        if self._child is not None and trio.current_time() - self._last > IDLE_SECONDS:
            await self._end_child()
        return bool(found)

    async def _while_busy(self) -> None:
        with trio.move_on_after(MOST_BUSY_SECONDS):
            while self._background.busy or self._store.catalog.is_holding:  # noqa: ASYNC110  # nobody tells
                await trio.sleep(BUSY_SECONDS)

    async def _understand(self, unread: Unread) -> None:
        catalog = self._store.catalog
        told = known(catalog, unread) or await self._read_if_here(unread)
        note(catalog, unread, told)
        if isinstance(told, Summary):
            self.on_type(unread.digest, told.type)

    async def _read_if_here(self, unread: Unread) -> Told | None:
        try:
            return await self._read(self._store.files.open_content(unread.id), unread.size)
        except MountfsError as error:
            log.info("a report is not read: %s", error)
            return None

    # -- the child ------------------------------------------------------------------------------------------

    async def _read(self, source: ReadsRanges, size: int) -> Told:
        """Raises ChildLost where no child works, OSError where none starts, what the source raises."""
        child = await self._living()
        told: Told = _LATE
        try:
            with trio.move_on_after(DEADLINE_SECONDS) as deadline:
                told = await child.ask(source, size)
            if not deadline.cancelled_caught:
                return told
        except ChildLost:
            told = _NO_ANSWER
        except BaseException:
            with trio.CancelScope(shield=True):
                await self._end_child()
            raise
        await self._end_child()
        return told

    async def _living(self) -> "Child":
        if self._child is not None and self._child.has_ended:
            await self._end_child()
        if self._child is None:
            self._child = await Child.start()
            with trio.move_on_after(DEADLINE_SECONDS):
                if await self._child.ask(_Nothing(), 0) == Unknown():
                    return self._child
            await self._end_child()
            raise ChildLost("a child that is to read them does not answer")
        return self._child

    async def _end_child(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            await child.end()


class _Nothing:
    """An empty report: whoever reads it, can read."""

    size = 0

    def read(self, offset: int, length: int) -> bytes:
        return b""

    def at_hand(self, offset: int, length: int) -> bool:
        return True


class Child:
    """One process, and its two pipes."""

    def __init__(self, process: trio.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._in, self._out = process.stdin, process.stdout

    @classmethod
    async def start(cls) -> "Child":
        """Raises OSError."""
        process = await trio.lowlevel.open_process(
            [sys.executable, "-P", "-m", "mountfs.reports"],  # -P: the working directory may be a stranger's
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
        )
        return cls(process)

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    async def end(self) -> None:
        self._process.kill()
        await self._in.aclose()
        await self._out.aclose()
        await self._process.wait()

    async def ask(self, source: ReadsRanges, size: int) -> Told:
        """The numbers of a report. Raises ChildLost, what the source raises: then the child is of no more use."""
        try:
            await self._in.send_all(encode_request(Request(size, "summary")))
            sent = 0
            while sent < size:
                length = min(PIECE_BYTES, size - sent)
                piece = await trio.to_thread.run_sync(source.read, sent, length, abandon_on_cancel=True)
                if not piece:
                    raise ChildLost("the report became shorter while it was read")
                await self._in.send_all(piece)
                sent += len(piece)
            told = decode(await self._line())
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise ChildLost("it ended") from None
        except AnswerRefused as refused:
            raise ChildLost(str(refused)) from None
        if isinstance(told, Summary | Unreadable | Unknown):
            return told
        raise ChildLost("it says more than it was asked")

    async def _line(self) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            piece = await self._out.receive_some()
            line += piece
            if not piece or len(line) > ANSWER_BYTES:
                raise ChildLost("it ended, or goes on without end")
        return line
