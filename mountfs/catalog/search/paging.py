"""One page of artifacts, in an order that was asked for.

Which index leads is decided by counting: a few artifacts that a condition leaves are looked at one by one; else jobs
that may hold some, newest first; else all artifacts in their order, until the page is full.
"""

import sqlite3
from collections.abc import Iterator
from typing import Final

from mountfs.catalog.search.answers import NEWEST, Cursor, Order
from mountfs.catalog.search.compiling import YES, Compiler, Sql, both
from mountfs.catalog.search.drivers import Driver, Drivers, Reach
from mountfs.catalog.search.jobs import Jobs
from mountfs.catalog.search.within import facts_of, within
from mountfs.catalog.tables import Row, Run
from mountfs.query import NOTHING, Op, Query, Text, conjuncts

COLUMNS: Final = (
    "f.ino, (SELECT name FROM entry WHERE ino = f.job), f.path, f.link, f.type, f.mime, f.format, f.size, f.stored,"
    " f.created_ns, f.modified_ns, f.published_ms, f.expires_s, f.pinned, f.recovered"
)
WIDTH: Final = COLUMNS.count(", ") + 1
"""Of the columns above; behind them come the two that the order compares."""

_KEY: Final = ("(SELECT name FROM entry WHERE ino = f.job)", "f.path")
_COMPARED: Final = {
    "published": ("f.published_ms", "f.ino"),
    "created": ("f.created_ns", "f.ino"),
    "modified": ("f.modified_ns", "f.ino"),
    "size": ("f.size", "f.ino"),
    "stored": ("f.stored", "f.ino"),
    "name": ("f.name", "f.ino"),
    "job": _KEY,
}
ORDERS: Final = frozenset(_COMPARED)
_INDEXED: Final = frozenset({"published", "created", "size", "name"})


