"""Numbers and names as people read them."""

from typing import Final

from mountfs.compare.metrics import Unit
from mountfs.namespace.units import format_size

NOTHING: Final = "–"
MINUS: Final = "−"


def shown_number(value: float | None, unit: Unit = Unit.COUNT) -> str:
    """A number with its unit; a dash for one that nobody said."""
    if value is None:
        return NOTHING
    match unit:
        case Unit.PERCENT:
            return f"{value:.2f} %"
        case Unit.SECONDS:
            return _seconds(value)
        case Unit.BYTES:
            return format_size(int(value))
        case Unit.PER_SECOND:
            return f"{value:.1f}/s"
        case Unit.COUNT:
            return f"{value:,.0f}" if value == round(value) else f"{value:,.2f}"


def shown_change(change: float | None, unit: Unit = Unit.COUNT) -> str:
    """A change with its sign; coverage changes by points."""
    if change is None:
        return NOTHING
    text = f"{abs(change):.2f} points" if unit is Unit.PERCENT else shown_number(abs(change), unit)
    return (MINUS if change < 0 else "+" if change > 0 else "±") + text


def shown_percent(percent: float | None) -> str:
    if percent is None:
        return NOTHING
    sign = MINUS if percent < 0 else "+" if percent > 0 else "±"
    return f"{sign}{abs(percent):.1f} %"


def _seconds(value: float) -> str:
    size = abs(value)
    if size >= 100 or size == 0:
        return f"{value:,.0f} s"
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if size * factor >= 1:
            return f"{value * factor:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"


def legible(text: str, most: int = 200) -> str:
    """A name on one line: control characters spelled out, cut where it is long."""
    line = text if text.isprintable() else "".join(c if c.isprintable() else _spelled(c) for c in text[: most + 1])
    return line if len(line) <= most else line[: most - 1] + "…"


def _spelled(character: str) -> str:
    return character.encode("unicode-escape", "surrogatepass").decode("ascii")


def first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def many(number: int, one: str, several: str = "") -> str:
    """`1 new failure`, `2 new failures`."""
    return f"{number:,} {one if number == 1 else several or one + 's'}"
