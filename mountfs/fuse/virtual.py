"""Virtual files, as the kernel meets them: regular files that are made when somebody looks at them, and never listed.

Readers go by different things (tried with cat, cp, jq, json.load, tail, dd, tar, rsync, git): some read until the end,
others as much as stat(2) said, and to the kernel's cache a size of 0 is an empty file. So a document is made when its
attributes are asked for, not when its name is, for the kernel looks up one name of a directory at a time; whoever opens
it gets the same for as long as it is kept; and reads go past the cache, to the end of what was opened.
"""

import os
import stat
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

import trio
from pyfuse3 import EntryAttributes, FileHandleT, FileInfo, FlagT, InodeT, ModeT, RequestContext

from mountfs import namespace
from mountfs.errors import DeadlineExceeded, NotADirectory, NotFound, TooManyOpen
from mountfs.fuse.attributes import BLOCK_BYTES
from mountfs.fuse.readonly import ReadOnly, refused
from mountfs.fuse.viewnodes import kind_and_directory, virtual_number
from mountfs.fuse.waiting import OPEN_WRITER_SECONDS, Waiting
from mountfs.model import ROOT_INO
from mountfs.store.store import Store
from mountfs.views.virtual import IN_JOB, IN_ROOT, File, Said, Telling

KEPT_SECONDS: Final = 1.0
"""So long it is asked for again what was said before, while nothing has changed."""
QUICK_SECONDS: Final = 0.1
"""What took longer to make is kept for as long as it took, whatever changes: `stat` and `open` ask for it each."""
KEPT_BYTES: Final = 16 << 20
KEPT: Final = 256
OPEN_BYTES: Final = 64 << 20
OPEN: Final = 1000
"""Of what somebody reads, and of the readers."""
MOST_WAITING: Final = 48
"""Who wait for documents: half of the requests that are served at once. Others are to be served meanwhile."""
MOST_HURRIED: Final = 100
"""Digests that are waited for; somebody who wrote more a moment ago gets what is known."""
POLL_SECONDS: Final = 0.01
JOB_SHARE: Final = 0.8
"""Of the deadline, for going through a job: what was found by then is said."""
_DIGEST: Final = b"user.mountfs.sha256"

Maker = Callable[[int], Awaitable[bytes]]
"""From the directory of which a virtual file tells to what it says. One more kind of file is a name and a number in
`views.virtual` and one of these."""


@dataclass(frozen=True, slots=True)
class Document:
    """`data` was first said at `made_ns`; when last, the store was at `changes`, and to make it took `took` seconds."""

    data: bytes
    made_ns: int
    changes: int
    said_at: float
    took: float


