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
from mountfs.catalog.feed import FeedTables
from mountfs.catalog.trash import TrashTables
from mountfs.errors import CatalogError
from mountfs.model import ROOT_INO, Content, Digest, Entry

log = logging.getLogger(__name__)

Value = int | str | bytes | None
_ENTRY = (
    "e.ino, e.parent, e.name, e.kind, e.mode, e.uid, e.gid, e.size, e.atime_ns, e.mtime_ns, e.ctime_ns, e.birth_ns,"
    " e.content, e.target, e.stamp, e.standing, e.mode_stamp, e.owner_stamp, e.mtime_stamp, e.owed,"
    " coalesce(c.stored, 0)"
)
_FROM = " FROM entry e LEFT JOIN content c ON c.id = e.content "
_BY_INO = f"SELECT {_ENTRY}{_FROM}WHERE e.ino = ?"
_BY_NAME = f"SELECT {_ENTRY}{_FROM}WHERE e.parent = ? AND e.name = ?"
_CHILDREN = f"SELECT {_ENTRY}{_FROM}WHERE e.parent = ? AND e.name > ? ORDER BY e.name LIMIT ?"
_BELOW = (
    "WITH RECURSIVE below (ino, kind, name, stamp, content) AS ("
    " SELECT ino, kind, name, stamp, content FROM entry WHERE ino = ? UNION ALL"
    " SELECT e.ino, e.kind, e.name, e.stamp, e.content FROM below b CROSS JOIN entry e ON e.parent = b.ino"
    " WHERE b.kind = 2)"
)
_CONTENT = "id, place, digest, size, stored, codec, sums, segment, offset, damaged"
_UPSERT = (
    "INSERT INTO entry (ino, parent, name, kind, mode, uid, gid, size, atime_ns, mtime_ns, ctime_ns, birth_ns,"
    " content, target, stamp, standing, mode_stamp, owner_stamp, mtime_stamp, owed)"
    " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
    " ON CONFLICT (ino) DO UPDATE SET parent = excluded.parent, name = excluded.name, mode = excluded.mode,"
    " uid = excluded.uid, gid = excluded.gid, size = excluded.size, atime_ns = excluded.atime_ns,"
    " mtime_ns = excluded.mtime_ns, ctime_ns = excluded.ctime_ns, content = excluded.content,"
    " stamp = excluded.stamp, standing = excluded.standing, mode_stamp = excluded.mode_stamp,"
    " owner_stamp = excluded.owner_stamp, mtime_stamp = excluded.mtime_stamp, owed = excluded.owed"
)


