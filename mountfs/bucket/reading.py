"""Reading a job: what lies under its prefix now, folded into the rows.

What it keeps true (BUCKET.md): a LIST judges only bundles that were known before it began; new manifests are read
before old ones are dropped, and one that is gone meanwhile starts the reading again; what this machine has not
published itself stays. A reading is complete when every bundle that was listed could be understood: one that could not
may supersede what the others say, so that nothing is relied on until it can be, or is gone.
"""

import logging
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import partial

from mountfs import bundle, objects
from mountfs.bucket.ground import Ground, know_time, place_row
from mountfs.bucket.oddities import note_ahead
from mountfs.bucket.requests import Pause, Range, Steps, Tail, Together, Work, ask, listing
from mountfs.bundle import Manifest
from mountfs.catalog.bucket import KnownBundle
from mountfs.errors import CorruptContent, MountfsError, ObjectMissing, RemoteUnavailable
from mountfs.model import Entry, Kind
from mountfs.records import PathState, Record, fold, in_order
from mountfs.remote.protocol import Fetched, Listed
from mountfs.store.origins import Where
from mountfs.store.paths import Changes

log = logging.getLogger(__name__)

ROUNDS = 4
SIDE_BY_SIDE = 16
PLACES_AT_ONCE = 256  # rows: 256 × 5 µs
OBSERVED_AT_ONCE = 256  # stamps: 256 × 3 µs, and seldom one to be noted
LONG_BYTES = 2 << 10  # of a record: longer than nearly all


@dataclass(frozen=True, slots=True)
class _Read:
    """A bundle that was read: its manifest, and as it is stored; None where it cannot be understood."""

    name: str
    object_bytes: int
    modified_ms: int
    stored: bytes
    manifest: Manifest | None


@dataclass(slots=True)
class Refreshed:
    """What a reading found. `refused` names bundles and lines that cannot be right; `complete`: no bundle was left
    alone."""

    changes: Changes = field(default_factory=Changes)
    bundles: int = 0
    refused: list[str] = field(default_factory=list)
    whole: bool = False
    complete: bool = False
    began_ms: int = 0
    names: frozenset[str] = frozenset()  # of the bundles that the LIST had


class _Vanished(Exception):  # something listed is there no more
    pass


def refresh(ground: Ground, job: int) -> Steps[Refreshed]:
    """Read what is new under a job's prefix, and drop what is gone. Raises RemoteUnavailable, RemoteDenied."""
    ground.reading[job] += 1
    try:
        yield from know_time(ground)
        for _ in range(ROUNDS):
            began_ms = ground.now_ms()
            before = set(ground.tables.bundles(job))
            listed = yield from listing(ground.prefix(job))
            try:
                return (yield from _apply(ground, job, began_ms, before, listed))
            except _Vanished:
                continue
        raise RemoteUnavailable("the job changed again and again while it was read")
    finally:
        ground.reading[job] -= 1


