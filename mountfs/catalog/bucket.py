"""Statements over what is known of the bucket: jobs, bundles, places of contents, and what is under way there.

Rows only: what they mean for an artifact is decided above. Part of `Catalog`, and bound by its protocol.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from mountfs.model import Entry

Value = int | str | bytes | None
Row = tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class KnownBundle:
    """A bundle under a job's prefix whose manifest was read, or written here."""

    id: int
    job: int
    name: str
    bytes: int
    modified_ms: int


@dataclass(frozen=True, slots=True)
class Placed:
    """Where one content of a job lies: `object` names a large object; "" a member of `bundle` at `offset`."""

    digest: bytes
    bundle: int
    object: str
    codec: str
    size: int
    stored: int
    offset: int
    sum: bytes
    sums: bytes
    dead_ms: int | None


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


@dataclass(frozen=True, slots=True)
class Aside:
    """A record that could not be published, kept until somebody decides. `job` is its name, `record` JSON."""

    id: int
    job: bytes
    path: bytes
    set_ms: int
    reason: str
    record: str
    content: int | None


@dataclass(frozen=True, slots=True)
class NotedUpload:
    """A large content on its way, or there: sent for one job under a name of its own."""

    digest: bytes
    codec: str
    object: str
    began_ms: int
    sum: bytes
    upload_id: str
    part_bytes: int
    done: bool


_PLACED = "digest, bundle, object, codec, size, stored, offset, sum, sums, dead_ms"
_PAST = "path, register, stamp, value, owed, pair, base"
TRASHED = "id, job, path, kind, mode, uid, gid, size, mtime_ns, birth_ns, content, target, registers, gone_ms, reason"
_NO_STAMP = "~"  # above every stamp
_LOWEST_OWED = "min({})".format(
    ", ".join(
        f"iif(owed & {bits} AND {stamp} > '000000000001', {stamp}, '{_NO_STAMP}')"  # not what nobody ever said
        for bits, stamp in (
            (17, "stamp"), (2, "coalesce(mode_stamp, stamp)"), (4, "coalesce(owner_stamp, stamp)"),
            (8, "coalesce(mtime_stamp, stamp)"),
        )
    )
)  # fmt: skip
_UPLOAD = "digest, codec, object, began_ms, sum, upload_id, part_bytes, done"


