"""Names of objects: short enough, never climbing, never shared by two, and read back only when we made them.

Promises shown here: BUCKET.md "Objects"; whatever else lies in a bucket is nobody's object, and no error.
"""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mountfs import objects
from mountfs.errors import InvalidName
from mountfs.model import Codec, Digest
from mountfs.objects import BundleName, FeedPart, Head, LargeName

AT = 1_795_255_200_123  # 2026-11-21T10:00:00.123Z
LAST = 253_402_300_799_999
SUM = Digest.of(b"x")

raws = st.binary(max_size=300)
moments = st.integers(0, LAST)
hexes = st.from_regex(r"[0-9a-f]{8}", fullmatch=True)
tag_keys = st.from_regex(r"[a-z0-9_-]{1,250}", fullmatch=True)
codecs = st.sampled_from(Codec)
LOOKALIKE = b"a" * 120 + b"~" + b"0" * 32


# Parts of names


@given(raws)
@example(b"")
@example(b"~")
@example(b".")
@example(b"..")
@example(LOOKALIKE)
def test_a_name_comes_back_unless_it_was_cut(raw: bytes) -> None:
    name = objects.encode_name(raw)
    assert objects.decode_name(name) == (None if objects.is_cut(name) else raw)


@given(raws)
@example(b"..")
@example(b"")
def test_a_name_is_one_short_part_of_a_key(raw: bytes) -> None:
    name = objects.encode_name(raw)
    assert name not in ("", ".", "..")
    assert "/" not in name
    assert name.isascii()
    assert len(name) <= 200


@given(st.binary(min_size=201, max_size=300))
def test_a_name_that_is_too_long_is_cut_and_says_so(raw: bytes) -> None:
    assert objects.is_cut(objects.encode_name(raw))


@given(st.binary(max_size=66))
def test_a_short_name_is_never_taken_for_a_cut_one(raw: bytes) -> None:
    assert not objects.is_cut(objects.encode_name(raw))


def test_a_name_made_to_look_cut_is_another_name_than_the_cut_one() -> None:
    cut = objects.encode_name(b"a" * 300)
    assert objects.encode_name(cut.encode()) != cut


@pytest.mark.parametrize("shift", range(3))
def test_no_escape_is_cut_in_two(shift: int) -> None:
    name = objects.encode_name(b"a" * shift + b"\xff" * 200)
    beginning = name.rpartition("~")[0]
    assert 118 <= len(beginning) <= 120
    assert len(beginning.replace("%FF", "")) == shift


def test_names_are_readable() -> None:
    assert objects.encode_name(b"build-7_x.y~z") == "build-7_x.y~z"
    assert objects.encode_name("feature/ü".encode()) == "feature%2F%C3%BC"


@pytest.mark.parametrize("name", ["", "%2f", "%41", "a b", "ü", "a/b", "..", ".", "%", "%7Ex%", "x" * 201, "%7", "٣"])
def test_a_name_that_we_never_make_is_nobodys(name: str) -> None:
    assert objects.decode_name(name) is None


@given(st.text(max_size=40) | st.from_regex(r"[%0-9A-Fa-f.~]{1,12}", fullmatch=True))
def test_what_is_decoded_is_encoded_to_the_same_name(name: str) -> None:
    raw = objects.decode_name(name)
    assert raw is None or objects.encode_name(raw) == name


# Moments


def test_a_moment_is_text_of_fixed_width() -> None:
    assert objects.when(AT) == "20261121T100000123Z"


@given(moments)
def test_a_moment_comes_back(ms: int) -> None:
    assert objects.parse_when(objects.when(ms)) == ms


@given(moments, moments)
def test_moments_sort_as_text_and_backwards_when_inverted(first: int, second: int) -> None:
    one, other = objects.when(first), objects.when(second)
    assert (one < other) == (first < second)
    assert (objects.inverted(one) > objects.inverted(other)) == (first < second)
    assert objects.inverted(objects.inverted(one)) == one


@given(st.integers())
def test_any_clock_gives_a_moment(ms: int) -> None:
    assert objects.parse_when(objects.when(ms)) == min(max(ms, 0), LAST)


@pytest.mark.parametrize(
    "text",
    ["", "x", "20261321T100000123Z", "20260230T100000123Z", "00001121T100000123Z", "19691231T235959999Z",
     "20261121T240000123Z", "20261121T100060123Z", "2026112١T100000123Z", "20261121T100000123Z\n"],
)  # fmt: skip
def test_what_is_no_moment_is_none(text: str) -> None:
    assert objects.parse_when(text) is None


