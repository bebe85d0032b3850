"""Steps on what files hold: through descriptors, whole, and through mappings."""

import os
import stat
import subprocess
from dataclasses import dataclass

from tests.model.steps import pattern, summary
from tests.model.tree import (
    EventKind,
    Mapping,
    Skipped,
    Tree,
    Value,
    can_write,
    forget_pages,
    kind_of,
    visible,
)
from tests.mount.syscalls import SharedMapping


def _write_all(fd: int, content: bytes) -> int:
    """Write like a program does: a short write is continued."""
    done = 0
    while done < len(content):
        done += os.write(fd, content[done:])
    return done


# --- handles


@dataclass(frozen=True)
class Open:
    slot: int
    path: str
    flags: tuple[str, ...]
    mode: int = 0o644

    def run(self, tree: Tree) -> Value:
        if self.slot in tree.handles:
            raise Skipped
        path = tree.path(self.path)
        if "/" not in self.path and "O_CREAT" in self.flags:
            raise Skipped  # the root of a mount holds jobs only
        existed = os.path.exists(path)
        flags = sum(getattr(os, name) for name in self.flags)
        fd = tree.handles[self.slot] = os.open(path, flags, self.mode)
        if not existed:
            tree.note(EventKind.CREATED, fd)
        elif "O_TRUNC" in self.flags:
            tree.note(EventKind.WROTE, fd)
        found = os.fstat(fd)
        return kind_of(found), found.st_size if stat.S_ISREG(found.st_mode) else 0


@dataclass(frozen=True)
class Close:
    slot: int

    def run(self, tree: Tree) -> Value:
        fd = tree.handle(self.slot)
        kind = EventKind.CLOSED if can_write(fd) else EventKind.PEEKED
        tree.note(kind, fd)
        os.close(tree.handles.pop(self.slot))
        return None


@dataclass(frozen=True)
class DuplicateAndClose:
    """What a shell redirection does: a flush while the file stays open."""

    slot: int

    def run(self, tree: Tree) -> Value:
        fd = tree.handle(self.slot)
        os.close(os.dup(fd))
        tree.note(EventKind.CLOSED if can_write(fd) else EventKind.PEEKED, fd)
        return None


@dataclass(frozen=True)
class ChildExits:
    """A child process ends, and with it its copies of all our descriptors: one flush for each."""

    def run(self, tree: Tree) -> Value:
        code = subprocess.run(["true"], close_fds=False, check=False).returncode
        tree.flushed_by_child()
        return code


@dataclass(frozen=True)
class Read:
    slot: int
    length: int

    def run(self, tree: Tree) -> Value:
        return summary(os.read(tree.handle(self.slot), self.length))


@dataclass(frozen=True)
class ReadAt:
    slot: int
    offset: int
    length: int

    def run(self, tree: Tree) -> Value:
        return summary(os.pread(tree.handle(self.slot), self.length, self.offset))


@dataclass(frozen=True)
class Write:
    slot: int
    length: int
    seed: int

    def run(self, tree: Tree) -> Value:
        fd = tree.handle(self.slot)
        done = os.write(fd, pattern(self.seed, self.length))
        tree.note(EventKind.WROTE, fd)
        return done, os.lseek(fd, 0, os.SEEK_CUR)


@dataclass(frozen=True)
class WriteAt:
    slot: int
    offset: int
    length: int
    seed: int

    def run(self, tree: Tree) -> Value:
        fd = tree.handle(self.slot)
        done = os.pwrite(fd, pattern(self.seed, self.length), self.offset)
        tree.note(EventKind.WROTE, fd)
        return done


@dataclass(frozen=True)
class Seek:
    slot: int
    offset: int
    from_end: bool

    def run(self, tree: Tree) -> Value:
        fd = tree.handle(self.slot)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise Skipped  # positions in a directory are each file system's own
        return os.lseek(fd, self.offset, os.SEEK_END if self.from_end else os.SEEK_SET)


@dataclass(frozen=True)
class TruncateHandle:
    slot: int
    size: int

    def run(self, tree: Tree) -> Value:
        fd = tree.handle(self.slot)
        os.ftruncate(fd, self.size)
        tree.note(EventKind.WROTE, fd)
        return os.fstat(fd).st_size


@dataclass(frozen=True)
class Sync:
    slot: int
    data_only: bool

    def run(self, tree: Tree) -> Value:
        fd = tree.handle(self.slot)
        (os.fdatasync if self.data_only else os.fsync)(fd)
        tree.note(EventKind.SYNCED, fd)
        return None


@dataclass(frozen=True)
class StatHandle:
    slot: int

    def run(self, tree: Tree) -> Value:
        return visible(tree, os.fstat(tree.handle(self.slot)))


@dataclass(frozen=True)
class ChangeModeOfHandle:
    slot: int
    mode: int

    def run(self, tree: Tree) -> Value:
        fd = tree.handle(self.slot)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise Skipped  # a directory without x would stop whoever is not root
        os.fchmod(fd, self.mode)
        tree.note(EventKind.NAMED, fd)
        return None


