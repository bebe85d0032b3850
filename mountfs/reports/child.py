"""The child in which reports of strangers are read: `python -m mountfs.reports`, talked to in the words of `wire`.

What a report can make of it is bounded before the first one comes: memory, files, priority, and its life ends with its
parent's. How long one report may take is the parent's to say, which then kills it. Imports are few, since a parent may
have to start it often.
"""

import gc
import os
import resource
import signal
import sys
from typing import BinaryIO, Final

from mountfs.reports.model import Unreadable
from mountfs.reports.reading import read
from mountfs.reports.wire import REQUEST_BYTES, Request, decode_request, encode, summary_of

MEMORY_BYTES: Final = 1024 * 1024 * 1024  # beyond what it has when it starts
_FILES: Final = 32  # a module that is imported late is opened
_NICE: Final = 10
_LOOK_SECONDS: Final = 1.0
_PIECE_BYTES: Final = 64 * 1024
_TOO_LARGE: Final = f"Reading the report needs more than {MEMORY_BYTES >> 20} MiB of memory."


def main() -> None:
    """Answer until the parent closes our input."""
    confine()
    end_with_parent(os.getppid())
    gc.disable()  # reports have no cycles, and a walk over a million tests takes as long as reading them
    if serve(sys.stdin.buffer, sys.stdout.buffer):
        # memory that ran out once may stay in pieces: a new life, for the same parent
        signal.setitimer(signal.ITIMER_REAL, 0)  # it would go on, and end what has no handler for it yet
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def confine() -> None:
    """Give away what reading a report does not need, for good."""
    os.setpriority(os.PRIO_PROCESS, 0, max(_NICE, os.getpriority(os.PRIO_PROCESS, 0)))
    most = _memory_bytes() + MEMORY_BYTES
    for what, limit in (
        (resource.RLIMIT_AS, most),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, _FILES),
    ):
        _, hard = resource.getrlimit(what)
        least = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(what, (least, least))


def _memory_bytes() -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as numbers:
            return int(numbers.read().split()[0]) * resource.getpagesize()
    except OSError:  # no Linux: what Python has mapped there is of that order
        return MEMORY_BYTES // 2


def end_with_parent(parent: int) -> None:
    """End within a second when the parent is gone, however busy; Ctrl-C is for the parent alone.

    Linux could signal us (PR_SET_PDEATHSIG), but does so already when the thread ends that started us, and trio
    starts processes in threads that end when they have nothing to do for a while.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, lambda _signal, _frame: os._exit(1) if os.getppid() != parent else None)
    signal.setitimer(signal.ITIMER_REAL, _LOOK_SECONDS, _LOOK_SECONDS)


def serve(requests: BinaryIO, answers: BinaryIO) -> bool:
    """Answer each request; True where memory ran out over one, and no other should be taken."""
    while line := requests.readline(REQUEST_BYTES):
        request = decode_request(line)
        body = _Body(requests, request.size)
        answer = _answer(request, body)
        body.skip()
        answers.write(answer or encode(Unreadable("unknown", _TOO_LARGE)))
        answers.flush()
        gc.collect()
        if answer is None:
            return True
    return False


def _answer(request: Request, body: "_Body") -> bytes | None:
    """The answer's line; None where there was not enough memory for it."""
    try:
        answer = read(body, request.size)
        return encode(answer if request.want == "report" else summary_of(answer))
    except MemoryError:
        return None


class _Body:
    """The bytes of one report among those of others."""

    def __init__(self, source: BinaryIO, size: int) -> None:
        self._source = source
        self._left = size

    def read(self, size: int, /) -> bytes:
        piece = self._source.read(min(size, self._left))
        self._left -= len(piece)
        return piece

    def skip(self) -> None:
        """Read what nobody wanted: the parent sends all of it before it listens."""
        while self.read(_PIECE_BYTES):
            pass
