"""Where files of mountfs lie: the XDG directories, and the state directory of a mountpoint."""

import hashlib
import os
import pwd
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mountfs.config.schema import Settings

FILE_NAMES: Final = ("mountfs.yml", "mountfs.yaml", "mountfs.json")


def home_dir(environ: Mapping[str, str]) -> Path:
    """`$HOME`, or what the account says where a service has none."""
    return Path(environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir)


def _xdg(environ: Mapping[str, str], variable: str, below_home: str) -> Path:
    said = environ.get(variable, "")
    # the XDG specification: a relative path here is invalid and to be ignored
    return Path(said) if said.startswith("/") else home_dir(environ) / below_home


def config_home(environ: Mapping[str, str]) -> Path:
    return _xdg(environ, "XDG_CONFIG_HOME", ".config") / "mountfs"


def state_home(environ: Mapping[str, str]) -> Path:
    return _xdg(environ, "XDG_STATE_HOME", ".local/state") / "mountfs"


def state_dir_for(mountpoint: Path, settings: "Settings", environ: Mapping[str, str]) -> Path:
    """The state directory of a mountpoint: `state` of the settings, else one of its own below XDG's."""
    if settings.state is not None:
        return settings.state
    absolute = os.path.abspath(mountpoint)
    digest = hashlib.sha256(os.fsencode(absolute)).hexdigest()
    # a basename may itself have 255 bytes; the hash is what tells two mountpoints apart
    return state_home(environ) / f"{os.path.basename(absolute)[:50]}-{digest[:16]}"


def find_upward(cwd: Path) -> Path | None:
    """What has the name of a settings file in `cwd` or the nearest directory above it, whatever it is."""
    for directory in (cwd, *cwd.parents):
        for name in FILE_NAMES:
            candidate = directory / name
            if os.path.lexists(candidate):
                return candidate
    return None
