"""`history`, `trend` and `badge`: one test, or one number, through the newest jobs."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from mountfs import namespace
from mountfs.api.sides import Held, held_in, side_of
from mountfs.api.summaries import Summaries
from mountfs.catalog.search import JobThen, Search
from mountfs.compare.badge import badge as drawn_badge
from mountfs.compare.history import History, JobFacts
from mountfs.compare.history import history as history_of
from mountfs.compare.metrics import Metric, metric_of_a_job, value_of_job
from mountfs.compare.outcomes import merged_run
from mountfs.compare.sides import Kind, kinds_of
from mountfs.compare.trend import Point, Trend
from mountfs.compare.trend import trend as trend_of
from mountfs.errors import InvalidArgument, NotFound
from mountfs.reports.model import TestRun, Unreadable
from mountfs.reports.wire import Summary
from mountfs.views.candidates import newest_jobs

if TYPE_CHECKING:
    from mountfs.api.reading import ArtifactStore
    from mountfs.reports.process import Reader

NEWEST: Final = 50
MOST_NEWEST: Final = 10_000
_LOOKED_AT: Final = 20  # times as many jobs are looked at, for some have no such report
_TEST_TYPES: Final = frozenset({"test-results", "custom"})  # the latter: its name says nothing


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which jobs: the newest of a branch or of all, those of pull requests only with the latter; and which reports."""

    branch: str | None = None
    newest: int = NEWEST
    type: str | None = None


@dataclass(frozen=True, slots=True)
class HistoryFound:
    """A test's history; `unreadable` are sentences about reports that should have told of it."""

    history: History
    unreadable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TrendFound:
    """A trend; `unreadable` are sentences about reports that should have been part of it."""

    trend: Trend
    unreadable: tuple[str, ...] = ()


def of_branch(branch: str | None) -> str:
    """In the middle of a sentence."""
    return "" if branch is None else f" of branch {branch}"


def branch_hint(branch: str | None) -> str:
    """At the end of one: a tag of an artifact does not make its job one of a branch."""
    return "" if branch is None else f": a job is of a branch by its own tag, `mountfs tag JOB branch={branch}`"


def history(store: "ArtifactStore", test: str, wanted: Wanted) -> HistoryFound:
    """See `ArtifactStore.history`."""
    from mountfs.reports.process import Reader

    unreadable: list[str] = []
    with Reader() as reader:
        runs = list(islice(_runs(store, reader, wanted, unreadable.append), _checked(wanted)))
    if not runs:
        said, hint = of_branch(wanted.branch), branch_hint(wanted.branch)
        raise NotFound(f"no job{said} has a report of tests that can be read{hint}")
    return HistoryFound(history_of(test, runs), tuple(unreadable))


def _runs(
    store: "ArtifactStore", reader: "Reader", wanted: Wanted, told: Callable[[str], None]
) -> Iterator[tuple[JobFacts, TestRun]]:
    types = _TEST_TYPES if wanted.type is None else {wanted.type}
    for job in _jobs(store, wanted):
        side = side_of(store, reader, _held(store, job), types=types)
        for source in side.sources:
            if isinstance(source.answer, Unreadable) and Kind.TESTS in kinds_of(source.answer, source.type):
                told(f"{job.job}/{source.path}: {source.answer.reason}")
        reports = side.of(Kind.TESTS)
        if reports:
            yield job, merged_run(reports)


def trend(store: "ArtifactStore", what: str, wanted: Wanted) -> TrendFound:
    """See `ArtifactStore.trend`."""
    metric = _metric(store, what, wanted)
    unreadable: list[str] = []
    with Summaries(store) as summaries:
        values = _values(store, summaries, metric, wanted, unreadable.append)
        points = [Point(job.began_ms, value, job.job, job.commit) for job, value in values]
    return TrendFound(trend_of(metric, points), tuple(unreadable))


def badge(store: "ArtifactStore", what: str, wanted: Wanted, *, label: str) -> str:
    """See `ArtifactStore.badge`."""
    metric = _metric(store, what, wanted)
    with Summaries(store) as summaries:
        values = _values(store, summaries, metric, wanted, lambda sentence: None)
        newest = next(iter(values), None)
    return drawn_badge(metric.name, None if newest is None else newest[1], label)


def _metric(store: "ArtifactStore", what: str, wanted: Wanted) -> Metric:
    name = "coverage.line" if what == "coverage" else what
    slug = None if wanted.type is None else namespace.canonical_type(wanted.type, extra=store.types)
    if name == "size" and slug is not None:
        name = f"size.{slug}"
    elif name.startswith("size."):
        name = f"size.{namespace.canonical_type(name.removeprefix('size.'), extra=store.types)}"
    return metric_of_a_job(name)


