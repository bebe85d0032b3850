"""Questions about all artifacts, answered from the search index, on both routes."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mountfs import query
from mountfs.catalog.search import NEWEST, Order, Search, Sum
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


def found_inos(search: Search, wanted: Query, order: Order = NEWEST) -> Iterator[int]:
    """The artifacts that fit, in their order, read a page at a time as far as somebody asks."""
    page = search.page(wanted, order=order, limit=PAGE)
    while True:
        yield from (found.ino for found in page.rows)
        if page.next is None:
            return
        page = search.page(wanted, order=order, after=page.next, limit=PAGE)


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
