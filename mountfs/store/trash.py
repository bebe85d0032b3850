"""What was removed or overwritten, kept for the grace: `mountfs restore` brings it back.

A row holds the facts, and keeps the content on this machine, or in the bucket, from going. Only what was stored once
is kept: a file that went before it was settled leaves what had been settled of it before, or nothing.

The grace is the bucket's, by the server's clock; without a bucket it is `trash_days`, and where the disk is full the
oldest trash goes before a writer hears ENOSPC.
"""

import json
from dataclasses import replace
from typing import Final

from mountfs.catalog import Catalog
from mountfs.errors import CacheFull
from mountfs.model import Content, Entry, Kind, Place
from mountfs.store.ledger import Ledger
from mountfs.store.live import LiveFile
from mountfs.store.versions import Versions

DAY_MS = 86_400_000
PIECE = 64  # rows that go at a time: 64 × 30 µs
LEAST_AT_ONCE = 256  # rows that make room on a full disk: each round costs a sync
OF_ONE_PATH = 16  # the newest: a database in the mount is overwritten every few seconds
OVERWRITTEN: Final = "overwritten"
_PLAIN_MODE = 0o755


def keep_ms_of(catalog: Catalog, *, days: int) -> int:
    """How long the trash is kept: what the bucket says, where there is one."""
    return int(catalog.meta("grace_ms") or days * DAY_MS)


class Trash:
    """`take` belongs into the transaction in which something goes. On the loop's thread."""

    def __init__(self, ledger: Ledger, versions: Versions, *, days: int) -> None:
        self._ledger = ledger
        self.versions = versions
        self._catalog = ledger.catalog
        self._days = days
        self.keep_ms = self._said_keep_ms()

    def _said_keep_ms(self) -> int:
        return keep_ms_of(self._catalog, days=self._days)

    # -- taking -------------------------------------------------------------------------------------------

    def take(self, entry: Entry, reason: str) -> None:
        """Keep the facts of what is about to go, as acknowledged; of a directory only what was said of it."""
        if not self.keep_ms:
            return
        gone_ms = self._ledger.stamps.now_ms()  # one for all: what goes together is brought back together
        self.versions.removed(entry, gone_ms=gone_ms)
        self.keep(entry, reason, gone_ms=gone_ms)

    def keep(self, entry: Entry, reason: str, *, gone_ms: int | None = None) -> None:
        """The same of an entry whose history goes on."""
        registers = self._registers(entry.ino)
        if entry.kind == Kind.DIRECTORY and not registers and entry.mode & 0o777 == _PLAIN_MODE:
            return
        kept = self._settled(entry)
        if kept is None:
            return
        job, *names = (*self._ledger.path(entry.parent), entry.name)
        path = b"/".join(names)
        gone_ms = self._ledger.stamps.now_ms() if gone_ms is None else gone_ms
        self._catalog.trash.add(job, path, kept, json.dumps(registers), gone_ms=gone_ms, reason=reason)
        self._catalog.trash.thin_out(job, path, keep=OF_ONE_PATH)

    def _registers(self, ino: int) -> dict[str, str]:
        return {
            name: raw.decode("utf-8", "surrogateescape")
            for name, raw in self._catalog.registers(ino).items()
            if not name.startswith("@")
        }

    def _settled(self, entry: Entry) -> Entry | None:
        """The entry with the content that is kept of it; None where nothing was ever settled."""
        if entry.kind != Kind.FILE:
            return entry
        if entry.content is None:
            return entry
        content = self._ledger.content(entry.content)
        if content is not None and content.place == Place.DRAFT:
            content = self._base_of(content)
        if content is None or content.digest is None:
            return None
        if content.id == entry.content:
            return entry
        return replace(entry, content=content.id, size=content.size)

    def _base_of(self, draft: Content) -> Content | None:
        base = self._catalog.draft_base(draft.id)
        return self._ledger.content(base) if base is not None else None

    def overwritten(self, live: LiveFile) -> bool:
        """Other bytes are about to take the place of settled ones; whether these are kept, as a version or here.

        Noted before it happens: a crash in between leaves a row too many. A disk too full for it keeps nothing.
        """
        row = live.acknowledged
        if row.content is None or not (live.overwrites or self.versions.enabled):
            return live.overwrites
        try:
            if self.versions.overwritten(row):
                return True
            if live.overwrites and self.keep_ms:  # what only grew loses nothing
                with self._catalog.transaction():
                    self.keep(row, OVERWRITTEN)
        except CacheFull:
            return True
        return live.overwrites

    # -- going --------------------------------------------------------------------------------------------

    def expire(self, *, limit: int = PIECE) -> bool:
        """Let go of some that are older than the grace; whether there may be more."""
        self.keep_ms = self._said_keep_ms()
        gone = self._catalog.trash.gone_before(self._ledger.stamps.now_ms() - self.keep_ms, limit=limit)
        try:
            self.forget(gone)
        except CacheFull:
            return False  # the next time
        return len(gone) == limit

    def make_room(self, wanted_bytes: int) -> bool:
        """Let go of the oldest that free so much once they are reclaimed; whether there were any."""
        going: list[int] = []
        for number, freed in self._catalog.trash.only_here(limit=LEAST_AT_ONCE):
            going.append(number)
            wanted_bytes -= freed
            if wanted_bytes <= 0:
                break
        self.forget(going)
        return bool(going)

    def forget(self, numbers: list[int]) -> None:
        """These cannot be restored any more; what they alone kept is reclaimed later."""
        if numbers:
            with self._catalog.transaction():
                self._catalog.trash.forget(numbers)
