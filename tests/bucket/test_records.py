"""Records fold to the same state on every machine, and what cannot be right is refused, not folded.

Promises shown here (BUCKET.md "Records"): the fold does not hang on order, repetition or grouping; nothing older than a
clear comes back; what this version does not know survives; hostile lines raise `RecordRefused` and nothing else.
"""

import json
import random
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mountfs.clock import Stamps
from mountfs.model import Codec, Digest
from mountfs.records import (
    MOST_DEPTH,
    MOST_LINE_BYTES,
    DirectoryContent,
    FileContent,
    PathState,
    Record,
    RecordRefused,
    SymlinkContent,
    Value,
    bytes_of_value,
    canonical,
    content_of,
    decode_record,
    fold,
    value_of_bytes,
    winning,
    xattr_name,
    xattr_register,
)

FILE = FileContent(Digest.of(b"x"), 10_240, 3_120, Codec.ZSTD, 1_795_255_200_123_456_789, 1_795_255_200_000_000_000)
EMPTY = FileContent(None, 0, 0, Codec.RAW, 1, 1)


def stamp(ms: int, counter: int = 0, writer: int = 1) -> str:
    return f"{ms:012x}-{counter:04x}-{writer:08x}"


def record(
    ms: int, registers: Mapping[str, Value] | None = None, *, clear: bool = False, path: bytes = b"a/b"
) -> Record:
    return Record(path, stamp(ms), clear, dict(registers or {}))


def line_of(**changes: Value) -> bytes:
    """A sound record as JSON, but for these fields; `...` is not among JSON's words, so None stays None."""
    fields: dict[str, Value] = {"path": "a/b", "stamp": stamp(1), "set": {"mode": 0o644}}
    return json.dumps(fields | changes).encode()


def setting(**registers: Value) -> bytes:
    return line_of(set=dict(registers))


names = st.binary(min_size=1, max_size=20).filter(lambda raw: not set(raw) & {0, 47} and raw not in (b".", b".."))
paths = st.lists(names, max_size=4).map(b"/".join)
times = st.integers(-(2**63) + 1, 2**63 - 1)
stamps = st.builds(stamp, st.integers(0, 2**48 - 2), st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1))
few_stamps = st.builds(stamp, st.integers(0, 6), st.just(0), st.integers(0, 1))
sizes = st.integers(1, 2**63 - 1)
digests = st.binary(min_size=32, max_size=32).map(Digest)
files = st.one_of(
    st.builds(FileContent, digests, sizes, sizes, st.just(Codec.ZSTD), times, times),
    st.builds(
        lambda digest, size, a, b: FileContent(digest, size, size, Codec.RAW, a, b), digests, sizes, times, times
    ),
    st.builds(lambda a, b: FileContent(None, 0, 0, Codec.RAW, a, b), times, times),
)
directories = st.builds(DirectoryContent, times, st.none() | times)
targets = st.binary(min_size=1, max_size=60).filter(lambda raw: b"\0" not in raw)
contents = st.one_of(files, directories, st.builds(SymlinkContent, targets, times, times))
json_values: st.SearchStrategy[Value] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
registers = st.fixed_dictionaries(
    {},
    optional={
        "content": st.none() | contents.map(lambda content: content.to_value()),
        "mode": st.integers(0, 0o7777),
        "mtime": times,
        "owner": st.lists(st.integers(0, 2**32 - 2), min_size=2, max_size=2),
        "pinned": st.none() | st.booleans(),
        "tag:branch": st.none() | st.binary(max_size=9).map(value_of_bytes),
        "xattr:user.Not a tag": st.none() | st.binary(max_size=9).map(value_of_bytes),
        "of tomorrow": json_values,
    },
)
records = st.builds(Record, paths.filter(len), stamps, st.booleans(), registers)
colliding = st.lists(
    st.builds(Record, st.sampled_from([b"", b"p", b"p/q"]), few_stamps, st.booleans(), registers), max_size=12
)


