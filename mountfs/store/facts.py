"""What is known of an artifact, from its entry, its registers and its place in the tree. Reads only."""

import json
import urllib.parse
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from mountfs import namespace
from mountfs.catalog import Catalog
from mountfs.catalog.reports import Told
from mountfs.model import ROOT_INO, Artifact, Codec, Content, Digest, Entry, Kind, Owed, Place, Standing, State
from mountfs.namespace import TypeRules
from mountfs.reports.model import Unknown, Unreadable
from mountfs.reports.wire import Summary
from mountfs.store.versions import number_of

EMPTY_DIGEST = Digest.of(b"")


class Facts:
    """Answers about entries, from the catalog alone, so that a reader beside the daemon gives the same ones.

    `mountpoint` is where keys are paths, None when nothing is mounted; `types` are the settings' rules.
    """

    def __init__(self, catalog: Catalog, *, mountpoint: Path | None, types: TypeRules) -> None:
        self._catalog = catalog
        self._mountpoint = mountpoint
        self._types = types
        self.jobs: Mapping[str, str] = {}  # states of jobs whose upload is under way or failed: a daemon knows them

    def artifact(self, names: tuple[bytes, ...], entry: Entry, inherited: Mapping[str, str]) -> Artifact:
        """All facts of one file or symlink. `inherited` are the tags of the directories above it."""
        content = self._catalog.content(entry.content) if entry.content is not None else None
        registers = self._catalog.registers(entry.ino)
        digest = digest_of(entry, content)
        told = self.told(content)
        return Artifact(
            key=namespace.join_key(names),
            job=_text(names[0]),
            path=_text(b"/".join(names[1:])),
            kind=Kind(entry.kind).name.lower(),
            type=self.type_of(names, registers.get("type"), told),
            mime_type=self.mime_of(names, registers.get("mime_type"), content),
            size=entry.size,
            stored_size=content.stored if content else 0,
            sha256=digest.hex() if digest else None,
            codec=content.codec if content else Codec.RAW,
            state=self.state_of(entry, _text(names[0])),
            created_at=iso(entry.birth_ns),
            modified_at=iso(entry.mtime_ns),
            expires_at=_text(registers["expires_at"]) if "expires_at" in registers else None,
            pinned=registers.get("pinned") == b"1",
            recovered=entry.standing == Standing.RECOVERED,
            version=number_of(self._catalog, entry),
            uri=self.uri(names),
            tags={**inherited, **tags_in(registers)},
            metadata=json.loads(registers.get("metadata", b"{}")),
            damaged=bool(content and content.damaged),
            format=format_of(told),
            summary=summary_of(told),
        )

    def state_of(self, entry: Entry, job: str) -> str:
        """Where the content stands on its way to the bucket, as the rows say it."""
        if entry.standing == Standing.PROVISIONAL:
            return State.DRAFT
        if entry.owed & Owed.ANY or self._catalog.bucket.owed_registers(entry.ino):
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
        if explicit is not None:
            return _text(explicit)
        return namespace.mime_by_name(names[-1]) or self._mime_of_content(content)

    def _mime_of_content(self, content: Content | None) -> str:
        if content is None or content.digest is None:
            return namespace.PLAIN_TEXT
        return self._catalog.mimes.of_digest(content.digest)

    def uri(self, names: tuple[bytes, ...]) -> str:
        """`file://` and the path inside the mount; without a mount the path the key would have below `/`."""
        root = str(self._mountpoint) if self._mountpoint else ""
        return f"file://{urllib.parse.quote(root)}/{urllib.parse.quote(b'/'.join(names))}"

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
        if entry.kind != Kind.DIRECTORY:
            yield self.artifact(names, entry, inherited)
            return
        if names:
            inherited = {**inherited, **tags_in(self._catalog.registers(entry.ino, "tag:"))}
        for child in self._children(entry.ino):
            if child.kind != Kind.DIRECTORY or recursive:
                yield from self.walk((*names, child.name), child, inherited, recursive=recursive)

    def _children(self, ino: int) -> Iterator[Entry]:
        after = b""
        while page := self._catalog.children(ino, after=after, limit=500):
            yield from page
            after = page[-1].name


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
    return datetime.fromtimestamp(time_ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
