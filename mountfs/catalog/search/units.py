"""What retention decides about, from the sums of the index: reports, with pins, dates and baselines.

`reports` reads a few rows for each job and none for each artifact, but for those with a date or a pin of their own. The
rest is for whoever carries a decision out, and looks whether it still is what was judged.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

from mountfs.catalog.tables import Run
from mountfs.retention import Dated, Report, with_baselines

MS_NS: Final = 1_000_000
SECOND_NS: Final = 1_000_000_000

_PINNED: Final = "r.name = 'pinned' AND r.gone = 0 AND r.value = x'31'"
_NEWEST_LASTING: Final = (
    "SELECT published_ms FROM found INDEXED BY found_job WHERE job = ? AND type = ? AND expires_s IS NULL"
    " ORDER BY published_ms DESC LIMIT 1"
)
_TO_THE_ROOT: Final = (
    "WITH RECURSIVE above (ino, parent, name) AS (SELECT ino, parent, name FROM entry WHERE ino = ? UNION ALL"
    " SELECT e.ino, e.parent, e.name FROM above a CROSS JOIN entry e ON e.ino = a.parent WHERE a.parent <> 1)"
    " SELECT ino, parent, name FROM above"
)
_MEMBER: Final = "SELECT ino, published_ms, expires_s, size, stored FROM found"

Key = tuple[int, int]
"""(ino of the job, number of the type)."""


@dataclass(frozen=True, slots=True)
class _Tally:
    job: str
    type: str
    artifacts: int
    stored: int
    newest_ms: int
    began_ns: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """`newest_ms` counts what has a date too, `published_ns` does not (`Report`)."""

    artifacts: int
    published_ns: int
    newest_ms: int


@dataclass(frozen=True, slots=True)
class Member:
    """An artifact of a report."""

    ino: int
    published_ms: int
    expires_s: int | None
    size: int
    stored: int


class Units:
    """`run` reads the index within `snapshot`."""

    def __init__(self, run: Run, snapshot: Callable[[], AbstractContextManager[None]]) -> None:
        self._run = run
        self._snapshot = snapshot

    def reports(self) -> list[Report]:
        """All there are; those marked that comparisons take by default."""
        with self._snapshot():
            texts = _Texts()
            dated, pinned, tags = self._dated(), self._pinned(), self._tags(texts)
            return with_baselines(
                Report(
                    tally.job, tally.type, self._published_ns(key, tally, len(dated.get(key, ()))),
                    tally.began_ns, tags.get(key[0], {}), tally.artifacts, tally.stored, key in pinned,
                    dated=tuple(dated.get(key, ())),
                )
                for key, tally in self._tallies(texts)
            )  # fmt: skip

    def _tallies(self, texts: "_Texts") -> Iterator[tuple[Key, _Tally]]:
        rows = self._run(
            "SELECT t.job, t.type, e.name, w.text, t.artifacts, t.stored, t.newest_ms, h.began_ns FROM tally t"
            " CROSS JOIN holding h ON h.job = t.job CROSS JOIN entry e ON e.ino = t.job"
            " CROSS JOIN word w ON w.id = t.type WHERE e.parent = 1"
        )
        for job, kind, name, slug, *sums in rows:
            yield (job, kind), _Tally(texts[name], texts[slug], *sums)

    def _published_ns(self, key: Key, tally: _Tally, dated: int) -> int:
        """What has a date of its own does not count, unless all have."""
        if not 0 < dated < tally.artifacts:
            return tally.newest_ms * MS_NS
        return int(self._run(_NEWEST_LASTING, key).fetchone()[0]) * MS_NS

    def _dated(self) -> dict[Key, list[Dated]]:
        found: dict[Key, list[Dated]] = defaultdict(list)
        rows = self._run(
            "SELECT job, type, path, expires_s, stored FROM found INDEXED BY found_expires WHERE expires_s IS NOT NULL"
        )
        for job, kind, path, expires_s, stored in rows:
            found[job, kind].append(Dated(_text(path), expires_s * SECOND_NS, stored))
        return found

    def _tags(self, texts: "_Texts") -> dict[int, dict[str, str]]:
        found: dict[int, dict[str, str]] = defaultdict(dict)
        for job, key, value in self._run("SELECT job, key, value FROM job_tag"):
            found[job][key] = texts[value]
        return found

    # -- pins -------------------------------------------------------------------------------------------------

    def _pinned(self) -> set[Key]:
        """Reports of which anything is pinned: the job, a directory on the way, or one artifact."""
        alone = self._run(
            f"SELECT DISTINCT f.job, f.type FROM register r CROSS JOIN found f ON f.ino = r.ino WHERE {_PINNED}"
        )
        found: set[Key] = {(job, kind) for job, kind in alone}
        directories = self._run(
            f"SELECT r.ino FROM register r CROSS JOIN entry e ON e.ino = r.ino WHERE {_PINNED} AND e.kind = 2"
        ).fetchall()
        for (ino,) in directories:
            found.update(self._below(ino))
        return found

    def _below(self, directory: int) -> Iterator[Key]:
        *below, (job, parent, _) = self._run(_TO_THE_ROOT, (directory,)).fetchall()
        if parent != 1:
            return  # in no job
        path = b"/".join(bytes(name) for _, _, name in reversed(below))
        if not path:
            rows = self._run("SELECT job, type FROM tally INDEXED BY tally_job WHERE job = ?", (job,))
        else:
            rows = self._run(
                "SELECT DISTINCT job, type FROM found INDEXED BY found_path WHERE job = ? AND path > ? AND path < ?",
                (job, path + b"/", path + b"0"),  # 0 is what comes after /
            )
        for row in rows:
            yield int(row[0]), int(row[1])

    # -- as it is now -------------------------------------------------------------------------------------------

    def key(self, job: str, slug: str) -> Key | None:
        """By what a report is known here; None where there is no such job, or no artifact of that type anywhere."""
        row = self._run(
            "SELECT e.ino, w.id FROM entry e CROSS JOIN word w ON w.text = ? WHERE e.parent = 1 AND e.name = ?",
            (_raw(slug), _raw(job)),
        ).fetchone()
        return None if row is None else (int(row[0]), int(row[1]))

    def key_in(self, job: int, slug: str) -> Key | None:
        """The same of a job's entry, whatever its name is."""
        row = self._run("SELECT id FROM word WHERE text = ?", (_raw(slug),)).fetchone()
        return None if row is None else (job, int(row[0]))

    def key_of(self, ino: int) -> Key | None:
        """The report that an artifact belongs to."""
        row = self._run("SELECT job, type FROM found WHERE ino = ?", (ino,)).fetchone()
        return None if row is None else (int(row[0]), int(row[1]))

    def standing(self, key: Key) -> Standing | None:
        """What `reports` would say of one now; None where it has gone."""
        row = self._run("SELECT artifacts, newest_ms FROM tally WHERE job = ? AND type = ?", key).fetchone()
        if row is None:
            return None
        tally = _Tally("", "", row[0], 0, row[1])
        dated = "SELECT count(*) FROM found WHERE job = ? AND type = ? AND expires_s IS NOT NULL"
        count = self._run(dated, key).fetchone()[0] if self.has_dated() else 0
        return Standing(tally.artifacts, self._published_ns(key, tally, count), tally.newest_ms)

    def pinned(self) -> set[Key]:
        """Reports of which anything is pinned."""
        with self._snapshot():
            return self._pinned()

    def members(self, key: Key, *, after: Member | None, limit: int) -> list[Member]:
        """The next artifacts of a report, those first that were published first."""
        start = (-1, -1) if after is None else (after.published_ms, after.ino)
        rows = self._run(
            f"{_MEMBER} INDEXED BY found_job WHERE job = ? AND type = ? AND (published_ms, ino) > (?, ?)"
            " ORDER BY published_ms, ino LIMIT ?",
            (*key, *start, limit),
        )
        return [Member(*row) for row in rows]

    def count_until(self, key: Key, newest_ms: int) -> tuple[int, int]:
        """How many artifacts of a report were published by then, and their stored bytes."""
        row = self._run(
            "SELECT count(*), coalesce(sum(stored), 0) FROM found INDEXED BY found_job"
            " WHERE job = ? AND type = ? AND published_ms <= ?",
            (*key, newest_ms),
        ).fetchone()
        return int(row[0]), int(row[1])

    def member(self, job: str, path: str) -> Member | None:
        """The artifact at a path."""
        sql = f"{_MEMBER} WHERE job = (SELECT ino FROM entry WHERE parent = 1 AND name = ?) AND path = ?"
        row = self._run(sql, (_raw(job), _raw(path))).fetchone()
        return None if row is None else Member(*row)

    def are_more_than(self, number: int) -> bool:
        """Whether there are more reports than so many."""
        sql = "SELECT count(*) > ?1 FROM (SELECT 1 FROM tally LIMIT ?1 + 1)"
        return bool(self._run(sql, (number,)).fetchone()[0])

    def jobs_dated_before(self, moment_ns: int) -> list[str]:
        """The jobs of artifacts whose own date comes before this moment, or has come."""
        rows = self._run(
            "SELECT DISTINCT (SELECT name FROM entry WHERE ino = job AND parent = 1)"
            " FROM found INDEXED BY found_expires WHERE expires_s < ?",
            (-(-moment_ns // SECOND_NS),),
        )
        return [_text(name) for (name,) in rows if name is not None]

    def has_dated(self) -> bool:
        """Whether any artifact has a date of its own."""
        sql = "SELECT EXISTS (SELECT 1 FROM found INDEXED BY found_expires WHERE expires_s IS NOT NULL)"
        return bool(self._run(sql).fetchone()[0])


class _Texts(dict[bytes, str]):
    """Names and values as text, each kept once: there are many jobs, and few branches and types."""

    def __missing__(self, raw: bytes) -> str:
        text = self[raw] = _text(raw)
        return text


def _text(raw: bytes) -> str:
    return bytes(raw).decode("utf-8", "surrogateescape")


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