def _apply(ground: Ground, job: int, began_ms: int, before: set[str], listed: Sequence[Listed]) -> Steps[Refreshed]:
    length = len(ground.prefix(job))
    names = {found.key[length:]: found for found in listed}
    bundles = {n: f for n, f in names.items() if isinstance(objects.parse_object(n), objects.BundleName)}
    known = ground.tables.bundles(job)
    now = ground.clock.monotonic()
    new = [f for n, f in bundles.items() if n not in known and not ground.odd.is_left_alone(job, n, now=now)]
    read = yield from _read_all(ground, job, new)
    large = [
        (n, f.modified_ms) for n, f in names.items() if isinstance(objects.parse_object(n), objects.LargeName)
    ]  # fmt: skip
    done = Refreshed(bundles=len(bundles), began_ms=began_ms, names=frozenset(bundles))
    ground.odd.forget_but(job, names.keys())
    done.refused = ground.odd.of(job)
    yield from take_rows(ground, job)
    try:
        gone = vanished(ground.tables.bundles(job).values(), before=before, listed=bundles.keys())
        yield from carry_out_moves(ground)
        half = yield from _add_again(ground, job)
        added = half + (yield from _add(ground, job, read))
        ids = {b.id for b in gone}
        if half or ground.tables.needs_refold(job) or ground.catalog.feed.has_told(job):
            yield from _reconcile(ground, job, ids, done.changes)
        else:
            told = (yield from _let_go(ground, job, ids, done.changes)) if ids else set()
            records = [record for r in read if r.manifest is not None for record in r.manifest.records]
            yield from apply_records(ground, job, [r for r in records if r.path not in told], done.changes)
        done.complete = bundles.keys() <= ground.tables.bundles(job).keys()
        with ground.ledger.transaction():
            for number in added:
                ground.tables.set_standing(number, "whole")
            ground.tables.drop_bundles(b.id for b in gone)
            ground.tables.set_listed(job, large)
            ground.tables.set_listed_ms(job, began_ms)
            ground.tables.set_read_ms(job, began_ms if done.complete else 0)
            ground.tables.set_refold(job, done.changes.postponed)
            ground.catalog.feed.drop_told(job)
    finally:
        give_back_rows(ground, job)
        ground.show(done.changes)
    done.whole = True
    return done


def take_rows(ground: Ground, job: int) -> Steps[None]:
    """Wait until nobody else of this machine brings the state of a job into its rows, and keep others from it."""
    while job in ground.applying:
        yield Pause()
    ground.applying.add(job)


def give_back_rows(ground: Ground, job: int) -> None:
    ground.applying.discard(job)


def vanished(known: Iterable[KnownBundle], *, before: set[str], listed: Iterable[str]) -> list[KnownBundle]:
    """◆ Bundles that are gone: only what was known before the LIST began can be missing from it."""
    there = set(listed)
    return [b for b in known if b.name in before and b.name not in there]


# -- manifests ------------------------------------------------------------------------------------------------


def _read_all(ground: Ground, job: int, new: Sequence[Listed]) -> Steps[list[_Read]]:
    read: list[_Read] = []
    for start in range(0, len(new), SIDE_BY_SIDE):
        some = new[start : start + SIDE_BY_SIDE]
        tails = yield from ask(Together([Tail(f.key, bundle.TAIL_BYTES) for f in some]))
        for found, answer in zip(some, tails, strict=True):
            if isinstance(answer, ObjectMissing):
                if must_begin_anew(found):
                    raise _Vanished
                continue
            read.append((yield from _read_one(ground, job, found, _fetched(answer))))
    return read


def must_begin_anew(missing: Listed) -> bool:
    """◆ A bundle that was listed and is there no more was merged on: what it said stands where the LIST had passed."""
    return True


def _fetched(answer: object) -> Fetched:
    if isinstance(answer, MountfsError):
        raise answer
    assert isinstance(answer, Fetched)
    return answer


def _read_one(ground: Ground, job: int, found: Listed, tail: Fetched) -> Steps[_Read]:
    name = found.key.rpartition("/")[2]
    try:
        extent = bundle.find_manifest(tail.data, object_bytes=tail.total_bytes)
        stored = extent.within(tail.data, object_bytes=tail.total_bytes)
        if stored is None:
            stored = (yield from _rest(found.key, extent)).data
        read = partial(
            bundle.read_manifest, stored, store_id=ground.store_id, job=ground.tables.job_name(job), name=name,
            extent=extent,
        )  # fmt: skip
        manifest = yield from ask(Work(read))
    except CorruptContent as error:
        ground.odd.leave_alone(job, name, str(error), now=ground.clock.monotonic())
        return _Read(name, tail.total_bytes, found.modified_ms, b"", None)
    ground.odd.read(job, name)
    ground.odd.refuse(job, name, manifest.refused)
    return _Read(name, tail.total_bytes, found.modified_ms, stored, manifest)


def _rest(key: str, extent: bundle.Extent) -> Steps[Fetched]:
    try:
        return (yield from ask(Range(key, extent.offset, extent.length)))
    except ObjectMissing:
        raise _Vanished from None


