"""Contents: where the bytes of each digest are, drafts, and files that a crash may leave behind."""

from collections.abc import Iterable

from mountfs.catalog.tables import Tables
from mountfs.errors import CatalogError
from mountfs.model import Content, Digest

CONTENT = "id, place, digest, size, stored, codec, sums, segment, offset, damaged"


class ContentTables(Tables):
    """See the module's docstring."""

    def content(self, content_id: int) -> Content | None:
        row = self._run(f"SELECT {CONTENT} FROM content WHERE id = ?", (content_id,)).fetchone()
        return content_of_row(row) if row else None

    def content_id(self, digest: Digest, codec: str) -> int | None:
        """The id of the content of that digest which is stored in that form."""
        row = self._run("SELECT id FROM content WHERE digest = ? AND codec = ?", (digest, codec)).fetchone()
        return None if row is None else int(row[0])

    def content_by_digest(self, digest: Digest, codec: str) -> Content | None:
        """The content of that digest which is stored in that form."""
        row = self._run(f"SELECT {CONTENT} FROM content WHERE digest = ? AND codec = ?", (digest, codec)).fetchone()
        return content_of_row(row) if row else None

    def content_by_any(self, digest: bytes, codec: str) -> int | None:
        """The id of a content of that digest: one that is here before one that is not, in that form before others."""
        return self.content_and_size(digest, codec)[0]

    def content_and_size(self, digest: bytes, codec: str) -> tuple[int | None, int | None]:
        """The same with its plain size, where the bytes are here and say so: a record that names it only claims one."""
        row = self._run(
            "SELECT id, iif(place = 'bucket', NULL, size) FROM content WHERE digest = ?"
            " ORDER BY place = 'bucket', codec <> ? LIMIT 1", (digest, codec),
        ).fetchone()  # fmt: skip
        return (None, None) if row is None else (int(row[0]), row[1])

    def content_of_file(self, name: str) -> Content | None:
        """The content whose file has that name, `<hex>.zst` or `<hex>`; None for names that are no digests."""
        codec = "zstd" if name.endswith(".zst") else "none"
        try:
            return self.content_by_digest(Digest(bytes.fromhex(name.removesuffix(".zst"))), codec)
        except ValueError:
            return None

    def content_data(self, content_id: int) -> bytes:
        """The stored bytes of a content that lies in the catalog."""
        row = self._run("SELECT data FROM stored WHERE content = ?", (content_id,)).fetchone()
        if row is None:
            raise CatalogError(f"content {content_id} is not in the catalog")
        return bytes(row[0])

    def unsettled(self) -> list[Content]:
        rows = self._run(f"SELECT {CONTENT} FROM content WHERE digest IS NULL ORDER BY segment, id")
        return [content_of_row(row) for row in rows]

    def insert_contents(
        self, contents: Iterable[Content], data: Iterable[tuple[int, bytes]] = (), *, now_s: int = 0
    ) -> None:
        """New contents, and the stored bytes of those that lie in the catalog."""
        self._many(
            "INSERT INTO content (id, place, digest, size, stored, codec, sums, segment, offset, read_s)"
            " VALUES (?,?,?,?,?,?,?,?,?,?)",
            (
                (c.id, c.place, c.digest, c.size, c.stored, c.codec, c.sums, c.segment, c.offset, now_s)
                for c in contents
            ),
        )
        self._many("INSERT INTO stored VALUES (?,?)", data)

    def settle_content(self, content: Content, data: bytes | None, *, now_s: int = 0) -> None:
        """Give a content that is known already its digest and its final place."""
        self._run(
            "UPDATE content SET place = ?, digest = ?, size = ?, stored = ?, codec = ?, sums = ?,"
            " segment = 0, offset = 0, read_s = ? WHERE id = ?",
            (
                content.place,
                content.digest,
                content.size,
                content.stored,
                content.codec,
                content.sums,
                now_s,
                content.id,
            ),
        )
        if data is not None:
            self._run("INSERT INTO stored VALUES (?,?)", (content.id, data))

    def bring(
        self, content_id: int, codec: str, sums: bytes, size: int, stored: int, data: bytes | None, *, now_s: int = 0
    ) -> list[int]:
        """A content of the bucket is here now, in the catalog (`data`) or in its file; entries of which a record had
        said another plain size."""
        place = "file" if data is None else "catalog"
        brought = self._run(
            "UPDATE content SET place = ?, codec = ?, sums = ?, size = ?, stored = ?, damaged = 0, read_s = ?"
            " WHERE id = ? AND place = 'bucket'",
            (place, codec, sums, size, stored, now_s, content_id),
        ).rowcount
        if data is not None and brought:
            self._run("INSERT OR REPLACE INTO stored VALUES (?,?)", (content_id, data))
        resized = self._run(
            "UPDATE entry SET size = ?1 WHERE content = ?2 AND size <> ?1 RETURNING ino", (size, content_id)
        )
        return [ino for (ino,) in resized]

    def evict(self, content_id: int) -> None:
        """The content is in the bucket alone from now on; a file it had is to be removed once that is durable."""
        self._run("UPDATE content SET place = 'bucket' WHERE id = ? AND place IN ('catalog', 'file')", (content_id,))

    def least_recently_read(self, after: tuple[int, int], *, limit: int) -> list[tuple[int, Content]]:
        """(read_s, content) of what is here, in the order of the last reads, from behind (read_s, id)."""
        rows = self._run(
            f"SELECT read_s, {CONTENT} FROM content WHERE place IN ('catalog', 'file') AND (read_s, id) > (?, ?)"
            " ORDER BY read_s, id LIMIT ?",
            (*after, limit),
        )
        return [(row[0], content_of_row(row[1:])) for row in rows]

    def note_reads(self, contents: Iterable[int], *, now_s: int) -> None:
        """These were opened; to the minute."""
        self._many(
            "UPDATE content SET read_s = ?1 WHERE id = ?2 AND read_s <= ?1 - 60 AND place IN ('catalog', 'file')",
            ((now_s, content) for content in contents),
        )

    def has_pins(self) -> bool:
        """Whether anything is pinned at all."""
        sql = "SELECT 1 FROM register WHERE name = 'pinned' AND gone = 0 AND value = x'31' LIMIT 1"
        return self._run(sql).fetchone() is not None

    def pinned_inos(self) -> set[int]:
        """Entries that are pinned themselves."""
        rows = self._run("SELECT ino FROM register WHERE name = 'pinned' AND gone = 0 AND value = x'31'")
        return {ino for (ino,) in rows}

    def here_bytes(self) -> int:
        """Stored bytes of all settled contents on this machine."""
        return int(self._run("SELECT here FROM usage").fetchone()[0])

    def resize_content(self, content_id: int, size: int) -> None:
        self._run("UPDATE content SET size = ?1, stored = ?1 WHERE id = ?2", (size, content_id))

    def mark_damaged(self, content_id: int) -> None:
        self._run("UPDATE content SET damaged = 1 WHERE id = ?", (content_id,))

    def damaged(self) -> list[int]:
        return [i for (i,) in self._run("SELECT id FROM content WHERE damaged = 1")]

    def dead(self, limit: int) -> list[Content]:
        """Contents that nothing needs any more. CROSS JOIN: else the planner scans all contents for the few dead."""
        columns = ", ".join(f"c.{name.strip()}" for name in CONTENT.split(","))
        dead = "FROM dead d CROSS JOIN content c ON c.id = d.content WHERE c.links = 0 AND c.kept = 0"
        sql = f"SELECT {columns} {dead} LIMIT ?"
        return [content_of_row(row) for row in self._run(sql, (limit,))]

    def forget_contents(self, ids: Iterable[int]) -> None:
        """Remove rows that nothing links to."""
        rows = [(i,) for i in ids]
        self._many("DELETE FROM dead WHERE content = ?", rows)
        self._many("DELETE FROM content WHERE id = ? AND links = 0 AND kept = 0", rows)

    def used_segments(self) -> set[int]:
        """Journal segments that still hold the only bytes of a content."""
        return {s for (s,) in self._run("SELECT DISTINCT segment FROM content WHERE digest IS NULL AND segment > 0")}

    # -- files that a crash may leave behind --------------------------------------------------------------

    def doom(self, paths: Iterable[str]) -> None:
        """Note durably that these files are to be deleted unless a later transaction says otherwise."""
        self._many("INSERT OR IGNORE INTO doomed VALUES (?)", ((p,) for p in paths))

    def spare(self, paths: Iterable[str]) -> None:
        self._many("DELETE FROM doomed WHERE path = ?", ((p,) for p in paths))

    def doomed(self) -> list[str]:
        return [p for (p,) in self._run("SELECT path FROM doomed")]

    # -- drafts -------------------------------------------------------------------------------------------

    def put_draft(self, content_id: int, *, base: int | None, closed: bool) -> None:
        self._run(
            "INSERT INTO draft VALUES (?,?,?) ON CONFLICT (content) DO UPDATE SET closed = excluded.closed",
            (content_id, base, int(closed)),
        )

    def drafts(self) -> list[tuple[int, int | None, bool]]:
        """All drafts: (content, base, closed)."""
        return [(c, b, bool(closed)) for c, b, closed in self._run("SELECT content, base, closed FROM draft")]

    def draft_base(self, content_id: int) -> int | None:
        """The content that a draft was begun on."""
        row = self._run("SELECT base FROM draft WHERE content = ?", (content_id,)).fetchone()
        return None if row is None else row[0]

    def delete_draft(self, content_id: int) -> None:
        self._run("DELETE FROM draft WHERE content = ?", (content_id,))


def content_of_row(row: tuple[int, str, bytes | None, int, int, str, bytes, int, int, int]) -> Content:
    i, place, digest, size, stored, codec, sums, segment, offset, damaged = row
    return Content(
        i,
        place,
        Digest(digest) if digest is not None else None,
        size,
        stored,
        codec,
        sums,
        segment,
        offset,
        bool(damaged),
    )
