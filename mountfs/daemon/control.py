"""The control socket: one JSON object a line in, one a line out. Mode 0700, below the state directory."""

import json
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path

import trio

from mountfs.errors import InvalidArgument, MountfsError, Protected

log = logging.getLogger(__name__)

LINE_BYTES = 1 << 20
Answer = dict[str, object]
Handler = Callable[[dict[str, object]], Awaitable[Answer]]


def listen(state: Path) -> trio.SocketListener:
    """Bind the socket; through a descriptor of the directory, because the kernel takes 107 bytes of path."""
    directory = os.open(state, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        path = state / "control.sock"
        path.unlink(missing_ok=True)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.bind(f"/proc/self/fd/{directory}/control.sock")
        os.chmod(path, 0o700)
        sock.listen(64)
        sock.setblocking(False)
    finally:
        os.close(directory)
    return trio.SocketListener(trio.socket.from_stdlib_socket(sock))


class Control:
    """Answers requests by their `op`; an error becomes {"error": kind, "message": …, "exit_code": …}."""

    def __init__(self, handlers: dict[str, Handler], *, refused: Collection[str] = ()) -> None:
        """`refused`: requests that change something, where the mount is read-only."""
        self._handlers = handlers
        self._refused = refused

    async def serve(self, listener: trio.SocketListener) -> None:
        await trio.serve_listeners(self._connection, [listener])

    async def _connection(self, stream: trio.SocketStream) -> None:
        buffer = b""
        try:
            async for part in stream:
                buffer += part
                if len(buffer) > LINE_BYTES:
                    return
                while b"\n" in buffer:
                    line, _, buffer = buffer.partition(b"\n")
                    answer = await self._answer(line)
                    await stream.send_all(json.dumps(answer).encode() + b"\n")
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return  # whoever asked has gone

    async def _answer(self, line: bytes) -> Answer:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            return _error(InvalidArgument("not a line of JSON"))
        try:
            handler = self._handlers.get(str(request.get("op"))) if isinstance(request, dict) else None
            if handler is None:
                raise InvalidArgument("no such request: client and daemon are of different versions")
            if request["op"] in self._refused and not request.get("dry_run"):
                raise Protected("this mount is read-only: it refuses every change, here and in the bucket")
            return {"ok": True, **await handler(request)}
        except MountfsError as error:
            return _error(error)
        except Exception:
            log.exception("a bug while answering a control request")
            return _error(MountfsError("the daemon met a bug: see its log"))


def _error(error: MountfsError) -> Answer:
    return {"ok": False, "error": type(error).__name__, "message": str(error), "exit_code": error.exit_code}
