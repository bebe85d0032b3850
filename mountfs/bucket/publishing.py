"""Publishing a job: large contents, then one bundle that commits small contents and records together.

What it keeps true (BUCKET.md, "Publishing"): a record goes out only with its content, or relying on content that
others cannot have dropped meanwhile; nothing is marked published but after an answer, by the server's time in it.
"""

import json
import logging
import zlib
from collections.abc import Container, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from mountfs import bundle, objects
from mountfs.bucket.bodies import Body, FileSource, body_of, checked_sum, fetched_body
from mountfs.bucket.census import digest_of
from mountfs.bucket.ground import PIECE, Ground, know_time, place_row
from mountfs.bucket.reading import carry_out_moves, published, refresh
from mountfs.bucket.requests import Copy, Head, Pause, Put, PutLarge, Range, Steps, Work, ask
from mountfs.bucket.stale import set_aside, settle_stale
from mountfs.bundle import Packed, Place
from mountfs.catalog.bucket import NotedUpload, Placed
from mountfs.errors import ContentLost, CorruptContent, MountfsError, ObjectMissing, RemoteDenied, RemoteUnavailable
from mountfs.model import Codec, Content, Digest, Owed
from mountfs.model import Place as Here
from mountfs.records import PathState
from mountfs.remote.protocol import Upload
from mountfs.store.outbox import Due

log = logging.getLogger(__name__)

ROUNDS = 4  # how often a job is looked at again before it has to wait
SPARE_BYTES = 1 << 20  # of a bundle, for its manifest
MOST_RECORDS = 50_000


@dataclass(slots=True)
class Published:
    """What one run brought into the bucket."""

    records: int = 0
    bundles: list[int] = field(default_factory=list)  # ids, whose records the feed is to repeat
    complete: bool = False  # nothing that could go out is left


class _Again(Exception):  # what was decided no longer holds: begin anew
    pass


@dataclass(slots=True)
class _Load:
    """One bundle to be: what goes in, and what its records rely on."""

    due: list[Due]
    bodies: list[Body] = field(default_factory=list)
    contents: list[Content] = field(default_factory=list)  # of this machine, among the bodies
    large: list[Place] = field(default_factory=list)
    read_ms: int = 0  # server's time of the reading relied on; 0: on none
    oldest_ms: int = 0  # and of the oldest thing relied on

    def inos(self) -> set[int]:
        return {due.entry.ino for due in self.due if due.entry is not None}


def publish(ground: Ground, job: int) -> Steps[Published]:
    """Bring all of a job that can go out now into the bucket; what comes meanwhile waits for the next time, so that
    this ends also while somebody goes on writing. Raises RemoteUnavailable, RemoteDenied."""
    done = Published()
    rounds = 0
    until = ""
    if not ground.stamps.is_told and ground.outbox.batch(job):
        yield from know_time(ground)
    while rounds < ROUNDS:
        yield from carry_out_moves(ground)
        yield from settle_stale(ground, job)
        batch = [due for due in ground.outbox.batch(job) if not ground.outbox.waits(due)]
        if not batch or (done.bundles and all(due.records[0].stamp > until for due in batch)):
            done.complete = True
            return done
        until = until or ground.stamps.last
        try:
            sent, landed = yield from _publish_one(ground, job, batch)
        except _Again:
            rounds += 1
            continue
        done.records += sent
        done.bundles.append(landed)
    return done


def _publish_one(ground: Ground, job: int, batch: list[Due]) -> Steps[tuple[int, int]]:
    load = _fitting(batch, large_bytes=ground.large_bytes)
    inos = load.inos()
    ground.owing.in_flight |= inos  # from now on a removal has to be told, for these records may arrive
    try:
        yield from _place_all(ground, job, load)
        _check_ages(ground, job, load)
        packed = yield from _packed(ground, job, load)
        return (yield from _send(ground, job, load, packed))
    finally:
        ground.owing.in_flight -= inos


