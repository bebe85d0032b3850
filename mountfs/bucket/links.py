"""Contents as objects of their own, for URLs: what lies in a bundle is uploaded once more, alone.

What it keeps true: such an object is named by a manifest under its job, like any large content, so that it lives and
dies with what refers to the content; and asked for again, it is there.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from mountfs import bundle, codec
from mountfs.bucket.bodies import FileSource, body_of, checked_sum
from mountfs.bucket.fetching import absent
from mountfs.bucket.gathering import fetch_content
from mountfs.bucket.ground import Ground, place_row
from mountfs.bucket.placing import is_young, new_upload, note
from mountfs.bucket.requests import Head, Put, PutLarge, Steps, Work, ask
from mountfs.bundle import Packed
from mountfs.catalog.bucket import NotedUpload, Placed
from mountfs.contents import ContentFiles, ReadsRanges, in_memory
from mountfs.errors import ContentLost, CorruptContent, IsADirectory, Protected, Unsupported
from mountfs.model import Codec, Content, Digest, Kind, Place
from mountfs.remote.protocol import Source, Upload
from mountfs.store.store import Store


@dataclass(frozen=True, slots=True)
class Alone:
    """An object that holds one content and nothing else; `uploaded`: it had to be made."""

    key: str
    codec: Codec
    uploaded: bool


@dataclass(frozen=True, slots=True)
class _Load:
    """What goes up: the stored form of a content, and what a manifest says of it."""

    kind: Codec
    checksum: bytes
    sums: bytes
    source: Source
    close: Callable[[], None]


def own_object(
    ground: Ground, job: int, content_id: int, *, plain: bool, may_upload: bool = True
) -> Steps[Alone | None]:  # fmt: skip
    """The object of a content in a job that published it, made where there is none (None where that may not be).

    `plain`: one that holds the plain bytes. Raises ContentLost, CorruptContent, RemoteUnavailable, RemoteDenied.
    """
    content = _settled(ground, content_id)
    found = yield from _find(ground, job, content, plain=plain)
    if found is not None or not may_upload:
        return found
    if absent(ground, content_id) is not None:
        yield from fetch_content(ground, content_id)
        content = _settled(ground, content_id)
    return (yield from _make(ground, job, content, plain=plain))


def _settled(ground: Ground, content_id: int) -> Content:
    content = ground.catalog.content(content_id)
    if content is None or content.digest is None:
        raise ContentLost(f"integrity check: content {content_id} is not stored yet, or no more")
    return content


def _find(ground: Ground, job: int, content: Content, *, plain: bool) -> Steps[Alone | None]:
    assert content.digest is not None
    listed = ground.tables.listed(job)
    for place in ground.tables.places(job, content.digest):
        if not _fits(place, plain=plain):
            continue
        key = ground.key(job, place.object)
        if place.object in listed or (yield from ask(Head(key))) is not None:
            return Alone(key, Codec(place.codec), uploaded=False)
    return None


def _fits(place: Placed, *, plain: bool) -> bool:
    return bool(place.object) and (not plain or place.codec == Codec.RAW)


def _make(ground: Ground, job: int, content: Content, *, plain: bool) -> Steps[Alone]:
    """The object first, noted before it begins; then the bundle that names it."""
    assert content.digest is not None
    data = ground.catalog.content_data(content.id) if content.place == Place.CATALOG else None
    form = _plain_form if plain and content.codec != Codec.RAW else _stored_form
    load = yield from ask(Work(lambda: form(ground.contents, content, data)))
    try:
        noted = ground.tables.upload(job, content.digest, load.kind)
        if noted is None or not is_young(ground, noted.began_ms):
            noted = new_upload(ground, content.digest, load.kind, load.checksum)
            note(ground, job, noted)
        key = ground.key(job, noted.object)
        resume = Upload(key, noted.upload_id, noted.part_bytes) if noted.upload_id else None
        if not noted.done:
            yield from ask(PutLarge(key, load.source, resume, ground.multiparts(job, noted), _unheard))
            noted = replace(noted, upload_id="", part_bytes=0, done=True)
            note(ground, job, noted)
        yield from _name(ground, job, content, load, noted)
    finally:
        load.close()
    return Alone(key, load.kind, uploaded=True)


def _unheard(confirmed_bytes: int) -> None:
    """Nobody follows it."""


def _name(ground: Ground, job: int, content: Content, load: _Load, noted: NotedUpload) -> Steps[None]:
    """A bundle without records: it says where the content lies, and nothing else."""
    assert content.digest is not None
    place = bundle.Place(
        content.digest, load.kind, content.size, load.source.size, noted.object, 0, load.checksum.hex(), load.sums, None
    )
    name, job_name = ground.bundle_name(), ground.tables.job_name(job)

    def work() -> Packed:
        return bundle.pack(store_id=ground.store_id, job=job_name, name=name, members=[], large=[place], records=[])

    packed = yield from ask(Work(work))
    answered = yield from ask(Put(ground.key(job, name), packed.data))
    with ground.catalog.transaction():
        landed = ground.tables.add_bundle(
            job, name, bytes=len(packed.data), modified_ms=answered.server_ms, manifest=packed.manifest_stored,
            standing="whole", told=True,
        )  # fmt: skip
        ground.tables.add_places(job, landed, map(place_row, packed.manifest.places))
        ground.tables.forget_upload(job, content.digest, load.kind)


# -- what is said of it ---------------------------------------------------------------------------------------------


def encoding_of(alone: Alone) -> str | None:
    """The Content-Encoding that makes a client show the plain bytes."""
    return "zstd" if alone.codec == Codec.ZSTD else None


def no_object_of_its_own() -> Protected:
    """Where nothing may be uploaded."""
    return Protected("it lies in a bundle, and this is read-only: no object of its own can be made for a URL")


def refuse_without_content(store: Store, ino: int) -> None:
    """Raises NotFound, IsADirectory, Unsupported for what has no content that a URL could answer with."""
    entry = store.tree.entry(ino)
    match entry.kind:
        case Kind.DIRECTORY:
            raise IsADirectory("a directory has no URL: ask for an artifact in it")
        case Kind.SYMLINK:
            raise Unsupported("a symlink has no URL: ask for what it points to")
    if entry.size == 0:
        raise Unsupported("an empty artifact has no URL: there is nothing to answer with")


# -- what goes up ---------------------------------------------------------------------------------------------------


def _stored_form(contents: ContentFiles, content: Content, data: bytes | None) -> _Load:
    """As it is stored here, checked before it leaves."""
    assert content.digest is not None
    if data is None:
        checksum = checked_sum(content, contents)
        source = FileSource(contents.path(content.digest, content.codec))
        return _Load(Codec(content.codec), checksum, content.sums, source, source.close)
    member = body_of(content, contents, data=data)()
    return _Load(member.codec, Digest.of(member.data), member.sums, _Bytes(member.data), _nothing)


def _plain_form(contents: ContentFiles, content: Content, data: bytes | None) -> _Load:
    """Decoded: its checksum is its digest."""
    assert content.digest is not None
    source = _Plain(contents.open(content) if data is None else in_memory(content, data))
    sums = codec.pack_sums(
        codec.raw_sum(source.read(offset, codec.FRAME_BYTES)) for offset in range(0, source.size, codec.FRAME_BYTES)
    )
    return _Load(Codec.RAW, content.digest, sums, source, _nothing)


def _nothing() -> None:
    """There is nothing to close."""


class _Bytes:
    """A stored content in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read(self, offset: int, length: int) -> bytes:
        return self._data[offset : offset + length]


class _Plain:
    """The plain bytes of a content, each frame checked as it is decompressed."""

    def __init__(self, reader: ReadsRanges) -> None:
        self._reader = reader
        self.size = reader.size

    def read(self, offset: int, length: int) -> bytes:
        data = self._reader.read(offset, length)
        if len(data) != min(length, self.size - offset):
            raise CorruptContent("integrity check: the stored content ends too early")
        return data
