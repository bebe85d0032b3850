"""Extended attributes: which are tags, which are facts, and what a tag may hold."""

import re
from dataclasses import dataclass
from typing import Final

from mountfs.errors import InvalidName, TagTooLarge
from mountfs.namespace.keys import NAME_MAX, encoded, shown

MAX_TAGS: Final = 64
TAG_VALUE_MAX: Final = 1024
XATTR_VALUE_MAX: Final = 64 * 1024
"""The kernel's own limit of a value."""

TAG_KEY: Final = re.compile(r"[a-z0-9_-]+")
TAG_KEY_MAX: Final = NAME_MAX - len("user.")


WRITABLE_FACTS: Final = frozenset({"type", "mime_type", "expires_at", "pinned", "codec", "metadata"})
_COMPUTED_FACTS: Final = frozenset(
    {"sha256", "size", "stored_size", "version", "created_at", "state", "recovered", "uri", "url"}
    | {"signature", "format", "summary"}
)
FACTS: Final = WRITABLE_FACTS | _COMPUTED_FACTS
REQUEST_FACTS: Final = frozenset({"flush", "evict", "prefetch"})
"""Written, never read: each only enqueues."""


@dataclass(frozen=True, slots=True)
class Tag:
    """`user.<key>` with a key of `a-z 0-9 _ -`: indexed, inherited, seen in views."""

    key: str


@dataclass(frozen=True, slots=True)
class Fact:
    """`user.mountfs.<field>`, known or not: answered on request, never listed."""

    field: str


@dataclass(frozen=True, slots=True)
class Plain:
    """Any other `user.` name: kept as it is, not indexed."""

    name: bytes


@dataclass(frozen=True, slots=True)
class Foreign:
    """A namespace we do not serve: `security.`, `system.`, `trusted.`…"""


Xattr = Tag | Fact | Plain | Foreign
_FOREIGN: Final = Foreign()


def tag_key(xattr_name: bytes) -> str | None:
    """The tag that this xattr is, None when it is something else."""
    if not xattr_name.startswith(b"user."):
        return None
    key = xattr_name[5:].decode("ascii", "replace")
    return key if TAG_KEY.fullmatch(key) else None


def classify_xattr(name: bytes) -> Xattr:
    """What a name of an xattr means here. `security.*` comes before every write, so it is decided first."""
    if not name.startswith(b"user.") or name == b"user.":
        return _FOREIGN
    if name.startswith(b"user.mountfs."):
        return Fact(name[13:].decode("utf-8", "surrogateescape"))
    key = tag_key(name)
    return Plain(name) if key is None else Tag(key)


def check_tag(key: str, value: bytes) -> None:
    """Accept a tag: its key of `a-z 0-9 _ -`, its value up to 1 KiB."""
    if not TAG_KEY.fullmatch(key) or len(key) > TAG_KEY_MAX:
        hint = " (key and value are separate here: no '=' in a key)" if "=" in key else ""
        raise InvalidName(f"{shown(key)} is not a tag key{hint}; allowed: 1 to {TAG_KEY_MAX} of a-z 0-9 _ -")
    if len(value) > TAG_VALUE_MAX:
        raise TagTooLarge(f"tag {key}: a value of {len(value)} bytes; allowed: up to {TAG_VALUE_MAX}")


def parse_tag(text: str) -> tuple[str, bytes]:
    """`key=value` as a command line says it; without `=` a label, a tag with an empty value (F-090)."""
    key, _, value = text.partition("=")
    raw = encoded(value)
    check_tag(key, raw)
    return key, raw