def _checked(wanted: Wanted) -> int:
    if not 1 <= wanted.newest <= MOST_NEWEST:
        raise InvalidArgument(f"{wanted.newest} jobs; allowed: 1 to {MOST_NEWEST:,}")
    return wanted.newest


# -- jobs -------------------------------------------------------------------------------------------------------


def _jobs(store: "ArtifactStore", wanted: Wanted) -> Iterator[JobFacts]:
    """The jobs that may tell of it, newest first."""
    branch = None if wanted.branch is None else wanted.branch.encode("utf-8", "surrogateescape")
    if branch is not None and not store.knows_all:
        _bring(store, branch, _checked(wanted))
    with store.searching() as search:
        for then in newest_jobs(search, "branch", branch, most=_checked(wanted) * _LOOKED_AT):
            tags = search.values.job_tags(then.ino)
            if branch is None or "pr" not in tags:
                yield _facts(then, tags)


def _bring(store: "ArtifactStore", branch: bytes, newest: int) -> None:
    """Read the newest jobs of a branch, as the bucket tells of them: from then on they are known here.

    Whoever wrote a head may have known a part of its job: where one is older than it said, more are asked for.
    """
    limit, read = newest, set[bytes]()
    while True:
        heads = store.heads("branch", branch, limit=limit)
        for head in heads:
            if head.job not in read:
                read.add(head.job)
                with contextlib.suppress(NotFound):  # it went meanwhile
                    store.metadata(namespace.join_key((head.job,)))
        if len(heads) < limit or _are_newest(store, branch, newest, min(head.began_ns for head in heads)):
            return
        limit *= 2


def _are_newest(store: "ArtifactStore", branch: bytes, newest: int, oldest_ns: int) -> bool:
    """Whether so many jobs are known that began then, or later: others are older."""
    with store.searching() as search:
        jobs = list(newest_jobs(search, "branch", branch, most=newest))
    return len(jobs) == newest and jobs[-1].began_ns >= oldest_ns


def _facts(job: JobThen, tags: Mapping[str, bytes]) -> JobFacts:
    said = {key: tags.get(key, b"").decode("utf-8", "surrogateescape") for key in ("commit", "branch", "status", "pr")}
    return JobFacts(namespace.join_key((job.name,)), job.began_ns // 1_000_000, **said)


def _held(store: "ArtifactStore", job: JobFacts) -> Held:
    with store.searching() as search:
        return held_in(store, search, namespace.split_key(job.job))


# -- numbers ----------------------------------------------------------------------------------------------------


def _values(
    store: "ArtifactStore",
    summaries: Summaries,
    metric: Metric,
    wanted: Wanted,
    told: Callable[[str], None],
) -> Iterator[tuple[JobFacts, float]]:
    """The number in each of the newest jobs that say it, newest first."""
    return islice(_all_values(store, summaries, metric, wanted, told), _checked(wanted))


def _all_values(
    store: "ArtifactStore", summaries: Summaries, metric: Metric, wanted: Wanted, told: Callable[[str], None]
) -> Iterator[tuple[JobFacts, float]]:
    usual: Counter[str] = Counter()  # formats, by how many jobs were taken from them
    for job in _jobs(store, wanted):
        with store.searching() as search:
            if metric.kind is Kind.SIZES:
                slug = metric.name.partition(".")[2] or None
                ino = search.job_ino(namespace.split_key(job.job)[0])
                size = None if ino is None else search.values.size_of(ino, slug)
                value = None if size is None else float(size)
            else:
                value = _of_reports(search, summaries, store, job, metric, wanted, usual, told)
        if value is not None:
            yield job, value


def _of_reports(
    search: Search, summaries: Summaries, store: "ArtifactStore", job: JobFacts, metric: Metric, wanted: Wanted,
    usual: Counter[str], told: Callable[[str], None],
) -> float | None:  # fmt: skip
    """The number of one job; where it was written down in several formats that of the format others have too."""
    held = held_in(store, search, namespace.split_key(job.job))
    by_format: dict[str, list[Summary]] = {}
    for path, found in held.reports:
        if wanted.type is not None and found.type != wanted.type:
            continue
        said = summaries.of(search, found)
        if isinstance(said, Summary) and said.kind == metric.kind:
            by_format.setdefault(said.format, []).append(said)
        elif isinstance(said, Unreadable) and metric.kind in kinds_of(said, found.type):
            told(f"{job.job}/{path}: {said.reason}")
    if not by_format:
        return None
    chosen = max(sorted(by_format), key=lambda name: (usual[name], _extent(by_format[name])))
    usual[chosen] += 1
    return value_of_job(metric.name, [summary.numbers for summary in by_format[chosen]])


def _extent(summaries: Sequence[Summary]) -> float:
    """How much these tell of, about."""
    names = ("tests.total", "coverage.lines", "coverage.files", "findings.total", "bench.total", "load.requests")
    return sum(float(said) for one in summaries for name in names if isinstance(said := one.numbers.get(name), int))
