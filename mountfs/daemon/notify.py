"""What systemd is told (`Type=notify`): nothing where it did not ask."""

import contextlib
import os
import socket
from pathlib import Path


def ready(mountpoint: Path) -> None:
    """The mount answers: units that come after this one may use it."""
    _tell(f"READY=1\nSTATUS=serving {mountpoint}\nMAINPID={os.getpid()}")


def stopping() -> None:
    _tell("STOPPING=1\nSTATUS=unmounted, saving what is left")


def _tell(message: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.connect(address)
        sock.sendall(message.encode(errors="surrogateescape"))
