"""What was removed or overwritten, for the grace: taken, listed, found by what it lay below, and emptied.

Part of `Catalog`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from mountfs.catalog.bucket import Aside
from mountfs.catalog.tables import Tables
from mountfs.catalog.versions import A_VERSION
from mountfs.model import Entry

TRASHED = "id, job, path, kind, mode, uid, gid, size, mtime_ns, birth_ns, content, target, registers, gone_ms, reason"
_ASIDE = (
    "SELECT a.id, j.name, a.path, a.set_ms, a.reason, a.record, a.content FROM aside a CROSS JOIN job j ON j.id = a.job"
)


@dataclass(frozen=True, slots=True)
class Trashed:
    """A file or symlink that went, with all that brings it back. `registers` is JSON."""

    id: int
    job: bytes
    path: bytes
    kind: int
    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    birth_ns: int
    content: int | None
    target: bytes | None
    registers: str
    gone_ms: int
    reason: str


class TrashTables(Tables):
    """See the module's docstring."""

    def add(self, job: bytes, path: bytes, e: Entry, registers: str, *, gone_ms: int, reason: str) -> None:
        self._run(
            "INSERT INTO trash (job, path, kind, mode, uid, gid, size, mtime_ns, birth_ns, content, target, stamp,"
            " registers, gone_ms, reason) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                job, path, e.kind, e.mode, e.uid, e.gid, e.size, e.mtime_ns, e.birth_ns, e.content, e.target, e.stamp,
                registers, gone_ms, reason,
            ),
        )  # fmt: skip

    def one(self, number: int) -> Trashed | None:
        row = self._run(f"SELECT {TRASHED} FROM trash WHERE id = ?", (number,)).fetchone()
        return Trashed(*row) if row else None

    def at(self, job: bytes, path: bytes) -> list[Trashed]:
        """What was at that path, the newest first."""
        sql = f"SELECT {TRASHED} FROM trash WHERE job = ? AND path = ? ORDER BY gone_ms DESC, id DESC"
        return [Trashed(*row) for row in self._run(sql, (job, path))]

    def jobs_wanting(self, content: int) -> list[int]:
        """Jobs from whose trash a content may be wanted."""
        sql = "SELECT DISTINCT j.id FROM trash t JOIN job j ON j.name = t.job WHERE t.content = ?"
        return [j for (j,) in self._run(sql, (content,))]

    def forget(self, numbers: Iterable[int]) -> None:
        self._many("DELETE FROM trash WHERE id = ?", ((i,) for i in numbers))

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
        """Of what was at that path only the newest stay; versions do, of which the file had as many."""
        at_path = f"FROM trash WHERE job = ? AND path = ? AND reason NOT GLOB '{A_VERSION}*'"
        count = self._run(f"SELECT count(*) {at_path}", (job, path)).fetchone()[0]
        if count <= keep:
            return
        self._run(
            f"DELETE FROM trash WHERE id IN (SELECT id {at_path} ORDER BY gone_ms DESC, id DESC LIMIT -1 OFFSET ?)",
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
