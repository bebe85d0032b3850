"""Each ◆ rule of BUCKET.md taken out of the real code, so that a scenario can show what it is for.

A rule is a small function of the real code; here it is replaced by what somebody might have written who did not know
of it. The names are those of the protocol's model.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import pytest

from mountfs import objects
from mountfs.bucket import (
    census,
    dropping,
    fetching,
    gathering,
    keeping,
    merging,
    placing,
    publishing,
    reading,
    stale,
    survey,
)
from mountfs.bucket.census import HIDDEN, Found, take_census
from mountfs.bucket.ground import Ground
from mountfs.bucket.keeping import Knowledge
from mountfs.bucket.merging import Verdict
from mountfs.bucket.requests import Delete, Pause, Steps, ask, listing
from mountfs.bucket.survey import Survey
from mountfs.bundle import Place
from mountfs.model import Content, Owed
from mountfs.store.eviction import Eviction
from mountfs.store.owing import Owing, Said
from tests.bucket.protocol import tasks
from tests.bucket.protocol.host import Host

Patch = pytest.MonkeyPatch
TakeOut = Callable[[Patch], None]
RULES: dict[str, TakeOut] = {}


def rule(take_out: TakeOut) -> TakeOut:
    RULES[take_out.__name__] = take_out
    return take_out


# -- clears -------------------------------------------------------------------------------------------------------


@rule
def keep30(patch: Patch) -> None:
    """Clears go as soon as nothing is left that they void."""
    patch.setattr(survey, "old_before", lambda ground, began_ms, bundles: began_ms + 1)


@rule
def clear_void(patch: Patch) -> None:
    """Clears go when they are old, whatever lies in the bucket."""
    patch.setattr(survey, "have_lain", lambda ground, began_ms, bundles: True)
    patch.setattr(census, "voids_nothing", lambda facts, stamp: True)
    patch.setattr(keeping, "voids_nothing", lambda facts, stamp: True)


@rule
def clear_all(patch: Patch) -> None:
    """The sources alone decide whether a clear may go."""
    seeing: list[tuple[Survey, Sequence[str]]] = []
    merge, knowledge = merging.merge, survey.knowledge

    def noted(ground: Ground, job: int, seen: Survey, sources: Sequence[str]) -> Steps[bool]:
        seeing.append((seen, sources))
        return merge(ground, job, seen, sources)

    def narrow(ground: Ground, seen: Survey) -> Knowledge:
        sources = [(name, seen.manifests[name]) for name in seeing[-1][1]]
        name = ground.tables.job_name(next(iter(seen.bundles.values())).job)
        found = take_census(sources, store_id=ground.store_id, job=name, versions=False, old_before_ms=0)
        return replace(knowledge(ground, seen), paths=found.paths)

    patch.setattr(tasks, "merge", noted)
    patch.setattr(merging, "knowledge", narrow)


@rule
def sweep_merge(patch: Patch) -> None:
    """An emptied job goes after the grace, clears and all."""

    def may_vanish(ground: Ground, seen: Survey) -> bool:
        known = ground.tables.found_dead(next(iter(seen.bundles.values())).job)
        return HIDDEN in known and seen.began_ms - known[HIDDEN][0] >= ground.grace_ms

    patch.setattr(dropping, "may_vanish", may_vanish)


@rule
def nolive(patch: Patch) -> None:
    """Words about a path that is no more stay, if they are above its clear."""
    may_go = keeping.may_go
    patch.setattr(keeping, "may_go", lambda record, known: record.clear and may_go(record, known))


@rule
def lean_create(patch: Patch) -> None:
    """Whoever makes a path clears it first."""

    def created(owing: Owing, parent: int, name: bytes) -> Said:
        top, _voids = owing._past(owing.below(parent, name))
        return Said(owing._stamps.next(above=top), Owed.ALL | Owed.CLEAR)

    patch.setattr(Owing, "created", created)


# -- merging --------------------------------------------------------------------------------------------------------


@rule
def merge_look(patch: Patch) -> None:
    """The sources are deleted as soon as the output is there."""
    patch.setattr(merging, "look_again", lambda name, sources, there, is_deleting: Verdict.DELETE)


@rule
def resume_safe(patch: Patch) -> None:
    """A merge whose sources are not all there is undone, whoever deleted them."""

    def look_again(name: str, sources: Iterable[str], there: Iterable[str], *, is_deleting: bool) -> Verdict:
        return Verdict.DELETE if set(there).issuperset(sources) else Verdict.UNDO

    patch.setattr(merging, "look_again", look_again)


@rule
def merge_last(patch: Patch) -> None:
    """The output takes its place before its sources."""

    def merged_name(ground: Ground, sources: Sequence[str]) -> str:
        first = objects.parse_object(min(sources))
        assert isinstance(first, objects.BundleName)
        return objects.bundle_name(first.when_ms - 1, ground.stamps.writer, ground.random())

    patch.setattr(merging, "merged_name", merged_name)


@rule
def intent(patch: Patch) -> None:
    """Nothing is noted of a merge: whoever is killed forgets it."""
    killed = Host.killed

    def forgetful(host: Host) -> None:
        with host.store.catalog.transaction():
            for job in host.ground.tables.merges():
                host.ground.tables.forget_merge(job)
        killed(host)

    patch.setattr(Host, "killed", forgetful)


@rule
def keep_dups(patch: Patch) -> None:
    """A content that another bundle holds too is left out."""
    held: list[set[bytes]] = []
    merge = merging.merge

    def noted(ground: Ground, job: int, seen: Survey, sources: Sequence[str]) -> Steps[bool]:
        others = [found.id for name, found in seen.bundles.items() if name not in sources]
        held.append({place.digest for number in others for place in ground.tables.places_in(number)})
        return merge(ground, job, seen, sources)

    patch.setattr(tasks, "merge", noted)
    patch.setattr(keeping, "is_carried_member", lambda place, known: place.digest not in held[-1])


@rule
def carry_unlisted(patch: Patch) -> None:
    """Only places in listed objects are carried."""

    def is_carried_place(place: Place, known: Knowledge) -> bool:
        return place.object in known.listed

    patch.setattr(keeping, "is_carried_place", is_carried_place)


# -- readings -------------------------------------------------------------------------------------------------------


@rule
def judge(patch: Patch) -> None:
    """What a LIST does not have is gone."""
    vanished = reading.vanished

    def all_judged(known: Iterable[object], *, before: set[str], listed: Iterable[str]) -> object:
        bundles = list(known)
        return vanished(bundles, before={b.name for b in bundles}, listed=listed)  # type: ignore[arg-type, attr-defined]

    patch.setattr(reading, "vanished", all_judged)


@rule
def one_apply(patch: Patch) -> None:
    """A bundle that is there no more is passed over."""
    patch.setattr(reading, "must_begin_anew", lambda missing: False)


@rule
def locate_all(patch: Patch) -> None:
    """The first place that is known is the place."""

    def whereabouts(ground: Ground, content: Content) -> list[fetching.Whereabouts]:
        assert content.digest is not None
        for job in fetching.jobs_naming(ground, content):
            for place in ground.tables.places(job, content.digest):
                name = place.object or ground.tables.bundle_name(place.bundle)
                return [fetching.Whereabouts(job, place, ground.key(job, name))]
        return []

    patch.setattr(fetching, "whereabouts", whereabouts)
    patch.setattr(gathering, "whereabouts", whereabouts)


# -- dropping -------------------------------------------------------------------------------------------------------


@rule
def grace_drop(patch: Patch) -> None:
    """What is dead goes."""
    for module in (survey, dropping):
        patch.setattr(module, "may_drop", lambda ground, seen, digest: digest in seen.dead)


@rule
def reset_count(patch: Patch) -> None:
    """The count goes on whatever was said meanwhile."""
    patch.setattr(census, "goes_on", lambda known, seen: True)


@rule
def dead_mark(patch: Patch) -> None:
    """Only what this machine saw counts."""

    def dead_since(found: Found, mark: int | None) -> int:
        return found.since_ms

    patch.setattr(survey, "dead_since", dead_since)


@rule
def count_end(patch: Patch) -> None:
    """The count starts when the reading began."""
    patch.setattr(survey, "counted_from", lambda began_ms, ended_ms: began_ms)


@rule
def at_read(patch: Patch) -> None:
    """Ages are measured when something is about to be deleted."""
    for module in (survey, dropping):
        patch.setattr(module, "age_ms", lambda ground, seen, since_ms: ground.now_ms() - since_ms)


@rule
def drop_listed(patch: Patch) -> None:
    """A dead content is deleted wherever it is."""
    drop = dropping.drop

    def everywhere(ground: Ground, job: int, seen: Survey) -> Steps[frozenset[str]]:
        dead = {_digest_of(name) for name in dropping.dead_objects(ground, seen)}
        names = yield from drop(ground, job, seen)
        for found in (yield from listing(ground.prefix(job))):
            if _digest_of(found.key.rpartition("/")[2]) in dead:
                yield from ask(Delete((found.key,)))
        return names

    patch.setattr(tasks, "drop", everywhere)


def _digest_of(name: str) -> bytes | None:
    found = objects.parse_object(name)
    return found.digest if isinstance(found, objects.LargeName) else None


@rule
def hold_queued(patch: Patch) -> None:
    """What one job has published may be evicted."""

    def may_evict(eviction: Eviction, content: Content) -> bool:
        jobs = [job for job, _name in eviction._tables.jobs()]
        return content.digest is not None and any(eviction._tables.is_placed(content.digest, job) for job in jobs)

    patch.setattr(Eviction, "may_evict", may_evict)


# -- publishing -----------------------------------------------------------------------------------------------------


@rule
def c_limit(patch: Patch) -> None:
    """A reading may be relied on however old it is."""
    for module in (placing, publishing):
        patch.setattr(module, "is_fresh", lambda ground, job: True)


@rule
def b_limit(patch: Patch) -> None:
    """So may an upload."""
    for module in (placing, publishing):
        patch.setattr(module, "is_young", lambda ground, began_ms: True)


@rule
def postcheck(patch: Patch) -> None:
    """Nobody asks how long the PUT took."""
    patch.setattr(publishing, "is_late", lambda ground, relied_on_ms, landed_ms: False)


@rule
def fold_refs(patch: Patch) -> None:
    """Any record that names a content refers to it, superseded or not."""
    _rely_on_any_place(patch)


@rule
def restore_copies(patch: Patch) -> None:
    """What is brought back relies on where it lay."""
    _rely_on_any_place(patch)


def _rely_on_any_place(patch: Patch) -> None:
    def refers_in_rows(ground: Ground, job: int, digest: bytes, sending: object) -> bool:
        return bool(ground.tables.places(job, digest))

    patch.setattr(placing, "refers_in_rows", refers_in_rows)


@rule
def own_ref(patch: Patch) -> None:
    """A record that landed refers to its content, also when it is being sent again; places are not looked at."""
    referred_by = placing.referred_by

    def has_place(ground: Ground, job: int, digest: bytes) -> Steps[bool]:
        yield Pause()
        return True

    patch.setattr(placing, "referred_by", lambda states, sending: referred_by(states, ()))
    patch.setattr(placing, "_has_place", has_place)
    patch.setattr(stale, "landed_without", lambda ground, where, state, due: False)


@rule
def void_lost(patch: Patch) -> None:
    """A record goes out although its content is nowhere."""

    def fetch_again(*_arguments: object) -> Steps[None]:
        yield Pause()

    patch.setattr(placing, "_fetch_again", fetch_again)


@rule
def set_aside(patch: Patch) -> None:
    """What waited for long is published as it is."""
    patch.setattr(stale, "is_stale", lambda ground, due: False)


@rule
def tried_aside(patch: Patch) -> None:
    """Or stamped anew, though it may have landed before."""
    patch.setattr(stale, "was_tried", lambda ground, job, dues: False)
