"""State directories to begin on, and the command that goes on from there in a process of its own."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from mountfs.store.options import Options
from mountfs.store.store import Store
from tests.crash.scenarios import FROM_NOTHING, PREPARED
from tests.crash.steps import World

REPOSITORY = Path(__file__).resolve().parents[2]


class Beginnings:
    """Makes each state directory once; whoever changes one copies it first."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def of(self, name: str) -> Path:
        """Where the scenario of that name begins."""
        if name in FROM_NOTHING:
            return self._made("empty", lambda path: path.mkdir())
        if name == "recovery":
            return self._made("unfinished", self._leave_unfinished)
        return self._made("prepared", _prepare)

    def of_an_earlier_boot(self, name: str) -> Path:
        """The same, left before the machine was last started."""
        return self._made(f"earlier-{self.of(name).name}", lambda path: _age(self.of(name), path))

    def _made(self, kind: str, make: Callable[[Path], object]) -> Path:
        path = self._directory / kind
        if not path.exists():
            make(path)
        return path

    def _leave_unfinished(self, path: Path) -> None:
        """What a daemon leaves that is killed at the end of the scenario `unfinished`."""
        shutil.copytree(self.of("unfinished"), path)
        subprocess.run(
            [word.replace("{root}", str(path)) for word in command("unfinished")], check=True, stdout=subprocess.DEVNULL
        )


def _prepare(path: Path) -> None:
    """A store with `PREPARED` in it, closed in order. Its ballast is emptied: it is copied very often."""
    store = Store.open(path, Options())
    world = World(store)
    for step in PREPARED:
        step.perform(world)
    store.settler.settle_all()
    store.close()
    os.truncate(path / "ballast", 0)


def _age(source: Path, path: Path) -> None:
    shutil.copytree(source, path)
    if (path / "catalog.db").exists():
        with contextlib.closing(sqlite3.connect(path / "catalog.db")) as db, db:
            db.execute("UPDATE meta SET value = 'an earlier boot' WHERE key = 'boot_id'")


def command(name: str) -> list[str]:
    """Performs a scenario on the state directory `{root}`. Coverage of a process that dies is not measured."""
    without_coverage = ["-u", "COVERAGE_PROCESS_START", "-u", "COVERAGE_PROCESS_CONFIG"]
    python = [sys.executable, "-m", "tests.crash.play", name, "{root}"]
    return ["env", *without_coverage, f"PYTHONPATH={REPOSITORY}", *python]
