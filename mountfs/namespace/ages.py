"""How old a job is, and whether it succeeded: one rule for all that asks for the newest job.

`.latest/`, baselines, `get --latest`, histories, trends, badges and what retention keeps mean the same job by it. A
job is as old as its beginning: the earliest time at which anything in it was made, its directory where somebody made
that. A note, a log or a report that comes late makes no job newer.
"""

from collections.abc import Mapping
from typing import TypeAlias

Age: TypeAlias = tuple[int, bytes]
"""Of two the greater is that of the newer job."""


def age_of(began: int, job: bytes | str) -> Age:
    """Of two jobs of one moment the one with the greater name is the newer: so it is on all machines."""
    return began, job.encode("utf-8", "surrogateescape") if isinstance(job, str) else job


def is_successful(tags: Mapping[str, bytes] | Mapping[str, str]) -> bool:
    """Whether a job says that it succeeded, or nothing of how it ended."""
    return tags.get("status") in (None, "success", b"success")
