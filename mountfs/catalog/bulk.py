"""Statements over many rows at a time: questions about a hundred names in one, rows of new paths by `executemany`.

Part of `Catalog`, and bound by its protocol. An index is asked for `WIDTH` things at a time, so that the statement is
always the same one.
"""

from collections.abc import Iterable, Iterator, Sequence

from mountfs.catalog.tables import Row, Tables, Value

WIDTH = 64
WIDTHS = (64, 16, 4, 1)  # rows of a statement, so that there are few statements
_MARKS = ",".join("?" * WIDTH)


class BulkTables(Tables):
    """See the module's docstring."""

    def _ask(self, sql: str, before: Row, things: Sequence[Value]) -> Iterator[Row]:
        for start in range(0, len(things), WIDTH):
            some = things[start : start + WIDTH]
            yield from self._run(sql, (*before, *some, *(None,) * (WIDTH - len(some))))

    # -- what is there ------------------------------------------------------------------------------------

    def jobs(self, names: Sequence[bytes]) -> dict[bytes, int]:
        """The ids of those jobs that are known."""
        return dict(self._ask(f"SELECT name, id FROM job WHERE name IN ({_MARKS})", (), names))  # type: ignore[arg-type]

    def children(self, parent: int, names: Sequence[bytes]) -> dict[bytes, tuple[int, int]]:
        """By name: (ino, kind) of those entries of a directory that are there."""
        sql = f"SELECT name, ino, kind FROM entry WHERE parent = ? AND name IN ({_MARKS})"
        return {name: (ino, kind) for name, ino, kind in self._ask(sql, (parent,), names)}  # type: ignore[misc]

    def contents(self, digests: Sequence[bytes]) -> dict[bytes, tuple[int, int | None]]:
        """(id, plain size) of contents with these digests: where there are several, of one that is here. No size of
        one that is not: a record only claims it."""
        place = "iif(place = 'bucket', NULL, size)"
        sql = f"SELECT digest, id, {place} FROM content WHERE digest IN ({_MARKS}) ORDER BY place <> 'bucket'"
        return {digest: (content, size) for digest, content, size in self._ask(sql, (), digests)}  # type: ignore[misc]

    def root_count(self) -> int:
        """How many jobs the root shows."""
        return int(self._run("SELECT count(*) FROM entry WHERE parent = 1 AND ino <> 1", ()).fetchone()[0])

    def last_job(self) -> int:
        return int(self._run("SELECT coalesce(max(id), 0) FROM job", ()).fetchone()[0])

    # -- what comes ---------------------------------------------------------------------------------------

    def _insert(self, sql: str, values: str, rows: Sequence[Row]) -> None:
        """Many rows a statement: each statement opens the table with all its indexes."""
        start = 0
        for width in WIDTHS:
            while len(rows) - start >= width:
                some = rows[start : start + width]
                self._run(sql + ",".join([values] * width), [value for row in some for value in row])
                start += width

    def add_jobs(self, rows: Sequence[tuple[int, bytes, bool]]) -> None:
        """(id, name, whether another machine wrote there)."""
        self._insert("INSERT INTO job (id, name, shared) VALUES ", "(?,?,?)", rows)

    def share_jobs(self, jobs: Iterable[int]) -> None:
        """Another machine wrote there."""
        self._many("UPDATE job SET shared = 1 WHERE id = ? AND shared = 0", ((job,) for job in jobs))

    def add_told(self, rows: Sequence[tuple[int, str]]) -> None:
        """(job, bundle)."""
        self._insert("INSERT OR IGNORE INTO told VALUES ", "(?,?)", rows)

    def add_entries(self, rows: Sequence[Row]) -> None:
        """Of entries that are new: (ino, parent, owed, atime_ns, content, name, kind, mode, uid, gid, size, mtime_ns,
        ctime_ns, birth_ns, target, stamp, mode_stamp, owner_stamp, mtime_stamp)."""
        self._insert(
            "INSERT INTO entry (ino, parent, owed, atime_ns, content, name, kind, mode, uid, gid, size, mtime_ns,"
            " ctime_ns, birth_ns, target, stamp, mode_stamp, owner_stamp, mtime_stamp, standing) VALUES ",
            "(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,'closed')",
            rows,
        )

    def add_contents(self, rows: Sequence[Row]) -> None:
        """(id, digest, size, stored, codec, links) of contents in the bucket alone, behind the entries that name them:
        their triggers would count each link by itself."""
        self._insert(
            "INSERT INTO content (id, digest, size, stored, codec, links, place) VALUES ",
            "(?,?,?,?,?,?,'bucket')",
            rows,
        )
        self._run("UPDATE usage SET stored = stored + ?", (sum(int(row[3] or 0) for row in rows),))

    def add_registers(self, rows: Sequence[Row]) -> None:
        """(ino, name, value, stamp, gone) of entries that are new."""
        self._insert("INSERT INTO register (ino, name, value, stamp, gone) VALUES ", "(?,?,?,?,?)", rows)

    def move_times(self, rows: Iterable[tuple[int, int, str]]) -> None:
        """(time_ns, ino, stamp): directories move with their entries, unless their time was set after that."""
        self._many(
            "UPDATE entry SET mtime_ns = ?1, ctime_ns = ?1 WHERE ino = ?2 AND mtime_ns < ?1"
            " AND coalesce(mtime_stamp, stamp) < ?3",
            rows,
        )
