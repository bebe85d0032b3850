"""Feed and heads made anew from `jobs/` alone, after all of it was read: `mountfs sync --rebuild`.

What is there already stays: only bundles that no part of the feed tells of are told, only heads that are missing put.
"""

from collections.abc import Iterator

from mountfs import bundle, objects
from mountfs.bucket import feed
from mountfs.bucket.feedtext import MOST_PART_BYTES, Section, packed, parse_section, read_lines
from mountfs.bucket.ground import Ground
from mountfs.bucket.heads import put_heads, said_of
from mountfs.bucket.requests import List, Pause, Steps, Work, ask
from mountfs.errors import CorruptContent
from mountfs.objects import BundleName
from mountfs.records import RecordRefused, parse_line

GROUP_BYTES = MOST_PART_BYTES // 2  # of records that are held until they are put


def rebuild_feed(ground: Ground) -> Steps[int]:
    """Tell of bundles of the last 30 days that are not in the feed; how many there were."""
    told = yield from _told(ground)
    young_ms = ground.now_ms() - feed.KEPT_MS
    sections: list[Section] = []
    size = count = 0
    for job in _each_job(ground):
        yield Pause()
        name = ground.tables.job_name(job)
        for known in ground.tables.bundles(job).values():
            named = objects.parse_object(known.name)
            if (name, known.name) in told or not isinstance(named, BundleName) or named.when_ms < young_ms:
                continue
            section = yield from _section(ground, name, known.name, ground.tables.manifest(known.id))
            sections.append(section)
            size, count = size + sum(map(len, section.lines)), count + 1
            if size > GROUP_BYTES:
                yield from _put(ground, sections)
                sections, size = [], 0
    yield from _put(ground, sections)
    return count


def _each_job(ground: Ground) -> Iterator[int]:
    after = 0
    while page := ground.tables.jobs_after(after, 256):
        yield from page
        after = page[-1]


def _told(ground: Ground) -> Steps[set[tuple[bytes, str]]]:
    """(job, bundle) of which the feed tells."""
    told: set[tuple[bytes, str]] = set()
    hours, days = yield from feed.periods()
    for period in [*hours, *days]:
        listed = yield from feed.parts(period)
        for start in range(0, len(listed), feed.SIDE_BY_SIDE):
            got, _vanished = yield from feed.fetch(listed[start : start + feed.SIDE_BY_SIDE])
            for _part, data in got:
                told |= yield from ask(Work(lambda data=data: _names(data, store_id=ground.store_id)))  # type: ignore[misc]
    return told


def _names(data: bytes, *, store_id: str) -> set[tuple[bytes, str]]:
    found: set[tuple[bytes, str]] = set()
    try:
        for line in read_lines(data, store_id=store_id):
            if b'"bundle"' in line and b'"stamp"' not in line:
                found.add(parse_section(parse_line(line)))
    except (CorruptContent, RecordRefused):
        pass  # what cannot be read is told again
    return found


def _section(ground: Ground, job: bytes, name: str, stored: bytes) -> Steps[Section]:
    def work() -> Section:
        manifest = bundle.read_manifest(stored, store_id=ground.store_id, job=job, name=name)
        return Section(job, name, tuple(record.line for record in manifest.records))

    return (yield from ask(Work(work)))


def _put(ground: Ground, sections: list[Section]) -> Steps[None]:
    if sections:
        for data in (yield from ask(Work(lambda: list(packed(ground.store_id, sections))))):
            yield from feed.put_part(ground, data)


def rebuild_heads(ground: Ground) -> Steps[int]:
    """Put heads that are missing, named by the time of each job's newest bundle; how many there were."""
    there = yield from _listed_heads()
    count = 0
    for job in _each_job(ground):
        yield Pause()
        name = ground.tables.job_name(job)
        part = objects.encode_name(name)
        said = yield from said_of(ground, job)
        missing = {
            (key, value): text
            for (key, value), text in said.items()
            if (objects.encode_name(key.encode()), objects.encode_name(value), part) not in there
        }
        times = [known.modified_ms for known in ground.tables.bundles(job).values()]
        if missing and times:
            yield from put_heads(ground, job, missing, when_ms=max(times))
            count += len(missing)
    return count


def _listed_heads() -> Steps[set[tuple[str, str, str]]]:
    """(key, value, job), each as a part of a key."""
    found: set[tuple[str, str, str]] = set()
    token: str | None = None
    while True:
        page = yield from ask(List(objects.HEADS, token=token))
        for listed in page.objects:
            head = objects.parse_head(listed.key)
            if head is not None:
                found.add((head.key, head.value, head.job))
        if page.token is None:
            return found
        token = page.token
