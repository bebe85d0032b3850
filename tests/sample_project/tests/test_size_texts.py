"""Sizes are read as people mean them and written as people read them."""

import pytest
from quantities import BadQuantity, format_size, parse_size


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("0", 0),
        ("512", 512),
        ("512B", 512),
        ("1 kB", 1_000),
        ("1 KiB", 1_024),
        ("10 MB", 10_000_000),
        ("10MiB", 10_485_760),
        ("1.5 MiB", 1_572_864),
        ("  2 GiB  ", 2_147_483_648),
        ("3 tb", 3_000_000_000_000),
    ],
)
def test_a_size_is_read_in_its_unit(text: str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize("text", ["", "MiB", "-1", "1 2", "10 MiBs", "1,5 MB", "ten"])
def test_what_is_no_size_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(BadQuantity, match="is not a size such as"):
        parse_size(text)


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0 B"), (1_023, "1023 B"), (1_024, "1.0 KiB"), (1_536, "1.5 KiB"), (5 * 1024**4, "5.0 TiB")],
)
def test_a_size_is_written_in_the_largest_unit_that_fits(size_bytes: int, text: str) -> None:
    assert format_size(size_bytes) == text


def test_decimal_units_count_in_thousands() -> None:
    assert format_size(1_500_000, decimal=True) == "1.5 MB"


@pytest.mark.parametrize("power", range(40))
def test_every_power_of_two_comes_back_as_it_was(power: int) -> None:
    assert parse_size(format_size(2**power)) == 2**power
