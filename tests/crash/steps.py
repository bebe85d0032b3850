"""What a scenario does, step by step, and what must be true after each step.

A step knows two things: how to `perform` itself on a store, through the same calls as the handlers of the mount,
and what it means for the tree (`expect`), computed on plain values by whoever judges. Both sides make the same
list of steps, so a process that dies needs to say only how many of them were acknowledged.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Protocol

from mountfs.model import Entry, Kind, Standing
from mountfs.store.dropping import Condemned, Dropped
from mountfs.store.live import LiveFile
from mountfs.store.store import CarryOver as Carrying
from mountfs.store.store import Store
from mountfs.store.tree import Owner

OWNER = Owner(1000, 1000)


@cache
def plain(seed: int, length: int) -> bytes:
    """Bytes that every process makes alike: odd seeds compress, even ones do not."""
    rng = random.Random(seed)
    if seed % 2 == 0:
        return rng.randbytes(length)
    words = [rng.randbytes(6).hex().encode() + b" " for _ in range(50)]
    return b"".join(rng.choices(words, k=length // 13 + 1))[:length]


# ---- what is expected ----------------------------------------------------------------------------------------


@dataclass(eq=False, slots=True)
class Node:
    """One entry as it should be: `content` is what was acknowledged, `drafts` what was written since.

    A file whose last state was published by fsync, or that nobody has closed yet, may be found with anything that
    was written to it later, marked as recovered.
    """

    kind: int
    mode: int
    birth: int  # tells it from others that had its name
    content: bytes = b""
    closed: bool = True  # a close was acknowledged once
    provisional: bool = False  # the last to publish was not a close
    current: bytearray | None = None  # what readers see while it is open and changed
    drafts: list[bytes] = field(default_factory=list)
    tags: dict[str, bytes] = field(default_factory=dict)

    @property
    def recovered(self) -> bool:
        return self.provisional or not self.closed

    @property
    def standing(self) -> str:
        """As it is found by whoever opens the store after a death."""
        return Standing.RECOVERED if self.kind == Kind.FILE and self.recovered else Standing.CLOSED

    def copy(self) -> "Node":
        current = None if self.current is None else bytearray(self.current)
        return replace(self, current=current, drafts=list(self.drafts), tags=dict(self.tags))


class Model:
    """The tree as acknowledged, by path; open files keep their node when they are renamed or removed."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.open: dict[str, Node] = {}
        self.births = 0

    def new(self, kind: int, mode: int, content: bytes = b"") -> Node:
        self.births += 1
        return Node(kind, mode, self.births, content)

    def below(self, path: str) -> list[str]:
        return [other for other in self.nodes if other == path or other.startswith(path + "/")]

    def move(self, old: str, new: str) -> None:
        moved = {new + path[len(old) :]: self.nodes.pop(path) for path in self.below(old)}
        self.nodes.update(moved)

    def written(self, slot: str) -> bytearray:
        node = self.open[slot]
        if node.current is None:
            node.current = bytearray(node.content)
        return node.current

    def snapshot(self) -> dict[str, Node]:
        return {path: node.copy() for path, node in self.nodes.items()}


