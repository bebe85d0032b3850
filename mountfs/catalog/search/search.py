"""Queries answered from the index, a page at a time, on a read-only connection of their own.

Nothing is shared with the writer, so that a worker thread or another process can ask; each answer is of one moment.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from mountfs.catalog.connection import open_connection, translated
from mountfs.catalog.reports import ReportTables
from mountfs.catalog.search.answers import NEWEST, Below, Cursor, Found, JobFound, Order, Page, Sum
from mountfs.catalog.search.compiling import Compiler, Sql, both, fits_raw
from mountfs.catalog.search.drivers import USUAL, Drivers, Reach
from mountfs.catalog.search.jobs import Jobs
from mountfs.catalog.search.paging import ORDERS, WIDTH, Paging
from mountfs.catalog.search.sizes import Sizes
from mountfs.catalog.search.units import Units
from mountfs.catalog.search.values import Values
from mountfs.catalog.tables import Row, Value
from mountfs.errors import InvalidArgument
from mountfs.query import Query


class Search:
    """Opened beside a catalog that is open; `close` it. Its answers are as good as the index: see `Indexer`.

    All methods raise CatalogError, also when `interrupt` was called meanwhile.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, reach: Reach) -> None:
        self._db = connection
        self._reach = reach
        self._path = path
        self._words: dict[int, str] = {}
        self.values = Values(self._run, self._snapshot)
        self.units = Units(self._run, self._snapshot)
        self.sizes = Sizes(self._run, self._snapshot)
        self.reports = ReportTables(self._run, _no_writes)
        connection.create_function("fits", 2, fits_raw, deterministic=True)

    @classmethod
    def open(cls, path: Path, *, reach: Reach = USUAL) -> "Search":
        return cls(open_connection(path, read_only=True, was_checked=True), path, reach)

    def close(self) -> None:
        self._db.close()

    def interrupt(self) -> None:
        """Let the answer under way fail. From any thread."""
        self._db.interrupt()

    def watch(self, count: Callable[[], int] | None, *, every: int) -> None:
        """Have this called each time so many steps of SQLite's machine were made: work that no busy machine blurs."""
        self._db.set_progress_handler(count, every)

    # -- artifacts ----------------------------------------------------------------------------------------

    def page(self, query: Query, *, order: Order = NEWEST, after: Cursor | None = None, limit: int = 100) -> Page:
        """The next artifacts that the query is about. Raises InvalidArgument for an order that there is not."""
        if order.field not in ORDERS:
            raise InvalidArgument(f"{order.field} is no order; allowed: {', '.join(sorted(ORDERS))}")
        with self._snapshot():
            rows = Paging(self._run, query, order, after, limit, self._reach).rows()
            cursor = (rows[-1][-2], rows[-1][-1]) if rows and len(rows) == limit else None
            return Page([self._found(row) for row in rows if row[1] is not None], cursor)

    def count(self, query: Query, *, most: int | None = None) -> int:
        """How many artifacts the query is about, counted up to `most`."""
        with self._snapshot():
            found = self._counted(query, -1 if most is None else most)
            count = int(self._run(f"SELECT {found.text}", found.args).fetchone()[0])
            return count if most is None else min(count, most)

    def _counted(self, query: Query, most: int) -> Sql:
        compiler = Compiler(self._run)
        of_jobs = compiler.of_job(query)
        if of_jobs is not None:
            return Sql(f"coalesce(sum(artifacts), 0) FROM holding h WHERE {of_jobs.text}", of_jobs.args)
        where = compiler.where(query)
        driver = Drivers(self._run, compiler, self._reach.most).artifacts(query)
        if driver is not None:
            where = both([Sql(f"f.ino IN ({driver.sql.text})", driver.sql.args), where])
        return Sql(f"count(*) FROM (SELECT 1 FROM found f WHERE {where.text} LIMIT ?)", (*where.args, most))

    def _found(self, row: Row) -> Found:
        ino, job, path, link, kind, mime, form, *rest, pinned, recovered = row[:WIDTH]
        words = self._word(kind), self._word(mime), None if form is None else self._word(form)
        linked = "symlink" if link else "file"
        return Found(ino, job, path, linked, *words, *rest, bool(pinned), bool(recovered))  # type: ignore[arg-type, call-arg]

    def _word(self, number: Value) -> str:
        assert isinstance(number, int)
        if number not in self._words:
            self._words[number] = self._text("SELECT text FROM word WHERE id = ?", (number,))
        return self._words[number]

    def _text(self, sql: str, args: Sequence[Value]) -> str:
        return bytes(self._run(sql, args).fetchone()[0]).decode("utf-8", "surrogateescape")

    # -- jobs ---------------------------------------------------------------------------------------------

    def jobs(self, query: Query, *, after: bytes = b"", limit: int = 100) -> list[JobFound]:
        """The next jobs with artifacts that the query is about, in byte order of their names."""
        with self._snapshot():
            return list(islice(Jobs(self._run, query, self._reach).matching(after), limit))

    def job(self, query: Query, name: bytes) -> JobFound | None:
        """The job of that name, where it has artifacts that the query is about."""
        with self._snapshot():
            return Jobs(self._run, query, self._reach).one(name)

    def job_ino(self, name: bytes) -> int | None:
        row = self._run("SELECT ino FROM entry WHERE parent = 1 AND name = ? AND kind = 2", (name,)).fetchone()
        return None if row is None else int(row[0])

    def at(self, query: Query, *, job: int, path: bytes) -> Below | None:
        """The artifact at a path in a job, or a directory with some below it, where the query is about them."""
        with self._snapshot():
            return Jobs(self._run, query, self._reach).at(job, path)

    def child_ino(self, directory: int, name: bytes) -> int | None:
        row = self._run("SELECT ino FROM entry WHERE parent = ? AND name = ?", (directory, name)).fetchone()
        return None if row is None else int(row[0])

    def has_name(self, directory: int, name: bytes) -> bool:
        return self.child_ino(directory, name) is not None

    def names_in(self, directory: int, *, most: int = 1000) -> list[bytes]:
        """The first names in a directory."""
        rows = self._run("SELECT name FROM entry WHERE parent = ? ORDER BY name LIMIT ?", (directory, most))
        return [bytes(name) for (name,) in rows]

    def common_ino(self, job: int, slug: str) -> int | None:
        """The artifact of a type in a job; of several the directory that all of them lie in."""
        word = "(SELECT id FROM word WHERE text = ?)"
        sql = f"SELECT min(path), max(path) FROM found f INDEXED BY found_path WHERE job = ? AND type = {word}"
        with self._snapshot():
            first, last = self._run(sql, (job, slug.encode())).fetchone()
            if first is None:
                return None
            parts = zip(bytes(first).split(b"/"), bytes(last).split(b"/"), strict=False)
            ino: int | None = job
            for name, other in parts:
                if name != other or ino is None:
                    break
                ino = self.child_ino(ino, name)
            return ino

    def below(self, query: Query, *, job: int, path: bytes = b"", after: bytes = b"", limit: int = 100) -> list[Below]:
        """The next names in a directory of a job that lead to artifacts that the query is about.

        In the order of `Below.after`; `after` is that of the last one that is known.
        """
        with self._snapshot():
            return Jobs(self._run, query, self._reach).below(job, path, after, limit)

    # -- sums ---------------------------------------------------------------------------------------------

    def sums_by_job(self) -> list[Sum]:
        """How much there is of each job, in no order."""
        return self._sums(
            "SELECT e.name, h.artifacts, h.size, h.stored FROM holding h CROSS JOIN entry e ON e.ino = h.job", ()
        )

    def sums_by_type(self) -> list[Sum]:
        return self._sums(
            "SELECT w.text, sum(t.artifacts), sum(t.size), sum(t.stored) FROM tally t JOIN word w ON w.id = t.type"
            " GROUP BY t.type", ()
        )  # fmt: skip

    def compressed_by_type(self) -> dict[bytes, int]:
        """How many artifacts of each type are stored compressed. Reads a row for each artifact."""
        with self._snapshot():
            rows = self._run(
                "SELECT w.text, n FROM (SELECT f.type, count(*) AS n FROM found f"
                " CROSS JOIN entry e ON e.ino = f.ino CROSS JOIN content c ON c.id = e.content"
                " WHERE c.codec <> 'none' GROUP BY f.type) x JOIN word w ON w.id = x.type"
            )
            return {bytes(text): int(number) for text, number in rows}

    def sums_by_tag(self, key: str) -> list[Sum]:
        """By value; what has no such tag is in none."""
        return self._sums(
            "SELECT value, sum(n), sum(size), sum(stored) FROM ("
            " SELECT t.value, h.artifacts AS n, h.size, h.stored FROM job_tag t JOIN holding h ON h.job = t.job"
            " WHERE t.key = ?1 UNION ALL"
            " SELECT t.value, -1, -f.size, -f.stored FROM own_tag o JOIN found f ON f.ino = o.ino"
            " JOIN job_tag t ON t.job = o.job AND t.key = ?1 WHERE o.key = ?1 UNION ALL"
            " SELECT o.value, 1, f.size, f.stored FROM own_tag o JOIN found f ON f.ino = o.ino WHERE o.key = ?1"
            ") GROUP BY value HAVING sum(n) > 0", (key,)
        )  # fmt: skip

    def _sums(self, sql: str, args: Sequence[Value]) -> list[Sum]:
        with self._snapshot():
            return [Sum(*row) for row in self._run(sql, args)]

    # -- statements ---------------------------------------------------------------------------------------

    def _run(self, sql: str, args: Sequence[Value] = (), /) -> sqlite3.Cursor:
        try:
            return self._db.execute(sql, args)
        except sqlite3.Error as error:
            raise translated(error, self._path) from error

    @contextlib.contextmanager
    def _snapshot(self) -> Iterator[None]:
        """All that is read within it is of one moment."""
        self._run("BEGIN")
        try:
            yield
        except sqlite3.Error as error:
            raise translated(error, self._path) from error
        finally:
            self._db.execute("ROLLBACK")


def _no_writes(sql: str, rows: Iterable[Sequence[Value]]) -> None:
    raise AssertionError("a reader's connection")
