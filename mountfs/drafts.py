"""A file that is being written, too large for memory: plain bytes in a draft file, and a log of how to undo.

What was published (acknowledged by close or fsync) must survive the death of the daemon although writing goes on in
the same file. So, like a rollback journal: before published bytes are overwritten they are saved to the log, in
blocks, once between two publishes; publishing appends a mark, and recovery puts back what was saved after the last
mark. Publishing therefore costs one small append, however long the file is.

A draft may be begun on settled content (`base`). Chunks of 1 MiB are carried over when they are first written
to; the others are read from the base, so that appending to a large log costs what was appended.

After power loss only what was synced counts: a mark in the log says up to which publish that is. A draft that was
never synced goes back to its base.

All methods expect the caller to hold the lock of the live file, except `read_chunk`.
"""

import contextlib
import enum
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mountfs.codec import FRAME_BYTES
from mountfs.contents import ReadsRanges, full_disk, pwrite_all, write_all
from mountfs.errors import CacheFull, ContentLost

BLOCK_BYTES = 64 << 10  # unit of undo: a random write of 4 KiB saves 64
COMPACT_BYTES = 4 << 20  # a log longer than this begins anew

_RECORD = struct.Struct("<IB3xQQ")  # CRC-32 of all that follows it, kind, offset or chunk or limit, length
_CARRIED, _TRIMMED, _SAVED, _PUBLISHED, _SYNCED = 1, 2, 3, 4, 5  # number: chunk, limit, offset, size, -


class Until(enum.StrEnum):
    """How much of a draft counts after a crash."""

    FOUND = "found"  # all that was written: a new file that nobody closed
    PUBLISHED = "published"  # what close or fsync acknowledged: its daemon was killed
    SYNCED = "synced"  # of that, what is certain to have reached the disk: the machine went down