# Objects of a job


@given(moments, hexes, hexes)
def test_the_name_of_a_bundle_comes_back(ms: int, writer: str, n: str) -> None:
    assert objects.parse_object(objects.bundle_name(ms, writer, n)) == BundleName(ms, writer, n)


@given(moments, hexes, hexes, st.binary(min_size=32, max_size=32).map(Digest), codecs)
def test_the_name_of_a_large_content_comes_back(ms: int, writer: str, n: str, digest: Digest, codec: Codec) -> None:
    name = objects.large_name(ms, writer, n, digest, codec)
    assert objects.parse_object(name) == LargeName(ms, writer, n, digest, codec)


def test_names_are_as_the_format_says() -> None:
    assert objects.bundle_name(AT, "0a1b2c3d", "00000007") == "20261121T100000123Z-0a1b2c3d-00000007.zip"
    assert objects.large_name(AT, "0a1b2c3d", "00000007", SUM, Codec.RAW).endswith(f"-00000007-{SUM.hex()}")
    assert objects.large_name(AT, "0a1b2c3d", "00000007", SUM, Codec.ZSTD).endswith(f"-00000007-{SUM.hex()}.zst")


@pytest.mark.parametrize(
    "name",
    ["", "x.zip", "../x", "20261121T100000123Z-0a1b2c3d-00000007", "20261121T100000123Z-0a1b2c3d-00000007.zip\n",
     "20261321T100000123Z-0a1b2c3d-00000007.zip", "20261121T100000123Z-0A1B2C3D-00000007.zip",
     f"20261121T100000123Z-0a1b2c3d-00000007-{'a' * 63}.zst", f"20261121T100000123Z-0a1b2c3d-00000007-{'a' * 64}.gz",
     f"20261321T100000123Z-0a1b2c3d-00000007-{'a' * 64}", "a/20261121T100000123Z-0a1b2c3d-00000007.zip"],
)  # fmt: skip
def test_foreign_objects_are_nobodys(name: str) -> None:
    assert objects.parse_object(name) is None


@pytest.mark.parametrize(("writer", "n"), [("x", "00000000"), ("00000000", ""), ("../../..", "00000000")])
def test_a_writer_is_eight_hex_digits(writer: str, n: str) -> None:
    with pytest.raises(ValueError, match="8 hex digits"):
        objects.bundle_name(AT, writer, n)


def test_keys_are_made_of_names_of_their_kind_only() -> None:
    bundle, large = objects.bundle_name(AT, "a" * 8, "b" * 8), objects.large_name(AT, "a" * 8, "b" * 8, SUM, Codec.RAW)
    assert objects.bundle_key(b"job", bundle) == f"jobs/job/{bundle}"
    assert objects.large_key(b"job", large) == f"jobs/job/{large}"
    with pytest.raises(ValueError, match="no name of a bundle"):
        objects.bundle_key(b"job", large)
    with pytest.raises(ValueError, match="no name of a large"):
        objects.large_key(b"job", "../other/x")


@given(raws)
def test_the_job_is_told_by_its_prefix_and_by_its_keys(job: bytes) -> None:
    name = objects.encode_name(job)
    assert objects.job_part(objects.job_prefix(job)) == name
    assert objects.job_part(objects.bundle_key(job, objects.bundle_name(AT, "a" * 8, "b" * 8))) == name
    assert objects.gone_key(job) == f"gone/{name}"


@pytest.mark.parametrize("key", ["", "jobs/", "jobs/a", "jobs//x", "feed/a/", "jobs/a b/", "jobs/../x", "mountfs.json"])
def test_other_keys_belong_to_no_job(key: str) -> None:
    assert objects.job_part(key) is None


# Feed


@given(moments, moments, hexes, hexes)
def test_a_part_of_the_feed_comes_back(period_ms: int, ms: int, writer: str, n: str) -> None:
    for period in (objects.hour(period_ms), objects.day(period_ms)):
        assert objects.parse_feed(objects.feed_key(period, ms, writer, n)) == FeedPart(period, ms, writer, n)


@given(moments)
def test_a_period_begins_at_or_before_its_moments(ms: int) -> None:
    hour, day = objects.parse_period(objects.hour(ms)), objects.parse_period(objects.day(ms))
    assert hour == ms - ms % 3_600_000
    assert day == ms - ms % 86_400_000


