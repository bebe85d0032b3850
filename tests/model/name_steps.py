"""Steps on names, modes, times and extended attributes."""

import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from tests.model.tree import EventKind, Skipped, Tree, Value, visible
from tests.mount.syscalls import RENAME_EXCHANGE, RENAME_NOREPLACE
from tests.mount.syscalls import rename as rename_with_flags


@dataclass(frozen=True)
class Rename:
    old: str
    new: str
    flag: int = 0  # 0, RENAME_NOREPLACE or RENAME_EXCHANGE

    def run(self, tree: Tree) -> Value:
        old, new = tree.path(self.old), tree.path(self.new)
        _forbid_files_in_root(self.new, old)
        if self.flag == RENAME_EXCHANGE:
            _forbid_files_in_root(self.old, new)
        rename_with_flags(Path(old), Path(new), flags=self.flag)
        _note_named(tree, new)
        if self.flag == RENAME_EXCHANGE:
            _note_named(tree, old)
        return None


def rename_noreplace(old: str, new: str) -> Rename:
    return Rename(old, new, RENAME_NOREPLACE)


def exchange(old: str, new: str) -> Rename:
    return Rename(old, new, RENAME_EXCHANGE)


def _forbid_files_in_root(target: str, source: str) -> None:
    """The root of a mount holds jobs only; a plain directory would take a file there."""
    if "/" not in target and (os.path.islink(source) or not os.path.isdir(source)):
        raise Skipped


def _note_named(tree: Tree, path: str) -> None:
    if os.path.isfile(path) and not os.path.islink(path):
        tree.note(EventKind.NAMED, path)


@dataclass(frozen=True)
class Unlink:
    path: str

    def run(self, tree: Tree) -> Value:
        os.unlink(tree.path(self.path))
        return None


@dataclass(frozen=True)
class MakeDirectory:
    path: str
    mode: int = 0o755

    def run(self, tree: Tree) -> Value:
        os.mkdir(tree.path(self.path), self.mode)
        return None


@dataclass(frozen=True)
class RemoveDirectory:
    path: str

    def run(self, tree: Tree) -> Value:
        os.rmdir(tree.path(self.path))
        return None


@dataclass(frozen=True)
class RemoveTree:
    """`rm -r directory`."""

    path: str

    def run(self, tree: Tree) -> Value:
        shutil.rmtree(tree.path(self.path))
        return None


@dataclass(frozen=True)
class Symlink:
    target: str
    path: str

    def run(self, tree: Tree) -> Value:
        os.symlink(self.target, tree.path(self.path))
        return None


@dataclass(frozen=True)
class ReadLink:
    path: str

    def run(self, tree: Tree) -> Value:
        return os.readlink(tree.path(self.path))


@dataclass(frozen=True)
class List:
    path: str

    def run(self, tree: Tree) -> Value:
        with os.scandir(tree.path(self.path)) as entries:
            seen = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        return tuple(sorted(seen))


@dataclass(frozen=True)
class SyncDirectory:
    path: str

    def run(self, tree: Tree) -> Value:
        fd = os.open(tree.path(self.path), os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        return None


# --- attributes


@dataclass(frozen=True)
class Stat:
    path: str
    follow: bool = False

    def run(self, tree: Tree) -> Value:
        found = os.stat(tree.path(self.path), follow_symlinks=self.follow)
        links = found.st_nlink if stat.S_ISREG(found.st_mode) else 0
        return links, visible(tree, found)


@dataclass(frozen=True)
class ChangeMode:
    path: str
    mode: int

    def run(self, tree: Tree) -> Value:
        path = tree.path(self.path)
        is_directory = os.path.isdir(path)
        os.chmod(path, self.mode | 0o700 if is_directory else self.mode)
        tree.note(EventKind.NAMED, path)
        return None


@dataclass(frozen=True)
class SetTimes:
    """Explicit times for a positive `mtime_ns`, the clock's for 0."""

    path: str
    mtime_ns: int

    def run(self, tree: Tree) -> Value:
        path = tree.path(self.path)
        if self.mtime_ns:
            os.utime(path, ns=(self.mtime_ns + 1, self.mtime_ns))
        else:
            os.utime(path)
        tree.note(EventKind.NAMED, path)
        tree.note_times_set(path)
        return None


@dataclass(frozen=True)
class SetAttribute:
    path: str
    name: str
    value: bytes
    flag: int = 0  # 0, os.XATTR_CREATE or os.XATTR_REPLACE

    def run(self, tree: Tree) -> Value:
        path = tree.path(self.path)
        # Tags of a directory are inherited by all below it, which a plain directory does not do.
        if "." not in self.name.removeprefix("user.") and os.path.isdir(path):
            raise Skipped
        os.setxattr(path, self.name, self.value, self.flag)
        tree.note(EventKind.NAMED, path)
        return None


@dataclass(frozen=True)
class GetAttribute:
    path: str
    name: str

    def run(self, tree: Tree) -> Value:
        return os.getxattr(tree.path(self.path), self.name)


@dataclass(frozen=True)
class RemoveAttribute:
    path: str
    name: str

    def run(self, tree: Tree) -> Value:
        os.removexattr(tree.path(self.path), self.name)
        return None


@dataclass(frozen=True)
class ListAttributes:
    path: str

    def run(self, tree: Tree) -> Value:
        names = os.listxattr(tree.path(self.path))
        return tuple(sorted(name for name in names if name.startswith("user.")))
