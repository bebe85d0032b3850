"""Listings of directories, a page at a time."""

import pyfuse3
from pyfuse3 import FileHandleT, FileNameT, InodeT, ReaddirToken, RequestContext

from mountfs.fuse.answering import Answering, answers
from mountfs.fuse.handles import DirectoryHandle
from mountfs.model import ROOT_INO
from mountfs.transfers.bucket import Bucket
from mountfs.views.nodes import NAMES
from mountfs.views.virtual import IN_ROOT

PAGE = 256  # entries of a directory read at a time
VIEWS = (*NAMES, *IN_ROOT)  # before the jobs, where the settings want them listed


class ListingRequests(Answering):
    """What is done with an open directory."""

    @answers
    async def opendir(self, inode: InodeT, ctx: RequestContext) -> FileHandleT:
        if self.bucket is not None:
            await self._look_into(self.bucket, inode)
            self._tree.entry(inode)  # gone by what came: on ESTALE here the kernel looks the name up anew, later never
        number = self._next_handle
        self._next_handle += 1
        self._directories[number] = DirectoryHandle(inode, list(self._listed_views(inode)))
        return FileHandleT(number)

    async def _look_into(self, bucket: Bucket, inode: int) -> None:
        if inode == ROOT_INO:
            await bucket.list_root(seconds=self.waiting.seconds)
        else:
            await bucket.into(inode, listing=True)

    def _listed_views(self, inode: int) -> tuple[bytes, ...]:
        return VIEWS if self._lists_views and inode == ROOT_INO else ()

    @answers
    async def readdir(self, fh: FileHandleT, start_id: int, token: ReaddirToken) -> None:
        """Positions: 0 and 1 are `.` and `..`; each name given out has one of its own, and whoever comes back with a
        position goes on after that name, whatever was made or removed meanwhile."""
        handle = self._directories[fh]
        if start_id < 2 and not self._reply_dots(handle, start_id, token):
            return
        views = self._listed_views(handle.ino)
        if not await self._reply_views(views[max(start_id - 2, 0) :], token):
            return
        after = handle.names[start_id - 3] if start_id - 3 >= len(views) else b""
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

    async def _reply_views(self, names: tuple[bytes, ...], token: ReaddirToken) -> bool:
        """The last of the views that are listed; whether there was room for all."""
        for number, name in enumerate(names, len(VIEWS) - len(names)):
            attributes = self.virtual.find(ROOT_INO, name) or await self.views.in_root(name)
            if not pyfuse3.readdir_reply(token, FileNameT(name), attributes, number + 3):
                self.views.forget(attributes.st_ino, 1)
                return False
        return True

    @answers
    async def releasedir(self, fh: FileHandleT) -> None:
        del self._directories[fh]

    @answers
    async def fsyncdir(self, fh: FileHandleT, datasync: bool) -> None:
        await self.syncing.sync(self._directories[fh].ino)
