"""What is known of an artifact, from its entry, its registers and its place in the tree. Reads only."""

import json
import urllib.parse
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from mountfs import namespace
from mountfs.catalog import Catalog
from mountfs.catalog.known import TOGETHER
from mountfs.catalog.reports import Told
from mountfs.model import ROOT_INO, Artifact, Codec, Content, Digest, Entry, Kind, Owed, Place, Standing, State
from mountfs.namespace import TypeRules
from mountfs.reports.model import Unknown, Unreadable
from mountfs.reports.wire import Summary
from mountfs.store.versions import number_of

EMPTY_DIGEST = Digest.of(b"")


class Placed(NamedTuple):
    """An entry, its names from the root down, and the tags of the directories above it."""

    names: tuple[bytes, ...]
    entry: Entry
    inherited: Mapping[str, str]


class _Rows(NamedTuple):
    """What belongs to entries; `numbers` of those that were written over."""

    contents: Mapping[int, Content]
    registers: Mapping[int, dict[str, bytes]]
    owed: Container[int]
    reports: Mapping[bytes, Told]
    mimes: Mapping[bytes, str]
    numbers: Mapping[int, int]


class Facts:
    """Answers about entries, from the catalog alone, so that a reader beside the daemon gives the same ones.

    `mountpoint` is where keys are paths, None when nothing is mounted; `types` are the settings' rules.
    """

    def __init__(self, catalog: Catalog, *, mountpoint: Path | None, types: TypeRules) -> None:
        self._catalog = catalog
        self._root = urllib.parse.quote(str(mountpoint)) if mountpoint else ""
        self._types = types
        self.jobs: Mapping[str, str] = {}  # states of jobs whose upload is under way or failed: a daemon knows them

    def artifact(self, names: tuple[bytes, ...], entry: Entry, inherited: Mapping[str, str]) -> Artifact:
        """All facts of one file or symlink. `inherited` are the tags of the directories above it."""
        return self.artifacts([Placed(names, entry, inherited)])[0]

    def artifacts(self, placed: Sequence[Placed]) -> list[Artifact]:
        """The same of many, in their order, with as many statements as of one."""
        rows = self._rows([one.entry for one in placed])
        return [self._artifact(one, rows) for one in placed]

    def _rows(self, entries: Sequence[Entry]) -> "_Rows":
        known, inos = self._catalog.known, [entry.ino for entry in entries]
        contents = known.contents([entry.content for entry in entries if entry.content is not None])
        digests = [content.digest for content in contents.values() if content.digest is not None]
        numbers = {entry.ino: number_of(self._catalog, entry) for entry in self._overwritten(entries)}
        return _Rows(
            contents, known.registers(inos), known.owed(inos), known.reports(digests), known.mimes(digests), numbers
        )

    def _overwritten(self, entries: Sequence[Entry]) -> list[Entry]:
        versioned = self._catalog.known.versioned([entry.ino for entry in entries])
        return [entry for entry in entries if entry.ino in versioned]

    def _artifact(self, placed: Placed, rows: "_Rows") -> Artifact:
        names, entry = placed.names, placed.entry
        content = None if entry.content is None else rows.contents.get(entry.content)
        registers = rows.registers.get(entry.ino, {})
        digest = digest_of(entry, content)
        told = None if content is None or content.digest is None else rows.reports.get(content.digest)
        return Artifact(
            key=namespace.join_key(names),
            job=_text(names[0]),
            path=_text(b"/".join(names[1:])),
            kind=Kind(entry.kind).name.lower(),
            type=self.type_of(names, registers.get("type"), told),
            mime_type=_mime(names[-1], registers.get("mime_type"), content, rows.mimes),
            size=entry.size,
            stored_size=content.stored if content else 0,
            sha256=digest.hex() if digest else None,
            codec=content.codec if content else Codec.RAW,
            state=self.state_of(entry, _text(names[0]), owes=entry.ino in rows.owed),
            created_at=iso(entry.birth_ns),
            modified_at=iso(entry.mtime_ns),
            expires_at=_text(registers["expires_at"]) if "expires_at" in registers else None,
            pinned=registers.get("pinned") == b"1",
            recovered=entry.standing == Standing.RECOVERED,
            version=rows.numbers.get(entry.ino, 1),
            uri=self.uri(names),
            tags={**placed.inherited, **tags_in(registers)},
            metadata=json.loads(registers["metadata"]) if "metadata" in registers else {},
            damaged=bool(content and content.damaged),
            format=format_of(told),
            summary=summary_of(told),
        )

    def state_of(self, entry: Entry, job: str, *, owes: bool) -> str:
        """Where the content stands on its way to the bucket, as rows say it; `owes`: the bucket lacks a register."""
        if entry.standing == Standing.PROVISIONAL:
            return State.DRAFT
        if entry.owed & Owed.ANY or owes:
            return self.jobs.get(job, State.LOCAL)
        return State.REMOTE if entry.owed & Owed.KNOWN else State.LOCAL

    def type_of(self, names: tuple[bytes, ...], explicit: bytes | None, told: Told | None = None) -> str:
        """What is said, by the name, or of what its content was `told` to be."""
        said = _text(explicit) if explicit is not None else None
        by_format = told.type if isinstance(told, Summary) else ""
        return self._types.type_of(names[1:], explicit=said, by_format=by_format)

    def told(self, content: Content | None) -> Told | None:
        """What a content says as a report; None where nobody has looked, or it may be none."""
        if content is None or content.digest is None:
            return None
        return self._catalog.reports.of_digest(content.digest)

    def mime_of(self, names: tuple[bytes, ...], explicit: bytes | None, content: Content | None) -> str:
        """What is said, by the name, or what the first bytes of its content tell."""
        seen = self._mimes([content] if content is not None else [])
        return _mime(names[-1], explicit, content, seen)

    def _mimes(self, contents: Iterable[Content]) -> Mapping[bytes, str]:
        return self._catalog.known.mimes([content.digest for content in contents if content.digest is not None])

    def uri(self, names: tuple[bytes, ...]) -> str:
        """`file://` and the path inside the mount; without a mount the path the key would have below `/`."""
        return f"file://{self._root}/{urllib.parse.quote(b'/'.join(names))}"

    # -- walking ------------------------------------------------------------------------------------------

    def find(self, names: tuple[bytes, ...]) -> Entry | None:
        entry = self._catalog.entry(ROOT_INO)
        for name in names:
            entry = self._catalog.child(entry.ino, name) if entry else None
        return entry

    def names_of(self, entry: Entry) -> tuple[bytes, ...]:
        """The names from the root down to an entry; () where it has none any more."""
        names = [entry.name]
        while entry.parent != ROOT_INO:
            above = self._catalog.entry(entry.parent)
            if above is None:
                return ()
            entry = above
            names.append(entry.name)
        return tuple(reversed(names))

    def inherited(self, names: tuple[bytes, ...]) -> dict[str, str]:
        """The tags that the directories above a path give to it; the nearest wins."""
        tags: dict[str, str] = {}
        ino: int = ROOT_INO
        for name in names[:-1]:
            entry = self._catalog.child(ino, name)
            if entry is None:
                break
            ino = entry.ino
            tags.update(tags_in(self._catalog.registers(ino, "tag:")))
        return tags

    def walk(
        self, names: tuple[bytes, ...], entry: Entry, inherited: Mapping[str, str], *, recursive: bool
    ) -> Iterator[Artifact]:
        """The artifacts at and below an entry, in byte order of their paths."""
        placed = self._placed(Placed(names, entry, inherited), recursive=recursive)
        while some := list(islice(placed, TOGETHER)):
            yield from self.artifacts(some)

    def _placed(self, at: Placed, *, recursive: bool) -> Iterator[Placed]:
        """A path may be 2,000 directories deep: more than calls may be."""
        if at.entry.kind != Kind.DIRECTORY:
            yield at
            return
        inside = [self._inside(at)]
        while inside:
            below = next(inside[-1], None)
            if below is None:
                inside.pop()
            elif below.entry.kind != Kind.DIRECTORY:
                yield below
            elif recursive:
                inside.append(self._inside(below))

    def _inside(self, at: Placed) -> Iterator[Placed]:
        tags = at.inherited
        if at.names:
            tags = {**tags, **tags_in(self._catalog.registers(at.entry.ino, "tag:"))}
        return (Placed((*at.names, child.name), child, tags) for child in self._children(at.entry.ino))

    def of_inos(self, inos: Sequence[int]) -> list[Artifact]:
        """The artifacts of these numbers, in their order; those that went are left out."""
        entries, ways = self._catalog.known.entries(inos), _Ways(self._catalog)
        placed = []
        for entry in (entries[ino] for ino in inos if ino in entries):
            above = ways.to(entry.parent)
            if above is not None:
                placed.append(Placed((*above.names, entry.name), entry, above.tags))
        return self.artifacts(placed)

    def _children(self, ino: int) -> Iterator[Entry]:
        after = b""
        while page := self._catalog.children(ino, after=after, limit=500):
            yield from page
            after = page[-1].name