def told(states: Mapping[bytes, PathState]) -> str:
    """States as text: 1 and True are equal in Python only."""
    return canonical(
        {repr(path): [state.clear, {k: list(v) for k, v in state.registers.items()}] for path, state in states.items()}
    )


# The fold


@given(colliding, st.randoms(use_true_random=False))
def test_any_order_folds_to_the_same(some: list[Record], chance: random.Random) -> None:
    shuffled = chance.sample(some, len(some))
    assert told(fold(shuffled)) == told(fold(some))


@given(colliding, st.randoms(use_true_random=False))
def test_repetition_changes_nothing(some: list[Record], chance: random.Random) -> None:
    repeated = [*some, *chance.choices(some, k=5)] if some else []
    assert told(fold(repeated)) == told(fold(some))


@given(colliding, colliding, colliding)
def test_any_grouping_folds_to_the_same(first: list[Record], second: list[Record], third: list[Record]) -> None:
    def merged(*groups: dict[bytes, PathState]) -> dict[bytes, PathState]:
        result: dict[bytes, PathState] = {}
        for group in groups:
            for path, state in group.items():
                result.setdefault(path, PathState()).merge(state)
        return result

    left = merged(merged(fold(first), fold(second)), fold(third))
    right = merged(fold(third), merged(fold(second), fold(first)))
    assert told(left) == told(right) == told(fold([*first, *second, *third]))


@given(colliding)
def test_applying_says_whether_anything_changed(some: list[Record]) -> None:
    states = fold(some)
    assert not any(states[one.path].apply(one) for one in some)


@given(colliding)
def test_what_wins_nothing_and_clears_nothing_may_go(some: list[Record]) -> None:
    wins = winning(some)
    kept = [one for one in some if one.clear or any((one.path, name, one.stamp) in wins for name in one.set)]
    whole = {path: state for path, state in fold(some).items() if state.clear or state.registers}
    assert told(fold(kept)) == told(whole)


@given(colliding)
def test_each_register_has_one_winning_stamp(some: list[Record]) -> None:
    wins = winning(some)
    assert len({(path, name) for path, name, _ in wins}) == len(wins)


@pytest.mark.parametrize("word", [{"mode": 0o600}, {"tag:branch": "main"}, {"content": FILE.to_value()}])
@pytest.mark.parametrize("first", [True, False])
def test_nothing_older_than_a_clear_comes_back(word: Mapping[str, Value], first: bool) -> None:
    deleted = [record(1, {"content": EMPTY.to_value()}), record(5, clear=True)]
    late = [record(4, word)]
    state = fold([*late, *deleted] if first else [*deleted, *late])[b"a/b"]
    assert not state.exists
    assert state.registers == {}


def test_a_clear_keeps_what_its_own_record_sets() -> None:
    state = fold([record(1, {"mode": 0o600}), record(2, {"content": EMPTY.to_value()}, clear=True)])[b"a/b"]
    assert state.exists
    assert list(state.registers) == ["content"]


def test_a_chmod_above_a_clear_does_not_bring_the_file_back() -> None:
    state = fold([record(1, {"content": EMPTY.to_value()}), record(2, clear=True), record(3, {"mode": 0o600})])[b"a/b"]
    assert not state.exists


def test_a_chmod_that_had_not_heard_of_a_newer_content_keeps_it() -> None:
    state = fold([record(2, {"content": FILE.to_value()}), record(1, {"mode": 0o600})])[b"a/b"]
    assert state.content() == FILE
    assert state.value("mode") == 0o600


def test_tags_of_two_machines_merge() -> None:
    state = fold([record(1, {"tag:a": "1"}), record(2, {"tag:b": "2"}), record(3, {"tag:a": None})])[b"a/b"]
    assert (state.value("tag:a"), state.value("tag:b")) == (None, "2")


