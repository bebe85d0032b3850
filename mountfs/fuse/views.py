"""Views, as the kernel meets them: directories of links that are answered from the index, and computed files.

Requests on an inode or a handle of a view come here (`answering.answers` sees it by the number). Questions run in a
worker thread on a connection of their own, after the index has caught up with what was acknowledged before them.
Whatever would change something is refused: a view is an answer, not a place.
"""

import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import pyfuse3
from pyfuse3 import (
    EntryAttributes,
    FileHandleT,
    FileInfo,
    FileNameT,
    FlagT,
    InodeT,
    ModeT,
    ReaddirToken,
    RequestContext,
    SetattrFields,
    XAttrNameT,
)

from mountfs.errors import NotFound, ReadOnlyView, Stale, TagNotFound
from mountfs.fuse.attributes import BLOCK_BYTES
from mountfs.fuse.viewnodes import VIEW, ViewNumbers
from mountfs.fuse.waiting import Waiting
from mountfs.views.answers import Asking, Shown

VIEW_SECONDS: Final = 1.0
"""How long the kernel may remember what a view said: the next question sees what was written since."""
PAGE: Final = 256


@dataclass(slots=True)
class _Listing:
    """One listing of a view in progress; see `ListingRequests.readdir` for its positions."""

    inode: int
    names: list[bytes] = field(default_factory=list)
    ahead: list[Shown] = field(default_factory=list)


