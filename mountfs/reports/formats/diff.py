"""Unified diffs, of git and of `diff -u`, also in a mail of `git format-patch`.

Lines are counted by the hunks' own numbers: a removed line that begins with `-- ` looks like a file's header.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from types import MappingProxyType
from typing import Final

from mountfs.reports.formats.kinds import TextFormat
from mountfs.reports.limits import Broken, Room
from mountfs.reports.model import Diff

_HUNK: Final = re.compile(r"@@ -\d{1,12}(?:,(\d{1,12}))? \+\d{1,12}(?:,(\d{1,12}))? @@")
_COMBINED: Final = re.compile(r"@@@+ -")
_FIRST: Final = re.compile(r"(diff |--- |Index: |From [0-9a-f]{40} |commit [0-9a-f]{40}|# HG changeset patch)")
_GIT: Final = re.compile(r'diff --git (?:"?a/.*) (?:"?b/(.*?)"?)$')
_FACTS: Final = re.compile(
    r"(@@ -\d|@@@+ -\d|Binary files |GIT binary patch|(new|deleted) file mode |old mode |rename |copy )"
    r"|index [0-9a-f]{7}"
)
_OCTAL: Final = re.compile(r"\\([0-7]{3})")


def _fits(lines: Sequence[str]) -> bool:
    told = [line for line in lines if line.strip()]
    if not told or not _FIRST.match(told[0]):
        return False
    named = any(_GIT.match(line) for line in told) or any(
        first.startswith("--- ") and second.startswith("+++ ") for first, second in itertools.pairwise(told)
    )
    return named and any(_FACTS.match(line) for line in told)


class _Reader:
    """Where a line stands decides what it is: in a hunk, whose numbers say when it ends, or between hunks."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._files: dict[str, tuple[int, int]] = {}
        self._path = ""
        self._old = ""
        self._left = (0, 0)
        self._empty = False  # a file was named by its `+++`, and no hunk came yet

    @property
    def in_hunk(self) -> bool:
        return self._left != (0, 0)

    def line(self, line: str) -> None:
        if self.in_hunk:
            self._hunk_line(line)
        elif hunk := _HUNK.match(line):
            self._left = (int(hunk[1] or "1"), int(hunk[2] or "1"))
            self._empty = False
        elif _COMBINED.match(line):
            raise Broken("is the combined diff of a merge, which counts no lines")
        elif line.startswith("@@") and self._empty:
            raise Broken("has a hunk that does not say which lines it is of")
        else:
            self._header(line)

    def _hunk_line(self, line: str) -> None:
        removed, added = self._left
        added_to, removed_from = self._files.get(self._path, (0, 0))
        match line[:1]:
            case "-":
                self._left, removed_from = (removed - 1, added), removed_from + 1
            case "+":
                self._left, added_to = (removed, added - 1), added_to + 1
            case " " | "":
                self._left = (removed - 1, added - 1)
            case "\\":
                return
            case _:
                raise Broken("has a hunk that is shorter than it says")
        if min(self._left) < 0:
            raise Broken("has a hunk that is longer than it says")
        self._files[self._path] = (added_to, removed_from)

    def _header(self, line: str) -> None:
        if git := _GIT.match(line):
            self._open(_unquoted(git[1]))
        elif line.startswith("--- "):
            self._old = _named(line)
        elif line.startswith("+++ "):
            new = _named(line)
            self._open(self._old if new == "/dev/null" else new)
            self._empty = True

    def _open(self, path: str) -> None:
        self._refuse_empty()
        if path not in self._files:
            self._room.take("files")
            path = self._room.name(path)
        self._path = path
        self._files.setdefault(path, (0, 0))

    def _refuse_empty(self) -> None:
        if self._empty:
            raise Broken("names a file that changed, and not how")

    def diff(self) -> Diff:
        if self.in_hunk:
            raise Broken("ends in the middle of a hunk")
        self._refuse_empty()
        return Diff(MappingProxyType(self._files))


def _named(line: str) -> str:
    """The path of a `---` or `+++` line, without git's `a/` and `b/` and the time that diff writes after a tab."""
    path = _unquoted(line[4:].partition("\t")[0].strip())
    return path[2:] if path.startswith(("a/", "b/")) else path


def _unquoted(path: str) -> str:
    """A path that git wrote in quotes, its bytes in octal."""
    if not path.startswith('"') and "\\" not in path:
        return path
    raw = _OCTAL.sub(lambda found: chr(int(found[1], 8) & 255), path.strip('"'))
    return raw.encode("latin-1", "replace").decode("utf-8", "replace") if "\\" in path else raw


def _parse(lines: Iterator[str], room: Room) -> Diff:
    reader = _Reader(room)
    for line in lines:
        reader.line(line)
    return reader.diff()


TEXT_FORMATS: Final = (TextFormat("diff", _fits, _parse),)
