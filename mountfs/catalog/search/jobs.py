"""Jobs with artifacts that a query is about, and what is in them. Sums answer where they can."""

from collections.abc import Iterator
from typing import Final

from mountfs.catalog.search.answers import Below, JobFound
from mountfs.catalog.search.compiling import YES, Compiler, Sql, both
from mountfs.catalog.search.drivers import Driver, Drivers, days_of
from mountfs.catalog.search.within import JobFacts, within
from mountfs.catalog.tables import Run
from mountfs.query import EVERYTHING, NOTHING, Op, Query, Text

_FAR: Final = 1 << 62


class Jobs:
    """For one snapshot of the index: `run` reads it."""

    def __init__(self, run: Run, query: Query) -> None:
        self._run = run
        self._query = query
        self._compiler = Compiler(run)
        self._drivers = Drivers(run, self._compiler)

    def matching(self, after: bytes) -> Iterator[JobFound]:
        """In byte order of their names, from behind this one; those that have none may be among them."""
        few, driver = self._drivers.jobs(self._query), self._drivers.artifacts(self._query)
        if driver is not None and (few is None or driver.count <= few.count):
            yield from self._of_artifacts(driver, after)
            return
        for name, ino in self.by_name(after):
            yield self._matching_in(name, ino)

    def one(self, name: bytes) -> JobFound | None:
        """The job of that name, where it has some."""
        sql = "SELECT e.ino FROM entry e JOIN holding h ON h.job = e.ino WHERE e.parent = 1 AND e.name = ?"
        row = self._run(sql, (name,)).fetchone()
        found = self._matching_in(name, int(row[0])) if row else None
        return found if found is not None and found.matching else None

    def by_name(
        self, start: bytes, *, inclusive: bool = False, descending: bool = False
    ) -> Iterator[tuple[bytes, int]]:
        """(name, ino) of jobs that may hold some, in byte order of their names; descending from b"": from the last."""
        sign = ("<" if descending else ">") + ("=" if inclusive else "")
        behind = YES if descending and not start else Sql(f"e.name {sign} ?", (start,))
        few = self._drivers.jobs(self._query)
        lead = YES if few is None else Sql(f"h.job IN ({few.sql.text})", few.sql.args)
        wanted = both([Sql("e.parent = 1"), behind, lead, self._compiler.may_hold(self._query)])
        joined = "entry e CROSS JOIN holding h ON h.job = e.ino"
        if few is not None:
            joined = "holding h CROSS JOIN entry e ON e.ino = h.job"
        word = "DESC" if descending else "ASC"
        yield from self._run(
            f"SELECT e.name, e.ino FROM {joined} WHERE {wanted.text} ORDER BY e.name {word}", wanted.args
        )

    def _of_artifacts(self, driver: Driver, after: bytes) -> Iterator[JobFound]:
        where = self._compiler.where(self._query)
        sql = (
            "SELECT e.name, e.ino, m.matching, h.artifacts FROM (SELECT f.job, count(*) AS matching FROM found f"
            f" WHERE f.ino IN ({driver.sql.text}) AND {where.text} GROUP BY f.job) m"
            " CROSS JOIN entry e ON e.ino = m.job CROSS JOIN holding h ON h.job = m.job"
            " WHERE e.parent = 1 AND e.name > ? ORDER BY e.name"
        )
        for row in self._run(sql, (*driver.sql.args, *where.args, after)):
            yield JobFound(*row)

    def _matching_in(self, name: bytes, ino: int) -> JobFound:
        artifacts = int(self._run("SELECT artifacts FROM holding WHERE job = ?", (ino,)).fetchone()[0])
        left = within(self._query, self._facts(name, ino))
        if left in (EVERYTHING, NOTHING):
            return JobFound(name, ino, artifacts if left == EVERYTHING else 0, artifacts)
        return JobFound(name, ino, self._count(left, ino), artifacts)

    def _facts(self, name: bytes, ino: int) -> JobFacts:
        tags = self._run("SELECT key, value FROM job_tag WHERE job = ?", (ino,))
        own = self._run("SELECT DISTINCT key FROM own_tag WHERE job = ?", (ino,))
        return JobFacts(_text(name), {key: _text(value) for key, value in tags}, {key for (key,) in own})

    def _count(self, query: Query, job: int) -> int:
        """How many artifacts of a job a query without tags of the job is about."""
        days = days_of(query)
        if days is not None:
            first, after = -_FAR if days[0] is None else days[0], _FAR if days[1] is None else days[1]
            found = Sql("sum(artifacts) FROM daily WHERE job = ? AND day >= ? AND day < ?", (job, first, after))
        elif isinstance(query, Text) and query.field == "type" and query.op is Op.EQ:
            word = next(iter(self._compiler.words(query)), None)
            found = Sql("sum(artifacts) FROM tally WHERE type = ? AND job = ?", (word, job))
        else:
            where = self._compiler.where(query)
            found = Sql(
                f"count(*) FROM found f INDEXED BY found_path WHERE f.job = ? AND {where.text}", (job, *where.args)
            )
        return int(self._run(f"SELECT {found.text}", found.args).fetchone()[0] or 0)

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


def _under(path: bytes) -> Sql:
    return Sql("f.path > ? AND f.path < ?", (path + b"/", path + b"0"))  # 0 is what comes after /


def _text(raw: bytes) -> str:
    return bytes(raw).decode("utf-8", "surrogateescape")
