"""JSON as records and manifests hold it: one line an object, bytes that are not text in base64.

What it keeps true: whether a line is refused depends on its bytes alone, never on the machine that reads it, and what
was read is text that `jq` reads too.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from itertools import accumulate
from typing import Final, NoReturn

from mountfs.errors import CorruptContent
from mountfs.model import Codec, Digest

Value = str | int | float | bool | None | list["Value"] | dict[str, "Value"]
"""What JSON can say. Floats, of registers that we do not know, are finite."""

Fields = dict[str, Value]

MOST_LINE_BYTES: Final = 1 << 20
MOST_DEPTH: Final = 100
"""Python's own limit hangs on who calls: machines would differ over what lies between the two."""

MOST_CONTAINERS: Final = 1 << 15
"""Lists and objects of one line: more than the longest metadata can hold. A line full of them takes 0.2 s to parse."""

MOST_INT: Final = (1 << 63) - 1

_STRINGS: Final = re.compile(r'"(?:[^"\\]++|\\.?)*+"?', re.DOTALL)  # one without an end takes all: never tried twice
_BRACKETS: Final = re.compile(r"[\[\]{}]")
HASH: Final = re.compile(r"[0-9a-f]{64}")


class RecordRefused(CorruptContent):
    """A line that cannot be right: it is counted and named, passed on by merges, and changes nothing."""


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _finite(text: str) -> float:
    number = float(text)
    return number if abs(number) != float("inf") else _no_number(text[:20])


_decoder: Final = json.JSONDecoder(parse_constant=_no_number, parse_float=_finite)
_decode, _decode_first = _decoder.decode, _decoder.raw_decode
_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode


def canonical(value: Value) -> str:
    """The one text of a value: compact JSON with sorted keys."""
    return _encode(value)


def parse_line(line: bytes) -> Fields:
    """The object that a line of JSON holds. Raises RecordRefused."""
    if len(line) > MOST_LINE_BYTES:
        raise RecordRefused(f"a line of {len(line)} bytes; allowed: up to {MOST_LINE_BYTES}")
    if b"\n" in line:
        raise RecordRefused("more than one line")
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise RecordRefused("not UTF-8") from None
    return parse_object(text)


def parse_object(text: str) -> Fields:
    """The object that a JSON text holds. Raises RecordRefused."""
    if text.count("[") + text.count("{") > MOST_DEPTH:
        _check_nesting(text)
    try:
        fields, end = _decode_first(text)  # a fifth faster than `_decode`, which looks for white space around it
        if end != len(text):
            fields = _decode(text)
        if "\\u" in text:
            _encode(fields).encode()  # half a surrogate pair is in no text that others read
    except (ValueError, RecursionError) as error:
        raise RecordRefused(f"not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise RecordRefused("not a JSON object")
    return fields


def _check_nesting(text: str) -> None:
    """Refuse what would cost much to parse, before it is parsed."""
    bare = _STRINGS.sub("", text)
    if bare.count("[") + bare.count("{") > MOST_CONTAINERS:
        raise RecordRefused(f"more than {MOST_CONTAINERS} lists and objects")
    depths = accumulate(1 if bracket in "[{" else -1 for bracket in _BRACKETS.findall(bare))
    if max(depths, default=0) > MOST_DEPTH:
        raise RecordRefused(f"nested more than {MOST_DEPTH} deep")


# -- bytes ----------------------------------------------------------------------------------------------------


def to_base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def from_base64(value: Value) -> bytes:
    """The bytes of their one base64 text. Raises RecordRefused."""
    try:
        raw = base64.b64decode(value, validate=True) if isinstance(value, str) else b""
    except (binascii.Error, ValueError):
        raise RecordRefused("not base64") from None
    if value != to_base64(raw):
        raise RecordRefused("not base64")
    return raw


def value_of_bytes(raw: bytes) -> Value:
    """Bytes as a register holds them: text where they are UTF-8."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return {"b64": to_base64(raw)}


def bytes_of_value(value: Value) -> bytes:
    """Inverse of `value_of_bytes`. Raises RecordRefused."""
    if isinstance(value, str):
        return value.encode()
    if not isinstance(value, dict) or "b64" not in value:
        raise RecordRefused("neither text nor base64")
    return from_base64(value["b64"])


def field_of_bytes(name: str, raw: bytes) -> Fields:
    """Bytes as a field of their own: `<name>`, or `<name>_b64` where they are not UTF-8."""
    try:
        return {name: raw.decode()}
    except UnicodeDecodeError:
        return {f"{name}_b64": to_base64(raw)}


def bytes_of_field(fields: Mapping[str, Value], name: str) -> bytes:
    """Inverse of `field_of_bytes`. Raises RecordRefused, also when both are there."""
    value, in_base64 = fields.get(name), fields.get(f"{name}_b64")
    if isinstance(value, str) and in_base64 is None:
        return value.encode()
    if value is not None or in_base64 is None:
        raise RecordRefused(f"{name}: missing, not text, or there twice")
    return from_base64(in_base64)


# -- fields ---------------------------------------------------------------------------------------------------


def take_int(fields: Mapping[str, Value], name: str, *, least: int = 0, most: int = MOST_INT) -> int:
    """The whole number there, within these bounds. Raises RecordRefused."""
    number = fields.get(name)
    if type(number) is not int or not least <= number <= most:
        raise RecordRefused(f"{name}: no whole number from {least} to {most}")
    return number


def take_hash(fields: Mapping[str, Value], name: str) -> str:
    """The SHA-256 there, as 64 digits. Raises RecordRefused."""
    text = fields.get(name)
    if not isinstance(text, str) or not HASH.fullmatch(text):
        raise RecordRefused(f"{name}: not 64 digits of lower-case hex")
    return text


def take_digest(fields: Mapping[str, Value]) -> Digest:
    """The digest there. Raises RecordRefused."""
    return Digest(bytes.fromhex(take_hash(fields, "digest")))


def take_codec(fields: Mapping[str, Value]) -> Codec:
    """The codec there. Raises RecordRefused."""
    match fields.get("codec"):
        case "zstd":
            return Codec.ZSTD
        case "none":
            return Codec.RAW
        case _:
            raise RecordRefused("codec: neither zstd nor none")