class VirtualFiles(ReadOnly):
    """Handlers of requests on virtual files. `catch_up` brings the index up to now, `states` are those of jobs on their
    way to the bucket, `wake` gets waiting contents hashed."""

    def __init__(
        self, store: Store, waiting: Waiting, *, catch_up: Callable[[], Awaitable[None]],
        states: Callable[[], Mapping[str, str]], wake: Callable[[], None],
    ) -> None:  # fmt: skip
        self._store = store
        self._waiting = waiting
        self._catch_up = catch_up
        self._states = states
        self._wake = wake
        self._makers: dict[int, Maker] = {File.STATS: self._stats, File.METADATA: self._metadata}
        self._making = trio.Lock()
        self._one = trio.CapacityLimiter(1)  # one connection: who took too long to be waited for has it to the end
        self._telling: Telling | None = None
        self._kept: dict[int, Document] = {}  # by inode, the one that was made last at the end
        self._open: dict[int, tuple[int, Document]] = {}  # by handle: the inode, and what its reader is given
        self._next = 1

    # -- names --------------------------------------------------------------------------------------------

    def find(self, directory: int, name: bytes) -> EntryAttributes | None:
        """The virtual file of that name; its size comes when it is asked for."""
        kind = self._kind(directory, name)
        if kind is None:
            return None
        inode = virtual_number(kind, directory)
        return self._attributes(inode, self._kept.get(inode))

    def has(self, directory: int, name: bytes) -> bool:
        return self._kind(directory, name) is not None

    def _kind(self, directory: int, name: bytes) -> File | None:
        if directory == ROOT_INO:
            return IN_ROOT.get(name)
        if name not in IN_JOB:
            return None
        entry = self._store.ledger.entry(directory)
        return IN_JOB[name] if entry is not None and entry.parent == ROOT_INO else None

    # -- requests -----------------------------------------------------------------------------------------

    async def getattr(self, inode: InodeT, ctx: RequestContext) -> EntryAttributes:
        """Of what somebody has open, where somebody has: its size is how far he reads."""
        opened = next((made for ino, made in reversed(self._open.values()) if ino == inode), None)
        return self._attributes(inode, opened or await self._document(inode))

    async def open(self, inode: InodeT, flags: FlagT, ctx: RequestContext) -> FileInfo:
        if flags & (os.O_ACCMODE | os.O_TRUNC) != os.O_RDONLY:
            raise refused()
        made = await self._document(inode)
        self._refuse_too_many(made)
        handle = virtual_number(File.STATS, self._next)  # only looks like one, so that requests on it come here
        self._next += 1
        self._open[handle] = (inode, made)
        return FileInfo(fh=FileHandleT(handle), direct_io=True, keep_cache=False)

    def _refuse_too_many(self, made: Document) -> None:
        """Raises TooManyOpen."""
        opened = {id(other): len(other.data) for _, other in self._open.values()} | {id(made): len(made.data)}
        if len(self._open) >= OPEN or sum(opened.values()) > OPEN_BYTES:
            raise TooManyOpen(f"{len(self._open)} readers of virtual files have them open: close some")

    async def read(self, fh: FileHandleT, off: int, size: int) -> bytes:
        return self._open[fh][1].data[off : off + size]

    async def release(self, fh: FileHandleT) -> None:
        del self._open[fh]

    async def flush(self, fh: FileHandleT) -> None:
        """Nothing of it was written."""

    async def fsync(self, fh: FileHandleT, datasync: bool) -> None:
        """Nothing of it is on a disk."""

    def _attributes(self, inode: int, made: Document | None) -> EntryAttributes:
        attributes = EntryAttributes()
        attributes.st_ino = InodeT(inode)
        attributes.st_mode = ModeT(stat.S_IFREG | 0o444)
        attributes.st_nlink = 1
        attributes.st_uid, attributes.st_gid = self._store.options.owner
        attributes.st_size = len(made.data) if made else 0
        attributes.st_blksize = BLOCK_BYTES
        attributes.st_blocks = (attributes.st_size + 511) // 512
        time_ns = made.made_ns if made else 0
        attributes.st_atime_ns = attributes.st_mtime_ns = attributes.st_ctime_ns = time_ns
        attributes.attr_timeout = attributes.entry_timeout = 0
        return attributes

    # -- documents ----------------------------------------------------------------------------------------

    async def _document(self, inode: int) -> Document:
        """What it says now, or said a moment ago. Raises DeadlineExceeded, Stale."""
        made = self._fresh(inode)
        if made is not None:
            return made
        if self._making.statistics().tasks_waiting >= MOST_WAITING:
            raise DeadlineExceeded("too many ask for virtual files at once: ask again")
        with trio.move_on_after(self._waiting.seconds):
            async with self._making:
                made = self._fresh(inode)  # another may have asked for the same
                return made if made is not None else await self._make(inode)
        raise DeadlineExceeded(f"no answer within {self._waiting.seconds:g} seconds")

    def _fresh(self, inode: int) -> Document | None:
        made = self._kept.get(inode)
        if made is None:
            return None
        age = trio.current_time() - made.said_at
        is_good = made.changes == self._changes() or QUICK_SECONDS < made.took > age
        return made if is_good and age < KEPT_SECONDS else None

    def _changes(self) -> int:
        self._store.ledger.drain()
        return self._store.catalog.changes

    async def _make(self, inode: int) -> Document:
        """One that says the same as before keeps its time, for those who go by that."""
        kind, directory = kind_and_directory(inode)
        changes, began = self._changes(), trio.current_time()
        data, made_ns = await self._makers[kind](directory), time.time_ns()
        before = self._kept.pop(inode, None)
        if before is not None and before.data == data:
            data, made_ns = before.data, before.made_ns
        now = trio.current_time()
        made = self._kept[inode] = Document(data, made_ns, changes, now, now - began)
        while len(self._kept) > KEPT or (len(self._kept) > 1 and self._kept_bytes() > KEPT_BYTES):
            del self._kept[next(iter(self._kept))]
        return made

    def _kept_bytes(self) -> int:
        return sum(len(kept.data) for kept in self._kept.values())

    async def _stats(self, directory: int) -> bytes:
        await self._catch_up()
        quota_bytes, state = self._store.room.quota_bytes, self._store.state.path
        said = await self._tell(lambda telling: telling.stats(quota_bytes=quota_bytes, state=state))
        return said.document

    async def _metadata(self, job: int) -> bytes:
        """Gone through twice where digests were being computed, and that is done in time."""
        began = time.monotonic()
        until = began + JOB_SHARE * self._waiting.seconds
        said = await self._job(job, until)
        has_time = 2 * time.monotonic() - began + OPEN_WRITER_SECONDS < until
        if has_time and 0 < len(said.hashing) <= MOST_HURRIED:
            await self._hashed(said.hashing)
            said = await self._job(job, until)
        return said.document

    async def _job(self, job: int, until: float) -> Said:
        self._store.ledger.drain()
        states = self._states()
        return await self._tell(lambda telling: telling.metadata(job, states=states, until=until))

    async def _hashed(self, keys: tuple[str, ...]) -> None:
        """Wait until their digests are known, as who asks for one does; not for a file that somebody still writes."""
        inos = [ino for key in keys if (ino := self._ino(key)) is not None]
        with trio.move_on_after(OPEN_WRITER_SECONDS):
            while inos := [ino for ino in inos if self._store.attributes.needs_settling(ino, _DIGEST)]:
                for ino in inos:
                    self._store.files.hurry(ino)
                self._wake()
                await trio.sleep(POLL_SECONDS)

    def _ino(self, key: str) -> int | None:
        try:
            return self._store.tree.walk(namespace.split_key(key)).ino
        except (NotFound, NotADirectory):
            return None  # it went meanwhile

    async def _tell(self, question: Callable[[Telling], Said]) -> Said:
        return await trio.to_thread.run_sync(partial(self._told, question), abandon_on_cancel=True, limiter=self._one)

    def _told(self, question: Callable[[Telling], Said]) -> Said:
        if self._telling is None:
            store = self._store
            self._telling = Telling(store.state.catalog, mountpoint=store.mountpoint, types=store.types)
        return question(self._telling)
