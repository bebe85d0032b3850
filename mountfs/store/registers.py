"""Registers of a path as the catalog's rows hold them, and as records do: nothing but values."""

import json
from typing import Final

from mountfs.model import Kind
from mountfs.records import (
    ContentValue,
    DirectoryContent,
    FileContent,
    PathState,
    SymlinkContent,
    Value,
    bytes_of_value,
    canonical,
    value_of_bytes,
)

NEVER: Final = "000000000000-0000-00000000"
"""The stamp of a register that nobody ever set, in an entry whose content somebody did."""

FIELDS: Final = frozenset({"content", "mode", "owner", "mtime"})
"""Registers that are columns of the entry."""

MODES: Final = {Kind.FILE: 0o644, Kind.DIRECTORY: 0o755, Kind.SYMLINK: 0o777}
_TEXTS: Final = frozenset({"type", "mime_type", "expires_at", "metadata"})


def kind_of(content: ContentValue) -> Kind:
    match content:
        case FileContent():
            return Kind.FILE
        case DirectoryContent():
            return Kind.DIRECTORY
        case SymlinkContent():
            return Kind.SYMLINK


def beside(state: PathState, register: str, stamp: str) -> str | None:
    """The stamp of a register as an entry has it: None where it is that of the content."""
    held = state.registers.get(register, (NEVER, None))[0]
    return None if held == stamp else held


def beside_mtime(state: PathState, stamp: str) -> str | None:
    held = state.registers.get("mtime", ("", None))[0]
    return held if held > stamp else None


def register_of_value(name: str, value: Value) -> tuple[str, bytes | None]:
    """A register as the catalog holds it, from a record's."""
    if name.startswith(("tag:", "xattr:", "xattr_b64:")):
        return name, None if value is None else bytes_of_value(value)
    if name in _TEXTS:
        return name, None if value is None else str(value).encode("utf-8", "surrogateescape")
    if name == "pinned":
        return name, b"1" if value is True else None
    return f"?{name}", canonical(value).encode()


def value_of_register(name: str, raw: bytes | None) -> Value:
    """Inverse of `register_of_value`."""
    if name.startswith("?"):
        parsed: Value = json.loads(raw or b"null")
        return parsed
    if raw is None:
        return None
    if name == "pinned":
        return raw == b"1"
    return raw.decode("utf-8", "replace") if name in _TEXTS else value_of_bytes(raw)
