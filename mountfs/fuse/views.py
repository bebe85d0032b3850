"""Views, as the kernel meets them: directories of links that are answered from the index.

Requests on an inode or a handle of a view come here (`answering.answers` sees it by the number). Questions run in a
worker thread on a connection of their own, after the index has caught up with what was acknowledged before them.
Whatever would change something is refused: a view is an answer, not a place.
"""

import os
import stat
from collections.abc import Awaitable, Callable
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
    XAttrNameT,
)

from mountfs.errors import NotFound, Stale
from mountfs.fuse.asking import Asking
from mountfs.fuse.attributes import BLOCK_BYTES
from mountfs.fuse.history import History, is_history
from mountfs.fuse.readonly import ReadOnly, refused
from mountfs.fuse.shown import Shown
from mountfs.fuse.viewnodes import VIEW, ViewNumbers
from mountfs.model import Entry, Kind
from mountfs.views.answers import Place

VIEW_SECONDS: Final = 1.0
"""How long the kernel may remember what a view said: the next question sees what was written since."""
PAGE: Final = 256
ROOT: Final = Place((), 0)
_FACT: Final = b"user.mountfs."


@dataclass(slots=True)
class _Listing:
    """One listing of a view in progress; see `ListingRequests.readdir` for its positions."""

    inode: int
    afters: list[bytes] = field(default_factory=list)
    ahead: list[Shown] = field(default_factory=list)


class Views(ReadOnly):
    """Handlers of requests on views, each of the kernel's name for it."""

    def __init__(
        self, asking: Asking, history: History, open_content: Callable[[Entry, int], Awaitable[FileInfo]], *,
        owner: tuple[int, int],
    ) -> None:  # fmt: skip
        self._asking = asking
        self._history = history
        self._open_content = open_content
        self._owner = owner
        self._numbers = ViewNumbers()
        self._listings: dict[int, _Listing] = {}
        self._next = VIEW

    # -- names --------------------------------------------------------------------------------------------

    async def in_root(self, name: bytes) -> EntryAttributes:
        """A name with a dot in the root. Raises NotFound."""
        return await self._found(ROOT, name)

    async def lookup(self, parent_inode: InodeT, name: FileNameT, ctx: RequestContext) -> EntryAttributes:
        place, _ = self._at(parent_inode)
        if name == b".":
            return await self.getattr(parent_inode, ctx)
        return await self._found(place, name)

    async def _found(self, place: Place, name: bytes) -> EntryAttributes:
        shown = await self._of(place).find(place, name)
        if shown is None:
            raise NotFound("not found")
        attributes = self._attributes(shown)
        self._numbers.told(attributes.st_ino)
        return attributes

    def forget(self, inode: int, count: int) -> None:
        self._numbers.forgotten(inode, count)

    async def getattr(self, inode: InodeT, ctx: RequestContext) -> EntryAttributes:
        return self._attributes(self._again(inode))

    async def readlink(self, inode: InodeT, ctx: RequestContext) -> FileNameT:
        target = self._again(inode).target
        assert target is not None
        return FileNameT(target)

    def _of(self, place: Place) -> Asking | History:
        return self._history if is_history(place) else self._asking

    def _again(self, inode: int) -> Shown:
        place, entry = self._at(inode)
        asked = self._of(place)
        shown = asked.link(place, entry) if entry else asked.directory(place)
        if shown is None:
            raise Stale("what it led to has gone")
        return shown

    def _at(self, inode: int) -> tuple[Place, int]:
        try:
            return self._numbers.at(inode)
        except KeyError:
            raise Stale("a view of long ago") from None

    def _attributes(self, shown: Shown) -> EntryAttributes:
        attributes = EntryAttributes()
        attributes.st_ino = InodeT(self._numbers.inode(shown.place, shown.entry))
        attributes.st_mode = ModeT(_mode(shown))
        attributes.st_nlink = 1
        row = shown.row
        attributes.st_uid, attributes.st_gid = self._owner if row is None else (row.uid, row.gid)
        attributes.st_size = _size(shown)
        attributes.st_blksize = BLOCK_BYTES
        attributes.st_blocks = 1 if row is not None and row.kind == Kind.FILE else 0
        attributes.st_atime_ns = attributes.st_mtime_ns = attributes.st_ctime_ns = shown.time_ns
        attributes.attr_timeout = VIEW_SECONDS
        attributes.entry_timeout = 0 if shown.moves else VIEW_SECONDS
        return attributes

    # -- files --------------------------------------------------------------------------------------------

    async def open(self, inode: InodeT, flags: FlagT, ctx: RequestContext) -> FileInfo:
        if flags & (os.O_ACCMODE | os.O_TRUNC):
            raise refused()
        row = self._again(inode).row
        assert row is not None, "the kernel opens regular files"
        return await self._open_content(row, ctx.pid)

    # -- listings -----------------------------------------------------------------------------------------

    async def opendir(self, inode: InodeT, ctx: RequestContext) -> FileHandleT:
        self._at(inode)
        self._next += 1
        self._listings[self._next] = _Listing(inode)
        return FileHandleT(self._next)

    async def readdir(self, fh: FileHandleT, start_id: int, token: ReaddirToken) -> None:
        """Without `.` and `..`: their inodes would be counted, and nobody misses them."""
        listing = self._listings[fh]
        place, _ = self._at(listing.inode)
        if start_id < len(listing.afters):  # begun anew, or read again from somewhere
            listing.ahead = []
            del listing.afters[start_id:]
        while True:
            if not listing.ahead:
                after = listing.afters[-1] if listing.afters else b""
                listing.ahead = await self._of(place).page(place, after=after, limit=PAGE)
                if not listing.ahead:
                    return
            for number, shown in enumerate(listing.ahead):
                attributes = self._attributes(shown)
                if not pyfuse3.readdir_reply(token, FileNameT(shown.name), attributes, len(listing.afters) + 1):
                    del listing.ahead[:number]
                    return
                self._numbers.told(attributes.st_ino)
                listing.afters.append(shown.after)
            listing.ahead = []

    async def releasedir(self, fh: FileHandleT) -> None:
        del self._listings[fh]

    async def fsyncdir(self, fh: FileHandleT, datasync: bool) -> None:
        """Nothing of it is on a disk."""

    # -- attributes ---------------------------------------------------------------------------------------

    async def _getxattr(self, inode: InodeT, name: XAttrNameT) -> bytes:
        place, entry = self._at(inode)
        if entry and is_history(place) and name.startswith(_FACT):
            return self._history.fact(place, entry, name.removeprefix(_FACT).decode("utf-8", "replace")).encode()
        return await super()._getxattr(inode, name)


def _mode(shown: Shown) -> int:
    if shown.target is not None:
        return stat.S_IFLNK | 0o777
    if shown.row is None:
        return stat.S_IFDIR | 0o555
    return shown.row.mode | (stat.S_IFREG if shown.row.kind == Kind.FILE else stat.S_IFDIR)


def _size(shown: Shown) -> int:
    if shown.row is not None and shown.row.kind == Kind.FILE:
        return shown.row.size
    return len(shown.target or b"")
