"""Which views there are: from names below the root to what they ask for. Pure; nothing here looks at an artifact.

A view is a directory that is answered when it is asked for. Some list values (`Menu`), some the jobs that fit a query
(`Jobs`), one picks the newest (`Latest`). A node is known by its names, so that it can be found again by them alone.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from mountfs import query
from mountfs.errors import MountfsError
from mountfs.namespace import TAG_KEY
from mountfs.query import Moment, Op, Query, TagText
from mountfs.retention import Policy
from mountfs.views.names import text_of_query, value_of_name

Names = tuple[bytes, ...]

MOST_FURTHER: Final = 8  # tags in one path below `.by-tag`
_DATE_PARTS: Final = (re.compile(rb"\d{4}"), re.compile(rb"0[1-9]|1[0-2]"), re.compile(rb"0[1-9]|[12]\d|3[01]"))


@dataclass(frozen=True, slots=True)
class Root:
    """A directory of the root that lists what can follow: `kind` says what that is.

    `types`, `keys` (of tags), `values` (of the tag `key`), `dates` (years, months or days), `queries` (none is listed).
    `within` is what the tags before it on the path ask for.
    """

    names: Names
    kind: str
    key: str = ""
    within: Query = query.EVERYTHING


@dataclass(frozen=True, slots=True)
class Jobs:
    """The jobs in which something fits a query; a job all of which fits is one link."""

    names: Names
    wanted: Query
    further: bool = False  # a tag's key may follow, and asks for both


@dataclass(frozen=True, slots=True)
class Recent:
    """The jobs that were published last."""

    names: Names


@dataclass(frozen=True, slots=True)
class Expiring:
    """What goes soon: by its own date, or by what the settings say of reports like it."""

    names: Names


@dataclass(frozen=True, slots=True)
class Latest:
    """Names and types in the newest successful jobs with a tag value."""

    names: Names
    key: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Versions:
    """Earlier states: of all jobs, of one, of a directory in one, or of one file."""

    names: Names


NAMES: Final = (
    b".by-branch", b".by-commit", b".by-date", b".by-tag", b".by-type", b".expiring", b".find", b".latest", b".recent",
    b".versions",
)  # fmt: skip
"""Of all views, as the root lists them where the settings say so."""

Node = Root | Jobs | Recent | Expiring | Latest | Versions


@dataclass(frozen=True, slots=True)
class Sense:
    """What names need to be understood: the time that `7d` counts from, the settings' own types, and what expires."""

    now_ns: int
    types: dict[str, str]
    policy: Policy = field(default_factory=Policy)


def node_at(names: Names, sense: Sense) -> Node | None:
    """The view of these names, the first of which begins with a dot; None where there is none. Raises QueryError."""
    node = _first(names[0], sense)
    for name in names[1:]:
        if node is None:
            return None
        node = child(node, name, sense)
    return node


def _first(name: bytes, sense: Sense) -> Node | None:
    names = (name,)
    match name:
        case b".by-type":
            return Root(names, "types")
        case b".by-tag":
            return Root(names, "keys")
        case b".by-branch":
            return Root(names, "values", "branch")
        case b".by-commit":
            return Root(names, "values", "commit")
        case b".by-date":
            return Root(names, "dates")
        case b".find":
            return Root(names, "queries")
        case b".latest":
            return Root(names, "keys")
        case b".recent":
            return Recent(names)
        case b".expiring":
            return Expiring(names)
        case b".versions":
            return Versions(names)
        case _:
            return None


def child(node: Node, name: bytes, sense: Sense) -> Node | None:
    """The view of that name in another, as far as names alone say so. Raises QueryError for what is no query."""
    names = (*node.names, name)
    match node:
        case Root(kind="types"):
            return _of_type(names, sense)
        case Root(kind="keys"):
            return _of_key(node, names)
        case Root(kind="values"):
            return _of_value(node, names)
        case Root(kind="dates"):
            return _of_date(names, sense)
        case Root(kind="queries"):
            return _of_query(names, sense)
        case Jobs(further=True):
            key = name.decode("ascii", "replace")
            fits = TAG_KEY.fullmatch(key) and len(names) < 2 * MOST_FURTHER
            return Root(names, "values", key, node.wanted) if fits else None
        case _:
            return None


def _of_type(names: Names, sense: Sense) -> Jobs | None:
    try:
        wanted = query.parse(f"type={_quoted(names[-1])}", now_ns=sense.now_ns, extra=sense.types)
    except MountfsError:
        return None
    return Jobs(names, wanted)


def _of_key(node: Root, names: Names) -> Root | None:
    key = names[-1].decode("ascii", "replace")
    return Root(names, "values", key, node.within) if TAG_KEY.fullmatch(key) else None


def _of_value(node: Root, names: Names) -> Node:
    value = value_of_name(names[-1])
    if node.names[0] == b".latest":
        return Latest(names, node.key, value)
    return Jobs(names, _tagged(node, value), further=node.names[0] == b".by-tag")


def _tagged(node: Root, value: bytes) -> Query:
    """A commit is found by its beginning, as git finds it."""
    text = value.decode("utf-8", "surrogateescape")
    if node.names[0] == b".by-commit":
        return query.from_flags(now_ns=0, commit=text)
    return query.conjunction((node.within, TagText(node.key, Op.EQ, text)))


def _of_date(names: Names, sense: Sense) -> Node | None:
    if not _DATE_PARTS[len(names) - 2].fullmatch(names[-1]):
        return None
    if len(names) < 4:
        return Root(names, "dates")
    try:
        day = b"-".join(names[1:]).decode()
        return Jobs(names, Moment("created", Op.EQ, query.parse_span(day, now_ns=sense.now_ns)))
    except MountfsError:
        return None


def _of_query(names: Names, sense: Sense) -> Jobs | None:
    return Jobs(names, query.parse(text_of_query(names[-1]), now_ns=sense.now_ns, extra=sense.types))


def _quoted(name: bytes) -> str:
    text = name.decode("utf-8", "surrogateescape")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
