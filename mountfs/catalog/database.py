"""The catalog's statements: plain SQL for the hot path, one transaction at a time, errors translated.

Protocol: every write happens inside `transaction()` on the thread that opened the catalog; nothing in a
transaction waits for anything but SQLite, and nothing here checkpoints the write-ahead log (see `connection.py`).
"""

import contextlib
import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from mountfs.catalog.bucket import BucketTables
from mountfs.catalog.bulk import BulkTables
from mountfs.catalog.connection import open_connection, translated
from mountfs.catalog.contents import ContentTables
from mountfs.catalog.entries import EntryTables
from mountfs.catalog.feed import FeedTables
from mountfs.catalog.going import GoingTables
from mountfs.catalog.known import KnownTables
from mountfs.catalog.mimes import MimeTables
from mountfs.catalog.reports import ReportTables
from mountfs.catalog.search.filling import IndexTables
from mountfs.catalog.search.units import Units
from mountfs.catalog.tables import Value
from mountfs.catalog.trash import TrashTables
from mountfs.catalog.versions import VersionTables

log = logging.getLogger(__name__)


class Catalog(EntryTables, ContentTables):
    """Entries, contents and registers, as they are now.

    `open` raises CatalogError where the file is damaged, foreign or from a newer version; it never repairs by
    overwriting.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        super().__init__(self._execute, self._execute_many)
        self._db = connection
        self.path = path
        self._depth = 0
        self.lost = 0  # how often what was held could not be committed
        self.on_rollback: Callable[[], None] = lambda: None  # rows are again as they were before the transaction
        self.bucket = BucketTables(self._run, self._many)
        self.feed = FeedTables(self._run, self._many)
        self.bulk = BulkTables(self._run, self._many)
        self.known = KnownTables(self._run, self._many)
        self.trash = TrashTables(self._run, self._many)
        self.index = IndexTables(self._run, self._many)
        self.units = Units(self._run, contextlib.nullcontext)
        self.reports = ReportTables(self._run, self._many)
        self.versions = VersionTables(self._run, self._many)
        self.mimes = MimeTables(self._run, self._many)
        self.going = GoingTables(self._run, self._many)

    # -- life ---------------------------------------------------------------------------------------------

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False) -> "Catalog":
        return cls(open_connection(path, read_only=read_only), path)

    def close(self) -> None:
        self._db.close()

    @property
    def is_changing(self) -> bool:
        """Whether a transaction is open."""
        return self._depth > 0

    @property
    def is_holding(self) -> bool:
        """Whether something is held that was not committed yet."""
        return not self._depth and self._db.in_transaction

    @property
    def changes(self) -> int:
        """How many rows were changed by this connection: another number is another state."""
        return self._db.total_changes

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, durable against the death of this process on return. Nests: the outermost decides."""
        if self._depth:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
            return
        self.commit_held()
        self._run("BEGIN IMMEDIATE")
        self._depth = 1
        try:
            yield
            self._run("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        finally:
            self._depth = 0

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """All that is read within it is of one moment, and read faster; on a connection that only reads."""
        self._run("BEGIN")
        try:
            yield
        finally:
            self._db.execute("ROLLBACK")

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """For what can be done again: durable with the next `commit_held`, or transaction of anybody.

        Pages that many small changes touch are written once. Raised inside, an error takes along all that is held.
        """
        if self._depth:
            raise AssertionError("a transaction is open")
        if not self._db.in_transaction:
            self._run("BEGIN IMMEDIATE")
        self._depth = 1
        try:
            yield
        except BaseException:
            self._roll_back()
            self.lost += 1
            raise
        finally:
            self._depth = 0

    def commit_held(self) -> None:
        """Whoever held it has to look at `lost`: to others it makes no difference."""
        if self._depth or not self._db.in_transaction:
            return
        try:
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            log.warning("what was followed is read again: %s", translated(error, self.path))
            self._roll_back()
            self.lost += 1

    def _roll_back(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
        self.moves += 1
        self.on_rollback()

    def _execute(self, sql: str, args: Sequence[Value] = ()) -> sqlite3.Cursor:
        try:
            return self._db.execute(sql, args)
        except sqlite3.Error as error:
            raise translated(error, self.path) from error

    def _execute_many(self, sql: str, rows: Iterable[Sequence[Value]]) -> None:
        try:
            self._db.executemany(sql, rows)
        except sqlite3.Error as error:
            raise translated(error, self.path) from error

    def job(self, name: bytes) -> int:
        """The id of a job, made where there is none: not held, for others go on with it."""
        found = self.bucket.job_id(name)
        if found is None:
            with self.transaction():
                found = self.bucket.make_job(name)
        return found

    # -- sums and settings --------------------------------------------------------------------------------

    def stored_bytes(self) -> int:
        """Stored bytes of all settled live content."""
        return int(self._run("SELECT stored FROM usage").fetchone()[0])

    def totals(self) -> dict[str, int]:
        """Counts and sizes over everything; reads all entries."""
        row = self._run(
            "SELECT count(*), coalesce(sum(e.size), 0), coalesce(sum(c.stored), 0), count(DISTINCT e.content)"
            " FROM entry e LEFT JOIN content c ON c.id = e.content WHERE e.kind = 1"
        ).fetchone()
        jobs = self._run("SELECT count(*) FROM entry WHERE parent = 1 AND ino <> 1").fetchone()[0]
        return {"jobs": jobs, "artifacts": row[0], "size": row[1], "referenced": row[2], "contents": row[3]}

    def backlog(self) -> tuple[int, int, int, int]:
        """(jobs, files and symlinks, contents, stored bytes) that the bucket lacks; all, where there was none yet."""
        owed = "1" if self.meta("owes") is None else "t.owed & 31"
        jobs, files, contents, stored = self._run(
            "WITH RECURSIVE t (ino, job, kind, content, owed) AS ("
            " SELECT ino, ino, kind, content, owed FROM entry WHERE parent = 1 AND ino <> 1 UNION ALL"
            " SELECT e.ino, t.job, e.kind, e.content, e.owed FROM t"
            " CROSS JOIN entry e ON e.parent = t.ino WHERE t.kind = 2),"
            f" lacking AS MATERIALIZED (SELECT job, kind, content FROM t WHERE {owed})"
            " SELECT (SELECT count(DISTINCT job) FROM lacking), (SELECT count(*) FROM lacking WHERE kind <> 2),"
            " count(*), coalesce(sum(stored), 0) FROM content WHERE id IN (SELECT content FROM lacking)"
        ).fetchone()
        return int(jobs), int(files), int(contents), int(stored)

    def meta(self, key: str) -> str | None:
        row = self._run("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def set_meta(self, key: str, value: str) -> None:
        self._run("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def wal_bytes(self) -> int:
        try:
            return Path(f"{self.path}-wal").stat().st_size
        except FileNotFoundError:
            return 0
