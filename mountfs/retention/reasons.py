"""Why a report goes, and why it stays: values with their numbers, each of which is a sentence too.

`rule` is the key of the settings, the flag or the fact that decided, for programs; `str()` is for people.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Final

from mountfs.retention.model import SECOND_NS

_LAST_SHOWN_NS: Final = 253_402_300_799 * SECOND_NS  # the end of the year 9999


def days(number: int) -> str:
    return "1 day" if number == 1 else f"{number} days"


def moment(at_ns: int) -> str:
    """A moment for people: the minute, in UTC."""
    shown = datetime.fromtimestamp(min(max(at_ns, 0), _LAST_SHOWN_NS) // SECOND_NS, UTC)
    return f"{shown:%Y-%m-%d %H:%M} UTC"


# -- why it goes ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TooOld:
    """The policy keeps this type for so long."""

    age_days: int
    limit_days: int
    rule: str

    def __str__(self) -> str:
        return f"{days(self.age_days)} since it was published, kept for {self.limit_days} ({self.rule})"


@dataclass(frozen=True, slots=True)
class DatePassed:
    """Somebody gave this artifact a date, and that has come."""

    expires_at_ns: int
    rule: ClassVar[str] = "expires_at"

    def __str__(self) -> str:
        return f"its own date was {moment(self.expires_at_ns)} (expires_at)"


@dataclass(frozen=True, slots=True)
class AskedFor:
    """Somebody selected it by hand with these flags."""

    age_days: int
    flags: tuple[str, ...]

    @property
    def rule(self) -> str:
        return " ".join(self.flags)

    def __str__(self) -> str:
        return f"{days(self.age_days)} since it was published, asked for ({self.rule})"


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A run had begun to drop this report, and its process was killed: the rest goes too."""

    rule: ClassVar[str] = "interrupted"

    def __str__(self) -> str:
        return "began by a run that was killed"


Going = TooOld | DatePassed | AskedFor | Interrupted


# -- why it stays ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SwitchedOff:
    rule: ClassVar[str] = "retention.enabled"

    def __str__(self) -> str:
        return "nothing expires here (retention.enabled: false)"


@dataclass(frozen=True, slots=True)
class IsPinned:
    rule: ClassVar[str] = "pinned"

    def __str__(self) -> str:
        return "it is pinned, or something in it is"


@dataclass(frozen=True, slots=True)
class IsBaseline:
    """Comparisons would take it now."""

    branch: str
    chosen: bool
    rule: ClassVar[str] = "baseline"

    def __str__(self) -> str:
        if self.chosen:
            return f"it was chosen as the baseline of {self.branch}"
        return f"it is the baseline of {self.branch}: the newest successful one there"


@dataclass(frozen=True, slots=True)
class AmongLatest:
    """One of the newest jobs of its group. `group` holds (key, value) in the order of `group_by`."""

    rank: int
    of: int
    group: tuple[tuple[str, str], ...]
    rule: ClassVar[str] = "retention.keep_latest_n"

    def __str__(self) -> str:
        group = ", ".join(f"{key} {value or '(none)'}" for key, value in self.group) or "all jobs"
        return f"number {self.rank} of the newest {self.of} of {group} (retention.keep_latest_n)"


@dataclass(frozen=True, slots=True)
class DateAhead:
    """An artifact in it has a date that has not come: the report waits for the last of them."""

    until_ns: int
    rule: ClassVar[str] = "expires_at"

    def __str__(self) -> str:
        return f"an artifact in it is to stay until {moment(self.until_ns)} (expires_at)"


@dataclass(frozen=True, slots=True)
class Young:
    age_days: int
    limit_days: int
    rule: str

    def __str__(self) -> str:
        return f"{days(self.age_days)} since it was published, kept for {self.limit_days} ({self.rule})"


@dataclass(frozen=True, slots=True)
class NoLimit:
    rule: str

    def __str__(self) -> str:
        return f"its type never expires ({self.rule})"


@dataclass(frozen=True, slots=True)
class NotAskedFor:
    """A selection by hand that it does not meet; `rule` is the flag."""

    rule: str

    def __str__(self) -> str:
        return f"not selected by {self.rule}"


Staying = SwitchedOff | IsPinned | IsBaseline | AmongLatest | DateAhead | Young | NoLimit | NotAskedFor
