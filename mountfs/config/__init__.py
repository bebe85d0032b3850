"""Settings: one file, the environment, and what may be believed of either (DESIGN §6).

Importing this package costs nothing: pydantic (a tenth of a second) is imported by the first use of a name
that needs it, so that commands which answer from a running mount start fast. pydantic and YAML are
imported nowhere else. `mountfs.config.example` and `mountfs.config.trust` are modules for the commands of
the same names.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mountfs.config.load import Loaded, Origin, load_settings
    from mountfs.config.places import state_dir_for
    from mountfs.config.schema import Settings
    from mountfs.namespace.units import (
        exact_size,
        format_size,
        parse_duration_seconds,
        parse_size,
    )

__all__ = [
    "Loaded",
    "Origin",
    "Settings",
    "exact_size",
    "format_size",
    "load_settings",
    "parse_duration_seconds",
    "parse_size",
    "state_dir_for",
]

_HOMES = {
    "mountfs.config.load": ("Loaded", "Origin", "load_settings"),
    "mountfs.config.schema": ("Settings",),
    "mountfs.config.places": ("state_dir_for",),
    "mountfs.namespace.units": ("exact_size", "format_size", "parse_duration_seconds", "parse_size"),
}


def __getattr__(name: str) -> object:
    """Import the module that is the home of `name` when it is first asked for."""
    for module, names in _HOMES.items():
        if name in names:
            found: object = getattr(importlib.import_module(module), name)
            globals()[name] = found
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
