"""What readers of findings share: severities in our words, and texts that stay the same when lines move."""

import re
from typing import Final

from mountfs.reports.model import Severity

_WORDS: Final = {
    "critical": Severity.CRITICAL,
    "high": Severity.HIGH,
    "error": Severity.HIGH,
    "medium": Severity.MEDIUM,
    "moderate": Severity.MEDIUM,
    "warning": Severity.MEDIUM,
    "low": Severity.LOW,
    "note": Severity.LOW,
    "negligible": Severity.LOW,
    "info": Severity.INFO,
    "informational": Severity.INFO,
    "none": Severity.INFO,
}
_SPACE: Final = re.compile(r"\s+")
_DIGITS: Final = re.compile(r"\d+")
_KEPT_SIGNS: Final = 4000


def severity_of(word: str) -> Severity:
    """The severity that a tool's word stands for: CVSS words, npm's `moderate`, SARIF's levels."""
    return _WORDS.get(word.strip().lower(), Severity.UNKNOWN)


def steady(snippet: str) -> str:
    """Code as part of an identity: a change of indentation alone is none."""
    return _SPACE.sub(" ", snippet[:_KEPT_SIGNS]).strip()


def without_numbers(message: str) -> str:
    """A message as part of an identity: it may hold a line, a length or a count."""
    return _DIGITS.sub("0", steady(message))
