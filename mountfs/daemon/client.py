"""Asking the daemon that holds a state directory."""

import json
import os
import socket
from pathlib import Path

from mountfs import errors
from mountfs.errors import MountfsError, NotMounted


def ask(state: Path, op: str, *, timeout: float = 60.0, **arguments: object) -> dict[str, object]:
    """Send one request and return its answer. Raises what the daemon raised, NotMounted where there is none."""
    line = json.dumps({"op": op, **arguments}).encode() + b"\n"
    with _connected(state, timeout) as sock:
        sock.sendall(line)
        answer = _read_line(sock, state)
    if not answer.get("ok"):
        raise _raised(answer)
    return answer


def _connected(state: Path, timeout: float) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(timeout)
    try:
        directory = os.open(state, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        sock.close()
        raise NotMounted(f"there is no store at {state}") from error
    try:
        sock.connect(f"/proc/self/fd/{directory}/control.sock")
    except OSError as error:
        sock.close()
        raise NotMounted(f"no daemon answers for {state}") from error
    finally:
        os.close(directory)
    return sock


def _read_line(sock: socket.socket, state: Path) -> dict[str, object]:
    buffer = b""
    try:
        while not buffer.endswith(b"\n"):
            part = sock.recv(1 << 16)
            if not part:
                raise NotMounted(f"the daemon of {state} ended while it was asked")
            buffer += part
    except TimeoutError as error:
        raise MountfsError(f"the daemon of {state} does not answer") from error
    answer = json.loads(buffer)
    return answer if isinstance(answer, dict) else {}


def _raised(answer: dict[str, object]) -> MountfsError:
    kind = getattr(errors, str(answer.get("error")), MountfsError)
    return (
        kind(str(answer.get("message"))) if issubclass(kind, MountfsError) else MountfsError(str(answer.get("message")))
    )
