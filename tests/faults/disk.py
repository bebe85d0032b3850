"""A disk that forgets: replays a trace and says what may be left after the power failed.

It is a strict disk: it may forget everything that no sync covered, in any order, and tear writes at pages.
A file's fsync keeps its bytes and not its name; a directory's fsync keeps its names and not the bytes behind
them; sync_file_range keeps nothing. One mercy, which every journalling file system grants: a rename across
directories happens in both or in neither. SQLite's -shm files never survive.
"""

import os
import random
import stat
import struct
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from .trace import Event, Kind, TraceError

PAGE_BYTES = 4096
RENAME_EXCHANGE = 2
FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, FALLOC_ZERO_RANGE = 1, 2, 16

Style = Literal["none", "all", "random", "reordered"]
STYLES: tuple[Style, ...] = ("none", "all", "random", "reordered")


@dataclass(frozen=True, slots=True)
class Put:
    """Bytes written to a file and not synced yet."""

    index: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Resize:
    index: int
    length_bytes: int


@dataclass(eq=False, slots=True)
class File:
    durable: bytearray
    size_bytes: int
    mode: int
    pending: list[Put | Resize] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Symlink:
    target: str


@dataclass(eq=False, slots=True)
class Directory:
    """`names` is what a program sees, `durable` what the disk is sure of."""

    names: dict[str, "Node"] = field(default_factory=dict)
    durable: dict[str, "Node"] = field(default_factory=dict)


Node = File | Symlink | Directory


@dataclass(eq=False, slots=True)
class Naming:
    """One atomic change of names: each (directory, name) gets its node, or loses it."""

    index: int
    changes: list[tuple[Directory, str, Node | None]]
    durable: bool = False


