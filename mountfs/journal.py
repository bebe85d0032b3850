"""The journal: what `close` acknowledged and the catalog does not hold yet, and the plain bytes of small files.

Why one of our own beside SQLite's: a file of 10 KB costs 10 µs here and 70–90 µs as a transaction, so that
creates come in groups into the catalog, compressed already (DESIGN §4; the bench has the figure).

A segment is a file of records, each with its own checksum. A record is the newest state of one entry, with the
content where it changed. Records are numbered without gaps; the catalog notes the last number that its tables
hold (`applied`), in the transaction that put them there. At start whatever follows is replayed before
anything else. Content rows may point into a segment (place = journal) until they are settled; a segment goes when
nothing points into it any more and what was applied from it is durable.

A record also tells the epoch: how many transactions of other kinds (removals, renames, tags) the catalog had.
After power loss the catalog may lack the last of them; what the journal has from behind such a gap was never synced
either (fsync covers both), and is not replayed.
"""

import errno
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mountfs.errors import CacheFull, CorruptContent
from mountfs.model import Entry, Standing

SEGMENT_BYTES = 16 << 20
_HEAD = struct.Struct("<IIQ")  # CRC-32 of all that follows it, bytes that follow the head, number
_BODY = struct.Struct("<QQQBBBHIIqqqqqqHHI26s26s26s26s")
_STANDINGS = tuple(Standing)
_STANDING_NUMBER = {standing: number for number, standing in enumerate(_STANDINGS)}


@dataclass(frozen=True, slots=True)
class Record:
    """One record as found: the entry, and where its content lies when it carries one."""

    number: int
    epoch: int
    entry: Entry
    segment: int
    offset: int
    content_bytes: int

    @property
    def is_new(self) -> bool:
        """Whether the entry was made, not only changed, by this record."""
        return self.entry.birth_ns == self.entry.ctime_ns


