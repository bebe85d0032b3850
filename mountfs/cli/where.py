"""Which store a command means, and the options that say so."""

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from mountfs.cli import complain

if TYPE_CHECKING:
    from mountfs.api import ArtifactStore, Place

R = TypeVar("R")

_MEANINGS = {
    1: "no",
    2: "wrong usage or settings",
    3: "not found, or nothing is mounted",
    4: "refused",
    5: "no room now, or not in time",
    6: "this machine lacks something",
    7: "damaged",
    8: "in use",
    9: "no baseline",
}


@dataclass(frozen=True, slots=True)
class Where:
    """What the options say about where the store is."""

    mount: Path | None
    state: Path | None
    config: Path | None

    def place(self) -> "Place":
        from mountfs.api import Said, locate

        return locate(Said(self.mount, self.state, self.config), environ=os.environ, cwd=Path.cwd())

    def open(self, *, read_only: bool = False) -> "ArtifactStore":
        from mountfs.api import open_place
        from mountfs.cli.progress import ReportsRead
        from mountfs.store.interrupted import is_interrupted

        store = open_place(self.place(), read_only=read_only)
        store.on_reading, store.on_finished = ReportsRead(), complain
        if read_only and (said := is_interrupted(store.left())):
            complain(said)
        return store


class AnyPath(click.Path):
    """A path that nothing is asked about: `click.Path` calls stat, which hangs where a daemon does."""

    def convert(self, value: str | os.PathLike[str], *_: object) -> Path:
        return Path(value)


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.2 on
    """Seconds, said as `90s`, `10m` or a plain number."""

    name = "duration"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        from mountfs.errors import InvalidArgument
        from mountfs.namespace.units import parse_duration_seconds

        try:
            return parse_duration_seconds(value)
        except InvalidArgument as error:
            self.fail(str(error), param, ctx)


def WHERE(command: Callable[..., R]) -> Callable[..., R]:  # noqa: N802  # reads as the other decorators do
    """Options `--mount`, `--state`, `--config`, given to the command as `where`."""

    @click.option("--mount", type=AnyPath(), help="The mountpoint of the store that is meant.")
    @click.option("--state", type=AnyPath(), help="Its state directory.")
    @click.option("--config", type=AnyPath(), help="The settings file.")
    @functools.wraps(command)
    def with_where(*, mount: Path | None, state: Path | None, config: Path | None, **arguments: object) -> R:
        return command(where=Where(mount, state, config), **arguments)

    return with_where


def key_of(said: str, mountpoint: Path) -> str:
    """A key, or a path that leads into the mount from here, as a shell completes it."""
    if not said or said.startswith("/") or "://" in said:
        return said
    here = Path.cwd()
    path = Path(os.path.normpath(here / said))
    if not path.is_relative_to(mountpoint):
        return said
    if here.is_relative_to(mountpoint) and not os.path.lexists(path):
        return said
    return "" if path == mountpoint else str(path)


def exit_codes(*codes: int) -> str:
    """The last line of a help text."""
    return " · ".join(["Exit codes: 0 done", *(f"{code} {_MEANINGS[code]}" for code in codes), "70 a bug"])
