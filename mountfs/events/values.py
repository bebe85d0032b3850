"""What can happen that somebody wants to be told of: five kinds, each a value with its numbers and a sentence.

`facts` is what programs get, in a JSON object whose shape `telling.SCHEMA` numbers; `text` is for people.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias

from mountfs.namespace.units import format_size

REASONS_NAMED_MAX: Final = 10
"""In one event; one with more says how many more there are."""

Fact: TypeAlias = "str | int | float | bool | Sequence[Fact] | Mapping[str, Fact] | None"
Facts: TypeAlias = Mapping[str, Fact]


class EventKind(enum.StrEnum):
    """What stands under `on:` in the settings."""

    QUOTA_WARNING = "quota_warning"
    SIZE_JUMP = "size_jump"
    UPLOAD_FAILED = "upload_failed"
    JOB_EXPIRED = "job_expired"
    CONFLICT_LOST = "conflict_lost"


@dataclass(frozen=True, slots=True)
class QuotaWarning:
    """So much of the quota is used that a warning was asked for."""

    used_bytes: int
    quota_bytes: int
    threshold: float
    kind: ClassVar[EventKind] = EventKind.QUOTA_WARNING
    job: ClassVar[str] = ""

    @property
    def text(self) -> str:
        part = 100 * self.used_bytes / self.quota_bytes
        return (
            f"{format_size(self.used_bytes)} of the quota of {format_size(self.quota_bytes)} are used ({part:.0f} %);"
            " `mountfs stats --by job` shows by whom, `mountfs cleanup` makes room"
        )

    @property
    def facts(self) -> Facts:
        return {"used_bytes": self.used_bytes, "quota_bytes": self.quota_bytes, "threshold": self.threshold}


@dataclass(frozen=True, slots=True)
class SizeJump:
    """An artifact is much larger than the last `of` at its place were: `usual_bytes` is their median."""

    job: str
    path: str
    type: str
    branch: str
    size_bytes: int
    usual_bytes: int
    of: int
    kind: ClassVar[EventKind] = EventKind.SIZE_JUMP

    @property
    def text(self) -> str:
        times = f"{self.size_bytes / self.usual_bytes:.1f} times" if self.usual_bytes else "far more than"
        where = f" of branch {self.branch}" if self.branch else ""
        return (
            f"{self.job}/{self.path} has {format_size(self.size_bytes)}, {times} the {format_size(self.usual_bytes)}"
            f" that were usual in the last {self.of} jobs{where}"
        )

    @property
    def facts(self) -> Facts:
        return {
            "job": self.job,
            "path": self.path,
            "type": self.type,
            "branch": self.branch,
            "size_bytes": self.size_bytes,
            "usual_bytes": self.usual_bytes,
            "of": self.of,
        }


@dataclass(frozen=True, slots=True)
class UploadFailed:
    """What goes to the bucket did not get there. Nothing queued is lost; `will_retry` says whether waiting helps."""

    job: str
    reason: str
    will_retry: bool
    artifacts: int = 0
    kind: ClassVar[EventKind] = EventKind.UPLOAD_FAILED

    @property
    def text(self) -> str:
        then = "it is tried again" if self.will_retry else "it waits until somebody changes that; see `mountfs status`"
        return f"{self.job} could not be uploaded: {self.reason}; {then}"

    @property
    def facts(self) -> Facts:
        return {
            "job": self.job,
            "reason": self.reason,
            "will_retry": self.will_retry,
            "artifacts": self.artifacts,
        }


@dataclass(frozen=True, slots=True)
class JobExpired:
    """What retention took from one job; `reasons` has a sentence for each report or artifact, `is_gone`: all of it."""

    job: str
    types: tuple[str, ...]
    artifacts: int
    size_bytes: int
    stored_bytes: int
    reasons: tuple[str, ...]
    is_gone: bool
    kind: ClassVar[EventKind] = EventKind.JOB_EXPIRED

    @property
    def text(self) -> str:
        of_types = f"{self.artifacts} artifacts ({', '.join(self.types)}; {format_size(self.size_bytes)})"
        left = "and nothing of it is left" if self.is_gone else "the rest of it stays"
        why = f": {self.reasons[0]}" if self.reasons else ""
        return f"{of_types} of {self.job} expired, {left}{why}"

    @property
    def facts(self) -> Facts:
        return {
            "job": self.job,
            "types": list(self.types),
            "artifacts": self.artifacts,
            "size_bytes": self.size_bytes,
            "stored_bytes": self.stored_bytes,
            "reasons": list(self.reasons[:REASONS_NAMED_MAX]),
            "more": max(0, len(self.reasons) - REASONS_NAMED_MAX),
            "is_gone": self.is_gone,
        }


@dataclass(frozen=True, slots=True)
class ConflictLost:
    """Two machines wrote one path: what was written by `loser` does not count. `kept_in` is `trash` or `versions`."""

    job: str
    path: str
    winner: str
    loser: str
    kept_in: str = "trash"
    kind: ClassVar[EventKind] = EventKind.CONFLICT_LOST

    @property
    def text(self) -> str:
        return (
            f"{self.job}/{self.path} was written by {self.loser} and, later, by {self.winner}: the later one counts,"
            f" the other is kept in the {self.kept_in}"
        )

    @property
    def facts(self) -> Facts:
        return {
            "job": self.job,
            "path": self.path,
            "winner": self.winner,
            "loser": self.loser,
            "kept_in": self.kept_in,
        }


Event = QuotaWarning | SizeJump | UploadFailed | JobExpired | ConflictLost