@pytest.mark.parametrize(("content_at", "mtime_at", "expected"), [(1, 2, 7), (2, 1, FILE.mtime_ns), (1, 1, 7)])
def test_the_mtime_of_a_content_and_a_set_one_go_by_stamp(content_at: int, mtime_at: int, expected: int) -> None:
    state = fold([record(content_at, {"content": FILE.to_value()}), record(mtime_at, {"mtime": 7})])[b"a/b"]
    assert state.mtime_ns() == expected


# Lines


@given(records)
def test_a_record_comes_back_from_its_line(one: Record) -> None:
    line = one.encoded()
    assert decode_record(line) == replace(one, line=line)


@given(records)
def test_a_line_is_passed_on_byte_for_byte(one: Record) -> None:
    spaced = json.dumps(json.loads(one.encoded()) | {"sig": "later", "of tomorrow": [1.5, {}]}, indent=None).encode()
    assert decode_record(spaced).encoded() == spaced


def test_registers_of_tomorrow_are_kept_and_folded() -> None:
    value: Value = {"shape": ["unknown", 1.5, None, True]}
    decoded = decode_record(setting(tomorrow=value, mode=0o600))
    assert fold([decoded])[b"a/b"].value("tomorrow") == value


@given(contents)
def test_contents_come_back_from_their_registers(content: FileContent | DirectoryContent | SymlinkContent) -> None:
    assert content_of(content.to_value()) == content


@given(st.binary(max_size=30))
def test_any_bytes_are_a_value(raw: bytes) -> None:
    assert bytes_of_value(json.loads(canonical(value_of_bytes(raw)))) == raw


@given(st.binary(min_size=1, max_size=30))
def test_any_bytes_name_an_attribute(raw: bytes) -> None:
    assert xattr_name(xattr_register(raw)) == raw


def test_stamps_of_the_clock_are_stamps() -> None:
    class Stopped:
        def now_ns(self) -> int:
            return 1_795_255_200_123_456_789

        def monotonic(self) -> float:
            return 0.0

    decode_record(line_of(stamp=Stamps(Stopped()).next()))


@pytest.mark.parametrize("ahead", ["fffffffffffe-ffff-ffffffff", "7fffffffffff-0000-00000001"])
def test_a_stamp_far_in_the_future_folds_like_any_other(ahead: str) -> None:
    late = decode_record(line_of(stamp=ahead, set={"mode": 1}))
    assert fold([late, record(9, {"mode": 2})])[b"a/b"].value("mode") == 1


# Refused


@pytest.mark.parametrize(
    "path",
    [
        "..",
        "a/../b",
        "../../etc/passwd",
        ".",
        "a/.",
        "/etc/passwd",
        "a//b",
        "a/",
        "/",
        "a\0b",
        "x" * 256,
        "a/" * 2048 + "b",
    ],
)
def test_a_path_that_climbs_or_cannot_be_is_refused(path: str) -> None:
    with pytest.raises(RecordRefused, match="path"):
        decode_record(line_of(path=path))


@pytest.mark.parametrize("path", ["", "a", "...", "..a/b..", "\\..\\", "é" * 127, "x" * 255 + "/y", "a\nb"])
def test_an_unusual_path_is_no_reason_to_refuse(path: str) -> None:
    assert decode_record(line_of(path=path, set={})).path == path.encode()


@pytest.mark.parametrize(
    "when",
    [None, 7, "", "x", stamp(1)[:-1], stamp(1) + "0", stamp(1) + "\n", stamp(1).upper().replace("0", "A"),
     "ffffffffffff-0000-00000001", "٠" * 12 + "-0000-00000001"],
)  # fmt: skip
def test_what_is_no_stamp_is_refused(when: Value) -> None:
    with pytest.raises(RecordRefused, match="stamp"):
        decode_record(line_of(stamp=when))


SOUND = FILE.to_value()
assert isinstance(SOUND, dict)


