"""A badge: two words on two grounds, as wide as its text in any font.

The width of a text is estimated and then told to the viewer (`textLength`), which fits the letters to it: a font that
is wider than ours does not run over the edge. White letters have a contrast of at least 4.5 on each ground.
"""

from collections.abc import Sequence
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from mountfs.compare.metrics import Metric, Unit, metric_of_a_job
from mountfs.compare.texts import legible, shown_number
from mountfs.compare.values import Better, finite

GREEN, OLIVE, AMBER, ORANGE, RED, GREY = "#15803d", "#4d7c0f", "#946200", "#b45309", "#b91c1c", "#57606a"
_LABEL: Final = "#3d444d"
_COVERAGE: Final[Sequence[tuple[float, str]]] = ((90, GREEN), (80, OLIVE), (70, AMBER), (50, ORANGE), (0, RED))
_MOST: Final = 60  # characters of a half
_HEIGHT: Final = 20
_PADDING: Final = 6.0
_NARROW: Final = frozenset("iljtf.,:;!|'`()[]Ir ")
_WIDE: Final = frozenset("mwMW%@—")
_TITLES: Final = {"coverage.line": "coverage", "coverage.branch": "branch coverage", "size": "size"}


def badge(name: str, value: float | None, label: str = "") -> str:
    """The badge of a metric, as `metrics` names it: `coverage 83 %`; "unknown" where nobody says it."""
    metric = metric_of_a_job("coverage.line" if name == "coverage" else name)
    said = finite(value)
    text = "unknown" if said is None else _shown(said, metric.unit)
    return badge_svg(label or _TITLES.get(metric.name, metric.name.replace(".", " ")), text, _colour(metric, said))


def _shown(value: float, unit: Unit) -> str:
    """Rounded down where it is a percentage: 99.96 % is not all."""
    return f"{int(value)} %" if unit is Unit.PERCENT and 0 <= value <= 100 else shown_number(value, unit)


def _colour(metric: Metric, value: float | None) -> str:
    if value is None:
        return GREY
    if metric.unit is Unit.PERCENT:
        return next((colour for least, colour in _COVERAGE if value >= least), RED)
    if metric.unit is not Unit.COUNT or metric.better is not Better.LESS:
        return GREY
    return GREEN if value == 0 else RED


def badge_svg(label: str, value: str, colour: str = GREY) -> str:
    """A badge of any two texts; `colour` is an SVG colour of ours."""
    left, right = legible(label, _MOST), legible(value, _MOST)
    first, second = _width(left), _width(right)
    whole = first + second
    said = quoteattr(f"{left}: {right}")
    parts = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{whole:g}" height="{_HEIGHT}" role="img" aria-label={said}>',
        f"<title>{escape(f'{left}: {right}')}</title>",
        f'<clipPath id="round"><rect width="{whole:g}" height="{_HEIGHT}" rx="3"/></clipPath>',
        '<g clip-path="url(#round)">',
        f'<rect width="{first:g}" height="{_HEIGHT}" fill="{_LABEL}"/>',
        f'<rect x="{first:g}" width="{second:g}" height="{_HEIGHT}" fill="{colour}"/>',
        "</g>",
        '<g fill="#ffffff" font-family="Verdana, DejaVu Sans, sans-serif" font-size="11">',
        _text(_PADDING, first, left),
        _text(first + _PADDING, second, right),
        "</g>",
        "</svg>",
    )
    return "\n".join(parts) + "\n"


def _width(text: str) -> float:
    return round(_length(text) + 2 * _PADDING, 1)


def _length(text: str) -> float:
    """What Verdana needs for it at 11 pixels, about; letters of no alphabet we know are taken for wide ones."""
    return sum(4.2 if c in _NARROW else 10.5 if c in _WIDE else 7.0 if c.isascii() else 11.0 for c in text)


def _text(x: float, width: float, text: str) -> str:
    length = max(width - 2 * _PADDING, 0)
    return f'<text x="{x:g}" y="14" textLength="{length:g}" lengthAdjust="spacingAndGlyphs">{escape(text)}</text>'
