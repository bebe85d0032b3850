"""What the kernel holds open: opens of files, and listings in progress."""

from dataclasses import dataclass, field

from mountfs.model import Entry
from mountfs.store.live import LiveFile


@dataclass(slots=True)
class Handle:
    """One open of a file: which inode, and whether it may write."""

    live: LiveFile
    write: bool
    pid: int
    next_offset: int = 0
    warmed: int = 0  # frames below this number were read ahead


@dataclass(slots=True)
class DirectoryHandle:
    """One listing in progress: the names given out so far, by position, and entries read ahead."""

    ino: int
    names: list[bytes] = field(default_factory=list)
    ahead: list[Entry] = field(default_factory=list)
    after: bytes = b""  # the name that `ahead` follows
    changes: int = -1
