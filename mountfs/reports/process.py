"""Reading strangers' reports from a command: in a child that may be killed, with a deadline for each report.

The child is started with the first report and kept for the next ones; one that was too slow, or died, is replaced. It
gets no environment of ours: what it reads is a stranger's, and our keys lie there.
"""

import contextlib
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from mountfs.reports.content import Readable
from mountfs.reports.model import Answer, Unknown, Unreadable
from mountfs.reports.wire import (
    ANSWER_BYTES,
    AnswerRefused,
    Request,
    Summary,
    Told,
    decode,
    encode_request,
)

DEADLINE_SECONDS: Final = 20.0
_PIECE_BYTES: Final = 64 * 1024
_KEPT_VARIABLES: Final = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH")


class _Late(Exception):
    """The deadline of this report has passed."""


class _Lost(Exception):
    """The child is no more."""


class _Shrunk(Exception):
    """The source has fewer bytes than were announced."""


class Reader:
    """Reads reports one after the other. Not for several threads at once. Use it in a `with`."""

    def __init__(self, *, deadline_seconds: float = DEADLINE_SECONDS) -> None:
        self._deadline_seconds = deadline_seconds
        self._child: _Child | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The child's process id, while there is one."""
        return None if self._child is None else self._child.pid

    def close(self) -> None:
        """End the child; reading on starts another."""
        child, self._child = self._child, None
        if child is not None:
            child.end()

    def read(self, source: Readable, size: int) -> Answer:
        """What the `size` bytes of `source`, plain content, say. Raises what `source.read` raises."""
        told = self._told(Request(size, "report"), source)
        return _no_answer() if isinstance(told, Summary) else told

    def summarize(self, source: Readable, size: int) -> Summary | Unreadable | Unknown:
        """The numbers of a report alone: cheaper, since only they come back. Raises what `source.read` raises."""
        told = self._told(Request(size, "summary"), source)
        return told if isinstance(told, Summary | Unreadable | Unknown) else _no_answer()

    def _told(self, request: Request, source: Readable) -> Told:
        try:
            with contextlib.ExitStack() as unless_answered:
                unless_answered.callback(self.close)
                told = decode(self._living().exchange(request, source, self._deadline_seconds))
                unless_answered.pop_all()
                return told
        except _Late:
            reason = f"Reading the report took longer than {self._deadline_seconds:g} s."
        except _Shrunk:
            reason = "The report became shorter while it was read."
        except (_Lost, AnswerRefused):
            return _no_answer()
        return Unreadable("unknown", reason)

    def _living(self) -> "_Child":
        if self._child is None or self._child.ended:
            self.close()
            self._child = _Child()
        return self._child


def _no_answer() -> Unreadable:
    return Unreadable("unknown", "Reading the report ended without an answer; it may need too much memory.")


class _Child:
    """One process, and its two pipes."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "mountfs.reports"],  # -P: the working directory may be a stranger's
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env=environment(),
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        os.set_blocking(self._in.fileno(), False)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def end(self) -> None:
        self._process.kill()
        self._in.close()
        self._out.close()
        self._process.wait()

    def exchange(self, request: Request, source: Readable, seconds: float) -> bytes:
        """The line that answers; after _Late, _Lost, _Shrunk, or what the source raised, the child is of no use."""
        until = time.monotonic() + seconds
        self._send(encode_request(request), until)
        left = request.size
        while left:
            piece = source.read(min(left, _PIECE_BYTES))
            if not piece:
                raise _Shrunk
            self._send(piece, until)
            left -= len(piece)
        return self._receive(until)

    def _send(self, piece: bytes, until: float) -> None:
        view = memoryview(piece)
        while view:
            _wait(self._in.fileno(), select.POLLOUT, until)
            try:
                view = view[os.write(self._in.fileno(), view) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                raise _Lost from None

    def _receive(self, until: float) -> bytes:
        pieces: list[bytes] = []
        length = 0
        while length <= ANSWER_BYTES:
            _wait(self._out.fileno(), select.POLLIN, until)
            piece = os.read(self._out.fileno(), _PIECE_BYTES)
            if not piece:
                raise _Lost
            pieces.append(piece)
            length += len(piece)
            if piece.endswith(b"\n"):
                return b"".join(pieces)
        raise _Lost


def _wait(descriptor: int, for_what: int, until: float) -> None:
    """Until the pipe can be used, or its other end is closed; raises _Late."""
    poll = select.poll()
    poll.register(descriptor, for_what)
    left = until - time.monotonic()
    if left <= 0 or not poll.poll(left * 1000):
        raise _Late


def environment() -> dict[str, str]:
    """What a child needs to find Python and this package, and nothing else."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    home = Path(__file__).parents[2]
    if home.name not in ("site-packages", "dist-packages"):  # a clone, maybe run without being installed
        kept["PYTHONPATH"] = os.pathsep.join([str(home), *filter(None, [kept.get("PYTHONPATH")])])
    return kept
