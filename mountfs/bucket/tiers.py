"""Which bundles of a job are worth a merge now, and which jobs are worth a look: pure decisions.

Bundles are merged with others of similar size, sixteen at a time, so that each byte travels a few times at most however
many bundles there are, and a first look at a job costs at most fifteen requests for each tier of sizes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

SMALL_BYTES: Final = 8 << 20  # larger bundles stay as they are, until half of one may go
AT_A_TIME: Final = 16
MOST_OUTPUT_BYTES: Final = 32 << 20
MOST_OUTPUT_LINES: Final = 1 << 16
FIRST_TIER_BYTES: Final = 64 << 10
GROWTH: Final = 16  # from tier to tier
RESOLUTION_MS: Final = 1000  # of the times that servers give objects


@dataclass(frozen=True, slots=True)
class Sized:
    """A bundle as the decision sees it; `dropped_bytes` is what a merge of it alone would leave out."""

    name: str
    bytes: int
    lines: int
    dropped_bytes: int = 0


def tier_of(size: int, lines: int = 0) -> int | None:
    """Which bundles are of similar size; None: settled."""
    if size >= SMALL_BYTES or lines > MOST_OUTPUT_LINES // 2:
        return None
    tier, limit = 0, FIRST_TIER_BYTES
    while size >= limit:
        tier, limit = tier + 1, limit * GROWTH
    return tier


def choose_merges(bundles: Iterable[Sized], *, is_emptied: bool) -> list[list[str]]:
    """The groups of bundles to merge now, oldest first, none in two of them. `is_emptied`: no path exists."""
    ordered = sorted(bundles, key=lambda b: b.name)
    tiers: dict[int, list[Sized]] = {}
    for found in ordered:
        tier = tier_of(found.bytes, found.lines)
        if tier is not None:
            tiers.setdefault(0 if is_emptied else tier, []).append(found)
    groups: list[list[str]] = []
    for _tier, alike in sorted(tiers.items()):
        while len(alike) >= (2 if is_emptied else AT_A_TIME):
            chosen = fitting(alike)
            alike = alike[len(chosen) :]
            if len(chosen) > 1:
                groups.append([b.name for b in chosen])
    taken = {name for group in groups for name in group}
    return groups + [[b.name] for b in ordered if b.name not in taken and is_half_gone(b)]


def fitting(alike: Sequence[Sized]) -> list[Sized]:
    """The oldest of these that make one output."""
    chosen: list[Sized] = []
    room, lines = MOST_OUTPUT_BYTES, MOST_OUTPUT_LINES
    for found in alike[:AT_A_TIME]:
        room, lines = room - found.bytes, lines - found.lines
        if chosen and (room < 0 or lines < 0):
            break
        chosen.append(found)
    return chosen


def is_half_gone(found: Sized) -> bool:
    return 0 < found.bytes <= 2 * found.dropped_bytes


# -- which jobs -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class JobFacts:
    """What is known of a job without reading it. Times are the server's."""

    sizes: Sequence[int]  # of its bundles
    changed_ms: int  # the newest bundle's time
    maintained_ms: int  # when maintenance last found nothing more to do; 0: never
    is_merging: bool = False  # a merge was interrupted
    has_dead: bool = False  # something in it was found dead, and waits for the grace
    is_hidden: bool = False  # it was emptied, so that it will vanish
    has_leftover: bool = False  # a large object in it is old enough to have been left over


def why_due(facts: JobFacts, *, now_ms: int, grace_ms: int) -> str:
    """Why maintenance of a job is worth its requests now; "" where it is not.

    Of a single bundle nothing can be merged, and nothing in it was superseded: it is not read for that.
    """
    changed = facts.changed_ms + RESOLUTION_MS > facts.maintained_ms
    if facts.is_merging:
        return "a merge was interrupted"
    if changed and _is_crowded(facts.sizes):
        return "it has many small bundles"
    if now_ms - facts.maintained_ms < grace_ms // 2:
        return ""
    if facts.has_dead:
        return "something in it is dead"
    if facts.is_hidden:
        return "it was emptied"
    if facts.has_leftover:
        return "a large object in it may be left over"
    return "it was changed" if changed and len(facts.sizes) > 1 else ""


def _is_crowded(sizes: Iterable[int]) -> bool:
    counts: dict[int | None, int] = {}
    for size in sizes:
        tier = tier_of(size)
        counts[tier] = counts.get(tier, 0) + 1
    return any(count >= AT_A_TIME for tier, count in counts.items() if tier is not None)


@dataclass(slots=True)
class Gone:
    """Members of one bundle that may be dropped."""

    count: int = 0
    bytes: int = 0  # with what the ZIP says of each

    def add(self, stored_bytes: int, overhead_bytes: int) -> None:
        self.count += 1
        self.bytes += stored_bytes + overhead_bytes


def dropped_bytes(gone: Gone, *, lines: int, records_gone: int, manifest_bytes: int) -> int:
    """What a merge of one bundle leaves out, about: members that may go, and the share of lines in its manifest."""
    share = manifest_bytes * (records_gone + gone.count) // lines if lines else 0
    return gone.bytes + share
