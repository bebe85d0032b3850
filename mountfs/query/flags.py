"""The flags of `mountfs list` as a query, so that they and the language are one."""

import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final, TypeVar

from mountfs.errors import MountfsError, QueryError
from mountfs.namespace import check_tag, parse_tag
from mountfs.query.fields import Sense, condition
from mountfs.query.model import HasTag, Op, Query, TagText, Text, conjunction, disjunction

T = TypeVar("T")

_NONE: Final[Mapping[str, str]] = MappingProxyType({})
_GLOB: Final = re.compile(r"[*?[]")


def from_flags(
    *,
    now_ns: int,
    extra: Mapping[str, str] = _NONE,
    types: Iterable[str] = (),
    tags: Iterable[str] = (),
    jobs: Iterable[str] = (),
    branch: str | None = None,
    commit: str | None = None,
    since: str | None = None,
    until: str | None = None,
    min_size: str | None = None,
    max_size: str | None = None,
) -> Query:
    """All that the flags ask for; everything, where there are none.

    Several types or jobs are alternatives, several tags have to be there together. A job, a branch, and a tag said as
    `key~value` may be globs; `commit` is the beginning of one. `since` and `until` are of the creation, and `until` a
    day holds all of it. Raises QueryError.
    """
    sense = Sense(now_ns, extra)

    def flag(name: str, field: str, operator: str, value: str | None) -> list[Query]:
        return [] if value is None else [_said(name, value, lambda text: condition(field, operator, text, sense))]

    return conjunction(
        [
            *_any_of(_said("--type", one, lambda text: condition("type", "=", text, sense)) for one in types),
            *(_said("--tag", one, _tag) for one in tags),
            *_any_of(Text("job", _op(one), one) for one in jobs),
            *([] if branch is None else [TagText("branch", _op(branch), branch)]),
            *([] if commit is None else [TagText("commit", Op.LIKE, escaped(commit) + "*")]),
            *flag("--since", "created", ">=", since),
            *flag("--until", "created", "<=", until),
            *flag("--min-size", "size", ">=", min_size),
            *flag("--max-size", "size", "<=", max_size),
        ]
    )


def _any_of(parts: Iterable[Query]) -> list[Query]:
    known = list(parts)
    return [disjunction(known)] if known else []


def _said(flag: str, text: str, read: Callable[[str], T]) -> T:
    try:
        return read(text)
    except MountfsError as error:
        raise QueryError(f"{flag}: {error}", text=text, position=0) from None


def _tag(text: str) -> Query:
    glob = re.match(r"([^=~]*)~(.*)", text, re.DOTALL)
    if glob is not None:
        check_tag(glob[1], b"")
        return TagText(glob[1], Op.LIKE, glob[2])
    key, value = parse_tag(text)
    return TagText(key, Op.EQ, value.decode("utf-8", "surrogateescape")) if "=" in text else HasTag(key)


def _op(text: str) -> Op:
    return Op.LIKE if _GLOB.search(text) else Op.EQ


def escaped(text: str) -> str:
    """The glob that only this text fits."""
    return _GLOB.sub(r"[\g<0>]", text)
