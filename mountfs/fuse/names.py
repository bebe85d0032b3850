"""Names: found, made, moved and removed."""

import errno
import stat
from collections.abc import Sequence

import pyfuse3
from pyfuse3 import EntryAttributes, FileNameT, FlagT, FUSEError, InodeT, ModeT, RequestContext

from mountfs.errors import NotFound, Unsupported
from mountfs.fuse.answering import Answering, answers
from mountfs.fuse.readonly import refused
from mountfs.fuse.viewnodes import VIEW
from mountfs.model import ROOT_INO, Entry, Standing
from mountfs.store.tree import Owner
from mountfs.transfers.bucket import Bucket


class NameRequests(Answering):
    """What happens to names: nothing here waits, but for the lock of a file whose name goes."""

    @answers
    async def lookup(self, parent_inode: InodeT, name: FileNameT, ctx: RequestContext) -> EntryAttributes:
        if name == b".":
            return self._attributes(self._tree.entry(parent_inode))
        if name == b"..":
            return self._attributes(self._tree.entry(self._tree.entry(parent_inode).parent))
        if parent_inode == ROOT_INO and name.startswith(b"."):
            return await self._in_root(name)
        found = self._tree.find(parent_inode, name)
        if self.bucket is not None:
            found = await self._looked(self.bucket, parent_inode, name, found, ctx.pid)
        if found is not None:
            return self._attributes(found)
        virtual = self.virtual.find(parent_inode, name) if self._has_views else None
        if virtual is None:
            raise FUSEError(errno.ENOENT)
        return virtual

    async def _in_root(self, name: bytes) -> EntryAttributes:
        """A name with a dot in the root. Raises NotFound."""
        if not self._has_views:
            raise NotFound("not found: the settings say that there are no views")
        return self.virtual.find(ROOT_INO, name) or await self.views.in_root(name)

    def _refuse_virtual(self, parent: int, name: bytes) -> None:
        """Nobody removes or moves a virtual file; what somebody wrote under its name he can. Raises ReadOnlyView."""
        if self._has_views and self.virtual.has(parent, name) and self._tree.find(parent, name) is None:
            raise refused()

    async def _looked(self, bucket: Bucket, parent: int, name: bytes, found: Entry | None, pid: int) -> Entry | None:
        """The entry, after the bucket was asked where that is worth waiting for."""
        if parent != ROOT_INO:
            await bucket.into(parent, missing=name if found is None else None, pid=pid)
        elif found is None:
            await bucket.look(name)
        else:
            return found
        return self._tree.find(parent, name)

    async def forget(self, inode_list: Sequence[tuple[InodeT, int]]) -> None:
        """Numbers of entries are the catalog's keys, valid whether the kernel knows them or not; views are numbered."""
        for inode, count in inode_list:
            if inode >= VIEW:
                self.views.forget(inode, count)

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
        self._made(parent_inode, name, ctx.pid)
        return self._attributes(live.entry)

    @answers
    async def mkdir(self, parent_inode: InodeT, name: FileNameT, mode: ModeT, ctx: RequestContext) -> EntryAttributes:
        mode_bits = stat.S_IMODE(mode) & ~ctx.umask
        made = self._tree.make_directory(parent_inode, name, mode_bits, Owner(ctx.uid, ctx.gid))
        self._made(parent_inode, name, ctx.pid)
        return self._attributes(made)

    @answers
    async def symlink(
        self, parent_inode: InodeT, name: FileNameT, target: FileNameT, ctx: RequestContext
    ) -> EntryAttributes:
        made = self._tree.make_symlink(parent_inode, name, target, Owner(ctx.uid, ctx.gid))
        self._made(parent_inode, name, ctx.pid)
        return self._attributes(made)

    @answers
    async def unlink(self, parent_inode: InodeT, name: FileNameT, ctx: RequestContext) -> None:
        self._refuse_virtual(parent_inode, name)
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
        if parent_inode_new >= VIEW:
            raise refused()
        self._refuse_virtual(parent_inode_old, name_old)
        exchange = bool(flags & pyfuse3.RENAME_EXCHANGE)
        self._tree.rename(
            parent_inode_old, name_old, parent_inode_new, name_new,
            replace=not flags & pyfuse3.RENAME_NOREPLACE, exchange=exchange,
        )  # fmt: skip
        self._made(parent_inode_new, name_new, ctx.pid)
        self._wake()

    @answers
    async def link(
        self, inode: InodeT, new_parent_inode: InodeT, new_name: FileNameT, ctx: RequestContext
    ) -> EntryAttributes:
        raise Unsupported(f"{_shown(new_name)}: artifacts have one name; copy instead of linking")


def _shown(name: bytes) -> str:
    return name.decode(errors="replace")
