"""Folding the feed: parts in, pieces of rows out. In a process of its own, because it is long work in Python.

One busy thread beside the loop raised the p99 of `stat` from 0.3 to 10-27 ms (FACTS). The process knows no catalog and
no bucket: it is given parts, and what of this machine shows in rows.
"""

import marshal
import os
import re
import signal
import struct
import sys
from binascii import unhexlify
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO, TypeAlias

from mountfs.bucket.feedtext import parse_section, read_lines
from mountfs.clock import nanoseconds_of, writer_of
from mountfs.errors import CorruptContent, MountfsError
from mountfs.model import Kind
from mountfs.namespace import check_job_name
from mountfs.records import (
    ContentValue,
    FileContent,
    PathState,
    Record,
    SymlinkContent,
    Value,
    content_of,
    decode_record,
    match_usual_file,
    parse_line,
    record_of,
)
from mountfs.store.registers import FIELDS, MODES, beside, beside_mtime, kind_of, register_of_value
from mountfs.store.told import CTIME, KIND, MTIME, SHORT, STAMP, Other, Piece, Register, Row, Told

CHUNK_RECORDS = 1_000  # folded together; what comes later folds in the catalog
PIECE_ROWS = 160  # rows and registers of a piece: 3 ms of the loop
MOST_REFUSED = 20  # sentences of a piece
NICE = 5

_SAID_OF_FILES = frozenset({"kind", "digest", "size", "stored", "codec", "mtime", "created_at"})
_SAID = _SAID_OF_FILES | {"target", "target_b64"}
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Here:
    """What of this machine shows in rows. `latest_ms`: stamps beyond are not followed by its clock."""

    store_id: str
    owner: tuple[int, int]
    recorded_owner: bool
    own: frozenset[str]
    latest_ms: int


Usual: TypeAlias = re.Match[bytes]
"""A line as `match_usual_file` knows it."""


@dataclass(slots=True)
class _Job:
    """What a chunk says of a job."""

    name: bytes
    sources: list[str] = field(default_factory=list)
    complete: list[str] = field(default_factory=list)
    paths: dict[bytes, Usual | Record | PathState] = field(default_factory=dict)


def fold_parts(parts: Iterable[bytes], here: Here) -> Iterator[Piece]:
    """The pieces that these parts make; a part or a line that cannot be right costs nothing but itself."""
    reading = _Reading(here)
    for part in parts:
        try:
            for line in read_lines(part, store_id=here.store_id):
                reading.take(line)
                if reading.is_enough():
                    yield from reading.pieces()
        except CorruptContent as error:
            reading.refused.append(f"a part of the feed: {error}")
            reading.section = None
        reading.end_section()
    yield from reading.pieces()


class _Reading:
    """Lines as far as they were read, of one chunk."""

    def __init__(self, here: Here) -> None:
        self._here = here
        self._jobs: dict[bytes, _Job] = {}
        self.section: tuple[bytes, str] | None = None
        self._paths: dict[bytes, Usual | Record | PathState] | None = None
        self.records = 0
        self.refused: list[str] = []
        self._top = ""
        self._limit = f"{here.latest_ms:012x}-~"

    def is_enough(self) -> bool:
        """Whether a chunk ends here: between two bundles, where they are not long."""
        return self.records >= (CHUNK_RECORDS if not self._paths else 2 * CHUNK_RECORDS)

    def take(self, line: bytes) -> None:
        """Take in a line, whatever it says."""
        try:
            usual = match_usual_file(line)
            if usual is not None:
                self._take_usual(usual)
                return
            fields = parse_line(line)
            if "stamp" in fields:
                if self._paths is not None:
                    self._take_record(self._paths, record_of(fields, line))
            elif "bundle" in fields:
                self.end_section()
                self._begin_section(*parse_section(fields))
        except MountfsError as error:
            self.refused.append(str(error))

    def _begin_section(self, job: bytes, bundle: str) -> None:
        self._paths = None
        check_job_name(job)
        self.section = (job, bundle)
        self._paths = self._job(job, bundle).paths

    def _job(self, name: bytes, bundle: str) -> _Job:
        job = self._jobs.get(name)
        if job is None:
            job = self._jobs[name] = _Job(name)
        job.sources.append(bundle)
        return job

    def end_section(self) -> None:
        if self.section is not None:
            name, bundle = self.section
            self._jobs[name].complete.append(bundle)
        self.section = self._paths = None

    def _take_usual(self, usual: Usual) -> None:
        if self._paths is None:
            return
        path = usual[1]
        if path in self._paths:
            self._take_record(self._paths, decode_record(usual.string))
            return
        self._count(usual[10].decode())
        self._paths[path] = usual

    def _take_record(self, paths: dict[bytes, Usual | Record | PathState], record: Record) -> None:
        self._count(record.stamp)
        before = paths.get(record.path)
        if before is None:
            paths[record.path] = record
            return
        if not isinstance(before, PathState):
            before = paths[record.path] = _state(before)
        before.apply(record)

    def _count(self, stamp: str) -> None:
        self.records += 1
        if self._top < stamp <= self._limit:
            self._top = stamp

    def pieces(self) -> Iterator[Piece]:
        """What was read so far; a section that is not at its end goes on."""
        told: list[Told] = []
        size = 0
        for job in self._jobs.values():
            if not job.paths and not job.complete:
                continue
            if size + len(job.paths) > PIECE_ROWS >= len(job.paths):  # a job in two pieces is compared with the rows
                yield self._piece(told)
                told, size = [], 0
            for one in self._told_safely(job, room=PIECE_ROWS - size):
                told.append(one)
                size += len(one.rows) + len(one.registers) + len(one.clears) + 4 * len(one.others)
                if size >= PIECE_ROWS:
                    yield self._piece(told)
                    told, size = [], 0
        yield self._piece(told)
        self._jobs = {}
        if self.section is not None:
            self._paths = self._job(*self.section).paths

    def _told_safely(self, job: _Job, *, room: int) -> Iterator[Told]:
        """What surprises us in one job keeps no other from the rows: the daily listing reads it by itself."""
        try:
            yield from _told(job, self._here, room=room)
        except Exception as error:  # noqa: BLE001
            self.refused.append(f"{job.name!r}: {type(error).__name__}: {error}")

    def _piece(self, told: list[Told]) -> Piece:
        piece = Piece(told, self.records, self._top, self.refused[:MOST_REFUSED])
        self.records, self.refused = 0, []
        return piece


