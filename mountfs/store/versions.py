"""What a file held before, kept as long as the file: with `versions: {enabled: true}`.

A version is a content that was settled and then written over, by whom and how ever: what is written, renamed over it,
or comes from elsewhere. Where there is a bucket its word says whether versions are kept, and a version is what had
reached it, so that all machines count alike; what was written over before that is in the trash. History begins with
the last removal: what the file had until then goes to the trash with it.

Contents that other machines wrote over are learnt from the records of the job (`bucket/history.py`).
"""

import json
from collections.abc import Mapping

from mountfs.catalog import Catalog
from mountfs.catalog.versions import Superseded
from mountfs.errors import NotFound
from mountfs.model import Entry, Kind, Owed
from mountfs.namespace import join_key
from mountfs.retention.versions import Written, superseded, versions
from mountfs.store.ledger import Ledger
from mountfs.store.owing import Owing

ENABLED = "versions"
"""What the bucket said, in the catalog's meta."""


class Versions:
    """Methods named for an event are called in its transaction, before the rows change. On the loop's thread."""

    def __init__(self, ledger: Ledger, owing: Owing, *, wanted: bool, has_bucket: bool) -> None:
        self._ledger = ledger
        self._owing = owing
        self._catalog = ledger.catalog
        said = self._catalog.meta(ENABLED) if has_bucket else None
        self.enabled = wanted if said is None else said == "1"
        self._were_kept = not self._catalog.versions.is_empty()  # also where they no longer are

    # -- events -------------------------------------------------------------------------------------------

    def overwritten(self, entry: Entry) -> bool:
        """Other content takes the place of what was acknowledged; whether that is kept as a version."""
        if not self.enabled or entry.kind != Kind.FILE or entry.content is None:
            return False
        content = self._ledger.content(entry.content)
        if content is None or content.digest is None or (self._owing.active and entry.owed & Owed.CONTENT):
            return False
        with self._catalog.transaction():
            self._catalog.versions.add(
                entry.ino, entry.stamp, content.id, size=entry.size, mtime_ns=entry.mtime_ns, birth_ns=entry.birth_ns
            )
        return True

    def replaced(self, entry: Entry, by: int) -> bool:
        """An entry goes, and another takes its name and its history; whether its content is kept as a version."""
        kept = self.overwritten(entry)
        self._catalog.versions.hand(entry.ino, to=by)
        return kept

    def removed(self, entry: Entry, *, before: str = "~", gone_ms: int | None = None) -> None:
        """What a file had, before that stamp, is no history any more: it goes to the trash, with its numbers."""
        if entry.kind != Kind.FILE or not (self.enabled or self._were_kept):
            return
        rows = self._catalog.versions.of(entry.ino)
        if not rows:
            return
        numbers = {found.stamp: found.number for found in versions(Written(r.stamp, r.digest, r.size) for r in rows)}
        job, *names = (*self._ledger.path(entry.parent), entry.name)
        registers = {
            name: raw.decode("utf-8", "surrogateescape")
            for name, raw in self._catalog.registers(entry.ino).items()
            if not name.startswith("@")
        }
        self._catalog.versions.to_trash(
            entry, job, b"/".join(names), json.dumps(registers), numbers=numbers, before=before,
            gone_ms=self._ledger.stamps.now_ms() if gone_ms is None else gone_ms,
        )  # fmt: skip

    def restored(self, entry: Entry, number: int) -> None:
        """A row of the trash is this entry again: what went with it is its history.

        In the bucket a history begins with the last removal: there it stays in the trash, one by one restorable.
        """
        if self.enabled and not self._owing.active and entry.kind == Kind.FILE:
            self._catalog.versions.from_trash(number, to=entry.ino)

    # -- questions ----------------------------------------------------------------------------------------

    def of(self, entry: Entry) -> dict[int, Superseded]:
        """By number, all that a file ever held and holds; {} for one that was never written over."""
        rows = self._catalog.versions.of(entry.ino) if entry.kind == Kind.FILE else []
        if not rows:
            return {}
        content = self._ledger.content(entry.content) if entry.content is not None else None
        if content is not None and content.digest is not None:
            rows.append(
                Superseded(entry.stamp, content.digest, entry.size, content.id, entry.mtime_ns, entry.birth_ns)
            )  # fmt: skip
        by_stamp = {row.stamp: row for row in rows}
        found = versions(Written(row.stamp, row.digest, row.size) for row in rows)
        return {version.number: by_stamp[version.stamp] for version in found}

    def one(self, entry: Entry, number: int) -> Superseded:
        """Raises NotFound."""
        found = self.of(entry)
        if number not in found:
            raise NotFound(f"there is no version {number}: {self._what_there_is(entry, found)}")
        return found[number]

    def _what_there_is(self, entry: Entry, found: Mapping[int, Superseded]) -> str:
        job, *names = self._ledger.path(entry.ino)
        there = f"there are 1 to {max(found)}" if found else ""
        if self._catalog.versions.are_in_trash(job, b"/".join(names)):
            there += "; " if there else ""
            return f"{there}earlier versions are in the trash: see `mountfs trash list {join_key((job, *names))}`"
        return there or "it was never written over, as far as is known here"


def number_of(catalog: Catalog, entry: Entry) -> int:
    """The number of what a file holds now, by what is known of its history here."""
    rows = catalog.versions.of(entry.ino) if entry.kind == Kind.FILE else []
    if not rows:
        return 1
    content = catalog.content(entry.content) if entry.content is not None else None
    now = Written(entry.stamp, content.digest if content is not None else None, entry.size)
    return 1 + len(superseded([*(Written(row.stamp, row.digest, row.size) for row in rows), now]))
