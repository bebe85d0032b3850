"""Publishing a job: large contents, then one bundle that commits small contents and records together.

What it keeps true (BUCKET.md, "Publishing"): a record goes out only with its content, or relying on content that
others cannot have dropped meanwhile; nothing is marked published but after an answer, by the server's time in it.
"""

import json
import logging
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from mountfs import bundle
from mountfs.bucket.ground import Ground, know_time, place_row
from mountfs.bucket.loading import Again, Load, Walk, gather, leave_out_gone
from mountfs.bucket.placing import is_fresh, is_young, place_all
from mountfs.bucket.reading import PLACES_AT_ONCE, carry_out_moves
from mountfs.bucket.requests import Pause, Put, Steps, Work, ask
from mountfs.bucket.stale import set_aside, settle_stale
from mountfs.bundle import DoesNotFit, Manifest, Packed
from mountfs.errors import ContentLost, CorruptContent, MountfsError, RemoteDenied
from mountfs.records import Record, RecordRefused, decode_record
from mountfs.store.outbox import Due

log = logging.getLogger(__name__)

T = TypeVar("T")

ROUNDS = 4  # how often a job is looked at again before it has to wait
SAID_AT_ONCE = 500  # records that are written down without letting go of the interpreter: a millisecond
LET_GO_AT_ONCE = 500  # of anything: their memory is given back without letting go of it


@dataclass(slots=True)
class Published:
    """What one run brought into the bucket."""

    records: int = 0
    bundles: list[int] = field(default_factory=list)  # ids, whose records the feed is to repeat
    complete: bool = False  # nothing that could go out is left


def publish(ground: Ground, job: int) -> Steps[Published]:
    """Bring all of a job that can go out now into the bucket; what comes meanwhile waits for the next time, so that
    this ends also while somebody goes on writing. Raises RemoteUnavailable, RemoteDenied."""
    done = Published()
    rounds = 0
    began, until = "", ""
    walk: Walk | None = None
    most: int | None = None  # records in one bundle
    if not ground.stamps.is_told and job in ground.outbox.debts():
        yield from know_time(ground)
    while rounds < ROUNDS:
        yield from carry_out_moves(ground)
        yield from settle_stale(ground, job)
        walk = walk or Walk(ground, job, until=until)
        began = began or ground.stamps.last
        try:
            yield from _publish_one(ground, job, walk, done, most_records=most)
        except Again:
            rounds += 1
            walk = None
            continue
        except _TooMuch as error:
            most, walk = error.half, None
            continue
        if walk.is_over:
            if not walk.found:
                done.complete = True
                return done
            walk, until = None, began  # once more: what waited for what was just sent, or was just being written
    return done


class _TooMuch(Exception):
    """Readers take no bundle as long as that: `half` of it goes out."""

    def __init__(self, half: int) -> None:
        super().__init__()
        self.half = half


def _publish_one(ground: Ground, job: int, walk: Walk, done: Published, *, most_records: int | None) -> Steps[None]:
    load = Load(most_records)
    try:
        yield from gather(ground, walk, load)
        yield from _unless_gone(ground, load, place_all(ground, job, load))
        yield from leave_out_gone(ground, load)
        if not load.due:
            return
        _check_ages(ground, job, load)
        packed, paths = yield from _packed(ground, job, load)
        sent, landed = yield from _send(ground, job, load, packed, paths)
    finally:
        ground.owing.is_back(load.inos)
    done.records += sent
    done.bundles.append(landed)


def _unless_gone(ground: Ground, load: Load, steps: Steps[T]) -> Steps[T]:
    """These steps; a content that is not here because its file was removed meanwhile only begins it anew."""
    try:
        return (yield from steps)
    except (CorruptContent, ContentLost) as error:
        if (yield from leave_out_gone(ground, load)):
            raise Again from error
        raise


# -- the bundle ---------------------------------------------------------------------------------------------------


def _check_ages(ground: Ground, job: int, load: Load) -> None:
    """The last look before the PUT, which may then be delayed without limit."""
    if load.read_ms:
        if not is_fresh(ground, job):
            raise Again
        load.oldest_ms = min(load.oldest_ms or load.read_ms, load.read_ms)
    if load.oldest_ms and not is_young(ground, load.oldest_ms):
        raise Again


