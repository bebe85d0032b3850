"""When an artifact expires, as people write it."""

import re
from datetime import UTC, datetime
from typing import Final

from mountfs.errors import InvalidArgument
from mountfs.namespace.keys import shown

_AHEAD: Final = re.compile(r"\+([0-9]{1,9})([smhdw])")
_UNIT_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_LAST_NS: Final = 2**63 - 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def parse_expiry(text: str, *, now_ns: int) -> int | None:
    """The moment, in ns since the epoch, that a date, an ISO time or `+30d` names; None for an empty text.

    A date means its first moment, and what names no zone is UTC: artifacts travel between machines.
    """
    text = text.strip()
    if not text:
        return None
    ahead = _AHEAD.fullmatch(text)
    if ahead is not None:
        moment_ns = now_ns + int(ahead[1]) * _UNIT_SECONDS[ahead[2]] * 1_000_000_000
    else:
        moment_ns = _iso_ns(text)
    if not 0 <= moment_ns <= _LAST_NS:
        raise InvalidArgument(f"{shown(text)} is out of range; allowed: 1970 to 2262, or nothing: no date")
    return moment_ns


def expiry_seconds(text: str | bytes | None) -> int | None:
    """The moment that an entry's register names, whoever wrote it; None without one, and for what is no time.

    In seconds: years up to 9999 are more nanoseconds than a row holds.
    """
    try:
        moment = datetime.fromisoformat(text if isinstance(text, str) else text.decode()) if text else None
    except ValueError:
        return None
    if moment is None:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _iso_ns(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidArgument(
            f"{shown(text)} is not a time; allowed: 2026-12-24, 2026-12-24T18:00:00Z, +30d, +12h, or nothing: no date"
        ) from None
    since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
    return ((since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds) * 1000
