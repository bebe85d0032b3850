"""Publishing a job: large contents, then one bundle that commits small contents and records together.

What it keeps true (BUCKET.md, "Publishing"): a record goes out only with its content, or relying on content that
others cannot have dropped meanwhile; nothing is marked published but after an answer, by the server's time in it.
"""

import json
import logging
import zlib
from collections.abc import Container, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import TypeVar

from mountfs import bundle, objects
from mountfs.bucket.bodies import FileSource, body_of, checked_sum, fetched_body
from mountfs.bucket.census import digest_of
from mountfs.bucket.ground import Ground, know_time, place_row
from mountfs.bucket.loading import Again, Load, Walk, gather, leave_out_gone
from mountfs.bucket.reading import PLACES_AT_ONCE, carry_out_moves, published, refresh
from mountfs.bucket.requests import Copy, Head, Pause, Put, PutLarge, Range, Steps, Work, ask
from mountfs.bucket.stale import set_aside, settle_stale
from mountfs.bundle import DoesNotFit, Manifest, Packed, Place
from mountfs.catalog.bucket import NotedUpload, Placed
from mountfs.errors import ContentLost, CorruptContent, MountfsError, ObjectMissing, RemoteDenied
from mountfs.model import Codec, Content, Digest, Owed
from mountfs.model import Place as Here
from mountfs.records import PathState, Record, RecordRefused, decode_record
from mountfs.remote.protocol import Upload
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
        yield from _unless_gone(ground, load, _place_all(ground, job, load))
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


# -- where the contents come from -------------------------------------------------------------------------------


def _place_all(ground: Ground, job: int, load: Load) -> Steps[None]:
    contents: dict[Digest, Content] = {}
    for due in load.due:
        if due.content is not None and due.content.digest is not None:
            contents.setdefault(due.content.digest, due.content)
    read_ms = ground.tables.read_ms(job)
    referred = (yield from _referred(ground, job, load, contents)) if is_fresh(ground, job) else set()
    for number, (digest, content) in enumerate(contents.items()):
        if number % ground.piece == ground.piece - 1:
            yield Pause()
        if digest in referred and (yield from _has_place(ground, job, digest)):
            load.read_ms = read_ms
        else:
            yield from _place(ground, job, load, digest, content)


def _place(ground: Ground, job: int, load: Load, digest: Digest, content: Content) -> Steps[None]:
    """Decide how a content gets into the job that nobody refers to, and do what has to be done before the bundle."""
    if not is_here(content) and not is_fresh(ground, job) and not load.is_read_in_vain:
        yield from refresh(ground, job)
        if is_fresh(ground, job):
            raise Again
        load.is_read_in_vain = True  # nothing there is relied on: what is not here is fetched or copied, and sent again
    noted = ground.tables.upload(job, digest, content.codec)
    if noted is not None and noted.done and is_young(ground, noted.began_ms):
        _rely_on_upload(load, content, noted)
    elif is_here(content):
        yield from _bring(ground, job, load, content)
    else:
        yield from _fetch_again(ground, job, load, content)


def is_here(content: Content) -> bool:
    return content.place in (Here.CATALOG, Here.FILE) and not content.damaged


def is_fresh(ground: Ground, job: int) -> bool:
    """◆ Whether the last complete reading of a job is young enough to be relied on."""
    read_ms = ground.tables.read_ms(job)
    return read_ms > 0 and ground.now_ms() - read_ms < ground.half_ms


def is_young(ground: Ground, began_ms: int) -> bool:
    """◆ Whether an upload is young enough that nobody can have taken it for left over."""
    return ground.now_ms() - began_ms < ground.half_ms


def _referred(ground: Ground, job: int, load: Load, contents: Mapping[Digest, Content]) -> Steps[set[Digest]]:
    """Case (c) of BUCKET.md: of these contents, those to which a record of the last reading refers, not ours."""
    found = set()
    for number, digest in enumerate(contents):
        if number % ground.piece == ground.piece - 1:
            yield Pause()
        if refers_in_rows(ground, job, digest, load.inos):
            found.add(digest)
    if all(digest in found or is_here(content) for digest, content in contents.items()):
        return found
    sending = {(record.path, record.stamp) for record in load.records()}
    states = yield from published(ground, job)
    return found | {Digest(digest) for digest in referred_by(states, sending)}.intersection(contents)


def refers_in_rows(ground: Ground, job: int, digest: Digest, sending: AbstractSet[int]) -> bool:
    """◆ Whether the rows show that a published content register, of an entry that is not sent now, has this content."""
    return any(
        not entry.owed & Owed.CONTENT and entry.owed & Owed.KNOWN and entry.ino not in sending
        and ground.owing.where(entry.ino).job == job
        for entry in ground.catalog.entries_with(digest)
    )  # fmt: skip


def referred_by(states: Mapping[bytes, PathState], sending: Container[tuple[bytes, str]]) -> set[bytes]:
    """◆ Digests of contents whose registers win the fold; of a record that is sent now no word counts."""
    found = set()
    for path, state in states.items():
        digest = digest_of(state.value("content"))
        if digest is not None and (path, state.registers["content"][0]) not in sending:
            found.add(digest)
    return found


