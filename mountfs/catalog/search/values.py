"""Which values there are to ask for: types, keys and values of tags, days; and the newest jobs.

Each list hops from value to value by its index, so that it costs what is shown and not what is stored.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from mountfs.catalog.tables import Run, Value
from mountfs.namespace import TAG_VALUE_MAX

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FEW: Final = 2000  # jobs that are sorted; more are gone through from the newest on
_NEWEST: Final = (
    "SELECT h.job, e.name, h.began_ns FROM {source} CROSS JOIN entry e ON e.ino = h.job WHERE e.parent = 1"
    " AND h.began_ns <= ?1 AND (h.began_ns < ?1 OR e.name < ?2) {more} ORDER BY h.began_ns DESC, e.name DESC LIMIT ?3"
)
_RECENT: Final = (
    "SELECT h.job, e.name, h.began_ns FROM holding h INDEXED BY holding_newest CROSS JOIN entry e ON e.ino = h.job"
    " WHERE e.parent = 1 ORDER BY h.newest_ms DESC, e.name DESC LIMIT ?"
)
_AFTER_ALL: Final = ((1 << 63) - 1, b"")


@dataclass(frozen=True, slots=True)
class JobThen:
    """A job, and its beginning, in ns since the epoch."""

    ino: int
    name: bytes
    began_ns: int


class Values:
    """`run` reads the index within `snapshot`."""

    def __init__(self, run: Run, snapshot: Callable[[], AbstractContextManager[None]]) -> None:
        self._run = run
        self._snapshot = snapshot

    def types(self) -> list[bytes]:
        """The types that some artifact has, in the order of their names."""
        with self._snapshot():
            sql = "SELECT text FROM word w WHERE EXISTS (SELECT 1 FROM tally WHERE type = w.id) ORDER BY text"
            return [bytes(text) for (text,) in self._run(sql)]

    def keys(self, *, after: bytes = b"", limit: int = 1000) -> list[bytes]:
        """The next keys of tags that a job or an artifact has."""
        sql = " UNION ALL ".join(
            f"SELECT min(key) AS v FROM {table} WHERE key > ?1" for table in ("job_tag", "own_tag")
        )
        with self._snapshot():
            hops = self._hop(sql, after.decode("ascii", "replace"), limit)
            return [str(key).encode() for key in hops]

    def tag_values(self, key: str, *, after: bytes | None = None, limit: int = 1000) -> list[bytes]:
        """The next values that the tag of that key has somewhere; None: from the first, which may be empty."""
        sql = _of_both("SELECT min(value) AS v FROM {} WHERE key = ?2 AND value > ?1")
        with self._snapshot():
            first: list[bytes] = [b""] if after is None and self._has_label(key) else []
            hops = self._hop(sql, after or b"", limit - len(first), key)
            return [*first, *(bytes(value) for value in hops if isinstance(value, bytes))]

    def values_beginning(self, key: str, start: bytes, *, limit: int) -> list[bytes]:
        """The first values of the tag of that key that begin so, in their order."""
        sql = _of_both("SELECT min(value) AS v FROM {} WHERE key = ?2 AND value >= ?1")
        found: list[bytes] = []
        after = start
        with self._snapshot():
            while len(found) < limit:
                value = self._run(f"SELECT min(v) FROM ({sql})", (after, key)).fetchone()[0]
                if value is None or not bytes(value).startswith(start):
                    break
                found.append(bytes(value))
                after = bytes(value) + b"\0"
        return found

    def _has_label(self, key: str) -> bool:
        sql = " UNION ALL ".join(
            f"SELECT 1 FROM {table} WHERE key = ?1 AND value = x''" for table in ("job_tag", "own_tag")
        )
        return self._run(f"{sql} LIMIT 1", (key,)).fetchone() is not None

    def _hop(self, sql: str, after: Value, limit: int, *more: Value) -> Iterator[Value]:
        for _ in range(limit):
            after = self._run(f"SELECT min(v) FROM ({sql})", (after, *more)).fetchone()[0]
            if after is None:
                return
            yield after

    def days(self, within: str = "") -> list[str]:
        """The days, as `2026-11-21`, on which something was created, of those that begin so; years of them are many."""
        with self._snapshot():
            sql = "SELECT min(day) AS v FROM daily WHERE day > ?1"
            first = -1 if not within else (_day(within) - 1)
            found = []
            for day in self._hop(sql, first, 1 << 20):
                assert isinstance(day, int)
                text = (_EPOCH + timedelta(days=day)).strftime("%Y-%m-%d")
                if not text.startswith(within):
                    break
                found.append(text)
            return found

    def recent_jobs(self, *, limit: int) -> list[JobThen]:
        """The jobs in which something was published last, however old they are."""
        with self._snapshot():
            return [JobThen(ino, bytes(name), began_ns) for ino, name, began_ns in self._run(_RECENT, (limit,))]

    def newest_jobs(self, *, after: JobThen | None = None, limit: int) -> list[JobThen]:
        """The next jobs, newest first: those that began last."""
        return self._newest("holding h INDEXED BY holding_began", "", (), after, limit)

    def newest_tagged(self, key: str, value: bytes, *, after: JobThen | None = None, limit: int) -> list[JobThen]:
        """The same of the jobs that have this tag themselves."""
        with self._snapshot():
            sql = "SELECT count(*) FROM (SELECT 1 FROM job_tag WHERE key = ? AND value = ? LIMIT ?)"
            few = self._run(sql, (key, value, _FEW + 1)).fetchone()[0] <= _FEW
        if few:
            more = "AND h.job IN (SELECT job FROM job_tag WHERE key = ?4 AND value = ?5)"
            source = "holding h NOT INDEXED"
        else:
            more = "AND EXISTS (SELECT 1 FROM job_tag t WHERE t.job = h.job AND t.key = ?4 AND t.value = ?5)"
            source = "holding h INDEXED BY holding_began"
        return self._newest(source, more, (key, value), after, limit)

    def newest_beginning(self, key: str, start: bytes, *, after: JobThen | None = None, limit: int) -> list[JobThen]:
        """The same of the jobs with a tag that begins so: few have one."""
        end = start + b"\xff" * TAG_VALUE_MAX  # no value that begins so comes after it
        more = "AND h.job IN (SELECT job FROM job_tag WHERE key = ?4 AND value BETWEEN ?5 AND ?6)"
        return self._newest("holding h NOT INDEXED", more, (key, start, end), after, limit)

    def jobs_tagged(self, key: str, value: bytes) -> list[bytes]:
        """The names of all jobs that have this tag themselves, empty ones too."""
        with self._snapshot():
            rows = self._run(
                "SELECT e.name FROM job_tag t CROSS JOIN entry e ON e.ino = t.job WHERE t.key = ? AND t.value = ?"
                " AND e.parent = 1 ORDER BY e.name", (key, value)
            )  # fmt: skip
            return [bytes(name) for (name,) in rows]

    def _newest(
        self, source: str, more: str, args: tuple[Value, ...], after: JobThen | None, limit: int
    ) -> list[JobThen]:
        start = _AFTER_ALL if after is None else (after.began_ns, after.name)
        with self._snapshot():
            rows = self._run(_NEWEST.format(source=source, more=more), (*start, limit, *args))
            return [JobThen(ino, bytes(name), began_ns) for ino, name, began_ns in rows]

    def job_tags(self, job: int) -> dict[str, bytes]:
        """The tags of a job itself."""
        with self._snapshot():
            rows = self._run("SELECT key, value FROM job_tag WHERE job = ?", (job,))
            return {str(key): bytes(value) for key, value in rows}

    def types_in(self, job: int) -> list[str]:
        """The types of the artifacts of a job."""
        with self._snapshot():
            rows = self._run(
                "SELECT w.text FROM tally t JOIN word w ON w.id = t.type WHERE t.job = ? ORDER BY 1", (job,)
            )
            return [bytes(text).decode("utf-8", "surrogateescape") for (text,) in rows]

    def pinned(self, *, most: int = 10_000) -> list[int]:
        """Jobs, directories and artifacts that are pinned themselves."""
        sql = "SELECT ino FROM register WHERE name = 'pinned' AND gone = 0 AND value = x'31' LIMIT ?"
        with self._snapshot():
            return [int(ino) for (ino,) in self._run(sql, (most,))]

    def job_of(self, ino: int) -> tuple[JobThen, bytes] | None:
        """The job that an entry is or lies in, and its path below that; None where nothing is in the job."""
        path: list[bytes] = []
        with self._snapshot():
            while row := self._run("SELECT parent, name FROM entry WHERE ino = ? AND ino <> 1", (ino,)).fetchone():
                parent, name = int(row[0]), bytes(row[1])
                if parent == 1:
                    began = self._run("SELECT began_ns FROM holding WHERE job = ?", (ino,)).fetchone()
                    return None if began is None else (JobThen(ino, name, int(began[0])), b"/".join(reversed(path)))
                path.append(name)
                ino = parent
        return None

    def types_below(self, job: int, path: bytes) -> list[str]:
        """The types of what is at and below a path of a job."""
        if not path:
            return self.types_in(job)
        sql = (
            "SELECT DISTINCT w.text FROM found f INDEXED BY found_path JOIN word w ON w.id = f.type"
            " WHERE f.job = ? AND (f.path = ? OR (f.path > ? AND f.path < ?)) ORDER BY 1"
        )
        with self._snapshot():
            rows = self._run(sql, (job, path, path + b"/", path + b"0"))  # 0 is what comes after /
            return [bytes(text).decode("utf-8", "surrogateescape") for (text,) in rows]

    def size_of(self, job: int, slug: str | None = None) -> int | None:
        """Plain bytes of a job, or of what has a type in it; None where there is nothing."""
        of_job = "SELECT size FROM holding WHERE job = ?"
        of_type = "SELECT size FROM tally WHERE job = ? AND type = (SELECT id FROM word WHERE text = ?)"
        with self._snapshot():
            found = self._run(of_job, (job,)) if slug is None else self._run(of_type, (job, slug.encode()))
            row = found.fetchone()
            return None if row is None else int(row[0])


def _of_both(select: str) -> str:
    """Tags of jobs, and those that something in them says for itself."""
    return " UNION ALL ".join(select.format(table) for table in ("job_tag", "own_tag"))


def _day(within: str) -> int:
    """The first day, since the epoch, of a year or a month."""
    year, _, month = within.partition("-")
    return (datetime(int(year), int(month or 1), 1, tzinfo=UTC) - _EPOCH).days
