"""What a caller says about an artifact beside its bytes, checked once and in the words of xattrs."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass

from mountfs import namespace
from mountfs.errors import InvalidArgument, Protected, TagTooLarge

MIME_CHARACTERS = 255
PINNED = b"user.mountfs.pinned"


@dataclass(frozen=True, slots=True)
class About:
    """The arguments of `put` that are no content."""

    type: str | None = None
    tags: Mapping[str, object] | None = None
    metadata: Mapping[str, object] | None = None
    mime_type: str | None = None
    expires: str | None = None


def attributes_of(about: About, *, types: Mapping[str, str]) -> dict[bytes, bytes]:
    """The xattrs to set. Raises InvalidName, InvalidArgument, TagTooLarge before anything is written."""
    found: dict[bytes, bytes] = {}
    if about.type:
        found[b"user.mountfs.type"] = namespace.canonical_type(about.type, extra=types).encode()
    if about.mime_type:
        if len(about.mime_type) > MIME_CHARACTERS or not about.mime_type.isprintable():
            raise InvalidArgument(f"mime_type: at most {MIME_CHARACTERS} printable characters")
        found[b"user.mountfs.mime_type"] = about.mime_type.encode()
    if about.expires:
        namespace.parse_expiry(about.expires, now_ns=time.time_ns())
        found[b"user.mountfs.expires_at"] = about.expires.encode()
    if about.metadata:
        found[b"user.mountfs.metadata"] = _metadata(about.metadata)
    return found | tag_attributes(about.tags or {})


def tag_attributes(tags: Mapping[str, object]) -> dict[bytes, bytes]:
    """Tags as xattrs; a value that is no text is written as Python prints it."""
    if len(tags) > namespace.MAX_TAGS:
        raise TagTooLarge(f"{len(tags)} tags; allowed: {namespace.MAX_TAGS}")
    found = {}
    for key, value in tags.items():
        raw = str(value).encode("utf-8", "surrogateescape")
        namespace.check_tag(key, raw)
        found[b"user." + key.encode()] = raw
    return found


def no_tags_on_symlink(key: str) -> Protected:
    """The refusal of both routes: the kernel gives a symlink no `user.` attributes either."""
    return Protected(f"{key} is a symlink, which takes no tags: tag what it points to")


def _metadata(metadata: Mapping[str, object]) -> bytes:
    try:
        text = json.dumps(dict(metadata), ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"metadata: not JSON ({error})") from None
    if len(text) > namespace.XATTR_VALUE_MAX:
        raise TagTooLarge(f"metadata of {len(text)} bytes; allowed: up to {namespace.XATTR_VALUE_MAX}")
    return text
