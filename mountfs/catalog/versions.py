"""The contents that files had before, by inode number: a history follows its file through renames.

Part of `Catalog`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mountfs.catalog.tables import Tables, marks
from mountfs.model import Digest, Entry, Kind

A_VERSION: Final = "version "
"""Begins the reason of what went to the trash as one, and is followed by its number."""


@dataclass(frozen=True, slots=True)
class Superseded:
    """One content that a file had; `content` is its row."""

    stamp: str
    digest: Digest
    size: int
    content: int
    mtime_ns: int
    birth_ns: int


class VersionTables(Tables):
    """See the module's docstring."""

    def add(self, ino: int, stamp: str, content: int, *, size: int, mtime_ns: int, birth_ns: int) -> None:
        self._run(
            "INSERT OR IGNORE INTO version (ino, stamp, content, size, mtime_ns, birth_ns) VALUES (?,?,?,?,?,?)",
            (ino, stamp, content, size, mtime_ns, birth_ns),
        )

    def of(self, ino: int) -> list[Superseded]:
        """The oldest first."""
        rows = self._run(
            "SELECT v.stamp, c.digest, v.size, v.content, v.mtime_ns, v.birth_ns FROM version v"
            " JOIN content c ON c.id = v.content WHERE v.ino = ? AND c.digest IS NOT NULL ORDER BY v.stamp",
            (ino,),
        )
        return [Superseded(stamp, Digest(digest), *rest) for stamp, digest, *rest in rows]

    def hand(self, ino: int, *, to: int) -> None:
        """The history of an entry that is about to go is that of another now."""
        self._run("UPDATE OR IGNORE version SET ino = ? WHERE ino = ?", (to, ino))

    def to_trash(
        self, entry: Entry, job: bytes, path: bytes, registers: str, *, gone_ms: int, numbers: Mapping[str, int],
        before: str,
    ) -> None:  # fmt: skip
        """What a file had, under older stamps than `before`, can be brought back for the grace, and no longer.

        `numbers` of the versions, by stamp: those go to the trash.
        """
        self._many(
            "INSERT INTO trash (job, path, kind, mode, uid, gid, size, mtime_ns, birth_ns, content, target, stamp,"
            " registers, gone_ms, reason)"
            " SELECT ?, ?, ?, ?, ?, ?, size, mtime_ns, birth_ns, content, NULL, stamp, ?, ?, ?"
            " FROM version WHERE ino = ? AND stamp = ?",
            (
                (job, path, Kind.FILE, entry.mode, entry.uid, entry.gid, registers, gone_ms, f"{A_VERSION}{number}",
                 entry.ino, stamp)
                for stamp, number in sorted(numbers.items()) if stamp < before
            ),
        )  # fmt: skip
        self._run("DELETE FROM version WHERE ino = ? AND stamp < ?", (entry.ino, before))

    def from_trash(self, number: int, *, to: int) -> None:
        """What went to the trash together with this row, and before it, is the history of an entry again."""
        for (row,) in self._run(
            "SELECT v.id FROM trash t JOIN trash v ON (v.job, v.path, v.gone_ms) = (t.job, t.path, t.gone_ms)"
            f" WHERE t.id = ? AND v.id < t.id AND v.reason GLOB '{A_VERSION}*'",
            (number,),
        ).fetchall():
            self._run(
                "INSERT OR IGNORE INTO version (ino, stamp, content, size, mtime_ns, birth_ns)"
                " SELECT ?, stamp, content, size, mtime_ns, birth_ns FROM trash WHERE id = ?",
                (to, row),
            )
            self._run("DELETE FROM trash WHERE id = ?", (row,))

    def are_in_trash(self, job: bytes, path: bytes) -> bool:
        """Whether some of what was at that path is there."""
        sql = f"SELECT 1 FROM trash WHERE job = ? AND path = ? AND reason GLOB '{A_VERSION}*' LIMIT 1"
        return self._run(sql, (job, path)).fetchone() is not None

    def needing(self, contents: Sequence[int]) -> list[tuple[int, int]]:
        """(content, ino) of those of these that files had before."""
        rows = self._run(f"SELECT content, ino FROM version WHERE content IN ({marks(contents)})", contents)
        return [(content, ino) for content, ino in rows]

    def is_empty(self) -> bool:
        return self._run("SELECT 1 FROM version LIMIT 1").fetchone() is None

    def names_in(self, parent: int, *, after: bytes, limit: int) -> list[bytes]:
        """What of a directory has versions, or holds something that has; in byte order. Looks at all of them."""
        rows = self._run(
            "WITH RECURSIVE up (ino, parent, name) AS ("
            " SELECT e.ino, e.parent, e.name FROM entry e WHERE e.ino IN (SELECT DISTINCT ino FROM version)"
            " UNION SELECT e.ino, e.parent, e.name FROM up JOIN entry e ON e.ino = up.parent)"
            " SELECT name FROM up WHERE parent = ? AND ino <> parent AND name > ? ORDER BY name LIMIT ?",
            (parent, after, limit),
        )
        return [bytes(name) for (name,) in rows]
