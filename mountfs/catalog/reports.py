"""What reports say, by the digest of their content, and which contents nobody has looked at yet.

Rows only, part of `Catalog` and bound by its protocol; readers beside it have the lookups.
"""

import json
from collections.abc import Iterable, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple, assert_never

from mountfs.catalog.tables import Tables, Value
from mountfs.reports.model import Unknown, Unreadable
from mountfs.reports.wire import Summary

Told = Summary | Unreadable | Unknown

READER: Final = 1
"""Another number, and all reports are read again: the readers know more, or other, than before."""
WINDOW: Final = 256  # of the newest that are looked at: those that are still being written are passed over
REPORT: Final = "r.answer, r.format, r.schema, r.kind, r.type, r.reason, r.summary"


class Unread(NamedTuple):
    """A content that may be a report, and is here."""

    id: int
    digest: bytes
    size: int


class ReportTables(Tables):
    """See the module's docstring."""

    def of_entry(self, ino: int) -> Told | None:
        """What the content of a file says; None where nobody has looked at it."""
        sql = (
            f"SELECT {REPORT} FROM entry e JOIN content c ON c.id = e.content JOIN report r ON r.digest = c.digest"
            " WHERE e.ino = ?"
        )
        return _told(self._run(sql, (ino,)).fetchone())

    def of_digest(self, digest: bytes) -> Told | None:
        return _told(self._run(f"SELECT {REPORT} FROM report r WHERE r.digest = ?", (digest,)).fetchone())

    def is_read(self, digest: bytes) -> bool:
        """Whether these readers have looked at it."""
        return (
            self._run("SELECT 1 FROM report WHERE digest = ? AND reader = ?", (digest, READER)).fetchone() is not None
        )

    def put(self, digest: bytes, told: Told) -> None:
        """What a content says. The index looks at all its entries again: types and formats may be others."""
        self._run("INSERT OR REPLACE INTO report VALUES (?,?,?,?,?,?,?,?,?)", (digest, *_row(told), READER))
        self._run(
            "INSERT INTO changed SELECT e.ino, 0, x'' FROM content c CROSS JOIN entry e ON e.content = c.id"
            " WHERE c.digest = ? AND e.ino <= (SELECT noted_to FROM indexing) ON CONFLICT (ino) DO NOTHING",
            (digest,),
        )
        self._run("DELETE FROM unread WHERE content IN (SELECT id FROM content WHERE digest = ?)", (digest,))

    # -- what nobody has looked at ------------------------------------------------------------------------

    def note(self, contents: Iterable[int]) -> None:
        """These may be reports."""
        self._many("INSERT OR IGNORE INTO unread VALUES (?)", ((content,) for content in contents))

    def forget(self, content: int) -> None:
        self._run("DELETE FROM unread WHERE content = ?", (content,))

    def count_unread(self) -> int:
        """How many there are, with those that went meanwhile."""
        return int(self._run("SELECT count(*) FROM unread", ()).fetchone()[0])

    def next_unread(self, limit: int) -> list[Unread]:
        """The newest that are settled and here. Those that went, or are here no more, are forgotten."""
        rows = self._run(
            "SELECT u.content, c.digest, c.size, c.id IS NULL OR c.place = 'bucket' OR c.damaged = 1"
            " FROM unread u LEFT JOIN content c ON c.id = u.content ORDER BY u.content DESC LIMIT ?", (WINDOW,)
        ).fetchall()  # fmt: skip
        self._many("DELETE FROM unread WHERE content = ?", [(content,) for content, _, _, gone in rows if gone])
        return [Unread(content, digest, size) for content, digest, size, gone in rows if digest and not gone][:limit]


def _told(row: tuple[Value, ...] | None) -> Told | None:
    return None if row is None else told_of_row(row)


def told_of_row(row: Sequence[Value]) -> Told:
    """Of a row with the columns `REPORT`."""
    answer, form, schema, kind, slug, reason, summary = map(str, row)
    match answer:
        case "parsed":
            return Summary(form, schema, kind, slug, MappingProxyType(json.loads(summary)))
        case "unreadable":
            return Unreadable(form, reason, kind)
        case _:
            return Unknown()


def _row(told: Told) -> tuple[str, ...]:
    """answer, format, schema, kind, type, reason, summary"""
    match told:
        case Summary():
            numbers = json.dumps(dict(told.numbers), allow_nan=False, separators=(",", ":"))
            return ("parsed", told.format, told.schema, told.kind, told.type, "", numbers)
        case Unreadable():
            return ("unreadable", told.format, "", told.kind, "", told.reason, "{}")
        case Unknown():
            return ("unknown", "", "", "", "", "", "{}")
        case _:
            assert_never(told)
