"""A content brought here whole; a large one in ranges and into a file: little of it is in memory at any time."""

import hashlib
import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path

from mountfs.bucket.fetching import (
    Whereabouts,
    absent,
    disk_for,
    keep,
    look_again,
    lost,
    name_sizes,
    read_member,
    whereabouts,
)
from mountfs.bucket.ground import Ground
from mountfs.bucket.requests import Range, Request, Steps, Together, Work, ask
from mountfs.catalog.bucket import Placed
from mountfs.contents import framed, full_disk, pwrite_all
from mountfs.errors import CorruptContent, MountfsError, ObjectMissing
from mountfs.model import Content, Digest
from mountfs.namespace import HEAD_BYTES, mime_by_content
from mountfs.remote.protocol import Fetched, Remote

log = logging.getLogger(__name__)

CHUNK_BYTES = 4 << 20
SIDE_BY_SIDE = 4


def fetch_content(ground: Ground, content_id: int) -> Steps[None]:
    """Bring a content here, whole. Raises ContentLost, CorruptContent, RemoteUnavailable, RemoteDenied, CacheFull."""
    content = absent(ground, content_id)
    if content is None:
        return
    for again in (False, True):
        if again:
            yield from look_again(ground, content)
        for found in whereabouts(ground, content):
            try:
                yield from _gather(ground, content, found) if found.is_large else _fetch(ground, found)
            except ObjectMissing:
                continue
            except CorruptContent as error:
                log.error("%s: %s", found.key, error)
                continue
            return
    raise lost(content)


def _fetch(ground: Ground, found: Whereabouts) -> Steps[None]:
    yield from keep(ground, [(yield from read_member(found))])


def _gather(ground: Ground, content: Content, found: Whereabouts) -> Steps[None]:
    path = ground.contents.incoming / f"gathered-{content.id}-{ground.random()}"
    scratch = _Scratch(path)
    try:
        yield from disk_for(ground, found.place.stored)
        ground.room.disk_came(found.place.stored)  # each piece takes its own
        yield from _fill(ground, found, scratch)
        yield from _keep_file(ground, content, found.place, scratch)
    finally:
        path.unlink(missing_ok=True)


class _Scratch:
    """An open file, closed with the last request that writes into it: nobody may wait for that one any more."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd = -1
        with full_disk():
            self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def read(self, offset: int, length: int) -> bytes:
        return os.pread(self.fd, length, offset)

    def __del__(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)


def _fill(ground: Ground, found: Whereabouts, scratch: _Scratch) -> Steps[None]:
    place = found.place
    pieces = [
        _Into(found.key, place.offset + start, min(CHUNK_BYTES, place.stored - start), scratch, start)
        for start in range(0, place.stored, CHUNK_BYTES)
    ]
    for first in range(0, len(pieces), SIDE_BY_SIDE):
        together = pieces[first : first + SIDE_BY_SIDE]
        length = sum(piece.length for piece in together)
        yield from disk_for(ground, length)
        try:
            answers = yield from ask(Together(together))
        finally:
            ground.room.disk_came(length)
        for answer in answers:
            if isinstance(answer, MountfsError):
                raise answer


def _keep_file(ground: Ground, content: Content, place: Placed, scratch: _Scratch) -> Steps[None]:
    """The file first, under its digest, then the row that points at it."""
    digest = Digest(place.digest)
    names = [ground.contents.doom_name(digest, place.codec)]
    ground.contents.expect(names)
    try:
        with ground.catalog.transaction():
            ground.catalog.doom(names)
        mime = yield from ask(Work(lambda: _checked(content, place, scratch)))
        ground.contents.adopt_quickly(scratch.path, digest, place.codec)
        with ground.ledger.transaction():
            ground.catalog.mimes.put(digest, mime)
            resized = ground.catalog.bring(
                content.id, place.codec, place.sums, place.size, place.stored, None, now_s=ground.ledger.now_s()
            )
            ground.catalog.spare(names)
        name_sizes(ground, resized)
    finally:
        ground.contents.came(names)


def _checked(content: Content, place: Placed, scratch: _Scratch) -> str:
    """What its first bytes tell, after every frame was checked by its checksum, the whole by its SHA-256.

    Raises CorruptContent.
    """
    stored = replace(content, codec=place.codec, size=place.size, stored=place.stored, sums=place.sums)
    reader = framed(stored, fetch=scratch.read, stored_bytes=place.stored)
    total, head = hashlib.sha256(), b""
    for index in range(len(reader.table)):
        plain = reader.decoded(index)
        head = head or plain[:HEAD_BYTES]
        total.update(plain)
    if total.digest() != place.digest:
        raise CorruptContent(f"integrity check: the bucket has other bytes than those of {place.digest.hex()}")
    return mime_by_content(head)


@dataclass(frozen=True, slots=True)
class _Into(Request[None]):
    """A range, straight into its place in a file."""

    key: str
    offset: int
    length: int
    scratch: _Scratch
    at: int

    def run(self, remote: Remote) -> None:
        fetched: Fetched = Range(self.key, self.offset, self.length).run(remote)
        if len(fetched.data) != self.length:
            raise CorruptContent("integrity check: the object in the bucket ends too early")
        with full_disk():
            pwrite_all(self.scratch.fd, fetched.data, self.at)
