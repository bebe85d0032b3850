"""Statements over many rows at a time: questions about a hundred names in one, rows of new paths by `executemany`.

Part of `Catalog`, and bound by its protocol. An index is asked for `WIDTH` things at a time, so that the statement is
always the same one.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence

Value = int | str | bytes | None
Row = tuple[Value, ...]

WIDTH = 64
_MARKS = ",".join("?" * WIDTH)


class BulkTables:
    """See the module's docstring. `run` and `many` execute on the catalog's one connection."""

    def __init__(
        self,
        run: Callable[[str, Sequence[Value]], sqlite3.Cursor],
        many: Callable[[str, Iterable[Sequence[Value]]], None],
    ) -> None:
        self._run = run
        self._many = many

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

    def contents(self, digests: Sequence[bytes]) -> dict[bytes, int]:
        """The ids of contents with these digests: where there are several, of one that is here."""
        sql = f"SELECT digest, id FROM content WHERE digest IN ({_MARKS}) ORDER BY place <> 'bucket'"
        return dict(self._ask(sql, (), digests))  # type: ignore[arg-type]

    def last_job(self) -> int:
        return int(self._run("SELECT coalesce(max(id), 0) FROM job", ()).fetchone()[0])

    # -- what comes ---------------------------------------------------------------------------------------

    def add_jobs(self, rows: Iterable[tuple[int, bytes]]) -> None:
        """(id, name)."""
        self._many("INSERT INTO job (id, name) VALUES (?,?)", rows)

    def add_contents(self, rows: Iterable[Row]) -> None:
        """(id, digest, size, stored, codec) of contents that are in the bucket alone."""
        self._many("INSERT INTO content (id, place, digest, size, stored, codec) VALUES (?,'bucket',?,?,?,?)", rows)

    def add_entries(self, rows: Iterable[Row]) -> None:
        """(ino, parent, name, kind, mode, uid, gid, size, mtime_ns, ctime_ns, birth_ns, content, target, stamp,
        mode_stamp, owner_stamp, mtime_stamp, owed) of entries that are new."""
        self._many(
            "INSERT INTO entry (ino, parent, name, kind, mode, uid, gid, size, atime_ns, mtime_ns, ctime_ns, birth_ns,"
            " content, target, stamp, standing, mode_stamp, owner_stamp, mtime_stamp, owed)"
            " VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?9,?10,?11,?12,?13,?14,'closed',?15,?16,?17,?18)",
            rows,
        )

    def add_registers(self, rows: Iterable[Row]) -> None:
        """(ino, name, value, stamp, gone) of entries that are new."""
        self._many("INSERT INTO register (ino, name, value, stamp, gone) VALUES (?,?,?,?,?)", rows)

    def move_times(self, rows: Iterable[tuple[int, int, str]]) -> None:
        """(time_ns, ino, stamp): directories move with their entries, unless their time was set after that."""
        self._many(
            "UPDATE entry SET mtime_ns = ?1, ctime_ns = ?1 WHERE ino = ?2 AND mtime_ns < ?1"
            " AND coalesce(mtime_stamp, stamp) < ?3",
            rows,
        )
