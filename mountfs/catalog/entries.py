"""Entries: what has a name, by number and by name."""

from collections.abc import Iterable, Sequence

from mountfs.catalog.tables import Tables, Value
from mountfs.model import ROOT_INO, Entry

_ENTRY = (
    "e.ino, e.parent, e.name, e.kind, e.mode, e.uid, e.gid, e.size, e.atime_ns, e.mtime_ns, e.ctime_ns, e.birth_ns,"
    " e.content, e.target, e.stamp, e.standing, e.mode_stamp, e.owner_stamp, e.mtime_stamp, e.owed,"
    " coalesce(c.stored, 0)"
)
_FROM = " FROM entry e LEFT JOIN content c ON c.id = e.content "
_BY_INO = f"SELECT {_ENTRY}{_FROM}WHERE e.ino = ?"
BY_INOS = f"SELECT {_ENTRY}{_FROM}WHERE e.ino IN ({{marks}})"
_BY_NAME = f"SELECT {_ENTRY}{_FROM}WHERE e.parent = ? AND e.name = ?"
_CHILDREN = f"SELECT {_ENTRY}{_FROM}WHERE e.parent = ? AND e.name > ? ORDER BY e.name LIMIT ?"
_BELOW = (
    "WITH RECURSIVE below (ino, kind, name, stamp, content) AS ("
    " SELECT ino, kind, name, stamp, content FROM entry WHERE ino = ? UNION ALL"
    " SELECT e.ino, e.kind, e.name, e.stamp, e.content FROM below b CROSS JOIN entry e ON e.parent = b.ino"
    " WHERE b.kind = 2)"
)
_UPSERT = (
    "INSERT INTO entry (ino, parent, name, kind, mode, uid, gid, size, atime_ns, mtime_ns, ctime_ns, birth_ns,"
    " content, target, stamp, standing, mode_stamp, owner_stamp, mtime_stamp, owed)"
    " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
    " ON CONFLICT (ino) DO UPDATE SET parent = excluded.parent, name = excluded.name, mode = excluded.mode,"
    " uid = excluded.uid, gid = excluded.gid, size = excluded.size, atime_ns = excluded.atime_ns,"
    " mtime_ns = excluded.mtime_ns, ctime_ns = excluded.ctime_ns, birth_ns = excluded.birth_ns,"
    " content = excluded.content,"
    " stamp = excluded.stamp, standing = excluded.standing, mode_stamp = excluded.mode_stamp,"
    " owner_stamp = excluded.owner_stamp, mtime_stamp = excluded.mtime_stamp, owed = excluded.owed"
)


