"""Whether the bucket has all of a job: its manifests read anew, and every content's place and checksum looked at.

The server confirmed the checksum of each object when it came. What is looked at here is that the manifests, as they lie
there, name each content of each path at a place that is there, of the right size, with the checksum that the stored
bytes have on this machine. With `read_back` the bytes themselves are fetched and hashed, too.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mountfs import bundle, objects
from mountfs.bucket.bodies import FileSource
from mountfs.bucket.ground import Ground
from mountfs.bucket.requests import Get, Pause, Range, Request, Steps, Tail, Together, Work, ask, listing
from mountfs.bundle import Manifest, Place
from mountfs.contents import ContentFiles
from mountfs.errors import ContentLost, CorruptContent, MountfsError, ObjectMissing, RemoteUnavailable
from mountfs.model import ROOT_INO, Content, Entry, Kind, Owed
from mountfs.model import Place as Here
from mountfs.records import FileContent, PathState, RecordRefused, fold
from mountfs.remote.protocol import Fetched, Listed, Remote
from mountfs.store.origins import Where

ROUNDS = 4  # how often a job is looked at again that others change meanwhile
SIDE_BY_SIDE = 8
PIECE_BYTES = 8 << 20
AT_ONCE = 64  # entries looked at in one go


@dataclass(slots=True)
class Verified:
    """What was looked at of a job. `problems` has a sentence for each path or content that is not as it should be."""

    paths: int = 0
    contents: int = 0
    bytes: int = 0
    skipped: int = 0  # paths that are being changed
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Lies:
    """A content as the bucket has it: what a manifest says, and the object that it says it of."""

    place: Place
    key: str
    object_bytes: int


def verify_job(ground: Ground, job: int, *, read_back: bool = False) -> Steps[Verified]:
    """Look at all of a job. Raises RemoteUnavailable, RemoteDenied, ObjectMissing never."""
    for _ in range(ROUNDS):
        listed = {found.key: found for found in (yield from listing(ground.prefix(job)))}
        try:
            manifests = yield from _manifests(ground, job, listed)
            return (yield from _compare(ground, job, listed, manifests, read_back=read_back))
        except ObjectMissing:
            continue  # merged meanwhile
    raise RemoteUnavailable("the job changed again and again while it was looked at")


# -- what the bucket says -----------------------------------------------------------------------------------------


def _manifests(ground: Ground, job: int, listed: Mapping[str, Listed]) -> Steps[list[Manifest]]:
    length = len(ground.prefix(job))
    bundles = [f for f in listed.values() if isinstance(objects.parse_object(f.key[length:]), objects.BundleName)]
    found = []
    for start in range(0, len(bundles), SIDE_BY_SIDE):
        some = bundles[start : start + SIDE_BY_SIDE]
        tails = yield from ask(Together([Tail(one.key, bundle.TAIL_BYTES) for one in some]))
        for one, tail in zip(some, tails, strict=True):
            if isinstance(tail, MountfsError):
                raise tail
            assert isinstance(tail, Fetched)
            manifest = yield from _manifest(ground, job, one, tail)
            if manifest is not None:
                found.append(manifest)
    return found


def _manifest(ground: Ground, job: int, one: Listed, tail: Fetched) -> Steps[Manifest | None]:
    """None for what nobody could read: whatever it holds does not count."""
    name, job_name = one.key.rpartition("/")[2], ground.tables.job_name(job)
    try:
        extent = bundle.find_manifest(tail.data, object_bytes=tail.total_bytes)
        stored = extent.within(tail.data, object_bytes=tail.total_bytes)
        if stored is None:
            stored = (yield from ask(Range(one.key, extent.offset, extent.length))).data
        raw = stored

        def work() -> Manifest:
            return bundle.read_manifest(raw, store_id=ground.store_id, job=job_name, name=name, extent=extent)

        return (yield from ask(Work(work)))
    except CorruptContent:
        return None


def _lying(prefix: str, listed: Mapping[str, Listed], manifests: list[Manifest]) -> dict[bytes, list[_Lies]]:
    """By digest, the places that are there and long enough."""
    found: dict[bytes, list[_Lies]] = {}
    for manifest in manifests:
        for place in manifest.places:
            key = prefix + (place.object or manifest.name)
            there = listed.get(key)
            if there is not None and _is_long_enough(place, there.size):
                found.setdefault(place.digest, []).append(_Lies(place, key, there.size))
    return found


def _is_long_enough(place: Place, object_bytes: int) -> bool:
    return object_bytes == place.stored if place.object else object_bytes >= place.offset + place.stored


# -- what is here ---------------------------------------------------------------------------------------------------


def _compare(
    ground: Ground, job: int, listed: Mapping[str, Listed], manifests: list[Manifest], *, read_back: bool
) -> Steps[Verified]:
    prefix = ground.prefix(job)
    lying = yield from ask(Work(lambda: _lying(prefix, listed, manifests)))
    states = yield from ask(Work(lambda: fold(record for manifest in manifests for record in manifest.records)))
    done = Verified()
    contents: dict[bytes, Content] = {}
    for number, (entry, path) in enumerate(_entries(ground, job)):
        if number % AT_ONCE == AT_ONCE - 1:
            yield Pause()
        if entry.owed & Owed.ANY or not entry.stamp:
            done.skipped += bool(entry.stamp)
            continue
        done.paths += 1
        content = ground.catalog.content(entry.content) if entry.content is not None else None
        if not _is_so(states.get(path), entry, content):
            done.problems.append(f"{_shown(path)}: the bucket says something else of it")
        elif content is not None and content.digest is not None:
            contents[content.digest] = content
    for number, content in enumerate(contents.values()):
        if number % AT_ONCE == AT_ONCE - 1:
            yield Pause()
        yield from _look_at(ground, content, lying.get(content.digest or b"", []), done, read_back=read_back)
    return done


def _entries(ground: Ground, job: int) -> Iterator[tuple[Entry, bytes]]:
    """All of a job and its paths."""
    root = ground.paths.find(Where(job, b""))
    stack: list[tuple[Entry, bytes]] = [(root, b"")] if root is not None else []
    while stack:
        entry, path = stack.pop()
        yield entry, path
        after = b""
        while entry.kind == Kind.DIRECTORY and (page := ground.catalog.children(entry.ino, after=after, limit=500)):
            for child in page:
                name = ground.owing.alias_of(child.ino) or child.name
                stack.append((child, path + b"/" + name if path else name))
            after = page[-1].name


def _is_so(state: PathState | None, entry: Entry, content: Content | None) -> bool:
    """Whether the fold has the path as it is here."""
    if state is None or not state.exists or entry.parent == ROOT_INO:
        return state is not None and state.exists
    try:
        said = state.content()
    except RecordRefused:
        return False
    if entry.kind != Kind.FILE or not isinstance(said, FileContent):
        return (entry.kind == Kind.FILE) == isinstance(said, FileContent)
    return said.digest == (content.digest if content is not None else None)


def _look_at(ground: Ground, content: Content, lying: list[_Lies], done: Verified, *, read_back: bool) -> Steps[None]:
    assert content.digest is not None
    done.contents += 1
    done.bytes += content.stored
    if not lying:
        done.problems.append(f"the content {content.digest.hex()} lies nowhere in the bucket")
        return
    here = yield from _sum_here(ground, content)
    for lies in lying:
        is_same_form = lies.place.codec == content.codec and lies.place.stored == content.stored
        if here is not None and is_same_form and lies.place.sum != here:
            done.problems.append(f"{lies.key}: the content {content.digest.hex()} has another checksum than here")
        if read_back and (yield from ask(_Hashed(lies))) != lies.place.sum:
            done.problems.append(f"{lies.key}: the content {content.digest.hex()} is not what its checksum says")


def _sum_here(ground: Ground, content: Content) -> Steps[str | None]:
    """SHA-256 of the stored bytes on this machine; None where they are not here any more."""
    if content.place == Here.CATALOG:
        return hashlib.sha256(ground.catalog.content_data(content.id)).hexdigest()
    if content.place != Here.FILE:
        return None
    return (yield from ask(Work(lambda: _sum_of_file(ground.contents, content))))


def _sum_of_file(contents: ContentFiles, content: Content) -> str | None:
    assert content.digest is not None
    try:
        source = FileSource(contents.path(content.digest, content.codec))
    except ContentLost:
        return None
    total = hashlib.sha256()
    try:
        for offset in range(0, source.size, PIECE_BYTES):
            total.update(source.read(offset, PIECE_BYTES))
    finally:
        source.close()
    return total.hexdigest()


class _Hashed(Request[str]):
    """SHA-256 of the stored bytes as the bucket gives them, read in pieces."""

    def __init__(self, lies: _Lies) -> None:
        self._lies = lies

    def run(self, remote: Remote) -> str:
        total, place = hashlib.sha256(), self._lies.place
        if not place.object and place.stored == self._lies.object_bytes:
            return hashlib.sha256(Get(self._lies.key, place.stored).run(remote).data).hexdigest()
        for offset in range(0, place.stored, PIECE_BYTES):
            length = min(PIECE_BYTES, place.stored - offset)
            total.update(remote.get_range(self._lies.key, place.offset + offset, length).data)
        return total.hexdigest()


def _shown(path: bytes) -> str:
    return path.decode(errors="replace") or "the job"