class BucketTables:
    """See the module's docstring. `run` and `many` execute on the catalog's one connection."""

    def __init__(
        self,
        run: Callable[[str, Sequence[Value]], sqlite3.Cursor],
        many: Callable[[str, Iterable[Sequence[Value]]], None],
    ) -> None:
        self._run = run
        self._many = many

    # -- jobs ---------------------------------------------------------------------------------------------

    def job_id(self, name: bytes) -> int | None:
        row = self._run("SELECT id FROM job WHERE name = ?", (name,)).fetchone()
        return None if row is None else int(row[0])

    def make_job(self, name: bytes) -> int:
        """Its id, made where there is none."""
        found = self.job_id(name)
        if found is None:
            found = int(self._run("INSERT INTO job (name) VALUES (?) RETURNING id", (name,)).fetchone()[0])
        return found

    def job_name(self, job: int) -> bytes:
        return bytes(self._run("SELECT name FROM job WHERE id = ?", (job,)).fetchone()[0])

    def jobs(self) -> list[tuple[int, bytes]]:
        return [(i, bytes(name)) for i, name in self._run("SELECT id, name FROM job", ())]

    def read_ms(self, job: int) -> int:
        """Server's time at which the last reading of a job began, where all of it was understood; else 0."""
        return int(self._run("SELECT read_ms FROM job WHERE id = ?", (job,)).fetchone()[0])

    def set_read_ms(self, job: int, read_ms: int) -> None:
        self._run("UPDATE job SET read_ms = ? WHERE id = ?", (read_ms, job))

    def listed_ms(self, job: int) -> int:
        """Server's time at which the last reading of a job began, although some of it was not understood; 0: never."""
        return int(self._run("SELECT listed_ms FROM job WHERE id = ?", (job,)).fetchone()[0])

    def set_listed_ms(self, job: int, listed_ms: int) -> None:
        self._run("UPDATE job SET listed_ms = ? WHERE id = ?", (listed_ms, job))

    def maintained_ms(self, job: int) -> int:
        """Server's time of the last reading after which maintenance had nothing more to do; 0: never."""
        return int(self._run("SELECT maintained_ms FROM job WHERE id = ?", (job,)).fetchone()[0])

    def set_maintained_ms(self, job: int, maintained_ms: int) -> None:
        self._run("UPDATE job SET maintained_ms = ? WHERE id = ?", (maintained_ms, job))

    def jobs_after(self, job: int, limit: int) -> list[int]:
        """The next jobs by id."""
        return [i for (i,) in self._run("SELECT id FROM job WHERE id > ? ORDER BY id LIMIT ?", (job, limit))]

    def jobs_with_work(self, first: int, end: int) -> list[int]:
        """Of the jobs with these ids, `end` not among them, those that may need maintenance."""
        sql = (
            "SELECT id FROM job WHERE id >= ? AND id < ? AND ("
            "EXISTS (SELECT 1 FROM bundle WHERE bundle.job = job.id LIMIT 1 OFFSET 1)"
            " OR EXISTS (SELECT 1 FROM told WHERE told.job = job.id LIMIT 1 OFFSET 1)"
            " OR EXISTS (SELECT 1 FROM merging WHERE merging.job = job.id)"
            " OR EXISTS (SELECT 1 FROM found_dead WHERE found_dead.job = job.id)) ORDER BY id"
        )
        return [i for (i,) in self._run(sql, (first, end))]

    def jobs_in_work(self) -> set[int]:
        """Jobs with a merge under way, or with something dead that waits for the grace."""
        return {i for (i,) in self._run("SELECT job FROM merging UNION SELECT job FROM found_dead", ())}

    def is_adopted(self, job: int) -> bool:
        row = self._run("SELECT adopted FROM job WHERE id = ?", (job,)).fetchone()
        return bool(row and row[0])

    def is_shared(self, job: int) -> bool:
        """Whether another machine ever wrote there, as far as is known."""
        row = self._run("SELECT shared FROM job WHERE id = ?", (job,)).fetchone()
        return bool(row and row[0])

    def needs_refold(self, job: int) -> bool:
        return bool(self._run("SELECT refold FROM job WHERE id = ?", (job,)).fetchone()[0])

    def jobs_to_refold(self) -> list[int]:
        return [j for (j,) in self._run("SELECT id FROM job WHERE refold = 1", ())]

    def set_refold(self, job: int, refold: bool) -> None:
        self._run("UPDATE job SET refold = ? WHERE id = ?", (refold, job))

    def adopt_job(self, job: int) -> None:
        self._run("UPDATE job SET adopted = 1 WHERE id = ?", (job,))

    def forget_job(self, job: int) -> None:
        """Its row and what else is known of it in the bucket; entries are not touched."""
        for table in ("past", "bundle", "listed", "upload", "attempt", "merging", "found_dead", "told", "head"):
            self._run(f"DELETE FROM {table} WHERE job = ?", (job,))
        self._run("DELETE FROM job WHERE id = ?", (job,))

    # -- bundles and their manifests ----------------------------------------------------------------------

    def bundles(self, job: int) -> dict[str, KnownBundle]:
        rows = self._run("SELECT id, job, name, bytes, modified_ms FROM bundle WHERE job = ? ORDER BY name", (job,))
        return {row[2]: KnownBundle(*row) for row in rows}

    def bundle_sizes(self, job: int) -> list[tuple[int, int]]:
        """(bytes, modified_ms) of each."""
        return self._run("SELECT bytes, modified_ms FROM bundle WHERE job = ?", (job,)).fetchall()

    def bundle_name(self, bundle: int) -> str:
        return str(self._run("SELECT name FROM bundle WHERE id = ?", (bundle,)).fetchone()[0])

    def add_bundle(
        self, job: int, name: str, *, bytes: int, modified_ms: int, manifest: bytes, standing: str, told: bool
    ) -> int:
        """A bundle that lies under the prefix, with its manifest as it lies there; its id."""
        row = self._run(
            "INSERT INTO bundle (job, name, bytes, modified_ms, standing, told) VALUES (?,?,?,?,?,?)"
            " ON CONFLICT (job, name) DO UPDATE SET modified_ms = excluded.modified_ms RETURNING id",
            (job, name, bytes, modified_ms, standing, told),
        ).fetchone()
        self._run("INSERT OR REPLACE INTO manifest VALUES (?, ?)", (row[0], manifest))
        return int(row[0])

    def has_bundle(self, bundle: int) -> bool:
        return self._run("SELECT 1 FROM bundle WHERE id = ?", (bundle,)).fetchone() is not None

    def manifest(self, bundle: int) -> bytes:
        return bytes(self._run("SELECT stored FROM manifest WHERE bundle = ?", (bundle,)).fetchone()[0])

    def set_standing(self, bundle: int, standing: str) -> None:
        self._run("UPDATE bundle SET standing = ? WHERE id = ?", (standing, bundle))

    def set_told(self, bundle: int) -> None:
        self._run("UPDATE bundle SET told = 1 WHERE id = ?", (bundle,))

    def unfinished(self) -> list[tuple[int, int, str]]:
        """(job, bundle, standing) of those that a crash left half marked or half brought in."""
        sql = "SELECT job, id, standing FROM bundle WHERE (standing <> 'whole' OR told = 0) AND standing <> 'whole'"
        return [(j, b, standing) for j, b, standing in self._run(sql, ())]

    def untold(self) -> list[tuple[int, int]]:
        """(job, bundle) of those that feed and heads do not have yet."""
        sql = "SELECT job, id FROM bundle WHERE (standing <> 'whole' OR told = 0) AND told = 0"
        return [(j, b) for j, b in self._run(sql, ())]

    def drop_bundles(self, bundles: Iterable[int]) -> None:
        self._many("DELETE FROM bundle WHERE id = ?", ((b,) for b in bundles))

    def add_places(self, job: int, bundle: int, places: Iterable[Row]) -> None:
        """Rows of (digest, object, codec, size, stored, offset, sum, sums, dead_ms)."""
        self._many(
            "INSERT OR REPLACE INTO placed"
            " (job, bundle, digest, object, codec, size, stored, offset, sum, sums, dead_ms)"
            " VALUES (?,?,?,?,?,?,?,?,?,?,?)",
            ((job, bundle, *row) for row in places),
        )

    def places(self, job: int, digest: bytes) -> list[Placed]:
        rows = self._run(f"SELECT {_PLACED} FROM placed WHERE job = ? AND digest = ?", (job, digest))
        return [Placed(*row) for row in rows]

    def places_in(self, bundle: int) -> list[Placed]:
        return [Placed(*row) for row in self._run(f"SELECT {_PLACED} FROM placed WHERE bundle = ?", (bundle,))]

    def jobs_placing(self, digest: bytes) -> list[int]:
        """Jobs in which a content has a place."""
        return [j for (j,) in self._run("SELECT DISTINCT job FROM placed WHERE digest = ? AND object <> ''", (digest,))]

    def is_placed(self, digest: bytes, job: int) -> bool:
        """Whether a content has a place in a job that is there: in a bundle, in an object of the last reading, or in an
        object that a bundle from after that reading names."""
        row = self._run(
            "SELECT 1 FROM placed p JOIN bundle b ON b.id = p.bundle JOIN job j ON j.id = p.job"
            " LEFT JOIN listed l ON l.job = p.job AND l.object = p.object"
            " WHERE p.job = ? AND p.digest = ?"
            " AND (p.object = '' OR l.object IS NOT NULL OR b.modified_ms >= j.listed_ms) LIMIT 1",
            (job, digest),
        ).fetchone()
        return row is not None

    def held_back(self, contents: Sequence[int]) -> set[int]:
        """Those of these contents that something of this machine alone needs here: a draft, a state of an open file,
        or a record that was set aside."""
        among = f"IN ({_marks(contents)})"
        rows = self._run(
            f"SELECT base FROM draft WHERE base {among} UNION SELECT content FROM snapshot WHERE content {among}"
            f" UNION SELECT content FROM aside WHERE content {among}",
            [*contents, *contents, *contents],
        )
        return {content for (content,) in rows}

    def wanted_by_trash(self, contents: Sequence[int]) -> list[tuple[int, int]]:
        """(content, job) of those that the trash of a job may bring back; job 0: the bucket knows nothing of it."""
        rows = self._run(
            "SELECT DISTINCT t.content, coalesce(j.id, 0) FROM trash t LEFT JOIN job j ON j.name = t.job"
            f" WHERE t.content IN ({_marks(contents)})",
            contents,
        )
        return [(content, job) for content, job in rows]

    def large_elsewhere(self, digest: bytes, codec: str) -> list[tuple[bytes, str]]:
        """(job, object) of large objects with this content in any job."""
        return [
            (bytes(name), str(obj))
            for name, obj in self._run(
                "SELECT j.name, p.object FROM placed p JOIN job j ON j.id = p.job"
                " WHERE p.digest = ? AND p.codec = ? AND p.object <> ''",
                (digest, codec),
            )
        ]

    def listed(self, job: int) -> dict[str, int]:
        """Large objects of the last reading, with the server's time of each."""
        return dict(self._run("SELECT object, modified_ms FROM listed WHERE job = ?", (job,)).fetchall())

    def set_listed(self, job: int, objects: Iterable[tuple[str, int]]) -> None:
        self._run("DELETE FROM listed WHERE job = ?", (job,))
        self._many("INSERT INTO listed VALUES (?,?,?)", ((job, name, ms) for name, ms in objects))

    # -- what is past -------------------------------------------------------------------------------------

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

    # -- names that collided ------------------------------------------------------------------------------

    def aliases(self) -> list[tuple[int, int, bytes]]:
        """(ino, parent, name in records)."""
        return [(i, parent, bytes(name)) for i, parent, name in self._run("SELECT ino, parent, name FROM alias", ())]

    def note_alias(self, ino: int, parent: int, name: bytes) -> None:
        self._run("INSERT OR REPLACE INTO alias VALUES (?,?,?)", (ino, parent, name))

    def forget_alias(self, ino: int) -> None:
        self._run("DELETE FROM alias WHERE ino = ?", (ino,))

    # -- open files, published while they grow --------------------------------------------------------------

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

    # -- directories that were renamed --------------------------------------------------------------------

    def moved(self) -> dict[int, tuple[int, bytes, str]]:
        """By ino: (job, path) under which the bucket knows what lies below it, and the stamp of the rename."""
        rows = self._run("SELECT ino, job, path, stamp FROM moved", ())
        return {i: (job, bytes(path), stamp) for i, job, path, stamp in rows}

    def note_moved(self, ino: int, job: int, path: bytes, stamp: str) -> None:
        self._run("INSERT OR IGNORE INTO moved VALUES (?,?,?,?)", (ino, job, path, stamp))

    def forget_moved(self, ino: int) -> None:
        self._run("DELETE FROM moved WHERE ino = ?", (ino,))

    # -- what is owed -------------------------------------------------------------------------------------

    def owed_inos(self, *, after: int = 0, limit: int = 10_000) -> list[int]:
        """Entries of which the bucket lacks something, by ino."""
        rows = self._run("SELECT ino FROM entry WHERE owed & 31 AND ino > ? ORDER BY ino LIMIT ?", (after, limit))
        return [i for (i,) in rows]

    def owed_register_inos(self, *, after: int = 0, limit: int = 10_000) -> list[int]:
        sql = "SELECT DISTINCT ino FROM register WHERE owed = 1 AND ino > ? ORDER BY ino LIMIT ?"
        return [i for (i,) in self._run(sql, (after, limit))]

    def oldest_owed(self, first: int, last: int) -> str:
        """The lowest stamp of anything owed of the entries from the first ino to the last; "" where nothing is."""
        row = self._run(
            f"SELECT min({_LOWEST_OWED}) FROM entry WHERE owed & 31 AND ino BETWEEN ? AND ?", (first, last)
        ).fetchone()
        return "" if row[0] in (None, _NO_STAMP) else str(row[0])

    def oldest_owed_register(self, first: int, last: int) -> str:
        """The same of their registers."""
        sql = "SELECT min(stamp) FROM register WHERE owed = 1 AND ino BETWEEN ? AND ?"
        return str(self._run(sql, (first, last)).fetchone()[0] or "")

    def placed_at(self, inos: Sequence[int]) -> dict[int, tuple[int, bytes]]:
        """(parent, name) by ino of those of these that are there; a few hundred at a time."""
        rows = self._run(f"SELECT ino, parent, name FROM entry WHERE ino IN ({_marks(inos)})", inos)
        return {ino: (parent, bytes(name)) for ino, parent, name in rows}

    def owed_bytes(self, inos: Sequence[int]) -> int:
        """Stored bytes of contents that the bucket lacks of these entries; a few hundred at a time."""
        sql = (
            "SELECT coalesce(sum(c.stored), 0) FROM entry e JOIN content c ON c.id = e.content"
            f" WHERE e.owed & 1 AND e.ino IN ({_marks(inos)})"
        )
        return int(self._run(sql, inos).fetchone()[0])

    def owe_everything(self) -> None:
        """A store that never had a bucket gets one."""
        self._run("UPDATE entry SET owed = 15 WHERE ino <> 1", ())
        self._run("UPDATE register SET owed = 1 WHERE substr(name, 1, 1) <> '@'", ())

    def confirm_entries(self, sent: Iterable[tuple[int, str, str, str, str, int]]) -> None:
        """(ino, stamp of content, of mode, of owner, of mtime, bits): the bucket has what still has these stamps."""
        self._many(
            "UPDATE entry SET owed = (owed | 32) & ~("
            " iif(stamp = ?2, ?6 & 17, 0) | iif(coalesce(mode_stamp, stamp) = ?3, ?6 & 2, 0)"
            " | iif(coalesce(owner_stamp, stamp) = ?4, ?6 & 4, 0) | iif(coalesce(mtime_stamp, stamp) = ?5, ?6 & 8, 0))"
            " WHERE ino = ?1",
            sent,
        )

    def confirm_registers(self, sent: Iterable[tuple[int, str, str]]) -> None:
        """(ino, register, stamp)."""
        self._many("UPDATE register SET owed = 0 WHERE ino = ? AND name = ? AND stamp = ?", sent)
        self._run("DELETE FROM register WHERE 0", ())

    def restamp_owed(self, ino: int, stamp: str) -> None:
        self._run(
            "UPDATE entry SET stamp = iif(owed & 1, ?2, stamp),"
            " mode_stamp = iif(owed & 2, ?2, coalesce(mode_stamp, stamp)),"
            " owner_stamp = iif(owed & 4, ?2, coalesce(owner_stamp, stamp)),"
            " mtime_stamp = iif(owed & 8, ?2, coalesce(mtime_stamp, stamp)) WHERE ino = ?1",
            (ino, stamp),
        )
        self._run("UPDATE register SET stamp = ? WHERE ino = ? AND owed = 1", (stamp, ino))

    def owe_nothing(self, ino: int) -> None:
        self._run("UPDATE entry SET owed = owed & ~31 WHERE ino = ?", (ino,))
        self._run("UPDATE register SET owed = 0 WHERE ino = ?", (ino,))

    def owed_registers(self, ino: int) -> list[tuple[str, bytes | None, str]]:
        """(name, value or None where removed, stamp) of what the bucket lacks."""
        rows = self._run("SELECT name, value, stamp, gone FROM register WHERE ino = ? AND owed = 1", (ino,))
        return [(name, None if gone else bytes(value), stamp) for name, value, stamp, gone in rows]

    def all_registers(self, ino: int) -> list[tuple[str, bytes | None, str, bool]]:
        """(name, value or None where removed, stamp, owed): every one that is shared with the bucket."""
        rows = self._run(
            "SELECT name, value, stamp, gone, owed FROM register WHERE ino = ? AND substr(name, 1, 1) <> '@'", (ino,)
        )
        return [(name, None if gone else bytes(value), stamp, bool(owed)) for name, value, stamp, gone, owed in rows]

    def mark_known(self, ino: int) -> None:
        self._run("UPDATE entry SET owed = owed | 32 WHERE ino = ?", (ino,))

    def drop_shared_registers(self, ino: int) -> None:
        self._run("DELETE FROM register WHERE ino = ? AND substr(name, 1, 1) <> '@'", (ino,))

    def hand_registers(self, ino: int, to: int) -> None:
        """Registers of an entry that is about to go belong to another now."""
        self._run("UPDATE register SET ino = ? WHERE ino = ?", (to, ino))

    def restamp(self, ino: int, stamp: str, owed: int) -> None:
        """All of an entry is said anew, at its new path."""
        self._run(
            "UPDATE entry SET stamp = ?2, mode_stamp = NULL, owner_stamp = NULL, mtime_stamp = NULL, owed = ?3"
            " WHERE ino = ?1",
            (ino, stamp, owed),
        )
        self._run("DELETE FROM register WHERE ino = ? AND gone = 1", (ino,))
        self._run("UPDATE register SET stamp = ?2, owed = 1 WHERE ino = ?1 AND substr(name, 1, 1) <> '@'", (ino, stamp))

    # -- under way ----------------------------------------------------------------------------------------

    def note_upload(self, job: int, upload: NotedUpload) -> None:
        self._run(
            f"INSERT OR REPLACE INTO upload (job, {_UPLOAD}) VALUES (?,?,?,?,?,?,?,?,?)",
            (
                job, upload.digest, upload.codec, upload.object, upload.began_ms, upload.sum, upload.upload_id,
                upload.part_bytes,
                upload.done,
            ),
        )  # fmt: skip

    def upload(self, job: int, digest: bytes, codec: str) -> NotedUpload | None:
        sql = f"SELECT {_UPLOAD} FROM upload WHERE job = ? AND digest = ? AND codec = ?"
        row = self._run(sql, (job, digest, codec)).fetchone()
        return _upload(row) if row else None

    def uploads(self, job: int) -> list[NotedUpload]:
        rows = self._run(f"SELECT {_UPLOAD} FROM upload WHERE job = ?", (job,))
        return [_upload(row) for row in rows]

    def forget_uploads(self, job: int) -> None:
        self._run("DELETE FROM upload WHERE job = ?", (job,))

    def forget_upload(self, job: int, digest: bytes, codec: str) -> None:
        self._run("DELETE FROM upload WHERE job = ? AND digest = ? AND codec = ?", (job, digest, codec))

    def note_attempt(self, job: int, name: str, *, began_ms: int, paths: bytes) -> None:
        self._run("INSERT OR REPLACE INTO attempt VALUES (?,?,?,?)", (job, name, began_ms, paths))

    def attempts(self, job: int | None = None) -> list[tuple[int, str, int, bytes]]:
        """(job, name, began_ms, paths) of PUTs that were never answered."""
        sql = "SELECT job, name, began_ms, paths FROM attempt"
        rows = self._run(sql, ()) if job is None else self._run(f"{sql} WHERE job = ?", (job,))
        return [(j, name, ms, bytes(paths)) for j, name, ms, paths in rows]

    def forget_attempt(self, job: int, name: str) -> None:
        self._run("DELETE FROM attempt WHERE job = ? AND name = ?", (job, name))

    def note_merge(self, job: int, name: str, sources: str, phase: str) -> None:
        self._run("INSERT OR REPLACE INTO merging VALUES (?,?,?,?)", (job, name, sources, phase))

    def merge_of(self, job: int) -> tuple[str, str, str] | None:
        """(name, sources, phase) of the merge under way."""
        row = self._run("SELECT name, sources, phase FROM merging WHERE job = ?", (job,)).fetchone()
        return (row[0], row[1], row[2]) if row else None

    def set_aside(self, job: int, path: bytes, *, set_ms: int, reason: str, record: str, content: int | None) -> None:
        self._run(
            "INSERT INTO aside (job, path, set_ms, reason, record, content) VALUES (?,?,?,?,?,?)",
            (job, path, set_ms, reason, record, content),
        )

    def aside(self) -> list[tuple[int, int, bytes, int, str, str]]:
        """(id, job, path, set_ms, reason, record) of what waits for somebody's decision."""
        rows = self._run("SELECT id, job, path, set_ms, reason, record FROM aside ORDER BY id", ())
        return [(i, j, bytes(path), ms, reason, record) for i, j, path, ms, reason, record in rows]

    def forget_aside(self, number: int) -> None:
        self._run("DELETE FROM aside WHERE id = ?", (number,))

    def merges(self) -> list[int]:
        return [j for (j,) in self._run("SELECT job FROM merging", ())]

    def forget_merge(self, job: int) -> None:
        self._run("DELETE FROM merging WHERE job = ?", (job,))

    def found_dead(self, job: int) -> dict[bytes, tuple[int, str]]:
        """By digest: (since_ms, the records that named it then)."""
        rows = self._run("SELECT digest, since_ms, seen FROM found_dead WHERE job = ?", (job,))
        return {bytes(digest): (since, seen) for digest, since, seen in rows}

    def has_dead(self, job: int) -> bool:
        return self._run("SELECT 1 FROM found_dead WHERE job = ? LIMIT 1", (job,)).fetchone() is not None

    def set_found_dead(self, job: int, found: dict[bytes, tuple[int, str]]) -> None:
        self._run("DELETE FROM found_dead WHERE job = ?", (job,))
        rows = ((job, digest, since, seen) for digest, (since, seen) in found.items())
        self._many("INSERT INTO found_dead VALUES (?,?,?,?)", rows)

    # -- trash --------------------------------------------------------------------------------------------

    def add_trash(self, job: bytes, path: bytes, e: Entry, registers: str, *, gone_ms: int, reason: str) -> None:
        self._run(
            "INSERT INTO trash (job, path, kind, mode, uid, gid, size, mtime_ns, birth_ns, content, target, stamp,"
            " registers, gone_ms, reason) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                job, path, e.kind, e.mode, e.uid, e.gid, e.size, e.mtime_ns, e.birth_ns, e.content, e.target, e.stamp,
                registers, gone_ms, reason,
            ),
        )  # fmt: skip

    def trash(self, number: int) -> Trashed | None:
        row = self._run(f"SELECT {TRASHED} FROM trash WHERE id = ?", (number,)).fetchone()
        return Trashed(*row) if row else None

    def trash_at(self, job: bytes, path: bytes) -> list[Trashed]:
        """What was at that path, the newest first."""
        sql = f"SELECT {TRASHED} FROM trash WHERE job = ? AND path = ? ORDER BY gone_ms DESC, id DESC"
        return [Trashed(*row) for row in self._run(sql, (job, path))]

    def trash_jobs(self, content: int) -> list[int]:
        """Jobs from whose trash a content may be wanted."""
        sql = "SELECT DISTINCT j.id FROM trash t JOIN job j ON j.name = t.job WHERE t.content = ?"
        return [j for (j,) in self._run(sql, (content,))]

    def forget_trash(self, numbers: Iterable[int]) -> None:
        self._many("DELETE FROM trash WHERE id = ?", ((i,) for i in numbers))

    # -- who we are ---------------------------------------------------------------------------------------

    def writers(self) -> set[str]:
        return {w for (w,) in self._run("SELECT writer FROM writer", ())}

    def add_writer(self, writer: str) -> None:
        self._run("INSERT OR IGNORE INTO writer VALUES (?)", (writer,))


def _upload(row: tuple[bytes, str, str, int, bytes, str, int, int]) -> NotedUpload:
    digest, codec, name, began_ms, checksum, upload_id, part_bytes, done = row
    return NotedUpload(digest, codec, name, began_ms, checksum, upload_id, part_bytes, bool(done))


def _marks(values: Sequence[Value]) -> str:
    return ",".join("?" * len(values))
