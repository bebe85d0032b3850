"""A complete reading of a job as maintenance needs it: what lies there, what it says together, what is dead since when.

What it keeps true (BUCKET.md, "Maintenance"): ages run from the end of the first reading that found a content dead to
the beginning of the newest; a job of which a bundle cannot be understood has nothing that may go.
"""

import json
import logging
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from mountfs import bundle, objects
from mountfs.bucket.census import EMPTIED, HIDDEN, Census, Found, dead_since, find_dead, take_census
from mountfs.bucket.ground import Ground
from mountfs.bucket.keeping import Knowledge
from mountfs.bucket.reading import refresh
from mountfs.bucket.requests import Steps, Work, ask
from mountfs.bucket.tiers import Gone, Sized, dropped_bytes
from mountfs.catalog.bucket import KnownBundle
from mountfs.model import Codec, Digest

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Survey:
    """`dead`: by digest, since when. `complete`: all bundles that were listed could be understood."""

    began_ms: int
    ended_ms: int
    bundles: Mapping[str, KnownBundle]
    manifests: Mapping[str, bytes] = field(repr=False)
    large: Mapping[str, int]  # listed large objects and when they were put
    census: Census = field(repr=False)
    referred: AbstractSet[bytes] = field(repr=False)
    dead: Mapping[bytes, int]
    complete: bool


def survey(ground: Ground, job: int) -> Steps[Survey]:
    """Read a job whole. Raises RemoteUnavailable, RemoteDenied."""
    refreshed = yield from refresh(ground, job)
    known = ground.tables.bundles(job)
    bundles = {name: known[name] for name in sorted(refreshed.names) if name in known}
    manifests = {name: ground.tables.manifest(found.id) for name, found in bundles.items()}
    large = ground.tables.listed(job)
    name = ground.tables.job_name(job)

    def work() -> Census:
        return take_census(
            manifests.items(), store_id=ground.store_id, job=name, versions=ground.versions,
            old_before_ms=old_before(ground, refreshed.began_ms, bundles),
        )  # fmt: skip

    census = yield from ask(Work(work))
    referred = census.referred(versions=ground.versions)
    complete = len(bundles) == len(refreshed.names)
    ended_ms = ground.now_ms()
    from_ms = counted_from(refreshed.began_ms, ended_ms)
    dead = _note_dead(ground, job, census, referred, large, from_ms=from_ms) if complete else {}
    return Survey(refreshed.began_ms, ended_ms, bundles, manifests, large, census, referred, dead, complete)


def old_before(ground: Ground, began_ms: int, bundles: Mapping[str, KnownBundle]) -> int:
    """Clears from before that are old enough to go; 0: none of this job is."""
    if not have_lain(ground, began_ms, bundles):
        return 0
    return began_ms - ground.clears_stay_ms


def have_lain(ground: Ground, began_ms: int, bundles: Mapping[str, KnownBundle]) -> bool:
    """◆ Whether all bundles of a job have lain in the bucket for half the grace."""
    return all(began_ms - found.modified_ms > ground.half_ms for found in bundles.values())


def counted_from(began_ms: int, ended_ms: int) -> int:
    """◆ The count starts when the first reading that found a content dead has ended: it may have taken long."""
    return ended_ms


def _note_dead(
    ground: Ground, job: int, census: Census, referred: AbstractSet[bytes], large: Mapping[str, int], *, from_ms: int
) -> dict[bytes, int]:
    """Go on counting, durably; since when each dead content is dead."""
    before = {
        digest: Found(since, frozenset(json.loads(seen)))
        for digest, (since, seen) in ground.tables.found_dead(job).items()
    }
    held = census.held | {
        name.digest for name in map(objects.parse_object, large) if isinstance(name, objects.LargeName)
    }
    found = find_dead(before, held - referred, census.naming, ended_ms=from_ms)
    if HIDDEN in before:
        found[HIDDEN] = before[HIDDEN]
    if census.lines and census.is_emptied and not census.records and not census.carried:
        found |= find_dead(before, [EMPTIED], {}, ended_ms=from_ms)
    if found != before:
        with ground.catalog.transaction():
            ground.tables.set_found_dead(
                job, {digest: (f.since_ms, json.dumps(sorted(f.seen))) for digest, f in found.items()}
            )
    return {digest: dead_since(f, census.marks.get(digest)) for digest, f in found.items()}


def may_drop(ground: Ground, seen: Survey, digest: bytes) -> bool:
    """◆ Whether nothing referred to a content for the whole grace, up to the beginning of this reading."""
    since = seen.dead.get(digest)
    return since is not None and age_ms(ground, seen, since) >= ground.grace_ms


def age_ms(ground: Ground, seen: Survey, since_ms: int) -> int:
    """◆ How old something was when the reading began: what was decided may be carried out much later."""
    return seen.began_ms - since_ms


def droppable(ground: Ground, seen: Survey) -> set[bytes]:
    """Contents that may be dropped now."""
    return {digest for digest in seen.dead if digest not in (EMPTIED, HIDDEN) and may_drop(ground, seen, digest)}


def knowledge(ground: Ground, seen: Survey) -> Knowledge:
    """What a merge has to know of the job."""
    oldest = old_before(ground, seen.began_ms, seen.bundles) if seen.complete else 0
    return Knowledge(
        seen.census.paths, seen.referred, droppable(ground, seen), seen.large.keys(), oldest, ground.now_ms(),
        versions=ground.versions,
    )  # fmt: skip


def sizes(ground: Ground, job: int, seen: Survey) -> list[Sized]:
    """The bundles that may be merged, with what of each would go."""
    gone: dict[int, Gone] = {}
    for digest in droppable(ground, seen):
        for place in ground.tables.places(job, digest):
            if not place.object:
                overhead = bundle.overhead_bytes(bundle.member_name(Digest(place.digest), Codec(place.codec)))
                gone.setdefault(place.bundle, Gone()).add(place.stored, overhead)
    return [
        Sized(name, found.bytes, seen.census.lines[name], _dropped(seen, name, gone.get(found.id, Gone())))
        for name, found in seen.bundles.items()
        if (job, name) not in ground.untouched
    ]


def _dropped(seen: Survey, name: str, gone: Gone) -> int:
    return dropped_bytes(
        gone, lines=seen.census.lines[name], records_gone=seen.census.old.get(name, 0) if seen.complete else 0,
        manifest_bytes=len(seen.manifests[name]),
    )  # fmt: skip
