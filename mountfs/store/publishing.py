"""From what is written to what is acknowledged: content first, then the entry that points at it.

What it keeps true: `acknowledged` never says more than what survives kill -9. All of it runs on the loop's thread.
"""

import abc
from collections.abc import Callable

from mountfs.drafts import DraftFile
from mountfs.model import Content, Entry, Place, Standing
from mountfs.store.ledger import Ledger
from mountfs.store.live import LiveFile
from mountfs.store.owing import Owing


class Publishing(abc.ABC):
    """All live files, by inode number, and how what is written in one becomes what is acknowledged."""

    def __init__(self, ledger: Ledger, owing: Owing) -> None:
        self.live: dict[int, LiveFile] = {}
        self.overwritten: Callable[[LiveFile], bool] = lambda live: True  # keeps what is written over, or need not
        self._ledger = ledger
        self._owing = owing
        ledger.on_replaced = self.content_replaced

    @abc.abstractmethod
    def empty(self, live: LiveFile) -> None:
        """Let go of what was written: the file goes on as an empty buffer."""

    def publish(self, live: LiveFile, standing: Standing) -> None:
        """Make the current state the acknowledged one; it survives kill -9 on return. On the loop, with the lock.

        Costs what changed since the last time. On any error the draft stays dirty and the published content as it was.
        """
        if live.unlinked:
            return
        if not live.dirty and not self._closes_draft(live, standing):
            if live.acknowledged.standing == Standing.PROVISIONAL and standing == Standing.CLOSED:
                self.put_attributes(live, standing=standing)
            return
        if live.draft is not None and not live.entry.size:
            self.empty(live)  # an empty file has no content that a draft could be
        if not live.kept:
            live.kept = self.overwritten(live)
        entry = live.entry.copy()
        entry.standing = standing
        self._owing.published(entry)
        if live.draft is not None:
            self._publish_draft(live, entry, live.draft)
        else:
            assert live.buffer is not None
            entry.content = self._ledger.new_content_id() if live.buffer else None
            self._ledger.put(entry, bytes(live.buffer) if live.buffer else None)
        live.publishes += 1
        self._acknowledge(live, entry)

    @staticmethod
    def _closes_draft(live: LiveFile, standing: Standing) -> bool:
        """Whether the row of a draft still says that nobody has closed it."""
        return live.draft_noted and not live.draft_closed and standing == Standing.CLOSED

    def _publish_draft(self, live: LiveFile, entry: Entry, draft: DraftFile) -> None:
        """The mark in the draft's log first, then the entry; the row of the draft only where it changes."""
        entry.content = draft.content_id
        closed = entry.standing == Standing.CLOSED or live.draft_base is not None
        if live.draft_noted and (live.draft_closed or not closed):
            draft.publish()
            self._ledger.put(entry)
            return
        draft.publish()
        catalog = self._ledger.catalog
        with self._ledger.transaction():
            if not live.draft_noted:
                catalog.insert_contents([Content(draft.content_id, Place.DRAFT, None, draft.size, draft.size)])
            catalog.put_draft(draft.content_id, base=live.draft_base, closed=closed)
            self._ledger.put_now(entry)
        live.draft_noted, live.draft_closed = True, closed

    def _acknowledge(self, live: LiveFile, entry: Entry) -> None:
        entry.stored = max(1, entry.size)
        live.acknowledged = live.entry = entry
        live.dirty = False

    def put_attributes(self, live: LiveFile, **values: object) -> None:
        """Change mode, owner, times… of an open file: now for everybody, and durably for what is acknowledged."""
        shared = live.entry is live.acknowledged
        acknowledged = live.acknowledged.copy()
        for target in (acknowledged,) if shared else (acknowledged, live.entry):
            for name, value in values.items():
                setattr(target, name, value)
        if not live.unlinked:
            self._ledger.put(acknowledged)
        live.acknowledged = acknowledged
        if shared:
            live.entry = acknowledged

    def restamped(self, ino: int) -> None:
        """Stamps and marks of an entry changed in the catalog: the values in memory follow."""
        live = self.live.get(ino)
        row = self._ledger.catalog.entry(ino) if live is not None else None
        if live is None or row is None:
            return
        shared = live.entry is live.acknowledged
        live.acknowledged = live.acknowledged.copy()
        for entry in (live.acknowledged,) if shared else (live.acknowledged, live.entry):
            entry.stamp, entry.mode_stamp, entry.owner_stamp = row.stamp, row.mode_stamp, row.owner_stamp
            entry.mtime_stamp, entry.owed = row.mtime_stamp, row.owed
        if shared:
            live.entry = live.acknowledged

    def reread(self, ino: int) -> None:
        """Attributes of an entry changed in the catalog: an open file shows them."""
        live = self.live.get(ino)
        row = self._ledger.catalog.entry(ino) if live is not None else None
        if live is None or row is None:
            return
        self.restamped(ino)
        for entry in {id(live.acknowledged): live.acknowledged, id(live.entry): live.entry}.values():
            entry.mode, entry.uid, entry.gid = row.mode, row.uid, row.gid
            if not live.dirty:
                entry.mtime_ns, entry.ctime_ns = row.mtime_ns, row.ctime_ns
            if not live.changed:
                entry.size = row.size

    def grown(self, ino: int) -> None:
        """The catalog has a content that goes on where this one ended: who reads it open goes on in that."""
        live = self.live.get(ino)
        row = self._ledger.catalog.entry(ino) if live is not None else None
        if live is not None and row is not None and not live.changed:
            live.reader = None
            live.acknowledged = live.entry = row

    def said_anew(self, entry: Entry) -> None:
        """What was found after a crash is not what was told under its old stamp."""
        standing = entry.standing
        self._owing.published(entry)
        entry.standing = standing

    def content_replaced(self, ino: int, old: int, new: int) -> None:
        """An equal content was there already: the id in memory follows, whatever else is going on with the file."""
        live = self.live.get(ino)
        if live is None:
            return
        if live.draft_base == old:
            live.draft_base = new
        if live.acknowledged.content == old:
            shared = live.entry is live.acknowledged
            live.acknowledged = live.acknowledged.copy()
            live.acknowledged.content = new
            if shared:
                live.entry = live.acknowledged
        if live.entry.content == old:
            live.own_entry().content = new
