"""Cleaning up: planned here, in the caller's process, and carried out by whoever holds the store.

Over a hundred thousand jobs a plan takes seconds of a processor, which a mount does not have to spare.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mountfs import namespace, retention
from mountfs.api.asking import Ask
from mountfs.api.finding import searching
from mountfs.errors import InvalidArgument, Protected
from mountfs.namespace.units import parse_duration_seconds
from mountfs.retention import Brake, DatedVictim, Moment, Plan, Rest, Selection, Victim, moment_of, policy_of
from mountfs.statedir import StateDirectory

REPORTS_AT_ONCE: Final = 100
DATED_AT_ONCE: Final = 16  # a request is a line of 1 MiB, and a path may be long
REASON_MAX: Final = 500
PLAN_SECONDS: Final = 600.0  # a catalog of before there was an index is read whole, once
DROP_SECONDS: Final = 3600.0  # a million artifacts take minutes, in which others are served
_SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody selects by hand, as it is typed; nothing at all: what the policy says.

    `merged` are the branches that are.
    """

    older_than: str | None = None
    types: Sequence[str] = ()
    tags: Sequence[str] = ()
    branches: Sequence[str] = ()
    merged: frozenset[str] | None = None

    def selection(self, types: Mapping[str, str]) -> Selection | None:
        """Raises InvalidArgument, InvalidName."""
        found = Selection(
            None if self.older_than is None else _span_ns(self.older_than),
            frozenset(namespace.canonical_type(slug, extra=types) for slug in self.types),
            tuple(_tag(tag) for tag in self.tags),
            frozenset(self.branches),
            self.merged,
        )
        return None if found == Selection() else found


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, what speaks against it, and the look at the clocks for which it was made.

    `begun` goes first: what is left of reports that a run began to drop whose process was killed.
    """

    plan: Plan
    brakes: tuple[Brake, ...]
    now: Moment
    knows_all: bool
    begun: tuple[Victim, ...] = ()

    @property
    def victims(self) -> list[Victim | DatedVictim]:
        """All that would go."""
        return [*self.begun, *self.plan.victims, *self.plan.dated]

    @property
    def artifacts(self) -> int:
        return self.plan.artifacts + sum(victim.report.artifacts for victim in self.begun)

    @property
    def stored_bytes(self) -> int:
        return self.plan.stored_bytes + sum(victim.report.stored_bytes for victim in self.begun)

    @property
    def jobs(self) -> frozenset[str]:
        """The jobs that lose something."""
        return self.plan.jobs | {victim.report.job for victim in self.begun}

    @property
    def refusal(self) -> str:
        """What speaks against it, as one sentence; nothing: empty."""
        return "nothing was dropped: " + "; ".join(brake.sentence for brake in self.brakes) if self.brakes else ""

    def refuse(self) -> None:
        """Raises Protected where something speaks against it."""
        if self.refusal:
            raise Protected(self.refusal)


@dataclass(slots=True)
class Cleaned:
    """What went, and what was left since it is not any more what was judged."""

    artifacts: int = 0
    jobs: int = 0


Told = Callable[[str, str], None]


def plan_cleanup(ask: Ask, state: Path, wanted: Wanted) -> Planned:
    """What would go now. Raises InvalidArgument, RemoteUnavailable where the bucket's clock is not known."""
    said = ask("retention", timeout=PLAN_SECONDS)
    policy, now = policy_of(_mapping(said["policy"])), moment_of(_mapping(said["now"]))
    before = None if said["before"] is None else moment_of(_mapping(said["before"]))
    selection = wanted.selection({str(alias): str(slug) for alias, slug in _mapping(said["types"]).items()})
    with searching(StateDirectory(state).catalog) as search:
        reports, begun = retention.set_apart(search.units.reports(), _rests(said.get("left")))
    if selection is None:
        plan = retention.decide(reports, policy, now_ns=now.now_ns)
    else:
        plan = retention.select(reports, selection, policy, now_ns=now.now_ns)
    brakes = retention.brakes(plan, before=before, now=now)
    return Planned(plan, brakes, now, bool(said["knows_all"]), begun)