def _add(ground: Ground, job: int, read: Iterable[_Read]) -> Steps[list[int]]:
    """The bundles and where their contents lie; until the records are in the rows too, they are not whole."""
    added = []
    for r in read:
        if r.manifest is None:
            continue
        with ground.ledger.transaction():
            number = ground.tables.add_bundle(
                job, r.name, bytes=r.object_bytes, modified_ms=r.modified_ms, manifest=r.stored, standing="applying",
                told=True,
            )  # fmt: skip
        yield from add_places(ground, job, number, r.manifest)
        added.append(number)
    return added


def _add_again(ground: Ground, job: int) -> Steps[list[int]]:
    """Bundles that an earlier reading began to bring in and could not: the disk was full."""
    half = ground.tables.half_brought(job)
    for number, read in zip(half, stored_manifests(ground, job, half.values()), strict=True):
        manifest = yield from ask(Work(read))
        yield from add_places(ground, job, number, manifest)
    return list(half)


def add_places(ground: Ground, job: int, number: int, manifest: Manifest) -> Steps[None]:
    """Where the contents of a bundle lie, in pieces."""
    for start in range(0, len(manifest.places), PLACES_AT_ONCE):
        with ground.ledger.transaction():
            ground.tables.add_places(job, number, map(place_row, manifest.places[start : start + PLACES_AT_ONCE]))
        yield Pause()


# -- into the rows ----------------------------------------------------------------------------------------------


def apply_records(ground: Ground, job: int, records: Sequence[Record], changes: Changes) -> Steps[None]:
    """Fold records into the rows, in pieces; what is removed and made again by them keeps its number."""
    if not records:
        return
    yield from _observe(ground, job, records)
    news = yield from ask(Work(partial(_news, records)))
    for number, piece in enumerate(in_pieces(news.order, ground.piece, news.weight)):
        if number:
            yield Pause()
        with ground.ledger.transaction():
            for path in piece:
                ground.paths.fold(Where(job, path), news.states[path], changes)


def _observe(ground: Ground, job: int, records: Sequence[Record]) -> Steps[None]:
    for start in range(0, len(records), OBSERVED_AT_ONCE):
        if start:
            yield Pause()
        some = records[start : start + OBSERVED_AT_ONCE]
        if ahead := [record for record in some if not ground.stamps.observe(record.stamp)]:
            with ground.ledger.transaction():
                for record in ahead:
                    note_ahead(ground.catalog, Where(job, record.path), ground.tables.job_name(job), record.stamp)


@dataclass(frozen=True, slots=True)
class _News:
    """What records say of each path, and in which order it goes into the rows."""

    states: dict[bytes, PathState]
    order: list[bytes]
    long: Counter[bytes]  # paths of long records, by how many others these count for

    def weight(self, path: bytes) -> int:
        return 1 + self.long[path]


def _news(records: Sequence[Record]) -> _News:
    states = fold(records)
    long: Counter[bytes] = Counter()
    for record in records:
        if len(record.line) >= LONG_BYTES:
            long[record.path] += len(record.line) // LONG_BYTES
    return _News(states, in_order(states), long)


def in_pieces(paths: Iterable[bytes], most: int, weight: Callable[[bytes], int]) -> Iterator[list[bytes]]:
    """So many paths at a time; one with long records counts for many, since each of their registers is a row."""
    piece: list[bytes] = []
    held = 0
    for path in paths:
        piece.append(path)
        held += weight(path)
        if held >= most:
            yield piece
            piece, held = [], 0
    if piece:
        yield piece


def published(
    ground: Ground, job: int, *, without: AbstractSet[int] = frozenset(), only: Container[bytes] | None = None
) -> Steps[dict[bytes, PathState]]:
    """The published state of a job: the fold of the bundles known under its prefix; of `only` these paths."""
    known = ground.tables.bundles(job).values()
    manifests = stored_manifests(ground, job, [b for b in known if b.id not in without])

    def work() -> dict[bytes, PathState]:
        return fold(record for record in _records(manifests) if only is None or record.path in only)

    return (yield from ask(Work(work)))


