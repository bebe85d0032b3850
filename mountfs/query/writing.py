"""From a query to its one text."""

import re
from typing import Final, assert_never

from mountfs.query.fields import FIELDS, KEYWORDS, TAG_PREFIX
from mountfs.query.model import (
    EVERYTHING,
    NOTHING,
    And,
    Flag,
    HasTag,
    Moment,
    Not,
    Number,
    Or,
    Query,
    TagText,
    Text,
)
from mountfs.query.moments import format_span

_BARE: Final = re.compile(r"[\w./*?:@%+,\[\]{}#^&|;$-][\w./*?:@%+,\[\]{}#^&|;$=<>~!-]*", re.ASCII)


def unparse(query: Query) -> str:
    """The text of a query; `parse` gives an equal one back."""
    if query == NOTHING:
        return "not *"
    match query:
        case Or(parts):
            return " or ".join(unparse(part) for part in parts)
        case And(parts):
            return " and ".join(_inside(part) for part in parts) if parts else "*"
        case Not(Text() | Number() | Moment() | TagText() as part):
            return _compared(part, negated=True)
        case Not(part):
            return f"not {_inside(part)}"
        case _:
            return _positive(query)


def _inside(part: Query) -> str:
    return f"({unparse(part)})" if isinstance(part, Or | And) and part not in (EVERYTHING, NOTHING) else unparse(part)


def _positive(query: Text | Number | Moment | Flag | HasTag | TagText) -> str:
    match query:
        case Flag(field):
            return field
        case HasTag(key):
            return _key(key)
        case _:
            return _compared(query, negated=False)


def _compared(query: Text | Number | Moment | TagText, *, negated: bool) -> str:
    match query:
        case Text(field, op, value):
            return _joined(field, op, _quoted(value), negated=negated)
        case TagText(key, op, value):
            return _joined(_key(key), op, _quoted(value), negated=negated)
        case Number(field, op, number):
            return _joined(field, op, str(number), negated=negated)
        case Moment(field, op, span):
            return _joined(field, op, format_span(span), negated=negated)
        case _:
            assert_never(query)


def _joined(key: str, op: str, value: str, *, negated: bool) -> str:
    if not negated:
        return f"{key}{op}{value}"
    return f"{key}!{op}{value}" if op in ("=", "~") else f"not {key}{op}{value}"


def _key(key: str) -> str:
    return f"{TAG_PREFIX}{key}" if key in FIELDS or key in KEYWORDS else key


def _quoted(value: str) -> str:
    if _BARE.fullmatch(value):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\t", "\\t")
    return f"'{escaped}'"
