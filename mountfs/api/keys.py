"""What callers may write where a key is meant: a key, a uri, or an absolute path inside the mount (F-020, F-021)."""

import os
import urllib.parse
from pathlib import Path
from typing import TypeAlias

from mountfs import namespace
from mountfs.errors import InvalidName

Key: TypeAlias = str | os.PathLike[str]
Names: TypeAlias = tuple[bytes, ...]


def names_of(key: Key, mountpoint: Path) -> Names:
    """The names from the job down. Raises InvalidName, NameTooLong."""
    text = _unquoted(os.fspath(key))
    if text.startswith("/"):
        text = _below(text, mountpoint)
    return namespace.split_key(namespace.normalize_key(text))


def prefix_of(key: Key, mountpoint: Path) -> Names:
    """As `names_of`; the empty key, and the mountpoint itself, mean everything."""
    text = os.fspath(key)
    if text in ("", ".", "/") or text.rstrip("/") == str(mountpoint):
        return ()
    return names_of(text, mountpoint)


def writable_names_of(key: Key, mountpoint: Path) -> Names:
    """The names of an artifact that may be stored. Raises Protected too."""
    names = names_of(key, mountpoint)
    namespace.check_job_name(names[0])
    if len(names) < 2:
        raise InvalidName(f"{os.fspath(key)}: an artifact's key is <job>/<name>; the root holds jobs only")
    return names


def _unquoted(text: str) -> str:
    scheme, separator, rest = text.partition("://")
    if not separator or "/" in scheme:
        return text
    if scheme != "file":
        raise InvalidName(f"{text}: {scheme}:// is no place of this store; allowed: a key, or file:// below the mount")
    host, slash, path = rest.partition("/")
    if host not in ("", "localhost"):
        raise InvalidName(f"{text}: a file:// uri of another machine")
    return slash + urllib.parse.unquote(path, errors="surrogateescape")


def _below(path: str, mountpoint: Path) -> str:
    root = f"{mountpoint}/"
    if path.startswith(root):
        return path[len(root) :]
    head, tail = os.path.split(path)
    real = f"{os.path.realpath(head)}/{tail}"
    if real.startswith(root) and ".." not in path.split("/"):
        return real[len(root) :]
    raise InvalidName(f"{path}: an absolute path outside the mount {mountpoint}")
