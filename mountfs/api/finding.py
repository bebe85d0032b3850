"""Questions about all artifacts, answered from the search index, on both routes."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mountfs import query
from mountfs.catalog.known import TOGETHER
from mountfs.catalog.search import NEWEST, Cursor, Order, Search, Sum
from mountfs.errors import InvalidArgument
from mountfs.query import Query

PAGE: Final = 500
BY: Final = ("job", "type", "branch", "tag")


def parse_order(text: str) -> Order:
    """`size`, or `-size` for the greatest first."""
    return Order(text.removeprefix("-"), descending=text.startswith("-"))


def as_query(said: str | Query, *, types: dict[str, str]) -> Query:
    """A query as somebody typed it; nothing at all is everything. Raises QueryError."""
    if not isinstance(said, str):
        return said
    return query.parse(said or "*", now_ns=time.time_ns(), extra=types)


@contextlib.contextmanager
def searching(catalog: Path) -> Iterator[Search]:
    search = Search.open(catalog)
    try:
        yield search
    finally:
        search.close()


def found_inos(
    search: Search, wanted: Query, order: Order = NEWEST, *, limit: int | None = None
) -> Iterator[list[int]]:
    """The artifacts that fit, in their order, some at a time and as far as somebody asks."""
    after: Cursor | None = None
    while limit is None or limit > 0:
        page = search.page(wanted, order=order, after=after, limit=PAGE if limit is None else min(limit, PAGE))
        inos = [found.ino for found in page.rows]
        for start in range(0, len(inos), TOGETHER):
            yield inos[start : start + TOGETHER]
        if page.next is None:
            return
        after, limit = page.next, None if limit is None else limit - len(inos)


def sums(search: Search, by: str) -> list[Sum]:
    """What there is by job, type, or value of a tag (`branch`, `tag:team`). Raises InvalidArgument."""
    match by.partition(":"):
        case ("job", "", ""):
            return search.sums_by_job()
        case ("type", "", ""):
            return search.sums_by_type()
        case ("branch", "", ""):
            return search.sums_by_tag("branch")
        case ("tag", ":", key) if key:
            return search.sums_by_tag(key)
        case _:
            raise InvalidArgument(f"by {by}: allowed are job, type, branch and tag:KEY")
