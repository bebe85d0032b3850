"""What is known of paths beside their entries: what is past, other names, open files that grow, renamed directories."""

from collections.abc import Iterable
from dataclasses import dataclass

from mountfs.catalog.tables import Tables

_PAST = "path, register, stamp, value, owed, pair, base"


@dataclass(frozen=True, slots=True)
class Past:
    """One register of a path that is no entry, or ("") the clear that is known of a path."""

    path: bytes
    register: str
    stamp: str
    value: str | None
    owed: bool
    pair: int | None
    base: str | None


class PathTables(Tables):
    """See the module's docstring."""

    # -- what is past ----------------------------------------------------------------------------------------

    def past(self, job: int, path: bytes) -> list[Past]:
        rows = self._run(f"SELECT {_PAST} FROM past WHERE job = ? AND path = ?", (job, path))
        return [Past(*row) for row in rows]

    def past_of(self, job: int) -> list[Past]:
        return [Past(*row) for row in self._run(f"SELECT {_PAST} FROM past WHERE job = ?", (job,))]

    def put_past(
        self, job: int, path: bytes, register: str, stamp: str, value: str | None = None, *,
        owed: bool = False, pair: int | None = None, base: str | None = None,
    ) -> None:  # fmt: skip
        self._run(
            "INSERT OR REPLACE INTO past VALUES (?,?,?,?,?,?,?,?)",
            (job, path, register, stamp, value, owed, pair, base),
        )

    def drop_past(self, job: int, path: bytes, register: str | None = None) -> None:
        """One register of a path, or all that is past of it."""
        if register is None:
            self._run("DELETE FROM past WHERE job = ? AND path = ?", (job, path))
        else:
            self._run("DELETE FROM past WHERE job = ? AND path = ? AND register = ?", (job, path, register))

    def drop_registers(self, job: int, path: bytes) -> None:
        """All that is past of a path but its clear."""
        self._run("DELETE FROM past WHERE job = ? AND path = ? AND register <> ''", (job, path))

    def owed_past(
        self, job: int, *, after: tuple[bytes, str] | None = None, limit: int = 1_000_000_000
    ) -> list[Past]:  # fmt: skip
        """What the bucket lacks of paths that are past, in order; `after` names the last (path, register) before it."""
        beyond = "" if after is None else " AND (path, register) > (?, ?)"
        rows = self._run(
            f"SELECT {_PAST} FROM past INDEXED BY past_owed WHERE job = ? AND owed = 1{beyond}"
            " ORDER BY path, register LIMIT ?",
            (job, *(after or ()), limit),
        )
        return [Past(*row) for row in rows]

    def has_owed_past(self, job: int) -> bool:
        sql = "SELECT 1 FROM past INDEXED BY past_owed WHERE job = ? AND owed = 1 LIMIT 1"  # most are not owed
        return self._run(sql, (job,)).fetchone() is not None

    def confirm_past(self, job: int, rows: Iterable[tuple[bytes, str, str]]) -> None:
        """(path, register, stamp): the bucket has these."""
        self._many(
            "UPDATE past SET owed = 0, pair = NULL, base = NULL"
            " WHERE job = ? AND path = ? AND register = ? AND stamp = ?",
            ((job, *row) for row in rows),
        )

    def jobs_with_past(self) -> set[int]:
        sql = "SELECT id FROM job WHERE EXISTS (SELECT 1 FROM past WHERE past.job = job.id)"
        return {i for (i,) in self._run(sql, ())}

    def jobs_with_owed_past(self) -> set[int]:
        return {i for (i,) in self._run("SELECT DISTINCT job FROM past WHERE owed = 1", ())}

    # -- names that collided ---------------------------------------------------------------------------------

    def aliases(self) -> list[tuple[int, int, bytes]]:
        """(ino, parent, name in records)."""
        return [(i, parent, bytes(name)) for i, parent, name in self._run("SELECT ino, parent, name FROM alias", ())]

    def note_alias(self, ino: int, parent: int, name: bytes) -> None:
        self._run("INSERT OR REPLACE INTO alias VALUES (?,?,?)", (ino, parent, name))

    def forget_alias(self, ino: int) -> None:
        self._run("DELETE FROM alias WHERE ino = ?", (ino,))

    # -- open files, published while they grow ---------------------------------------------------------------

    def snapshot(self, ino: int) -> tuple[int, str, str] | None:
        """(content, stamp, extends) of the state that is published of an open file."""
        row = self._run("SELECT content, stamp, extends FROM snapshot WHERE ino = ?", (ino,)).fetchone()
        return (row[0], row[1], row[2]) if row else None

    def set_snapshot(self, ino: int, content: int, stamp: str, extends: str) -> None:
        self.drop_snapshot(ino)
        self._run("INSERT INTO snapshot VALUES (?,?,?,?)", (ino, content, stamp, extends))

    def drop_snapshot(self, ino: int) -> None:
        self._run("DELETE FROM snapshot WHERE ino = ?", (ino,))

    def drop_snapshots(self) -> None:
        self._run("DELETE FROM snapshot", ())

    # -- directories that were renamed -----------------------------------------------------------------------

    def moved(self) -> dict[int, tuple[int, bytes, str]]:
        """By ino: (job, path) under which the bucket knows what lies below it, and the stamp of the rename."""
        rows = self._run("SELECT ino, job, path, stamp FROM moved", ())
        return {i: (job, bytes(path), stamp) for i, job, path, stamp in rows}

    def note_moved(self, ino: int, job: int, path: bytes, stamp: str) -> None:
        self._run("INSERT OR IGNORE INTO moved VALUES (?,?,?,?)", (ino, job, path, stamp))

    def forget_moved(self, ino: int) -> None:
        self._run("DELETE FROM moved WHERE ino = ?", (ino,))
