"""Open files: opened, read, written, closed. What a live file is, and who may touch it when, says `live.py`."""

import logging
from collections.abc import Callable
from pathlib import Path

from mountfs.contents import ContentFiles, Elsewhere, PlainReader, ReadsRanges, in_memory
from mountfs.drafts import DraftFile
from mountfs.errors import ContentLost, CorruptContent, MountfsError, RemoteUnavailable
from mountfs.model import Content, Entry, Place, Standing
from mountfs.settling import Behind
from mountfs.store.ledger import Ledger
from mountfs.store.live import LiveFile
from mountfs.store.options import Options
from mountfs.store.owing import Owing
from mountfs.store.publishing import Publishing
from mountfs.store.room import Room

log = logging.getLogger(__name__)

BUFFER_BYTES = 64 << 10
BUFFERED_PUBLISHES = 4  # published more often while open: a draft file, which costs what changed
RETRY_SECONDS = 2.0  # after a publish failed when nobody was left to hear of it
INLINE_WRITE_BYTES = 32 << 10  # pwrite of so much does not hold up the loop


class Files(Publishing):
    """Live files from the first open to the last close, and on until they are settled."""

    def __init__(
        self, ledger: Ledger, owing: Owing, contents: ContentFiles, room: Room, drafts: Path, options: Options,
        compression: Callable[[int], tuple[bool, int]],
    ) -> None:  # fmt: skip
        super().__init__(ledger, owing)
        self._contents = contents
        self._room = room
        self.drafts = drafts
        self._options = options
        self.compression = compression
        self._clock = ledger.clock
        self.elsewhere: Callable[[Content], ReadsRanges | None] = lambda content: None  # reads from the bucket
        self.due: set[int] = set()  # inos that wait to be settled
        self.opened: set[int] | None = None  # contents that were opened since somebody looked; None: nobody will

    # -- opening and closing ------------------------------------------------------------------------------

    def open(self, entry: Entry, *, write: bool, truncate: bool = False) -> LiveFile:
        """One more handle on a file. Raises what `truncate` raises."""
        live = self.live.get(entry.ino)
        if live is None:
            live = self.live[entry.ino] = LiveFile(entry, entry)
        if self.opened is not None and entry.content is not None:
            self.opened.add(entry.content)
        live.handles += 1
        live.writers += write
        if truncate:
            try:
                self.truncate(live, 0)
            except MountfsError:
                self.release(live, write=write)
                raise
        return live

    def release(self, live: LiveFile, *, write: bool) -> None:
        """One handle less. What is still dirty then (a mapping written after close) is published here."""
        live.handles -= 1
        live.writers -= write
        if live.handles and (live.writers or not write):
            return
        if live.unlinked:
            if not live.handles:
                self.discard(live)
            return
        if live.writers == 0:
            self.publish_late(live)
        if live.handles == 0 and not live.changed:
            self._drop_changes(live)
            self.live.pop(live.ino, None)

    def publish_late(self, live: LiveFile) -> None:
        """After the last close there is nobody to tell: log a failure, and try again later."""
        try:
            if live.dirty:
                self.publish(live, Standing.CLOSED)
        except MountfsError as error:
            log.error("%s: what was written after close is not published yet: %s", live.entry.name, error)
            live.due = self._clock.monotonic() + RETRY_SECONDS
            self.due.add(live.ino)
            return
        if live.changed:
            self._schedule(live)

    def _schedule(self, live: LiveFile) -> None:
        """Settle a file that was written once right away, one that is written again and again when it is quiet."""
        mine = live.draft.content_id if live.draft is not None else live.acknowledged.content
        if live.acknowledged.content is None or live.acknowledged.content != mine or not self._published_once(live):
            self._drop_changes(live)
            return
        goes_on = live.publishes > 1 or (live.draft is not None and live.draft.base_limit > 0)
        live.due = self._clock.monotonic() + (self._options.settle_seconds if goes_on else 0.0)
        self.due.add(live.ino)

    @staticmethod
    def _published_once(live: LiveFile) -> bool:
        """Whether what is here was ever acknowledged; a draft may be begun and then fail to be written."""
        return live.draft_noted if live.draft is not None else live.publishes > 0

    def hurry(self, ino: int) -> None:
        """Somebody waits for the digest of this file: do not wait for it to be quiet."""
        live = self.live.get(ino)
        if live is not None and live.due is not None and not live.retrying:
            live.due = 0.0

    def discard(self, live: LiveFile) -> None:
        """Forget a file that has no name and no handle any more."""
        self._drop_changes(live)
        live.reader = None
        self.due.discard(live.ino)
        if self.live.get(live.ino) is live:
            del self.live[live.ino]

    def _drop_changes(self, live: LiveFile) -> None:
        """Let go of buffer and draft: their content is elsewhere, or nobody wants it."""
        live.epoch += 1
        self.due.discard(live.ino)
        live.due = None
        if live.draft is not None:
            let_go = live.draft.close if live.draft_noted else live.draft.remove
            if live.behind is not None:
                live.behind.retire(let_go)
            else:
                let_go()
        live.behind = None
        live.draft, live.draft_base, live.draft_noted, live.draft_closed, live.buffer = None, None, False, False, None
        live.floor_bytes, live.publishes = 0, 0
        live.overwrites = live.kept = False
        self._room.reserve(-live.reserved_bytes)
        live.reserved_bytes = 0

    def detach(self, live: LiveFile) -> None:
        """The name goes, handles remain: keep the content readable for them."""
        live.unlinked = True
        if not live.handles:
            self.discard(live)
            return
        try:
            self.reader(live)
        except MountfsError as error:
            log.warning("%s", error)  # whoever reads on through the handle gets the error

    def take_up(self, live: LiveFile) -> None:
        """Go on with a draft that was found at start."""
        self.live[live.ino] = live
        self.due.add(live.ino)
        live.reserved_bytes = live.entry.size
        self._room.reserve_anyway(live.entry.size)

    # -- reading ------------------------------------------------------------------------------------------

    def reader(self, live: LiveFile) -> ReadsRanges | None:
        """Open the published content; None while the file has none, or is changed. On the loop's thread."""
        if live.changed or live.acknowledged.content is None:
            return None
        if live.reader is None:
            live.reader = self.open_content(live.acknowledged.content)
        return live.reader

    def open_content(self, content_id: int) -> ReadsRanges:
        """A reader of any settled or journaled content. Raises ContentLost, CorruptContent."""
        content = self._ledger.content(content_id)
        if content is None:
            raise ContentLost(f"integrity check: content {content_id} is unknown to the catalog")
        if content.place == Place.JOURNAL:
            return PlainReader(self._ledger.journal.read_content(content.segment, content.offset))
        if content.place == Place.CATALOG:
            return in_memory(content, self._ledger.catalog.content_data(content_id))
        if content.place == Place.FILE:
            return self._contents.open(content)
        if content.place == Place.BUCKET:
            reader = self.elsewhere(content)
            if reader is None:
                raise RemoteUnavailable("the content is in the bucket, and not on this machine")
            return reader
        raise ContentLost(f"integrity check: the draft of content {content_id} is not here")

    def open_base(self, content_id: int) -> ReadsRanges:
        """What a draft was begun on. Where that is in the bucket alone, all of it was overwritten at once: it is what
        power loss goes back to, and not read. Raises as `open_content`."""
        content = self._ledger.content(content_id)
        if content is not None and content.place == Place.BUCKET:
            return Elsewhere(content.size)
        return self.open_content(content_id)

    def reads_at_once(self, live: LiveFile, offset: int, length: int) -> bool:
        """Whether `read` answers without disk, decompression or another thread's lock."""
        if live.buffer is not None:
            return True
        if live.draft is not None:
            return length <= INLINE_WRITE_BYTES and live.draft.at_hand(offset, length)
        return live.reader is None or live.reader.at_hand(offset, length)

    def read(self, live: LiveFile, offset: int, length: int) -> bytes:
        """Bytes of the current state; the caller holds the lock when the file is changed."""
        if live.buffer is not None:
            return bytes(live.buffer[offset : offset + length])
        if live.draft is not None:
            return live.draft.read(offset, length)
        reader = self.reader(live)
        return reader.read(offset, length) if reader is not None else b""

    # -- writing ------------------------------------------------------------------------------------------

    def reserve(self, live: LiveFile, size: int) -> None:
        """Before the file grows to `size`: limit, quota and disk. Raises, and then nothing is taken."""
        self._room.check_size(size)
        floor_bytes = live.floor_bytes if live.changed else live.entry.size
        growth = size - live.reserved_bytes - floor_bytes
        if growth > 0:
            self._room.reserve(growth)
            live.reserved_bytes += growth

    def prepare_write(self, live: LiveFile, offset: int, length: int) -> None:
        """What a write needs from the ledger: limits, room, a draft to write into. On the loop, with the lock."""
        end = offset + length
        self.reserve(live, end)
        self._room.take_disk(length)
        if not live.changed:
            self._begin_draft(live, end)
        if live.buffer is not None and (end > BUFFER_BYTES or live.publishes >= BUFFERED_PUBLISHES):
            self._spill(live)

    def writes_at_once(self, live: LiveFile, offset: int, length: int) -> bool:
        if live.draft is None:
            return True
        return length <= INLINE_WRITE_BYTES and live.draft.at_hand(offset, length)

    def write(self, live: LiveFile, offset: int, data: bytes) -> None:
        """Put bytes into the draft that `prepare_write` made ready. Any thread, with the lock. Raises CacheFull."""
        if live.buffer is not None:
            if offset > len(live.buffer):
                live.buffer.extend(bytes(offset - len(live.buffer)))
            live.buffer[offset : offset + len(data)] = data
        else:
            assert live.draft is not None
            live.draft.write(offset, data)
        live.overwrites |= offset < live.floor_bytes
        self._changed(live, max(live.entry.size, offset + len(data)))

    def _changed(self, live: LiveFile, size: int) -> None:
        now = self._clock.now_ns()
        live.own_entry()
        live.entry.size = size
        live.entry.mtime_ns = live.entry.ctime_ns = now
        live.dirty = True
        live.epoch += 1

    def _begin_draft(self, live: LiveFile, end: int) -> None:
        reader = self.reader(live)
        size = live.entry.size
        live.reader = None
        live.floor_bytes = size
        if reader is None or (size <= BUFFER_BYTES and end <= BUFFER_BYTES):
            live.buffer = bytearray(reader.read(0, size) if reader is not None else b"")
            return
        live.draft_base = live.acknowledged.content
        live.draft = DraftFile(self.drafts, self._ledger.new_content_id(), reader)

    def _spill(self, live: LiveFile) -> None:
        """From the buffer into a draft file. What is published is its base, although nothing is read from there:
        after power loss a draft that was never synced goes back to it."""
        assert live.buffer is not None
        published = live.acknowledged.content
        try:
            base = self.open_base(published) if published is not None else None
        except (CorruptContent, ContentLost):
            published = base = None  # nothing to go back to
        draft = DraftFile(self.drafts, self._ledger.new_content_id(), base)
        try:
            draft.truncate(0)
            draft.write(0, live.buffer)
        except MountfsError:
            draft.remove()
            raise
        live.draft, live.draft_base, live.buffer = draft, published, None

    def note_new_draft(self, live: LiveFile) -> None:
        """A new file that has outgrown memory is put on record before it is closed: a crash leaves it as found."""
        if live.draft is None or live.draft_noted or live.unlinked or live.acknowledged.content is not None:
            return
        if live.acknowledged.standing == Standing.PROVISIONAL and live.dirty:
            self.publish(live, Standing.PROVISIONAL)
            live.publishes -= 1

    def behind(self, live: LiveFile) -> Behind:
        """The work behind the writers of a draft file."""
        assert live.draft is not None
        if live.behind is None:
            compress, level = self.compression(live.ino)
            live.behind = Behind(live.draft, live.lock, level=level, compress=compress)
        return live.behind

    def truncate(self, live: LiveFile, size: int) -> None:
        """Set the size; on the loop, with the lock. Raises as `prepare_write` does."""
        if size == live.entry.size and not (size == 0 and live.changed):
            self._changed(live, size)
            if not live.changed:
                self._begin_draft(live, size)
            return
        if size == 0 and live.draft is None:
            self.empty(live)
        else:  # a draft stays, for what is published of it may still have to be synced
            self._resize(live, size)
        self._changed(live, size)

    def empty(self, live: LiveFile) -> None:
        publishes, kept = live.publishes, live.kept
        live.reader = None
        self._drop_changes(live)
        live.buffer = bytearray()
        live.publishes, live.kept = publishes, kept
        live.overwrites = True

    def _resize(self, live: LiveFile, size: int) -> None:
        self.reserve(live, size)
        if not live.changed:
            self._begin_draft(live, size)
        live.overwrites |= size < live.floor_bytes
        if live.buffer is not None and size > BUFFER_BYTES:
            self._spill(live)
        if live.buffer is None:
            assert live.draft is not None
            live.draft.truncate(size)
        elif size < len(live.buffer):
            del live.buffer[size:]
        else:
            live.buffer.extend(bytes(size - len(live.buffer)))

    # -- after settling -----------------------------------------------------------------------------------

    def settled(self, live: LiveFile, entry: Entry) -> None:
        """The published content is in its final form: go on from there. With the lock."""
        reader = PlainReader(bytes(live.buffer)) if live.buffer is not None and live.handles else None
        self._drop_changes(live)
        live.acknowledged = live.entry = entry
        live.reader = reader
        if not live.handles:
            self.live.pop(live.ino, None)
