"""Statements that fill the search index. Rows only, part of `Catalog` and bound by its protocol."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from mountfs.catalog.bulk import WIDTH
from mountfs.catalog.schema.beginnings import BEGUN
from mountfs.catalog.tables import Row, Tables, Value

_MARKS: Final = ",".join("?" * WIDTH)
_SEEN: Final = (
    "e.ino, e.parent, e.name, e.kind, e.size, coalesce(c.stored, 0), e.birth_ns, e.mtime_ns, e.stamp, e.standing,"
    " e.target, e.content, c.place, r.reader, r.format, r.type, m.text"
)
_FROM: Final = (
    " FROM entry e LEFT JOIN content c ON c.id = e.content LEFT JOIN report r ON r.digest = c.digest"
    " LEFT JOIN mime m ON m.digest = c.digest "
)
_SAID: Final = "(name IN ('type', 'mime_type', 'expires_at', 'pinned') OR substr(name, 1, 4) = 'tag:')"


class Seen(NamedTuple):
    """An entry as the index looks at it."""

    ino: int
    parent: int
    name: bytes
    kind: int
    size: int
    stored: int
    created_ns: int
    modified_ns: int
    stamp: str
    standing: str
    target: bytes | None
    content: int | None
    place: str | None
    reader: int | None  # that has looked at it as a report; with what it found: format and type, '' where none
    format: str | None
    report_type: str | None
    mime: str | None  # what its first bytes tell; None for plain text, and where nobody has seen them


class FoundRow(NamedTuple):
    """A row of `found`, in the order of its columns."""

    ino: int
    job: int
    path: bytes
    name: bytes
    link: bool
    type: int
    mime: int
    format: int | None
    size: int
    stored: int
    created_ns: int
    modified_ns: int
    published_ms: int
    expires_s: int | None
    pinned: bool
    recovered: bool
    digest: bytes | None

    @property
    def indexed(self) -> tuple[Value, ...]:
        """All of it but what no index is about, and no sum but that of stored bytes."""
        return self._replace(mime=0, stored=0, modified_ns=0)


class OwnTag(NamedTuple):
    """A row of `own_tag`."""

    ino: int
    key: str
    value: bytes
    job: int


class IndexTables(Tables):
    """See the module's docstring."""

    # -- how far it has come ------------------------------------------------------------------------------

    def progress(self) -> tuple[int, str]:
        """(entries up to this number were read, by which rules)."""
        read_to, rules = self._run("SELECT read_to, rules FROM indexing", ()).fetchone()
        return int(read_to), str(rules)

    def read_on(self, read_to: int) -> None:
        self._run("UPDATE indexing SET read_to = ?1, noted_to = max(noted_to, ?1)", (read_to,))

    def read_again(self, rules: str) -> None:
        """All entries are to be read, by these rules."""
        self._run("UPDATE indexing SET read_to = 0, rules = ?", (rules,))

    def is_behind(self) -> bool:
        """Whether there is an entry that was never read, or one that changed."""
        sql = (
            "SELECT EXISTS (SELECT 1 FROM changed) OR"
            " (SELECT coalesce(max(ino), 0) FROM entry) > (SELECT read_to FROM indexing)"
        )
        return bool(self._run(sql, ()).fetchone()[0])

    # -- what there is to read ----------------------------------------------------------------------------

    def newer(self, read_to: int, limit: int) -> list[Seen]:
        rows = self._run(f"SELECT {_SEEN}{_FROM}WHERE e.ino > ? ORDER BY e.ino LIMIT ?", (read_to, limit))
        return [Seen._make(row) for row in rows]

    def noted(self, limit: int) -> list[tuple[int, bool, bytes]]:
        """(ino, whether it is about all below a job too, the name up to which that was looked at)."""
        rows = self._run("SELECT ino, deep, after FROM changed ORDER BY ino LIMIT ?", (limit,))
        return [(ino, bool(deep), bytes(after)) for ino, deep, after in rows]

    def note(self, inos: Iterable[int]) -> None:
        """These directories, and all that lies below them."""
        sql = "INSERT INTO changed VALUES (?, 1, x'') ON CONFLICT (ino) DO UPDATE SET deep = 1, after = x''"
        self._many(sql, ((ino,) for ino in inos))

    def note_at(self, ino: int, after: bytes) -> None:
        self._run("UPDATE changed SET after = ? WHERE ino = ?", (after, ino))

    def done(self, inos: Iterable[int]) -> None:
        self._many("DELETE FROM changed WHERE ino = ?", ((ino,) for ino in inos))

    def seen(self, inos: Sequence[int]) -> dict[int, Seen]:
        """Those of these entries that there are."""
        return {row[0]: Seen._make(row) for row in self._ask(f"SELECT {_SEEN}{_FROM}WHERE e.ino IN ({_MARKS})", inos)}  # type: ignore[misc]

    def below(self, parent: int, after: bytes, limit: int) -> list[Seen]:
        sql = f"SELECT {_SEEN}{_FROM}WHERE e.parent = ? AND e.name > ? ORDER BY e.name LIMIT ?"
        return [Seen._make(row) for row in self._run(sql, (parent, after, limit))]

    def one(self, ino: int) -> Seen | None:
        row = self._run(f"SELECT {_SEEN}{_FROM}WHERE e.ino = ?", (ino,)).fetchone()
        return None if row is None else Seen._make(row)

    def tags(self, ino: int) -> dict[str, bytes]:
        """What an entry itself is tagged with."""
        named = "name >= 'tag:' AND name < 'tag;'"
        sql = f"SELECT substr(name, 5), value FROM register WHERE ino = ? AND {named} AND gone = 0"
        return dict(self._run(sql, (ino,)).fetchall())

    def said(self, inos: Sequence[int]) -> dict[int, dict[str, bytes]]:
        """By entry: its registers that the index is about."""
        found: dict[int, dict[str, bytes]] = {}
        sql = f"SELECT ino, name, value FROM register WHERE ino IN ({_MARKS}) AND gone = 0 AND {_SAID}"
        for ino, name, value in self._ask(sql, inos):
            found.setdefault(ino, {})[name] = value  # type: ignore[arg-type, index, assignment]
        return found

    def _ask(self, sql: str, things: Sequence[int] | Sequence[bytes], *before: int) -> Iterator[Row]:
        for start in range(0, len(things), WIDTH):
            some = things[start : start + WIDTH]
            yield from self._run(sql, (*before, *some, *(None,) * (WIDTH - len(some))))

    # -- words --------------------------------------------------------------------------------------------

    def word(self, text: bytes) -> int:
        """The number of a word; made where there is none."""
        row = self._run("SELECT id FROM word WHERE text = ?", (text,)).fetchone()
        if row is None:
            row = self._run("INSERT INTO word (text) VALUES (?) RETURNING id", (text,)).fetchone()
        return int(row[0])

    # -- rows ---------------------------------------------------------------------------------------------

    def rows(self, inos: Sequence[int]) -> dict[int, FoundRow]:
        """What there is of these by now."""
        sql = f"SELECT {', '.join(FoundRow._fields)} FROM found WHERE ino IN ({_MARKS})"
        return {row[0]: FoundRow._make(row) for row in self._ask(sql, inos)}  # type: ignore[misc]

    def at(self, job: int, paths: Sequence[bytes]) -> dict[int, FoundRow]:
        """The rows at these paths of a job."""
        columns = ", ".join(FoundRow._fields)
        sql = f"SELECT {columns} FROM found INDEXED BY found_path WHERE job = ? AND path IN ({_MARKS})"
        return {row[0]: FoundRow._make(row) for row in self._ask(sql, paths, job)}  # type: ignore[misc]

    def own_tags(self, inos: Sequence[int]) -> set[OwnTag]:
        sql = f"SELECT ino, key, value, job FROM own_tag WHERE ino IN ({_MARKS})"
        return {OwnTag._make(row) for row in self._ask(sql, inos)}

    def put(self, rows: Sequence[FoundRow]) -> None:
        """Rows of entries that have none."""
        self._many("INSERT INTO found VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", rows)

    def put_beside_indexes(self, rows: Sequence[FoundRow]) -> None:
        """Rows of entries whose own are the same but for what `FoundRow.indexed` leaves out."""
        sql = "UPDATE found SET mime = ?, stored = ?, modified_ns = ? WHERE ino = ?"
        self._many(sql, ((row.mime, row.stored, row.modified_ns, row.ino) for row in rows))

    def remove(self, inos: Iterable[int]) -> None:
        self._many("DELETE FROM found WHERE ino = ?", ((ino,) for ino in inos))

    def remove_own_tags(self, tags: Iterable[OwnTag]) -> None:
        self._many("DELETE FROM own_tag WHERE ino = ? AND key = ?", ((tag.ino, tag.key) for tag in tags))

    def put_own_tags(self, tags: Iterable[OwnTag]) -> None:
        """Of keys that these entries do not have."""
        self._many("INSERT INTO own_tag VALUES (?,?,?,?)", tags)

    def set_job_tags(self, job: int, tags: Iterable[tuple[str, bytes]]) -> None:
        """The tags of what is, or was, a job."""
        self._run("DELETE FROM job_tag WHERE job = ?", (job,))
        self._many("INSERT INTO job_tag VALUES (?,?,?)", ((job, key, value) for key, value in tags))

    # -- sums ---------------------------------------------------------------------------------------------

    def add_to_jobs(self, rows: Sequence[tuple[int, int, int, int]]) -> None:
        """(job, artifacts, size, stored) more, or fewer."""
        self._many(
            "INSERT INTO holding VALUES (?,?,?,?,0,0,0) ON CONFLICT (job) DO UPDATE SET"
            " artifacts = artifacts + excluded.artifacts, size = size + excluded.size,"
            " stored = stored + excluded.stored",
            [row for row in rows if row[1] >= 0],
        )
        self._many(
            "UPDATE holding SET artifacts = artifacts + ?2, size = size + ?3, stored = stored + ?4 WHERE job = ?1",
            [row for row in rows if row[1] < 0],
        )
        fewer = [row[:1] for row in rows if row[1] < 0]
        self._many("DELETE FROM holding WHERE job = ? AND artifacts = 0", fewer)
        self._many(
            "UPDATE holding SET newest_ms = (SELECT max(published_ms) FROM found WHERE job = ?1),"
            " oldest_ms = (SELECT min(published_ms) FROM found WHERE job = ?1) WHERE job = ?1",
            [row[:1] for row in rows],
        )

    def set_beginnings(self, jobs: Iterable[int]) -> None:
        """Find out anew when these began, of those that have artifacts."""
        self._many(f"{BEGUN} WHERE job = ?", ((job,) for job in jobs))

    def add_to_types(self, rows: Sequence[tuple[int, int, int, int, int]]) -> None:
        """(type, job, artifacts, size, stored) more, or fewer."""
        self._many(
            "INSERT INTO tally VALUES (?,?,?,?,?,0) ON CONFLICT (type, job) DO UPDATE SET"
            " artifacts = artifacts + excluded.artifacts, size = size + excluded.size,"
            " stored = stored + excluded.stored",
            [row for row in rows if row[2] >= 0],
        )
        self._many(
            "UPDATE tally SET artifacts = artifacts + ?3, size = size + ?4, stored = stored + ?5"
            " WHERE type = ?1 AND job = ?2",
            [row for row in rows if row[2] < 0],
        )
        fewer = [row[:2] for row in rows if row[2] < 0]
        self._many("DELETE FROM tally WHERE type = ? AND job = ? AND artifacts = 0", fewer)
        self._many(  # from the newest on: the first of the type is near
            "UPDATE tally SET newest_ms = (SELECT published_ms FROM found INDEXED BY found_job"
            " WHERE job = ?2 AND type = ?1 ORDER BY published_ms DESC LIMIT 1) WHERE type = ?1 AND job = ?2",
            [row[:2] for row in rows],
        )

    def add_to_days(self, rows: Sequence[tuple[int, int, int]]) -> None:
        """(day, job, artifacts) more, or fewer."""
        self._many(
            "INSERT INTO daily VALUES (?,?,?) ON CONFLICT (day, job) DO UPDATE SET"
            " artifacts = artifacts + excluded.artifacts",
            [row for row in rows if row[2] >= 0],
        )
        self._many(
            "UPDATE daily SET artifacts = artifacts + ?3 WHERE day = ?1 AND job = ?2",
            [row for row in rows if row[2] < 0],
        )
        fewer = [row[:2] for row in rows if row[2] < 0]
        self._many("DELETE FROM daily WHERE day = ? AND job = ? AND artifacts = 0", fewer)

    def add_stored(self, jobs: Iterable[tuple[int, int]], types: Iterable[tuple[int, int, int]]) -> None:
        """(job, stored) and (type, job, stored) more, or fewer."""
        self._many("UPDATE holding SET stored = stored + ?2 WHERE job = ?1", jobs)
        self._many("UPDATE tally SET stored = stored + ?3 WHERE type = ?1 AND job = ?2", types)