class World:
    """A store, and the files that the scenario has open in it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.open: dict[str, LiveFile] = {}

    def parent(self, path: str) -> tuple[int, bytes]:
        *parents, name = path.encode().split(b"/")
        return self.store.tree.walk(tuple(parents)).ino, name

    def entry(self, path: str) -> Entry:
        return self.store.tree.walk(tuple(path.encode().split(b"/")))


class Step(Protocol):
    def perform(self, world: World) -> None: ...

    def expect(self, model: Model) -> None: ...


def states(steps: list[Step]) -> list[dict[str, Node]]:
    """The tree after no step, after the first, … after all."""
    model = Model()
    made = [model.snapshot()]
    for step in steps:
        step.expect(model)
        made.append(model.snapshot())
    return made


# ---- names ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MakeDirectory:
    path: str

    def perform(self, world: World) -> None:
        world.store.tree.make_directory(*world.parent(self.path), 0o755, OWNER)

    def expect(self, model: Model) -> None:
        model.nodes[self.path] = model.new(Kind.DIRECTORY, 0o755)


@dataclass(frozen=True, slots=True)
class MakeSymlink:
    path: str
    target: str

    def perform(self, world: World) -> None:
        world.store.tree.make_symlink(*world.parent(self.path), self.target.encode(), OWNER)

    def expect(self, model: Model) -> None:
        model.nodes[self.path] = model.new(Kind.SYMLINK, 0o777, self.target.encode())


@dataclass(frozen=True, slots=True)
class Unlink:
    path: str

    def perform(self, world: World) -> None:
        world.store.tree.unlink(*world.parent(self.path))

    def expect(self, model: Model) -> None:
        del model.nodes[self.path]


@dataclass(frozen=True, slots=True)
class RemoveDirectory:
    path: str

    def perform(self, world: World) -> None:
        world.store.tree.remove_directory(*world.parent(self.path))

    def expect(self, model: Model) -> None:
        del model.nodes[self.path]


@dataclass(frozen=True, slots=True)
class Rename:
    old: str
    new: str

    def perform(self, world: World) -> None:
        world.store.tree.rename(*world.parent(self.old), *world.parent(self.new))

    def expect(self, model: Model) -> None:
        model.nodes.pop(self.new, None)
        model.move(self.old, self.new)


@dataclass(frozen=True, slots=True)
class Exchange:
    old: str
    new: str

    def perform(self, world: World) -> None:
        world.store.tree.rename(*world.parent(self.old), *world.parent(self.new), exchange=True)

    def expect(self, model: Model) -> None:
        model.move(self.old, "\0")
        model.move(self.new, self.old)
        model.move("\0", self.new)


@dataclass(frozen=True, slots=True)
class Tag:
    path: str
    key: str
    value: str

    def perform(self, world: World) -> None:
        world.store.attributes.set(world.entry(self.path).ino, f"user.{self.key}".encode(), self.value.encode())

    def expect(self, model: Model) -> None:
        model.nodes[self.path].tags[self.key] = self.value.encode()


@dataclass(frozen=True, slots=True)
class ChangeMode:
    path: str
    mode: int

    def perform(self, world: World) -> None:
        world.store.tree.set_attributes(world.entry(self.path).ino, mode=self.mode)

    def expect(self, model: Model) -> None:
        model.nodes[self.path].mode = self.mode


# ---- contents ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Create:
    slot: str
    path: str

    def perform(self, world: World) -> None:
        world.open[self.slot] = world.store.tree.create_file(*world.parent(self.path), 0o644, OWNER)

    def expect(self, model: Model) -> None:
        node = model.new(Kind.FILE, 0o644)
        node.closed, node.current = False, bytearray()
        model.nodes[self.path] = model.open[self.slot] = node


@dataclass(frozen=True, slots=True)
class Open:
    slot: str
    path: str
    truncate: bool = False

    def perform(self, world: World) -> None:
        entry = world.entry(self.path)
        world.open[self.slot] = world.store.files.open(entry, write=True, truncate=self.truncate)

    def expect(self, model: Model) -> None:
        node = model.open[self.slot] = model.nodes[self.path]
        if self.truncate:
            node.current = bytearray()
            _drafted(node)


def _drafted(node: Node) -> None:
    if node.current is not None and node.recovered:
        node.drafts.append(bytes(node.current))


@dataclass(frozen=True, slots=True)
class Write:
    slot: str
    offset: int
    seed: int
    length: int

    def perform(self, world: World) -> None:
        live, files = world.open[self.slot], world.store.files
        data = plain(self.seed, self.length)
        with live.lock:
            files.prepare_write(live, self.offset, len(data))
            files.write(live, self.offset, data)
            if live.draft is not None:
                files.note_new_draft(live)

    def expect(self, model: Model) -> None:
        content = model.written(self.slot)
        content.extend(bytes(max(0, self.offset - len(content))))
        content[self.offset : self.offset + self.length] = plain(self.seed, self.length)
        _drafted(model.open[self.slot])


@dataclass(frozen=True, slots=True)
class Resize:
    slot: str
    size: int

    def perform(self, world: World) -> None:
        live = world.open[self.slot]
        with live.lock:
            world.store.files.truncate(live, self.size)

    def expect(self, model: Model) -> None:
        content = model.written(self.slot)
        del content[self.size :]
        content.extend(bytes(self.size - len(content)))
        _drafted(model.open[self.slot])


@dataclass(frozen=True, slots=True)
class WorkBehind:
    """What a worker does beside the writer: hash and compress the chunks that are whole."""

    slot: str

    def perform(self, world: World) -> None:
        live = world.open[self.slot]
        if live.draft is not None:
            world.store.files.behind(live).advance_quietly(abandoned=lambda: False)

    def expect(self, model: Model) -> None: ...


@dataclass(frozen=True, slots=True)
class Close:
    """`flush`, then `release`; what is acknowledged is acknowledged by the first."""

    slot: str

    def perform(self, world: World) -> None:
        live = world.open[self.slot]
        with live.lock:
            world.store.files.publish(live, Standing.CLOSED)

    def expect(self, model: Model) -> None:
        node = model.open[self.slot]
        if node.current is not None:
            node.content = bytes(node.current)
        node.closed, node.provisional, node.current, node.drafts = True, False, None, []


@dataclass(frozen=True, slots=True)
class Release:
    slot: str

    def perform(self, world: World) -> None:
        live = world.open.pop(self.slot)
        with live.lock:
            world.store.files.release(live, write=True)

    def expect(self, model: Model) -> None:
        del model.open[self.slot]


@dataclass(frozen=True, slots=True)
class FileSync:
    """fsync(2) of an open file, as the mount answers it."""

    slot: str

    def perform(self, world: World) -> None:
        live = world.open[self.slot]
        with live.lock:
            world.store.files.publish(live, Standing.PROVISIONAL)
        sync(world.store, live.entry.parent)

    def expect(self, model: Model) -> None:
        node = model.open[self.slot]
        if node.current is not None:
            node.content = bytes(node.current)
            node.provisional = True
            node.current = None


@dataclass(frozen=True, slots=True)
class DirectorySync:
    path: str

    def perform(self, world: World) -> None:
        sync(world.store, world.entry(self.path).ino)

    def expect(self, model: Model) -> None: ...


def sync(store: Store, parent: int) -> None:
    """What `fuse.syncing` does for one who asks."""
    drafts = store.unsynced_drafts(parent)
    store.sync(drafts, store.journal.take_unsynced())


@dataclass(frozen=True, slots=True)
class Expire:
    """Retention takes the logs of a job, as a cleanup does: all of them, and the directories that are empty then."""

    job: str

    def perform(self, world: World) -> None:
        world.store.ledger.drain()
        world.store.indexer.catch_up()
        (report,) = (
            found
            for found in world.store.catalog.units.reports()
            if (found.job, found.type) == (self.job, "build-logs")
        )
        one = Condemned(report.job, report.type, report.published_ns, report.artifacts, "too old")
        for _ in world.store.dropping.drop([one], [], Dropped()):
            pass

    def expect(self, model: Model) -> None:
        for path in [path for path in model.below(self.job) if path.endswith(".log")]:
            del model.nodes[path]
            while (path := path.rpartition("/")[0]) and model.below(path) == [path]:
                del model.nodes[path]


# ---- behind the writers --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Settle:
    """Everything that is closed gets its final form, and what nobody needs goes."""

    def perform(self, world: World) -> None:
        world.store.settler.settle_all()

    def expect(self, model: Model) -> None: ...


@dataclass(frozen=True, slots=True)
class CarryOver:
    """Checkpoint, and let go of journal segments, as the daemon does when it is quiet."""

    truncate: bool = True

    def perform(self, world: World) -> None:
        carrying = Carrying(world.store)
        carrying.work(truncate=self.truncate)
        carrying.finish()

    def expect(self, model: Model) -> None: ...


@dataclass(frozen=True, slots=True)
class CloseStore:
    """The daemon ends in order."""

    def perform(self, world: World) -> None:
        world.store.settler.settle_all()
        world.store.close()

    def expect(self, model: Model) -> None: ...


def saved(path: str, seed: int, length: int, *, slot: str = "saving", fsync: bool = False) -> list[Step]:
    """Create, write, close: how most files come."""
    steps: list[Step] = [Create(slot, path)]
    for offset in range(0, length, 1 << 17):
        steps.append(Write(slot, offset, seed + offset, min(1 << 17, length - offset)))
    return [*steps, *([FileSync(slot)] if fsync else []), Close(slot), Release(slot)]


def replaced(path: str, seed: int, length: int, *, fsync: bool = False) -> list[Step]:
    """A save by temporary file and rename."""
    return [*saved(path + ".tmp", seed, length, fsync=fsync), Rename(path + ".tmp", path)]


def changed(path: str, steps: Callable[[str], list[Step]], *, slot: str = "changing") -> list[Step]:
    """Open an existing file, do `steps(slot)`, close it."""
    return [Open(slot, path), *steps(slot), Close(slot), Release(slot)]
