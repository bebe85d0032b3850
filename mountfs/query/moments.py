"""Moments as people write them, each the span of time that its text leaves open."""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from mountfs.errors import InvalidArgument
from mountfs.namespace.keys import shown
from mountfs.namespace.units import parse_duration_seconds
from mountfs.query.model import Span

MOMENT_ALLOWED: Final = "2026, 2026-11, 2026-11-21, 2026-11-21T18:00:00Z, 7d or 12h (so long ago), +30d (ahead), or now"
FIRST_YEAR, LAST_YEAR = 1970, 2261
"""What 63 bits of nanoseconds hold, in whole years."""

_SECOND: Final = 1_000_000_000
_MINUTE: Final = 60 * _SECOND
_DAY: Final = 86400 * _SECOND
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_END_NS: Final = (datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC) - _EPOCH).days * _DAY
_RELATIVE: Final = re.compile(r"(\+?)([0-9.]+ *[A-Za-z]+)")
_ISO: Final = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?([Zz]|[+-]\d\d:\d\d)?)?)?)?", re.ASCII
)


def parse_span(text: str, *, now_ns: int) -> Span:
    """The span that a date, an ISO time, `7d`, `+30d` or `now` names, in UTC where no zone is said.

    Raises InvalidArgument.
    """
    span = _relative(text, now_ns) or _absolute(text)
    if not (span.begin_ns >= 0 and span.end_ns <= _END_NS):
        raise InvalidArgument(f"{shown(text)} is out of range; allowed: {FIRST_YEAR} to {LAST_YEAR}")
    return span


def _relative(text: str, now_ns: int) -> Span | None:
    word = text.strip().lower()
    if word == "now":
        return _instant(now_ns)
    matched = _RELATIVE.fullmatch(word)
    if matched is None:
        return None
    ago_ns = int(parse_duration_seconds(matched[2]) * _SECOND)
    return _instant(now_ns + ago_ns if matched[1] else now_ns - ago_ns)


def _instant(time_ns: int) -> Span:
    return Span(time_ns, time_ns + 1)


def _absolute(text: str) -> Span:
    matched = _ISO.fullmatch(text.strip())
    if matched is None:
        raise InvalidArgument(f"{shown(text)} is not a time; allowed: {MOMENT_ALLOWED}")
    year, month, day, hour, minute, second = (int(part) if part else None for part in matched.groups()[:6])
    assert year is not None
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise InvalidArgument(f"{shown(text)} is out of range; allowed: {FIRST_YEAR} to {LAST_YEAR}")
    try:
        begin = datetime(year, month or 1, day or 1, hour or 0, minute or 0, second or 0, tzinfo=_zone(matched[8]))
    except ValueError as error:
        raise InvalidArgument(f"{shown(text)} is not a time: {error}") from None
    begin_ns = _nanoseconds(begin)
    if month is None:
        return Span(begin_ns, _nanoseconds(datetime(year + 1, 1, 1, tzinfo=UTC)))
    if day is None:
        return Span(begin_ns, _nanoseconds(_month_after(begin)))
    if hour is None:
        return Span(begin_ns, begin_ns + _DAY)
    if second is None:
        return Span(begin_ns, begin_ns + _MINUTE)
    fraction = matched[7] or ""
    begin_ns += int(fraction.ljust(9, "0"))
    return Span(begin_ns, begin_ns + 10 ** (9 - len(fraction)))


def _zone(text: str | None) -> timezone:
    if text is None or text in "Zz":
        return UTC
    hours, minutes = int(text[1:3]), int(text[4:6])
    ahead = timedelta(hours=hours, minutes=minutes)
    return timezone(-ahead if text[0] == "-" else ahead)  # ValueError from a day on


def _month_after(first: datetime) -> datetime:
    return (first + timedelta(days=32)).replace(day=1)


def _nanoseconds(moment: datetime) -> int:
    since = moment - _EPOCH
    return (since.days * 86400 + since.seconds) * _SECOND


def format_span(span: Span) -> str:
    """The shortest text that names this span, in UTC; `parse_span` gives it back."""
    begin = _EPOCH + timedelta(seconds=span.begin_ns // _SECOND)
    length_ns = span.end_ns - span.begin_ns
    for text in (f"{begin:%Y}", f"{begin:%Y-%m}", f"{begin:%Y-%m-%d}", f"{begin:%Y-%m-%dT%H:%MZ}"):
        if length_ns >= _MINUTE and _absolute(text) == span:
            return text
    digits = 10 - len(str(length_ns))
    fraction = f".{span.begin_ns % _SECOND:09d}"[: digits + 1] if digits else ""
    return f"{begin:%Y-%m-%dT%H:%M:%S}{fraction}Z"
