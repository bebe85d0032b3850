"""Bundles, their manifests, and where contents lie."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mountfs.catalog.tables import Row, Tables, marks

_PLACED = "digest, bundle, object, codec, size, stored, offset, sum, sums, dead_ms"


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


class BundleTables(Tables):
    """See the module's docstring."""

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

    def half_brought(self, job: int) -> dict[int, KnownBundle]:
        """Those of a job that were read, and not all brought into the rows."""
        sql = "SELECT id, job, name, bytes, modified_ms FROM bundle WHERE job = ? AND standing = 'applying'"
        return {row[0]: KnownBundle(*row) for row in self._run(sql, (job,))}

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
        among = f"IN ({marks(contents)})"
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
            f" WHERE t.content IN ({marks(contents)})",
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