class Disk:
    """Replays events and knows at any moment what is durable and what merely happened.

    `fsync_keeps_name=True` is ext4 in practice: a file's fsync also keeps the names it was given.
    """

    def __init__(self, initial_tree: Path, *, fsync_keeps_name: bool = False) -> None:
        self.fsync_keeps_name = fsync_keeps_name
        self.root = _load_directory(initial_tree)
        self._nodes: dict[tuple[int, int], Node] = {}
        self._namings: list[Naming] = []
        self._files: set[File] = set()  # those with pending changes
        self._index = 0

    def apply(self, event: Event, *, ignore_sync: bool = False) -> None:
        """Let one event happen; with `ignore_sync` a sync is a word without effect."""
        self._index += 1
        match event.kind:
            case Kind.CREATE | Kind.MKDIR | Kind.SYMLINK | Kind.LINK | Kind.UNLINK | Kind.RMDIR | Kind.RENAME:
                self._name(event)
            case Kind.WRITE | Kind.TRUNCATE | Kind.ALLOCATE:
                self._change_content(event)
            case Kind.FSYNC if not ignore_sync:
                self._sync(self._node(event))
            case Kind.SYNCFS if not ignore_sync:
                self._sync_all()
            case _:
                pass

    @property
    def settled(self) -> bool:
        """Nothing is un-synced, so a power loss changes nothing."""
        return not self._files and not self._namings

    # names

    def _place(self, path: str) -> tuple[Directory, str]:
        directory: Node = self.root
        *parents, name = path.split("/")
        for parent in parents:
            below = directory.names.get(parent) if isinstance(directory, Directory) else None
            if below is None:
                raise TraceError(f"{path!r} lies outside the root, or in a directory the trace does not know")
            directory = below
        if not isinstance(directory, Directory):
            raise TraceError(f"{path!r} lies below something that is no directory")
        return directory, name

    def _at(self, path: str) -> Node:
        if not path:
            return self.root
        directory, name = self._place(path)
        if name not in directory.names:
            raise TraceError(f"{path!r} is used, but the trace does not say where it came from")
        return directory.names[name]

    def _node(self, event: Event) -> Node:
        """Find what an open descriptor stands for; a file of the initial tree gets its inode then."""
        if event.file not in self._nodes:
            self._nodes[event.file] = self._at(event.path)
        return self._nodes[event.file]

    def _named(self, event: Event) -> Node:
        """Find what a name stands for, not by inode: that of a deleted file may be in use again."""
        if not event.path and event.file in self._nodes:  # by descriptor: the first name of an O_TMPFILE
            return self._nodes[event.file]
        self._nodes[event.file] = self._at(event.path)
        return self._nodes[event.file]

    def _name(self, event: Event) -> None:
        match event.kind:
            case Kind.CREATE:
                self._nodes[event.file] = made = File(bytearray(), 0, event.length)
                if event.path:  # else O_TMPFILE
                    self._rename([(*self._place(event.path), made)])
            case Kind.MKDIR:
                self._nodes[event.file] = folder = Directory()
                self._rename([(*self._place(event.path), folder)])
            case Kind.SYMLINK:
                self._rename([(*self._place(event.path), Symlink(os.fsdecode(event.data)))])
            case Kind.LINK:
                self._rename([(*self._place(event.other_path), self._named(event))])
            case Kind.RENAME:
                self._move(event)
            case _:
                self._named(event)
                self._rename([(*self._place(event.path), None)])

    def _move(self, event: Event) -> None:
        moved, old, new = self._named(event), self._place(event.path), self._place(event.other_path)
        replaced = new[0].names.get(new[1])
        if replaced is moved:  # two names of one file: rename(2) does nothing
            return
        if replaced is not None and event.length:
            self._nodes[event.file[0], event.length] = replaced
        left = replaced if event.offset & RENAME_EXCHANGE else None
        self._rename([(*old, left), (*new, moved)])

    def _rename(self, changes: list[tuple[Directory, str, Node | None]]) -> None:
        self._namings.append(Naming(self._index, changes))
        _give_names([self._namings[-1]], lambda directory: directory.names)

    # contents

    def _change_content(self, event: Event) -> None:
        file = self._node(event)
        if not isinstance(file, File):
            raise TraceError(f"{event} changes the bytes of something that is no file")
        for change in self._content_changes(event, file.size_bytes):
            file.pending.append(change)
            file.size_bytes = (
                change.length_bytes
                if isinstance(change, Resize)
                else max(file.size_bytes, change.offset + len(change.data))
            )
        self._files.add(file)

    def _content_changes(self, event: Event, size_bytes: int) -> Iterator[Put | Resize]:
        if event.kind is Kind.WRITE:
            yield Put(self._index, event.offset, event.data)
            return
        if event.kind is Kind.TRUNCATE:
            yield Resize(self._index, event.length)
            return
        (mode,) = struct.unpack("=i", event.data)
        end = event.offset + event.length
        if mode & ~(FALLOC_KEEP_SIZE | FALLOC_PUNCH_HOLE | FALLOC_ZERO_RANGE):
            raise TraceError(f"{event}: fallocate mode {mode} is not modelled")
        if mode & (FALLOC_PUNCH_HOLE | FALLOC_ZERO_RANGE):
            yield Put(self._index, event.offset, bytes(max(0, min(end, size_bytes) - event.offset)))
        if not mode & FALLOC_KEEP_SIZE and end > size_bytes:
            yield Resize(self._index, end)

    # durability

    def _sync(self, node: Node) -> None:
        if isinstance(node, File):
            _change(node.durable, node.pending)
            node.pending.clear()
            self._files.discard(node)
        for naming in self._namings:
            its_directory = any(directory is node for directory, _, _ in naming.changes)
            its_name = self.fsync_keeps_name and any(named is node for _, _, named in naming.changes)
            naming.durable |= its_directory or its_name
        while self._namings and self._namings[0].durable:  # in order: a later name may replace an earlier one
            _give_names([self._namings.pop(0)], lambda directory: directory.durable)

    def _sync_all(self) -> None:
        for file in list(self._files):
            self._sync(file)
        _give_names(self._namings, lambda directory: directory.durable)
        self._namings.clear()

    def after_power_loss(self, style: Style, seed: int) -> "Tree":
        """Decide what survived; the same arguments give the same tree."""
        rng = random.Random(f"{style}/{seed}")
        survives = _survival(style, rng, self._namings, self._files)
        names: dict[Directory, dict[str, Node]] = {}
        kept = [naming for naming in self._namings if naming.durable or survives.naming(naming)]
        _give_names(kept, lambda directory: names.setdefault(directory, dict(directory.durable)))
        tree: Tree = {}
        contents: dict[File, bytes] = {}
        unseen: list[tuple[str, Node]] = [("", self.root)]
        while unseen:
            path, node = unseen.pop()
            if isinstance(node, Directory):
                below = sorted(names.get(node, node.durable).items())
                unseen += [(f"{path}/{name}".lstrip("/"), child) for name, child in below]
            elif isinstance(node, File) and node not in contents:
                contents[node] = _content(node, survives)
            if not path.endswith("-shm"):
                tree[path] = (node, contents.get(node, b"") if isinstance(node, File) else b"")
        return tree


