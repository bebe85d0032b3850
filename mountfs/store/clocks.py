"""Looks at the clocks, and the one that was noted at the last cleanup that went through."""

import contextlib
import json
from pathlib import Path
from typing import Final

from mountfs.catalog import Catalog
from mountfs.clock import Clock, Stamps
from mountfs.retention import Moment, moment_of, plain_moment

RAN: Final = "retention_ran"
"""In the catalog's notes."""

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


def look(clock: Clock, stamps: Stamps) -> Moment:
    """What the clocks show now; the server's where one has told its time since the start."""
    boot = ""
    with contextlib.suppress(OSError):
        boot = _BOOT.read_text().strip()
    server_ns = stamps.now_ms() * 1_000_000 if stamps.is_told else None
    return Moment(clock.now_ns(), int(clock.monotonic() * 1e9), boot, server_ns)


def last_look(catalog: Catalog) -> dict[str, object] | None:
    """As `plain_moment` writes it; None: no cleanup ever went through."""
    said = catalog.meta(RAN)
    return None if said is None else dict(json.loads(said))


def note_look(catalog: Catalog, said: dict[str, object]) -> None:
    with catalog.transaction():
        catalog.set_meta(RAN, json.dumps(plain_moment(moment_of(said))))