class EntryTables(Tables):
    """See the module's docstring."""

    moves = 0
    """How often an entry got another name or place, or may have got its old one back."""

    def entry(self, ino: int) -> Entry | None:
        row = self._run(_BY_INO, (ino,)).fetchone()
        return Entry(*row) if row else None

    def child(self, parent: int, name: bytes) -> Entry | None:
        row = self._run(_BY_NAME, (parent, name)).fetchone()
        return Entry(*row) if row else None

    def children(self, parent: int, *, after: bytes = b"", limit: int = 1000) -> list[Entry]:
        """The next `limit` entries of a directory in byte order of their names."""
        return [Entry(*row) for row in self._run(_CHILDREN, (parent, after, limit))]

    def has_children(self, parent: int) -> bool:
        sql = "SELECT 1 FROM entry WHERE parent = ? AND name > x'' LIMIT 1"
        return self._run(sql, (parent,)).fetchone() is not None

    def put_entries(self, entries: Iterable[Entry]) -> None:
        """Insert or replace whole rows; `stored` belongs to the content and is not written."""
        self._many(_UPSERT, (_row(e) for e in entries))

    def move_entry(self, ino: int, *, parent: int, name: bytes, ctime_ns: int) -> None:
        self.moves += 1
        self._run("UPDATE entry SET parent = ?, name = ?, ctime_ns = ? WHERE ino = ?", (parent, name, ctime_ns, ino))

    def exchange_entries(self, a: Entry, b: Entry, *, ctime_ns: int) -> None:
        """Swap two names; a third name carries one over the UNIQUE constraint for a moment."""
        self.move_entry(a.ino, parent=-a.ino, name=b"\0", ctime_ns=ctime_ns)
        self.move_entry(b.ino, parent=a.parent, name=a.name, ctime_ns=ctime_ns)
        self.move_entry(a.ino, parent=b.parent, name=b.name, ctime_ns=ctime_ns)

    def touch_directories(self, times: Iterable[tuple[int, int]]) -> None:
        """Set mtime and ctime of directories: pairs of (time_ns, ino)."""
        self._many("UPDATE entry SET mtime_ns = ?1, ctime_ns = ?1 WHERE ino = ?2", times)

    def delete_entry(self, ino: int) -> None:
        self._run("DELETE FROM entry WHERE ino = ?", (ino,))

    def repoint(self, ino: int, *, old: int, new: int) -> None:
        """Let an entry, and drafts begun on it, use an equal content instead of `old`."""
        self._run("UPDATE entry SET content = ? WHERE ino = ? AND content = ?", (new, ino, old))
        self._run("UPDATE draft SET base = ? WHERE base = ?", (new, old))

    def mark_recovered(self) -> int:
        sql = "UPDATE entry SET standing = 'recovered' WHERE standing = 'provisional'"
        return self._run(sql).rowcount

    def entries_of(self, content: int) -> list[Entry]:
        """Entries that name a content."""
        return [Entry(*row) for row in self._run(f"SELECT {_ENTRY}{_FROM}WHERE e.content = ?", (content,))]

    def entries_with(self, digest: bytes) -> list[Entry]:
        """Entries whose content has this digest, in whatever form it is stored."""
        sql = f"SELECT {_ENTRY} FROM content c JOIN entry e ON e.content = c.id WHERE c.digest = ?"
        return [Entry(*row) for row in self._run(sql, (digest,))]

    def sums_below(self, ino: int) -> tuple[int, int, int]:
        """(files and symlinks, their plain bytes, their stored bytes) below a directory; reads a row for each."""
        row = self._run(
            f"{_BELOW} SELECT count(*), coalesce(sum(e.size), 0), coalesce(sum(c.stored), 0) FROM below b"
            " CROSS JOIN entry e ON e.ino = b.ino LEFT JOIN content c ON c.id = b.content WHERE b.kind <> 2",
            (ino,),
        ).fetchone()
        return int(row[0]), int(row[1]), int(row[2])

    def others_at(self, ino: int) -> bytes | None:
        """The name of an entry, this one or one below it, that was written by none of this machine's writers."""
        row = self._run(
            f"{_BELOW} SELECT name FROM below"
            " WHERE stamp <> '' AND substr(stamp, 19) NOT IN (SELECT writer FROM writer)"
            " LIMIT 1",
            (ino,),
        ).fetchone()
        return None if row is None else bytes(row[0])

    def absent_at(self, ino: int) -> bytes | None:
        """The name of an entry, this one or one below it, whose content is in the bucket alone."""
        row = self._run(
            f"{_BELOW} SELECT b.name FROM below b CROSS JOIN content c ON c.id = b.content"
            " WHERE c.place = 'bucket' LIMIT 1",
            (ino,),
        ).fetchone()
        return None if row is None else bytes(row[0])

    def naming(self, contents: Sequence[int]) -> list[tuple[int, Entry]]:
        """(content, entry) for every entry whose content has the digest of one of these, in whatever form."""
        marks = ",".join("?" * len(contents))
        rows = self._run(
            f"SELECT d.id, {_ENTRY} FROM content d"
            " JOIN content c ON c.digest = d.digest JOIN entry e ON e.content = c.id"
            f" WHERE d.id IN ({marks})",
            contents,
        )
        return [(row[0], Entry(*row[1:])) for row in rows]

    def last_ids(self) -> tuple[int, int]:
        """The highest ino and content id ever given out."""
        rows = dict(self._run("SELECT name, seq FROM sqlite_sequence").fetchall())
        return max(int(rows.get("entry", 0)), ROOT_INO), int(rows.get("content", 0))

    def inos_with_codec(self) -> set[int]:
        """Entries for which somebody asked for a codec."""
        return {ino for (ino,) in self._run("SELECT ino FROM register WHERE name = '@codec' AND gone = 0")}

    def count_files(self) -> int:
        return int(self._run("SELECT count(*) FROM entry WHERE kind = 1").fetchone()[0])

    # -- registers ----------------------------------------------------------------------------------------

    def register(self, ino: int, name: str) -> bytes | None:
        row = self._run("SELECT value FROM register WHERE ino = ? AND name = ? AND gone = 0", (ino, name)).fetchone()
        return None if row is None else bytes(row[0])

    def registers(self, ino: int, prefix: str = "") -> dict[str, bytes]:
        """The registers of an entry whose names begin so, in order of their names."""
        rows = self._run(
            "SELECT name, value FROM register WHERE ino = ?1 AND name >= ?2 AND substr(name, 1, length(?2)) = ?2"
            " AND gone = 0",
            (ino, prefix),
        )
        return {name: bytes(value) for name, value in rows}

    def set_register(self, ino: int, name: str, value: bytes | None, stamp: str, *, owed: bool = False) -> None:
        """`value` None: it was removed, and only the stamp of that counts."""
        self._run(
            "INSERT OR REPLACE INTO register (ino, name, value, stamp, owed, gone) VALUES (?,?,?,?,?,?)",
            (ino, name, value or b"", stamp, owed, value is None),
        )

    def delete_register(self, ino: int, name: str) -> bool:
        return self._run("DELETE FROM register WHERE ino = ? AND name = ?", (ino, name)).rowcount == 1


def _row(e: Entry) -> tuple[Value, ...]:
    return (
        e.ino, e.parent, e.name, e.kind, e.mode, e.uid, e.gid, e.size, e.atime_ns, e.mtime_ns, e.ctime_ns, e.birth_ns,
        e.content, e.target, e.stamp, e.standing, e.mode_stamp, e.owner_stamp, e.mtime_stamp, e.owed,
    )  # fmt: skip
