"""What the control requests of a daemon work with, put together once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

import trio

from mountfs.daemon.background import Background
from mountfs.daemon.runs import Runs
from mountfs.errors import ConfigError
from mountfs.events import Event
from mountfs.store.paths import Changes
from mountfs.store.store import Store
from mountfs.transfers.bucket import Bucket

REMOVED_AT_ONCE: Final = 8
"""Entries, 2 ms of the loop: then others are served."""


class Tell(Protocol):
    """Of an event; `number` is one that it keeps when it is told again, `then` is called once it was told."""

    def __call__(self, event: Event, *, number: str | None = None, then: Callable[[], None] | None = None) -> None: ...


def _nobody(event: Event, *, number: str | None = None, then: Callable[[], None] | None = None) -> None:
    """Only a mount tells of what happened."""


@dataclass(slots=True)
class Parts:
    """`bucket` is None where the settings name none; `changed` tells the kernel what it may no longer remember.

    `tell` is for whoever the settings name under `events`; whoever drops what expired holds `expiring`.
    """

    store: Store
    background: Background
    changed: Callable[[Changes], None]
    wake: Callable[[], None]
    bucket: Bucket | None = field(default=None)
    runs: Runs = field(default_factory=Runs)
    tell: Tell = _nobody
    expiring: trio.Lock = field(default_factory=trio.Lock)
    read_only: bool = False

    def need_bucket(self) -> Bucket:
        """The bucket of the settings. Raises ConfigError where they name none."""
        if self.bucket is None:
            raise ConfigError("this store has no bucket: the settings name none (storage.backend: s3 or directory)")
        return self.bucket