Tree = dict[str, tuple[Node, bytes]]
"""What is left: each path, parents first, with its node and, for a file, its bytes."""


def _load_directory(path: Path) -> Directory:
    directory = Directory()
    for entry in os.scandir(path):
        node: Node
        if entry.is_symlink():
            node = Symlink(os.readlink(entry.path))
        elif entry.is_dir():
            node = _load_directory(Path(entry.path))
        else:
            content = bytearray(Path(entry.path).read_bytes())
            node = File(content, len(content), stat.S_IMODE(entry.stat().st_mode))
        directory.names[entry.name] = directory.durable[entry.name] = node
    return directory


def _give_names(namings: Iterable[Naming], entries: Callable[[Directory], dict[str, Node]]) -> None:
    for naming in namings:
        for directory, name, node in naming.changes:
            if node is None:
                entries(directory).pop(name, None)
            else:
                entries(directory)[name] = node


def _change(content: bytearray, changes: Iterable[Put | Resize]) -> None:
    for change in changes:
        end = change.length_bytes if isinstance(change, Resize) else change.offset
        if len(content) < end:
            content.extend(bytes(end - len(content)))
        if isinstance(change, Resize):
            del content[end:]
        else:
            content[end : end + len(change.data)] = change.data


# ---- what survives -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Survival:
    """Which un-synced changes the disk kept; `grown`: the size of a write came through, its bytes did not."""

    naming: Callable[[Naming], bool]
    content: Callable[[Put | Resize], bool]
    grown: Callable[[], bool] = lambda: False
    tears: bool = False


def _survival(style: Style, rng: random.Random, namings: list[Naming], files: Iterable[File]) -> Survival:
    match style:
        case "none":
            return Survival(lambda _: False, lambda _: False)
        case "all":
            return Survival(lambda _: True, lambda _: True)
        case "reordered":
            waiting = {change.index for file in files for change in file.pending}
            later = sorted(waiting | {naming.index for naming in namings})[1:]
            cut = rng.choice(later) if later else 0
            return Survival(lambda naming: naming.index >= cut, lambda change: change.index >= cut)
        case "random":
            chance = rng.choice((0.1, 0.5, 0.9))
            names = _random_namings(rng, namings, chance)
            return Survival(
                lambda naming: naming.index in names,
                lambda _: rng.random() < chance,
                grown=lambda: rng.random() < 0.25,
                tears=True,
            )


def _random_namings(rng: random.Random, namings: list[Naming], chance: float) -> set[int]:
    """Choose for each directory: its first so many changes, or any of them."""
    by_directory: defaultdict[Directory, list[int]] = defaultdict(list)
    for naming in namings:
        by_directory[naming.changes[-1][0]].append(naming.index)
    kept: set[int] = set()
    for indexes in by_directory.values():
        if rng.random() < 0.5:
            kept.update(indexes[: rng.randint(0, len(indexes))])
        else:
            kept.update(index for index in indexes if rng.random() < chance)
    return kept


def _content(file: File, survives: Survival) -> bytes:
    content = bytearray(file.durable)
    for change in file.pending:
        for piece in _pages(change) if survives.tears else [change]:
            if survives.content(piece):
                _change(content, [piece])
            elif isinstance(piece, Put) and survives.grown():
                _change(content, [Put(piece.index, max(len(content), piece.offset + len(piece.data)), b"")])
    return bytes(content)


def _pages(change: Put | Resize) -> Iterator[Put | Resize]:
    if isinstance(change, Resize):
        yield change
        return
    start, end = change.offset, change.offset + len(change.data)
    for page in range(start - start % PAGE_BYTES, end, PAGE_BYTES):
        piece = slice(max(page, start) - start, min(page + PAGE_BYTES, end) - start)
        yield Put(change.index, start + piece.start, change.data[piece])
