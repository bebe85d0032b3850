"""One directory tree under operation: its open files, its mappings, and what was done to it.

The same class stands for the mount and for the plain directory. Only the plain one keeps events: from them
`acknowledged` knows which content a killed daemon must still have.
"""

import contextlib
import enum
import errno
import hashlib
import os
import stat
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.mount.syscalls import SharedMapping

if TYPE_CHECKING:
    from tests.model.steps import Step

EXPLICIT_BEFORE_NS = 10**18
"""Times set on purpose lie before 2001, times of the clock after it."""

UNSURE = "unsure"
"""A time of modification that a store through a mapping may still move: equal to any other."""

Value = int | str | bytes | None | tuple["Value", ...]


class Skipped(Exception):
    """The step makes no sense in this state (its slot is not open), and nothing was done."""


class EventKind(enum.Enum):
    """What happened to the content of a file, as far as a later crash is concerned."""

    CREATED = "created"
    WROTE = "wrote"
    MAPPED = "mapped"  # stored through a mapping: reaches the file system when the kernel likes
    CLOSED = "closed"  # a descriptor that can write was closed, or a child's copy of it
    SYNCED = "synced"
    PEEKED = "peeked"  # closed by a reader: publishing what others wrote is allowed, not promised
    NAMED = "named"  # renamed, or given mode, times or attributes: the name must exist from now on


@dataclass(frozen=True, slots=True)
class Event:
    kind: EventKind
    ino: int
    digest: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step answered: an errno's name, or a value. `skipped` when it could not be tried."""

    value: Value = None
    error: str | None = None

    @property
    def skipped(self) -> bool:
        return self.error == "skipped"

    def agrees_with(self, other: "Outcome") -> bool:
        return self.error == other.error and _agree(self.value, other.value)


def _agree(one: Value, other: Value) -> bool:
    if UNSURE in (one, other):
        return True
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_agree, one, other))
    return one == other


@dataclass(slots=True)
class Mapping:
    """A shared mapping whose descriptor is closed; `watch` (O_PATH) still answers for the size."""

    memory: SharedMapping
    length: int
    watch: int

    def close(self) -> None:
        try:
            self.memory.unmap()
        finally:
            os.close(self.watch)


@dataclass(frozen=True, slots=True)
class Node:
    """One name of a tree as a comparison sees it."""

    kind: str
    mode: int
    size: int
    digest: str
    target: str
    attributes: tuple[tuple[str, bytes], ...]
    mtime: Value
    ino: int = field(compare=False)
    mtime_ns: int = field(compare=False)

    def differences(self, other: "Node", *, content: bool = True) -> list[str]:
        """The fields that differ; without `content` those that a lost draft may change are left out."""
        names = ["kind", "mode", "target", "attributes", *(["size", "digest", "mtime"] if content else [])]
        return [
            f"{name}: {getattr(self, name)!r} instead of {getattr(other, name)!r}"
            for name in names
            if not _agree(getattr(self, name), getattr(other, name))
        ]


