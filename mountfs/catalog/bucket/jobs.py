"""Jobs that the bucket knows, or is to know; and every writer that this machine has been."""

from mountfs.catalog.tables import Tables


class JobTables(Tables):
    """See the module's docstring."""

    # -- jobs ------------------------------------------------------------------------------------------------

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

    # -- who we are ------------------------------------------------------------------------------------------

    def writers(self) -> set[str]:
        return {w for (w,) in self._run("SELECT writer FROM writer", ())}

    def add_writer(self, writer: str) -> None:
        self._run("INSERT OR IGNORE INTO writer VALUES (?)", (writer,))
