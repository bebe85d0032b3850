"""The fields of an artifact, how each may be compared, and what its values are."""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from mountfs.errors import InvalidArgument
from mountfs.namespace import canonical_type
from mountfs.namespace.keys import shown
from mountfs.namespace.units import parse_size
from mountfs.query.model import Condition, Flag, Moment, Not, Number, Op, Query, Text, negation
from mountfs.query.moments import parse_span

KEYWORDS: Final = frozenset({"and", "or", "not"})
TAG_PREFIX: Final = "tag."

_TEXTS: Final = frozenset({"job", "path", "name", "type", "format", "mime", "sha256"})
_KINDS: Final = ("file", "symlink")
_SIZES: Final = frozenset({"size", "stored"})
_MOMENTS: Final = frozenset({"created", "modified", "published", "expires"})
FLAGS: Final = frozenset({"pinned", "recovered"})
FIELDS: Final = frozenset({*_TEXTS, "kind", *_SIZES, *_MOMENTS, *FLAGS})

_ORDERED: Final = ("=", "!=", "<", "<=", ">", ">=")
_MATCHED: Final = ("=", "!=", "~", "!~")
_ONLY_EQUAL: Final = ("=", "!=")
_YES: Final = frozenset({"yes", "true", "1"})
_NO: Final = frozenset({"no", "false", "0"})
_HEX: Final = re.compile(r"[0-9a-f]{1,64}")


@dataclass(frozen=True, slots=True)
class Sense:
    """What a text needs to be understood: the time that `7d` counts from, and the settings' own types."""

    now_ns: int
    extra: Mapping[str, str]


def allowed_operators(field: str) -> tuple[str, ...]:
    """The operators that a field may stand before."""
    if field in _TEXTS:
        return _MATCHED
    return _ONLY_EQUAL if field in FLAGS or field == "kind" else _ORDERED


def nearest_field(word: str) -> str | None:
    """The field that somebody who wrote this may have meant."""
    close = difflib.get_close_matches(word.lower(), sorted(FIELDS), n=1, cutoff=0.6)
    return close[0] if close else None


def condition(field: str, operator: str, value: str, sense: Sense) -> Query:
    """What a field, an operator that it allows and a value say. Raises InvalidArgument, InvalidName."""
    negated = operator.startswith("!")
    made = _positive(field, Op(operator.removeprefix("!")), value, sense)
    return negation(made) if negated else made


def _positive(field: str, op: Op, value: str, sense: Sense) -> Query:
    if field in _SIZES:
        return Number(field, op, parse_size(value))
    if field in _MOMENTS:
        return Moment(field, op, parse_span(value, now_ns=sense.now_ns))
    if field in FLAGS:
        return _flag(field, value)
    if field == "type" and op is Op.EQ:
        return Text(field, op, canonical_type(value, extra=sense.extra))
    return Text(field, op, _CHECKED.get(field, _as_it_is)(op, value))


def _flag(field: str, value: str) -> Condition | Not:
    if value.lower() in _YES:
        return Flag(field)
    if value.lower() in _NO:
        return Not(Flag(field))
    raise InvalidArgument(f"{shown(value)} is neither yes nor no")


def _as_it_is(op: Op, value: str) -> str:
    return value


def _kind(op: Op, value: str) -> str:
    if value not in _KINDS:
        raise InvalidArgument(f"{shown(value)} is not a kind; allowed: {' and '.join(_KINDS)}")
    return value


def _sha256(op: Op, value: str) -> str:
    digits = value.lower().removesuffix("*") if op is Op.LIKE else value.lower()
    if not _HEX.fullmatch(digits):
        raise InvalidArgument(f"{shown(value)} is not a SHA-256; allowed: hex digits")
    if op is Op.EQ and len(digits) != 64:
        raise InvalidArgument(f"a SHA-256 has 64 hex digits, not {len(digits)}; sha256~ asks for the first of them")
    return digits


_CHECKED: Final[dict[str, Callable[[Op, str], str]]] = {"kind": _kind, "sha256": _sha256}