def _rests(said: object) -> dict[tuple[str, str], Rest]:
    """What of which report is left, as `retention` tells it."""
    found: Counter[tuple[str, str]] = Counter()
    stored: Counter[tuple[str, str]] = Counter()
    for job, slug, artifacts, stored_bytes in said if isinstance(said, list) else []:
        found[job, slug] += artifacts
        stored[job, slug] += stored_bytes
    return {key: Rest(artifacts, stored[key]) for key, artifacts in found.items()}


def carry_out(ask: Ask, planned: Planned, *, told: Told) -> Cleaned:
    """Have it dropped; `told` hears of each report or artifact that was left, and why."""
    done = Cleaned()
    for reports, dated in _requests(planned.plan):
        _expire(ask, done, told, reports=list(map(_condemned, reports)), dated=list(map(_outdated, dated)))
    _expire(ask, done, told, ran=retention.plain_moment(planned.now))
    return done


def _expire(ask: Ask, done: Cleaned, told: Told, **arguments: object) -> None:
    answer = ask("expire", timeout=DROP_SECONDS, **arguments)
    jobs, skipped = answer["jobs"], answer["skipped"]
    done.artifacts += int(str(answer["artifacts"]))
    done.jobs += len(jobs) if isinstance(jobs, list) else 0
    for what, reason in skipped if isinstance(skipped, list) else []:
        told(str(what), str(reason))


def _condemned(victim: Victim) -> list[object]:
    report = victim.report
    return [report.job, report.type, report.published_ns, report.artifacts, str(victim.reason)[:REASON_MAX]]


def _outdated(victim: DatedVictim) -> list[object]:
    at_s, reason = victim.dated.expires_at_ns // _SECOND_NS, str(victim.reason)[:REASON_MAX]
    return [victim.report.job, victim.dated.path, at_s, victim.report.type, reason]


def _requests(plan: Plan) -> Iterator[tuple[list[Victim], list[DatedVictim]]]:
    """What goes, in pieces. A job is in one of them, so that it is one event, unless it alone is more than a piece."""
    reports: list[Victim] = []
    dated: list[DatedVictim] = []
    for whole, alone in _by_job(plan):
        is_full = len(reports) + len(whole) > REPORTS_AT_ONCE or len(dated) + len(alone) > DATED_AT_ONCE
        if is_full and (reports or dated):
            yield reports, dated
            reports, dated = [], []
        reports += whole
        dated += alone
        while len(reports) > REPORTS_AT_ONCE or len(dated) > DATED_AT_ONCE:
            yield reports[:REPORTS_AT_ONCE], dated[:DATED_AT_ONCE]
            reports, dated = reports[REPORTS_AT_ONCE:], dated[DATED_AT_ONCE:]
    if reports or dated:
        yield reports, dated


def _by_job(plan: Plan) -> Iterator[tuple[list[Victim], list[DatedVictim]]]:
    jobs: dict[str, tuple[list[Victim], list[DatedVictim]]] = {}
    for victim in plan.victims:
        jobs.setdefault(victim.report.job, ([], []))[0].append(victim)
    for alone in plan.dated:
        jobs.setdefault(alone.report.job, ([], []))[1].append(alone)
    yield from jobs.values()


def _span_ns(text: str) -> int:
    """A unit is asked for: `--older-than 90` would be 90 seconds."""
    if text.strip().replace(".", "").isdigit():
        raise InvalidArgument(f"older than {text}: say of what; allowed: a duration such as 90d or 12h")
    return int(parse_duration_seconds(text) * _SECOND_NS)


def _tag(text: str) -> tuple[str, str]:
    key, value = namespace.parse_tag(text)
    return key, value.decode("utf-8", "surrogateescape")


def _mapping(value: object) -> Mapping[str, object]:
    assert isinstance(value, Mapping)
    return value