class Tree:
    """A directory whose first-level names carry `prefix`, so that several replays share one mount."""

    def __init__(self, root: Path, *, prefix: str = "", keeps_events: bool = False) -> None:
        self.root = root
        self.prefix = prefix
        self.handles: dict[int, int] = {}
        self.mappings: dict[int, Mapping] = {}
        self.events: list[Event] = []
        self._keeps_events = keeps_events
        self._stored_by_mapping: set[int] = set()

    def perform(self, step: "Step") -> Outcome:
        """Do `step` here; an error of the system becomes part of the outcome."""
        try:
            return Outcome(step.run(self))
        except Skipped:
            return Outcome(error="skipped")
        except OSError as refusal:
            return Outcome(error=errno.errorcode.get(refusal.errno or 0, str(refusal)))

    def after_kill(self) -> None:
        """Called once the file system is back; a planted bug loses things here."""

    def path(self, name: str) -> str:
        return f"{self.root}/{self.prefix}{name}"

    def handle(self, slot: int) -> int:
        if slot not in self.handles:
            raise Skipped
        return self.handles[slot]

    def mapping(self, slot: int) -> Mapping:
        if slot not in self.mappings:
            raise Skipped
        return self.mappings[slot]

    def drop_handles(self) -> None:
        """Close everything, whatever the file system says to it."""
        for fd in self.handles.values():
            with contextlib.suppress(OSError):
                os.close(fd)
        for mapping in self.mappings.values():
            with contextlib.suppress(OSError):
                mapping.close()
        self.handles.clear()
        self.mappings.clear()

    def note(self, kind: EventKind, where: int | str) -> None:
        """Keep what happened to the file `where`, a descriptor or a path."""
        if not self._keeps_events:
            return
        found = os.fstat(where) if isinstance(where, int) else os.stat(where)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink == 0:
            return
        source = f"/proc/self/fd/{where}" if isinstance(where, int) else where
        digest = "" if kind in (EventKind.PEEKED, EventKind.NAMED) else digest_of(source)
        self.events.append(Event(kind, found.st_ino, digest))

    def note_stored_by_mapping(self, watch: int) -> None:
        self._stored_by_mapping.add(os.fstat(watch).st_ino)

    def note_times_set(self, path: str) -> None:
        """Times set on purpose are sure again, unless a mapping may still write."""
        if not self.mappings:
            self._stored_by_mapping.discard(os.stat(path).st_ino)

    def is_open(self, ino: int) -> bool:
        descriptors = [*self.handles.values(), *(mapping.watch for mapping in self.mappings.values())]
        return any(os.fstat(fd).st_ino == ino for fd in descriptors)

    def flushed_by_child(self) -> None:
        """Note that a child of this process has closed its copies of all descriptors."""
        for fd in self.handles.values():
            self.note(EventKind.CLOSED if can_write(fd) else EventKind.PEEKED, fd)

    def visible_mtime(self, found: os.stat_result) -> Value:
        if found.st_ino in self._stored_by_mapping:
            return UNSURE
        return found.st_mtime_ns if found.st_mtime_ns < EXPLICIT_BEFORE_NS else "now"

    def snapshot(self) -> dict[str, Node]:
        """Every name below the root that carries the prefix, with all that can be read of it."""
        jobs = sorted(name for name in os.listdir(self.root) if name.startswith(self.prefix))
        nodes: dict[str, Node] = {}
        for job in jobs:
            self._collect(job.removeprefix(self.prefix), nodes)
        return nodes

    def _collect(self, name: str, nodes: dict[str, Node]) -> None:
        nodes[name] = node = self._node(self.path(name))
        if node.kind == "directory":
            for below in sorted(os.listdir(self.path(name))):
                self._collect(f"{name}/{below}", nodes)

    def _node(self, path: str) -> Node:
        found = os.lstat(path)
        node = Node(
            kind=kind_of(found),
            mode=stat.S_IMODE(found.st_mode),
            size=0,
            digest="",
            target="",
            attributes=(),
            mtime=self.visible_mtime(found),
            ino=found.st_ino,
            mtime_ns=found.st_mtime_ns,
        )
        match node.kind:
            case "symlink":
                return replace(node, target=os.readlink(path), size=found.st_size)
            case "file":
                self.note(EventKind.PEEKED, path)
                return replace(node, digest=digest_of(path), size=found.st_size, attributes=attributes_of(path))
            case _:
                return replace(node, attributes=attributes_of(path))


def visible(tree: Tree, found: os.stat_result) -> Value:
    """What must be the same everywhere: a directory's size and number of links are not."""
    size = 0 if stat.S_ISDIR(found.st_mode) else found.st_size
    return kind_of(found), oct(stat.S_IMODE(found.st_mode)), size, tree.visible_mtime(found)


def kind_of(found: os.stat_result) -> str:
    if stat.S_ISDIR(found.st_mode):
        return "directory"
    return "symlink" if stat.S_ISLNK(found.st_mode) else "file"


def can_write(fd: int) -> bool:
    flags = int(Path(f"/proc/self/fdinfo/{fd}").read_text().split("flags:")[1].split()[0], 8)
    return flags & os.O_ACCMODE != os.O_RDONLY


def digest_of(path: str) -> str:
    """Of what the file system itself answers, not the pages the kernel has kept of it."""
    with open(path, "rb", buffering=0) as file:
        forget_pages(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()[:20]


def forget_pages(fd: int) -> None:
    """Make the kernel drop the clean pages of this file, so that the next read asks the file system."""
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def attributes_of(path: str) -> tuple[tuple[str, bytes], ...]:
    names = sorted(name for name in os.listxattr(path) if name.startswith("user."))
    return tuple((name, os.getxattr(path, name)) for name in names)