@pytest.mark.parametrize(
    "content",
    [
        7, "x", [], {}, {"kind": "fifo"}, {"kind": "file"}, {"kind": ["file"]},
        SOUND | {"digest": "AB" * 32}, SOUND | {"digest": "ab" * 31}, SOUND | {"digest": None}, SOUND | {"digest": 7},
        SOUND | {"size": -1}, SOUND | {"size": 2**63}, SOUND | {"size": 1.0}, SOUND | {"size": True},
        SOUND | {"size": "1"}, SOUND | {"size": 0}, SOUND | {"stored": 0}, SOUND | {"stored": None},
        SOUND | {"codec": "br"}, SOUND | {"codec": "none"}, SOUND | {"mtime": 2**63}, SOUND | {"created_at": None},
        {"kind": "directory"}, {"kind": "directory", "created_at": 1, "mtime": "x"},
        {"kind": "symlink", "mtime": 1, "created_at": 1},
        {"kind": "symlink", "target": "", "mtime": 1, "created_at": 1},
        {"kind": "symlink", "target": "a\0", "mtime": 1, "created_at": 1},
        {"kind": "symlink", "target": "a" * 4096, "mtime": 1, "created_at": 1},
        {"kind": "symlink", "target": "a", "target_b64": "YQ==", "mtime": 1, "created_at": 1},
    ],
)  # fmt: skip
def test_a_content_of_the_wrong_shape_is_refused(content: Value) -> None:
    with pytest.raises(RecordRefused, match="register 'content'"):
        decode_record(setting(content=content))


@pytest.mark.parametrize(
    ("register", "value"),
    [
        ("mode", -1), ("mode", 0o10000), ("mode", None), ("mode", True), ("mode", "644"), ("mode", 1.0),
        ("owner", [1]), ("owner", [1, -1]), ("owner", [1, 2**32 - 1]), ("owner", "root"), ("owner", [True, 1]),
        ("mtime", None), ("mtime", 2**63), ("mtime", 0.5), ("pinned", 1), ("pinned", "yes"),
        ("type", "../x"), ("type", "a/b"), ("type", 7), ("mime_type", "text/plain\r\nX-Evil: 1"),
        ("mime_type", "x" * 256),
        ("expires_at", "+30d"), ("expires_at", "2026-02-30T00:00:00Z"), ("expires_at", "2026-12-24T18:00:00"),
        ("metadata", "[]"), ("metadata", "{"), ("metadata", "[" * 70_000), ("metadata", '{"a":NaN}'),
        ("metadata", "x" * 140_000), ("tag:Upper", "x"), ("tag:", "x"), ("tag:a/b", "x"), ("tag:a", 7),
        ("tag:a", "x" * 70_000), ("tag:a", {"b64": "YQ"}), ("tag:a", {"b64": "YR=="}), ("tag:a", {"b64": 7}),
        ("tag:a", {}),
        ("xattr:user.branch", "a tag"), ("xattr:user.mountfs.size", "1"), ("xattr:security.capability", "x"),
        ("xattr:user.a\0b", "x"), ("xattr:user." + "X" * 260, "x"), ("xattr_b64:dXNlci5Y", "it is UTF-8"),
        ("xattr_b64:!", "x"), ("u" * 600, 1),
    ],
)  # fmt: skip
def test_a_known_register_of_the_wrong_shape_is_refused(register: str, value: Value) -> None:
    with pytest.raises(RecordRefused, match="register"):
        decode_record(line_of(set={register: value}))


@pytest.mark.parametrize(
    "line",
    [
        b"", b"null", b"[]", b"7", b'"x"', b"{", b"\xff", b"\xef\xbb\xbf{}", b"{}{}", b"{}",
        b'{"a":NaN}', b'{"a":1e999}', b'{"a":"\\ud800"}', b"[" * 100_000, b'{"a":' * 100_000, b"1" * 5_000,
        line_of(path=None), line_of(path=7), line_of(path_b64="YQ=="), line_of(clear=1), line_of(set=None),
        line_of(set=[]), line_of(set={f"r{n}": n for n in range(600)}), line_of(path="\ud800"), line_of(x="\udfff"),
        line_of(x=[]).replace(b"[]", b"[\n]"), line_of(path="", set={"content": SOUND}),
        line_of(x="y" * MOST_LINE_BYTES),
    ],
)  # fmt: skip
def test_a_line_that_is_no_record_is_refused(line: bytes) -> None:
    with pytest.raises(RecordRefused):
        decode_record(line)


