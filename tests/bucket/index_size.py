"""A bucket of many small jobs, as runners and maintenance leave it: for what must not grow with their number."""

import bisect
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

from mountfs import bundle, objects
from mountfs.bucket.feedtext import Section, packed
from mountfs.bundle import Member
from mountfs.codec import encode
from mountfs.records import Record
from mountfs.remote.protocol import Listed, Page
from tests.bucket.simulated import SimulatedBucket

FILES = 3
BRANCHES = 1000  # one job in ten is of `main`
FEED_JOBS = 5_000  # jobs that one merged part of the feed tells of, some


@dataclass(frozen=True)
class Job:
    """One job of `many_jobs`, as objects: (name below its prefix, bytes) and what the feed tells."""

    name: bytes
    when_ms: int
    branch: bytes
    bundle_name: str
    bundle: bytes
    section: Section
    head: tuple[str, bytes]


def many_jobs(count: int, *, store_id: str, began_ms: int) -> Iterator[Job]:
    """Jobs of three files each, a second apart, each published once by a machine of its own."""
    for number in range(count):
        writer = hashlib.sha256(b"%d" % number).hexdigest()[:8]
        name = b"build-%d" % number
        branch = b"main" if number % 10 == 0 else b"feature-%d" % (number % BRANCHES)
        when_ms = began_ms + number * 100
        members, records = _content(number, when_ms, writer, branch)
        bundle_name = objects.bundle_name(when_ms, writer, "00000000")
        made = bundle.pack(store_id=store_id, job=name, name=bundle_name, members=members, large=[], records=records)
        lines = tuple(record.line for record in made.manifest.records)
        head = {"format": 1, "job": name.decode(), "tags": {"branch": branch.decode()}, "types": [], "top": []}
        yield Job(
            name, when_ms, branch, bundle_name, made.data, Section(name, bundle_name, lines),
            (objects.head_key("branch", branch, when_ms, writer, name), json.dumps(head).encode()),
        )  # fmt: skip


def _content(number: int, when_ms: int, writer: str, branch: bytes) -> tuple[list[Member], list[Record]]:
    time_ns = when_ms * 1_000_000
    beside = {"mode": 0o644, "owner": [1000, 1000], "mtime": time_ns}
    stamp = f"{when_ms:012x}-%04x-{writer}"
    content = {"kind": "directory", "created_at": time_ns, "mtime": time_ns}
    tags = {"tag:branch": branch.decode(), "tag:commit": hashlib.sha1(b"%d" % number).hexdigest()}
    records = [Record(b"", stamp % 0, False, {"content": content, **beside, "mode": 0o755, **tags})]  # type: ignore[dict-item]
    members = []
    for file in range(FILES):
        stored = encode(b"line %d of job %d\n" % (file, number) * 40, level=3)
        member = Member(stored.digest, stored.codec, 40 * len(b"line %d of job %d\n" % (file, number)), stored.stored)
        members.append(member)
        said = {
            "kind": "file", "digest": member.digest.hex(), "size": member.size, "stored": len(member.data),
            "codec": "zstd", "mtime": time_ns, "created_at": time_ns,
        }  # fmt: skip
        path = (b"log-%d.txt" if file % 2 else b"coverage/file-%d.xml") % file
        records.append(Record(path, stamp % (file + 1), False, {"content": said, **beside}))  # type: ignore[dict-item]
    return members, records


def objects_of(jobs: Iterator[Job], *, store_id: str) -> Iterator[tuple[str, bytes]]:
    """All that lies in the bucket: bundles, heads, and the feed of their days in merged parts."""
    sections: list[Section] = []
    last_ms = 0
    for job in jobs:
        yield objects.bundle_key(job.name, job.bundle_name), job.bundle
        yield job.head
        if sections and (len(sections) >= FEED_JOBS or objects.day(job.when_ms) != objects.day(last_ms)):
            yield from _feed(sections, last_ms, store_id)
            sections = []
        sections.append(job.section)
        last_ms = job.when_ms
    yield from _feed(sections, last_ms, store_id)


def _feed(sections: list[Section], when_ms: int, store_id: str) -> Iterator[tuple[str, bytes]]:
    for number, part in enumerate(packed(store_id, sections)):
        yield objects.feed_key(objects.day(when_ms), when_ms, "feedfeed", f"{number:08x}"), part


class LargeBucket(SimulatedBucket):
    """One whose listings cost no more the more keys it has."""

    def __init__(self, *, now_ms: int) -> None:
        super().__init__(now_ms=now_ms)
        self._sorted: list[str] = []

    def _keys(self) -> list[str]:
        if len(self._sorted) != len(self.objects):
            self._sorted = sorted(self.objects)
        return self._sorted

    def list(
        self, prefix: str, *, after: str = "", delimiter: str = "", token: str | None = None, limit: int = 1000
    ) -> Page:
        if delimiter:
            return super().list(prefix, after=after, delimiter=delimiter, token=token, limit=limit)
        self._said("list", prefix)
        keys, after = self._keys(), max(after, token or "")
        start = max(bisect.bisect_left(keys, prefix), bisect.bisect_right(keys, after))
        chosen = []
        for key in keys[start : start + limit]:
            if not key.startswith(prefix):
                break
            chosen.append(Listed(key, len(self.objects[key][0]), self.objects[key][1]))
        is_more = len(chosen) == limit and start + limit < len(keys) and keys[start + limit].startswith(prefix)
        return Page(tuple(chosen), (), chosen[-1].key if is_more else None)
