"""The feed in the bucket: parts named by the server's time, put, listed, fetched, merged and dropped.

What it keeps true: nothing rests on the feed. A part that is lost, repeated or
late costs time; `jobs/` says what is so, and the daily listing finds what the feed missed.
"""

import logging
from collections.abc import Iterable

from mountfs import codec, objects
from mountfs.bucket.feedtext import MOST_PART_BYTES, MOST_STORED_BYTES, check_header, header
from mountfs.bucket.ground import DAY_MS, HOUR_MS, Ground
from mountfs.bucket.requests import Delete, Get, List, Put, Steps, Together, Work, ask
from mountfs.errors import CorruptContent, MountfsError, ObjectMissing
from mountfs.remote.protocol import Fetched, Listed

log = logging.getLogger(__name__)

KEPT_MS = 30 * DAY_MS
LATE_MS = 60_000  # between a name and its landing: half of what followers look back
CLOSED_MS = 10 * 60_000  # an hour is merged so long after its end, when nothing lands in it any more
SIDE_BY_SIDE = 20
CONTENT_TYPE = "application/zstd"


# -- parts in the bucket ----------------------------------------------------------------------------------------


def put_part(ground: Ground, data: bytes, *, period: str | None = None) -> Steps[None]:
    """Add a part to the feed, to the present hour unless another period is named.

    One that landed long after the time in its name is put again: followers look back two minutes, not further.
    """
    when = ground.now_ms()
    for _ in range(3):
        key = objects.feed_key(period or objects.hour(when), when, ground.stamps.writer, ground.random())
        answered = yield from ask(Put(key, data, content_type=CONTENT_TYPE))
        if period is not None or answered.server_ms - when < LATE_MS:
            return
        when = answered.server_ms


def periods() -> Steps[tuple[list[str], list[str]]]:
    """(hours, days) that the feed has, in order."""
    found: set[str] = set()
    token: str | None = None
    while True:
        page = yield from ask(List(objects.FEED, delimiter="/", token=token))
        found.update(prefix[len(objects.FEED) : -1] for prefix in page.prefixes)
        if page.token is None:
            break
        token = page.token
    known = sorted(period for period in found if objects.parse_period(period) is not None)
    return [p for p in known if "T" in p], [p for p in known if "T" not in p]


def parts(period: str, *, after_ms: int = 0) -> Steps[list[Listed]]:
    """The parts of a period that were named at that time or later, in order of their names."""
    prefix = objects.feed_prefix(period)
    after = prefix + objects.when(after_ms) if after_ms else ""
    found: dict[str, Listed] = {}
    token: str | None = None
    while True:
        page = yield from ask(List(prefix, after=after, token=token))
        for listed in page.objects:
            part = objects.parse_feed(listed.key)
            if part is not None and part.when_ms >= after_ms:
                found[listed.key] = listed
        if page.token is None:
            return [found[key] for key in sorted(found)]
        token = page.token


def fetch(some: Iterable[Listed]) -> Steps[tuple[list[tuple[Listed, bytes]], bool]]:
    """(parts with their bytes, whether one was there no more: it was merged meanwhile)."""
    wanted = list(some)
    got: list[tuple[Listed, bytes]] = []
    vanished = False
    for start in range(0, len(wanted), SIDE_BY_SIDE):
        chunk = wanted[start : start + SIDE_BY_SIDE]
        answers = yield from ask(Together([Get(part.key, MOST_STORED_BYTES) for part in chunk]))
        for part, answer in zip(chunk, answers, strict=True):
            if isinstance(answer, Fetched):
                got.append((part, answer.data))
            elif isinstance(answer, ObjectMissing):
                vanished = True
            elif isinstance(answer, CorruptContent):
                log.warning("%s is left out: %s", part.key, answer)
                got.append((part, b""))
            elif isinstance(answer, MountfsError):
                raise answer
    return got, vanished


# -- maintenance ------------------------------------------------------------------------------------------------


def keep(ground: Ground) -> Steps[None]:
    """Merge finished hours and days of the feed, and drop what is older than 30 days.

    Harmless when two do it at once: followers read some records twice.
    """
    hours, days = yield from periods()
    now_ms = ground.now_ms()
    for period in [*hours, *days]:
        began_ms = objects.parse_period(period)
        assert began_ms is not None
        length_ms = HOUR_MS if "T" in period else DAY_MS
        if now_ms - began_ms - length_ms > KEPT_MS:
            yield from _drop(period)
        elif "T" in period and now_ms - began_ms - length_ms > CLOSED_MS:
            yield from _merge(ground, (yield from parts(period)), into=objects.day(began_ms))
        elif "T" not in period and now_ms - began_ms - length_ms > HOUR_MS + CLOSED_MS:  # its last hour is merged
            small = [part for part in (yield from parts(period)) if part.size < MOST_PART_BYTES // 16]
            if len(small) > 1:
                yield from _merge(ground, small, into=period)


def _drop(period: str) -> Steps[None]:
    keys = tuple(part.key for part in (yield from parts(period)))
    if keys:
        yield from ask(Delete(keys))


def _merge(ground: Ground, sources: list[Listed], *, into: str) -> Steps[None]:
    """Put the lines of these into few parts of that day; each source goes once all of it is in one that is there."""
    texts: list[bytes] = []
    keys: list[str] = []
    for start in range(0, len(sources), SIDE_BY_SIDE):
        got, _vanished = yield from fetch(sources[start : start + SIDE_BY_SIDE])
        for part, data in got:
            text = yield from ask(Work(lambda data=data: _body(data, store_id=ground.store_id)))  # type: ignore[misc]
            if text is None:
                continue
            if texts and sum(map(len, texts)) + len(text) > MOST_PART_BYTES:
                yield from _put_merged(ground, texts, keys, into)
                texts, keys = [], []
            texts.append(text)
            keys.append(part.key)
    if texts:
        yield from _put_merged(ground, texts, keys, into)


def _body(data: bytes, *, store_id: str) -> bytes | None:
    """The lines of a part behind its first, as one text; None where they cannot be read: it stays as it is."""
    try:
        text = codec.unpack_text(data, most_bytes=MOST_STORED_BYTES)
        first, _, rest = text.partition(b"\n")
        check_header(first, store_id=store_id)
    except CorruptContent:
        return None
    return rest if rest.endswith(b"\n") or not rest else rest + b"\n"


def _put_merged(ground: Ground, texts: list[bytes], keys: list[str], into: str) -> Steps[None]:
    head = header(ground.store_id) + b"\n"
    data = yield from ask(Work(lambda: codec.pack_text(b"".join([head, *texts]), level=3)))
    yield from put_part(ground, data, period=into)
    yield from ask(Delete(tuple(keys)))