def _state(said: Usual | Record) -> PathState:
    state = PathState()
    state.apply(said if isinstance(said, Record) else decode_record(said.string))
    return state


def _told(job: _Job, here: Here, *, room: int) -> Iterator[Told]:
    """A job in pieces that are small enough; the last one says which bundles are complete."""
    rows = _Rows(job, here)
    for path in sorted(job.paths):
        if rows.size >= room:
            yield rows.told([])
            rows, room = _Rows(job, here), PIECE_ROWS
        said = job.paths[path]
        if isinstance(said, Record):
            rows.add_record(path, said)
        elif isinstance(said, PathState):
            rows.add_state(path, said)
        else:
            rows.add_usual(path, said)
    yield rows.told(job.complete)


class _Rows:
    """Rows of one job, parents before children."""

    def __init__(self, job: _Job, here: Here) -> None:
        self._job = job
        self._here = here
        self._rows: list[Row] = []
        self._registers: list[Register] = []
        self._clears: list[tuple[bytes, str]] = []
        self._others: list[Other] = []
        self._numbers: dict[bytes, int] = {}
        self._newest: dict[int, str] = {}  # by directory: the highest stamp of what lies in it

    @property
    def size(self) -> int:
        return len(self._rows) + len(self._registers) + len(self._clears) + 4 * len(self._others)

    def told(self, complete: list[str]) -> Told:
        for number, stamp in self._newest.items():
            self._rows[number] = _moved(self._rows[number], stamp)
        job = self._job
        return Told(job.name, job.sources, complete, self._rows, self._registers, self._clears, self._others)

    def _directory(self, path: bytes) -> int:
        """The number of a directory's row, made where there is none; -1 for what is no directory."""
        missing = []
        while (number := self._numbers.get(path)) is None:
            missing.append(path)
            if not path:
                break
            path = path.rpartition(b"/")[0]
        if number is not None and not self._is_directory(number):
            return -1
        for path in reversed(missing):
            parent = -1 if number is None else number
            number = self._add(path, (parent, path.rpartition(b"/")[2] if path else self._job.name, 0))
        assert number is not None
        return number

    def _is_directory(self, number: int) -> bool:
        return len(self._rows[number]) == SHORT or self._rows[number][KIND] == Kind.DIRECTORY

    def _add(self, path: bytes, row: Row) -> int:
        number = self._numbers[path] = len(self._rows)
        self._rows.append(row)
        return number

    def _place(self, path: bytes) -> tuple[int, bytes] | None:
        """(parent, name) of a path; None where something that is no directory lies above it."""
        if not path:
            return -1, self._job.name
        above, _, name = path.rpartition(b"/")
        parent = self._directory(above)
        return (parent, name) if parent >= 0 else None

    def _put(self, path: bytes, row: Row) -> int:
        parent = row[0]
        assert isinstance(parent, int)
        if parent >= 0:
            stamp = str(row[STAMP])
            self._newest[parent] = max(self._newest.get(parent, ""), stamp)
        return self._add(path, row)

    def add_usual(self, path: bytes, usual: Usual) -> None:
        """A file of which one record tells, as nearly all do."""
        place = self._place(path)
        if place is None:
            self._add_other(path, _state(usual))
            return
        _path, created, digest, size, stored, mode, mtime, uid, gid, stamp = usual.groups()
        said, time_ns = stamp.decode(), int(mtime)
        owner = (int(uid), int(gid)) if self._keeps_owner(said) else self._here.owner
        self._put(path, (
            *place, 1, int(mode), *owner, int(size), time_ns, max(time_ns, nanoseconds_of(said)),
            int(created), None, said, None, None, None, unhexlify(digest), int(stored), "zstd",
        ))  # fmt: skip

    def add_record(self, path: bytes, record: Record) -> None:
        """Any other path of which one record tells."""
        said, stamp = record.set, record.stamp
        content = said.get("content")
        place = self._place(path) if isinstance(content, dict) and content.keys() <= _SAID else None
        if place is None or not isinstance(content, dict):
            state = PathState()
            state.apply(record)
            self._add_other(path, state)
            return
        value = content_of(content)
        registers = {name: (stamp, held) for name, held in said.items()}
        number = self._put(path, self._row(place, PathState("", registers), value))
        if record.clear:
            self._clears.append((path, stamp))
        if not said.keys() <= FIELDS:
            for name, held in said.items():
                if name not in FIELDS:
                    self._registers.append((number, *register_of_value(name, held), stamp))

    def add_state(self, path: bytes, state: PathState) -> None:
        """A path of which several records tell."""
        value = state.value("content")
        place = self._place(path) if isinstance(value, dict) and value.keys() <= _SAID else None
        if place is None:
            self._add_other(path, state)
            return
        number = self._put(path, self._row(place, state, content_of(value)))
        if state.clear:
            self._clears.append((path, state.clear))
        for name, (stamp, held) in state.registers.items():
            if name not in FIELDS:
                self._registers.append((number, *register_of_value(name, held), stamp))

    def _row(self, place: tuple[int, bytes], state: PathState, content: ContentValue) -> Row:
        stamp = state.registers["content"][0]
        kind, mtime, mode = kind_of(content), state.mtime_ns() or 0, state.value("mode")
        owner_stamp, owner = state.registers.get("owner", ("", None))
        file = content if isinstance(content, FileContent) else None
        target = content.target if isinstance(content, SymlinkContent) else None
        newest = max(stamp for stamp, _value in state.registers.values())
        return (
            *place, int(kind), mode if isinstance(mode, int) else MODES[kind], *self._owner(owner, owner_stamp),
            file.size if file is not None else len(target or b""), mtime,
            max(mtime, nanoseconds_of(newest)), content.created_ns, target, stamp,
            beside(state, "mode", stamp), beside(state, "owner", stamp), beside_mtime(state, stamp),
            bytes(file.digest) if file is not None and file.digest is not None else None,
            file.stored if file is not None else 0, str(file.codec) if file is not None else "none",
        )  # fmt: skip

    def _keeps_owner(self, stamp: str) -> bool:
        """What this machine wrote keeps its numbers; a stranger's mean nothing here, unless asked for."""
        return self._here.recorded_owner or writer_of(stamp) in self._here.own

    def _owner(self, said: Value, stamp: str) -> tuple[int, int]:
        if isinstance(said, list) and self._keeps_owner(stamp):
            uid, gid = said
            return uid, gid  # type: ignore[return-value]
        return self._here.owner

    def _add_other(self, path: bytes, state: PathState) -> None:
        self._others.append((path, state.clear, state.registers))


