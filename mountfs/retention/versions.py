"""Versions of one path: which contents of its history count, their numbers, and their names in `.versions/`.

A version's number is its rank by stamp (BUCKET.md, "History"), so every machine that has read the same records gives
the same numbers; a record that comes late takes its place, and later ones move up by one. The history begins with the
last `clear`: a file that was removed and made anew starts at 1. The newest is what the path holds now, unless that is
empty.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from mountfs.errors import NotFound
from mountfs.model import Digest

VIEW: Final = b".versions"
_DIGITS_MAX: Final = 9


@dataclass(frozen=True, slots=True)
class Written:
    """One content that the path was given. `digest` is None for what has no bytes to keep: empty files, symlinks."""

    stamp: str
    digest: Digest | None
    size: int = 0


@dataclass(frozen=True, slots=True)
class Version:
    """`stamp` is when this content came; writing the same again made nothing new."""

    number: int
    stamp: str
    digest: Digest
    size: int


def versions(history: Iterable[Written], *, clear: str = "") -> list[Version]:
    """The versions of a path, the oldest first, whatever the order and repetition of its records.

    What has no bytes counts for nothing, not even between two of the same content: merges do not carry it.
    """
    ordered = sorted(
        {(written.stamp, written.digest, written.size) for written in history if written.digest is not None}
    )
    ranked: list[Version] = []
    for stamp, digest, size in ordered:
        if stamp >= clear and makes_version(ranked[-1].digest if ranked else None, digest):
            ranked.append(Version(len(ranked) + 1, stamp, digest, size))
    return ranked


def makes_version(before: Digest | None, after: Digest) -> bool:
    """Whether content that follows `before` is a version of its own: not when it is the same."""
    return before != after


def superseded(history: Iterable[Written], *, clear: str = "") -> list[Version]:
    """The versions whose content is kept for their own sake: all but what the path holds now."""
    history = list(history)
    ranked = versions(history, clear=clear)
    last = max(history, key=lambda written: (written.stamp, written.digest or b""), default=None)
    is_held = bool(ranked) and last is not None and last.digest == ranked[-1].digest
    return ranked[:-1] if is_held else ranked


# -- names ----------------------------------------------------------------------------------------------------


def version_name(number: int) -> bytes:
    """The last part of `.versions/<job>/<path>/<n>`."""
    return b"%d" % number


def parse_version(name: bytes) -> int | None:
    """Inverse of `version_name`; None for what it never makes: `0`, `01`, `+1`."""
    is_number = name.isdigit() and len(name) <= _DIGITS_MAX and not name.startswith(b"0")
    return int(name) if is_number else None


@dataclass(frozen=True, slots=True)
class Below:
    """A directory of the view that stands for the root, a job or a directory in it: it lists what has versions."""

    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class AllOf:
    """A directory of the view that stands for a file: it lists the numbers of its versions."""

    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class One:
    """A regular read-only file: one version."""

    path: tuple[bytes, ...]
    number: int


Place = Below | AllOf | One


def place_of(parts: Sequence[bytes], *, is_file: Callable[[tuple[bytes, ...]], bool]) -> Place:
    """What the names below `.versions` stand for; the artifact comes first, its number after it.

    `is_file` says whether there is a file at job and path. Raises NotFound for what can never be there.
    """
    for depth in range(2, len(parts) + 1):
        path = tuple(parts[:depth])
        if is_file(path):
            return _of_file(path, parts[depth:])
    return Below(tuple(parts))


def _of_file(path: tuple[bytes, ...], rest: Sequence[bytes]) -> Place:
    if not rest:
        return AllOf(path)
    number = parse_version(rest[0])
    if number is None or len(rest) > 1:
        raise NotFound("a version is a number after the path of its artifact: .versions/JOB/PATH/1")
    return One(path, number)


def version_path(path: Sequence[bytes], number: int) -> tuple[bytes, ...]:
    """`.versions/<job>/<path>/<n>` as names."""
    return (VIEW, *path, version_name(number))
