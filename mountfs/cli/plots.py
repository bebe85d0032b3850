"""A trend on a terminal, in braille: each cell holds 2 by 4 points, so that 60 columns show 120 runs.

Text without colours and without control characters: the command line colours it, a pipe takes it as it is. In a
locale without these letters the points are asterisks.
"""

from collections.abc import Sequence
from typing import Final

from mountfs.compare.scales import scale_of, shown_day
from mountfs.compare.trend import Trend

_DOTS: Final = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # bit of row and column in a cell
_EMPTY: Final = 0x2800
LEAST_WIDTH: Final = 40


class _Canvas:
    """Points in cells; (0, 0) is at the top left. Mutable."""

    def __init__(self, columns: int, rows: int) -> None:
        self.width, self.height = 2 * columns, 4 * rows
        self._cells = [[0] * columns for _ in range(rows)]

    def line(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
        for step in range(steps + 1):
            x = round(start[0] + (end[0] - start[0]) * step / steps)
            y = round(start[1] + (end[1] - start[1]) * step / steps)
            self._cells[y // 4][x // 2] |= _DOTS[y % 4][x % 2]

    def lines(self, *, braille: bool) -> list[str]:
        if braille:
            return ["".join(chr(_EMPTY + cell) for cell in row).rstrip(chr(_EMPTY)) for row in self._cells]
        return ["".join("*" if cell else " " for cell in row) for row in self._cells]


def plot(trend: Trend, *, width: int = 80, height: int = 12, braille: bool = True) -> list[str]:
    """The lines of a plot of at most `width` columns and `height` rows, axes included; none without points."""
    points = trend.points
    if not points:
        return []
    rows = max(height - 2, 3)
    scale = scale_of([point.value for point in points], trend.metric.unit, marks=max(rows // 3, 1))
    labels = {rows - 1 - round(scale.place(mark) * (rows - 1)): scale.label(mark) for mark in scale.marks}
    margin = max(map(len, labels.values()))
    canvas = _Canvas(max(width, LEAST_WIDTH) - margin - 2, rows)
    _draw(canvas, [scale.place(point.value) for point in points])
    bar, corner, edge = ("┤", "└", "─") if braille else ("|", "+", "-")
    lines = [
        f"{labels.get(row, ''):>{margin}} {bar}{text}".rstrip()
        for row, text in enumerate(canvas.lines(braille=braille))
    ]
    first, last = shown_day(points[0].at_ms), shown_day(points[-1].at_ms)
    days = first if first == last else f"{first}{last:>{canvas.width // 2 - len(first)}}"
    return [*lines, f"{'':>{margin}} {corner}{edge * (canvas.width // 2)}", f"{'':>{margin}}  {days}".rstrip()]


def _draw(canvas: _Canvas, places: Sequence[float]) -> None:
    """A line through all points, each as far from the next."""
    last = max(len(places) - 1, 1)
    dots = [
        (round(number / last * (canvas.width - 1)), round((1 - place) * (canvas.height - 1)))
        for number, place in enumerate(places)
    ]
    if len(dots) == 1:
        dots = [(canvas.width // 2, dots[0][1])]
    for start, end in zip(dots, dots[1:] or dots, strict=False):
        canvas.line(start, end)
