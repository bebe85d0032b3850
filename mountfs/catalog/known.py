"""What is known of many entries, asked for together: a statement for each kind of row, not one for each entry.

Part of `Catalog`, and bound by its protocol. Reads only.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from mountfs.catalog.contents import CONTENT, content_of_row
from mountfs.catalog.entries import BY_INOS
from mountfs.catalog.reports import REPORT, Told, told_of_row
from mountfs.catalog.tables import Row, Tables, Value
from mountfs.model import Content, Entry

TOGETHER: Final = 64
"""Entries that are asked for at once."""
_WIDTHS: Final = (1, 8, TOGETHER)  # so that there are few statements


class KnownTables(Tables):
    """See the module's docstring."""

    def _ask(self, sql: str, things: Sequence[Value]) -> Iterator[Row]:
        for start in range(0, len(things), TOGETHER):
            some = things[start : start + TOGETHER]
            width = next(width for width in _WIDTHS if width >= len(some))
            marks = ",".join("?" * width)
            yield from self._run(sql.format(marks=marks), (*some, *(None,) * (width - len(some))))

    def entries(self, inos: Sequence[int]) -> dict[int, Entry]:
        """Those that there are."""
        return {entry.ino: entry for entry in (Entry(*row) for row in self._ask(BY_INOS, inos))}  # type: ignore[arg-type]

    def contents(self, ids: Sequence[int]) -> dict[int, Content]:
        sql = f"SELECT {CONTENT} FROM content WHERE id IN ({{marks}})"
        return {row[0]: content_of_row(row) for row in self._ask(sql, ids)}  # type: ignore[arg-type, misc]

    def registers(self, inos: Sequence[int]) -> dict[int, dict[str, bytes]]:
        """By entry, in order of their names."""
        sql = "SELECT ino, name, value FROM register WHERE ino IN ({marks}) AND gone = 0 ORDER BY ino, name"
        found: dict[int, dict[str, bytes]] = {}
        for ino, name, value in self._ask(sql, inos):
            found.setdefault(ino, {})[name] = value  # type: ignore[arg-type, index, assignment]
        return found

    def owed(self, inos: Sequence[int]) -> set[int]:
        """Those that have a register which the bucket lacks."""
        sql = "SELECT DISTINCT ino FROM register WHERE ino IN ({marks}) AND owed = 1"
        return {ino for (ino,) in self._ask(sql, inos)}  # type: ignore[misc]

    def reports(self, digests: Sequence[bytes]) -> dict[bytes, Told]:
        """What contents say, as far as somebody looked."""
        sql = f"SELECT r.digest, {REPORT} FROM report r WHERE r.digest IN ({{marks}})"
        return {digest: told_of_row(row) for digest, *row in self._ask(sql, digests)}  # type: ignore[misc]

    def read_types(self, inos: Sequence[int]) -> dict[int, str]:
        """By entry: the type that its content shows, of those that were read and are a report."""
        sql = (
            "SELECT e.ino, r.type FROM entry e JOIN content c ON c.id = e.content JOIN report r ON r.digest = c.digest"
            " WHERE e.ino IN ({marks}) AND r.type <> ''"
        )
        return dict(self._ask(sql, inos))  # type: ignore[arg-type]

    def mimes(self, digests: Sequence[bytes]) -> dict[bytes, str]:
        """What contents are that somebody has seen and that are no plain text."""
        sql = "SELECT digest, text FROM mime WHERE digest IN ({marks})"
        return dict(self._ask(sql, digests))  # type: ignore[arg-type]

    def versioned(self, inos: Sequence[int]) -> set[int]:
        """Those that were written over, and of which that is kept."""
        return {ino for (ino,) in self._ask("SELECT DISTINCT ino FROM version WHERE ino IN ({marks})", inos)}  # type: ignore[misc]
