"""Statements over the trash as a whole: listed, found by what it lay below, and emptied. Part of `Catalog`."""

import sqlite3
from collections.abc import Callable, Sequence

from mountfs.catalog.bucket import TRASHED, Aside, Trashed

Value = int | str | bytes | None
_ASIDE = (
    "SELECT a.id, j.name, a.path, a.set_ms, a.reason, a.record, a.content FROM aside a CROSS JOIN job j ON j.id = a.job"
)


class TrashTables:
    """`run` executes on the catalog's one connection. Single rows are met in `BucketTables`."""

    def __init__(self, run: Callable[[str, Sequence[Value]], sqlite3.Cursor]) -> None:
        self._run = run

    def below(self, job: bytes, path: bytes) -> list[Trashed]:
        """All that went from below a directory, itself included; of each path the newest first."""
        where, arguments = _below(job, path)
        sql = f"SELECT {TRASHED} FROM trash WHERE {where} ORDER BY path, gone_ms DESC, id DESC"
        return [Trashed(*row) for row in self._run(sql, arguments)]

    def page(self, *, before: tuple[int, int], limit: int) -> list[Trashed]:
        """What went last before (gone_ms, id), newest first."""
        sql = f"SELECT {TRASHED} FROM trash WHERE (gone_ms, id) < (?, ?) ORDER BY gone_ms DESC, id DESC LIMIT ?"
        return [Trashed(*row) for row in self._run(sql, (*before, limit))]

    def gone_before(self, moment_ms: int, *, limit: int) -> list[int]:
        """Ids of what went before that moment, oldest first."""
        rows = self._run("SELECT id FROM trash WHERE gone_ms < ? ORDER BY gone_ms LIMIT ?", (moment_ms, limit))
        return [i for (i,) in rows]

    def thin_out(self, job: bytes, path: bytes, *, keep: int) -> None:
        """Of what was at that path only the newest stay."""
        count = self._run("SELECT count(*) FROM trash WHERE job = ? AND path = ?", (job, path)).fetchone()[0]
        if count <= keep:
            return
        self._run(
            "DELETE FROM trash WHERE id IN (SELECT id FROM trash WHERE job = ? AND path = ?"
            " ORDER BY gone_ms DESC, id DESC LIMIT -1 OFFSET ?)",
            (job, path, keep),
        )

    def only_here(self, *, limit: int) -> list[tuple[int, int]]:
        """(id, bytes) of what went first, of that whose content is on this machine and needed by nothing else."""
        rows = self._run(
            "SELECT t.id, c.stored FROM trash t JOIN content c ON c.id = t.content"
            " WHERE c.place IN ('catalog', 'file') AND c.links = 0 ORDER BY t.gone_ms, t.id LIMIT ?",
            (limit,),
        )
        return [(i, stored) for i, stored in rows]

    # -- what was set aside ---------------------------------------------------------------------------------

    def aside_at(self, job: bytes, path: bytes) -> list[Aside]:
        rows = self._run(f"{_ASIDE} WHERE j.name = ? AND a.path = ? ORDER BY a.id", (job, path))
        return [Aside(*row) for row in rows]

    def aside_below(self, job: bytes, path: bytes) -> list[Aside]:
        """Of a directory and all below it."""
        where, arguments = _below(job, path)
        sql = f"{_ASIDE} WHERE {where.replace('job', 'j.name').replace('path', 'a.path')} ORDER BY a.id"
        return [Aside(*row) for row in self._run(sql, arguments)]

    def all_aside(self) -> list[Aside]:
        return [Aside(*row) for row in self._run(f"{_ASIDE} ORDER BY a.id", ())]

    def totals(self) -> tuple[int, int]:
        """(how much went, bytes that it alone costs here). Reads all of it."""
        rows = self._run(
            "SELECT (SELECT count(*) FROM trash), coalesce(sum(stored), 0) FROM content"
            " WHERE id IN (SELECT content FROM trash) AND links = 0 AND place IN ('catalog', 'file')",
            (),
        )
        count, stored = rows.fetchone()
        return int(count), int(stored)


def _below(job: bytes, path: bytes) -> tuple[str, tuple[bytes, ...]]:
    if not path:
        return "job = ?", (job,)
    return "job = ?1 AND (path = ?2 OR (path > ?3 AND path < ?4))", (job, path, path + b"/", path + b"0")
