"""The random walk: which step comes next, drawn so that most of them mean something.

Names come from a small pool, so that steps meet each other; most are taken from what exists. The same seed
gives the same walk as long as the reference behaves the same.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from tests.model import content_steps as content
from tests.model import name_steps as names
from tests.model import steps
from tests.model.steps import Step
from tests.model.tree import Tree, attributes_of

SLOTS = 5
MAPPINGS = 2
COMPARE_EVERY = 100

_JOBS = ("job-1", "job-2", "job-3")
_DIRECTORIES = ("d", "coverage")
_FILES = ("a", "b", "build.log", "coverage.xml", "caf\udce9 \n", "long" * 63)
_DEEPEST = 3
_FRAME = 1 << 20  # contents are cut into frames of this size: lengths around it find the seams
_MODES = (0o600, 0o644, 0o640, 0o666, 0o755, 0o700, 0o444)
_ATTRIBUTES = ("user.branch", "user.commit", "user.xdg.origin.url", "user.Model.Upper")
_FLAGS = (
    ("O_RDONLY",),
    ("O_RDWR",),
    ("O_RDWR", "O_CREAT"),
    ("O_RDWR", "O_CREAT", "O_EXCL"),
    ("O_RDWR", "O_APPEND"),
    ("O_RDWR", "O_CREAT", "O_TRUNC"),
    ("O_WRONLY",),
    ("O_WRONLY", "O_CREAT", "O_TRUNC"),
    ("O_WRONLY", "O_CREAT", "O_APPEND"),
    ("O_RDONLY", "O_TRUNC"),
    ("O_RDONLY", "O_NOFOLLOW"),
    ("O_RDONLY", "O_DIRECTORY"),
)

WEIGHTS: dict[str, float] = {
    "open": 10, "close": 6, "duplicate_and_close": 3, "child_exits": 1, "read": 4, "read_at": 6, "write": 7,
    "write_at": 8, "seek": 2, "truncate_handle": 4, "sync": 2, "stat_handle": 2, "change_mode_of_handle": 1,
    "write_file": 5, "append": 4, "save": 3, "read_file": 6, "truncate_path": 3,
    "map": 2, "store_through_mapping": 5, "load_through_mapping": 3, "sync_mapping": 2, "unmap": 1.5,
    "rename": 4, "rename_directory": 2, "rename_noreplace": 2, "exchange": 2, "unlink": 3, "unlink_open": 1,
    "make_directory": 4, "remove_directory": 2, "remove_tree": 0.5, "symlink": 2, "read_link": 1, "list": 2,
    "sync_directory": 0.5, "stat": 4, "change_mode": 2, "set_times": 3,
    "set_attribute": 4, "get_attribute": 2, "remove_attribute": 1.5, "list_attributes": 1,
    "settle": 0.5, "restart": 0.4, "kill": 0.4,
}  # fmt: skip
"""How often each is drawn, of their sum; the rarest happen more than 100 times in 50,000 steps."""


@dataclass
class Names:
    """What exists on the reference now, so that steps can be aimed at it."""

    files: list[str] = field(default_factory=list)
    directories: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, tree: Tree) -> "Names":
        found = cls()
        for job in sorted(os.listdir(tree.root)):
            if job.startswith(tree.prefix):
                found._collect(tree, job.removeprefix(tree.prefix))
        return found

    def _collect(self, tree: Tree, directory: str) -> None:
        self.directories.append(directory)
        with os.scandir(tree.path(directory)) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                name = f"{directory}/{entry.name}"
                if entry.is_symlink():
                    self.links.append(name)
                elif entry.is_dir():
                    self._collect(tree, name)
                else:
                    self.files.append(name)


class Walk:
    """Draws steps for the tree `reference`, looking at it before each."""

    def __init__(self, seed: int, reference: Tree, *, leave_out: frozenset[str] = frozenset()) -> None:
        self._random = Random(seed)
        self._reference = reference
        self._names = Names()
        self._drawn = 0
        self._weights = {name: weight for name, weight in WEIGHTS.items() if name not in leave_out}
        self._draw: dict[str, Callable[[], Step]] = {name: getattr(self, f"_{name}") for name in self._weights}

    def next(self) -> tuple[str, Step]:
        """The name under which the step is counted, and the step."""
        self._drawn += 1
        if self._drawn % COMPARE_EVERY == 0:
            return "compare", steps.Compare()
        self._names = Names.of(self._reference)
        name = self._random.choices(list(self._weights), list(self._weights.values()))[0]
        return name, self._draw[name]()

    # --- arguments

    def _chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def _any_path(self) -> str:
        """A name from the pool below some directory, whether it exists or not; never a job."""
        shallow = [path for path in self._names.directories if path.count("/") < _DEEPEST]
        parent = self._random.choice(shallow or list(_JOBS))
        return f"{parent}/{self._random.choice(_FILES if self._chance(0.8) else _DIRECTORIES)}"

    def _file(self, *, likely: float = 0.85) -> str:
        """Most often a file that exists, sometimes a link, sometimes anything."""
        if self._names.files and self._chance(likely):
            return self._random.choice(self._names.files)
        if self._names.links and self._chance(0.3):
            return self._random.choice(self._names.links)
        return self._any_path()

    def _directory(self) -> str:
        if self._names.directories and self._chance(0.9):
            return self._random.choice(self._names.directories)
        return self._random.choice(_JOBS) if self._chance(0.3) else self._any_path()

    def _new_directory(self) -> str:
        if self._chance(0.25):
            return self._random.choice(_JOBS)
        return f"{self._any_path().rpartition('/')[0]}/{self._random.choice(_DIRECTORIES)}"

    def _path(self) -> str:
        return self._directory() if self._chance(0.2) else self._file()

    def _open_slot(self, slots: dict[int, int]) -> int:
        return self._random.choice(list(slots)) if slots else 0

    def _handle(self) -> int:
        return self._open_slot(self._reference.handles)

    def _length(self) -> int:
        draw = self._random
        return draw.choices(
            (draw.randint(0, 200), draw.randint(1, 9_000), draw.randint(65_500, 65_570),
             draw.randint(65_000, 200_000), _FRAME + draw.randint(-3, 3)),
            (45, 35, 6, 10, 2),
        )[0]  # fmt: skip

    def _offset(self) -> int:
        draw = self._random
        return draw.choices(
            (0, draw.randint(0, 500), draw.randint(0, 20_000), draw.randint(60_000, 300_000),
             _FRAME + draw.randint(-200, 200), draw.randint(_FRAME, 3 * _FRAME)),
            (15, 25, 30, 15, 2, 2),
        )[0]  # fmt: skip

    def _seed(self) -> int:
        return self._random.randint(0, 999)

    # --- content

    def _open(self) -> Step:
        slot = self._random.randrange(SLOTS)
        path = self._directory() if self._chance(0.03) else self._file(likely=0.6)
        return content.Open(slot, path, self._random.choice(_FLAGS), self._random.choice(_MODES))

    def _close(self) -> Step:
        return content.Close(self._handle())

    def _duplicate_and_close(self) -> Step:
        return content.DuplicateAndClose(self._handle())

    def _child_exits(self) -> Step:
        return content.ChildExits()

    def _read(self) -> Step:
        return content.Read(self._handle(), self._length())

    def _read_at(self) -> Step:
        return content.ReadAt(self._handle(), self._offset(), self._length())

    def _write(self) -> Step:
        return content.Write(self._handle(), self._length(), self._seed())

    def _write_at(self) -> Step:
        return content.WriteAt(self._handle(), self._offset(), self._length(), self._seed())

    def _seek(self) -> Step:
        from_end = self._chance(0.3)
        return content.Seek(self._handle(), 0 if from_end else self._offset(), from_end)

    def _truncate_handle(self) -> Step:
        return content.TruncateHandle(self._handle(), self._offset())

    def _sync(self) -> Step:
        return content.Sync(self._handle(), data_only=self._chance(0.5))

    def _stat_handle(self) -> Step:
        return content.StatHandle(self._handle())

    def _change_mode_of_handle(self) -> Step:
        return content.ChangeModeOfHandle(self._handle(), self._random.choice(_MODES))

    def _write_file(self) -> Step:
        return content.WriteFile(self._file(likely=0.4), self._length(), self._seed())

    def _append(self) -> Step:
        return content.Append(self._file(), self._random.randint(0, 100), self._seed())

    def _save(self) -> Step:
        return content.Save(self._file(), self._length(), self._seed())

    def _read_file(self) -> Step:
        return content.ReadFile(self._file(), cold=self._chance(0.5))

    def _truncate_path(self) -> Step:
        return content.TruncatePath(self._file(), self._offset())

    def _map(self) -> Step:
        return content.Map(self._random.randrange(MAPPINGS), self._file())

    def _mapping_range(self) -> tuple[int, int, int]:
        slot = self._random.choice(list(self._reference.mappings) or [0])
        mapping = self._reference.mappings.get(slot)
        size = min(mapping.length, os.fstat(mapping.watch).st_size) if mapping else 0
        offset = self._random.randint(0, max(0, size - 1))
        return slot, offset, min(self._length(), size - offset)

    def _store_through_mapping(self) -> Step:
        return content.StoreThroughMapping(*self._mapping_range(), self._seed())

    def _load_through_mapping(self) -> Step:
        return content.LoadThroughMapping(*self._mapping_range())

    def _sync_mapping(self) -> Step:
        return content.SyncMapping(self._mapping_range()[0])

    def _unmap(self) -> Step:
        return content.Unmap(self._mapping_range()[0])

    # --- names

    def _rename(self) -> Step:
        return names.Rename(self._path(), self._file(likely=0.5))

    def _rename_directory(self) -> Step:
        return names.Rename(self._directory(), self._new_directory())

    def _rename_noreplace(self) -> Step:
        return names.rename_noreplace(self._path(), self._file(likely=0.3))

    def _exchange(self) -> Step:
        return names.exchange(self._path(), self._path())

    def _unlink(self) -> Step:
        if self._names.links and self._chance(0.2):
            return names.Unlink(self._random.choice(self._names.links))
        return names.Unlink(self._path())

    def _unlink_open(self) -> Step:
        """Unlink a file that has a handle, found by its inode."""
        open_inodes = {os.fstat(fd).st_ino for fd in self._reference.handles.values()}
        for path in self._names.files:
            if os.lstat(self._reference.path(path)).st_ino in open_inodes:
                return names.Unlink(path)
        return names.Unlink(self._file())

    def _make_directory(self) -> Step:
        return names.MakeDirectory(self._new_directory(), self._random.choice((0o755, 0o700, 0o775)))

    def _remove_directory(self) -> Step:
        return names.RemoveDirectory(self._directory())

    def _remove_tree(self) -> Step:
        return names.RemoveTree(self._directory())

    def _symlink(self) -> Step:
        # Never upward: from a directory that becomes a job it would reach into the root.
        target = self._random.choice((*_FILES[:4], "d/a", "coverage/b", "nowhere"))
        return names.Symlink(target, self._any_path())

    def _read_link(self) -> Step:
        return names.ReadLink(self._random.choice(self._names.links or [self._file()]))

    def _list(self) -> Step:
        return names.List(self._directory())

    def _sync_directory(self) -> Step:
        return names.SyncDirectory(self._directory())

    def _stat(self) -> Step:
        return names.Stat(self._path(), follow=self._chance(0.5))

    def _change_mode(self) -> Step:
        return names.ChangeMode(self._path(), self._random.choice(_MODES))

    def _set_times(self) -> Step:
        long_ago = self._random.randint(1, 9 * 10**17)
        return names.SetTimes(self._path(), long_ago if self._chance(0.8) else 0)

    def _attribute(self, path: str | None = None) -> str:
        """Any name; for a given path most often one that it has."""
        there = self._reference.path(path) if path else ""
        present = attributes_of(there) if os.path.isfile(there) and self._chance(0.8) else ()
        return self._random.choice([name for name, _ in present] or _ATTRIBUTES)

    def _file_with_attributes(self) -> str:
        """The first of a few files that has one."""
        few = [self._file() for _ in range(8)]
        there = [path for path in few if os.path.isfile(self._reference.path(path))]
        return next((path for path in there if attributes_of(self._reference.path(path))), few[0])

    def _set_attribute(self) -> Step:
        value = b"v%d" % self._seed() * self._random.randint(1, 40)
        flag = self._random.choice((0, 0, 0, os.XATTR_CREATE, os.XATTR_REPLACE))
        return names.SetAttribute(self._path(), self._attribute(), value, flag)

    def _get_attribute(self) -> Step:
        path = self._file_with_attributes() if self._chance(0.8) else self._path()
        return names.GetAttribute(path, self._attribute(path))

    def _remove_attribute(self) -> Step:
        path = self._file_with_attributes() if self._chance(0.5) else self._path()
        return names.RemoveAttribute(path, self._attribute(path))

    def _list_attributes(self) -> Step:
        return names.ListAttributes(self._path())

    # --- the file system

    def _settle(self) -> Step:
        return steps.Settle()

    def _restart(self) -> Step:
        return steps.Restart()

    def _kill(self) -> Step:
        return steps.Kill()
