"""State directories to begin on, made once for a whole run of tests."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from mountfs.store.options import Options
from mountfs.store.store import Store
from tests.crash.scenarios import PREPARED, steps_of
from tests.crash.steps import World

REPOSITORY = Path(__file__).resolve().parents[2]


def prepared_state(path: Path) -> Path:
    """A store with `PREPARED` in it, closed in order. Its ballast is emptied: it is copied very often."""
    store = Store.open(path, Options())
    world = World(store)
    for step in PREPARED:
        step.perform(world)
    store.settler.settle_all()
    store.close()
    os.truncate(path / "ballast", 0)
    return path


def unfinished_state(prepared: Path, path: Path) -> Path:
    """What a daemon leaves that was killed after the scenario `unfinished`."""
    shutil.copytree(prepared, path)
    subprocess.run(scenario("unfinished", path), check=True, capture_output=True)
    assert steps_of("unfinished")
    return path


def scenario(name: str, state: Path | str = "{root}") -> list[str]:
    """The command that performs a scenario."""
    return [sys.executable, "-m", "tests.crash.play", name, str(state)]