def _has_place(ground: Ground, job: int, digest: Digest) -> Steps[bool]:
    """◆ Whether one of the places of a content was listed, or answers."""
    places = ground.tables.places(job, digest)
    listed = ground.tables.listed(job)
    if any(not place.object or place.object in listed for place in places):
        return True
    for place in places:
        if (yield from ask(Head(ground.key(job, place.object)))) is not None:
            return True
    return False


def _rely_on_upload(load: Load, content: Content, noted: NotedUpload) -> None:
    assert content.digest is not None
    load.large[content.digest] = Place(
        content.digest, Codec(noted.codec), content.size, content.stored, noted.object, 0, noted.sum.hex(),
        content.sums, None,
    )  # fmt: skip
    load.oldest_ms = min(load.oldest_ms or noted.began_ms, noted.began_ms)


def _bring(ground: Ground, job: int, load: Load, content: Content) -> Steps[None]:
    assert content.digest is not None
    if content.stored > ground.large_bytes:
        _rely_on_upload(load, content, (yield from _upload(ground, job, content)))
        return
    data = ground.catalog.content_data(content.id) if content.place == Here.CATALOG else None
    load.bodies[content.digest] = body_of(content, ground.contents, data=data)
    load.contents[content.digest] = content


def _upload(ground: Ground, job: int, content: Content) -> Steps[NotedUpload]:
    """Large content under a new name, noted durably before it begins; what was begun before goes on."""
    assert content.digest is not None
    noted = ground.tables.upload(job, content.digest, content.codec)
    if noted is None or not is_young(ground, noted.began_ms):
        checksum = yield from ask(Work(lambda: checked_sum(content, ground.contents)))
        noted = new_upload(ground, content.digest, content.codec, checksum)
        note(ground, job, noted)
    if not (yield from _copied_from_elsewhere(ground, content, ground.key(job, noted.object))):
        yield from _send_large(ground, job, content, noted)
    noted = replace(noted, upload_id="", part_bytes=0, done=True)
    note(ground, job, noted)
    return noted


def new_upload(ground: Ground, digest: Digest, codec: str, checksum: bytes) -> NotedUpload:
    name = objects.large_name(ground.now_ms(), ground.stamps.writer, ground.random(), digest, Codec(codec))
    return NotedUpload(digest, codec, name, ground.now_ms(), checksum, "", 0, done=False)


def note(ground: Ground, job: int, noted: NotedUpload) -> None:
    with ground.catalog.transaction():
        ground.tables.note_upload(job, noted)


def _copied_from_elsewhere(ground: Ground, content: Content, key: str) -> Steps[bool]:
    """The same content does not travel twice: the server copies it from where the index knows it."""
    assert content.digest is not None
    for other, name in ground.tables.large_elsewhere(content.digest, content.codec):
        try:
            yield from ask(Copy(objects.large_key(other, name), key))
        except ObjectMissing:
            continue
        return True
    return False


def _send_large(ground: Ground, job: int, content: Content, noted: NotedUpload) -> Steps[None]:
    assert content.digest is not None
    key = ground.key(job, noted.object)
    resume = Upload(key, noted.upload_id, noted.part_bytes) if noted.upload_id else None
    source = FileSource(ground.contents.path(content.digest, content.codec))

    def progress(confirmed_bytes: int) -> None:
        ground.sent[key] = confirmed_bytes

    try:
        yield from ask(PutLarge(key, source, resume, ground.multiparts(job, noted), progress))
    finally:
        ground.sent.pop(key, None)
        source.close()


def _fetch_again(ground: Ground, job: int, load: Load, content: Content) -> Steps[None]:
    """Content that is not here and that nobody refers to: copied inside the bucket, or out of an old bundle."""
    assert content.digest is not None
    for place in ground.tables.places(job, content.digest):
        try:
            if place.object:
                yield from _copy_again(ground, job, load, content, place)
            else:
                yield from _fetch_member(ground, job, load, place)
        except (ObjectMissing, CorruptContent):
            continue
        return
    lost = [due for due in load.due if due.content is not None and due.content.digest == content.digest]
    yield from set_aside(ground, job, lost, f"the content {content.digest.hex()} is neither here nor in the bucket")
    raise Again


def _copy_again(ground: Ground, job: int, load: Load, content: Content, place: Placed) -> Steps[None]:
    """◆ Restoring copies under a new name: the old object may be on its way out."""
    noted = new_upload(ground, Digest(place.digest), place.codec, place.sum)
    note(ground, job, noted)
    yield from ask(Copy(ground.key(job, place.object), ground.key(job, noted.object)))
    noted = replace(noted, done=True)
    note(ground, job, noted)
    _rely_on_upload(load, replace(content, sums=place.sums, stored=place.stored), noted)


def _fetch_member(ground: Ground, job: int, load: Load, place: Placed) -> Steps[None]:
    name = ground.tables.bundle_name(place.bundle)
    fetched = yield from ask(Range(ground.key(job, name), place.offset, place.stored))
    body = fetched_body(Digest(place.digest), Codec(place.codec), place.size, place.sums, fetched.data)
    yield from ask(Work(body))  # before it is counted on
    load.bodies[Digest(place.digest)] = body


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
