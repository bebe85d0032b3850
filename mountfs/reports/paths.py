"""Paths as reports write them: of Linux, of Windows, and as `file://`."""

import itertools
import re
from collections.abc import Iterable
from typing import Final

_ABSOLUTE: Final = re.compile(r"(?:/|[A-Za-z]:[\\/])\S")
_WINDOWS: Final = re.compile(r"[A-Za-z]:\\")
_FILE_URI: Final = re.compile(r"^file:(//(localhost)?)?(?=/(?!/))|^file://", re.IGNORECASE)
_DRIVE: Final = re.compile(r"/?[A-Za-z]:/")


def is_absolute(path: str) -> bool:
    return _ABSOLUTE.match(path) is not None


def slashed(path: str) -> str:
    """With `/` between its parts, where it is an absolute path of Windows."""
    return path.replace("\\", "/") if _WINDOWS.match(path) else path


def plain_path(path: str) -> str:
    """A path as written, with `/` between its parts, and no `./` or `file://` before them: `/a/b`, `C:/a/b`, `a/b`."""
    path = _FILE_URI.sub("", path.replace("\\", "/"))
    return path[path.startswith("/") if _DRIVE.match(path) else 0 :].removeprefix("./")


def common_directory(directories: Iterable[str]) -> str:
    """The deepest directory that holds all of these; empty where it is `/`, or there is none."""
    parts = [directory.split("/") for directory in directories]
    if not parts:
        return ""
    ways = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(min(parts), max(parts), strict=False))
    return "/".join(one for one, _ in ways)
