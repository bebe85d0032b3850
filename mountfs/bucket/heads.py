"""Heads: a job with a tag, newest first, so that a machine without the index finds the jobs of a branch in one LIST.

A head says what the machine that wrote it knew: the job's status, types, top names and beginning. The newest head of a
job counts, also one that says that the job has that tag no more. Nothing rests on heads: `jobs/` says what is so.

They are listed by when they were written, and jobs are as old as their beginning. No job begins after its head was
written: so nothing that is not read yet is newer than what began after the next head was written.
"""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from mountfs import objects
from mountfs.bucket.ground import HOUR_MS, Ground
from mountfs.bucket.requests import Delete, Get, List, Pause, Put, Request, Steps, Together, ask
from mountfs.clock import LATEST_NS
from mountfs.errors import MountfsError, ObjectMissing
from mountfs.model import Entry, Kind
from mountfs.namespace import age_of
from mountfs.records import (
    RecordRefused,
    Value,
    bytes_of_field,
    bytes_of_value,
    field_of_bytes,
    parse_line,
    take_time,
    value_of_bytes,
)
from mountfs.remote.protocol import Answered, Fetched
from mountfs.store.origins import Where

log = logging.getLogger(__name__)

FORMAT = 1
MOST_LOOKED_AT = 5_000  # entries of a job, for its types
MOST_TOP = 200  # names directly in the job
MOST_HEAD_BYTES = 256 << 10
MOST_KNOWN = 1_000  # heads that are remembered, of up to a few KiB each
SIDE_BY_SIDE = 16
ROUNDS = 3
GONE = '{"gone":true}'

Key = tuple[str, bytes]
"""A tag: its key and its value."""


@dataclass(frozen=True, slots=True)
class JobHead:
    """What the newest head says of a job. `tags` are those by which jobs are found.

    `began_ns` is its beginning; of a head that says none the time at which that was written.
    """

    job: bytes
    began_ns: int
    status: bytes | None
    pr: bytes | None
    tags: Mapping[str, bytes]
    types: tuple[str, ...]
    top: tuple[bytes, ...]
    stamp: str


KnownHeads: TypeAlias = dict[str, JobHead | None]
"""What heads say that were read before, by their key in the bucket."""


# -- writing ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Summary:
    """A job as its heads tell of it."""

    tags: dict[str, bytes] = field(default_factory=dict)  # of the job itself
    types: set[str] = field(default_factory=set)
    top: list[bytes] = field(default_factory=list)
    began_ns: int = LATEST_NS

    def said(self, keys: Iterable[str]) -> str:
        tags = {key: value_of_bytes(self.tags[key]) for key in keys if key in self.tags}
        facts = {key: value_of_bytes(self.tags[key]) for key in ("status", "pr") if key in self.tags}
        top = [value_of_bytes(name) for name in sorted(self.top)]
        held = {"tags": tags, "types": sorted(self.types), "top": top, "began": self.began_ns}
        return json.dumps({**facts, **held}, sort_keys=True)


def write_heads(ground: Ground, job: int) -> Steps[None]:
    """Write those heads of a job that would say something new. Raises RemoteUnavailable, RemoteDenied."""
    if not ground.heads:
        return
    known = ground.catalog.feed.heads(job)
    wanted = yield from said_of(ground, job)
    wanted.update((key, GONE) for key in known if key not in wanted)
    yield from put_heads(ground, job, {key: said for key, said in wanted.items() if known.get(key) != said})


def jobs_lacking(ground: Ground, digest: bytes, slug: str) -> list[int]:
    """Jobs that hold a content, now known to be of that type, of which heads were told that name nothing of it."""
    return [job for job in ground.catalog.feed.jobs_with_heads(digest) if _lack(ground.catalog.feed.heads(job), slug)]


def _lack(heads: Mapping[Key, str], slug: str) -> bool:
    return any(said != GONE and slug not in json.loads(said)["types"] for said in heads.values())


def said_of(ground: Ground, job: int) -> Steps[dict[Key, str]]:
    """What the heads of a job have to say, by tag."""
    root = ground.paths.find(Where(job, b""))
    if root is None:
        return {}
    tags = _tags(ground, root)
    keys = [(key, tags[key]) for key in ground.heads if key in tags]
    if not keys:
        return {}
    return dict.fromkeys(keys, (yield from _summarize(ground, root, tags)).said(ground.heads))


def _tags(ground: Ground, root: Entry) -> dict[str, bytes]:
    return {name[4:]: value for name, value in ground.catalog.registers(root.ino, "tag:").items()}