def _moved(row: Row, stamp: str) -> Row:
    """A directory whose time moves with what lies in it."""
    time_ns = nanoseconds_of(stamp)
    if len(row) == SHORT:
        return (*row[:2], time_ns)
    if row[KIND] != Kind.DIRECTORY or int(row[MTIME] or 0) >= time_ns or str(row[14] or row[STAMP]) >= stamp:
        return row
    return (*row[:MTIME], time_ns, time_ns, *row[CTIME + 1 :])


# -- the process ------------------------------------------------------------------------------------------------


def frame(value: tuple[object, ...]) -> bytes:
    """A value on its way between two processes of ours."""
    data = marshal.dumps(value)  # type: ignore[arg-type]  # of plain values, whatever their depth
    return _LENGTH.pack(len(data)) + data


FRAME_HEAD_BYTES = _LENGTH.size
END: bytes = _LENGTH.pack(0)
"""Behind the last piece of what was asked for."""


def length_of(head: bytes) -> int:
    return int(_LENGTH.unpack(head)[0])


def question(parts: list[bytes], here: Here) -> bytes:
    """What `main` reads: the parts to fold, and what of this machine shows in rows."""
    return frame(
        (here.store_id, here.owner, here.recorded_owner, tuple(here.own), here.latest_ms, parts)
    )  # fmt: skip


def plain(piece: Piece) -> tuple[object, ...]:
    """A piece of values that `marshal` knows: no named tuples."""
    return [tuple(one) for one in piece.told], piece.records, piece.stamp, piece.refused


def main(questions: IO[bytes], answers: IO[bytes]) -> None:
    """Answer until nobody asks any more."""
    while head := questions.read(FRAME_HEAD_BYTES):
        store_id, owner, recorded, own, latest_ms, parts = marshal.loads(questions.read(length_of(head)))
        here = Here(store_id, tuple(owner), recorded, frozenset(own), latest_ms)
        for piece in fold_parts(parts, here):
            answers.write(frame(plain(piece)))
        answers.write(END)
        answers.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ours to end, also where a terminal says otherwise
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.nice(NICE)
    main(sys.stdin.buffer, sys.stdout.buffer)
