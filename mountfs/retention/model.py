"""What retention decides about: reports, and single artifacts with a date of their own.

The unit is the report, all artifacts of one type in one job: it is published together and it goes together. Times are
nanoseconds since the epoch, by the server's clock where there is a server.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

SECOND_NS: Final = 1_000_000_000
DAY_NS: Final = 86_400 * SECOND_NS

NEVER: Final = 0  # as a number of days


@dataclass(frozen=True, slots=True)
class Dated:
    """One artifact that somebody gave a date (`user.mountfs.expires_at`); `path` is below its job."""

    path: str
    expires_at_ns: int
    stored_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Baseline:
    """What compares with a report by default: its branch, and whether somebody chose it or it is just the newest."""

    branch: str
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """All artifacts of one type in one job.

    `published_ns` is its last publication, from which its days count; `began_ns` is the beginning of its job, by which
    jobs are newer and older (`namespace/ages.py`). An artifact with a date of its own does not count for the former,
    unless all have one: once it had gone, the rest would be older than it was, and a second run would find it due.
    `tags` are those of the job; `pinned` is true where anything of it is: the job, a directory on the way, or one
    artifact. `baseline` is None unless a comparison would take it now.
    """

    job: str
    type: str
    published_ns: int
    began_ns: int
    tags: Mapping[str, str]
    artifacts: int = 1
    stored_bytes: int = 0
    pinned: bool = False
    baseline: Baseline | None = None
    dated: tuple[Dated, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        return self.job, self.type

    @property
    def branch(self) -> str:
        return self.tags.get("branch", "")

    def age_days(self, now_ns: int) -> int:
        """Whole days since it was published; 0 where its clock ran ahead of ours."""
        return max(0, now_ns - self.published_ns) // DAY_NS

    def __str__(self) -> str:
        return f"{self.type} of {self.job}"