class _Way(NamedTuple):
    """How one comes to a directory, and the tags that it gives to all in it."""

    names: tuple[bytes, ...]
    tags: Mapping[str, str]


class _Ways:
    """Each directory is asked for once: good for one moment."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._known: dict[int, _Way | None] = {ROOT_INO: _Way((), {})}

    def to(self, ino: int) -> _Way | None:
        """None where it has no way from the root any more."""
        unknown: list[Entry] = []
        while ino not in self._known:
            entry = self._catalog.entry(ino)
            if entry is None:
                self._known[ino] = None
                break
            unknown.append(entry)
            ino = entry.parent
        way = self._known[ino]
        for entry in reversed(unknown):
            way = self._known[entry.ino] = None if way is None else self._down(way, entry)
        return way

    def _down(self, above: _Way, entry: Entry) -> _Way:
        own = tags_in(self._catalog.registers(entry.ino, "tag:"))
        return _Way((*above.names, entry.name), {**above.tags, **own} if own else above.tags)


def _mime(name: bytes, explicit: bytes | None, content: Content | None, seen: Mapping[bytes, str]) -> str:
    """`seen`: what contents are, by their digests, where that is not plain text."""
    if explicit is not None:
        return _text(explicit)
    digest = None if content is None else content.digest
    return namespace.mime_by_name(name) or seen.get(digest or b"", namespace.PLAIN_TEXT)


def digest_of(entry: Entry, content: Content | None) -> Digest | None:
    """The digest of an entry's content; None while it is still being computed, or there is none to have."""
    if entry.kind == Kind.SYMLINK:
        return Digest.of(entry.target or b"")
    if entry.content is None:
        return EMPTY_DIGEST
    return content.digest if content is not None else None


def format_of(told: Told | None) -> str | None:
    """The format of a report, readable or not."""
    return None if told is None or isinstance(told, Unknown) or told.format == "unknown" else told.format


def summary_of(told: Told | None) -> dict[str, object] | None:
    """What the fact `summary` holds: numbers by name, or why there are none; never zeros in their place."""
    match told:
        case None:
            return None
        case Summary():
            return {"status": "parsed", "kind": told.kind, "schema": told.schema, "numbers": dict(told.numbers)}
        case Unreadable():
            return {"status": "unreadable", "reason": told.reason}
        case Unknown():
            return {"status": "unknown"}


def is_settled(content: Content | None) -> bool:
    return content is None or content.place in (Place.CATALOG, Place.FILE)


def tags_in(registers: Mapping[str, bytes]) -> dict[str, str]:
    return {name[4:]: _text(value) for name, value in registers.items() if name.startswith("tag:")}


def iso(time_ns: int) -> str:
    return _iso_of_second(time_ns // 1_000_000_000)


@lru_cache(maxsize=256)  # artifacts that were made together are told together
def _iso_of_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
