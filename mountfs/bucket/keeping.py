"""What a merge carries from its sources into its output: pure decisions over manifests.

What it keeps true (BUCKET.md, "Maintenance"): the fold is the same afterwards; a clear, and a register of a path that
does not exist, goes only when nothing is left that it could have voided; every content that may not be dropped is
carried, whatever other bundles hold; lines that nobody here understands are carried byte for byte.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from mountfs.bucket.census import PathFacts, digest_of, voids_nothing
from mountfs.bundle import Manifest, Place
from mountfs.clock import milliseconds_of
from mountfs.model import Codec, Digest
from mountfs.records import Record, winning


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What a complete reading of the job says about its records and contents.

    `old_before_ms`: clears from before that are old enough to go; 0 where none may. `droppable` are contents that were
    dead for the grace; `listed` the large objects that are there; `now_ms` the server's time, for marks.
    """

    paths: Mapping[bytes, PathFacts]
    referred: AbstractSet[bytes]
    droppable: AbstractSet[bytes]
    listed: AbstractSet[str]
    old_before_ms: int
    now_ms: int
    versions: bool = False


@dataclass(frozen=True, slots=True)
class Carried:
    """A member that is carried: from which source, where in it, and since when it is dead."""

    source: str
    place: Place
    dead_since_ms: int | None


@dataclass(slots=True)
class Plan:
    """The output of a merge, before the bytes of its members are fetched."""

    records: list[Record] = field(default_factory=list)
    members: list[Carried] = field(default_factory=list)
    large: list[Place] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)  # not understood, byte for byte

    @property
    def stored_bytes(self) -> int:
        return sum(member.place.stored for member in self.members)

    @property
    def line_count(self) -> int:
        return len(self.records) + len(self.members) + len(self.large) + len(self.lines)


def plan_merge(sources: Sequence[Manifest], known: Knowledge) -> Plan:
    """What stays of these bundles."""
    plan = Plan(records=kept_records(sources, known))
    said = said_dead(sources)
    members: set[tuple[Digest, Codec]] = set()
    objects: dict[str, Place] = {}
    lines = dict.fromkeys(line for manifest in sources for line in manifest.carried)
    for manifest in sources:
        for place in manifest.places:
            mark = None if place.digest in known.referred else mark_of(said[place.digest], now_ms=known.now_ms)
            if place.object is None:
                if (place.digest, place.codec) not in members and is_carried_member(place, known):
                    members.add((place.digest, place.codec))
                    plan.members.append(Carried(manifest.name, place, mark))
            elif is_carried_place(place, known):
                _carry_place(plan, objects, lines, place, mark)
    plan.lines = list(lines)
    return plan


def _carry_place(
    plan: Plan, objects: dict[str, Place], lines: dict[bytes, None], place: Place, mark: int | None
) -> None:
    assert place.object is not None
    first = objects.setdefault(place.object, place)
    if first is place:
        plan.large.append(replace(place, dead_since_ms=mark))
    elif replace(place, dead_since_ms=None, line=b"") != replace(first, dead_since_ms=None, line=b""):
        lines[place.line] = None  # another story about the same object: not ours to judge


# -- contents -------------------------------------------------------------------------------------------------


def is_carried_member(place: Place, known: Knowledge) -> bool:
    """◆ Everything but what may be dropped now, whatever other bundles hold."""
    return place.digest not in known.droppable


def is_carried_place(place: Place, known: Knowledge) -> bool:
    """◆ Every place, in a listed object or not: a LIST may have passed its name before the upload landed."""
    return place.object in known.listed or place.digest not in known.droppable


def said_dead(sources: Iterable[Manifest]) -> dict[bytes, list[int | None]]:
    """By digest: what each source that holds or names it says of its being dead; None where it says nothing."""
    said: dict[bytes, list[int | None]] = {}
    for manifest in sources:
        held: dict[bytes, int | None] = {}
        for place in manifest.places:
            mark = place.dead_since_ms
            before = held.get(place.digest, mark)
            held[place.digest] = None if mark is None or before is None else max(mark, before)
        for record in manifest.records:
            digest = digest_of(record.set.get("content"))
            if digest is not None:
                held.setdefault(digest, None)
        for digest, mark in held.items():
            said.setdefault(digest, []).append(mark)
    return said


def mark_of(said: Iterable[int | None], *, now_ms: int) -> int:
    """◆ Since when a carried content is dead: now, unless each source that holds or names it has a mark."""
    marks = list(said)
    known = [mark for mark in marks if mark is not None]
    return max(known) if known and len(known) == len(marks) else now_ms


# -- records --------------------------------------------------------------------------------------------------


def kept_records(sources: Sequence[Manifest], known: Knowledge) -> list[Record]:
    """The records of these bundles that others among them do not supersede, each once, by path."""
    records = {record.encoded(): record for manifest in sources for record in manifest.records}
    wins = {(path, stamp) for path, _register, stamp in winning(records.values())}
    clears: dict[bytes, str] = {}
    for record in records.values():
        if record.clear:
            clears[record.path] = max(clears.get(record.path, ""), record.stamp)
    kept = [
        record
        for record in records.values()
        if stays(record, wins=(record.path, record.stamp) in wins, clear=clears.get(record.path, ""), known=known)
    ]
    return sorted(kept, key=lambda record: (record.path, record.stamp))


def stays(record: Record, *, wins: bool, clear: str, known: Knowledge) -> bool:
    """Whether a record is carried; `wins`, `clear`: what the sources together say of its registers and its path."""
    if record.stamp < clear:
        return False
    facts = known.paths[record.path]
    if wins and facts.exists:
        return True
    if wins or (record.clear and record.stamp == clear):
        return not may_go(record, known)
    return known.versions and record.stamp >= facts.clear and digest_of(record.set.get("content")) is not None


def may_go(record: Record, known: Knowledge) -> bool:
    """◆ Whether a clear, or a word about a path that is no more, is of no use any longer."""
    return is_old(record, known) and voids_nothing(known.paths[record.path], record.stamp)


def is_old(record: Record, known: Knowledge) -> bool:
    """◆ 30 days have passed, for what waited elsewhere to arrive."""
    return milliseconds_of(record.stamp) < known.old_before_ms
