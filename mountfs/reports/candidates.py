"""Which artifacts may be reports, by their type and name alone: what else there is in a job is never opened."""

import re
from typing import Final

from mountfs.reports.model import Unreadable

MOST_BYTES: Final = 64 * 1024 * 1024  # a larger one is recognised by nobody (FORMATS, Rules)

TOO_LARGE: Final = Unreadable("unknown", f"The report is larger than {MOST_BYTES >> 20} MiB, the most that is read.")

_TYPES: Final = frozenset(
    {"test-results", "coverage-report", "security-findings", "static-analysis", "performance-metrics", "diff"}
)
_ALWAYS: Final = re.compile(rb"(?i)(^|/)[^/.]+$|\.(xml|json|jsonl|sarif|info|lcov|csv|tap|diff|patch)$")
_NEVER: Final = re.compile(  # pages of a report for people, what they show, and what holds other files
    rb"(?i)\.(html?|css|js|map|png|jpe?g|gif|svg|ico|webp|woff2?|ttf|eot|pdf|mp4|webm|mkv|log|py|pyc|exec|db|gz|bz2|xz"
    rb"|zst|zip|tar|tgz)$"
)


def may_be_report(type_: str, path: bytes) -> bool:
    """Whether an artifact of this type and path may be a report of a format that is known here, if it is not too large.

    One that is too large is missed where its type promises a report.
    """
    if type_ in _TYPES:
        return _NEVER.search(path) is None
    return type_ == "custom" and _ALWAYS.search(path) is not None


def is_typed(type_: str) -> bool:
    """Whether all that has this type is meant to be a report."""
    return type_ in _TYPES
