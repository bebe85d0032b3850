"""What a settings file found in the working directory may say: it may be a stranger's, of a pull request.

It may set what changes nothing outside the checkout. Everything else, and reading the environment, needs
`mountfs config trust FILE`, which remembers this content at this path, so that a later change asks again.
"""

import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from mountfs.config.document import SIZE_MAX_BYTES, KeyPath, Tree
from mountfs.config.places import state_home
from mountfs.config.reading import settings_bytes
from mountfs.errors import ConfigError
from mountfs.namespace import layout_keys

STRANGER_KEYS: Final = ("mountpoint", "types", "tags", "layouts", "compression")
TELLING_TAGS: Final = frozenset({"branch", "status", "pr", "commit"})
"""Tags by which baselines are chosen: a pull request that set them would be the one to compare with."""
TRUSTED_MAX: Final = 1000
_FILE_MAX_BYTES: Final = 8 * 1024 * 1024


def forbidden_to_strangers(tree: Tree, path: Path) -> dict[KeyPath, str]:
    """What an untrusted file at `path` may not say: key and what is wrong. Looks at symlinks only."""
    found: dict[KeyPath, str] = {
        (key,): f"not for a file found in the working directory; allowed: {', '.join(STRANGER_KEYS)},"
        f" or all after `mountfs config trust {path}`"
        for key in tree
        if key not in STRANGER_KEYS
    }
    mountpoint = tree.get("mountpoint")
    if isinstance(mountpoint, str) and not _is_below(mountpoint, path.parent):
        found["mountpoint",] = (
            f"not a place below {path.parent}; allowed: a relative path, no '..', no symlink that leads out;"
            f" any after `mountfs config trust {path}`"
        )
    return found | {
        key: f"makes the tag {tag}, by which baselines are chosen: not for a file found in the working directory;"
        f" allowed: other tags, or all after `mountfs config trust {path}`"
        for key, tag in _telling_tags(tree)
    }


def _telling_tags(tree: Tree) -> Iterator[tuple[KeyPath, str]]:
    tags, layouts = tree.get("tags"), tree.get("layouts")
    for key in tags if isinstance(tags, Mapping) else ():
        if key in TELLING_TAGS:
            yield ("tags", key), key
    for number, layout in enumerate(layouts if isinstance(layouts, Sequence) else ()):
        for key in sorted(TELLING_TAGS & set(layout_keys(str(layout)))):
            yield ("layouts", number), key


def _is_below(mountpoint: str, directory: Path) -> bool:
    parts = mountpoint.split("/")
    if mountpoint.startswith(("/", "~")) or ".." in parts or "\0" in mountpoint:
        return False
    real = os.path.realpath(directory)
    target = os.path.realpath(os.path.join(real, mountpoint))
    return target.startswith(real.rstrip("/") + "/")


def trust(path: Path, *, environ: Mapping[str, str]) -> str:
    """Remember the content that `path` has now; answers its SHA-256."""
    entries = _read(environ)
    name, digest = _entry(path, _content(path))
    entries.pop(name, None)
    entries[name] = digest
    _write(dict(list(entries.items())[-TRUSTED_MAX:]), environ)
    return digest


def untrust(path: Path, *, environ: Mapping[str, str]) -> bool:
    """Forget `path`; says whether it was trusted, with whatever content."""
    entries = _read(environ)
    if entries.pop(os.path.realpath(path), None) is None:
        return False
    _write(entries, environ)
    return True


def is_trusted(path: Path, *, environ: Mapping[str, str], content: bytes | None = None) -> bool:
    """Whether this content at this path was trusted. Who has read the file passes what he read."""
    name, digest = _entry(path, _content(path) if content is None else content)
    return _read(environ).get(name) == digest


def _entry(path: Path, content: bytes) -> tuple[str, str]:
    return os.path.realpath(path), hashlib.sha256(content).hexdigest()


def _content(path: Path) -> bytes:
    content = settings_bytes(path)
    if len(content) > SIZE_MAX_BYTES:
        raise ConfigError(f"{path}: larger than a settings file can be; allowed: up to 1 MiB")
    return content


def _trusted_file(environ: Mapping[str, str]) -> Path:
    return state_home(environ) / "trusted"


def _read(environ: Mapping[str, str]) -> dict[str, str]:
    """Real path → SHA-256. A list that others could have written is not believed."""
    try:
        with open(_trusted_file(environ), "rb") as file:
            facts = os.fstat(file.fileno())
            if facts.st_uid != os.geteuid() or facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                return {}
            raw = file.read(_FILE_MAX_BYTES)
    except OSError:
        return {}
    entries = {}
    for line in raw.splitlines():
        with suppress(ValueError, KeyError, TypeError):
            entry = json.loads(line)
            entries[str(entry["path"])] = str(entry["sha256"])
    return entries


def _write(entries: dict[str, str], environ: Mapping[str, str]) -> None:
    file = _trusted_file(environ)
    text = "".join(json.dumps({"path": path, "sha256": digest}) + "\n" for path, digest in entries.items())
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _replace(file, text.encode())
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}; allowed: a state directory that can be written") from None


def _replace(file: Path, content: bytes) -> None:
    """All or nothing, and 0600 from the first moment, as mkstemp makes it."""
    descriptor, draft = tempfile.mkstemp(prefix=".trusted-", dir=file.parent)
    try:
        with open(descriptor, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        os.replace(draft, file)
    except OSError:
        with suppress(OSError):
            os.unlink(draft)
        raise