class Paging:
    """For one snapshot of the index: `run` reads it."""

    def __init__(self, run: Run, query: Query, order: Order, after: Cursor | None, limit: int, reach: Reach) -> None:
        self._run = run
        self._query = query
        self._order = order
        self._after = after
        self._limit = limit
        self._compiler = Compiler(run)
        self._reach = reach
        self._where = self._compiler.where(query)

    def _drivers(self, most: int) -> Drivers:
        return Drivers(self._run, self._compiler, most)

    def rows(self) -> list[Row]:
        """`COLUMNS`, and what the order compares."""
        few = self._drivers(self._reach.few).artifacts(self._query)
        if few is not None:
            return self._driven(few, self._limit)
        jobs = self._drivers(self._reach.few_jobs).jobs(self._query) if self._order == NEWEST else None
        if jobs is not None:
            return self._newest_jobs_first(jobs, self._limit)
        if self._order.field not in _INDEXED:
            return self._far(self._limit)
        return self._near()

    def _near(self) -> list[Row]:
        """What is asked for most is found among the first: only where these hold little of it is more counted."""
        found: list[Row] = []
        for width in self._reach.near:
            end = self._end(width)
            found += self._in_order(self._limit - len(found), end)
            if end is None or len(found) == self._limit:
                return found
            self._after = end
            if len(found) * width < self._limit * self._reach.near[0]:
                break
        return found + self._far(self._limit - len(found))

    def _far(self, limit: int) -> list[Row]:
        driver = self._drivers(self._reach.most).artifacts(self._query)
        if driver is not None:
            return self._driven(driver, limit)
        if self._order.field == "job":
            return self._by_key(limit)
        if self._order == NEWEST and self._compiler.may_hold(self._query):
            return self._newest_jobs_first(self._drivers(self._reach.most).jobs(self._query), limit)
        return self._in_order(limit, None)

    def _driven(self, driver: Driver, limit: int) -> list[Row]:
        return self._select("found f", Sql(f"f.ino IN ({driver.sql.text})", driver.sql.args), limit)

    def _select(self, source: str, lead: Sql, limit: int) -> list[Row]:
        return self._rows(source, both([lead, self._beyond(), self._where]), limit)

    def _rows(self, source: str, wanted: Sql, limit: int) -> list[Row]:
        first, second = _COMPARED[self._order.field]
        word = "DESC" if self._order.descending else "ASC"
        sql = (
            f"SELECT {COLUMNS}, {first}, {second} FROM {source} WHERE {wanted.text}"
            f" ORDER BY {first} {word}, {second} {word} LIMIT ?"
        )
        return self._run(sql, (*wanted.args, limit)).fetchall()

    def _beyond(self) -> Sql:
        first, second = _COMPARED[self._order.field]
        sign = "<" if self._order.descending else ">"
        return YES if self._after is None else Sql(f"({first}, {second}) {sign} (?, ?)", self._after)

    def _in_order(self, limit: int, end: Cursor | None) -> list[Row]:
        """All artifacts, or all of a type, from the first on, up to this one."""
        source, lead = self._ordered()
        if end is not None:
            first, second = _COMPARED[self._order.field]
            sign = ">=" if self._order.descending else "<="
            lead = both([lead, Sql(f"({first}, {second}) {sign} (?, ?)", end)])
        return self._select(source, lead, limit)

    def _end(self, width: int) -> Cursor | None:
        """Where so many in order have been looked at; None: they are not so many."""
        source, lead = self._ordered()
        first, second = _COMPARED[self._order.field]
        word = "DESC" if self._order.descending else "ASC"
        wanted = both([lead, self._beyond()])
        sql = (
            f"SELECT {first}, {second} FROM {source} WHERE {wanted.text}"
            f" ORDER BY {first} {word}, {second} {word} LIMIT 1 OFFSET ?"
        )
        row: Cursor | None = self._run(sql, (*wanted.args, width)).fetchone()
        return row

    def _ordered(self) -> tuple[str, Sql]:
        """(where all that can be asked for lies in this order, what is true of it there)."""
        field = self._order.field
        if field not in _INDEXED:
            return "found f", YES
        kinds = [p for p in conjuncts(self._query) if isinstance(p, Text) and p.field == "type" and p.op is Op.EQ]
        if field == "published" and kinds:
            return "found f INDEXED BY found_type", Sql("f.type = ?", tuple(self._compiler.words(kinds[0])))
        return f"found f INDEXED BY found_{field}", YES

    def _newest_jobs_first(self, few: Driver | None, limit: int) -> list[Row]:
        """Runs follow each other: most of a page is in the few newest jobs that hold any of it."""
        found: list[tuple[int, int, Row]] = []
        for job, newest_ms in self._newest_jobs(few):
            if len(found) == limit and newest_ms < found[-1][0]:
                break
            rows = self._select_in(job, newest_ms, limit)
            found.extend((row[-2], row[-1], row) for row in rows)  # type: ignore[misc]
            found.sort(key=lambda known: known[:2], reverse=True)
            del found[limit:]
        return [row for _, _, row in found]

    def _newest_jobs(self, few: Driver | None) -> Iterator[tuple[int, int]]:
        """(job, newest_ms) of those that may hold some; of a long list the newest come without sorting all of it."""
        old = YES if self._after is None else Sql("h.oldest_ms <= ?", self._after[:1])
        wanted = both([old, self._compiler.may_hold(self._query)])
        if few is None:
            yield from self._jobs_where("h INDEXED BY holding_newest", wanted)
            return
        lead = Sql(f"h.job IN ({few.sql.text})", few.sql.args)
        if few.count > self._reach.few_jobs:
            sql = "SELECT newest_ms FROM holding h INDEXED BY holding_newest ORDER BY newest_ms DESC LIMIT 1 OFFSET ?"
            row = self._run(sql, (self._reach.near_jobs,)).fetchone()
            end = (0,) if row is None else row
            yield from self._jobs_where("h INDEXED BY holding_newest", both([Sql("h.newest_ms >= ?", end), wanted]))
            lead = both([Sql("h.newest_ms < ?", end), lead])
        yield from self._jobs_where("h NOT INDEXED", both([lead, wanted]))

    def _jobs_where(self, source: str, wanted: Sql) -> sqlite3.Cursor:
        sql = f"SELECT h.job, h.newest_ms FROM holding {source} WHERE {wanted.text} ORDER BY h.newest_ms DESC"
        return self._run(sql, wanted.args)

    def _select_in(self, job: int, newest_ms: int, limit: int) -> list[Row]:
        """Without asking of each of its artifacts what holds for all in the job."""
        left = within(self._query, facts_of(self._run, job))
        if left == NOTHING:
            return []
        beyond = YES if self._after is not None and newest_ms < self._after[0] else self._beyond()  # type: ignore[operator]
        lead = both([Sql("f.job = ?", (job,)), beyond, self._compiler.where(left)])
        return self._rows("found f INDEXED BY found_job", lead, limit)

    def _by_key(self, limit: int) -> list[Row]:
        """Job after job."""
        start = b"" if self._after is None else bytes(self._after[0])  # type: ignore[arg-type]
        found: list[Row] = []
        descending = self._order.descending
        for _, job in Jobs(self._run, self._query, self._reach).by_name(start, inclusive=True, descending=descending):
            lead = Sql("f.job = ?", (job,))
            found.extend(self._select("found f INDEXED BY found_path", lead, limit - len(found)))
            if len(found) >= limit:
                break
        return found
