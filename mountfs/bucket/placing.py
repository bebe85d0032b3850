"""Where the contents of a bundle come from: this machine, a place in the bucket that lasts, or another job's copy.

A record goes out only with its content, or relying on content that others cannot have dropped meanwhile (BUCKET.md).
"""

import logging
from collections.abc import Container, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace

from mountfs import objects
from mountfs.bucket.bodies import FileSource, body_of, checked_sum, fetched_body
from mountfs.bucket.census import digest_of
from mountfs.bucket.ground import Ground
from mountfs.bucket.loading import Again, Load
from mountfs.bucket.reading import published, refresh
from mountfs.bucket.requests import Copy, Head, Pause, PutLarge, Range, Steps, Work, ask
from mountfs.bucket.stale import set_aside
from mountfs.bundle import Place
from mountfs.catalog.bucket import NotedUpload, Placed
from mountfs.errors import CorruptContent, ObjectMissing
from mountfs.model import Codec, Content, Digest, Owed
from mountfs.model import Place as Here
from mountfs.records import PathState
from mountfs.remote.protocol import Upload

log = logging.getLogger(__name__)


def place_all(ground: Ground, job: int, load: Load) -> Steps[None]:
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
    _rely_on_upload(load, replace(content, sums=place.sums, size=place.size, stored=place.stored), noted)


def _fetch_member(ground: Ground, job: int, load: Load, place: Placed) -> Steps[None]:
    name = ground.tables.bundle_name(place.bundle)
    fetched = yield from ask(Range(ground.key(job, name), place.offset, place.stored))
    body = fetched_body(Digest(place.digest), Codec(place.codec), place.size, place.sums, fetched.data)
    yield from ask(Work(body))  # before it is counted on
    load.bodies[Digest(place.digest)] = body
