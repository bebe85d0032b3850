"""Requests of the kernel, answered: the rooms put together, and what belongs to none of them."""

import os

from pyfuse3 import InodeT, ModeT, RequestContext, StatvfsData

from mountfs.fuse.answering import answers
from mountfs.fuse.attributes import BLOCK_BYTES
from mountfs.fuse.content import ContentRequests
from mountfs.fuse.inodes import InodeRequests
from mountfs.fuse.listing import ListingRequests
from mountfs.fuse.names import NameRequests
from mountfs.store.store import Store


class Operations(NameRequests, InodeRequests, ContentRequests, ListingRequests):
    """All handlers, as pyfuse3 wants them: in one class."""

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
