"""Following a draft file while it is being written, so that little is left to do when it is closed: each finished
chunk is hashed and compressed into a sidecar file that becomes the stored content.
"""

import contextlib
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mountfs import codec
from mountfs.codec import FRAME_BYTES, FrameTable
from mountfs.contents import INLINE_BYTES, FramedReader, full_disk, pwrite_all
from mountfs.drafts import DraftFile
from mountfs.errors import MountfsError
from mountfs.model import Codec, Digest
from mountfs.namespace import HEAD_BYTES, mime_by_content
from mountfs.settling.settled import Abandoned, Settled
from mountfs.settling.snapshot import Snapshot

RECOMPUTED_MAX = 8  # a writer that jumps about is left alone until the end
_ZEROS = bytes(FRAME_BYTES)


@dataclass(slots=True)
class _Done:
    """One chunk's frame: where it lies in the sidecar, and the version of the chunk it was made of.

    `raw_checksum` is 0 where it was not worth computing: the chunk shrinks.
    """

    offset: int
    stored_bytes: int
    plain_bytes: int
    checksum: int
    raw_checksum: int
    version: int


class Behind:
    """Frames and digest of a draft, computed while it grows. `advance` may run in several threads at once."""

    def __init__(self, draft: DraftFile, lock: threading.Lock, *, level: int, compress: bool) -> None:
        self.draft = draft
        self.level = level
        self.compress = compress
        self.path = draft.directory / f"{draft.content_id}.frames"
        self._draft_lock = lock
        self._lock = threading.Lock()
        self._frames: dict[int, _Done] = {}
        self._claimed: set[int] = set()
        self._unwritten: dict[int, bytes] = {}  # frames made before one that comes before them: as many as workers
        self._cursor = 0
        self._end = 0
        self._fd = -1
        self._recomputed = 0
        self._users = 0
        self._retired: Callable[[], None] | None = None
        self._restart_hash()

    def _restart_hash(self) -> None:
        self._hash = hashlib.sha256()
        self._head = b""  # of what is hashed
        self._hashed = 0
        self._hashed_versions: list[int] = []
        self._hashing = False

    def retire(self, after: Callable[[], None]) -> None:
        """Stop for good, then call `after` (it closes the draft): at once, or when the last worker has left.

        A descriptor closed under a worker could be somebody else's by its next write.
        """
        with self._lock:
            self._retired = after
            if self._users:
                return
        self._clean_up()

    @contextlib.contextmanager
    def _used(self) -> Iterator[None]:
        with self._lock:
            if self._retired is not None:
                raise Abandoned
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                last = self._users == 0 and self._retired is not None
            if last:
                self._clean_up()

    def _clean_up(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self.path.unlink(missing_ok=True)
        if self._retired is not None:
            self._retired()

    def worthwhile(self) -> bool:
        """Whether whole chunks wait to be done behind a writer that goes on at the end."""
        return self._recomputed < RECOMPUTED_MAX and self.draft.size // FRAME_BYTES > self._cursor

    # -- work ---------------------------------------------------------------------------------------------

    def advance(self, *, whole: bool, abandoned: Callable[[], bool]) -> None:
        """Do what can be done: all full chunks, with `whole` the last one too. Raises Abandoned, CacheFull."""
        while not abandoned() and self._retired is None:
            if not (self._compress_one(whole=whole) or self._hash_one(whole=whole)):
                return
        raise Abandoned

    def advance_quietly(self, *, abandoned: Callable[[], bool]) -> None:
        """As `advance` for full chunks; what stops it is met again, and told, when the draft is settled."""
        with contextlib.suppress(Abandoned, MountfsError), self._used():
            self.advance(whole=False, abandoned=abandoned)

    def _chunks(self, *, whole: bool) -> int:
        size = self.draft.size
        return -(-size // FRAME_BYTES) if whole else size // FRAME_BYTES

    def _read(self, chunk: int) -> tuple[bytes, int]:
        """A chunk and its version, consistent with each other. Raises Abandoned."""
        with self._draft_lock:
            version = self.draft.versions.get(chunk, 0)
            length = min(FRAME_BYTES, self.draft.size - chunk * FRAME_BYTES)
        if length <= 0:  # cut off since it was chosen
            raise Abandoned
        plain = self.draft.read_chunk(chunk, length)
        with self._draft_lock:
            if self.draft.versions.get(chunk, 0) != version:
                raise Abandoned
        return plain, version

    def _hash_one(self, *, whole: bool) -> bool:
        """Hash the next chunk that was compressed before its turn came, or was not compressed at all."""
        with self._lock:
            chunk = self._hashed
            if self._hashing or chunk >= self._chunks(whole=whole):
                return False
            self._hashing = True
        try:
            plain, version = self._read(chunk)
            if len(plain) == FRAME_BYTES or whole:
                self._take_into_hash(plain, version)
            return True
        finally:
            self._hashing = False

    def _hash_in_turn(self, chunk: int, plain: bytes, version: int) -> bool:
        """Hash a chunk that is in memory anyway, if it is its turn; whether it was."""
        with self._lock:
            if self._hashing or chunk != self._hashed:
                return False
            self._hashing = True
        try:
            self._take_into_hash(plain, version)
            return True
        finally:
            self._hashing = False

    def _take_into_hash(self, plain: bytes, version: int) -> None:
        if not self._hashed:
            self._head = plain[:HEAD_BYTES]
        self._hash.update(plain)
        self._hashed += 1
        self._hashed_versions.append(version)

    def _compress_one(self, *, whole: bool) -> bool:
        with self._lock:
            limit = self._chunks(whole=whole)
            while self._cursor < limit and (self._cursor in self._frames or self._cursor in self._claimed):
                self._cursor += 1
            chunk = self._cursor
            if chunk >= limit:
                return False
            self._claimed.add(chunk)
            self._cursor += 1
        made = None
        try:
            made = self._frame(chunk)
        finally:
            with self._lock:
                self._claimed.discard(chunk)
                if made is not None:
                    self._frames[chunk], self._unwritten[chunk] = made
                self._write_in_order()
        return True

    def _write_in_order(self) -> None:
        """Append frames to the sidecar, each after those before it that are still being made: so the sidecar of a
        file written from one end to the other is its content."""
        for chunk in sorted(self._unwritten):
            if any(claimed < chunk for claimed in self._claimed):
                return
            stored = self._unwritten.pop(chunk)
            done = self._frames.pop(chunk)  # comes back once it is written
            with full_disk():
                if self._fd < 0:
                    self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
                pwrite_all(self._fd, stored, self._end)
            done.offset = self._end
            self._end += len(stored)
            self._frames[chunk] = done

    def _frame(self, chunk: int) -> tuple[_Done, bytes]:
        """A chunk compressed, and hashed where that is its turn: it is read once for both."""
        kept = self._from_base(chunk)
        if kept is not None:
            stored, plain_bytes, checksum, version = kept
            return _Done(0, len(stored), plain_bytes, checksum, 0, version), stored
        plain, version = self._read(chunk)
        hashed = self._hash_in_turn(chunk, plain, version)
        stored = self._compressed(plain)
        if not hashed:
            self._hash_in_turn(chunk, plain, version)
        shrinks = self.compress and codec.shrinks_enough(len(plain), len(stored))
        raw_checksum = 0 if shrinks else codec.raw_sum(plain)
        return _Done(0, len(stored), len(plain), codec.frame_checksum(stored), raw_checksum, version), stored

    def _compressed(self, plain: bytes) -> bytes:
        if not self.compress:
            return b"\0\0\0\0"
        if plain == _ZEROS:
            return _zero_frame(self.level)
        return codec.compress_frame(plain, level=self.level)

    def _from_base(self, chunk: int) -> tuple[bytes, int, int, int] | None:
        """The stored frame of a chunk that nobody wrote to, as the base has it."""
        base, version = self.draft.base, self.draft.versions.get(chunk, 0)
        if not self.compress or not isinstance(base, FramedReader) or base.raw or chunk >= len(base.table):
            return None
        if version or not self.draft.lies_in_base(chunk):
            return None
        frame = base.table[chunk]
        if frame.plain_offset != chunk * FRAME_BYTES or self.draft.base_limit < frame.plain_offset + frame.plain_bytes:
            return None
        if frame.plain_bytes < FRAME_BYTES and self.draft.size > frame.plain_offset + frame.plain_bytes:
            return None
        return base.stored_frame(chunk), frame.plain_bytes, frame.checksum, version

    # -- the end ------------------------------------------------------------------------------------------

    def finish(self, ino: int, *, epoch: int, incoming: Path, abandoned: Callable[[], bool]) -> Settled:
        """The stored content of the draft as it is. Raises Abandoned when it was written to meanwhile."""
        with self._used():
            return self._finish(ino, epoch=epoch, incoming=incoming, abandoned=abandoned)

    def _finish(self, ino: int, *, epoch: int, incoming: Path, abandoned: Callable[[], bool]) -> Settled:
        self._drop_stale()
        while True:
            self.advance(whole=True, abandoned=abandoned)
            with self._lock:
                if not self._claimed and not self._hashing:
                    break
        self._check_versions()
        chunks = self._chunks(whole=True)
        frames = [self._frames[i] for i in range(chunks)]
        digest = Digest(self._hash.digest())
        size = sum(f.plain_bytes for f in frames)
        stored = sum(f.stored_bytes for f in frames) + codec.seek_table_bytes(chunks)
        if not self.compress or not codec.shrinks_enough(size, stored):
            sums = [f.raw_checksum for f in frames] if all(f.raw_checksum for f in frames) else self._raw_sums(chunks)
            path = self._copy_plain(incoming, chunks)
            return self._settled(ino, digest, Codec.RAW, size, size, codec.pack_sums(sums), path, epoch)
        table = FrameTable.from_sizes(
            (f.stored_bytes for f in frames), (f.plain_bytes for f in frames), (f.checksum for f in frames)
        )
        path = self._assemble(incoming, frames, codec.seek_table(table))
        return self._settled(ino, digest, Codec.ZSTD, size, stored, b"", path, epoch)

    # -- while it is still open ---------------------------------------------------------------------------

    def snapshot(self, ino: int, content_id: int, state: Snapshot, incoming: Path) -> Settled:
        """The draft as it was when `state` was taken, stored under an id of its own, while its writer goes on.

        Raises Abandoned when what was there then was overwritten since: only growing files have snapshots.
        """
        with self._used():
            return self._snapshot(ino, content_id, state, incoming)

    def _snapshot(self, ino: int, content_id: int, state: Snapshot, incoming: Path) -> Settled:
        whole = state.size // FRAME_BYTES
        total, head = hashlib.sha256(), b""
        sizes: list[tuple[int, int, int]] = []
        target = incoming / str(content_id)
        fd = os.open(target, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            position = 0
            for chunk in range(-(-state.size // FRAME_BYTES)):
                plain = state.tail if chunk == whole else self.draft.read_chunk(chunk, FRAME_BYTES)
                total.update(plain)
                head = head or plain[:HEAD_BYTES]
                stored = self._stored_frame(chunk, state.versions.get(chunk, 0), len(plain))
                if stored is None:
                    stored = codec.compress_frame(plain, level=self.level)
                with full_disk():
                    pwrite_all(fd, stored, position)
                position += len(stored)
                sizes.append((len(stored), len(plain), codec.frame_checksum(stored)))
            stored_sizes, plain_sizes, checksums = zip(*sizes, strict=True)
            table = FrameTable.from_sizes(stored_sizes, plain_sizes, checksums)
            with full_disk():
                pwrite_all(fd, codec.seek_table(table), position)
            with self._draft_lock:
                if any(self.draft.versions.get(chunk, 0) != state.versions.get(chunk, 0) for chunk in range(whole)):
                    raise Abandoned
            os.fdatasync(fd)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        finally:
            os.close(fd)
        stored_bytes = position + codec.seek_table_bytes(len(sizes))
        return Settled(
            content_id, ino, Digest(total.digest()), Codec.ZSTD, state.size, stored_bytes, b"", None, target,
            mime_by_content(head),
        )  # fmt: skip

    def _stored_frame(self, chunk: int, version: int, plain_bytes: int) -> bytes | None:
        """The frame of a chunk that was compressed behind its writer already."""
        with self._lock:
            done = self._frames.get(chunk)
            if done is None or (done.version, done.plain_bytes) != (version, plain_bytes) or self._fd < 0:
                return None
            return os.pread(self._fd, done.stored_bytes, done.offset)

    def _settled(
        self,
        ino: int,
        digest: Digest,
        kind: Codec,
        size: int,
        stored: int,
        sums: bytes,
        path: Path,
        epoch: int,
    ) -> Settled:
        data = None
        if stored <= INLINE_BYTES:
            data = path.read_bytes()
            path.unlink()
        return Settled(
            self.draft.content_id,
            ino,
            digest,
            kind,
            size,
            stored,
            sums,
            data,
            None if data is not None else path,
            mime_by_content(self._head),
            epoch,
        )

    def _drop_stale(self) -> None:
        with self._lock:
            chunks = self._chunks(whole=True)
            for chunk, done in list(self._frames.items()):
                length = min(FRAME_BYTES, self.draft.size - chunk * FRAME_BYTES)
                if chunk >= chunks or done.version != self.draft.versions.get(chunk, 0) or done.plain_bytes != length:
                    del self._frames[chunk]
                    self._unwritten.pop(chunk, None)
                    self._recomputed += 1
            self._cursor = 0
            seen = [self.draft.versions.get(i, 0) for i in range(min(self._hashed, chunks))]
            if self._hashed > chunks or seen != self._hashed_versions:
                self._restart_hash()

    def _check_versions(self) -> None:
        with self._draft_lock:
            versions = self.draft.versions
            if any(versions.get(i, 0) != done.version for i, done in self._frames.items()):
                raise Abandoned
            if [versions.get(i, 0) for i in range(self._chunks(whole=True))] != self._hashed_versions:
                raise Abandoned

    def _assemble(self, incoming: Path, frames: list[_Done], seek_table: bytes) -> Path:
        """The frames in their order and the seek table behind them, synced; the sidecar itself when it is in order."""
        target = incoming / str(self.draft.content_id)
        position = 0
        in_order = all(f.offset == p for f, p in zip(frames, _running(frames), strict=True))
        if in_order and self._end == sum(f.stored_bytes for f in frames):
            with full_disk():
                pwrite_all(self._fd, seek_table, self._end)
            os.fdatasync(self._fd)
            os.rename(self.path, target)
            os.close(self._fd)
            self._fd, self._end, self._cursor = -1, 0, 0
            self._frames.clear()  # they went with the sidecar: a next try makes them anew
            return target
        fd = os.open(target, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            with full_disk():
                for frame in frames:
                    pwrite_all(fd, os.pread(self._fd, frame.stored_bytes, frame.offset), position)
                    position += frame.stored_bytes
                pwrite_all(fd, seek_table, position)
            os.fdatasync(fd)
        finally:
            os.close(fd)
        return target

    def _raw_sums(self, chunks: int) -> list[int]:
        return [codec.raw_sum(self._read(i)[0]) for i in range(chunks)]

    def _copy_plain(self, incoming: Path, chunks: int) -> Path:
        """The plain bytes as a file of their own: never a second name of the draft, which may be written again."""
        target = incoming / str(self.draft.content_id)
        fd = os.open(target, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            with full_disk():
                for chunk in range(chunks):
                    pwrite_all(fd, self._read(chunk)[0], chunk * FRAME_BYTES)
            os.fdatasync(fd)
        finally:
            os.close(fd)
        return target


def _running(frames: list[_Done]) -> list[int]:
    starts, position = [], 0
    for frame in frames:
        starts.append(position)
        position += frame.stored_bytes
    return starts


_zero_frames: dict[int, bytes] = {}


def _zero_frame(level: int) -> bytes:
    if level not in _zero_frames:
        _zero_frames[level] = codec.compress_frame(_ZEROS, level=level)
    return _zero_frames[level]
