"""What a query is once it is read: conditions, and `And`, `Or`, `Not` over them.

Made by `conjunction`, `disjunction` and `negation`, a query has one form: no `And` directly in an `And`, no `Or` in an
`Or`, no `Not` of a `Not`, and neither holds a single part.
"""

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final


class Op(enum.StrEnum):
    """How a value is compared. `LIKE` is a glob; `!=` and `!~` are `Not` around the others."""

    EQ = "="
    LIKE = "~"
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="


@dataclass(frozen=True, slots=True)
class Span:
    """The time that a text such as `2026-11-21` or `7d` names, from `begin_ns` up to and without `end_ns`."""

    begin_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Text:
    """A field that is text: job, path, name, type, kind, format, mime, sha256. `op` is EQ or LIKE.

    `sha256` is 64 hex digits with EQ, and the first of them with LIKE.
    """

    field: str
    op: Op
    value: str


@dataclass(frozen=True, slots=True)
class Number:
    """size or stored, in bytes. Never LIKE."""

    field: str
    op: Op
    value: int


@dataclass(frozen=True, slots=True)
class Moment:
    """created, modified, published or expires. `>` is after the end of the span, `>=` from its beginning."""

    field: str
    op: Op
    span: Span


@dataclass(frozen=True, slots=True)
class Flag:
    """pinned or recovered: it is."""

    field: str


@dataclass(frozen=True, slots=True)
class HasTag:
    """There is a tag of that key, whatever its value."""

    key: str


@dataclass(frozen=True, slots=True)
class TagText:
    """The tag's value is this (EQ), or fits this glob (LIKE)."""

    key: str
    op: Op
    value: str


@dataclass(frozen=True, slots=True)
class Not:
    part: "Query"


@dataclass(frozen=True, slots=True)
class And:
    """All of these; of none it is everything."""

    parts: "tuple[Query, ...]"


@dataclass(frozen=True, slots=True)
class Or:
    """At least one of these; of none it is nothing."""

    parts: "tuple[Query, ...]"


Condition = Text | Number | Moment | Flag | HasTag | TagText
Query = Condition | Not | And | Or

EVERYTHING: Final = And(())
NOTHING: Final = Or(())


def conjunction(parts: Iterable[Query]) -> Query:
    """All of these, in their order and each once."""
    flat = tuple(dict.fromkeys(one for part in parts for one in (part.parts if isinstance(part, And) else (part,))))
    if NOTHING in flat:
        return NOTHING
    return flat[0] if len(flat) == 1 else And(flat)


def disjunction(parts: Iterable[Query]) -> Query:
    """At least one of these, in their order and each once."""
    flat = tuple(dict.fromkeys(one for part in parts for one in (part.parts if isinstance(part, Or) else (part,))))
    if EVERYTHING in flat:
        return EVERYTHING
    return flat[0] if len(flat) == 1 else Or(flat)


def negation(part: Query) -> Query:
    """What this is not."""
    if part == EVERYTHING:
        return NOTHING
    if part == NOTHING:
        return EVERYTHING
    return part.part if isinstance(part, Not) else Not(part)


def conjuncts(query: Query) -> tuple[Query, ...]:
    """Parts that all have to hold."""
    return query.parts if isinstance(query, And) else (query,)
