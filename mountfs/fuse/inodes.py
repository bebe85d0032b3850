"""Inodes: stat, times, modes and sizes, extended attributes."""

import errno
import stat
from collections.abc import Sequence

import trio
from pyfuse3 import EntryAttributes, FileHandleT, FUSEError, InodeT, RequestContext, SetattrFields, XAttrNameT

from mountfs.bucket.links import refuse_without_content
from mountfs.errors import IsADirectory, RemoteUnavailable, TagNotFound, Unsupported
from mountfs.fuse.answering import Answering, answers
from mountfs.fuse.waiting import OPEN_WRITER_SECONDS
from mountfs.model import Kind, Standing
from mountfs.transfers.linking import local_link

URL_SECONDS = 3600
_NO_ATTRIBUTE = FUSEError(errno.ENODATA)


class InodeRequests(Answering):
    """What is asked of an inode, and set, whether it is open or not."""

    @answers
    async def getattr(self, inode: InodeT, ctx: RequestContext) -> EntryAttributes:
        entry = self._tree.entry(inode)
        if self.bucket is not None and entry.kind != Kind.DIRECTORY:  # those the kernel asks for before each create
            self.bucket.noticed(inode)
        return self._attributes(entry)

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
            await self._locked_with_room(live, lambda: self._files.truncate(live, size))
            live.lock.release()
            return
        if self.bucket is not None and size:
            await self.bucket.prepare(self._tree.entry(inode), whole=True)
        live = self._files.open(self._tree.entry(inode), write=True)
        try:
            await self._locked_with_room(live, lambda: self._files.truncate(live, size))
        except BaseException:
            self._files.release(live, write=True)
            raise
        try:
            self._files.publish(live, Standing.CLOSED)
        finally:
            self._files.release(live, write=True)
            live.lock.release()
            self._wake()

    async def getxattr(self, inode: InodeT, name: XAttrNameT, ctx: RequestContext) -> bytes:
        """`security.capability` is asked for before every write: the cheapest answer of all."""
        if not name.startswith(b"user."):
            raise _NO_ATTRIBUTE.with_traceback(None)
        return await self._getxattr(inode, name)

    @answers
    async def _getxattr(self, inode: int, name: bytes) -> bytes:
        if self.bucket is not None:
            await self.bucket.into(inode)
        if name == b"user.mountfs.url":
            return await self._url(inode)
        if name == b"user.mountfs.version" and (names := self.store.ledger.path(inode)):
            await self._learn_history(names[0])
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

    async def _url(self, inode: int) -> bytes:
        """A URL for an hour. What it takes longer to upload goes on, and is there the next time."""
        try:
            refuse_without_content(self.store, inode)
        except (IsADirectory, Unsupported) as error:
            raise TagNotFound(str(error)) from error
        if self.bucket is None:
            return local_link(self.store, inode).url.encode()
        with trio.move_on_after(self.waiting.seconds):
            return (await self.bucket.links.link(inode, seconds=URL_SECONDS)).url.encode()
        raise RemoteUnavailable("it is still being uploaded for a URL: ask again")

    @answers
    async def setxattr(self, inode: InodeT, name: XAttrNameT, value: bytes, ctx: RequestContext) -> None:
        self.store.attributes.set(inode, name, value)
        if name == b"user.mountfs.codec":
            self.store.raw_inos.add(inode)

    @answers
    async def listxattr(self, inode: InodeT, ctx: RequestContext) -> Sequence[XAttrNameT]:
        if self.bucket is not None:
            await self.bucket.into(inode)
        return [XAttrNameT(name) for name in self.store.attributes.list(inode)]

    @answers
    async def removexattr(self, inode: InodeT, name: XAttrNameT, ctx: RequestContext) -> None:
        self.store.attributes.remove(inode, name)