@pytest.mark.parametrize(("depth", "refused"), [(MOST_DEPTH - 2, False), (MOST_DEPTH + 1, True), (900, True)])
def test_how_deep_a_record_may_nest_is_the_same_everywhere(depth: int, refused: bool) -> None:
    line = line_of(set={"x": 0}).replace(b"0}", b"[" * depth + b"]" * depth + b"}")
    if refused:
        with pytest.raises(RecordRefused):
            decode_record(line)
    else:
        decode_record(line)


@pytest.mark.parametrize(
    ("register", "value"),
    [
        ("type", "test-results"), ("mime_type", "text/plain; charset=utf-8"), ("expires_at", "2026-12-24T18:00:00Z"),
        ("metadata", '{"a":[1]}'), ("pinned", True), ("tag:branch", "main"), ("tag:label", ""),
        ("tag:a", {"b64": "/w=="}),
        ("xattr:user.xdg.origin.url", "x" * 65_536), ("xattr_b64:dXNlci7/", {"b64": "/w=="}), ("content", None),
        ("mtime", -1), ("owner", [0, 65_534]), ("mode", 0o7777), ("tag:a", None), ("xattr:user.A b", None),
        ("type", None),
        ("mime_type", None), ("expires_at", None), ("metadata", None), ("pinned", None),
    ],
)  # fmt: skip
def test_what_users_set_or_take_away_is_accepted(register: str, value: Value) -> None:
    assert decode_record(line_of(set={register: value})).set == {register: value}


def test_a_directory_without_a_time_of_its_own_has_the_one_that_was_set() -> None:
    made = record(2, {"content": DirectoryContent(5).to_value()})
    assert fold([made])[b"a/b"].mtime_ns() is None
    assert fold([made, record(1, {"mtime": 7})])[b"a/b"].mtime_ns() == 7


def test_a_content_of_one_kind_is_not_read_as_another() -> None:
    with pytest.raises(RecordRefused, match="kind"):
        FileContent.from_value(DirectoryContent(1).to_value())


def test_brackets_in_text_are_no_nesting() -> None:
    metadata = json.dumps({"log": '\\"[{' * 9_000})
    assert decode_record(setting(metadata=metadata)).set["metadata"] == metadata


@pytest.mark.parametrize("value", [b"[" + b"[]," * 33_000 + b"0]", b'"' + b'\\"' * 400_000 + b"[" * 200])
def test_what_would_cost_much_to_parse_is_refused_before(value: bytes) -> None:
    with pytest.raises(RecordRefused):
        decode_record(line_of(x=0)[:-2] + value + b"}")


@given(records, st.data())
@settings(max_examples=300)
def test_an_overwritten_line_is_refused_or_a_record(one: Record, data: st.DataObject) -> None:
    line = bytearray(one.encoded())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(line) - 1))
        piece = data.draw(
            st.binary(min_size=1, max_size=6) | st.sampled_from([b"..", b"null", b"-1", b"{", b'"', b"1e9"])
        )
        line[at : at + len(piece)] = piece
    try:
        decoded = decode_record(bytes(line))
    except RecordRefused:
        return
    assert decode_record(decoded.encoded()) == decoded


@given(json_values)
def test_any_json_is_refused_or_a_record(value: Value) -> None:
    for line in (
        canonical(value).encode(),
        line_of(set=value),
        line_of(path=value),
        setting(content=value, owner=value),
    ):
        try:
            decode_record(line)
        except RecordRefused:
            continue
