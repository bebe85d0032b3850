"""A file that is open, or not settled yet. A draft belongs to the inode: one live state for all who have it open.

A live file is in one of three forms: unchanged (a reader of the published content), in a buffer of up to 64 KiB,
or in a draft file. `entry` is what readers and `stat` see now, `acknowledged` what close or fsync answered for.

Locks: `lock` guards buffer, draft and sizes. Whoever holds it may be a worker thread; the event loop only ever
tries to take it. Everything that touches the ledger (`open`, `publish`, `release`, …) runs on the loop's thread.
"""

import threading
from dataclasses import dataclass, field

from mountfs.contents import ReadsRanges
from mountfs.drafts import DraftFile
from mountfs.model import Entry
from mountfs.settling import Behind


@dataclass(slots=True, eq=False)
class LiveFile:
    """The live state of one inode; see the module's docstring."""

    entry: Entry
    acknowledged: Entry
    lock: threading.Lock = field(default_factory=threading.Lock)
    handles: int = 0
    writers: int = 0
    dirty: bool = False
    overwrites: bool = False  # bytes of the settled content it was begun on are no more in it
    kept: bool = False  # that content is kept already, as a version or in the trash
    unlinked: bool = False
    buffer: bytearray | None = None
    draft: DraftFile | None = None
    draft_base: int | None = None
    draft_noted: bool = False  # the catalog has a row of this draft
    draft_closed: bool = False  # and that row says that its writer has closed it once
    reader: ReadsRanges | None = None
    behind: Behind | None = None
    epoch: int = 0  # rises with every change of content: work begun on an older one is void
    publishes: int = 0
    reserved_bytes: int = 0
    floor_bytes: int = 0  # size that is accounted for elsewhere: the settled content a draft was begun on
    due: float | None = None  # monotonic time at which it may be settled
    settling: bool = False
    retrying: bool = False  # settling failed: who waits for it does not make it come sooner

    @property
    def ino(self) -> int:
        return self.entry.ino

    def own_entry(self) -> Entry:
        """`entry`, apart from `acknowledged`, so that it may be changed."""
        if self.entry is self.acknowledged:
            self.entry = self.acknowledged.copy()
        return self.entry

    @property
    def changed(self) -> bool:
        """Whether its content here is not the published, settled one."""
        return self.buffer is not None or self.draft is not None