class Journal:
    """Append-only; every record is in the page cache when `append` returns, on the disk after `sync`."""

    def __init__(self, directory: Path, *, first_number: int, epoch: int) -> None:
        self.directory = directory
        self.epoch = epoch  # catalog transactions that a record presupposes
        self.number = first_number - 1  # of the last record written
        self.segment = max(_segments(directory), default=0)
        self._fd = -1
        self._offset = 0
        self._readers: dict[int, int] = {}
        self._unsynced: set[int] = set()
        self._begin_segment()

    def close(self) -> None:
        for fd in self._readers.values():
            os.close(fd)
        self._readers.clear()

    def append(self, entry: Entry, content: bytes | bytearray | memoryview | None) -> tuple[int, int]:
        """Write one record; (segment, offset) by which its content is found again.

        Raises CacheFull when the disk is full; then nothing of the record remains.
        """
        if self._offset >= SEGMENT_BYTES:
            self._begin_segment()
        target = entry.target or b""
        body = _BODY.pack(
            self.epoch, entry.ino, entry.parent, entry.kind, _STANDING_NUMBER[Standing(entry.standing)],
            entry.owed, entry.mode, entry.uid, entry.gid, entry.size,
            entry.atime_ns, entry.mtime_ns, entry.ctime_ns, entry.birth_ns, entry.content or 0,
            len(entry.name), len(target), 0 if content is None else len(content), entry.stamp.encode("ascii"),
            _packed(entry.mode_stamp), _packed(entry.owner_stamp),
            _packed(entry.mtime_stamp),
        )  # fmt: skip
        names = body + entry.name + target
        checksum = zlib.crc32(names)
        total = len(names)
        if content is not None:
            checksum = zlib.crc32(content, checksum)
            total += len(content)
        head = _HEAD.pack(checksum, total, self.number + 1)
        self._write([head + names, content] if content else [head + names], _HEAD.size + total)
        self.number += 1
        place = (self.segment, self._offset)
        self._offset += _HEAD.size + total
        return place

    def _write(self, parts: list[bytes | bytearray | memoryview], total: int) -> None:
        self._unsynced.add(self.segment)
        try:
            if os.pwritev(self._fd, parts, self._offset) == total:
                return
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
        os.ftruncate(self._fd, self._offset)
        raise CacheFull("no space left on the disk that holds the state directory")

    def _begin_segment(self) -> None:
        path = self.directory / _name(self.segment + 1)
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise CacheFull("no space left on the disk that holds the state directory") from error
            raise
        self.segment += 1
        self._fd, self._offset = fd, 0
        self._readers[self.segment] = fd
        self._unsynced.add(0)  # the directory: the new name

    # -- reading back -------------------------------------------------------------------------------------

    def read_content(self, segment: int, offset: int) -> bytes:
        """The plain bytes of one record, checked. Thread-safe. Raises CorruptContent."""
        fd = self._reader(segment)
        head = os.pread(fd, _HEAD.size, offset)
        if len(head) < _HEAD.size:
            raise CorruptContent(f"integrity check: journal segment {segment} ends before offset {offset}")
        checksum, total, _number = _HEAD.unpack(head)
        raw = os.pread(fd, total, offset + _HEAD.size)
        if total < _BODY.size or len(raw) != total or zlib.crc32(raw) != checksum:
            raise CorruptContent(f"integrity check: the record at {offset} of journal segment {segment} is damaged")
        return raw[len(raw) - _BODY.unpack_from(raw)[17] :]

    def _reader(self, segment: int) -> int:
        fd = self._readers.get(segment)
        if fd is None:
            try:
                fd = os.open(self.directory / _name(segment), os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError as error:
                raise CorruptContent(f"integrity check: journal segment {segment} is missing") from error
            fd = self._readers.setdefault(segment, fd)
        return fd

    # -- durability and room ------------------------------------------------------------------------------

    def take_unsynced(self) -> set[int]:
        """Segments written since the last call (0: the directory); the caller passes them to `sync`."""
        taken, self._unsynced = self._unsynced, set()
        return taken

    def put_back_unsynced(self, segments: set[int]) -> None:
        """A sync failed: what it was to cover is still owed."""
        self._unsynced |= segments

    def sync(self, segments: set[int]) -> None:
        """Make these segments durable; for a worker thread. A segment that has gone needs none."""
        for segment in sorted(segments, reverse=True):
            if segment and segment in self._readers:
                os.fdatasync(self._readers[segment])
        if 0 in segments:
            sync_directory(self.directory)

    def old_segments(self) -> list[int]:
        """All segments but the one being written."""
        return [s for s in _segments(self.directory) if s != self.segment]

    def remove_segment(self, segment: int) -> None:
        fd = self._readers.pop(segment, None)
        if fd is not None:
            os.close(fd)
        (self.directory / _name(segment)).unlink(missing_ok=True)


def replay(directory: Path, *, after: int, epoch: int, over_gaps: bool) -> Iterator[Record]:
    """The records whose number exceeds `after`, in their order, up to the first that is torn or missing, or that
    presupposes a transaction which the catalog, at `epoch`, does not have.

    `over_gaps`: a damaged one costs itself alone. Only where the machine did not go down: after power loss what lies
    behind a gap may be older than what was lost in it.
    """
    for segment in _segments(directory):
        for record in _records(directory / _name(segment), segment, over_gaps=over_gaps):
            if record.number <= after:
                continue
            if (record.number != after + 1 and not over_gaps) or record.epoch > epoch:
                return
            after = record.number
            yield record


def highest_number(directory: Path) -> int:
    """The highest number of any readable record: later ones must lie above it, also where a gap ended the replay."""
    return max(
        (record.number for segment in _segments(directory) for record in _records(directory / _name(segment), segment)),
        default=0,
    )


def _records(path: Path, segment: int, *, over_gaps: bool = False) -> Iterator[Record]:
    raw = path.read_bytes()
    offset = 0
    while offset + _HEAD.size + _BODY.size <= len(raw):
        checksum, total, number = _HEAD.unpack_from(raw, offset)
        start = offset + _HEAD.size
        if total < _BODY.size or start + total > len(raw):
            return
        if zlib.crc32(raw[start : start + total]) == checksum:
            yield _record(raw, start, segment=segment, offset=offset, number=number)
        elif not over_gaps:
            return
        offset = start + total


def _record(raw: bytes, start: int, *, segment: int, offset: int, number: int) -> Record:
    (
        epoch, ino, parent, kind, standing, owed, mode, uid, gid, size, atime, mtime, ctime, birth, content,
        name_bytes, target_bytes, content_bytes, stamp, mode_stamp, owner_stamp, mtime_stamp,
    ) = _BODY.unpack_from(raw, start)  # fmt: skip
    names = start + _BODY.size
    name = raw[names : names + name_bytes]
    target = raw[names + name_bytes : names + name_bytes + target_bytes] if kind == 3 else None
    entry = Entry(
        ino, parent, name, kind, mode, uid, gid, size, atime, mtime, ctime, birth, content or None, target,
        stamp.decode("ascii"), _STANDINGS[standing], _unpacked(mode_stamp), _unpacked(owner_stamp),
        _unpacked(mtime_stamp), owed, content_bytes,
    )  # fmt: skip
    return Record(number, epoch, entry, segment, offset, content_bytes)


def _packed(stamp: str | None) -> bytes:
    return b"" if stamp is None else stamp.encode("ascii")


def _unpacked(raw: bytes) -> str | None:
    return None if raw[0] == 0 else raw.decode("ascii")


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _name(segment: int) -> str:
    return f"{segment:012d}"


def _segments(directory: Path) -> list[int]:
    return sorted(int(name) for name in os.listdir(directory) if name.isdigit())