class Views:
    """Handlers of requests on views, each of the kernel's name for it."""

    def __init__(self, asking: Asking, waiting: Waiting, *, owner: tuple[int, int]) -> None:
        self._asking = asking
        self._waiting = waiting
        self._owner = owner
        self._numbers = ViewNumbers()
        self._listings: dict[int, _Listing] = {}
        self._files: dict[int, bytes] = {}
        self._next = VIEW

    # -- names --------------------------------------------------------------------------------------------

    async def in_root(self, name: bytes) -> EntryAttributes:
        """A name with a dot in the root. Raises NotFound."""
        return await self._found((), 0, name)

    async def in_job(self, job: int, name: bytes) -> EntryAttributes:
        """A computed file of a job. Raises NotFound."""
        shown = await self._asking.in_job(job, name)
        if shown is None:
            raise NotFound("not found")
        return self._told(shown)

    async def lookup(self, parent_inode: InodeT, name: FileNameT, ctx: RequestContext) -> EntryAttributes:
        names, entry, _ = self._at(parent_inode)
        if name == b".":
            return await self.getattr(parent_inode, ctx)
        return await self._found(names, entry, name)

    async def _found(self, names: tuple[bytes, ...], entry: int, name: bytes) -> EntryAttributes:
        shown = await self._asking.find(names, entry, name)
        if shown is None:
            raise NotFound("not found")
        return self._told(shown)

    def _told(self, shown: Shown) -> EntryAttributes:
        attributes = self._attributes(shown)
        self._numbers.told(attributes.st_ino)
        return attributes

    def forget(self, inode: int, count: int) -> None:
        self._numbers.forgotten(inode, count)

    async def getattr(self, inode: InodeT, ctx: RequestContext) -> EntryAttributes:
        names, entry, directory = self._at(inode)
        shown = await self._asking.again(names, entry, directory=directory)
        if shown is None:
            raise Stale("it is in this view no more")
        return self._attributes(shown)

    async def readlink(self, inode: InodeT, ctx: RequestContext) -> FileNameT:
        names, entry, _ = self._at(inode)
        shown = await self._asking.again(names, entry, directory=False)
        if shown is None or shown.target is None:
            raise Stale("it is in this view no more")
        return FileNameT(shown.target)

    def _at(self, inode: int) -> tuple[tuple[bytes, ...], int, bool]:
        try:
            return self._numbers.at(inode)
        except KeyError:
            raise Stale("a view of long ago") from None

    def _attributes(self, shown: Shown) -> EntryAttributes:
        attributes = EntryAttributes()
        directory = shown.is_directory
        kind, mode = (stat.S_IFDIR, 0o555) if directory else (stat.S_IFREG, 0o444)
        if shown.target is not None:
            kind, mode = stat.S_IFLNK, 0o777
        attributes.st_ino = InodeT(self._numbers.inode(shown.view, shown.entry, directory=directory))
        attributes.st_mode = ModeT(kind | mode)
        attributes.st_nlink = 1
        attributes.st_uid, attributes.st_gid = self._owner
        attributes.st_size = len(shown.target) if shown.target is not None else shown.size
        attributes.st_blksize = BLOCK_BYTES
        attributes.st_blocks = (shown.size + 511) // 512
        attributes.st_atime_ns = attributes.st_mtime_ns = attributes.st_ctime_ns = shown.time_ns
        attributes.entry_timeout = attributes.attr_timeout = VIEW_SECONDS
        return attributes

    # -- listings -----------------------------------------------------------------------------------------

    async def opendir(self, inode: InodeT, ctx: RequestContext) -> FileHandleT:
        self._at(inode)
        self._next += 1
        self._listings[self._next] = _Listing(inode)
        return FileHandleT(self._next)

    async def readdir(self, fh: FileHandleT, start_id: int, token: ReaddirToken) -> None:
        """Without `.` and `..`: their inodes would be counted, and nobody misses them."""
        listing = self._listings[fh]
        names, entry, _ = self._at(listing.inode)
        position = start_id
        if position < len(listing.names):  # a listing begun anew, or read again from somewhere
            listing.ahead = []
            del listing.names[position:]
        while True:
            if not listing.ahead:
                after = listing.names[-1] if listing.names else b""
                listing.ahead = await self._asking.page(names, entry, after=after, limit=PAGE)
                if not listing.ahead:
                    return
            for number, shown in enumerate(listing.ahead):
                attributes = self._attributes(shown)
                if not pyfuse3.readdir_reply(token, FileNameT(shown.name), attributes, len(listing.names) + 1):
                    del listing.ahead[:number]
                    return
                self._numbers.told(attributes.st_ino)
                listing.names.append(shown.name)
            listing.ahead = []

    async def releasedir(self, fh: FileHandleT) -> None:
        del self._listings[fh]

    async def fsyncdir(self, fh: FileHandleT, datasync: bool) -> None:
        """Nothing of it is on a disk."""

    # -- files --------------------------------------------------------------------------------------------

    async def open(self, inode: InodeT, flags: FlagT, ctx: RequestContext) -> FileInfo:
        """The content is made once, and read from there: two reads of one open never disagree."""
        names, entry, directory = self._at(inode)
        data = await self._asking.content(names, entry)
        if data is None or directory:
            raise Stale("it is in this view no more")
        self._next += 1
        self._files[self._next] = data
        return FileInfo(fh=FileHandleT(self._next), direct_io=True)

    async def read(self, fh: FileHandleT, off: int, size: int) -> bytes:
        return self._files[fh][off : off + size]

    async def flush(self, fh: FileHandleT) -> None:
        """Nothing was written."""

    async def fsync(self, fh: FileHandleT, datasync: bool) -> None:
        """Nothing was written."""

    async def release(self, fh: FileHandleT) -> None:
        del self._files[fh]

    # -- attributes, and what is refused ------------------------------------------------------------------

    async def getxattr(self, inode: InodeT, name: XAttrNameT, ctx: RequestContext) -> bytes:
        raise TagNotFound("a view has no attributes: ask what it links to")

    _getxattr = getxattr

    async def listxattr(self, inode: InodeT, ctx: RequestContext) -> Sequence[XAttrNameT]:
        return []

    async def setattr(
        self, inode: InodeT, attr: EntryAttributes, fields: SetattrFields, fh: FileHandleT | None, ctx: RequestContext
    ) -> EntryAttributes:
        raise _refused()

    async def refuse(self, *args: object) -> None:
        """Whatever would change something."""
        raise _refused()

    mknod = mkdir = symlink = link = unlink = rmdir = rename = create = write = setxattr = removexattr = refuse


def _refused() -> ReadOnlyView:
    return ReadOnlyView("views are read-only: change the artifacts that they link to")
