"""Entries as the kernel wants them."""

import stat

import pyfuse3

from mountfs.model import ROOT_INO, Entry, Kind

_TYPE = {Kind.FILE: stat.S_IFREG, Kind.DIRECTORY: stat.S_IFDIR, Kind.SYMLINK: stat.S_IFLNK}
CACHED_SECONDS = 300.0  # every change of a name or an attribute comes through the kernel, or is pushed to it
SHARED_SECONDS = 60.0  # names, with a bucket: what goes elsewhere is pushed, what comes is asked for
SHARED_ATTRIBUTES = 4.0  # refresh intervals: after so long whoever looks is noticed again, while his job is refreshed
UNSETTLED_SECONDS = 1.0  # what it costs on disk is not known yet
BLOCK_BYTES = 4096


def to_kernel(entry: Entry, *, links: int, owner: tuple[int, int], cached_seconds: float) -> pyfuse3.EntryAttributes:
    """A stat structure. `owner` is that of the root; `cached_seconds` how long the kernel may remember attributes."""
    attributes = pyfuse3.EntryAttributes()
    attributes.st_ino = pyfuse3.InodeT(entry.ino)
    attributes.st_mode = pyfuse3.ModeT(entry.mode | _TYPE[entry.kind])  # type: ignore[index]
    attributes.st_nlink = links
    if entry.ino == ROOT_INO:
        attributes.st_uid, attributes.st_gid = owner
    else:
        attributes.st_uid, attributes.st_gid = entry.uid, entry.gid
    attributes.st_size = entry.size
    attributes.st_blksize = BLOCK_BYTES
    attributes.st_blocks = (entry.stored + 511) // 512 or (1 if entry.size and entry.kind == Kind.FILE else 0)
    attributes.st_atime_ns = entry.atime_ns
    attributes.st_mtime_ns = entry.mtime_ns
    attributes.st_ctime_ns = entry.ctime_ns
    attributes.entry_timeout = max(cached_seconds, SHARED_SECONDS)
    attributes.attr_timeout = cached_seconds
    return attributes
