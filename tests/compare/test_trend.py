"""Trends, their pictures and badges (F-104, F-105, F-177)."""

import json
import math

import pytest
from defusedxml import ElementTree
from hypothesis import given, settings
from hypothesis import strategies as st

from mountfs.cli.plots import plot
from mountfs.compare import Point, Trend, Unit, badge, badge_svg, chart, metric_named, trend, trend_as_json
from mountfs.compare.scales import scale_of

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "\"><script>alert(1)</script><x a='&\x1b[31m\x00\udcff\ufffe]]>"


def trend_of(*values: float, name: str = "coverage.line") -> Trend:
    points = [Point(1_763_000_000_000 + 86_400_000 * day, value, f"b{day}") for day, value in enumerate(values)]
    return trend(metric_named(name), points)


def test_a_trend_says_where_it_began_where_it_is_and_how_far_it_went() -> None:
    found = trend_of(80.0, 85.0, 78.0, 82.0)
    assert (found.change.before, found.change.after, found.change.change) == (80.0, 82.0, 2.0)
    assert (found.least, found.most) == (78.0, 85.0)


def test_points_are_brought_into_the_order_of_time() -> None:
    found = trend(metric_named("size"), [Point(2, 20.0), Point(1, 10.0)])
    assert [point.value for point in found.points] == [10.0, 20.0]


def test_a_trend_of_nothing_has_no_numbers_and_raises_no_alarm() -> None:
    found = trend_of()
    assert (found.least, found.change.change, found.alert(0)) == (None, None, False)
    assert trend_of(math.nan, math.inf, 1e30).points == ()


@pytest.mark.parametrize(
    ("name", "values", "percent", "alarm"),
    [
        ("size", (100.0, 121.0), 20, True),
        ("size", (100.0, 120.0), 20, False),
        ("size", (100.0, 50.0), 20, False),  # smaller is no alarm
        ("coverage.line", (80.0, 74.0), 5, True),  # points
        ("coverage.line", (80.0, 76.0), 5, False),
        ("coverage.line", (80.0, 99.0), 5, False),
        ("tests.total", (100.0, 70.0), 20, True),  # neither way is better
        ("tests.total", (100.0, 130.0), 20, True),
        ("tests.failed", (0.0, 1.0), 20, True),
        ("tests.failed", (0.0, 0.0), 20, False),
        ("tests.passed", (0.0, 5.0), 20, False),
    ],
)
def test_an_alarm_is_a_change_for_the_worse_of_more_than_that(
    name: str, values: tuple[float, ...], percent: float, alarm: bool
) -> None:
    assert trend_of(*values, name=name).alert(percent) is alarm


def circles(picture: str) -> list[tuple[int, float]]:
    root = ElementTree.fromstring(picture)
    return [
        (int(found.get("data-published-ms", "")), float(found.get("data-value", "")))
        for found in root.iter(f"{SVG}circle")
    ]


@settings(deadline=None)
@given(
    st.lists(st.floats(-1e17, 1e17, allow_nan=False), max_size=20), st.sampled_from(["size", "load.p95", "tests.total"])
)
def test_the_points_of_a_picture_are_exactly_those_of_the_json(values: list[float], name: str) -> None:
    found = trend_of(*values, name=name)
    points = json.loads(json.dumps(trend_as_json(found), allow_nan=False))["points"]
    assert circles(chart(found)) == [(point["began_ms"], point["value"]) for point in points]


def test_a_picture_puts_higher_numbers_higher_and_later_ones_to_the_right() -> None:
    root = ElementTree.fromstring(chart(trend_of(1.0, 5.0, 3.0)))
    places = [(float(found.get("cx", "")), float(found.get("cy", ""))) for found in root.iter(f"{SVG}circle")]
    assert places[0][0] < places[1][0] < places[2][0]
    assert places[0][1] > places[2][1] > places[1][1]


@pytest.mark.parametrize("text", [HOSTILE, "a" * 10_000])
def test_no_title_and_no_job_breaks_out_of_a_picture(text: str) -> None:
    found = Trend(metric_named("size"), (Point(0, 1.0, text), Point(1, 2.0, text)))
    root = ElementTree.fromstring(chart(found, text))
    assert {element.tag.removeprefix(SVG) for element in root.iter()} == {
        "svg", "title", "style", "text", "line", "polyline", "circle"
    }  # fmt: skip
    assert not any(name.startswith("on") or "href" in name for element in root.iter() for name in element.attrib)


