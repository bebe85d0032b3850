"""Lengths of time, written as weeks, days, hours, minutes and seconds: `30d`, `1h30m`."""

import re
from typing import Final

from quantities.errors import BadQuantity

_SECONDS_OF: Final = {"w": 7 * 86_400, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_PART: Final = re.compile(r"(?P<number>\d+)\s*(?P<unit>[wdhms])\s*")
_EXPECTED: Final = "a duration such as 45s, 1h30m or 30d"


def parse_duration(text: str) -> int:
    """The number of seconds meant by `text`; units go from long to short, each at most once."""
    rest, seconds, longest = text.strip(), 0, max(_SECONDS_OF.values()) + 1
    if not rest:
        raise BadQuantity(text, expected=_EXPECTED)
    while rest:
        match = _PART.match(rest)
        if match is None or _SECONDS_OF[match["unit"]] >= longest:
            raise BadQuantity(text, expected=_EXPECTED)
        longest = _SECONDS_OF[match["unit"]]
        seconds += int(match["number"]) * longest
        rest = rest[match.end() :]
    return seconds


def format_duration(seconds: int) -> str:
    """`seconds` in its two longest units: what is shorter says nothing beside them."""
    if seconds < 0:
        return "-" + format_duration(-seconds)
    parts = []
    for unit, length in _SECONDS_OF.items():
        count, seconds = divmod(seconds, length)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts[:2]) or "0s"