def _fitting(batch: list[Due], *, large_bytes: int) -> _Load:
    """As much as one bundle takes; large contents count as nothing."""
    load = _Load([])
    room, records = bundle.MOST_BUNDLE_BYTES - SPARE_BYTES, 0
    seen: set[Digest | None] = set()
    for due in batch:
        content = due.content
        size = 0
        if content is not None and content.stored <= large_bytes and content.digest not in seen:
            size = content.stored + 256
        if load.due and (size > room or records >= MOST_RECORDS or len(seen) >= bundle.MOST_MEMBERS - 2):
            break
        room -= size
        records += len(due.records)
        if content is not None:
            seen.add(content.digest)
        load.due.append(due)
    return load


# -- where the contents come from -------------------------------------------------------------------------------


def _place_all(ground: Ground, job: int, load: _Load) -> Steps[None]:
    contents: dict[Digest, Content] = {}
    for due in load.due:
        if due.content is not None and due.content.digest is not None:
            contents.setdefault(due.content.digest, due.content)
    read_ms = ground.tables.read_ms(job)
    referred = (yield from _referred(ground, job, load, contents)) if is_fresh(ground, job) else set()
    for digest, content in contents.items():
        if digest in referred and (yield from _has_place(ground, job, digest)):
            load.read_ms = read_ms
        else:
            yield from _place(ground, job, load, digest, content)


def _place(ground: Ground, job: int, load: _Load, digest: Digest, content: Content) -> Steps[None]:
    """Decide how a content gets into the job that nobody refers to, and do what has to be done before the bundle."""
    if not is_here(content) and not is_fresh(ground, job):
        yield from refresh(ground, job)
        if not is_fresh(ground, job):
            raise RemoteUnavailable("the job could not be read whole: tried again")
        raise _Again
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


def _referred(ground: Ground, job: int, load: _Load, contents: Mapping[Digest, Content]) -> Steps[set[Digest]]:
    """Case (c) of BUCKET.md: of these contents, those to which a record of the last reading refers, not ours."""
    inos = load.inos()
    found = {digest for digest in contents if refers_in_rows(ground, job, digest, inos)}
    if all(digest in found or is_here(content) for digest, content in contents.items()):
        return found
    sending = {(record.path, record.stamp) for due in load.due for record in due.records}
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


def _rely_on_upload(load: _Load, content: Content, noted: NotedUpload) -> None:
    assert content.digest is not None
    load.large.append(
        Place(
            content.digest, Codec(noted.codec), content.size, content.stored, noted.object, 0, noted.sum.hex(),
            content.sums, None,
        )
    )  # fmt: skip
    load.oldest_ms = min(load.oldest_ms or noted.began_ms, noted.began_ms)


def _bring(ground: Ground, job: int, load: _Load, content: Content) -> Steps[None]:
    if content.stored > ground.large_bytes:
        _rely_on_upload(load, content, (yield from _upload(ground, job, content)))
        return
    data = ground.catalog.content_data(content.id) if content.place == Here.CATALOG else None
    load.bodies.append(body_of(content, ground.contents, data=data))
    load.contents.append(content)
    if len(load.bodies) % PIECE == 0:
        yield Pause()


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


def _fetch_again(ground: Ground, job: int, load: _Load, content: Content) -> Steps[None]:
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
    raise _Again


def _copy_again(ground: Ground, job: int, load: _Load, content: Content, place: Placed) -> Steps[None]:
    """◆ Restoring copies under a new name: the old object may be on its way out."""
    noted = new_upload(ground, Digest(place.digest), place.codec, place.sum)
    note(ground, job, noted)
    yield from ask(Copy(ground.key(job, place.object), ground.key(job, noted.object)))
    noted = replace(noted, done=True)
    note(ground, job, noted)
    _rely_on_upload(load, replace(content, sums=place.sums, stored=place.stored), noted)