def stored_manifests(ground: Ground, job: int, known: Iterable[KnownBundle]) -> list[Callable[[], Manifest]]:
    """Manifests of bundles that were read before, to be parsed where it holds up nobody."""
    name = ground.tables.job_name(job)
    read = partial(bundle.read_manifest, store_id=ground.store_id, job=name)
    return [partial(read, ground.tables.manifest(b.id), name=b.name) for b in known]


def _records(manifests: Iterable[Callable[[], Manifest]]) -> Iterator[Record]:
    for manifest in manifests:
        yield from manifest().records


def _let_go(ground: Ground, job: int, gone: set[int], changes: Changes) -> Steps[set[bytes]]:
    """Bring the paths that vanished bundles spoke of to the fold of what is left; which paths these are."""
    manifests = stored_manifests(ground, job, [b for b in ground.tables.bundles(job).values() if b.id in gone])
    paths = yield from ask(Work(lambda: {record.path for record in _records(manifests)}))
    states = yield from published(ground, job, without=gone, only=paths)
    yield from reconcile_paths(ground, job, states, paths, changes)
    return paths


def _reconcile(ground: Ground, job: int, gone: set[int], changes: Changes) -> Steps[None]:
    """Bring all rows of a job to the fold of what is known now, but for what this machine has not published."""
    states = yield from published(ground, job, without=gone)
    yield from reconcile_paths(ground, job, states, [*_paths_of(ground, job), *states], changes)


def reconcile_paths(
    ground: Ground, job: int, states: dict[bytes, PathState], paths: Iterable[bytes], changes: Changes
) -> Steps[None]:
    todo = yield from ask(Work(lambda: in_order({path: states.get(path) or PathState() for path in paths})))
    for number, path in enumerate(todo):
        if number % ground.piece == 0:
            if number:
                yield Pause()
            ground.ledger.drain()
        _reconcile_path(ground, Where(job, path), states.get(path), changes)


def _reconcile_path(ground: Ground, where: Where, said: PathState | None, changes: Changes) -> None:
    entry = ground.paths.find(where)
    old = ground.paths.state(where, entry)
    new = PathState(said.clear, dict(said.registers)) if said is not None else PathState()
    new.merge(ground.paths.owed_state(where, entry))
    if _stamps(old) != _stamps(new):
        with ground.ledger.transaction():
            ground.paths.set(where, entry, old, new, changes)


def _stamps(state: PathState) -> tuple[str, dict[str, str]]:
    stamps = {name: stamp for name, (stamp, _value) in state.registers.items()}
    if "content" in stamps:  # a content has a time too: rows keep the later of the two words
        stamps["mtime"] = max(stamps.get("mtime", ""), stamps["content"])
    return state.clear, stamps


def _paths_of(ground: Ground, job: int) -> list[bytes]:
    """Every path of a job that the rows know."""
    found = [row.path for row in ground.tables.past_of(job)]
    root = ground.paths.find(Where(job, b""))
    stack: list[tuple[Entry, bytes]] = [(root, b"")] if root is not None else []
    while stack:
        entry, path = stack.pop()
        found.append(path)
        if entry.kind != Kind.DIRECTORY:
            continue
        after = b""
        while page := ground.catalog.children(entry.ino, after=after, limit=500):
            for child in page:
                name = ground.owing.alias_of(child.ino) or child.name
                stack.append((child, path + b"/" + name if path else name))
            after = page[-1].name
    return found


def carry_out_moves(ground: Ground) -> Steps[None]:
    """Look at all below renamed directories first: until then the bucket knows it under other paths."""
    for ino in ground.owing.moved_inos():
        for number, _ in enumerate(ground.owing.carrying(ino)):
            if number % ground.piece == ground.piece - 1:
                yield Pause()
