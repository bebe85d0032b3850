"""What a run that was killed left of its reports: the next one goes on with them, whatever it decides of others."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from mountfs.retention.baselines import with_baselines
from mountfs.retention.model import Report
from mountfs.retention.plan import Victim
from mountfs.retention.reasons import Interrupted


@dataclass(frozen=True, slots=True)
class Rest:
    """So much of a report is still to go."""

    artifacts: int
    stored_bytes: int


def set_apart(
    reports: Iterable[Report], rests: Mapping[tuple[str, str], Rest]
) -> tuple[list[Report], tuple[Victim, ...]]:
    """The reports as they are once these rests (by job and type) have gone, and the rests as victims.

    Comparisons take none of what goes: where one did, the newest of the others is a baseline.
    """
    staying, going = [], []
    for report in reports:
        rest = rests.get(report.key)
        if rest is None:
            staying.append(report)
            continue
        going.append(
            Victim(replace(report, artifacts=rest.artifacts, stored_bytes=rest.stored_bytes), Interrupted())
        )  # fmt: skip
        if report.artifacts > rest.artifacts:  # these came after that was decided
            stored = report.stored_bytes - rest.stored_bytes
            staying.append(replace(report, artifacts=report.artifacts - rest.artifacts, stored_bytes=stored))
    return with_baselines(staying) if going else staying, tuple(going)
