"""Out of a store into ordinary files.

What is copied may be a stranger's, and so may be what lies where it goes: below the target no symlink is followed.
"""

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

from mountfs.api.keys import Names
from mountfs.api.pieces import PIECE_BYTES, umask
from mountfs.catalog import Catalog
from mountfs.descent import Descent
from mountfs.errors import AlreadyExists, EnvironmentProblem, IsADirectory, NotADirectory
from mountfs.model import Entry, Kind

PAGE = 500


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an entry goes: a name in an open directory. `path` is for sentences only."""

    directory: int
    path: Path

    @property
    def name(self) -> str:
        return self.path.name


@dataclass(frozen=True, slots=True)
class _Inside:
    """A directory of the store that one is in: its names there, where it goes, and what of it is still to come."""

    names: Names
    entry: Entry
    path: Path
    children: Iterator[Entry]

    def place_of(self, child: Entry, way: Descent) -> _Place:
        """Where a child goes; one is in the directory."""
        with _translated(self.path):
            return _Place(way.here, self.path / os.fsdecode(child.name))


@dataclass(slots=True)
class Progress:
    """How far a copy is: artifacts, and the plain bytes of all of them."""

    artifacts: int = 0
    done_bytes: int = 0
    total_bytes: int = 0


Told: TypeAlias = Callable[[Progress], None]


class Copying:
    """Copies entries of one store; `opens` gives the content of a file, `told` hears how far it is.

    `only`: of a directory nothing else but these entries, named by their numbers with the directories on the way.
    """

    def __init__(
        self,
        catalog: Catalog,
        opens: Callable[[Names, Entry], BinaryIO],
        *,
        only: Container[int] | None = None,
        told: Told | None = None,
    ) -> None:
        self._catalog = catalog
        self._opens = opens
        self._only = only
        self._told = told
        self._progress = Progress()
        self._replace = True

    def copy(self, names: Names, entry: Entry, target: Path, *, replace: bool = True) -> int:
        """Copy an entry and all below it; how many files and symlinks that were.

        A device or FIFO is written into, any other file replaced; without `replace` nothing is written where one is in
        the way. Raises EnvironmentProblem, NotADirectory, IsADirectory, AlreadyExists.
        """
        if target.name in ("", ".."):
            target = target.resolve()
        self._replace = replace
        self._progress = Progress(total_bytes=self._bytes_of(entry) if self._told is not None else 0)
        if entry.kind == Kind.FILE and _is_written_into(target):
            with _translated(target), self._opens(names, entry) as content:
                _pour(content, target)
            return 1
        with _directory_of(target) as directory, Descent(directory) as way:
            place = _Place(directory, target)
            if not replace and self._is_there(entry, place):
                self._refuse_what_is_in_the_way(entry, target, way)
            if entry.kind == Kind.DIRECTORY:
                return self._copy_tree(names, entry, target, way)
            self._copy_one(names, entry, place)
            return 1

    def _refuse_what_is_in_the_way(self, entry: Entry, target: Path, way: Descent) -> None:
        """Before anything is written: where directories of that name exist all below is looked at."""
        inside = [self._into((), entry, target, way)]
        while inside:
            child = next(inside[-1].children, None)
            if child is None:
                inside.pop()
                way.up()
                continue
            place = inside[-1].place_of(child, way)
            if self._is_there(child, place):
                inside.append(self._into((), child, place.path, way))

    def _is_there(self, entry: Entry, place: _Place) -> bool:
        """Whether the directory that is to be there is one already. Raises AlreadyExists and the like."""
        with _translated(place.path):
            found = _mode(place.name, place.directory)
        if found is None:
            return False
        if entry.kind != Kind.DIRECTORY:
            _refuse(found, place.path, replace=False)
        elif not stat.S_ISDIR(found):
            raise _no_directory(place.path)
        return True

    def files(self, entry: Entry) -> Iterator[int]:
        """What a copy is going to open, in that order."""
        return (found.ino for found in self._all(entry) if found.kind == Kind.FILE)

    def _bytes_of(self, entry: Entry) -> int:
        return sum(found.size for found in self._all(entry) if found.kind != Kind.DIRECTORY)

    def _all(self, entry: Entry) -> Iterator[Entry]:
        """An entry and all below it: a directory before what is in it."""
        inside = [iter([entry])]
        while inside:
            found = next(inside[-1], None)
            if found is None:
                inside.pop()
                continue
            yield found
            if found.kind == Kind.DIRECTORY:
                inside.append(self._children(found))

    def _children(self, entry: Entry) -> Iterator[Entry]:
        after = b""
        while page := self._catalog.children(entry.ino, after=after, limit=PAGE):
            after = page[-1].name
            yield from (child for child in page if self._only is None or child.ino in self._only)

    def _copy_tree(self, names: Names, entry: Entry, target: Path, way: Descent) -> int:
        """A stack, and no function that calls itself: a path may be 2,000 directories deep."""
        copied = 0
        inside = [self._made(names, entry, _Place(way.here, target), way)]
        while inside:
            child = next(inside[-1].children, None)
            if child is None:
                self._leave(inside.pop(), way)
                continue
            names, place = (*inside[-1].names, child.name), inside[-1].place_of(child, way)
            if child.kind == Kind.DIRECTORY:
                inside.append(self._made(names, child, place, way))
            else:
                self._copy_one(names, child, place)
                copied += 1
        return copied

    def _made(self, names: Names, entry: Entry, place: _Place, way: Descent) -> _Inside:
        """In the directory, made where it is missing."""
        with _translated(place.path), contextlib.suppress(FileExistsError):
            os.mkdir(place.name, dir_fd=place.directory)
        return self._into(names, entry, place.path, way)

    def _into(self, names: Names, entry: Entry, path: Path, way: Descent) -> _Inside:
        """In a directory that is there. Raises NotADirectory: also a symlink to one is none."""
        with _translated(path):
            try:
                way.down(path.name)
            except OSError as error:
                if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                    raise
                raise _no_directory(path) from error
        return _Inside(names, entry, path, self._children(entry))

    def _leave(self, inside: _Inside, way: Descent) -> None:
        """All of it is there: now its mode and time, which who writes into it changes."""
        entry = inside.entry
        with _translated(inside.path):
            directory = way.here
            kept = os.fstat(directory).st_mode & 0o7000  # of the directory that was there, or inherited; never stored
            os.fchmod(directory, kept | (entry.mode & 0o777 & ~umask()))
            os.utime(directory, ns=(entry.mtime_ns, entry.mtime_ns))
        way.up()

    def _copy_one(self, names: Names, entry: Entry, place: _Place) -> None:
        with _translated(place.path):
            if entry.kind == Kind.SYMLINK:
                with _replaced(place, replace=self._replace) as draft:
                    os.symlink(entry.target or b"", os.fsencode(draft), dir_fd=place.directory)
            else:
                self._copy_file(names, entry, place)
        self._tell(artifacts=1)

    def _tell(self, *, artifacts: int = 0, done_bytes: int = 0) -> None:
        self._progress.artifacts += artifacts
        self._progress.done_bytes += done_bytes
        if self._told is not None:
            self._told(self._progress)

    def _copy_file(self, names: Names, entry: Entry, place: _Place) -> None:
        with self._opens(names, entry) as content, _replaced(place, replace=self._replace) as draft:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with open(os.open(draft, flags, 0o666, dir_fd=place.directory), "wb") as out:
                while piece := content.read(PIECE_BYTES):
                    out.write(piece)
                    self._tell(done_bytes=len(piece))
                out.flush()
                os.fchmod(out.fileno(), entry.mode & 0o777)
                os.utime(out.fileno(), ns=(entry.mtime_ns, entry.mtime_ns))


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EnvironmentProblem(f"{path}: {error.strerror}") from error


def _is_written_into(target: Path) -> bool:
    """Whether it exists and is no file to replace: a device, a FIFO, and what `/dev/stdout` is a name of."""
    try:
        mode = target.stat().st_mode
        return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) or os.readlink(target).startswith("/proc/self/fd/")
    except OSError:
        return False


def _pour(content: BinaryIO, target: Path) -> None:
    with open(os.open(target, os.O_WRONLY | os.O_CLOEXEC), "wb") as out:
        shutil.copyfileobj(content, out, PIECE_BYTES)


@contextlib.contextmanager
def _directory_of(target: Path) -> Iterator[int]:
    try:
        directory = os.open(target.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise EnvironmentProblem(
            f"there is no directory {target.parent}: make it first (mkdir -p), or choose another place"
        ) from error
    except OSError as error:
        raise EnvironmentProblem(f"{target.parent}: {error.strerror}; choose another place") from error
    try:
        yield directory
    finally:
        os.close(directory)


def _no_directory(path: Path) -> NotADirectory:
    return NotADirectory(
        f"{path} is in the way of a directory: a symlink is not followed, a file not replaced; "
        "move it away, or choose another place"
    )


@contextlib.contextmanager
def _replaced(place: _Place, *, replace: bool) -> Iterator[str]:
    """A name to create, which then takes the place's name in one step."""
    found = _mode(place.name, place.directory)
    if found is not None:
        _refuse(found, place.path, replace=replace)
    draft = f".get-{secrets.token_hex(8)}"
    try:
        yield draft
        os.replace(draft, place.name, src_dir_fd=place.directory, dst_dir_fd=place.directory)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft, dir_fd=place.directory)
        raise


def _mode(path: str | Path, directory: int | None = None) -> int | None:
    """Of what is there itself, a symlink too; None where nothing is."""
    try:
        return os.stat(path, dir_fd=directory, follow_symlinks=False).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None


def _refuse(mode: int, path: Path, *, replace: bool) -> None:
    """What is never replaced; and, without `replace`, what would be."""
    if stat.S_ISDIR(mode):
        raise IsADirectory(f"{path} is a directory, and a file is not put in its place: move it away")
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        raise AlreadyExists(f"{path} is a device, socket or FIFO, which is not replaced: move it away")
    if not replace:
        raise AlreadyExists(f"{path} is in the way: move it away, choose another place, or say --force")
