"""Durations are read as people mean them and written as people read them."""

import pytest
from quantities import BadQuantity, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0),
        ("45s", 45),
        ("90m", 5_400),
        ("1h30m", 5_400),
        ("1h 30m 5s", 5_405),
        ("30d", 2_592_000),
        ("2w", 1_209_600),
    ],
)
def test_a_duration_is_the_sum_of_its_parts(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", " ", "5", "h", "1y", "30m1h", "1h1h", "1.5h"])
def test_what_is_no_duration_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(BadQuantity, match="is not a duration such as"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59, "59s"), (60, "1m"), (5_405, "1h30m"), (2_592_000, "4w2d")]
)
def test_a_duration_is_written_in_its_two_longest_units(seconds: int, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize("minutes", range(1, 60))
def test_every_minute_of_an_hour_comes_back_as_it_was(minutes: int) -> None:
    assert parse_duration(format_duration(minutes * 60)) == minutes * 60
