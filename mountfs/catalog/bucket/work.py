"""What is under way in the bucket, so that it goes on after a restart."""

from dataclasses import dataclass

from mountfs.catalog.tables import Tables

_UPLOAD = "digest, codec, object, began_ms, sum, upload_id, part_bytes, done"


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


class WorkTables(Tables):
    """See the module's docstring."""

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


def _upload(row: tuple[bytes, str, str, int, bytes, str, int, int]) -> NotedUpload:
    digest, codec, name, began_ms, checksum, upload_id, part_bytes, done = row
    return NotedUpload(digest, codec, name, began_ms, checksum, upload_id, part_bytes, bool(done))
