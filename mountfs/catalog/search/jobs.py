"""Jobs with artifacts that a query is about, and what is in them. Sums answer where they can."""

import sqlite3
from collections.abc import Iterator
from typing import Final

from mountfs.catalog.search.answers import Below, JobFound
from mountfs.catalog.search.compiling import YES, Compiler, Sql, both
from mountfs.catalog.search.drivers import Driver, Drivers, Reach, days_of
from mountfs.catalog.search.within import facts_of, within
from mountfs.catalog.tables import Run
from mountfs.query import EVERYTHING, NOTHING, And, HasTag, Not, Op, Or, Query, TagText, Text, conjunction, conjuncts

_FAR: Final = 1 << 62


class Jobs:
    """For one snapshot of the index: `run` reads it."""

    def __init__(self, run: Run, query: Query, reach: Reach) -> None:
        self._run = run
        self._query = query
        self._compiler = Compiler(run)
        self._reach = reach

    def matching(self, after: bytes) -> Iterator[JobFound]:
        """In byte order of their names, from behind this one."""
        few = Drivers(self._run, self._compiler, self._reach.few).artifacts(self._query)
        if few is not None:
            yield from self._of_artifacts(few, after)
            return
        told = self._told()
        for name, ino, some, whole in self._in_names(after, told or Sql("NULL, NULL")):
            found = self._found_in(name, ino) if told is None else JobFound(name, ino, bool(whole)) if some else None
            if found is not None:
                yield found

    def _told(self) -> Sql | None:
        """Two columns: whether a job has some, and nothing else; None: that is to be asked of each by itself."""
        of_jobs = [part for part in conjuncts(self._query) if self._compiler.of_job(part) is not None]
        left = conjunction([part for part in conjuncts(self._query) if part not in of_jobs])
        number = self._number(left)
        if number is not None:
            some, whole = Sql(f"{number.text} > 0", number.args), Sql(f"{number.text} = h.artifacts", number.args)
        elif _is_of_artifacts(left):
            some, whole = self._some(left), self._all(left)
        else:
            return None
        exact = self._compiler.of_job(conjunction(of_jobs))
        assert exact is not None
        some = both([exact, some])
        return Sql(f"{some.text}, {whole.text}", (*some.args, *whole.args))

    def _number(self, query: Query) -> Sql | None:
        """How many of a job a query is about, where a sum tells it."""
        if query == EVERYTHING:
            return Sql("h.artifacts")
        days = days_of(query)
        if days is not None:
            first, after = -_FAR if days[0] is None else days[0], _FAR if days[1] is None else days[1]
            sums = "SELECT sum(artifacts) FROM daily WHERE job = h.job AND day >= ? AND day < ?"
            return Sql(f"ifnull(({sums}), 0)", (first, after))
        if isinstance(query, Text) and query.field == "type" and query.op is Op.EQ:
            word = next(iter(self._compiler.words(query)), None)
            return Sql("ifnull((SELECT artifacts FROM tally WHERE type = ? AND job = h.job), 0)", (word,))
        return None

    def _some(self, query: Query) -> Sql:
        where = self._compiler.where(query)
        sql = f"EXISTS (SELECT 1 FROM found f INDEXED BY found_path WHERE f.job = h.job AND {where.text})"
        return Sql(sql, where.args)

    def _all(self, query: Query) -> Sql:
        """One that does not is enough to know: nothing is counted that no sum tells."""
        where = self._compiler.where(query)
        sql = f"NOT EXISTS (SELECT 1 FROM found f INDEXED BY found_path WHERE f.job = h.job AND NOT {where.text})"
        return Sql(sql, where.args)

    def one(self, name: bytes) -> JobFound | None:
        """The job of that name, where it has some."""
        sql = "SELECT e.ino FROM entry e JOIN holding h ON h.job = e.ino WHERE e.parent = 1 AND e.name = ?"
        row = self._run(sql, (name,)).fetchone()
        return self._found_in(name, int(row[0])) if row else None

    def by_name(
        self, start: bytes, *, inclusive: bool = False, descending: bool = False
    ) -> Iterator[tuple[bytes, int]]:
        """(name, ino) of jobs that may hold some, in byte order of their names; descending from b"": from the last."""
        found = self._in_names(start, Sql("NULL, NULL"), inclusive=inclusive, descending=descending)
        yield from ((name, ino) for name, ino, _, _ in found)

    def _in_names(
        self, start: bytes, told: Sql, *, inclusive: bool = False, descending: bool = False
    ) -> Iterator[tuple[bytes, int, int | None, int | None]]:
        """(name, ino, and the two columns of `told`). The next names are gone through before anything is counted."""
        behind = _beyond("<" if descending else ">", start, inclusive=inclusive, unbound=descending and not start)
        word = "DESC" if descending else "ASC"
        sql = f"SELECT e.name FROM entry e WHERE e.parent = 1 AND {behind.text} ORDER BY e.name {word} LIMIT 1 OFFSET ?"
        end = self._run(sql, (*behind.args, self._reach.near_jobs)).fetchone()
        near = YES if end is None else _beyond(">" if descending else "<", bytes(end[0]), inclusive=True)
        yield from self._joined("entry e CROSS JOIN holding h ON h.job = e.ino", both([behind, near]), told, word)
        if end is None:
            return
        far = _beyond("<" if descending else ">", bytes(end[0]))
        few = Drivers(self._run, self._compiler, self._reach.most).jobs(self._query)
        if few is None:
            yield from self._joined("entry e CROSS JOIN holding h ON h.job = e.ino", far, told, word)
            return
        lead = both([Sql(f"h.job IN ({few.sql.text})", few.sql.args), far])
        yield from self._joined("holding h CROSS JOIN entry e ON e.ino = h.job", lead, told, word)

    def _joined(self, source: str, lead: Sql, told: Sql, word: str) -> sqlite3.Cursor:
        wanted = both([Sql("e.parent = 1"), lead, self._compiler.may_hold(self._query)])
        return self._run(
            f"SELECT e.name, e.ino, {told.text} FROM {source} WHERE {wanted.text} ORDER BY e.name {word}",
            (*told.args, *wanted.args),
        )

    def _of_artifacts(self, driver: Driver, after: bytes) -> Iterator[JobFound]:
        where = self._compiler.where(self._query)
        sql = (
            "SELECT e.name, e.ino, m.matching = h.artifacts FROM (SELECT f.job, count(*) AS matching FROM found f"
            f" WHERE f.ino IN ({driver.sql.text}) AND {where.text} GROUP BY f.job) m"
            " CROSS JOIN entry e ON e.ino = m.job CROSS JOIN holding h ON h.job = m.job"
            " WHERE e.parent = 1 AND e.name > ? ORDER BY e.name"
        )
        for name, ino, whole in self._run(sql, (*driver.sql.args, *where.args, after)):
            yield JobFound(name, ino, bool(whole))

    def _found_in(self, name: bytes, ino: int) -> JobFound | None:
        left = within(self._query, facts_of(self._run, ino))
        if left in (EVERYTHING, NOTHING):
            return JobFound(name, ino, whole=True) if left == EVERYTHING else None
        some, whole = self._some(left), self._all(left)
        sql = f"SELECT {some.text}, {whole.text} FROM holding h WHERE h.job = ?"
        row = self._run(sql, (*some.args, *whole.args, ino)).fetchone()
        return JobFound(name, ino, bool(row[1])) if row[0] else None

    def below(self, job: int, path: bytes, after: bytes, limit: int) -> list[Below]:
        """The next names in a directory of a job that lead to some."""
        where = self._compiler.where(self._query)
        prefix = path + b"/" if path else b""
        upto = Sql("f.path < ?", (path + b"0",)) if path else YES  # 0 is what comes after /
        found: list[Below] = []
        while len(found) < limit:
            behind = self._behind(prefix, after)
            wanted = both([Sql("f.job = ?", (job,)), behind, upto, where])
            sql = f"SELECT f.path, f.ino FROM found f INDEXED BY found_path WHERE {wanted.text} ORDER BY f.path LIMIT 1"
            row = self._run(sql, wanted.args).fetchone()
            if row is None:
                break
            name, slash, _ = bytes(row[0])[len(prefix) :].partition(b"/")
            found.append(Below(name, 0 if slash else int(row[1])))
            after = found[-1].after
        return found

    def at(self, job: int, path: bytes) -> Below | None:
        """What one path in a job is, where it is among them or leads to some."""
        where = self._compiler.where(self._query)
        name = path.rpartition(b"/")[2]
        for itself, behind in ((True, Sql("f.path = ?", (path,))), (False, _under(path))):
            wanted = both([Sql("f.job = ?", (job,)), behind, where])
            sql = f"SELECT f.ino FROM found f INDEXED BY found_path WHERE {wanted.text} LIMIT 1"
            row = self._run(sql, wanted.args).fetchone()
            if row is not None:
                return Below(name, int(row[0]) if itself else 0)
        return None

    @staticmethod
    def _behind(prefix: bytes, after: bytes) -> Sql:
        if after.endswith(b"/"):
            return Sql("f.path >= ?", (prefix + after[:-1] + b"0",))
        return Sql("f.path > ?", (prefix + after,))


def _beyond(sign: str, name: bytes, *, inclusive: bool = False, unbound: bool = False) -> Sql:
    return YES if unbound else Sql(f"e.name {sign}{'=' if inclusive else ''} ?", (name,))


def _is_of_artifacts(query: Query) -> bool:
    """Whether nothing in it is the same for all of a job."""
    match query:
        case And(parts) | Or(parts):
            return all(_is_of_artifacts(part) for part in parts)
        case Not(part):
            return _is_of_artifacts(part)
        case HasTag() | TagText() | Text("job"):
            return False
        case _:
            return True


def _under(path: bytes) -> Sql:
    return Sql("f.path > ? AND f.path < ?", (path + b"/", path + b"0"))  # 0 is what comes after /
