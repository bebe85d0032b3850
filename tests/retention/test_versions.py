"""Versions of a path: their numbers are the same on every machine, and the same content makes none (F-137, F-138)."""

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mountfs.errors import NotFound
from mountfs.model import Digest
from mountfs.retention.versions import (
    AllOf,
    Below,
    One,
    Place,
    Written,
    makes_version,
    parse_version,
    place_of,
    superseded,
    version_name,
    version_path,
    versions,
)

A, B, C = (Digest.of(text) for text in (b"a", b"b", b"c"))


def history(*digests: Digest | None) -> list[Written]:
    """Contents that followed each other, one a millisecond."""
    return [Written(f"{ms:012x}-0000-00000001", digest, 1) for ms, digest in enumerate(digests, 1)]


def numbered(written: list[Written], **said: str) -> list[tuple[int, Digest]]:
    return [(version.number, version.digest) for version in versions(written, **said)]


def test_a_version_is_numbered_by_its_rank() -> None:
    assert numbered(history(A, B, A)) == [(1, A), (2, B), (3, A)]


def test_the_same_content_again_makes_no_version() -> None:
    assert numbered(history(A, A, B, B, B)) == [(1, A), (2, B)]
    assert [version.stamp for version in versions(history(A, A, B))] == [history(A, A, B)[at].stamp for at in (0, 2)]
    assert [makes_version(before, A) for before in (None, A, B)] == [True, False, True]


def test_an_empty_file_is_no_version_nor_does_it_part_two() -> None:
    assert numbered(history(A, None, A, None, B, None)) == [(1, A), (2, B)]


def test_the_history_begins_with_the_last_clear() -> None:
    written = history(A, B, C)
    assert numbered(written, clear=written[1].stamp) == [(1, B), (2, C)]


def test_what_is_kept_for_the_sake_of_versions_is_all_but_what_the_path_holds() -> None:
    assert [version.digest for version in superseded(history(A, B, C, C))] == [A, B]
    assert [version.digest for version in superseded(history(A, B, None))] == [A, B]
    assert superseded(history(A)) == superseded(history(None)) == superseded([]) == []


histories = st.lists(st.sampled_from([A, B, C, None]), max_size=12).map(lambda digests: history(*digests))


@given(histories, st.randoms(use_true_random=False))
def test_numbers_do_not_hang_on_the_order_or_repetition_of_records(written: list[Written], random: Random) -> None:
    again = written + [record for record in written if random.random() < 0.5]
    random.shuffle(again)
    assert versions(again) == versions(written)


@given(histories, st.randoms(use_true_random=False))
def test_what_the_bucket_drops_of_a_history_changes_no_number(written: list[Written], random: Random) -> None:
    """Merges carry superseded records only where they name a content, and the one that holds."""
    left = [record for record in written[:-1] if record.digest is not None or random.random() < 0.5] + written[-1:]
    assert versions(left) == versions(written)


@given(histories)
def test_neighbours_differ_and_numbers_have_no_gap(written: list[Written]) -> None:
    found = versions(written)
    assert [version.number for version in found] == [*range(1, len(found) + 1)]
    assert all(one.digest != other.digest for one, other in pairwise(found))


@given(st.integers(1, 999_999_999))
def test_a_number_is_read_back_from_its_name(number: int) -> None:
    assert parse_version(version_name(number)) == number


@pytest.mark.parametrize("name", [b"", b"0", b"01", b"+1", b"1 ", b"-1", b"1.0", "٣".encode(), b"1" * 10])
def test_no_other_name_is_a_number(name: bytes) -> None:
    assert parse_version(name) is None


FILES = {(b"J", b"log.txt"), (b"J", b"d", b"1"), (b"J", b"d", b"2")}


@pytest.mark.parametrize(
    ("parts", "place"),
    [
        ((), Below(())),
        ((b"J",), Below((b"J",))),
        ((b"J", b"log.txt"), AllOf((b"J", b"log.txt"))),
        ((b"J", b"log.txt", b"3"), One((b"J", b"log.txt"), 3)),
        ((b"J", b"d"), Below((b"J", b"d"))),
        ((b"J", b"d", b"1"), AllOf((b"J", b"d", b"1"))),
        ((b"J", b"d", b"1", b"2"), One((b"J", b"d", b"1"), 2)),
    ],
)
def test_the_artifact_comes_first_and_its_number_after_it(parts: tuple[bytes, ...], place: Place) -> None:
    assert place_of(parts, is_file=FILES.__contains__) == place


@pytest.mark.parametrize("rest", [(b"x",), (b"0",), (b"1", b"2")])
def test_nothing_else_lies_below_an_artifact(rest: tuple[bytes, ...]) -> None:
    with pytest.raises(NotFound, match=r"\.versions/JOB/PATH/1"):
        place_of((b"J", b"log.txt", *rest), is_file=FILES.__contains__)


def test_the_path_of_a_version_leads_back_to_it() -> None:
    view, *parts = version_path((b"J", b"log.txt"), 2)
    assert (view, place_of(parts, is_file=FILES.__contains__)) == (b".versions", One((b"J", b"log.txt"), 2))