def test_periods_are_as_the_format_says() -> None:
    assert (objects.hour(AT), objects.day(AT)) == ("2026-11-21T10", "2026-11-21")
    assert objects.feed_prefix("2026-11-21") == "feed/2026-11-21/"


@pytest.mark.parametrize("period", ["", "2026-11", "2026-13-01", "2026-11-21T24", "2026-11-21T1", "../jobs"])
def test_other_periods_are_refused(period: str) -> None:
    with pytest.raises(ValueError, match="neither an hour nor a day"):
        objects.feed_prefix(period)


@given(st.text(max_size=60))
@example("feed/2026-11-21/20261121T100000123Z-0a1b2c3d-00000007.zip")
@example("feed/2026-13-21/20261121T100000123Z-0a1b2c3d-00000007.jsonl.zst")
@example("2026-11-21/20261121T100000123Z-0a1b2c3d-00000007.jsonl.zst")
def test_other_keys_are_no_part_of_the_feed(key: str) -> None:
    assert objects.parse_feed(key) is None


# Heads


@given(tag_keys, raws, moments, hexes, raws)
def test_a_head_comes_back_in_encoded_parts(key: str, value: bytes, ms: int, n: str, job: bytes) -> None:
    parts = [objects.encode_name(raw) for raw in (key.encode(), value, job)]
    assert objects.parse_head(objects.head_key(key, value, ms, n, job)) == Head(parts[0], parts[1], ms, n, parts[2])


@given(moments, moments)
def test_the_newest_head_sorts_first(first: int, second: int) -> None:
    one, other = (objects.head_key("branch", b"main", ms, "0" * 8, b"j") for ms in (first, second))
    assert (one < other) == (first > second)
    assert one.startswith(objects.heads_prefix("branch", b"main"))


@given(st.from_regex(r"[0-9a-f]{40}", fullmatch=True), st.integers(0, 40))
def test_a_short_commit_finds_its_heads(commit: str, length: int) -> None:
    key = objects.head_key("commit", commit.encode(), AT, "0" * 8, b"j")
    assert key.startswith(objects.heads_beginning("commit", commit[:length].encode()))


def test_the_number_of_a_head_is_eight_hex_digits() -> None:
    with pytest.raises(ValueError, match="8 hex digits"):
        objects.head_key("branch", b"main", AT, "../x", b"j")


def test_a_label_has_heads_too() -> None:
    assert objects.heads_prefix("nightly", b"") == "heads/nightly/~/"


@given(st.text(max_size=60))
@example("heads/branch/main/x.json")
@example("heads/branch/main/79738878T899999876Z-00000000-a b.json")
@example("heads/branch/../79738878T899999876Z-00000000-a.json")
@example("heads/branch/main/x/79738878T899999876Z-00000000-a.json")
def test_other_keys_are_no_heads(key: str) -> None:
    assert objects.parse_head(key) is None


# All keys


@given(raws, tag_keys, raws, moments, hexes, codecs)
def test_no_key_is_longer_than_s3_and_directories_allow(
    job: bytes, tag: str, value: bytes, ms: int, n: str, codec: Codec
) -> None:
    prefix = objects.check_prefix("p" * 127)
    for key in (
        objects.bundle_key(job, objects.bundle_name(ms, n, n)),
        objects.large_key(job, objects.large_name(ms, n, n, SUM, codec)),
        objects.feed_key(objects.hour(ms), ms, n, n),
        objects.head_key(tag, value, ms, n, job),
        objects.gone_key(job),
    ):
        assert len((prefix + key).encode()) <= 1024
        assert all(0 < len(part) <= 255 and part not in (".", "..") for part in key.split("/"))


@pytest.mark.parametrize(("prefix", "normal"), [("", ""), ("qe", "qe/"), ("qe/", "qe/"), ("a/ü/c", "a/ü/c/")])
def test_a_prefix_ends_with_a_slash(prefix: str, normal: str) -> None:
    assert objects.check_prefix(prefix) == normal


@pytest.mark.parametrize(
    "prefix", ["/", "/a", "a//b", "a//", "..", "a/../b", "./a", "a\0", "a\nb", "p" * 128, "ü" * 64]
)
def test_a_prefix_that_climbs_or_is_too_long_is_refused(prefix: str) -> None:
    with pytest.raises(InvalidName, match="prefix"):
        objects.check_prefix(prefix)