def _fetch_member(ground: Ground, job: int, load: _Load, place: Placed) -> Steps[None]:
    name = ground.tables.bundle_name(place.bundle)
    fetched = yield from ask(Range(ground.key(job, name), place.offset, place.stored))
    body = fetched_body(Digest(place.digest), Codec(place.codec), place.size, place.sums, fetched.data)
    yield from ask(Work(body))  # before it is counted on
    load.bodies.append(body)


# -- the bundle ---------------------------------------------------------------------------------------------------


def _check_ages(ground: Ground, job: int, load: _Load) -> None:
    """The last look before the PUT, which may then be delayed without limit."""
    if load.read_ms:
        if not is_fresh(ground, job):
            raise _Again
        load.oldest_ms = min(load.oldest_ms or load.read_ms, load.read_ms)
    if load.oldest_ms and not is_young(ground, load.oldest_ms):
        raise _Again


def _packed(ground: Ground, job: int, load: _Load) -> Steps[Packed]:
    records = [record for due in load.due for record in due.records]
    name, job_name = ground.bundle_name(), ground.tables.job_name(job)

    def work() -> Packed:
        return bundle.pack(
            store_id=ground.store_id, job=job_name, name=name, members=[body() for body in load.bodies],
            large=load.large, records=records,
        )  # fmt: skip

    try:
        return (yield from ask(Work(work)))
    except (CorruptContent, ContentLost) as error:
        ground.doubt(load.contents, error)
        raise


def _send(ground: Ground, job: int, load: _Load, packed: Packed) -> Steps[tuple[int, int]]:
    name = packed.manifest.name
    inos = load.inos()
    with ground.catalog.transaction():
        ground.tables.note_attempt(job, name, began_ms=ground.now_ms(), paths=_paths(load.due))
    try:
        answered = yield from ask(Put(ground.key(job, name), packed.data))
        while job in ground.applying:  # a reading is being brought in: it must not take these for gone
            yield Pause()
        if is_late(ground, load.oldest_ms, answered.server_ms):
            landed_late(ground, job, name, inos)
            raise _Again
        return (yield from _mark(ground, job, load, packed, answered.server_ms))
    except RemoteDenied:  # an answer too: it is not there
        with ground.catalog.transaction():
            ground.tables.forget_attempt(job, name)
        raise
    except MountfsError:  # no answer: it may have landed, or land later
        _may_have_landed(ground, inos)
        raise


def _paths(due: list[Due]) -> bytes:
    said = [[record.path.hex(), record.stamp] for entry in due for record in entry.records]
    return zlib.compress(json.dumps(said).encode())


def _may_have_landed(ground: Ground, inos: Iterable[int]) -> None:
    with ground.ledger.transaction():
        for ino in inos:
            ground.owing.may_have_landed(ino)
    for ino in inos:
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


def _mark(ground: Ground, job: int, load: _Load, packed: Packed, server_ms: int) -> Steps[tuple[int, int]]:
    """It is in the bucket: say so, in pieces; a crash in between marks the rest at the next start."""
    manifest = packed.manifest
    with ground.catalog.transaction():
        landed = ground.tables.add_bundle(
            job, manifest.name, bytes=len(packed.data), modified_ms=server_ms, manifest=packed.manifest_stored,
            standing="marking", told=False,
        )  # fmt: skip
        ground.tables.add_places(job, landed, (place_row(place) for place in manifest.places))
        ground.tables.forget_attempt(job, manifest.name)
        for place in load.large:
            ground.tables.forget_upload(job, place.digest, place.codec)
    for start in range(0, len(load.due), ground.piece):
        if start:
            yield Pause()
        with ground.ledger.transaction():
            ground.outbox.confirm(job, load.due[start : start + ground.piece])
    with ground.catalog.transaction():
        ground.tables.set_standing(landed, "whole")
    return len(manifest.records), landed
