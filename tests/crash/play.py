"""Performs a scenario in a process that is to die: `python -m tests.crash.play SCENARIO STATE`.

After each step its number is printed: that, and nothing later, is acknowledged. Segments of the journal and logs
of drafts are made small, so that they begin anew within a scenario.
"""

import os
import sys
from pathlib import Path

from mountfs import drafts, journal
from mountfs.store import recovery
from mountfs.store.options import Options
from mountfs.store.store import Store
from tests.crash.scenarios import steps_of
from tests.crash.steps import World
from tests.faults.shim import mark

SEGMENT_BYTES = 64 << 10
COMPACT_BYTES = 150_000
BOOT = "the boot before the power failed"


def play(name: str, state: Path, *, marks: bool = False) -> None:
    """Do all steps; with `marks` note each in the trace too, and pretend to run before the machine restarts."""
    journal.SEGMENT_BYTES = SEGMENT_BYTES
    drafts.COMPACT_BYTES = COMPACT_BYTES
    if marks:
        recovery.boot_id = lambda: BOOT  # type: ignore[attr-defined]
    world = World(Store.open(state, Options(versions=name == "versions")))
    for number, step in enumerate(steps_of(name), 1):
        step.perform(world)
        if marks:
            mark(str(number))
        print(number, flush=True)


if __name__ == "__main__":
    play(sys.argv[1], Path(sys.argv[2]), marks="SHIM_TRACE" in os.environ)
    os._exit(0)
