"""A trend on a terminal, as plotext draws it: in braille, so that 60 columns show 120 runs.

Text without colours and without control characters: the command line colours it, a pipe takes it as it is. In a
locale without these letters the points are asterisks.
"""

from typing import Final

from mountfs.compare.scales import scale_of, shown_day
from mountfs.compare.trend import Trend

LEAST_WIDTH: Final = 40
LEAST_HEIGHT: Final = 5
_PLAIN: Final = str.maketrans("│┤└┬─", "||++-")


def plot(trend: Trend, *, width: int = 80, height: int = 12, braille: bool = True) -> list[str]:
    """The lines of a plot of at most `width` columns and `height` rows, axes included; none without points."""
    import plotext  # a tenth of a second, and only a picture needs it

    points = trend.points
    if not points:
        return []
    height = max(height, LEAST_HEIGHT)
    scale = scale_of([point.value for point in points], trend.metric.unit, marks=max((height - 2) // 3, 1))
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.limitsize(False, False)
    plotext.plotsize(max(width, LEAST_WIDTH), height)
    plotext.xaxes(True, False)
    plotext.yaxes(True, False)
    plotext.ylim(scale.low, scale.high)
    plotext.yticks(list(scale.marks), [scale.label(mark) for mark in scale.marks])
    days = {0: shown_day(points[0].at_ms), len(points) - 1: shown_day(points[-1].at_ms)}
    plotext.xticks(list(days), list(days.values()))
    plotext.plot(list(range(len(points))), [point.value for point in points], marker="braille" if braille else "*")
    lines = [line.rstrip() for line in plotext.uncolorize(plotext.build()).rstrip().split("\n")]
    return lines if braille else [line.translate(_PLAIN) for line in lines]
