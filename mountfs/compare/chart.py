"""A trend as a picture: SVG without scripts, legible on white and on black.

Each point carries its exact number (`data-value`), so that the picture can be checked against `--json`. Colours that
are read on both grounds stand first; a viewer that knows which ground it has takes the better ones.
"""

from collections.abc import Iterator, Sequence
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from mountfs.compare.scales import Scale, scale_of, shown_day
from mountfs.compare.texts import legible, shown_change, shown_number, shown_percent
from mountfs.compare.trend import Point, Trend
from mountfs.compare.values import finite

WIDTH: Final = 720
HEIGHT: Final = 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 84, 28, 64, 44
_SIZE: Final = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
_MOST_DAYS: Final = 6
_STYLE: Final = """
text { font-family: system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; font-size: 12px; fill: #6e7781 }
.title { font-size: 16px; font-weight: 600 }
.grid { stroke: #8c959f; stroke-opacity: 0.35 }
.line { fill: none; stroke: #2f81f7; stroke-width: 2; stroke-linejoin: round }
.point { fill: #2f81f7 }
@media (prefers-color-scheme: light) { text { fill: #424a53 } .title { fill: #1f2328 } }
@media (prefers-color-scheme: dark) { text { fill: #adbac7 } .title { fill: #e6edf3 } }
"""


def chart(trend: Trend, title: str = "") -> str:
    """The trend as an SVG document; without points it says so. `title` is any text."""
    heading = legible(title or trend.metric.name, 70)
    points = [point for point in trend.points if finite(point.value) is not None]
    inside = list(_plot(points, trend)) if points else [_text(WIDTH / 2, HEIGHT / 2, "no data", anchor="middle")]
    parts = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {_SIZE} role="img">',
        f"<title>{escape(heading)}</title>",
        f"<style>{_STYLE}</style>",
        _text(16, 28, heading, kind="title"),
        _text(16, 48, _said(trend)) if points else "",
        *inside,
        "</svg>",
    )
    return "\n".join(part for part in parts if part) + "\n"


def _said(trend: Trend) -> str:
    unit, change = trend.metric.unit, trend.change
    moved = shown_change(change.change, unit)
    percent = f" ({shown_percent(change.percent)})" if change.percent is not None and unit != "percent" else ""
    return f"{shown_number(change.before, unit)} → {shown_number(change.after, unit)}: {moved}{percent}"


def _plot(points: Sequence[Point], trend: Trend) -> Iterator[str]:
    scale = scale_of([point.value for point in points], trend.metric.unit)
    yield from _values(scale)
    yield from _days(points)
    places = [(_x(number, len(points)), _y(point.value, scale)) for number, point in enumerate(points)]
    yield f'<polyline class="line" points="{" ".join(f"{x:.2f},{y:.2f}" for x, y in places)}"/>'
    radius = 3.5 if len(points) <= 100 else 1.5
    for point, (x, y) in zip(points, places, strict=True):
        place = f'cx="{x:.2f}" cy="{y:.2f}" r="{radius}"'
        yield f'<circle class="point" {place} {_facts(point)}>{_hint(point, trend)}</circle>'


def _facts(point: Point) -> str:
    """The exact numbers of a point, for programs."""
    job = quoteattr(legible(point.job))
    return f'data-value="{point.value!r}" data-published-ms="{point.at_ms}" data-job={job}'


def _hint(point: Point, trend: Trend) -> str:
    said = (legible(point.job), shown_day(point.at_ms), shown_number(point.value, trend.metric.unit))
    return f"<title>{escape(' · '.join(filter(None, said)))}</title>"


def _values(scale: Scale) -> Iterator[str]:
    for mark in scale.marks:
        y = _y(mark, scale)
        yield f'<line class="grid" x1="{_LEFT}" y1="{y:.2f}" x2="{WIDTH - _RIGHT}" y2="{y:.2f}"/>'
        yield _text(_LEFT - 8, y + 4, scale.label(mark), anchor="end")


def _days(points: Sequence[Point]) -> Iterator[str]:
    """Runs stand at equal distances, and some of them say their day: each day once, and none over another."""
    said = ""
    places = min(len(points), _MOST_DAYS)
    for number in range(places):
        run = round(number * (len(points) - 1) / (places - 1)) if places > 1 else 0
        day = shown_day(points[run].at_ms)
        if day != said:
            anchor = (
                "start" if number == 0 and places > 1 else "end" if number == places - 1 and places > 1 else "middle"
            )
            yield _text(_x(run, len(points)), HEIGHT - _BOTTOM + 24, day, anchor=anchor)
        said = day


def _x(number: int, of: int) -> float:
    return _LEFT + (WIDTH - _LEFT - _RIGHT) * (number / (of - 1) if of > 1 else 0.5)


def _y(value: float, scale: Scale) -> float:
    return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * scale.place(value)


def _text(x: float, y: float, text: str, *, anchor: str = "start", kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x:.2f}" y="{y:.2f}" text-anchor="{anchor}">{escape(text)}</text>'
