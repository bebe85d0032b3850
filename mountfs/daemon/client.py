"""Asking the daemon that holds a state directory."""

import json
import os
import socket
import struct
from pathlib import Path

from mountfs import errors
from mountfs.errors import DeadlineExceeded, EnvironmentProblem, MountfsError, NotMounted

PATIENCE_SECONDS = 60.0
BARRIER_SECONDS = 10.0  # nobody waits longer for an answer that a healthy daemon gives within milliseconds


def ask(state: Path, op: str, *, timeout: float | None = None, **arguments: object) -> dict[str, object]:
    """Send one request and return its answer.

    Raises what the daemon raised, NotMounted where there is none, DeadlineExceeded where it does not answer.
    """
    seconds = timeout or (BARRIER_SECONDS if op == "barrier" else PATIENCE_SECONDS)
    line = json.dumps({"op": op, **arguments}).encode() + b"\n"
    with _connected(state, seconds) as sock:
        try:
            sock.sendall(line)
            answer = _read_line(sock)
        except TimeoutError as error:
            raise DeadlineExceeded(_silent(f"the daemon (pid {_peer(sock)})", state)) from error
        except OSError as error:
            raise NotMounted(f"the daemon of {state} ended while it was asked") from error
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
    except OSError as error:
        sock.close()
        raise EnvironmentProblem(_unusable(state, error)) from error
    try:
        sock.connect(f"/proc/self/fd/{directory}/control.sock")
    except (TimeoutError, BlockingIOError) as error:  # more of us wait already than its queue holds
        sock.close()
        raise DeadlineExceeded(_silent("the daemon", state)) from error
    except PermissionError as error:
        sock.close()
        raise EnvironmentProblem(_unusable(state, error)) from error
    except OSError as error:
        sock.close()
        raise NotMounted(f"no daemon answers for {state}") from error
    finally:
        os.close(directory)
    return sock


def _silent(who: str, state: Path) -> str:
    return f"{who} does not answer: it hangs or was stopped; its log is {state}/log, and `kill -9` ends it"


def _unusable(state: Path, error: OSError) -> str:
    if isinstance(error, PermissionError):
        return f"the state directory {state} belongs to another user: run this as that user"
    return f"the state directory {state} cannot be used: {error.strerror}"


def _peer(sock: socket.socket) -> int:
    """The process that listens at the other end."""
    pid: int = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
    return pid


def _read_line(sock: socket.socket) -> dict[str, object]:
    buffer = b""
    while not buffer.endswith(b"\n"):
        part = sock.recv(1 << 16)
        if not part:
            raise ConnectionResetError
        buffer += part
    answer = json.loads(buffer)
    return answer if isinstance(answer, dict) else {}


def _raised(answer: dict[str, object]) -> MountfsError:
    kind = getattr(errors, str(answer.get("error")), MountfsError)
    return (
        kind(str(answer.get("message"))) if issubclass(kind, MountfsError) else MountfsError(str(answer.get("message")))
    )
