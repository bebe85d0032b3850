"""What was removed or overwritten, kept for the grace: `mountfs restore` brings it back.

A row holds the facts, and keeps the content on this machine, or in the bucket, from going. Only what was stored once
is kept: a file that went before it was settled leaves nothing.
"""

import json

from mountfs.model import Entry, Kind
from mountfs.store.ledger import Ledger


class Trash:
    """Takes what goes; inside the transaction in which it goes."""

    def __init__(self, ledger: Ledger, *, days: int) -> None:
        self._ledger = ledger
        self._catalog = ledger.catalog
        self._days = days
        self.active = False

    def take(self, entry: Entry, reason: str) -> None:
        """Keep the facts of a file or symlink that is about to go."""
        if not self.active or not self._days or entry.kind == Kind.DIRECTORY:
            return
        content = self._ledger.content(entry.content) if entry.content is not None else None
        if content is not None and content.digest is None:
            return
        names = self._ledger.path(entry.ino)
        if not names:
            return
        registers = {
            name: raw.decode("utf-8", "surrogateescape")
            for name, raw in self._catalog.registers(entry.ino).items()
            if not name.startswith("@")
        }
        self._catalog.bucket.add_trash(
            names[0], b"/".join(names[1:]), entry, json.dumps(registers),
            gone_ms=self._ledger.stamps.now_ms(), reason=reason,
        )  # fmt: skip
