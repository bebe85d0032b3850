"""Requests of the kernel, answered.

Every handler is wrapped once (`answers`): what mountfs raises becomes its errno, anything else is a bug: EIO with
its traceback in the log, and the daemon lives on (an exception that pyfuse3 does not know would end it).
"""

import errno
import functools
import logging
import os
import stat
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar  # Any: what pyfuse3's own signatures say of coroutines

import pyfuse3
import trio
from pyfuse3 import (
    EntryAttributes,
    FileHandleT,
    FileInfo,
    FileNameT,
    FlagT,
    FUSEError,
    InodeT,
    ModeT,
    ReaddirToken,
    RequestContext,
    SetattrFields,
    StatvfsData,
    XAttrNameT,
)

from mountfs.codec import FRAME_BYTES
from mountfs.contents import FramedReader
from mountfs.errors import (
    AlreadyExists,
    ArtifactTooLarge,
    CacheFull,
    ContentLost,
    CorruptContent,
    MountfsError,
    Protected,
    QuotaExceeded,
    TagTooLarge,
    Unsupported,
)
from mountfs.fuse.attributes import BLOCK_BYTES, to_kernel
from mountfs.fuse.refusals import Refusals
from mountfs.fuse.syncing import Syncing
from mountfs.fuse.waiting import Waiting
from mountfs.model import ROOT_INO, Entry, Kind, Standing
from mountfs.store.files import LiveFile
from mountfs.store.store import Store
from mountfs.store.tree import Owner

log = logging.getLogger(__name__)
P = ParamSpec("P")
R = TypeVar("R")

OPEN_WRITER_SECONDS = 1.0  # release follows close in no time; a file held open has no digest yet
PAGE = 256  # entries of a directory read at a time
_REFUSED = (Protected, Unsupported, ArtifactTooLarge, TagTooLarge, QuotaExceeded, CacheFull)
_NO_ATTRIBUTE = FUSEError(errno.ENODATA)