class DraftFile:
    """Plain bytes with random access, a published state that survives, and a current one that may be ahead of it.

    Raises CacheFull from every method that writes, when the disk is full; the size is then as it was.
    """

    def __init__(self, directory: Path, content_id: int, base: ReadsRanges | None, *, existing: bool = False) -> None:
        self.directory = directory
        self.content_id = content_id
        self.path = directory / str(content_id)
        flags = os.O_RDWR | os.O_CLOEXEC | (0 if existing else os.O_CREAT | os.O_EXCL)
        with full_disk():
            self.fd = os.open(self.path, flags, 0o600)
        self.base = base
        self.base_limit = base.size if base else 0
        self.size = self.base_limit
        self.versions: dict[int, int] = {}
        self.unsynced = True
        self._own: set[int] = set()  # chunks below the base's limit that live here
        self._high = 0  # end of what may lie in the file, stale bytes above `size` included
        self._published_size = 0
        self._published_limit = self.base_limit
        self._fresh: set[int] = set()  # carried over since the last publish
        self._saved: set[int] = set()  # blocks saved since the last publish
        self._log_fd = -1
        self._ever_synced = False
        self.log_bytes = 0

    def close(self) -> None:
        for fd in (self.fd, self._log_fd):
            if fd >= 0:
                os.close(fd)
        self.fd = self._log_fd = -1

    def remove(self) -> None:
        """Close and delete; the catalog no longer points here."""
        self.close()
        remove_draft(self.directory, self.content_id)

    # -- current state ------------------------------------------------------------------------------------

    def read(self, offset: int, length: int) -> bytes:
        length = min(length, self.size - offset)
        if length <= 0:
            return b""
        if self.base_limit == 0 or offset >= self.base_limit:
            return _padded(os.pread(self.fd, length, offset), length)
        parts = []
        while length > 0:
            chunk = offset // FRAME_BYTES
            part = min(length, (chunk + 1) * FRAME_BYTES - offset)
            parts.append(self._read_part(chunk, offset, part))
            offset, length = offset + part, length - part
        return b"".join(parts)

    def _read_part(self, chunk: int, offset: int, length: int) -> bytes:
        if self.base is None or not self.lies_in_base(chunk):
            return _padded(os.pread(self.fd, length, offset), length)
        return _padded(self.base.read(offset, max(0, min(length, self.base_limit - offset))), length)

    def read_chunk(self, chunk: int, length: int) -> bytes:
        """The first bytes of one chunk; from any thread: whoever calls compares `versions` before and after."""
        return self._read_part(chunk, chunk * FRAME_BYTES, length)

    def at_hand(self, offset: int, length: int) -> bool:
        """Whether a read needs no decompression; it may still touch the disk."""
        return self.base is None or offset >= self.base_limit or self.base.at_hand(offset, length)

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        end = offset + len(data)
        if not data:
            return
        with full_disk():
            self._clear_gap(offset)
            self._carry(offset, end)
            self._save(offset, end)
            self._touch(offset, end)
            pwrite_all(self.fd, data, offset)
        self._high = max(self._high, end)
        self.size = max(self.size, end)

    def truncate(self, size: int) -> None:
        if size > self.size:
            with full_disk():
                self._clear_gap(size)
            self._touch(self.size, self.size + 1)
        elif size < self.size:
            self._shrink(size)
        self.size = size

    def _shrink(self, size: int) -> None:
        if size < self.base_limit:
            with full_disk():
                self._append_log(_TRIMMED, size, b"")
            self.base_limit = size
        for chunk in [c for c in self.versions if c >= size // FRAME_BYTES]:
            self.versions[chunk] += 1
        self._touch(size, size + 1)
        self.unsynced = True
        if self._published_size <= size and self._high > size:
            os.ftruncate(self.fd, size)
            self._high = size

    def _clear_gap(self, offset: int) -> None:
        """Bytes between the end and where the file goes on are zeros, also where stale ones lie."""
        end = min(offset, self._high)
        if self.size >= end:
            return
        self._save(self.size, end)
        self._touch(self.size, end)
        zeros = bytes(min(end - self.size, FRAME_BYTES))
        position = self.size
        while position < end:
            position += os.pwrite(self.fd, zeros[: end - position], position)

    def lies_in_base(self, chunk: int) -> bool:
        """Whether a chunk is still read from the base: nobody wrote to it, in this life or an earlier one."""
        return chunk * FRAME_BYTES < self.base_limit and chunk not in self._own

    def _carry(self, offset: int, end: int) -> None:
        """Bring chunks that still lie in the base here, before a part of them is overwritten."""
        if self.base is None:
            return
        for chunk in range(offset // FRAME_BYTES, (end - 1) // FRAME_BYTES + 1):
            start = chunk * FRAME_BYTES
            if start >= self.base_limit:
                return
            if chunk in self._own:
                continue
            stop = min(start + FRAME_BYTES, self.base_limit)
            if not (offset <= start and end >= stop):
                pwrite_all(self.fd, self.base.read(start, stop - start), start)
                self._high = max(self._high, stop)
            self._append_log(_CARRIED, chunk, b"")
            self._own.add(chunk)
            self._fresh.add(chunk)

    def _save(self, offset: int, end: int) -> None:
        """Copy published bytes that are about to be overwritten into the log."""
        end = min(end, self._published_size)
        for block in range(offset // BLOCK_BYTES, (end - 1) // BLOCK_BYTES + 1 if end > offset else 0):
            if block in self._saved or self._published_in_base(block * BLOCK_BYTES // FRAME_BYTES):
                continue
            start = block * BLOCK_BYTES
            length = min(BLOCK_BYTES, self._published_size - start)
            self._append_log(_SAVED, start, _padded(os.pread(self.fd, length, start), length))
            self._saved.add(block)

    def _published_in_base(self, chunk: int) -> bool:
        return chunk * FRAME_BYTES < self._published_limit and (chunk not in self._own or chunk in self._fresh)

    def _touch(self, offset: int, end: int) -> None:
        self.unsynced = True
        for chunk in range(offset // FRAME_BYTES, (end - 1) // FRAME_BYTES + 1):
            self.versions[chunk] = self.versions.get(chunk, 0) + 1

    # -- publishing ---------------------------------------------------------------------------------------

    def publish(self) -> None:
        """This state survives the death of the daemon from now on. Raises CacheFull; then the one before does."""
        with full_disk():
            self._append_log(_PUBLISHED, self.size, b"")
        self._published_size = self.size
        self._published_limit = self.base_limit
        self._fresh.clear()
        self._saved.clear()
        if self._has_long_log() and not self._ever_synced:
            with contextlib.suppress(CacheFull):  # the long one does as well
                self._begin_log(synced=False)

    def sync(self) -> None:
        """Make the published state durable; for a worker thread. Raises CacheFull."""
        os.fdatasync(self.fd)
        if self._has_long_log() and self._is_as_published():
            self._begin_log(synced=True)
        else:
            with full_disk():
                self._append_log(_SYNCED, 0, b"")
            os.fdatasync(self._log_fd)
        self._ever_synced = True
        self.unsynced = False

    def wants_sync(self) -> bool:
        """Whether its log has become long and only a sync may begin it anew, because an earlier one counts on it."""
        return self._ever_synced and self._has_long_log() and self._is_as_published()

    def _has_long_log(self) -> bool:
        return self.log_bytes > COMPACT_BYTES and len(self._own) * _RECORD.size < self.log_bytes // 2

    def _is_as_published(self) -> bool:
        return not self._saved and not self._fresh and self._published_size == self.size

    def _begin_log(self, *, synced: bool) -> None:
        """Begin a new log that holds only the published state; it counts once it has its name, complete."""
        records = [_record(_CARRIED, chunk, b"") for chunk in sorted(self._own)]
        records.append(_record(_TRIMMED, self.base_limit, b""))
        records.append(_record(_PUBLISHED, self._published_size, b""))
        if synced:
            records.append(_record(_SYNCED, 0, b""))
        unfinished = self.directory / f"{self.content_id}.new"
        with full_disk():
            fd = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                write_all(fd, b"".join(records))
                if synced:
                    os.fdatasync(fd)
                os.rename(unfinished, self._log_path)
            except OSError:
                os.close(fd)
                raise
        if self._log_fd >= 0:
            os.close(self._log_fd)
        self._log_fd, self.log_bytes = fd, sum(map(len, records))

    @property
    def _log_path(self) -> Path:
        return self.directory / f"{self.content_id}.log"

    def _append_log(self, kind: int, number: int, data: bytes) -> None:
        if self._log_fd < 0:
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._log_fd = os.open(self._log_path, flags, 0o600)
        record = _record(kind, number, data)
        try:
            write_all(self._log_fd, record)
        except OSError:
            os.ftruncate(self._log_fd, self.log_bytes)
            raise
        self.log_bytes += len(record)
        self.unsynced = True

    # -- recovery -----------------------------------------------------------------------------------------

    @classmethod
    def recover(cls, directory: Path, content_id: int, base: ReadsRanges | None, *, until: "Until") -> "DraftFile":
        """Reopen a draft after a crash, with what was written `until` then.

        Raises ContentLost where there is no such state; then the base is what remains.
        """
        draft = cls(directory, content_id, base, existing=True)
        raw = draft._log_path.read_bytes() if draft._log_path.exists() else b""
        records = list(_log_records(raw))
        synced = max((i for i, record in enumerate(records) if record.kind == _SYNCED), default=0)
        last = synced if until is Until.SYNCED else len(records)
        end = max((i + 1 for i, record in enumerate(records[:last]) if record.kind == _PUBLISHED), default=0)
        if not end and until is not Until.FOUND:
            draft.close()
            raise ContentLost(f"integrity check: the log of draft {content_id} has lost its {until} state")
        published = records[end - 1].number if end else 0
        kept = records if until is Until.FOUND else records[:end]
        for record in kept:
            draft._redo(record.kind, record.number)
        for record in reversed(records[len(kept) :]):
            if record.kind == _SAVED:
                pwrite_all(draft.fd, record.data, record.number)
        draft._settle_size(published, as_found=until is Until.FOUND)
        draft._published_size, draft._published_limit = draft.size, draft.base_limit
        draft._ever_synced = synced > 0
        if draft._ever_synced:
            os.fdatasync(draft.fd)
        draft._begin_log(synced=draft._ever_synced)
        return draft

    def _settle_size(self, published: int, *, as_found: bool) -> None:
        found = os.fstat(self.fd).st_size
        self.size = max(published, found) if as_found else published
        if found > self.size:
            os.ftruncate(self.fd, self.size)
        self._high = min(found, self.size)

    def _redo(self, kind: int, number: int) -> None:
        if kind == _CARRIED:
            self._own.add(number)
        elif kind == _TRIMMED:
            self.base_limit = min(self.base_limit, number)


def remove_draft(directory: Path, content_id: int) -> None:
    for path in (directory / str(content_id), *directory.glob(f"{content_id}.*")):
        path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _LogRecord:
    kind: int
    number: int
    data: bytes
    end: int


def _record(kind: int, number: int, data: bytes) -> bytes:
    record = _RECORD.pack(0, kind, number, len(data)) + data
    return zlib.crc32(record[4:]).to_bytes(4, "little") + record[4:]


def _log_records(raw: bytes) -> Iterator[_LogRecord]:
    """Each whole record; the first torn one ends it."""
    position = 0
    while position + _RECORD.size <= len(raw):
        checksum, kind, number, length = _RECORD.unpack_from(raw, position)
        end = position + _RECORD.size + length
        if end > len(raw) or zlib.crc32(raw[position + 4 : end]) != checksum:
            return
        yield _LogRecord(kind, number, raw[position + _RECORD.size : end], end)
        position = end


def _padded(data: bytes, length: int) -> bytes:
    return data if len(data) == length else data + bytes(length - len(data))
