"""Fetching content: every place that a manifest names is tried, and nothing enters this machine unchecked."""

import logging
from collections.abc import Iterable

from mountfs.bucket.bodies import fetched_body
from mountfs.bucket.ground import Ground
from mountfs.bucket.reading import refresh
from mountfs.bucket.requests import Get, Range, Steps, Work, ask
from mountfs.bundle import Member
from mountfs.catalog.bucket import Placed
from mountfs.contents import INLINE_BYTES, write_durably
from mountfs.errors import ContentLost, CorruptContent, ObjectMissing
from mountfs.model import Codec, Content, Digest
from mountfs.model import Place as Here

log = logging.getLogger(__name__)


def fetch_content(ground: Ground, content_id: int) -> Steps[None]:
    """Bring a content here, whole. Raises ContentLost, CorruptContent, RemoteUnavailable, RemoteDenied."""
    content = ground.catalog.content(content_id)
    if content is None or content.place != Here.BUCKET or content.digest is None:
        return
    jobs = jobs_naming(ground, content)
    for again in (False, True):
        for job in jobs:
            if again:
                yield from refresh(ground, job)
            member = yield from _from_any(ground, job, content.digest)
            if member is not None:
                yield from keep(ground, content, member)
                return
    raise ContentLost(f"integrity check: the content {content.digest.hex()} is at none of its places in the bucket")


def jobs_naming(ground: Ground, content: Content) -> list[int]:
    """Jobs whose entries name a content; its places are looked for in those alone."""
    assert content.digest is not None
    inos = [entry.ino for entry in ground.catalog.entries_with(content.digest)]
    return list(dict.fromkeys(ground.owing.origin(ino).job for ino in inos))


def _from_any(ground: Ground, job: int, digest: Digest) -> Steps[Member | None]:
    for place in in_order(ground, job, ground.tables.places(job, digest)):
        try:
            return (yield from read_place(ground, job, place))
        except ObjectMissing:
            continue
        except CorruptContent as error:
            log.error("%s: %s", ground.tables.job_name(job), error)
    return None


def in_order(ground: Ground, job: int, places: Iterable[Placed]) -> list[Placed]:
    """◆ Every place, those in listed objects first."""
    listed = ground.tables.listed(job)
    return sorted(places, key=lambda place: bool(place.object) and place.object not in listed)


def read_place(ground: Ground, job: int, place: Placed) -> Steps[Member]:
    """The content from one place, checked by its SHA-256."""
    if place.object:
        fetched = yield from ask(Get(ground.key(job, place.object), place.stored))
    else:
        name = ground.tables.bundle_name(place.bundle)
        fetched = yield from ask(Range(ground.key(job, name), place.offset, place.stored))
    body = fetched_body(Digest(place.digest), Codec(place.codec), place.size, place.sums, fetched.data)
    return (yield from ask(Work(body)))


def keep(ground: Ground, content: Content, member: Member) -> Steps[None]:
    """The bytes are here from now on: the file first, then the row that points at it."""
    if len(member.data) <= INLINE_BYTES:
        with ground.ledger.transaction():
            ground.catalog.bring(content.id, member.codec, member.sums, len(member.data), member.data)
        return
    name = ground.contents.doom_name(member.digest, member.codec)
    incoming = ground.contents.incoming / f"fetched-{content.id}"

    def work() -> None:
        write_durably(incoming, [member.data])
        ground.contents.adopt(incoming, member.digest, member.codec)

    with ground.catalog.transaction():
        ground.catalog.doom([name])
    yield from ask(Work(work))
    with ground.ledger.transaction():
        ground.catalog.bring(content.id, member.codec, member.sums, len(member.data), None)
        ground.catalog.spare([name])

