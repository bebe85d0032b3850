"""A quota warns once a crossing, an artifact that jumped is told with what was usual."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mountfs.events import JumpRule, Published, QuotaWarning, SizeJump, size_jump, warn

GIB, MIB = 1024**3, 1024**2


def warnings(*used: int, threshold: float = 0.8) -> list[int]:
    """The usages, of a quota of 100, at which a warning was given."""
    found, has_warned = [], False
    for used_bytes in used:
        warning, has_warned = warn(used_bytes, 100, threshold=threshold, has_warned=has_warned)
        found += [used_bytes] if warning else []
    return found


@pytest.mark.parametrize(
    ("used", "warned"),
    [
        ((10, 79, 80), [80]),
        ((80, 85, 99, 120), [80]),
        ((81, 79, 82, 77, 80), [81]),
        ((81, 75, 82), [81, 82]),
        ((81, 10, 20, 90), [81, 90]),
        ((79, 78, 10), []),
    ],
)
def test_a_warning_comes_once_for_each_crossing(used: tuple[int, ...], warned: list[int]) -> None:
    assert warnings(*used) == warned


def test_without_a_quota_there_is_no_warning() -> None:
    assert warn(10**15, 0, threshold=0.8, has_warned=True) == (None, False)


@given(st.lists(st.integers(0, 130), max_size=30), st.sampled_from([0.5, 0.8, 1.0]))
def test_between_two_warnings_the_usage_fell_below_the_threshold(used: list[int], threshold: float) -> None:
    at, has_warned = [], False
    for number, used_bytes in enumerate(used):
        warning, has_warned = warn(used_bytes, 100, threshold=threshold, has_warned=has_warned)
        at += [number] if warning else []
    for one, other in zip(at, at[1:], strict=False):  # noqa: RUF007
        assert min(used[one:other]) < 100 * threshold <= used[other]


def test_a_warning_says_how_much_and_what_to_do() -> None:
    assert QuotaWarning(83 * GIB, 100 * GIB, 0.8).text == (
        "83.0 GiB of the quota of 100.0 GiB are used (83 %); `mountfs stats --by job` shows by whom, `mountfs cleanup`"
        " makes room"
    )


# Sizes


def published(size_bytes: int) -> Published:
    return Published("build-7", "logs/app.log", "build-logs", "main", size_bytes)


@pytest.mark.parametrize(
    ("size", "before", "jumped"),
    [
        (30 * MIB, [20 * MIB] * 5, True),
        (29 * MIB, [20 * MIB] * 5, False),
        (3 * MIB, [2 * MIB] * 5, True),
        (2 * MIB - 1, [MIB] * 5, False),
        (900 * MIB, [MIB, MIB], False),
        (900 * MIB, [], False),
        (30 * MIB, [20 * MIB, 500 * MIB, 20 * MIB], True),
        (MIB, [0, 0, 0], True),
    ],
)
def test_an_artifact_jumped_that_has_half_as_much_again_as_usual_and_a_mebibyte_more(
    size: int, before: list[int], *, jumped: bool
) -> None:
    assert bool(size_jump(published(size), before)) is jumped


def test_only_the_last_ones_are_usual() -> None:
    rule = JumpRule(last=3)
    found = size_jump(published(90 * MIB), [30 * MIB] * 3 + [900 * MIB] * 9, rule=rule)
    assert found == SizeJump("build-7", "logs/app.log", "build-logs", "main", 90 * MIB, 30 * MIB, 3)
    assert found.text == (
        "build-7/logs/app.log has 90.0 MiB, 3.0 times the 30.0 MiB that were usual in the last 3 jobs of branch main"
    )


def test_what_counts_as_a_jump_can_be_said() -> None:
    rule = JumpRule(factor=2, least_bytes=0, fewest=1)
    assert size_jump(published(20), [10], rule=rule)
    assert not size_jump(published(19), [10], rule=rule)


def test_where_nothing_was_usual_the_sentence_divides_by_nothing() -> None:
    assert SizeJump("a", "b", "diff", "", 20 * MIB, 0, 3).text.endswith("usual in the last 3 jobs")
