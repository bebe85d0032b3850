"""Which few artifacts, or jobs, a query can be about at all, when an index tells that they are few.

A driver gives too many, never too few: `where` decides. How many they are is counted only up to a limit, so that
choosing costs a few hundred rows of an index, however many artifacts there are.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mountfs.catalog.search.compiling import DAY_NS, Compiler, Sql, between, bounds_of, digests, joined, on_days, raw
from mountfs.catalog.tables import Run
from mountfs.model import Digest
from mountfs.query import And, Flag, HasTag, Moment, Number, Op, Or, Query, TagText, Text, conjuncts


@dataclass(frozen=True, slots=True)
class Reach:
    """How much is looked at before something cleverer is tried. Measured at a million artifacts of 6,000 jobs."""

    few: int = 200  # artifacts, so few that nothing is faster than to look at each
    few_jobs: int = 50
    most: int = 2000  # artifacts, or jobs, that are looked at one by one
    near: tuple[int, int] = (1000, 8000)  # the first in their order, before anything is counted; again where it pays
    near_jobs: int = 1000  # the newest, or the next by name


USUAL: Final = Reach()


_INDEXED: Final = frozenset({"size", "created_ns", "published_ms", "expires_s"})
_GLOB_SIGNS: Final = "*?["


@dataclass(frozen=True, slots=True)
class Driver:
    """A SELECT of one column, and how many rows it has."""

    sql: Sql
    count: int


class Drivers:
    """For one snapshot of the index. They have up to `most` rows."""

    def __init__(self, run: Run, compiler: Compiler, most: int) -> None:
        self._run = run
        self._compiler = compiler
        self._most = most

    def artifacts(self, query: Query) -> Driver | None:
        """SELECTs the inos of artifacts, among them all that the query is about; None: they are more."""
        match query:
            case And(parts):
                ranges = self._ranges(parts)
                others = (self.artifacts(part) for part in parts if not isinstance(part, Number | Moment))
                return _least([*ranges, *others])
            case Or(parts):
                return _all_of([self.artifacts(part) for part in parts], self._most)
            case _:
                found = self._of_artifacts(query)
                return self._counted(found) if found else None

    def jobs(self, query: Query) -> Driver | None:
        """The same for the inos of jobs that may hold such an artifact."""
        match query:
            case And(parts):
                return _least([self.jobs(part) for part in parts])
            case Or(parts):
                return _all_of([self.jobs(part) for part in parts], self._most)
            case _:
                found = self._of_jobs(query)
                return self._counted(found) if found else None

    def _counted(self, sql: Sql) -> Driver | None:
        found = f"SELECT count(*) FROM (SELECT 1 FROM ({sql.text}) LIMIT {self._most + 1})"
        count = int(self._run(found, sql.args).fetchone()[0])
        return Driver(sql, count) if count <= self._most else None

    # -- artifacts ------------------------------------------------------------------------------------------

    def _ranges(self, parts: Iterable[Query]) -> list[Driver | None]:
        """What all bounds of a column together leave of it."""
        held: dict[str, tuple[int | None, int | None]] = {}
        for part in parts:
            if not isinstance(part, Number | Moment):
                continue
            column, least, below = bounds_of(part)
            if column in _INDEXED:
                other_least, other_below = held.get(column, (None, None))
                held[column] = (
                    max((b for b in (least, other_least) if b is not None), default=None),
                    min((b for b in (below, other_below) if b is not None), default=None),
                )
        return [self._counted(_range(column, least, below)) for column, (least, below) in held.items()]

    def _of_artifacts(self, query: Query) -> Sql | None:
        match query:
            case Number() | Moment():
                column, least, below = bounds_of(query)
                return _range(column, least, below) if column in _INDEXED else None
            case Flag(field):
                return Sql(f"SELECT ino FROM found WHERE {field} = 1")
            case HasTag() | TagText():
                return self._of_tag(query)
            case Text():
                return self._of_text(query)
            case _:
                return None

    def _of_text(self, part: Text) -> Sql | None:
        match part.field:
            case "name":
                return _named(part.value, part.op)
            case "path" if part.op is Op.EQ:
                return _named(part.value.rpartition("/")[2], Op.EQ)
            case "path" if (
                "/" in part.value and "[" not in part.value
            ):  # a star goes over slashes, not a `/` over names
                name = part.value.rpartition("/")[2]
                return None if _prefix(name) != name else _named(name, Op.EQ)
            case "job":
                jobs = self._of_jobs(part)
                return jobs and Sql(f"SELECT ino FROM found WHERE job IN ({jobs.text})", jobs.args)
            case "kind" if part.value == "symlink":
                return Sql("SELECT ino FROM found WHERE link = 1")
            case "sha256":
                return _of_digest(part.value)
            case "type" | "format":
                found = self._compiler.words(part)
                marks = ",".join("?" * len(found))
                return Sql(f"SELECT ino FROM found WHERE {part.field} IN ({marks})", tuple(found))
            case _:
                return None

    def _of_tag(self, part: HasTag | TagText) -> Sql | None:
        jobs = _tagged("job_tag", "job", part)
        of_jobs = Sql(f"SELECT ino FROM found WHERE job IN ({jobs.text})", jobs.args)
        if not self._compiler.has_own(part.key):
            return of_jobs
        return joined("UNION ALL", [of_jobs, _tagged("own_tag", "ino", part)])

    # -- jobs -----------------------------------------------------------------------------------------------

    def _of_jobs(self, query: Query) -> Sql | None:
        match query:
            case HasTag() | TagText():
                said = _tagged("job_tag", "job", query)
                if not self._compiler.has_own(query.key):
                    return said
                own = _tagged("own_tag", "job", query)
                return Sql(f"{said.text} UNION ALL {own.text}", (*said.args, *own.args))
            case Text("type"):
                found = self._compiler.words(query)
                marks = ",".join("?" * len(found))
                return Sql(f"SELECT DISTINCT job FROM tally WHERE type IN ({marks})", tuple(found))
            case Text("job", Op.EQ, value):
                return Sql("SELECT ino FROM entry WHERE parent = 1 AND name = ?", (raw(value),))
            case Text("job", Op.LIKE, value) if prefix := _prefix(value):
                span = _begins("name", raw(prefix))
                return Sql(f"SELECT ino FROM entry WHERE parent = 1 AND {span.text}", span.args)
            case Moment("published", Op.EQ | Op.GT | Op.GE):
                _, least, _ = bounds_of(query)
                return Sql("SELECT job FROM holding WHERE newest_ms >= ?", (least,))
            case Moment("created"):
                return _created(query)
            case _:
                return None


def _least(found: Iterable[Driver | None]) -> Driver | None:
    return min((driver for driver in found if driver is not None), key=lambda driver: driver.count, default=None)


def _all_of(found: list[Driver | None], most: int) -> Driver | None:
    known = [driver for driver in found if driver is not None]
    count = sum(driver.count for driver in known)
    if len(known) < len(found) or count > most:
        return None
    if not known:
        return Driver(Sql("SELECT 0 WHERE 0"), 0)
    return Driver(joined("UNION ALL", [Sql(f"SELECT * FROM ({d.sql.text})", d.sql.args) for d in known]), count)


def _range(column: str, least: int | None, below: int | None) -> Sql:
    found = between(column, least, below)
    return Sql(f"SELECT ino FROM found WHERE {found.text}", found.args)


def _prefix(glob: str) -> str:
    """What every text begins with that fits this glob."""
    return glob[: min((at for sign in _GLOB_SIGNS if (at := glob.find(sign)) >= 0), default=len(glob))]


def _begins(column: str, prefix: bytes) -> Sql:
    bare = prefix.rstrip(b"\xff")
    after = bare[:-1] + bytes([bare[-1] + 1]) if bare else None
    if after is None:
        return Sql(f"{column} >= ?", (prefix,))
    return Sql(f"{column} >= ? AND {column} < ?", (prefix, after))


def _named(name: str, op: Op) -> Sql | None:
    if op is Op.EQ:
        return Sql("SELECT ino FROM found WHERE name = ?", (raw(name),))
    prefix = _prefix(name)
    if not prefix:
        return None
    span = _begins("name", raw(prefix))
    return Sql(f"SELECT ino FROM found WHERE {span.text}", span.args)


def _of_digest(prefix: str) -> Sql:
    first, last = digests(prefix)
    empty = " UNION ALL SELECT ino FROM found WHERE size = 0" if first <= Digest.of(b"") <= last else ""
    files = "SELECT e.ino FROM content c JOIN entry e ON e.content = c.id WHERE c.digest BETWEEN ? AND ?"
    links = "SELECT ino FROM found WHERE link = 1 AND digest BETWEEN ? AND ?"
    return Sql(f"{files} UNION ALL {links}{empty}", (first, last, first, last))


def _tagged(table: str, column: str, part: HasTag | TagText) -> Sql:
    if isinstance(part, TagText) and part.op is Op.EQ:
        return Sql(f"SELECT {column} FROM {table} WHERE key = ? AND value = ?", (part.key, raw(part.value)))
    if isinstance(part, TagText) and (prefix := _prefix(part.value)):
        span = _begins("value", raw(prefix))
        return Sql(f"SELECT {column} FROM {table} WHERE key = ? AND {span.text}", (part.key, *span.args))
    return Sql(f"SELECT {column} FROM {table} WHERE key = ?", (part.key,))


def _created(part: Moment) -> Sql:
    _, least, below = bounds_of(part)
    found = on_days(least, below)
    return Sql(f"SELECT DISTINCT job FROM daily WHERE {found.text}", found.args)


def days_of(query: Query) -> tuple[int | None, int | None] | None:
    """[first day, day after the last) where a query asks for nothing but whole days of creation."""
    least: int | None = None
    below: int | None = None
    for part in conjuncts(query):
        if not isinstance(part, Moment) or part.field != "created":
            return None
        _, begin, end = bounds_of(part)
        if (begin or 0) % DAY_NS or (end or 0) % DAY_NS:
            return None
        least = begin if least is None else least if begin is None else max(least, begin)
        below = end if below is None else below if end is None else min(below, end)
    return (None if least is None else least // DAY_NS), (None if below is None else below // DAY_NS)
