"""Content: files opened, read, written, published, and what goes on beside their readers and writers."""

import contextlib
import logging
import os
import stat

import trio
from pyfuse3 import EntryAttributes, FileHandleT, FileInfo, FileNameT, FlagT, InodeT, ModeT, RequestContext

from mountfs.codec import FRAME_BYTES
from mountfs.contents import FramedReader, ReadsRanges
from mountfs.errors import AlreadyExists, ContentLost, CorruptContent, MountfsError, Stale
from mountfs.fuse.answering import Answering, answers
from mountfs.fuse.handles import Handle
from mountfs.model import Entry, Standing
from mountfs.store.live import LiveFile
from mountfs.store.tree import Owner
from mountfs.transfers.bucket import Bucket

log = logging.getLogger(__name__)

BROUGHT_TRIES = 4  # of a file that goes on to another content each time
FRAMES_AHEAD = 2  # decompressed ahead of a sequential reader: 1 makes it 6 % slower, 3 costs memory


class ContentRequests(Answering):
    """What is done with an open file. Buffer and draft are touched under the lock of its live state only."""

    def _handle(self, live: LiveFile, *, write: bool, pid: int) -> FileInfo:
        number = self._next_handle
        self._next_handle += 1
        self._handles[number] = Handle(live, write, pid)
        return FileInfo(fh=FileHandleT(number), keep_cache=True)

    @answers
    async def create(
        self, parent_inode: InodeT, name: FileNameT, mode: ModeT, flags: FlagT, ctx: RequestContext
    ) -> tuple[FileInfo, EntryAttributes]:
        try:
            live = self._tree.create_file(parent_inode, name, stat.S_IMODE(mode) & ~ctx.umask, Owner(ctx.uid, ctx.gid))
        except AlreadyExists:
            if flags & os.O_EXCL:
                raise
            found = self._tree.lookup(parent_inode, name)
            return await self.open(InodeT(found.ino), flags, ctx), self._attributes(found)
        self._made(parent_inode, name, ctx.pid)
        return self._handle(live, write=True, pid=ctx.pid), self._attributes(live.entry)

    @answers
    async def open(self, inode: InodeT, flags: FlagT, ctx: RequestContext) -> FileInfo:
        entry = self._tree.entry(inode)
        truncate = bool(flags & os.O_TRUNC)
        write = truncate or flags & os.O_ACCMODE != os.O_RDONLY
        if self.bucket is not None and not truncate:
            brought = await self._bring(self.bucket, entry, whole=write)
            entry = self._sound(brought, self._tree.entry(inode))
        live = self._files.live.get(entry.ino)
        if truncate and live is not None:
            await self.waiting.lock(live.lock)
            try:
                self._files.open(entry, write=write, truncate=True)
            finally:
                live.lock.release()
        else:
            live = self._files.open(entry, write=write, truncate=truncate)
        return self._handle(live, write=write, pid=ctx.pid)

    async def _open_content(self, row: Entry, pid: int) -> FileInfo:
        if self.bucket is not None:
            await self.bucket.prepare(row, whole=False)
        live = LiveFile(row, row, handles=1)
        return self._handle(live, write=False, pid=pid)

    def _sound(self, before: Entry, now: Entry) -> Entry:
        """What a content brought to light: a record had claimed another size. The kernel goes by the size that it
        knows, and fills up to that with zeros: on ESTALE it looks the name up anew. Raises Stale."""
        live = self._files.live.get(now.ino)
        if now.content == before.content and now.size != before.size and (live is None or not live.changed):
            raise Stale("the file has another size than was said")
        return now

    async def _bring(self, bucket: Bucket, entry: Entry, *, whole: bool) -> Entry:
        """What is not here comes from the bucket in `open`: that is none of the kernel's few background requests.

        A log that grows elsewhere may go on from one content to the next meanwhile: what is brought is the one of the
        entry that is returned. Raises ContentLost, CorruptContent, RemoteUnavailable.
        """
        await bucket.into(entry.parent)
        tries = 0
        while True:
            entry, tries = self._tree.entry(entry.ino), tries + 1
            live = self._files.live.get(entry.ino)
            if live is not None and live.changed:
                return entry
            try:
                await bucket.prepare(entry, whole=whole)
                return entry
            except (ContentLost, CorruptContent) as error:
                if tries == BROUGHT_TRIES or self._tree.entry(entry.ino).content == entry.content:
                    log.error("%s: %s", self.store.name_of(entry.ino), error)
                    raise

    @answers
    async def read(self, fh: FileHandleT, off: int, size: int) -> bytes:
        handle = self._handles[fh]
        live = handle.live
        try:
            data = await self._read_draft(live, off, size) if live.changed else None
            if data is not None:
                return data
            if self.bucket is not None and live.reader is None and not live.changed:
                await self.bucket.prepare(live.acknowledged, whole=False)  # it grew since it was opened
            reader = self._files.reader(live)
            if reader is None:
                return b""
            if isinstance(reader, FramedReader):
                if self.bucket is not None:
                    await self.bucket.arrive(live.acknowledged.content, reader, off, size)
                self._read_ahead(handle, reader, off, size)
            if reader.at_hand(off, size):
                return reader.read(off, size)
            return await self._read_settled(live, reader, off, size)
        except (CorruptContent, ContentLost) as error:
            sentence = self.store.report_damage(live, error)
            log.error("%s", sentence)
            if not await self._heal(live):
                raise
            healed = self._files.reader(live)
            return b"" if healed is None else await self.waiting.hop(lambda: healed.read(off, size))

    async def _read_settled(self, live: LiveFile, reader: ReadsRanges, offset: int, size: int) -> bytes:
        """Once more where a piece of it was damaged on its way here."""
        try:
            return await self.waiting.hop(lambda: reader.read(offset, size))
        except CorruptContent:
            content = live.acknowledged.content
            if self.bucket is None or not isinstance(reader, FramedReader):
                raise
            if not await self.bucket.arrive_again(content, reader, offset, size):
                raise
            return await self.waiting.hop(lambda: reader.read(offset, size))

    async def _heal(self, live: LiveFile) -> bool:
        """Take the bucket's copy of what rotted here."""
        content = live.acknowledged.content
        if self.bucket is None or content is None or live.changed or not await self.bucket.heal(content):
            return False
        live.reader = None
        return True

    async def _read_draft(self, live: LiveFile, offset: int, size: int) -> bytes | None:
        """None when the file was settled while we waited for it: there is no draft any more."""
        await self.waiting.lock(live.lock)
        if not live.changed:
            live.lock.release()
            return None
        if self._files.reads_at_once(live, offset, size):
            try:
                return self._files.read(live, offset, size)
            finally:
                live.lock.release()
        return await self.waiting.hop_locked(live.lock, lambda: self._files.read(live, offset, size))

    def _read_ahead(self, handle: Handle, reader: FramedReader, offset: int, length: int) -> None:
        """Decompress the next frames while a sequential reader is busy with these."""
        sequential, handle.next_offset = offset == handle.next_offset and offset > 0, offset + length
        if not sequential:
            handle.warmed = 0
            return
        first = (offset + length - 1) // FRAME_BYTES + 1
        for following in range(max(first, handle.warmed), min(first + FRAMES_AHEAD, len(reader.table))):
            handle.warmed = following + 1
            self._nursery.start_soon(self._warm, reader, following)

    async def _warm(self, reader: FramedReader, index: int) -> None:
        with contextlib.suppress(MountfsError):  # whoever reads it gets the error
            await trio.to_thread.run_sync(reader.warm, index, limiter=self._behind_limiter, abandon_on_cancel=True)

    @answers
    async def write(self, fh: FileHandleT, off: int, buf: bytes) -> int:
        live = self._handles[fh].live
        await self._locked_with_room(live, lambda: self._files.prepare_write(live, off, len(buf)))
        try:
            at_once = self._files.writes_at_once(live, off, len(buf))
            if at_once:
                self._files.write(live, off, buf)
        except BaseException:
            live.lock.release()
            raise
        if at_once:
            live.lock.release()
        else:
            await self.waiting.hop_locked(live.lock, lambda: self._files.write(live, off, buf))
        if live.draft is not None:
            await self._follow_draft(live)
        return len(buf)

    async def _follow_draft(self, live: LiveFile) -> None:
        if not live.draft_noted:
            await self.waiting.lock(live.lock)
            try:
                self._files.note_new_draft(live)
            finally:
                live.lock.release()
        self._work_behind(live)

    def _work_behind(self, live: LiveFile) -> None:
        """Hash and compress what a writer has finished, beside it."""
        running = self._behind.get(live.ino, 0)
        if running < 2 and live.draft is not None and self._files.behind(live).worthwhile():
            self._behind[live.ino] = running + 1
            self._nursery.start_soon(self._advance, live)

    async def _advance(self, live: LiveFile) -> None:
        behind, draft = live.behind, live.draft
        try:
            if behind is not None:
                await trio.to_thread.run_sync(
                    lambda: behind.advance_quietly(abandoned=lambda: live.unlinked or live.draft is not draft),
                    limiter=self._behind_limiter, abandon_on_cancel=True,
                )  # fmt: skip
        except Exception:  # a bug here must not take the mount away from its users: it is met again when it is settled
            log.exception("a bug in the work behind a writer")
        finally:
            self._behind[live.ino] -= 1
            if not self._behind[live.ino]:
                del self._behind[live.ino]

    @answers
    async def flush(self, fh: FileHandleT) -> None:
        """close(2): the last moment at which the writer can learn of a failure."""
        handle = self._handles[fh]
        if handle.write:
            await self._publish(handle.live, Standing.CLOSED)

    async def _publish(self, live: LiveFile, standing: Standing) -> None:
        await self.waiting.lock(live.lock)
        try:
            self._files.publish(live, standing)
        finally:
            live.lock.release()

    @answers
    async def release(self, fh: FileHandleT) -> None:
        handle = self._handles.pop(fh)
        live = handle.live
        await self.waiting.lock(live.lock)
        try:
            self._files.release(live, write=handle.write)
        finally:
            live.lock.release()
        if live.due is not None:
            self._wake()
        if self.bucket is not None:
            self.bucket.closed(live)

    @answers
    async def fsync(self, fh: FileHandleT, datasync: bool) -> None:
        live = self._handles[fh].live
        await self._publish(live, Standing.PROVISIONAL)
        await self.syncing.sync(live.entry.parent)
        if self.bucket is not None and self.bucket.manner.fsync_bucket:
            await self.bucket.confirm(live)
