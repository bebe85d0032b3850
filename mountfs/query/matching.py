"""Whether an artifact is what a query asks for: the meaning of the language, that SQL over the index is held to."""

import fnmatch
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import assert_never

from mountfs.query.model import (
    And,
    Flag,
    HasTag,
    Moment,
    Not,
    Number,
    Op,
    Or,
    Query,
    TagText,
    Text,
)


@dataclass(frozen=True, slots=True)
class Item:
    """The facts of one artifact that a query may ask for; None: it has none. Bytes are text by surrogateescape.

    `path` is below the job; `tags` are all that count for it, inherited ones too; `sha256` is lower-case hex.
    """

    job: str
    path: str
    type: str
    size: int
    stored: int
    created_ns: int
    modified_ns: int
    published_ns: int
    kind: str = "file"
    mime: str = "text/plain"
    expires_ns: int | None = None
    pinned: bool = False
    recovered: bool = False
    format: str | None = None
    sha256: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


def matches(query: Query, item: Item) -> bool:
    """Whether all that the query asks for is so."""
    match query:
        case And(parts):
            return all(matches(part, item) for part in parts)
        case Or(parts):
            return any(matches(part, item) for part in parts)
        case Not(part):
            return not matches(part, item)
        case Text(name, op, value):
            return _text(name, op, value, item)
        case Number(name, op, number):
            held: int = getattr(item, name)
            return _compares(op, held, number, number + 1)
        case Moment(name, op, span):
            at_ns: int | None = getattr(item, f"{name}_ns")
            return at_ns is not None and _compares(op, at_ns, span.begin_ns, span.end_ns)
        case Flag(name):
            return bool(getattr(item, name))
        case HasTag(key):
            return key in item.tags
        case TagText(key, op, value):
            tag = item.tags.get(key)
            return tag is not None and (tag == value if op is Op.EQ else fits(value, tag))
        case _:
            assert_never(query)


def _text(name: str, op: Op, value: str, item: Item) -> bool:
    held: str | None = getattr(item, name)
    if held is None:
        return False
    if op is Op.EQ:
        return held == value
    return held.startswith(value) if name == "sha256" else fits(value, held)


def _compares(op: Op, held: int, begin: int, end: int) -> bool:
    match op:
        case Op.EQ:
            return begin <= held < end
        case Op.LT:
            return held < begin
        case Op.LE:
            return held < end
        case Op.GT:
            return held >= end
        case Op.GE:
            return held >= begin
        case Op.LIKE:
            raise AssertionError("numbers and moments have no globs")
        case _:
            assert_never(op)


def fits(glob: str, text: str) -> bool:
    """Whether a text fits a glob of `*`, `?` and `[…]`, case-sensitive; `*` goes over `/` too."""
    return _pattern(glob).match(text) is not None


@functools.lru_cache(maxsize=256)
def _pattern(glob: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(glob))
