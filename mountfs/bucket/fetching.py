"""Fetching content: every place that a manifest names is tried, and nothing enters this machine unchecked."""

import logging
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from mountfs import bundle
from mountfs.bucket.bodies import fetched_body
from mountfs.bucket.ground import LARGE_BYTES, Ground
from mountfs.bucket.reading import refresh
from mountfs.bucket.requests import Get, MakeRoom, Pause, Range, Steps, Work, ask
from mountfs.bundle import Member
from mountfs.catalog.bucket import Placed
from mountfs.contents import INLINE_BYTES, write_quickly
from mountfs.errors import ContentLost, CorruptContent, ObjectMissing
from mountfs.model import Codec, Content, Digest
from mountfs.model import Place as Here
from mountfs.namespace.keys import shown
from mountfs.store.room import NoRoomYet

log = logging.getLogger(__name__)

BATCH = 64  # members that are checked and brought in together


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """One place of a content in the bucket, and the key under which it lies."""

    job: int
    place: Placed
    key: str

    @property
    def name(self) -> str:
        """The object's own, below its job."""
        return self.key.rpartition("/")[2]

    @property
    def is_large(self) -> bool:
        """Whether it is read in ranges, because the whole would keep its reader waiting, and be in memory."""
        return self.place.stored > LARGE_BYTES


def absent(ground: Ground, content_id: int) -> Content | None:
    """The content, where it is in the bucket alone."""
    content = ground.catalog.content(content_id)
    return content if content is not None and content.place == Here.BUCKET and content.digest is not None else None


def bundles_of_several(ground: Ground, inos: Iterable[int]) -> set[int]:
    """Bundles that have the contents of several of these entries, of those that are in the bucket alone."""
    counted: Counter[int] = Counter()
    for ino in inos:
        entry = ground.catalog.entry(ino)
        content = None if entry is None or entry.content is None else absent(ground, entry.content)
        place = next(iter(whereabouts(ground, content)), None) if content is not None else None
        if place is not None and not place.place.object:
            counted[place.place.bundle] += 1
    return {bundle for bundle, contents in counted.items() if contents > 1}


def look_again(ground: Ground, content: Content) -> Steps[None]:
    """None of its places is there any more: read the jobs again, once."""
    for job in jobs_naming(ground, content):
        yield from refresh(ground, job)


def lost(content: Content) -> ContentLost:
    assert content.digest is not None
    return ContentLost(f"integrity check: the content {content.digest.hex()} is at none of its places in the bucket")


def jobs_naming(ground: Ground, content: Content) -> list[int]:
    """Jobs whose entries or trash name a content; its places are looked for in those first, then in any."""
    assert content.digest is not None
    inos = [entry.ino for entry in ground.catalog.entries_with(content.digest)]
    inos += [ino for _content, ino in ground.catalog.versions.needing([content.id])]
    named = [*(ground.owing.origin(ino).job for ino in inos), *ground.catalog.trash.jobs_wanting(content.id)]
    return list(dict.fromkeys([*named, *ground.tables.jobs_placing(content.digest)]))


def whereabouts(ground: Ground, content: Content) -> list[Whereabouts]:
    """◆ Every place of a content, those in listed objects first."""
    assert content.digest is not None
    found: list[Whereabouts] = []
    for job in jobs_naming(ground, content):
        listed = ground.tables.listed(job)
        places = ground.tables.places(job, content.digest)
        for place in sorted(places, key=lambda place: bool(place.object) and place.object not in listed):
            name = place.object or ground.tables.bundle_name(place.bundle)
            found.append(Whereabouts(job, place, ground.key(job, name)))
    return found


def read_member(found: Whereabouts) -> Steps[Member]:
    """The content from one place, checked by its SHA-256."""
    place = found.place
    if place.object:
        fetched = yield from ask(Get(found.key, place.stored))
    else:
        fetched = yield from ask(Range(found.key, place.offset, place.stored))
    body = fetched_body(Digest(place.digest), Codec(place.codec), place.size, place.sums, fetched.data)
    return (yield from ask(Work(body)))


