"""A store as retention sees it: artifacts of jobs, from which reports are made, and out of which a plan drops."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from mountfs.retention import DAY_NS, Baseline, Dated, Plan, Report, with_baselines

TODAY_NS = 20_000 * DAY_NS


@dataclass(frozen=True)
class Artifact:
    job: str
    type: str
    path: str
    published_ns: int
    began_ns: int  # of the job
    tags: tuple[tuple[str, str], ...] = ()
    pinned: bool = False
    expires_at_ns: int | None = None


Store = frozenset[Artifact]


def reports_of(store: Iterable[Artifact], chosen: frozenset[tuple[str, str]] = frozenset()) -> list[Report]:
    """The reports in this store with their baselines; `chosen` are keys of those that somebody made baselines."""
    units: dict[tuple[str, str], list[Artifact]] = {}
    for artifact in store:
        units.setdefault((artifact.job, artifact.type), []).append(artifact)
    found = [_report(artifacts) for artifacts in units.values()]
    return with_baselines(
        replace(report, baseline=Baseline("main", chosen=True)) if report.key in chosen else report for report in found
    )


def _report(artifacts: list[Artifact]) -> Report:
    one = artifacts[0]
    counting = [artifact for artifact in artifacts if artifact.expires_at_ns is None] or artifacts
    return Report(
        job=one.job,
        type=one.type,
        published_ns=max(artifact.published_ns for artifact in counting),
        began_ns=one.began_ns,
        tags=dict(one.tags),
        artifacts=len(artifacts),
        stored_bytes=100 * len(artifacts),
        pinned=any(artifact.pinned for artifact in artifacts),
        dated=tuple(
            Dated(artifact.path, artifact.expires_at_ns, 100)
            for artifact in artifacts
            if artifact.expires_at_ns is not None
        ),
    )


def without(store: Store, plan: Plan) -> Store:
    """What is left once the plan is carried out."""
    whole = {victim.report.key for victim in plan.victims}
    alone = {(*victim.report.key, victim.dated.path) for victim in plan.dated}
    return frozenset(
        artifact
        for artifact in store
        if (artifact.job, artifact.type) not in whole and (artifact.job, artifact.type, artifact.path) not in alone
    )


def days_ago(days: float) -> int:
    return TODAY_NS - int(days * DAY_NS)


def report(
    job: str = "build-7", slug: str = "coverage-report", *, age: float = 0, began: float | None = None, **said: object
) -> Report:
    """A report of so many days, of branch `feature` unless something else is said; its job began then, or earlier."""
    tags = {"branch": "feature"} | {key: str(value) for key, value in said.items()}
    return Report(
        job, slug, days_ago(age), days_ago(age if began is None else began), tags, artifacts=2, stored_bytes=200
    )