def test_a_picture_without_points_says_so() -> None:
    assert "no data" in chart(trend_of())


def test_a_picture_knows_both_grounds() -> None:
    assert "prefers-color-scheme: dark" in chart(trend_of(1.0))


@settings(deadline=None)
@given(st.lists(st.floats(-1e18, 1e18), min_size=1, max_size=8), st.sampled_from(list(Unit)), st.integers(1, 12))
def test_a_scale_holds_all_its_values_with_few_round_marks(values: list[float], unit: Unit, marks: int) -> None:
    scale = scale_of(values, unit, marks=marks)
    assert all(-1e-9 <= scale.place(value) <= 1 + 1e-9 for value in values)
    assert 1 <= len(scale.marks) <= marks + 3


@pytest.mark.parametrize(
    ("values", "unit", "labels"),
    [
        ([81.4, 84.5], Unit.PERCENT, ["81 %", "82 %", "83 %", "84 %", "85 %"]),
        ([100.0], Unit.PERCENT, ["90 %", "92 %", "94 %", "96 %", "98 %", "100 %"]),
        ([0.0], Unit.COUNT, ["0", "1"]),
        ([30 * 2**20, 38 * 2**20], Unit.BYTES, ["30 MiB", "32 MiB", "34 MiB", "36 MiB", "38 MiB"]),
        ([0.001, 0.003], Unit.SECONDS, ["1 ms", "1.5 ms", "2 ms", "2.5 ms", "3 ms"]),
    ],
)
def test_marks_are_round_in_the_unit_of_the_numbers(values: list[float], unit: Unit, labels: list[str]) -> None:
    scale = scale_of(values, unit)
    assert [scale.label(mark) for mark in scale.marks] == labels


def texts(picture: str) -> list[str]:
    return [found.text or "" for found in ElementTree.fromstring(picture).iter(f"{SVG}text")]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("coverage", 83.46, ["coverage", "83 %"]),
        ("coverage.line", 99.96, ["coverage", "99 %"]),
        ("coverage.line", 100.0, ["coverage", "100 %"]),
        ("findings.high", 3.0, ["findings high", "3"]),
        ("size", 3 * 2**20, ["size", "3.0 MiB"]),
        ("coverage", None, ["coverage", "unknown"]),
        ("coverage", math.nan, ["coverage", "unknown"]),
    ],
)
def test_a_badge_says_the_number(name: str, value: float | None, expected: list[str]) -> None:
    assert texts(badge(name, value)) == expected


def test_the_colour_of_a_badge_follows_the_number() -> None:
    colours = [badge("coverage", value).split('fill="')[2][:7] for value in (95.0, 85.0, 75.0, 60.0, 10.0, None)]
    assert len(set(colours)) == 6
    assert "#b91c1c" in badge("tests.failed", 1)
    assert "#15803d" in badge("tests.failed", 0)


@settings(deadline=None)
@given(st.text(max_size=100))
def test_any_two_texts_make_a_badge_of_one_document(text: str) -> None:
    root = ElementTree.fromstring(badge_svg(text, text + HOSTILE))
    assert {element.tag.removeprefix(SVG) for element in root.iter()} == {
        "svg",
        "title",
        "clipPath",
        "rect",
        "g",
        "text",
    }


def test_a_plot_fits_its_terminal() -> None:
    for width, height in ((40, 6), (80, 12), (200, 40)):
        lines = plot(trend_of(*(80 + day % 7 for day in range(50))), width=width, height=height)
        assert len(lines) <= height
        assert max(map(len, lines)) <= width


def test_a_plot_goes_up_where_the_numbers_do() -> None:
    lines = plot(trend_of(0.0, 100.0), width=40, height=10, braille=False)
    stars = [line.split("|")[1].find("*") for line in lines if "|" in line and "*" in line]
    assert stars == sorted(stars, reverse=True)
    assert stars[-1] == 0


def test_a_plot_of_one_point_or_none_is_drawn() -> None:
    assert any("*" in line for line in plot(trend_of(5.0), braille=False))
    assert plot(trend_of()) == []
    assert plot(trend_of(5.0, 5.0))