def fetch_bundle(ground: Ground, job: int, number: int) -> Steps[int]:
    """Bring all that is absent of a bundle here with one request; how many contents came. None of one that is gone."""
    if not any(_is_wanted(ground, place) for place in ground.tables.places_in(number)):
        return 0
    key = ground.key(job, ground.tables.bundle_name(number))
    try:
        fetched = yield from ask(Get(key, bundle.MOST_OBJECT_BYTES))
    except ObjectMissing:
        return 0  # merged meanwhile: who fetches one by one looks again
    while job in ground.applying:  # a reading is being brought in: what it names is wanted too, and not a second time
        yield Pause()
    wanted = yield from wanted_in(ground, number)
    came = 0
    for start in range(0, len(wanted), BATCH):
        some = wanted[start : start + BATCH]
        members = yield from ask(Work(lambda some=some: _checked(some, fetched.data)))  # type: ignore[misc]
        yield from keep(ground, members)
        came += len(members)
        yield Pause()
    return came


def wanted_in(ground: Ground, number: int) -> Steps[list[Placed]]:
    """What a bundle has that is in the bucket alone."""
    wanted = []
    for looked_at, place in enumerate(ground.tables.places_in(number), 1):
        if _is_wanted(ground, place):
            wanted.append(place)
        if looked_at % BATCH == 0:
            yield Pause()
    return wanted


def _is_wanted(ground: Ground, place: Placed) -> bool:
    if place.object:
        return False
    known = ground.catalog.content_by_any(place.digest, place.codec)
    return known is not None and absent(ground, known) is not None


def _checked(places: Iterable[Placed], whole: bytes) -> list[Member]:
    """Those members that are what they are said to be; the others are found when somebody asks for them."""
    members = []
    for place in places:
        stored = whole[place.offset : place.offset + place.stored]
        try:
            members.append(fetched_body(Digest(place.digest), Codec(place.codec), place.size, place.sums, stored)())
        except CorruptContent as error:
            log.error("%s", error)
    return members


def keep(ground: Ground, members: list[Member]) -> Steps[None]:
    """These are here from now on: files first, then the rows that point at them.

    Files are not synced: what power loss tears is found when it is read, and fetched again. Raises CacheFull.
    """
    length = sum(len(member.data) for member in members)
    yield from disk_for(ground, length)
    try:
        yield from _keep(ground, members)
    finally:
        ground.room.disk_came(length)


def disk_for(ground: Ground, length: int) -> Steps[None]:
    """Before so much is written: the reserve of the disk is left alone, what may go makes room. Taken until
    `disk_came`. Raises CacheFull."""
    while True:
        try:
            ground.room.expect_on_disk(length)
            return
        except NoRoomYet as found:
            lack = found
        yield from ask(MakeRoom(lack))


def _keep(ground: Ground, members: list[Member]) -> Steps[None]:
    large = [member for member in members if len(member.data) > INLINE_BYTES]
    names = [ground.contents.doom_name(member.digest, member.codec) for member in large]
    ground.contents.expect(names)
    try:
        if large:
            with ground.catalog.transaction():
                ground.catalog.doom(names)
            yield from ask(Work(lambda: _write(ground, large)))
        resized: list[int] = []
        with ground.ledger.transaction():
            for member in members:
                resized += _bring(ground, member)
            ground.catalog.spare(names)
        name_sizes(ground, resized)
    finally:
        ground.contents.came(names)


def _bring(ground: Ground, member: Member) -> list[int]:
    known = ground.catalog.content_by_any(member.digest, member.codec)
    if known is None:
        return []
    length, data = len(member.data), member.data if len(member.data) <= INLINE_BYTES else None
    now_s = ground.ledger.now_s()
    ground.catalog.mimes.put(member.digest, member.mime)
    return ground.catalog.bring(known, member.codec, member.sums, member.size, length, data, now_s=now_s)


def name_sizes(ground: Ground, resized: Collection[int]) -> None:
    """Of these entries a record said another size than their bytes have, which came now: that one shows."""
    for ino in resized:
        where = ground.owing.origin(ino)
        sentence = f"{shown(where.path)}: a record said another size than its content has"
        log.warning("%s", sentence)
        ground.odd.lied(where, sentence)
    if resized:
        ground.show(ground.paths.resized(resized))


def _write(ground: Ground, members: list[Member]) -> None:
    for member in members:
        incoming = ground.contents.incoming / f"fetched-{member.digest.hex()}"
        try:
            write_quickly(incoming, member.data)
            ground.contents.adopt_quickly(incoming, member.digest, member.codec)
        except BaseException:
            incoming.unlink(missing_ok=True)  # on a full disk half of it is in the way of others
            raise


def is_large(ground: Ground, content: Content) -> bool:
    """Whether it is read in ranges, because the whole would keep its reader waiting; whatever a record claims."""
    return content.stored > LARGE_BYTES or any(found.is_large for found in whereabouts(ground, content))
