"""Reads what shim.c recorded: every change and sync below the root, in the order of their effects."""

import enum
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

HEADER = struct.Struct("=IIIIQQQqq")  # struct header in shim.c
MAGIC = 0x4D494853


class TraceError(Exception):
    """The trace does not explain the tree: something changed files in a way the shim cannot see."""


class Kind(enum.IntEnum):
    """The calls of a trace; the same numbers as in shim.c."""

    CREATE = 1
    TRUNCATE = 2
    WRITE = 3
    ALLOCATE = 4
    RENAME = 5
    LINK = 6
    UNLINK = 7
    MKDIR = 8
    RMDIR = 9
    SYMLINK = 10
    FSYNC = 11
    SYNCFS = 12
    SYNC_RANGE = 13
    MAP = 14
    MARK = 15


SYNCS = (Kind.FSYNC, Kind.SYNCFS)


@dataclass(frozen=True, slots=True)
class Event:
    """One call that took effect. Paths are relative to the root, as they were at that moment."""

    kind: Kind
    file: tuple[int, int]  # device, inode
    path: str
    other_path: str
    offset: int
    length: int
    data: bytes

    def __str__(self) -> str:
        return f"{self.kind.name} {self.path or '.'}{self.other_path and ' -> ' + self.other_path}"


@dataclass(frozen=True)
class Trace:
    """Everything that happened below the root, in the order of its effects.

    A position `at` stands for the moment after `events[:at]`.
    """

    events: Sequence[Event]

    @classmethod
    def load(cls, path: Path) -> "Trace":
        raw = path.read_bytes() if path.exists() else b""
        return cls(tuple(_parse(raw)))

    def sync_points(self) -> list[int]:
        """Say which events are syncs; the k-th of them is what `without_sync=k` takes out."""
        return [index for index, event in enumerate(self.events) if event.kind in SYNCS]

    def crash_points(self) -> list[int]:
        """Give the moments worth a power loss: around every sync, after every mark, and the end."""
        syncs = self.sync_points()
        marks = [index + 1 for index, event in enumerate(self.events) if event.kind is Kind.MARK]
        return sorted({*syncs, *(index + 1 for index in syncs), *marks, len(self.events)})

    def marks_before(self, at: int) -> list[str]:
        """Give what the scenario had declared acknowledged, oldest first."""
        marks = b"".join(event.data for event in self.events[:at] if event.kind is Kind.MARK)
        return os.fsdecode(marks).splitlines()

    def shared_mappings(self) -> list[str]:
        """Name the files mapped for writing: stores through a mapping are in no trace."""
        return sorted({event.path for event in self.events if event.kind is Kind.MAP})


def _parse(raw: bytes) -> Iterator[Event]:
    position = 0
    while position < len(raw):
        magic, kind, path_bytes, other_bytes, device, inode, data_bytes, offset, length = HEADER.unpack_from(
            raw, position
        )
        if magic != MAGIC:
            raise TraceError(f"the trace is damaged at byte {position}")
        start = position + HEADER.size
        ends = [start + path_bytes, start + path_bytes + other_bytes]
        position = ends[1] + data_bytes
        path, other = os.fsdecode(raw[start : ends[0]]), os.fsdecode(raw[ends[0] : ends[1]])
        yield Event(Kind(kind), (device, inode), path, other, offset, length, raw[ends[1] : position])