def _packed(ground: Ground, job: int, load: Load) -> Steps[tuple[Packed, bytes]]:
    """The bundle, and which records of which paths are in it."""
    name, job_name = ground.bundle_name(), ground.tables.job_name(job)

    def work() -> tuple[Packed, bytes]:
        records = load.records()
        packed = bundle.pack(
            store_id=ground.store_id, job=job_name, name=name, members=[body() for body in load.bodies.values()],
            large=list(load.large.values()), records=records,
        )  # fmt: skip
        return _without_records(packed), _said(records)

    try:
        found = yield from _unless_gone(ground, load, ask(Work(work)))
    except DoesNotFit as error:
        if len(load.due) > 1:
            raise _TooMuch(len(load.records()) // 2) from error
        yield from set_aside(ground, job, load.due, f"it does not fit into a bundle: {error}")
        raise Again from error
    except RecordRefused as error:
        yield from _set_aside_refused(ground, job, load)
        raise Again from error
    except (CorruptContent, ContentLost) as error:
        ground.doubt(list(load.contents.values()), error)
        raise
    while load.bodies:  # they are in it
        for _ in range(min(LET_GO_AT_ONCE, len(load.bodies))):
            load.contents.pop(load.bodies.popitem()[0], None)
        yield Pause()
    return found


def _set_aside_refused(ground: Ground, job: int, load: Load) -> Steps[None]:
    """What no machine would believe holds up nothing but itself."""

    def refused() -> list[tuple[Due, str]]:
        return [(due, said) for due in load.due if (said := _refusal(due)) is not None]

    found = yield from ask(Work(refused))
    if not found:
        raise CorruptContent("a bundle was made that no machine would believe: a bug")
    for due, said in found:
        yield from set_aside(ground, job, [due], f"no record can say it: {said}")


def _refusal(due: Due) -> str | None:
    try:
        for record in due.records:
            decode_record(record.encoded())
    except RecordRefused as error:
        return str(error)
    return None


def _without_records(packed: Packed) -> Packed:
    """Nobody needs them once they are packed; to let go of 50,000 in one go takes longer than a stat may."""
    records = list(packed.manifest.records)
    packed = replace(packed, manifest=replace(packed.manifest, records=()))
    while records:
        del records[-LET_GO_AT_ONCE:]
    return packed


def _said(records: Sequence[Record]) -> bytes:
    """(path, stamp) of each."""
    packer = zlib.compressobj()
    stored = [packer.compress(b"[")]
    for start in range(0, len(records), SAID_AT_ONCE):
        said = [[record.path.hex(), record.stamp] for record in records[start : start + SAID_AT_ONCE]]
        stored.append(packer.compress(("," * bool(start) + json.dumps(said)[1:-1]).encode()))
    return b"".join([*stored, packer.compress(b"]"), packer.flush()])


def _send(ground: Ground, job: int, load: Load, packed: Packed, said: bytes) -> Steps[tuple[int, int]]:
    name = packed.manifest.name
    inos = [due.entry.ino for due in load.due if due.entry is not None]
    with ground.catalog.transaction():
        ground.tables.note_attempt(job, name, began_ms=ground.now_ms(), paths=said)
    try:
        answered = yield from ask(Put(ground.key(job, name), packed.data))
        while job in ground.applying:  # a reading is being brought in: it must not take these for gone
            yield Pause()
        if is_late(ground, load.oldest_ms, answered.server_ms):
            landed_late(ground, job, name, inos)
            raise Again
        return (yield from _mark(ground, job, load, packed, answered.server_ms))
    except RemoteDenied:  # an answer too: it is not there
        with ground.catalog.transaction():
            ground.tables.forget_attempt(job, name)
        raise
    except MountfsError:  # no answer: it may have landed, or land later
        yield from _may_have_landed(ground, inos)
        raise


def _may_have_landed(ground: Ground, inos: Sequence[int]) -> Steps[None]:
    for start in range(0, len(inos), ground.piece):
        if start:
            yield Pause()
        some = inos[start : start + ground.piece]
        with ground.ledger.transaction():
            for ino in some:
                ground.owing.may_have_landed(ino)
        for ino in some:
            ground.outbox.restamped(ino)


def is_late(ground: Ground, relied_on_ms: int, landed_ms: int) -> bool:
    """◆ Whether half the grace passed, by the server's time, between what was relied on (0: nothing) and the PUT."""
    return relied_on_ms > 0 and landed_ms - relied_on_ms >= ground.half_ms


def landed_late(ground: Ground, job: int, name: str, inos: Iterable[int]) -> None:
    """What it relied on may be gone by now: all of it goes out again, with its contents, after a new reading."""
    log.warning("job %d: %s landed too late to rely on what was known; published again", job, name)
    with ground.ledger.transaction():
        for ino in inos:
            ground.tables.mark_known(ino)
    for ino in inos:
        ground.outbox.restamped(ino)
    with ground.catalog.transaction():
        ground.tables.forget_attempt(job, name)
        ground.tables.forget_uploads(job)
        ground.tables.set_read_ms(job, 0)
        ground.tables.set_refold(job, True)
        ground.tables.drop_bundles(b.id for b in ground.tables.bundles(job).values())


def _mark(ground: Ground, job: int, load: Load, packed: Packed, server_ms: int) -> Steps[tuple[int, int]]:
    """It is in the bucket: say so, in pieces; a crash in between marks the rest at the next start."""
    manifest = packed.manifest
    with ground.catalog.transaction():
        landed = ground.tables.add_bundle(
            job, manifest.name, bytes=len(packed.data), modified_ms=server_ms, manifest=packed.manifest_stored,
            standing="marking", told=False,
        )  # fmt: skip
        ground.tables.forget_attempt(job, manifest.name)
    yield from _add_places(ground, job, landed, manifest)
    sent = len(load.records())
    while load.due:
        some = load.due[-ground.piece :]
        with ground.ledger.transaction():
            paid = ground.outbox.confirm(job, some)
        ground.outbox.paid(job, paid)
        del load.due[-ground.piece :]
        if load.due:
            yield Pause()
    with ground.catalog.transaction():
        for place in load.large.values():
            ground.tables.forget_upload(job, place.digest, place.codec)
        ground.tables.set_standing(landed, "whole")
    return sent, landed


def _add_places(ground: Ground, job: int, landed: int, manifest: Manifest) -> Steps[None]:
    """Where the contents of our bundle lie, in pieces, unless a reading finds it gone meanwhile."""
    for start in range(0, len(manifest.places), PLACES_AT_ONCE):
        with ground.ledger.transaction():
            if ground.tables.has_bundle(landed):
                ground.tables.add_places(job, landed, map(place_row, manifest.places[start : start + PLACES_AT_ONCE]))
        yield Pause()
