"""Out of a store into ordinary files."""

import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from mountfs.api.keys import Names
from mountfs.api.pieces import PIECE_BYTES
from mountfs.catalog import Catalog
from mountfs.errors import EnvironmentProblem
from mountfs.model import Entry, Kind

PAGE = 500


class Copying:
    """Copies entries of one store; `opens` gives the content of a file."""

    def __init__(self, catalog: Catalog, opens: Callable[[Names, Entry], BinaryIO]) -> None:
        self._catalog = catalog
        self._opens = opens

    def copy(self, names: Names, entry: Entry, target: Path) -> int:
        """Copy an entry and all below it; how many files and symlinks that were. Raises EnvironmentProblem."""
        try:
            match Kind(entry.kind):
                case Kind.FILE:
                    self._copy_file(names, entry, target)
                case Kind.SYMLINK:
                    _make_symlink(entry.target or b"", target)
                case Kind.DIRECTORY:
                    return self._copy_directory(names, entry, target)
        except OSError as error:
            raise EnvironmentProblem(f"{error.filename or target}: {error.strerror}") from error
        return 1

    def _copy_directory(self, names: Names, entry: Entry, target: Path) -> int:
        target.mkdir(exist_ok=True)
        copied, after = 0, b""
        while page := self._catalog.children(entry.ino, after=after, limit=PAGE):
            after = page[-1].name
            copied += sum(self.copy((*names, e.name), e, target / os.fsdecode(e.name)) for e in page)
        os.chmod(target, entry.mode & 0o777)
        os.utime(target, ns=(entry.mtime_ns, entry.mtime_ns))
        return copied

    def _copy_file(self, names: Names, entry: Entry, target: Path) -> None:
        draft = _beside(target)
        try:
            with self._opens(names, entry) as content, open(draft, "xb") as out:
                shutil.copyfileobj(content, out, PIECE_BYTES)
                os.fchmod(out.fileno(), entry.mode & 0o777)
            os.utime(draft, ns=(entry.mtime_ns, entry.mtime_ns))
            os.replace(draft, target)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise


def _make_symlink(said: bytes, target: Path) -> None:
    draft = _beside(target)
    os.symlink(said, os.fsencode(draft))
    try:
        os.replace(draft, target)
    except OSError:
        draft.unlink()
        raise


def _beside(target: Path) -> Path:
    return target.with_name(f".get-{secrets.token_hex(8)}")