class Catalog:
    """Entries, contents and registers, as they are now.

    `open` raises CatalogError where the file is damaged, foreign or from a newer version; it never repairs by
    overwriting.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._db = connection
        self.path = path
        self._depth = 0
        self.lost = 0  # how often what was held could not be committed
        self.on_rollback: Callable[[], None] = lambda: None  # rows are again as they were before the transaction
        self.bucket = BucketTables(self._run, self._many)
        self.feed = FeedTables(self._run, self._many)
        self.bulk = BulkTables(self._run, self._many)
        self.trash = TrashTables(self._run)

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
        self.on_rollback()

    def _run(self, sql: str, args: Sequence[Value] = ()) -> sqlite3.Cursor:
        try:
            return self._db.execute(sql, args)
        except sqlite3.Error as error:
            raise translated(error, self.path) from error

    def _many(self, sql: str, rows: Iterable[Sequence[Value]]) -> None:
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

    # -- entries ------------------------------------------------------------------------------------------

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

    # -- contents -----------------------------------------------------------------------------------------

    def content(self, content_id: int) -> Content | None:
        row = self._run(f"SELECT {_CONTENT} FROM content WHERE id = ?", (content_id,)).fetchone()
        return _content(row) if row else None

    def content_id(self, digest: Digest, codec: str) -> int | None:
        """The id of the content of that digest which is stored in that form."""
        row = self._run("SELECT id FROM content WHERE digest = ? AND codec = ?", (digest, codec)).fetchone()
        return None if row is None else int(row[0])

    def content_by_digest(self, digest: Digest, codec: str) -> Content | None:
        """The content of that digest which is stored in that form."""
        row = self._run(f"SELECT {_CONTENT} FROM content WHERE digest = ? AND codec = ?", (digest, codec)).fetchone()
        return _content(row) if row else None

    def content_by_any(self, digest: bytes, codec: str) -> int | None:
        """The id of a content of that digest: one that is here before one that is not, in that form before others."""
        return self.content_and_size(digest, codec)[0]

    def content_and_size(self, digest: bytes, codec: str) -> tuple[int | None, int | None]:
        """The same with its plain size, where the bytes are here and say so: a record that names it only claims one."""
        row = self._run(
            "SELECT id, iif(place = 'bucket', NULL, size) FROM content WHERE digest = ?"
            " ORDER BY place = 'bucket', codec <> ? LIMIT 1", (digest, codec),
        ).fetchone()  # fmt: skip
        return (None, None) if row is None else (int(row[0]), row[1])

    def content_of_file(self, name: str) -> Content | None:
        """The content whose file has that name, `<hex>.zst` or `<hex>`; None for names that are no digests."""
        codec = "zstd" if name.endswith(".zst") else "none"
        try:
            return self.content_by_digest(Digest(bytes.fromhex(name.removesuffix(".zst"))), codec)
        except ValueError:
            return None

    def content_data(self, content_id: int) -> bytes:
        """The stored bytes of a content that lies in the catalog."""
        row = self._run("SELECT data FROM stored WHERE content = ?", (content_id,)).fetchone()
        if row is None:
            raise CatalogError(f"content {content_id} is not in the catalog")
        return bytes(row[0])

    def unsettled(self) -> list[Content]:
        rows = self._run(f"SELECT {_CONTENT} FROM content WHERE digest IS NULL ORDER BY segment, id")
        return [_content(row) for row in rows]

    def insert_contents(
        self, contents: Iterable[Content], data: Iterable[tuple[int, bytes]] = (), *, now_s: int = 0
    ) -> None:
        """New contents, and the stored bytes of those that lie in the catalog."""
        self._many(
            "INSERT INTO content (id, place, digest, size, stored, codec, sums, segment, offset, read_s)"
            " VALUES (?,?,?,?,?,?,?,?,?,?)",
            (
                (c.id, c.place, c.digest, c.size, c.stored, c.codec, c.sums, c.segment, c.offset, now_s)
                for c in contents
            ),
        )
        self._many("INSERT INTO stored VALUES (?,?)", data)

    def settle_content(self, content: Content, data: bytes | None, *, now_s: int = 0) -> None:
        """Give a content that is known already its digest and its final place."""
        self._run(
            "UPDATE content SET place = ?, digest = ?, size = ?, stored = ?, codec = ?, sums = ?,"
            " segment = 0, offset = 0, read_s = ? WHERE id = ?",
            (
                content.place,
                content.digest,
                content.size,
                content.stored,
                content.codec,
                content.sums,
                now_s,
                content.id,
            ),
        )
        if data is not None:
            self._run("INSERT INTO stored VALUES (?,?)", (content.id, data))

    def bring(
        self, content_id: int, codec: str, sums: bytes, size: int, stored: int, data: bytes | None, *, now_s: int = 0
    ) -> list[int]:
        """A content of the bucket is here now, in the catalog (`data`) or in its file; entries of which a record had
        said another plain size."""
        place = "file" if data is None else "catalog"
        brought = self._run(
            "UPDATE content SET place = ?, codec = ?, sums = ?, size = ?, stored = ?, damaged = 0, read_s = ?"
            " WHERE id = ? AND place = 'bucket'",
            (place, codec, sums, size, stored, now_s, content_id),
        ).rowcount
        if data is not None and brought:
            self._run("INSERT OR REPLACE INTO stored VALUES (?,?)", (content_id, data))
        resized = self._run(
            "UPDATE entry SET size = ?1 WHERE content = ?2 AND size <> ?1 RETURNING ino", (size, content_id)
        )
        return [ino for (ino,) in resized]

    def evict(self, content_id: int) -> None:
        """The content is in the bucket alone from now on; a file it had is to be removed once that is durable."""
        self._run("UPDATE content SET place = 'bucket' WHERE id = ? AND place IN ('catalog', 'file')", (content_id,))

    def least_recently_read(self, after: tuple[int, int], *, limit: int) -> list[tuple[int, Content]]:
        """(read_s, content) of what is here, in the order of the last reads, from behind (read_s, id)."""
        rows = self._run(
            f"SELECT read_s, {_CONTENT} FROM content WHERE place IN ('catalog', 'file') AND (read_s, id) > (?, ?)"
            " ORDER BY read_s, id LIMIT ?",
            (*after, limit),
        )
        return [(row[0], _content(row[1:])) for row in rows]

    def note_reads(self, contents: Iterable[int], *, now_s: int) -> None:
        """These were opened; to the minute."""
        self._many(
            "UPDATE content SET read_s = ?1 WHERE id = ?2 AND read_s <= ?1 - 60 AND place IN ('catalog', 'file')",
            ((now_s, content) for content in contents),
        )

    def pinned_inos(self) -> set[int]:
        """Entries that are pinned themselves."""
        rows = self._run("SELECT ino FROM register WHERE name = 'pinned' AND gone = 0 AND value = x'31'")
        return {ino for (ino,) in rows}

    def here_bytes(self) -> int:
        """Stored bytes of all settled contents on this machine."""
        return int(self._run("SELECT here FROM usage").fetchone()[0])

    def resize_content(self, content_id: int, size: int) -> None:
        self._run("UPDATE content SET size = ?1, stored = ?1 WHERE id = ?2", (size, content_id))

    def mark_damaged(self, content_id: int) -> None:
        self._run("UPDATE content SET damaged = 1 WHERE id = ?", (content_id,))

    def damaged(self) -> list[int]:
        return [i for (i,) in self._run("SELECT id FROM content WHERE damaged = 1")]

    def dead(self, limit: int) -> list[Content]:
        """Contents that nothing needs any more. CROSS JOIN: else the planner scans all contents for the few dead."""
        columns = ", ".join(f"c.{name.strip()}" for name in _CONTENT.split(","))
        dead = "FROM dead d CROSS JOIN content c ON c.id = d.content WHERE c.links = 0 AND c.kept = 0"
        sql = f"SELECT {columns} {dead} LIMIT ?"
        return [_content(row) for row in self._run(sql, (limit,))]

    def forget_contents(self, ids: Iterable[int]) -> None:
        """Remove rows that nothing links to."""
        rows = [(i,) for i in ids]
        self._many("DELETE FROM dead WHERE content = ?", rows)
        self._many("DELETE FROM content WHERE id = ? AND links = 0 AND kept = 0", rows)

    def used_segments(self) -> set[int]:
        """Journal segments that still hold the only bytes of a content."""
        return {s for (s,) in self._run("SELECT DISTINCT segment FROM content WHERE digest IS NULL AND segment > 0")}

    # -- files that a crash may leave behind --------------------------------------------------------------

    def doom(self, paths: Iterable[str]) -> None:
        """Note durably that these files are to be deleted unless a later transaction says otherwise."""
        self._many("INSERT OR IGNORE INTO doomed VALUES (?)", ((p,) for p in paths))

    def spare(self, paths: Iterable[str]) -> None:
        self._many("DELETE FROM doomed WHERE path = ?", ((p,) for p in paths))

    def doomed(self) -> list[str]:
        return [p for (p,) in self._run("SELECT path FROM doomed")]

    # -- drafts -------------------------------------------------------------------------------------------

    def put_draft(self, content_id: int, *, base: int | None, closed: bool) -> None:
        self._run(
            "INSERT INTO draft VALUES (?,?,?) ON CONFLICT (content) DO UPDATE SET closed = excluded.closed",
            (content_id, base, int(closed)),
        )

    def drafts(self) -> list[tuple[int, int | None, bool]]:
        """All drafts: (content, base, closed)."""
        return [(c, b, bool(closed)) for c, b, closed in self._run("SELECT content, base, closed FROM draft")]

    def draft_base(self, content_id: int) -> int | None:
        """The content that a draft was begun on."""
        row = self._run("SELECT base FROM draft WHERE content = ?", (content_id,)).fetchone()
        return None if row is None else row[0]

    def delete_draft(self, content_id: int) -> None:
        self._run("DELETE FROM draft WHERE content = ?", (content_id,))

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


def _row(e: Entry) -> tuple[Value, ...]:
    return (
        e.ino, e.parent, e.name, e.kind, e.mode, e.uid, e.gid, e.size, e.atime_ns, e.mtime_ns, e.ctime_ns, e.birth_ns,
        e.content, e.target, e.stamp, e.standing, e.mode_stamp, e.owner_stamp, e.mtime_stamp, e.owed,
    )  # fmt: skip


def _content(row: tuple[int, str, bytes | None, int, int, str, bytes, int, int, int]) -> Content:
    i, place, digest, size, stored, codec, sums, segment, offset, damaged = row
    return Content(
        i,
        place,
        Digest(digest) if digest is not None else None,
        size,
        stored,
        codec,
        sums,
        segment,
        offset,
        bool(damaged),
    )
