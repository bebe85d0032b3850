"""What a job's bundles say together, as far as maintenance has to know: which contents are needed, what may go.

Pure, and lean: of a record that was counted only its path's few facts stay, so that a job of many thousand bundles is
counted in the memory of its paths.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from mountfs import bundle
from mountfs.bundle import Manifest
from mountfs.clock import milliseconds_of
from mountfs.records import Record, Value

EMPTIED = b""
"""In the table of dead contents: the job itself, since no bundle of it holds a record."""

HIDDEN = b"\0"
"""And since when `gone/<job>` says that the job is empty."""


@dataclass(slots=True)
class PathFacts:
    """Of one path: its highest clear, its winning content, and the first word that set anything."""

    clear: str = ""
    content: str = ""
    digests: tuple[bytes, ...] = ()  # two where two contents have one stamp
    has_content: bool = False
    first: str = ""

    @property
    def exists(self) -> bool:
        return self.has_content and self.content >= self.clear


@dataclass(slots=True)
class Census:
    """`naming`: by digest, who named it in a record, whether that still counts or not."""

    paths: dict[bytes, PathFacts] = field(default_factory=dict)
    naming: dict[bytes, frozenset[str]] = field(default_factory=dict)
    superseded: list[tuple[bytes, str, bytes]] = field(default_factory=list)  # (path, stamp, digest) with versions
    held: set[bytes] = field(default_factory=set)  # digests of contents that have a place
    marks: dict[bytes, int] = field(default_factory=dict)  # by digest: the latest `dead_since`
    objects: set[str] = field(default_factory=set)  # large objects that a content line names
    records: int = 0
    carried: int = 0  # lines that nobody here understands
    old: dict[str, int] = field(
        default_factory=dict
    )  # by bundle: its records of paths that are no more, old enough to go
    lines: dict[str, int] = field(default_factory=dict)  # by bundle: of its manifest

    def referred(self, *, versions: bool) -> set[bytes]:
        """Digests that something refers to."""
        found = set().union(*(facts.digests for facts in self.paths.values() if refers(facts)))
        if versions:
            found |= {digest for path, stamp, digest in self.superseded if stamp >= self.paths[path].clear}
        return found

    @property
    def is_emptied(self) -> bool:
        """◆ No path exists, whatever is still said of some."""
        return not any(facts.exists for facts in self.paths.values())


def refers(facts: PathFacts) -> bool:
    """◆ A record refers to a content when its content register wins the fold."""
    return facts.exists


def read_stored(stored: Iterable[tuple[str, bytes]], *, store_id: str, job: bytes) -> Iterable[tuple[str, Manifest]]:
    """Manifests as the catalog keeps them, one at a time."""
    read = partial(bundle.read_manifest, store_id=store_id, job=job)
    return ((name, read(raw, name=name)) for name, raw in stored)


def take_census(
    stored: Iterable[tuple[str, bytes]], *, store_id: str, job: bytes, versions: bool, old_before_ms: int
) -> Census:
    """Count the manifests (name, as stored) of a job. What was said before `old_before_ms` is old enough to go."""
    census = Census()
    old: list[tuple[str, bytes, str]] = []
    for name, manifest in read_stored(stored, store_id=store_id, job=job):
        census.lines[name] = len(manifest.places) + len(manifest.records) + len(manifest.carried)
        census.carried += len(manifest.carried)
        census.records += len(manifest.records)
        _take_places(census, manifest)
        for record in manifest.records:
            _take_record(census, record, versions=versions)
            if milliseconds_of(record.stamp) < old_before_ms:
                old.append((name, record.path, record.stamp))
    for name, path, stamp in old:
        facts = census.paths[path]
        if not facts.exists and voids_nothing(facts, stamp):
            census.old[name] = census.old.get(name, 0) + 1
    return census


def voids_nothing(facts: PathFacts, stamp: str) -> bool:
    """◆ Whether no manifest holds anything of this path from before that word."""
    return not facts.first or facts.first >= stamp


def _take_places(census: Census, manifest: Manifest) -> None:
    for place in manifest.places:
        census.held.add(place.digest)
        if place.object is not None:
            census.objects.add(place.object)
        if place.dead_since_ms is not None:
            census.marks[place.digest] = max(census.marks.get(place.digest, 0), place.dead_since_ms)


def _take_record(census: Census, record: Record, *, versions: bool) -> None:
    facts = census.paths.get(record.path)
    if facts is None:
        facts = census.paths[record.path] = PathFacts()
    if record.clear and record.stamp > facts.clear:
        facts.clear = record.stamp
    if record.set and (not facts.first or record.stamp < facts.first):
        facts.first = record.stamp
    if "content" not in record.set:
        return
    content = record.set["content"]
    digest = digest_of(content)
    if record.stamp > facts.content:
        facts.content, facts.digests, facts.has_content = record.stamp, (), False
    if record.stamp == facts.content:
        facts.has_content |= content is not None
        if digest is not None and digest not in facts.digests:
            facts.digests += (digest,)
    if digest is not None:
        census.naming[digest] = census.naming.get(digest, frozenset()) | {name_of(record)}
        if versions:
            census.superseded.append((record.path, record.stamp, digest))


def digest_of(content: Value) -> bytes | None:
    """The digest that a content register names."""
    if not isinstance(content, dict) or not isinstance(content.get("digest"), str):
        return None
    return bytes.fromhex(str(content["digest"]))


def name_of(record: Record) -> str:
    """What a record is known by, over merges: it is carried byte for byte."""
    return hashlib.sha256(record.encoded()).hexdigest()[:16]


# -- what is dead ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Found:
    """A content that a complete reading found dead: when that reading had ended, and who named it then."""

    since_ms: int
    seen: frozenset[str]


def find_dead(
    before: Mapping[bytes, Found], dead: Iterable[bytes], naming: Mapping[bytes, frozenset[str]], *, ended_ms: int
) -> dict[bytes, Found]:
    """What is known of dead contents after one more reading, which had ended at `ended_ms`."""
    found = {}
    for digest in dead:
        seen = naming.get(digest, frozenset())
        known = before.get(digest)
        found[digest] = known if known is not None and goes_on(known, seen) else Found(ended_ms, seen)
    return found


def goes_on(known: Found, seen: frozenset[str]) -> bool:
    """◆ Whether the count goes on: any record that the first reading did not show, even a superseded one, ends it."""
    return seen <= known.seen


def dead_since(found: Found, mark: int | None) -> int:
    """◆ Since when a content is dead: the later of what this machine found and what a merge wrote on it."""
    return max(found.since_ms, mark or 0)
