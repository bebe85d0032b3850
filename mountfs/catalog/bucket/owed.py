"""What the bucket has not confirmed yet."""

from collections.abc import Iterable, Sequence

from mountfs.catalog.tables import Tables, marks

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


class OwedTables(Tables):
    """See the module's docstring."""

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
        rows = self._run(f"SELECT ino, parent, name FROM entry WHERE ino IN ({marks(inos)})", inos)
        return {ino: (parent, bytes(name)) for ino, parent, name in rows}

    def owed_bytes(self, inos: Sequence[int]) -> int:
        """Stored bytes of contents that the bucket lacks of these entries; a few hundred at a time."""
        sql = (
            "SELECT coalesce(sum(c.stored), 0) FROM entry e JOIN content c ON c.id = e.content"
            f" WHERE e.owed & 1 AND e.ino IN ({marks(inos)})"
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
