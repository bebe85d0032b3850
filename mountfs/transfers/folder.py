"""The process that folds the feed: started when there is something to fold, ended when it was idle for a minute."""

import contextlib
import fcntl
import marshal
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import trio

from mountfs.bucket.folding import FRAME_HEAD_BYTES, Here, length_of, question
from mountfs.errors import MountfsError
from mountfs.store.told import Piece, told_of

IDLE_SECONDS = 60.0
PIPE_BYTES = 1 << 20  # pieces that are ready while the next ones are folded: with 64 KiB both waited for each other
_OURS = str(Path(__file__).resolve().parents[2])  # its code is ours, whatever the working directory


class Folder:
    """One batch at a time. What is not taken yet waits in the pipe, and the process with it."""

    def __init__(self) -> None:
        self._process: trio.Process | None = None
        self._used = 0.0
        self._busy = False

    async def fold(self, parts: list[bytes], here: Here, take: Callable[[Piece], Awaitable[None]]) -> None:
        """Have these folded, and hand over each piece. Raises what `take` does, MountfsError when the process ended."""
        self._busy = True
        process = await self._started()
        failure: Exception | None = None
        whole = False

        async def send() -> None:
            with contextlib.suppress(trio.BrokenResourceError):  # who reads the answers finds out
                assert process.stdin is not None
                await process.stdin.send_all(question(parts, here))

        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(send)
                try:
                    while (piece := await _next(process)) is not None:
                        await take(piece)
                    whole = True
                except Exception as error:  # noqa: BLE001  # raised below: a nursery would wrap it
                    failure = error
                    nursery.cancel_scope.cancel()
        finally:
            self._busy, self._used = False, trio.current_time()
            if not whole:  # it is in the middle of an answer
                await self.end()
        if isinstance(failure, EOFError):
            raise MountfsError("the process that folds the feed has ended")
        if failure is not None:
            raise failure

    async def _started(self) -> trio.Process:
        if self._process is None:
            path = os.pathsep.join([_OURS, *filter(None, [os.environ.get("PYTHONPATH")])])
            self._process = await trio.lowlevel.open_process(
                [sys.executable, "-m", "mountfs.bucket.folding"], cwd="/", env={**os.environ, "PYTHONPATH": path},
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            )  # fmt: skip
            assert isinstance(self._process.stdout, trio.lowlevel.FdStream)
            with contextlib.suppress(OSError, AttributeError):  # only Linux knows it, and any size works
                fcntl.fcntl(self._process.stdout.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        return self._process

    async def end_if_idle(self) -> None:
        if not self._busy and trio.current_time() - self._used > IDLE_SECONDS:
            await self.end()

    async def end(self) -> None:
        """It has nothing to lose."""
        process, self._process = self._process, None
        if process is None:
            return
        with trio.CancelScope(shield=True):
            process.kill()
            await process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    await stream.aclose()


async def _next(process: trio.Process) -> Piece | None:
    length = length_of(await _exactly(process, FRAME_HEAD_BYTES))
    return told_of(marshal.loads(await _exactly(process, length))) if length else None


async def _exactly(process: trio.Process, length: int) -> bytes:
    assert process.stdout is not None
    read = bytearray()
    while len(read) < length:
        piece = await process.stdout.receive_some(length - len(read))
        if not piece:
            raise EOFError
        read += piece
    return bytes(read)
