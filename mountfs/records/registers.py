"""Registers: what one path is made of besides its name, and the shape in which each is believed.

One we do not know is kept as it is. One we know is refused in another shape, with the record around it: behind this
door nobody asks again whether a mode is a number or a type a name that a view may show.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from re import compile as pattern
from typing import Final

from mountfs.namespace import (
    NAME_MAX,
    TAG_KEY,
    TAG_KEY_MAX,
    TYPE_SLUG,
    XATTR_VALUE_MAX,
    Plain,
    classify_xattr,
)
from mountfs.records.contents import check_content, take_time
from mountfs.records.values import (
    RecordRefused,
    Value,
    bytes_of_value,
    field_of_bytes,
    from_base64,
    parse_object,
)

MOST_REGISTER_NAME: Final = 512  # characters
MOST_TEXT: Final = 2 * XATTR_VALUE_MAX  # characters

_EXPIRY: Final = pattern(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_CONTROLS: Final = pattern(r"[\0-\x1f\x7f-\x9f]")
_NOBODY: Final = (1 << 32) - 1  # chown's word for "leave it as it is"


def xattr_register(name: bytes) -> str:
    """The register of an xattr that is no tag: `xattr:<name>`, or `xattr_b64:…` where it is not UTF-8."""
    ((kind, text),) = field_of_bytes("xattr", name).items()
    return f"{kind}:{text}"


def xattr_name(register: str) -> bytes | None:
    """Inverse of `xattr_register`; None for other registers. Raises RecordRefused."""
    kind, _, text = register.partition(":")
    match kind:
        case "xattr":
            return text.encode()
        case "xattr_b64":
            return from_base64(text)
        case _:
            return None


def check_register(name: str, value: Value) -> None:
    """Accept any register of a name that we do not know, and the known ones in their shape. Raises RecordRefused."""
    check = _CHECKS.get(name)
    if check is not None:
        check(value)
    elif name.startswith("tag:"):
        _check_tag(name[4:], value)
    elif name.startswith(("xattr:", "xattr_b64:")):
        _check_xattr(name, value)
    elif len(name) > MOST_REGISTER_NAME:
        raise RecordRefused(f"a name of {len(name)} characters")


def _check_tag(key: str, value: Value) -> None:
    if not TAG_KEY.fullmatch(key) or len(key) > TAG_KEY_MAX:
        raise RecordRefused("no key of a tag")
    _check_bytes(value)


def _check_xattr(register: str, value: Value) -> None:
    name = xattr_name(register) or b""
    # one name, one register: neither a tag or a fact under another name, nor text in base64
    if register != xattr_register(name) or not isinstance(classify_xattr(name), Plain):
        raise RecordRefused("no name of an extended attribute")
    if len(name) > NAME_MAX or b"\0" in name:
        raise RecordRefused("no name of an extended attribute")
    _check_bytes(value)


def _check_bytes(value: Value) -> None:
    """Bytes that the kernel can hand out; None: taken away."""
    if value is not None and len(bytes_of_value(value)) > XATTR_VALUE_MAX:
        raise RecordRefused(f"a value of more than {XATTR_VALUE_MAX} bytes")


def _check_content(value: Value) -> None:
    if value is not None:
        check_content(value)


def _check_mode(value: Value) -> None:
    if type(value) is not int or not 0 <= value <= 0o7777:
        raise RecordRefused("no permission bits")


def _check_owner(value: Value) -> None:
    if not isinstance(value, list) or len(value) != 2:
        raise RecordRefused("not a uid and a gid")
    uid, gid = value
    if type(uid) is not int or type(gid) is not int or not (0 <= uid < _NOBODY and 0 <= gid < _NOBODY):
        raise RecordRefused("not a uid and a gid")


def _check_mtime(value: Value) -> None:
    take_time({"mtime": value}, "mtime")


def _check_pinned(value: Value) -> None:
    if value is not None and not isinstance(value, bool):
        raise RecordRefused("neither true nor false")


def _check_type(text: str) -> None:
    if not TYPE_SLUG.fullmatch(text):
        raise RecordRefused("no type")


def _check_mime_type(text: str) -> None:
    if len(text) > 255 or _CONTROLS.search(text):
        raise RecordRefused("no MIME type")


def _check_expires_at(text: str) -> None:
    try:
        if _EXPIRY.fullmatch(text):
            datetime.fromisoformat(text)
            return
    except ValueError:
        pass
    raise RecordRefused("no time like 2026-12-24T18:00:00Z")


def _check_metadata(text: str) -> None:
    parse_object(text)


def _texts(check: Callable[[str], None]) -> Callable[[Value], None]:
    """For a fact that is text, or None: taken away."""

    def checked(value: Value) -> None:
        if value is None:
            return
        if not isinstance(value, str) or len(value) > MOST_TEXT:
            raise RecordRefused(f"no text of up to {MOST_TEXT} characters")
        check(value)

    return checked


_CHECKS: Final[Mapping[str, Callable[[Value], None]]] = {
    "content": _check_content,
    "mode": _check_mode,
    "owner": _check_owner,
    "mtime": _check_mtime,
    "pinned": _check_pinned,
    "type": _texts(_check_type),
    "mime_type": _texts(_check_mime_type),
    "expires_at": _texts(_check_expires_at),
    "metadata": _texts(_check_metadata),
}
