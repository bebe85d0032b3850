"""One page of artifacts, in an order that was asked for.

Which index leads is decided by counting: a few artifacts that a condition leaves are looked at one by one; else jobs
that may hold some, newest first; else all artifacts in their order, until the page is full.
"""

from typing import Final

from mountfs.catalog.search.answers import NEWEST, Cursor, Order
from mountfs.catalog.search.compiling import YES, Compiler, Sql, both
from mountfs.catalog.search.drivers import Drivers
from mountfs.catalog.search.jobs import Jobs
from mountfs.catalog.tables import Row, Run
from mountfs.query import Op, Query, Text, conjuncts

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

    def __init__(self, run: Run, query: Query, order: Order, after: Cursor | None, limit: int) -> None:
        self._run = run
        self._query = query
        self._order = order
        self._after = after
        self._limit = limit
        self._compiler = Compiler(run)
        self._drivers = Drivers(run, self._compiler)
        self._where = self._compiler.where(query)

    def rows(self) -> list[Row]:
        """`COLUMNS`, and what the order compares."""
        driver = self._drivers.artifacts(self._query)
        if driver is not None:
            return self._select("found f", Sql(f"f.ino IN ({driver.sql.text})", driver.sql.args), self._limit)
        if self._order.field == "job":
            return self._by_key()
        may = self._compiler.may_hold(self._query)
        if self._order == NEWEST and may:
            return self._newest_jobs_first(may)
        return self._in_order()

    def _select(self, source: str, lead: Sql, limit: int) -> list[Row]:
        first, second = _COMPARED[self._order.field]
        word, sign = ("DESC", "<") if self._order.descending else ("ASC", ">")
        beyond = YES if self._after is None else Sql(f"({first}, {second}) {sign} (?, ?)", self._after)
        wanted = both([lead, beyond, self._where])
        sql = (
            f"SELECT {COLUMNS}, {first}, {second} FROM {source} WHERE {wanted.text}"
            f" ORDER BY {first} {word}, {second} {word} LIMIT ?"
        )
        return self._run(sql, (*wanted.args, limit)).fetchall()

    def _in_order(self) -> list[Row]:
        """All artifacts, or all of a type, from the first on."""
        field = self._order.field
        if field not in _INDEXED:
            return self._select("found f", YES, self._limit)
        kinds = [p for p in conjuncts(self._query) if isinstance(p, Text) and p.field == "type" and p.op is Op.EQ]
        if field == "published" and kinds:
            lead = Sql("f.type = ?", tuple(self._compiler.words(kinds[0])))
            return self._select("found f INDEXED BY found_type", lead, self._limit)
        return self._select(f"found f INDEXED BY found_{field}", YES, self._limit)

    def _newest_jobs_first(self, may: Sql) -> list[Row]:
        """Runs follow each other: most of a page is in the few newest jobs that hold any of it."""
        few = self._drivers.jobs(self._query)
        lead = YES if few is None else Sql(f"h.job IN ({few.sql.text})", few.sql.args)
        old = YES if self._after is None else Sql("h.oldest_ms <= ?", self._after[:1])
        wanted = both([lead, old, may])
        found: list[tuple[int, int, Row]] = []
        sql = f"SELECT h.job, h.newest_ms FROM holding h WHERE {wanted.text} ORDER BY h.newest_ms DESC"
        for job, newest_ms in self._run(sql, wanted.args):
            if len(found) == self._limit and newest_ms < found[-1][0]:
                break
            rows = self._select("found f INDEXED BY found_job", Sql("f.job = ?", (job,)), self._limit)
            found.extend((row[-2], row[-1], row) for row in rows)  # type: ignore[misc]
            found.sort(key=lambda known: known[:2], reverse=True)
            del found[self._limit :]
        return [row for _, _, row in found]

    def _by_key(self) -> list[Row]:
        """Job after job."""
        start = b"" if self._after is None else bytes(self._after[0])  # type: ignore[arg-type]
        found: list[Row] = []
        descending = self._order.descending
        for _, job in Jobs(self._run, self._query).by_name(start, inclusive=True, descending=descending):
            lead = Sql("f.job = ?", (job,))
            found.extend(self._select("found f INDEXED BY found_path", lead, self._limit - len(found)))
            if len(found) >= self._limit:
                break
        return found