def put_heads(ground: Ground, job: int, todo: Mapping[Key, str], *, when_ms: int | None = None) -> Steps[None]:
    """Put these, and note those that arrived."""
    if not todo:
        return
    name = ground.tables.job_name(job)
    when_ms = ground.now_ms() if when_ms is None else when_ms
    stamp = ground.stamps.next()
    puts: list[Request[object]] = []
    for (key, value), said in todo.items():
        body = {"format": FORMAT, **json.loads(said), **field_of_bytes("job", name), "stamp": stamp}
        data = json.dumps(body, ensure_ascii=False).encode() + b"\n"
        puts.append(
            Put(objects.head_key(key, value, when_ms, ground.random(), name), data, content_type="application/json")
        )
    answers = yield from ask(Together(puts))
    with ground.catalog.transaction():
        for ((key, value), said), answer in zip(todo.items(), answers, strict=True):
            if isinstance(answer, Answered):
                ground.catalog.feed.note_head(job, key, value, said)
    for answer in answers:
        if isinstance(answer, MountfsError):
            raise answer


def _summarize(ground: Ground, root: Entry, tags: dict[str, bytes]) -> Steps[_Summary]:
    """What this machine knows of a job: the types of its first few thousand files, what lies directly in it, and when
    the first of all that was made."""
    summary = _Summary(tags, began_ns=root.birth_ns if root.stamp else LATEST_NS)
    todo: list[tuple[int, tuple[bytes, ...]]] = [(root.ino, ())]
    left = MOST_LOOKED_AT
    while todo and left > 0:
        ino, path = todo.pop(0)
        after = b""
        while left > 0 and (page := ground.catalog.children(ino, after=after, limit=256)):
            left -= len(page)
            after = page[-1].name
            if not path:
                summary.top += [child.name for child in page[: MOST_TOP - len(summary.top)]]
            todo += [(child.ino, (*path, child.name)) for child in page if child.kind == Kind.DIRECTORY]
            files = [child for child in page if child.kind != Kind.DIRECTORY]
            summary.types |= _types(ground, path, files)
            summary.began_ns = min([summary.began_ns, *(child.birth_ns for child in files)])
            yield Pause()
    return summary


def _types(ground: Ground, path: tuple[bytes, ...], files: Sequence[Entry]) -> set[str]:
    """Of files in one directory: what is said, by their names, or by what was read in them so far."""
    inos = [child.ino for child in files]
    registers, read = ground.catalog.known.registers(inos), ground.catalog.known.read_types(inos)
    found = set()
    for child in files:
        explicit = registers.get(child.ino, {}).get("type")
        said = explicit.decode("utf-8", "replace") if explicit is not None else None
        found.add(ground.types.type_of((*path, child.name), explicit=said, by_format=read.get(child.ino, "")))
    return found


# -- finding ----------------------------------------------------------------------------------------------------


def find_jobs(
    key: str, value: bytes, *, limit: int, beginning: bool = False, known: KnownHeads | None = None
) -> Steps[list[JobHead]]:
    """The newest jobs with that tag value, or with one that begins so; newest first, each once.

    One LIST where they are few, and a GET for each that is not `known` from before: what a head says never changes.
    More GETs where heads were written late, for jobs that are older than that. Raises RemoteUnavailable, RemoteDenied.
    """
    known = {} if known is None else known
    for _ in range(ROUNDS):
        found = yield from _find(key, value, known, limit=limit, beginning=beginning)
        if found is not None:
            return found
    return []


def _find(key: str, value: bytes, known: KnownHeads, *, limit: int, beginning: bool) -> Steps[list[JobHead] | None]:
    """None: a head went while we looked, for a newer one."""
    prefix = objects.heads_beginning(key, value) if beginning else objects.heads_prefix(key, value)
    found: list[JobHead] = []
    seen: set[str] = set()
    token: str | None = None
    listed: list[tuple[objects.Head, str]] = []
    while True:
        page = yield from ask(List(prefix, token=token))
        token = page.token
        listed += _parsed(one.key for one in page.objects)
        if token is not None and beginning:
            continue  # values follow each other: the newest may come last
        waiting = list(_each_once(sorted(listed, key=lambda head: -head[0].when_ms), seen))
        listed = []
        while waiting and (lacking := limit - _settled(found, waiting[0][0].when_ms)) > 0:
            some, waiting = waiting[:lacking], waiting[lacking:]
            got = yield from _read([head_key for _head, head_key in some], known)
            if got is None:
                return None
            found += [head for head in got if head is not None and _is_of(head, key, value, beginning=beginning)]
        if token is None or waiting:
            return sorted(found, key=lambda head: age_of(head.began_ns, head.job), reverse=True)[:limit]


