"""From names to entries: by their keys, by how they begin, and through symlinks. With the lock of the route."""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from mountfs import namespace
from mountfs.api.keys import Names
from mountfs.api.routes import Route
from mountfs.errors import InvalidArgument, NotADirectory, NotFound
from mountfs.model import ROOT_INO, Artifact, Entry, Kind

LINKS_MAX: Final = 40
PAGE: Final = 500
JOBS_AT_ONCE: Final = 16  # that a listing of all looks at together


class Ways(Route):
    """See the module's docstring."""

    def _artifact(self, names: Names) -> Artifact:
        entry = self._facts.find(names)
        if entry is None:
            self._be_sure(names[0])
            raise NotFound(f"not found: {namespace.join_key(names)}")
        artifact = self._facts.artifact(names, entry, self._facts.inherited(names))
        return replace(artifact, sha256=None) if entry.kind == Kind.DIRECTORY else artifact

    def _below(self, names: Names, *, recursive: bool) -> Iterator[Artifact]:
        """What `list` answers. Runs with the lock between two artifacts."""
        if not names:
            yield from self._jobs(b"") if recursive else ()
            return
        self._look(names[:1])
        self._refresh()
        entry = self._facts.find(names)
        if entry is not None:
            yield from self._facts.walk(names, entry, self._facts.inherited(names), recursive=recursive)
        elif len(names) == 1:
            yield from self._jobs(names[0], recursive=recursive)
        else:
            yield from self._named(names, recursive=recursive)

    def _named(self, names: Names, *, recursive: bool) -> Iterator[Artifact]:
        """Entries of one directory whose names begin so."""
        self._be_sure(names[0])
        directory = self._facts.find(names[:-1])
        for page in self._begins_with(directory.ino, names[-1]) if directory else ():
            for child in page:
                found = (*names[:-1], child.name)
                yield from self._facts.walk(found, child, self._facts.inherited(found), recursive=recursive)

    def _jobs(self, prefix: bytes, *, recursive: bool = True) -> Iterator[Artifact]:
        """All below the jobs whose names begin so; some of them are looked at together, as far as somebody asks."""
        self._look_at_root()
        self._refresh()
        for page in self._begins_with(ROOT_INO, prefix):
            jobs = [child.name for child in page]
            self._look(jobs)
            self._refresh()
            for job in jobs:
                entry = self._facts.find((job,))
                if entry is not None:
                    yield from self._facts.walk((job,), entry, {}, recursive=recursive)

    def _begins_with(self, directory: int, prefix: bytes) -> Iterator[Sequence[Entry]]:
        after, limit = prefix, JOBS_AT_ONCE if directory == ROOT_INO else PAGE
        while page := self._catalog.children(directory, after=after, limit=limit):
            yield [child for child in page if child.name.startswith(prefix)]
            after = page[-1].name
            if not after.startswith(prefix):
                return

    def _resolved(self, names: Names) -> tuple[Names, Entry]:
        """The entry at the end of all symlinks. One that leads out of the store is not followed: NotFound."""
        key = namespace.join_key(names)
        self._look(names[:1])
        self._refresh()
        root = self._catalog.entry(ROOT_INO)
        assert root is not None
        way: deque[tuple[bytes, Entry]] = deque()
        ahead, links = deque(names), 0
        while ahead:
            name = ahead.popleft()
            directory = way[-1][1] if way else root
            if directory.kind != Kind.DIRECTORY:
                raise NotADirectory(f"{key}: not a directory: {os.fsdecode(directory.name)}")
            if name == b"..":
                if not way:
                    raise NotFound(f"{key}: a symlink that leads out of the store")
                way.pop()
                continue
            if directory is root and links:
                self._look([name])
                self._refresh()
            entry = directory if name in (b"", b".") else self._catalog.child(directory.ino, name)
            if entry is None:
                self._be_sure(way[0][0] if way else name)
                raise NotFound(f"not found: {key}")
            if entry.kind == Kind.SYMLINK:
                links += 1
                if links > LINKS_MAX:
                    raise InvalidArgument(f"{key}: more than {LINKS_MAX} symlinks")
                target = self._inside(entry.target or b"", key)
                if target.startswith(b"/"):
                    way.clear()
                ahead.extendleft(reversed(target.split(b"/")))
            elif entry is not directory:
                way.append((name, entry))
        return tuple(name for name, _ in way), way[-1][1] if way else root

    def _inside(self, target: bytes, key: str) -> bytes:
        """A symlink's target, absolute ones from the root of the store."""
        if not target.startswith(b"/"):
            return target
        mountpoint = os.fsencode(self.mountpoint)
        if not target.startswith(mountpoint + b"/"):
            raise NotFound(f"{key}: a symlink that leads out of the store")
        return target[len(mountpoint) :]
