"""What a merge keeps: pure decisions, whatever the records are."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from mountfs.bucket.census import Census, Found, PathFacts, dead_since, find_dead, take_census
from mountfs.bucket.keeping import Knowledge, kept_records, mark_of, plan_merge
from mountfs.bundle import Manifest, Place, pack
from mountfs.model import Codec, Digest
from mountfs.objects import bundle_name, large_name
from mountfs.records import PathState, Record, decode_record, fold

STORE_ID = "0123456789abcdef0123456789abcdef"
ALL_OLD = 1 << 47
DIGESTS = [Digest(bytes([number]) * 32) for number in range(3)]


def file(digest: Digest) -> dict[str, object]:
    return {
        "kind": "file", "digest": digest.hex(), "size": 1, "stored": 1, "codec": "none", "mtime": 1, "created_at": 1
    }  # fmt: skip


def record(path: str, ms: int, *, clear: bool = False, **registers: object) -> Record:
    made = Record(path.encode(), f"{ms:012x}-0000-aaaaaaaa", clear, registers)  # type: ignore[arg-type]
    return decode_record(made.encoded())


contents = st.one_of(st.none(), st.sampled_from([file(digest) for digest in DIGESTS]))
registers = st.fixed_dictionaries(
    {}, optional={"content": contents, "mode": st.integers(0, 7), "tag:a": st.text("x", max_size=2)}
)
records = st.builds(
    lambda path, ms, clear, said: record(path, ms, clear=clear, **said),
    st.sampled_from("pq"), st.integers(1, 12), st.booleans(), registers,
)  # fmt: skip
bundles = st.lists(st.lists(records, max_size=4), min_size=1, max_size=5)


def manifests(lists: Sequence[Sequence[Record]]) -> list[Manifest]:
    return [
        Manifest(STORE_ID, b"job", bundle_name(number, "aaaaaaaa", "00000000"), (), tuple(said), (), ())
        for number, said in enumerate(lists)
    ]


def counted(lists: Sequence[Sequence[Record]], *, versions: bool = False) -> Census:
    stored = []
    for number, said in enumerate(lists):
        name = bundle_name(number, "aaaaaaaa", "00000000")
        packed = pack(store_id=STORE_ID, job=b"job", name=name, members=[], large=[], records=said)
        stored.append((name, packed.manifest_stored))
    return take_census(stored, store_id=STORE_ID, job=b"job", versions=versions, old_before_ms=0)


def knowledge(lists: Sequence[Sequence[Record]], *, old_before_ms: int) -> Knowledge:
    census = counted(lists)
    referred = census.referred(versions=False)
    return Knowledge(census.paths, referred, frozenset(), frozenset(), old_before_ms, now_ms=100)


def states(lists: Sequence[Sequence[Record]]) -> dict[bytes, PathState]:
    return fold(r for said in lists for r in said)


def said_of(found: dict[bytes, PathState]) -> dict[bytes, PathState]:
    """Paths of which anything is known."""
    return {path: state for path, state in found.items() if state.clear or state.registers}


@settings(max_examples=300)
@given(bundles, st.integers(0, 31))
def test_a_merge_of_any_bundles_leaves_the_fold_as_it_is(lists: list[list[Record]], chosen: int) -> None:
    sources = [said for number, said in enumerate(lists) if chosen >> number & 1]
    others = [said for number, said in enumerate(lists) if not chosen >> number & 1]
    kept = kept_records(manifests(sources), knowledge(lists, old_before_ms=0))
    assert said_of(states([*others, kept])) == said_of(states(lists))


@settings(max_examples=300)
@given(bundles, st.integers(0, 31))
def test_what_exists_stays_as_it_is_when_all_that_is_old_may_go(lists: list[list[Record]], chosen: int) -> None:
    sources = [said for number, said in enumerate(lists) if chosen >> number & 1]
    others = [said for number, said in enumerate(lists) if not chosen >> number & 1]
    kept = kept_records(manifests(sources), knowledge(lists, old_before_ms=ALL_OLD))
    before, after = states(lists), states([*others, kept])
    existing = {path: state.registers for path, state in before.items() if state.exists}
    assert {path: state.registers for path, state in after.items() if state.exists} == existing


@settings(max_examples=100)
@given(st.lists(records, max_size=12))
def test_of_a_job_without_paths_nothing_is_left_in_the_end(said: list[Record]) -> None:
    ended = [*said, record("p", 20, clear=True), record("q", 20, clear=True)]
    once = kept_records(manifests([ended]), knowledge([ended], old_before_ms=ALL_OLD))
    assert kept_records(manifests([once]), knowledge([once], old_before_ms=ALL_OLD)) == []


@given(bundles)
def test_a_census_finds_what_the_fold_refers_to(lists: list[list[Record]]) -> None:
    wins: set[bytes] = set()
    for state in states(lists).values():
        content = state.value("content")
        if isinstance(content, dict):
            wins.add(bytes.fromhex(str(content["digest"])))
    assert wins <= counted(lists).referred(versions=False)
    assert counted(lists).is_emptied == (not any(state.exists for state in states(lists).values()))


def test_a_clear_stays_while_something_that_it_voids_lies_in_another_bundle() -> None:
    written, clear = record("p", 1, content=file(DIGESTS[0])), record("p", 2, clear=True)
    known = knowledge([[written], [clear]], old_before_ms=ALL_OLD)
    assert kept_records(manifests([[clear]]), known) == [clear]
    assert kept_records(manifests([[clear]]), knowledge([[clear]], old_before_ms=ALL_OLD)) == []


def test_records_are_carried_byte_for_byte() -> None:
    line = b'{ "stamp":"000000000005-0000-aaaaaaaa" ,"path":"p","set":{"mode":5,"later":[1]},"clear":true,"sig":"x" }'
    odd = decode_record(line)
    assert [kept.line for kept in kept_records(manifests([[odd]]), knowledge([[odd]], old_before_ms=0))] == [line]


def test_superseded_contents_stay_and_count_where_the_store_keeps_versions() -> None:
    old, new = record("p", 1, content=file(DIGESTS[0])), record("p", 2, content=file(DIGESTS[1]))
    known = replace(knowledge([[old, new]], old_before_ms=ALL_OLD), versions=True)
    assert kept_records(manifests([[old, new]]), known) == [old, new]
    assert counted([[old, new]], versions=True).referred(versions=True) == set(DIGESTS[:2])
    assert counted([[old, new]]).referred(versions=False) == {DIGESTS[1]}
    cleared = record("p", 3, clear=True)
    assert counted([[old, new, cleared]], versions=True).referred(versions=True) == set()


def place(digest: Digest, *, name: str | None = None, offset: int = 100, mark: int | None = None) -> Place:
    return Place(digest, Codec.RAW, 1, 1, name, offset, "ab" * 32, b"\0\0\0\0", mark, b'{"x":1}')


def holding(name: str, *places: Place, said: Sequence[Record] = ()) -> Manifest:
    return Manifest(STORE_ID, b"job", name, places, tuple(said), (), ())


NOTHING = Knowledge({}, frozenset(), frozenset(), frozenset(), 0, now_ms=100)


def test_of_the_same_content_in_two_sources_one_is_carried() -> None:
    plan = plan_merge([holding("a", place(DIGESTS[0])), holding("b", place(DIGESTS[0]))], NOTHING)
    assert [(carried.source, carried.place.digest) for carried in plan.members] == [("a", DIGESTS[0])]


def test_what_may_be_dropped_is_left_out_but_for_places_in_listed_objects() -> None:
    gone, there = (large_name(ms, "aaaaaaaa", "00000000", DIGESTS[1], Codec.RAW) for ms in (1, 2))
    known = Knowledge({}, frozenset(), frozenset(DIGESTS), frozenset([there]), 0, now_ms=100)
    source = holding("a", place(DIGESTS[0]), place(DIGESTS[1], name=gone), place(DIGESTS[1], name=there))
    plan = plan_merge([source], known)
    assert plan.members == []
    assert [p.object for p in plan.large] == [there]


def test_two_stories_about_one_object_are_both_kept() -> None:
    name = large_name(1, "aaaaaaaa", "00000000", DIGESTS[1], Codec.RAW)
    other = Place(DIGESTS[1], Codec.RAW, 2, 2, name, 0, "cd" * 32, b"\0\0\0\0", None, b'{"other":1}')
    plan = plan_merge([holding("a", place(DIGESTS[1], name=name)), holding("b", other)], NOTHING)
    assert [p.object for p in plan.large] == [name]
    assert plan.lines == [b'{"other":1}']


def test_a_content_carried_dead_is_marked_from_now_unless_each_source_has_a_mark() -> None:
    assert mark_of([None], now_ms=100) == 100
    assert mark_of([5, None], now_ms=100) == 100
    assert mark_of([5, 7], now_ms=100) == 7


def test_a_source_that_only_names_a_content_has_no_mark_of_it() -> None:
    names = holding("b", said=[record("p", 1, content=file(DIGESTS[0]))])
    known = Knowledge({b"p": PathFacts(clear="f")}, frozenset(), frozenset(), frozenset(), 0, now_ms=100)
    plan = plan_merge([holding("a", place(DIGESTS[0], mark=5)), names], known)
    assert [carried.dead_since_ms for carried in plan.members] == [100]


def test_a_live_content_carries_no_mark() -> None:
    known = Knowledge({}, frozenset(DIGESTS), frozenset(), frozenset(), 0, now_ms=100)
    plan = plan_merge([holding("a", place(DIGESTS[0], mark=5))], known)
    assert [carried.dead_since_ms for carried in plan.members] == [None]


def test_the_count_of_a_dead_content_goes_on_until_somebody_named_it() -> None:
    first = find_dead({}, [DIGESTS[0]], {DIGESTS[0]: frozenset("a")}, ended_ms=10)
    assert first == {DIGESTS[0]: Found(10, frozenset("a"))}
    assert find_dead(first, [DIGESTS[0]], {}, ended_ms=20) == first
    named: dict[bytes, frozenset[str]] = {DIGESTS[0]: frozenset("ab")}
    assert find_dead(first, [DIGESTS[0]], named, ended_ms=20) == {DIGESTS[0]: Found(20, frozenset("ab"))}


def test_a_mark_later_than_the_first_reading_counts() -> None:
    assert dead_since(Found(10, frozenset()), None) == 10
    assert dead_since(Found(10, frozenset()), 15) == 15
    assert dead_since(Found(10, frozenset()), 5) == 10
