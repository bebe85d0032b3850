"""Which store is meant: by what the caller says, by what is mounted, by the settings found upward (DESIGN §7)."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mountfs.daemon.mountpoint import Mount, mount_at, our_mounts, real_path

if TYPE_CHECKING:
    from mountfs.config import Settings

DEFAULT_MOUNTPOINT = ".artifacts"


@dataclass(frozen=True)
class Place:
    """Where a store is. `mounted` says what the mount table says: its daemon may be dead all the same.

    The settings are read when they are needed: a store that is mounted answers without them.
    """

    mountpoint: Path
    state: Path
    mounted: bool
    read_settings: "Callable[[], Settings]"

    @cached_property
    def settings(self) -> "Settings":
        return self.read_settings()


@dataclass(frozen=True, slots=True)
class Said:
    """What the caller says about where the store is; None where nothing."""

    mount: Path | None = None
    state: Path | None = None
    config: Path | Mapping[str, object] | None = None


def locate(said: Said, *, environ: Mapping[str, str], cwd: Path) -> Place:
    """The store that is meant in `cwd`. Raises ConfigError.

    In this order: what is said, `MOUNTFS_MOUNT`, the nearest mount or settings file upward, `.artifacts` here.
    """

    def read_settings() -> "Settings":
        return settings_of(said, environ=environ, cwd=cwd)

    if said.state is not None:
        return _by_state(_real(cwd / said.state), said.mount and cwd / said.mount, read_settings)
    chosen = said.mount or (Path(environ["MOUNTFS_MOUNT"]) if environ.get("MOUNTFS_MOUNT") else None)
    if chosen is not None:
        return _by_mountpoint(real_path(cwd / chosen), read_settings, environ)
    if said.config is None:
        mount = nearest_mount(cwd, our_mounts(), settings_count=_settings_are_chosen(environ))
        if mount is not None:
            return Place(mount.mountpoint, mount.state, True, read_settings)
    settings = read_settings()
    return _by_mountpoint(real_path(settings.mountpoint), lambda: settings, environ)


def settings_of(said: Said, *, environ: Mapping[str, str], cwd: Path) -> "Settings":
    from mountfs.config import load_settings

    if isinstance(said.config, Path):
        return load_settings(environ=environ, cwd=cwd, cli_path=said.config).settings
    return load_settings(said.config, environ=environ, cwd=cwd).settings


def _by_state(state: Path, mountpoint: Path | None, read_settings: "Callable[[], Settings]") -> Place:
    mount = _mount_of(state)
    if mount is not None:
        return Place(mount.mountpoint, state, True, read_settings)
    return Place(real_path(mountpoint or read_settings().mountpoint), state, False, read_settings)


def _by_mountpoint(
    mountpoint: Path, read_settings: "Callable[[], Settings]", environ: Mapping[str, str]
) -> Place:  # fmt: skip
    mount = mount_at(mountpoint)
    if mount is not None:
        return Place(mountpoint, mount.state, True, read_settings)
    from mountfs.config import state_dir_for

    return _by_state(_real(state_dir_for(mountpoint, read_settings(), environ)), mountpoint, read_settings)


def _mount_of(state: Path) -> Mount | None:
    return next((m for m in reversed(our_mounts()) if m.state == state), None)


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _settings_are_chosen(environ: Mapping[str, str]) -> bool:
    return any(environ.get(name) for name in ("MOUNTFS_CONFIG", "MOUNTFS_MOUNTPOINT", "MOUNTFS_STATE"))


def nearest_mount(cwd: Path, mounts: list[Mount], *, settings_count: bool) -> Mount | None:
    """The mount that `cwd` is in, else a `.artifacts` mounted here or above, below no nearer settings file.

    Settings chosen by the environment (`settings_count`) stand above all but the mount around `cwd`.
    """
    from mountfs.config.places import FILE_NAMES

    by_place = {mount.mountpoint: mount for mount in mounts}
    here = (cwd, *cwd.parents)
    around = next((by_place[directory] for directory in here if directory in by_place), None)
    if around is not None or settings_count or not by_place:
        return around
    for directory in here:
        if directory / DEFAULT_MOUNTPOINT in by_place:
            return by_place[directory / DEFAULT_MOUNTPOINT]
        if any(os.path.isfile(directory / name) for name in FILE_NAMES):
            return None
    return None
