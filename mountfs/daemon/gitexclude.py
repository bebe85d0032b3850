"""A mountpoint inside a git work tree is kept out of it: git would offer every artifact for adding."""

import contextlib
import os
import re
from pathlib import Path

_SPECIAL = re.compile(r"([\\*?\[\]])")


def exclude(mountpoint: Path) -> Path | None:
    """Name the mountpoint in its work tree's info/exclude; the file, or None where there was nothing to do."""
    tree = next((directory for directory in mountpoint.parents if os.path.lexists(directory / ".git")), None)
    common = _common_directory(tree / ".git") if tree is not None else None
    if tree is None or common is None:
        return None
    line = _pattern(mountpoint.relative_to(tree))
    file = common / "info" / "exclude"
    with contextlib.suppress(OSError):
        present = file.read_bytes() if file.exists() else b""
        if line in present.splitlines():
            return None
        file.parent.mkdir(exist_ok=True)
        with open(file, "ab") as out:
            out.write((b"" if not present or present.endswith(b"\n") else b"\n") + line + b"\n")
        return file
    return None  # a repository that is not ours to write: git is not what the mount depends on


def _pattern(path: Path) -> bytes:
    escaped = _SPECIAL.sub(r"\\\1", str(path))
    if escaped.endswith(" "):
        escaped = escaped[:-1] + "\\ "
    return os.fsencode(f"/{escaped}/")


def _common_directory(git: Path) -> Path | None:
    """The repository's own directory: of a linked work tree or a submodule `.git` is a file that leads there."""
    if git.is_dir():
        return git if (git / "HEAD").exists() else None
    try:
        said = git.read_text(errors="surrogateescape").strip()
        directory = git.parent / said.removeprefix("gitdir:").strip()
        common = directory / "commondir"
        if common.exists():
            directory = directory / common.read_text(errors="surrogateescape").strip()
    except OSError:
        return None
    return Path(os.path.normpath(directory)) if said.startswith("gitdir:") and directory.is_dir() else None