# --- whole files


@dataclass(frozen=True)
class WriteFile:
    """`cat x > file`."""

    path: str
    length: int
    seed: int

    def run(self, tree: Tree) -> Value:
        path = tree.path(self.path)
        existed = os.path.exists(path)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            if not existed:
                tree.note(EventKind.CREATED, fd)
            os.close(os.dup(fd))
            return _write_all(fd, pattern(self.seed, self.length))
        finally:
            os.close(fd)
            tree.note(EventKind.CLOSED, path)


@dataclass(frozen=True)
class Append:
    """`echo line >> file`."""

    path: str
    length: int
    seed: int

    def run(self, tree: Tree) -> Value:
        path = tree.path(self.path)
        existed = os.path.exists(path)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            if not existed:
                tree.note(EventKind.CREATED, fd)
            _write_all(fd, pattern(self.seed, self.length))
            return os.fstat(fd).st_size
        finally:
            os.close(fd)
            tree.note(EventKind.CLOSED, path)


@dataclass(frozen=True)
class Save:
    """What an editor does: a temporary file beside the target, closed, renamed over it."""

    path: str
    length: int
    seed: int

    def run(self, tree: Tree) -> Value:
        path = tree.path(self.path)
        temporary = path + ".tmp~"
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        tree.note(EventKind.CREATED, fd)
        _write_all(fd, pattern(self.seed, self.length))
        os.close(fd)
        tree.note(EventKind.CLOSED, temporary)
        try:
            os.rename(temporary, path)
        except OSError:
            os.unlink(temporary)
            raise
        return os.stat(path).st_size


@dataclass(frozen=True)
class ReadFile:
    """`cat file`, from the page cache or, `cold`, from the file system itself."""

    path: str
    cold: bool = False

    def run(self, tree: Tree) -> Value:
        path = tree.path(self.path)
        with open(path, "rb", buffering=0) as file:
            if self.cold:
                forget_pages(file.fileno())
            content = file.read()
        tree.note(EventKind.PEEKED, path)
        return summary(content)


@dataclass(frozen=True)
class TruncatePath:
    path: str
    size: int

    def run(self, tree: Tree) -> Value:
        path = tree.path(self.path)
        before = os.stat(path)
        if stat.S_ISREG(before.st_mode) and before.st_size == self.size:
            raise Skipped  # whether that touches the time is not the same everywhere
        os.truncate(path, self.size)
        tree.note(EventKind.WROTE, path)
        tree.note(EventKind.PEEKED if tree.is_open(before.st_ino) else EventKind.CLOSED, path)
        return os.stat(path).st_size


# --- mappings


@dataclass(frozen=True)
class Map:
    """Map a file shared and close its descriptor."""

    slot: int
    path: str

    def run(self, tree: Tree) -> Value:
        path = tree.path(self.path)
        if self.slot in tree.mappings:
            raise Skipped
        fd = os.open(path, os.O_RDWR)
        try:
            size = os.fstat(fd).st_size
            if size == 0:
                raise Skipped
            tree.mappings[self.slot] = Mapping(SharedMapping(fd, size), size, os.open(path, os.O_PATH))
        finally:
            os.close(fd)
        tree.note(EventKind.CLOSED, path)
        return size


@dataclass(frozen=True)
class StoreThroughMapping:
    slot: int
    offset: int
    length: int
    seed: int

    def run(self, tree: Tree) -> Value:
        mapping = tree.mapping(self.slot)
        _forbid_beyond_end(mapping, self.offset + self.length)
        mapping.memory.store(self.offset, pattern(self.seed, self.length))
        tree.note_stored_by_mapping(mapping.watch)
        tree.note(EventKind.MAPPED, mapping.watch)
        return None


@dataclass(frozen=True)
class LoadThroughMapping:
    slot: int
    offset: int
    length: int

    def run(self, tree: Tree) -> Value:
        mapping = tree.mapping(self.slot)
        _forbid_beyond_end(mapping, self.offset + self.length)
        return summary(mapping.memory.load(self.offset, self.length))


@dataclass(frozen=True)
class SyncMapping:
    slot: int

    def run(self, tree: Tree) -> Value:
        mapping = tree.mapping(self.slot)
        mapping.memory.sync()
        tree.note(EventKind.SYNCED, mapping.watch)
        return None


@dataclass(frozen=True)
class Unmap:
    slot: int

    def run(self, tree: Tree) -> Value:
        tree.mapping(self.slot)
        tree.mappings.pop(self.slot).close()
        return None


def _forbid_beyond_end(mapping: Mapping, end: int) -> None:
    """Touching a mapping beyond the end of its file is SIGBUS, not an answer."""
    if end > min(mapping.length, os.fstat(mapping.watch).st_size):
        raise Skipped