def answers(handler: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """Translate what a handler raises; see the module's docstring."""

    @functools.wraps(handler)
    async def answer(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await handler(*args, **kwargs)
        except FUSEError:
            raise
        except MountfsError as error:
            args[0].refused(handler.__name__, args, error)  # type: ignore[attr-defined]
            raise FUSEError(error.errno) from error
        except OSError as error:
            log.exception("%s failed", handler.__name__)
            raise FUSEError(error.errno or errno.EIO) from error
        except Exception as error:
            log.exception("a bug in %s", handler.__name__)
            raise FUSEError(errno.EIO) from error

    return answer


@dataclass(slots=True)
class Handle:
    """One open of a file: which inode, and whether it may write."""

    live: LiveFile
    write: bool
    pid: int
    next_offset: int = 0
    warming: bool = False


@dataclass(slots=True)
class DirectoryHandle:
    """One listing in progress: the names given out so far, by position, and entries read ahead."""

    ino: int
    names: list[bytes] = field(default_factory=list)
    ahead: list[Entry] = field(default_factory=list)
    after: bytes = b""  # the name that `ahead` follows
    changes: int = -1


class Operations(pyfuse3.Operations):
    """The handlers. All run on one loop; what waits goes through `Waiting`."""

    def __init__(
        self, store: Store, *, handler_seconds: float, nursery: trio.Nursery, wake: Callable[[], None]
    ) -> None:
        super().__init__()
        self.store = store
        self.waiting = Waiting(handler_seconds)
        self.syncing = Syncing(store, self.waiting)
        self.refusals = Refusals(store)
        self.requests = 0
        self._tree, self._files = store.tree, store.files
        self._nursery = nursery
        self._wake = wake
        self._handles: dict[int, Handle] = {}
        self._directories: dict[int, DirectoryHandle] = {}
        self._next_handle = 1
        self._behind: dict[int, int] = {}
        self._behind_limiter = trio.CapacityLimiter(2)

    def refused(self, request: str, args: tuple[object, ...], error: MountfsError) -> None:
        """Remember what was refused by a rule, and log what is broken."""
        if isinstance(error, CorruptContent | ContentLost):
            return
        if isinstance(error, _REFUSED):
            context = next((a for a in reversed(args) if isinstance(a, RequestContext)), None)
            self.refusals.add(context.pid if context else 0, request, error)
        elif error.errno == errno.EIO:
            log.error("%s: %s", request, error)

    def _attributes(self, entry: Entry) -> EntryAttributes:
        live = self._files.live.get(entry.ino)
        settled = live is None and (entry.content is None or not self.store.ledger.is_waiting(entry.content))
        return to_kernel(
            entry,
            links=0 if live is not None and live.unlinked else 1,
            owner=self.store.options.owner,
            settled=settled,
        )

    # -- names --------------------------------------------------------------------------------------------

    @answers
    async def lookup(self, parent_inode: InodeT, name: FileNameT, ctx: RequestContext) -> EntryAttributes:
        if name == b".":
            return self._attributes(self._tree.entry(parent_inode))
        if name == b"..":
            return self._attributes(self._tree.entry(self._tree.entry(parent_inode).parent))
        found = self._tree.find(parent_inode, name)
        if found is None:
            raise FUSEError(errno.ENOENT)
        return self._attributes(found)

    async def forget(self, inode_list: Sequence[tuple[InodeT, int]]) -> None:
        """Nothing to do: inode numbers are the catalog's keys, valid whether the kernel knows them or not."""

    @answers
    async def getattr(self, inode: InodeT, ctx: RequestContext) -> EntryAttributes:
        return self._attributes(self._tree.entry(inode))

    @answers
    async def setattr(
        self,
        inode: InodeT,
        attr: EntryAttributes,
        fields: SetattrFields,
        fh: FileHandleT | None,
        ctx: RequestContext,
    ) -> EntryAttributes:
        if fields.update_size:
            await self._resize(inode, attr.st_size, fh)
        mode = stat.S_IMODE(attr.st_mode) if fields.update_mode else None
        uid = attr.st_uid if fields.update_uid else None
        gid = attr.st_gid if fields.update_gid else None
        atime_ns = attr.st_atime_ns if fields.update_atime else None
        mtime_ns = attr.st_mtime_ns if fields.update_mtime and not fields.update_size else None
        if (mode, uid, gid, atime_ns, mtime_ns) != (None,) * 5:
            self._tree.set_attributes(inode, mode=mode, uid=uid, gid=gid, atime_ns=atime_ns, mtime_ns=mtime_ns)
        return self._attributes(self._tree.entry(inode))

    async def _resize(self, inode: int, size: int, fh: FileHandleT | None) -> None:
        """Truncate: through a handle it is published when that is flushed, by path at once."""
        if fh is not None:
            live = self._handles[fh].live
            await self.waiting.lock(live.lock)
            try:
                self._files.truncate(live, size)
            finally:
                live.lock.release()
            return
        live = self._files.open(self._tree.entry(inode), write=True)
        await self.waiting.lock(live.lock)
        try:
            self._files.truncate(live, size)
            self._files.publish(live, Standing.CLOSED)
        finally:
            self._files.release(live, write=True)
            live.lock.release()
            self._wake()

    @answers
    async def readlink(self, inode: InodeT, ctx: RequestContext) -> FileNameT:
        target = self._tree.entry(inode).target
        if target is None:
            raise FUSEError(errno.EINVAL)
        return FileNameT(target)

    @answers
    async def mknod(
        self, parent_inode: InodeT, name: FileNameT, mode: ModeT, rdev: int, ctx: RequestContext
    ) -> EntryAttributes:
        if not stat.S_ISREG(mode):
            raise Unsupported(f"{_shown(name)}: devices, sockets and FIFOs are no artifacts")
        live = self._tree.create_file(parent_inode, name, stat.S_IMODE(mode), Owner(ctx.uid, ctx.gid))
        self._files.publish(live, Standing.CLOSED)
        self._files.release(live, write=True)
        return self._attributes(live.entry)

    @answers
    async def mkdir(self, parent_inode: InodeT, name: FileNameT, mode: ModeT, ctx: RequestContext) -> EntryAttributes:
        mode_bits = stat.S_IMODE(mode) & ~ctx.umask
        return self._attributes(self._tree.make_directory(parent_inode, name, mode_bits, Owner(ctx.uid, ctx.gid)))

    @answers
    async def symlink(
        self, parent_inode: InodeT, name: FileNameT, target: FileNameT, ctx: RequestContext
    ) -> EntryAttributes:
        return self._attributes(self._tree.make_symlink(parent_inode, name, target, Owner(ctx.uid, ctx.gid)))

    @answers
    async def unlink(self, parent_inode: InodeT, name: FileNameT, ctx: RequestContext) -> None:
        found = self._tree.lookup(parent_inode, name)
        live = self._files.live.get(found.ino)
        if live is None:
            self._tree.unlink(parent_inode, name)
        else:
            await self.waiting.lock(live.lock)
            try:
                self._tree.unlink(parent_inode, name)
            finally:
                live.lock.release()
        self._wake()

    @answers
    async def rmdir(self, parent_inode: InodeT, name: FileNameT, ctx: RequestContext) -> None:
        self._tree.remove_directory(parent_inode, name)

    @answers
    async def rename(
        self, parent_inode_old: InodeT, name_old: FileNameT, parent_inode_new: InodeT, name_new: FileNameT,
        flags: FlagT, ctx: RequestContext,
    ) -> None:  # fmt: skip
        exchange = bool(flags & pyfuse3.RENAME_EXCHANGE)
        self._tree.rename(
            parent_inode_old, name_old, parent_inode_new, name_new,
            replace=not flags & pyfuse3.RENAME_NOREPLACE, exchange=exchange,
        )  # fmt: skip
        self._wake()

    @answers
    async def link(
        self, inode: InodeT, new_parent_inode: InodeT, new_name: FileNameT, ctx: RequestContext
    ) -> EntryAttributes:
        raise Unsupported(f"{_shown(new_name)}: artifacts have one name; copy instead of linking")

    # -- files --------------------------------------------------------------------------------------------

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
        return self._handle(live, write=True, pid=ctx.pid), self._attributes(live.entry)

    @answers
    async def open(self, inode: InodeT, flags: FlagT, ctx: RequestContext) -> FileInfo:
        entry = self._tree.entry(inode)
        truncate = bool(flags & os.O_TRUNC)
        write = truncate or flags & os.O_ACCMODE != os.O_RDONLY
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

    @answers
    async def read(self, fh: FileHandleT, off: int, size: int) -> bytes:
        handle = self._handles[fh]
        live = handle.live
        try:
            if live.changed:
                return await self._read_draft(live, off, size)
            reader = self._files.reader(live)
            if reader is None:
                return b""
            data = reader.read(off, size) if reader.at_hand(off, size) else None
            if data is None:
                data = await self.waiting.hop(lambda: reader.read(off, size))
            if isinstance(reader, FramedReader):
                self._read_ahead(handle, reader, off, len(data))
            return data
        except (CorruptContent, ContentLost) as error:
            sentence = self.store.report_damage(live, error)
            log.error("%s", sentence)
            raise

    async def _read_draft(self, live: LiveFile, offset: int, size: int) -> bytes:
        await self.waiting.lock(live.lock)
        if self._files.reads_at_once(live, offset, size):
            try:
                return self._files.read(live, offset, size)
            finally:
                live.lock.release()
        return await self.waiting.hop_locked(live.lock, lambda: self._files.read(live, offset, size))

    def _read_ahead(self, handle: Handle, reader: FramedReader, offset: int, length: int) -> None:
        """Decompress the next frame while a sequential reader is busy with this one."""
        sequential, handle.next_offset = offset == handle.next_offset and offset > 0, offset + length
        following = (offset + length) // FRAME_BYTES + 1
        if not sequential or handle.warming or following >= len(reader.table):
            return
        if not reader.at_hand(following * FRAME_BYTES, 1):
            handle.warming = True
            self._nursery.start_soon(self._warm, handle, reader, following)

    async def _warm(self, handle: Handle, reader: FramedReader, index: int) -> None:
        try:
            await trio.to_thread.run_sync(reader.warm, index, abandon_on_cancel=True)
        except MountfsError:
            pass  # whoever reads it gets the error
        finally:
            handle.warming = False

    @answers
    async def write(self, fh: FileHandleT, off: int, buf: bytes) -> int:
        live = self._handles[fh].live
        await self.waiting.lock(live.lock)
        try:
            self._files.prepare_write(live, off, len(buf))
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

    @answers
    async def fsync(self, fh: FileHandleT, datasync: bool) -> None:
        live = self._handles[fh].live
        await self._publish(live, Standing.PROVISIONAL)
        await self.syncing.sync(live.entry.parent)

    # -- directories --------------------------------------------------------------------------------------

    @answers
    async def opendir(self, inode: InodeT, ctx: RequestContext) -> FileHandleT:
        number = self._next_handle
        self._next_handle += 1
        self._directories[number] = DirectoryHandle(inode)
        return FileHandleT(number)

    @answers
    async def readdir(self, fh: FileHandleT, start_id: int, token: ReaddirToken) -> None:
        """Positions: 0 and 1 are `.` and `..`; each name given out has one of its own, and whoever comes back with a
        position goes on after that name, whatever was made or removed meanwhile."""
        handle = self._directories[fh]
        if start_id < 2 and not self._reply_dots(handle, start_id, token):
            return
        after = handle.names[start_id - 3] if start_id > 2 else b""
        if handle.after != after or handle.changes != self.store.ledger.changes:
            handle.ahead = []
        while True:
            if not handle.ahead:
                handle.ahead = self._tree.page(handle.ino, after=after, limit=PAGE)
                handle.changes = self.store.ledger.changes
                if not handle.ahead:
                    return
            for number, entry in enumerate(handle.ahead):
                position = len(handle.names) + 3
                if not pyfuse3.readdir_reply(token, FileNameT(entry.name), self._attributes(entry), position):
                    del handle.ahead[:number]
                    return
                handle.names.append(entry.name)
                handle.after = after = entry.name
            handle.ahead = []

    def _reply_dots(self, handle: DirectoryHandle, start_id: int, token: ReaddirToken) -> bool:
        here = self._tree.entry(handle.ino)
        for position, name in list(enumerate((b".", b"..")))[start_id:]:
            entry = here if position == 0 else self._tree.entry(here.parent)
            if not pyfuse3.readdir_reply(token, FileNameT(name), self._attributes(entry), position + 1):
                return False
        return True

    @answers
    async def releasedir(self, fh: FileHandleT) -> None:
        del self._directories[fh]

    @answers
    async def fsyncdir(self, fh: FileHandleT, datasync: bool) -> None:
        await self.syncing.sync(self._directories[fh].ino)

    # -- attributes ---------------------------------------------------------------------------------------

    async def getxattr(self, inode: InodeT, name: XAttrNameT, ctx: RequestContext) -> bytes:
        """`security.capability` is asked for before every write: the cheapest answer of all."""
        if not name.startswith(b"user."):
            raise _NO_ATTRIBUTE.with_traceback(None)
        return await self._getxattr(inode, name)

    @answers
    async def _getxattr(self, inode: int, name: bytes) -> bytes:
        attributes = self.store.attributes
        began = trio.current_time()
        while attributes.needs_settling(inode, name):
            live = self._files.live.get(InodeT(inode))
            patience = OPEN_WRITER_SECONDS if live is not None and live.writers else self.waiting.seconds
            if trio.current_time() - began > patience:
                break
            self.store.files.hurry(inode)
            self._wake()
            await trio.sleep(0.005)
        return attributes.get(inode, name)

    @answers
    async def setxattr(self, inode: InodeT, name: XAttrNameT, value: bytes, ctx: RequestContext) -> None:
        self.store.attributes.set(inode, name, value)
        if name == b"user.mountfs.codec":
            self.store.raw_inos.add(inode)

    @answers
    async def listxattr(self, inode: InodeT, ctx: RequestContext) -> Sequence[XAttrNameT]:
        return [XAttrNameT(name) for name in self.store.attributes.list(inode)]

    @answers
    async def removexattr(self, inode: InodeT, name: XAttrNameT, ctx: RequestContext) -> None:
        self.store.attributes.remove(inode, name)

    @answers
    async def statfs(self, ctx: RequestContext) -> StatvfsData:
        return space(self.store)

    @answers
    async def access(self, inode: InodeT, mode: ModeT, ctx: RequestContext) -> bool:
        return True  # default_permissions: the kernel has decided already


def space(store: Store) -> StatvfsData:
    """What `df` shows: the quota as the size where there is one, else the disk of the state directory."""
    disk = os.statvfs(store.state.path)
    answer = StatvfsData()
    answer.f_bsize = answer.f_frsize = BLOCK_BYTES
    total = disk.f_blocks * disk.f_frsize // BLOCK_BYTES
    free = disk.f_bavail * disk.f_frsize // BLOCK_BYTES
    if store.room.quota_bytes:
        total = store.room.quota_bytes // BLOCK_BYTES
        free = min(free, max(0, store.room.quota_bytes - store.room.used_bytes()) // BLOCK_BYTES)
    answer.f_blocks, answer.f_bfree, answer.f_bavail = total, free, free
    answer.f_files = answer.f_ffree = answer.f_favail = 1 << 32
    answer.f_namemax = 255
    return answer


def _shown(name: bytes) -> str:
    return name.decode(errors="replace")


__all__ = ["ROOT_INO", "Kind", "Operations", "answers", "space"]
