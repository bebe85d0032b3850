"""An event as it leaves the machine: JSON for programs, a few variables for a command, headers for a URL.

A command gets the JSON on its standard input, and an environment in which the daemon's secrets are not.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from mountfs import __version__
from mountfs.events.values import Event

SCHEMA: Final = 1
PREFIX: Final = "MOUNTFS_EVENT_"
"""Of the variables of a command; `mountfs` called by it takes them for no settings."""

TEXT_MAX: Final = 1000
_SECOND_NS: Final = 1_000_000_000
_PASSED_ON: Final = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "DISPLAY"}
    | {"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "DBUS_SESSION_BUS_ADDRESS"}
    | {"http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"}
)
_PASSED_ON_PREFIXES: Final = ("LC_", "XDG_")


@dataclass(frozen=True, slots=True)
class Told:
    """One event, told once: `number` is unique for this store, so that a receiver recognises a repetition."""

    event: Event
    number: str
    at_ns: int
    mount: str

    @property
    def text(self) -> str:
        """The sentence, on one line and not endless: a job may be named as it likes."""
        line = "".join(sign if sign.isprintable() else "�" for sign in self.event.text)
        return line if len(line) <= TEXT_MAX else line[: TEXT_MAX - 1] + "…"


def body(told: Told) -> bytes:
    """JSON in ASCII, one line. Names that are no UTF-8 are in it as Python's surrogates, escaped."""
    said = {
        "schema": SCHEMA,
        "kind": told.event.kind.value,
        "id": told.number,
        "at": _iso(told.at_ns),
        "mount": told.mount,
        "text": told.text,
        "data": told.event.facts,
    }
    return json.dumps(said).encode("ascii") + b"\n"


def environment(told: Told, inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment of a command: where programs and a home are, and the event; none of the daemon's secrets."""
    kept = {name: value for name, value in inherited.items() if _is_passed_on(name)}
    said = {
        "SCHEMA": str(SCHEMA),
        "KIND": told.event.kind.value,
        "ID": told.number,
        "AT": _iso(told.at_ns),
        "MOUNT": told.mount,
        "TEXT": told.text,
        "JOB": told.event.job,
    }
    return kept | {PREFIX + name: value for name, value in said.items()}


def headers(told: Told) -> dict[str, str]:
    """Of the POST to a URL. Nothing that a stranger named is in them."""
    return {
        "Content-Type": "application/json",
        "User-Agent": f"mountfs/{__version__}",
        "Mountfs-Event": told.event.kind.value,
        "Mountfs-Schema": str(SCHEMA),
    }


def _is_passed_on(name: str) -> bool:
    return name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)


def _iso(at_ns: int) -> str:
    return f"{datetime.fromtimestamp(at_ns // _SECOND_NS, UTC):%Y-%m-%dT%H:%M:%SZ}"