def _settled(found: Iterable[JobHead], next_ms: int) -> int:
    """How many of these are newer than any job whose head was written then, or earlier."""
    return sum(head.began_ns >= next_ms * 1_000_000 for head in found)


def _parsed(keys: Iterable[str]) -> Iterator[tuple[objects.Head, str]]:
    for key in keys:
        head = objects.parse_head(key)
        if head is not None:
            yield head, key


def _each_once(heads: Iterable[tuple[objects.Head, str]], seen: set[str]) -> Iterator[tuple[objects.Head, str]]:
    """The first head of each job."""
    for head, key in heads:
        if head.job not in seen:
            seen.add(head.job)
            yield head, key


def _is_of(head: JobHead, key: str, value: bytes, *, beginning: bool) -> bool:
    """Whether it is about that value: what was cut in a key stands whole inside."""
    said = head.tags.get(key)
    return said is not None and (said.startswith(value) if beginning else said == value)


def _read(keys: list[str], known: KnownHeads) -> Steps[list[JobHead | None] | None]:
    """What these heads say, None for one that says nothing; None instead of all when one is there no more."""
    read: dict[str, JobHead | None] = {key: known[key] for key in keys if key in known}
    lacking = [key for key in keys if key not in read]
    for start in range(0, len(lacking), SIDE_BY_SIDE):
        some = lacking[start : start + SIDE_BY_SIDE]
        answers = yield from ask(Together([Get(key, MOST_HEAD_BYTES) for key in some]))
        for key, answer in zip(some, answers, strict=True):
            if isinstance(answer, ObjectMissing):
                return None
            if isinstance(answer, Fetched):
                read[key] = parse(key, answer.data)
            elif isinstance(answer, MountfsError):
                raise answer
    if len(known) + len(lacking) > MOST_KNOWN:
        known.clear()
    known.update(read)
    return [read[key] for key in keys]


def parse(key: str, data: bytes) -> JobHead | None:
    """What a head says; None where the job has that tag no more, or where it says nothing that can be right."""
    name = objects.parse_head(key)
    if name is None:
        return None
    try:
        fields = parse_line(data.strip())
        job = bytes_of_field(fields, "job")
        if objects.encode_name(job) != name.job:
            raise RecordRefused("about another job than its name says")
        if fields.get("gone"):
            return None
        tags = {key: bytes_of_value(value) for key, value in _object(fields.get("tags")).items()}
        facts = {key: bytes_of_value(fields[key]) for key in ("status", "pr") if key in fields}
        types = tuple(str(slug) for slug in _list(fields.get("types")))
        top = tuple(bytes_of_value(entry) for entry in _list(fields.get("top")))
        began_ns = take_time(fields, "began") if "began" in fields else name.when_ms * 1_000_000
    except RecordRefused as error:
        log.warning("%s is left out: %s", key, error)
        return None
    return JobHead(job, began_ns, facts.get("status"), facts.get("pr"), tags, types, top, str(fields.get("stamp", "")))


def _object(value: Value) -> dict[str, Value]:
    return value if isinstance(value, dict) else {}


def _list(value: Value) -> list[Value]:
    return value if isinstance(value, list) else []


# -- maintenance ------------------------------------------------------------------------------------------------


def drop_old_heads(ground: Ground) -> Steps[int]:
    """Drop heads to which a newer one of the same job and tag value has been there for an hour; how many."""
    before_ms = ground.now_ms() - HOUR_MS
    dropped = 0
    token: str | None = None
    tag: tuple[str, str] | None = None
    newest: dict[str, objects.Head] = {}  # by job, of one tag: tags come one after the other
    while True:
        page = yield from ask(List(objects.HEADS, token=token))
        old = []
        for head, key in sorted(_parsed(listed.key for listed in page.objects), key=lambda found: found[1]):
            if tag != (head.key, head.value):
                tag, newest = (head.key, head.value), {}
            first = newest.setdefault(head.job, head)
            if first is not head and first.when_ms < before_ms:
                old.append(key)
        if old:
            yield from ask(Delete(tuple(old)))
            dropped += len(old)
        if page.token is None:
            return dropped
        token = page.token
