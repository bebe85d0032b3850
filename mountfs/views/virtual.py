"""Virtual files: which there are, and what they say. Each is one JSON document, in the shapes of `--json`.

They are asked of the catalog beside whoever writes to it. Synchronous, on connections of its own: for a worker thread.
"""

import enum
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from mountfs import namespace
from mountfs.catalog import Catalog
from mountfs.catalog.search import Search
from mountfs.errors import Stale
from mountfs.model import ROOT_INO, SCHEMA, Artifact, Entry, Kind
from mountfs.namespace import TypeRules
from mountfs.store import figures
from mountfs.store.facts import Facts

PAGE: Final = 25
"""Artifacts that are looked at together, 3 ms; then whoever else wants the interpreter gets it."""
PAUSE_SECONDS: Final = 0.001
_ENCODER: Final = json.JSONEncoder(allow_nan=False)


class File(enum.IntEnum):
    """Kinds of virtual files. The number is part of their inode numbers."""

    STATS = 1
    METADATA = 2


IN_ROOT: Final = {b".stats.json": File.STATS}
IN_JOB: Final = {namespace.JOB_METADATA_NAME.encode(): File.METADATA}


@dataclass(frozen=True, slots=True)
class Most:
    """How much a document says of a job, whichever comes first. An artifact is 600 to 900 bytes."""

    artifacts: int = 10_000
    size_bytes: int = 16 << 20


@dataclass(frozen=True, slots=True)
class Said:
    """A document, and the keys of artifacts of which it does not know the digest yet."""

    document: bytes
    hashing: tuple[str, ...] = ()


class Telling:
    """What virtual files say. Raises CatalogError."""

    def __init__(self, path: Path, *, mountpoint: Path | None, types: TypeRules, most: Most | None = None) -> None:
        self._catalog = Catalog.open(path, read_only=True)
        self._search = Search.open(path)
        self._mountpoint = mountpoint
        self._facts = Facts(self._catalog, mountpoint=mountpoint, types=types)
        self._most = most or Most()

    def close(self) -> None:
        self._catalog.close()
        self._search.close()

    def stats(self, *, quota_bytes: int, state: Path) -> Said:
        """What `mountfs stats --compression --json` prints."""
        totals = figures.totals(self._catalog, quota_bytes=quota_bytes, mountpoint=self._mountpoint, state=state)
        return Said(_line({"schema": SCHEMA, **totals, "types": figures.by_type(self._search)}) + b"\n")

    def metadata(self, job: int, *, states: Mapping[str, str], until: float) -> Said:
        """A job and its artifacts, each as `mountfs show --json` prints it.

        Of very many it tells the first, in byte order of their paths: as many as are allowed, or found until the
        monotonic clock says `until`. `states` are those of jobs whose upload is under way or failed. Raises Stale where
        there is no such job.
        """
        entry = self._catalog.entry(job)
        if entry is None or entry.parent != ROOT_INO or entry.kind != Kind.DIRECTORY:
            raise Stale("the job has gone")
        self._facts.jobs = states
        lines: list[bytes] = []
        hashing: list[str] = []
        size = stored = length = 0
        for artifact in self._artifacts(entry):
            line = _line(artifact.fields())
            length += len(line)
            if len(lines) == self._most.artifacts or length > self._most.size_bytes or time.monotonic() > until:
                return Said(self._document(entry, lines, *self._catalog.sums_below(job)), tuple(hashing))
            lines.append(line)
            size, stored = size + artifact.size, stored + artifact.stored_size
            if artifact.is_being_hashed:
                hashing.append(artifact.key)
        return Said(self._document(entry, lines, len(lines), size, stored), tuple(hashing))

    def _artifacts(self, entry: Entry) -> Iterator[Artifact]:
        """In byte order of their paths, with pauses; each page is of one moment."""
        walk = self._facts.walk((entry.name,), entry, {}, recursive=True)
        while page := self._page(walk):
            yield from page
            time.sleep(PAUSE_SECONDS)

    def _page(self, walk: Iterator[Artifact]) -> list[Artifact]:
        with self._catalog.snapshot():
            return list(islice(walk, PAGE))

    def _document(self, entry: Entry, lines: list[bytes], count: int, size: int, stored: int) -> bytes:
        """One artifact a line, for those who read it with `grep`."""
        job = self._facts.artifact((entry.name,), entry, {})
        head = {
            "schema": SCHEMA,
            "job": job.job,
            "uri": job.uri,
            "tags": job.tags,
            "metadata": job.metadata,
            "pinned": job.pinned,
            "expires_at": job.expires_at,
            "created_at": job.created_at,
            "modified_at": job.modified_at,
            "count": count,
            "size_bytes": size,
            "stored_bytes": stored,
            "truncated": len(lines) < count,
        }
        return _line(head)[:-1] + b', "artifacts": [\n' + b",\n".join(lines) + b"\n]}\n"


def _line(fields: Mapping[str, object]) -> bytes:
    return _ENCODER.encode(fields).encode()
