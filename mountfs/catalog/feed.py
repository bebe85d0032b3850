"""Statements over what the feed told, and over the heads that were written here.

Rows only, part of `Catalog` and bound by its protocol, as `bucket.py` is.
"""

from collections.abc import Iterable

from mountfs.catalog.tables import Tables


class FeedTables(Tables):
    """See the module's docstring."""

    # -- what the feed told -------------------------------------------------------------------------------

    def known(self, job: int) -> set[str]:
        """Bundles of a job whose records are in the rows, read or told."""
        sql = "SELECT name FROM bundle WHERE job = ?1 UNION ALL SELECT name FROM told WHERE job = ?1"
        return {name for (name,) in self._run(sql, (job,))}

    def has_told(self, job: int) -> bool:
        """Whether the rows of a job have something by the feed alone."""
        return self._run("SELECT 1 FROM told WHERE job = ? LIMIT 1", (job,)).fetchone() is not None

    def told_count(self, job: int) -> int:
        return int(self._run("SELECT count(*) FROM told WHERE job = ?", (job,)).fetchone()[0])

    def told_names(self, job: int) -> list[str]:
        return [name for (name,) in self._run("SELECT name FROM told WHERE job = ?", (job,))]

    def drop_told(self, job: int) -> None:
        """The job was read: what its bundles say is in the rows by them."""
        self._run("DELETE FROM told WHERE job = ?", (job,))

    def jobs_in_bucket(self, after: int, limit: int) -> list[int]:
        """The next jobs, by id, of which a bundle is known."""
        sql = (
            "SELECT id FROM job WHERE id > ? AND (EXISTS (SELECT 1 FROM bundle WHERE job = job.id)"
            " OR EXISTS (SELECT 1 FROM told WHERE job = job.id)) ORDER BY id LIMIT ?"
        )
        return [i for (i,) in self._run(sql, (after, limit))]

    def hear(self, jobs: Iterable[int]) -> None:
        """The feed told of something in these jobs that is not in the rows: they have to be read."""
        self._many("UPDATE job SET heard = heard + 1 WHERE id = ?", ((job,) for job in jobs))

    def heard(self) -> list[tuple[int, int]]:
        """(job, how often) of those that have to be read."""
        return [(j, n) for j, n in self._run("SELECT id, heard FROM job WHERE heard > 0", ())]

    def is_heard(self, job: int) -> bool:
        return self._run("SELECT 1 FROM job WHERE id = ? AND heard > 0", (job,)).fetchone() is not None

    def forget_heard(self, job: int, times: int) -> None:
        """It was read since it was heard of so often."""
        self._run("UPDATE job SET heard = 0 WHERE id = ? AND heard = ?", (job, times))

    # -- heads --------------------------------------------------------------------------------------------

    def heads(self, job: int) -> dict[tuple[str, bytes], str]:
        """By tag: what the newest head says that was written here."""
        rows = self._run("SELECT key, value, said FROM head WHERE job = ?", (job,))
        return {(key, bytes(value)): said for key, value, said in rows}

    def jobs_with_heads(self, digest: bytes) -> list[int]:
        """Jobs that hold this content, of which heads were told."""
        sql = (
            "SELECT DISTINCT h.job FROM content c CROSS JOIN entry e ON e.content = c.id"
            " CROSS JOIN found f ON f.ino = e.ino CROSS JOIN entry d ON d.ino = f.job"
            " CROSS JOIN job j ON j.name = d.name CROSS JOIN head h ON h.job = j.id WHERE c.digest = ?"
        )
        return [job for (job,) in self._run(sql, (digest,))]

    def note_head(self, job: int, key: str, value: bytes, said: str) -> None:
        self._run("INSERT OR REPLACE INTO head VALUES (?,?,?,?)", (job, key, value, said))
