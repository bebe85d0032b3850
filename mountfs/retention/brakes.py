"""When a run stops before it drops anything: it would drop too much, or the time cannot be believed.

On the schedule nobody looks, so the run ends there and says so; by hand the same sentences ask for `--yes`. Counted are
jobs that lose anything: of a job that loses its reports one type at a time, each loss is one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mountfs.retention.model import DAY_NS, SECOND_NS
from mountfs.retention.plan import Plan
from mountfs.retention.reasons import days

MOST_PART: Final = 5  # a fifth of the jobs
FEW_JOBS: Final = 5  # so many may always go: a fifth of a small store is one job, and each run would stop
JUMP_NS: Final = DAY_NS


@dataclass(frozen=True, slots=True)
class Moment:
    """One look at the clocks. `monotonic_ns` counts within one `boot` only; `server_ns` is None without a server."""

    wall_ns: int
    monotonic_ns: int | None = None
    boot: str = ""
    server_ns: int | None = None

    @property
    def now_ns(self) -> int:
        """The time that counts: the server's where there is one."""
        return self.wall_ns if self.server_ns is None else self.server_ns


@dataclass(frozen=True, slots=True)
class TooMuch:
    jobs: int
    of: int

    @property
    def sentence(self) -> str:
        return (
            f"this would take something from {self.jobs} of {self.of} jobs, more than a fifth of them;"
            " look at `mountfs cleanup --dry-run`, and if that is meant: `mountfs cleanup --yes`"
        )


@dataclass(frozen=True, slots=True)
class ClockJumped:
    """`clock` moved by `by_ns` more (or, below 0, less) since the last run than `against` did."""

    clock: str
    against: str
    by_ns: int

    @property
    def sentence(self) -> str:
        way = "ahead" if self.by_ns > 0 else "back"
        return (
            f"{self.clock} went {days(abs(self.by_ns) // DAY_NS)} {way} against {self.against} since the last cleanup;"
            " set the clock right, and if it is right now: `mountfs cleanup --yes`"
        )


Brake = TooMuch | ClockJumped


def brakes(plan: Plan, *, before: Moment | None, now: Moment) -> tuple[Brake, ...]:
    """What speaks against this run; nothing against one that drops nothing.

    `before` is the look at the clocks at the last run that went through, or was told `--yes`; None: there was none.
    Without a server, and with the machine off in between, a clock that was set ahead cannot be told from time.
    """
    if plan.is_empty:
        return ()
    found: list[Brake] = list(_jumps(before, now)) if before is not None else []
    jobs, of = len(plan.jobs), len(plan.all_jobs)
    if jobs > FEW_JOBS and jobs * MOST_PART > of:
        found.append(TooMuch(jobs, of))
    return tuple(found)


_PAIRS: Final = (
    ("the server's clock", "this machine's", "server", "wall"),
    ("this machine's clock", "the time it was on", "wall", "monotonic"),
    ("the server's clock", "the time this machine was on", "server", "monotonic"),
)


def _jumps(before: Moment, now: Moment) -> Iterator[ClockJumped]:
    """Clocks that disagree on how much time passed; a clock that went back disagrees with every other."""
    passed = _passed(before, now)
    for clock, against, one, other in _PAIRS:
        if one in passed and other in passed and abs(passed[one] - passed[other]) > JUMP_NS:
            yield ClockJumped(clock, against, passed[one] - passed[other])
    for clock, name in (("the server's clock", "server"), ("this machine's clock", "wall")):
        if passed.get(name, 0) < -JUMP_NS:
            yield ClockJumped(clock, "itself", passed[name])


def _passed(before: Moment, now: Moment) -> dict[str, int]:
    """How much time passed by each clock that both looks have."""
    passed = {"wall": now.wall_ns - before.wall_ns}
    if before.server_ns is not None and now.server_ns is not None:
        passed["server"] = now.server_ns - before.server_ns
    if before.monotonic_ns is not None and now.monotonic_ns is not None and before.boot == now.boot:
        passed["monotonic"] = now.monotonic_ns - before.monotonic_ns
    return passed


def runs_into_brake(*, longest_days: int, gap_seconds: int) -> bool:
    """Whether every run of a steady stream of jobs would drop more than a fifth of them.

    With jobs kept for `longest_days` and cleaned every `gap_seconds`, a run meets `gap / (longest + gap)` of them done.
    """
    return longest_days > 0 and gap_seconds * SECOND_NS * (MOST_PART - 1) > longest_days * DAY_NS
