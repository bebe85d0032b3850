"""One test through the jobs that ran it: how it ended each time, and since which commit it fails, flakes or is slow."""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from mountfs.compare.identity import CaseId, find_test, identify
from mountfs.compare.outcomes import BAD
from mountfs.compare.relative import in_one_place
from mountfs.compare.values import Options, finite
from mountfs.namespace import age_of
from mountfs.reports.model import Case, Outcome, TestRun


@dataclass(frozen=True, slots=True)
class JobFacts:
    """What is known of a job that ran tests."""

    job: str
    began_ms: int
    commit: str = ""
    branch: str = ""
    status: str = ""
    pr: str = ""


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """How the test ended in one job: its worst outcome there, None where it was not run.

    `flaky`: a retry ended otherwise, or another run at the same commit did. `times` counts how often the job ran it.
    """

    job: JobFacts
    outcome: Outcome | None
    seconds: float | None = None
    flaky: bool = False
    message: str = ""
    times: int = 1

    @property
    def is_bad(self) -> bool:
        return self.outcome in BAD


@dataclass(frozen=True, slots=True)
class Since:
    """The first job of which something holds, and the last one before of which it did not; None where none is known."""

    first: JobFacts
    last_before: JobFacts | None


@dataclass(frozen=True, slots=True)
class History:
    """The rows, newest first. What no longer holds is None: a test that passes again does not fail since.

    `slower` says the median before and after the step, in seconds.
    """

    test: CaseId
    rows: tuple[HistoryRow, ...]
    failing_since: Since | None = None
    flaky_since: Since | None = None
    slower_since: Since | None = None
    slower: tuple[float, float] | None = None


def history(wanted: str, runs: Iterable[tuple[JobFacts, TestRun]], options: Options | None = None) -> History:
    """The history of the test that a person means by `wanted`.

    Raises NotFound, and InvalidArgument where it is more than one test.
    """
    kept = sorted(runs, key=lambda run: age_of(run[0].began_ms, run[0].job))
    by_job = [(job, _by_id(run)) for job, run in _in_one_place(kept)]
    test = find_test(wanted, {test for _, tests in by_job for test in tests})
    rows = _with_flakes([_row(job, tests.get(test, [])) for job, tests in by_job])
    step = _slower(rows, options or Options())
    return History(
        test,
        tuple(reversed(rows)),
        _failing_since(rows),
        _flaky_since(rows),
        None if step is None else _since(rows, step[0]),
        None if step is None else step[1],
    )


def _in_one_place(runs: Sequence[tuple[JobFacts, TestRun]]) -> Iterator[tuple[JobFacts, TestRun]]:
    """Tests that are named by where they ran have the names that they have in the newest run."""
    found = in_one_place(run for _, run in reversed(runs))
    return zip((job for job, _ in runs), reversed(found), strict=True)


def _by_id(run: TestRun) -> dict[CaseId, list[Case]]:
    found: dict[CaseId, list[Case]] = defaultdict(list)
    for case in run.cases:
        found[identify(case)].append(case)
    return found


def _row(job: JobFacts, cases: Sequence[Case]) -> HistoryRow:
    if not cases:
        return HistoryRow(job, None, times=0)
    worst = min(cases, key=_worst)
    times = [seconds for case in cases if (seconds := finite(case.seconds)) is not None]
    flaky = any(case.flaky for case in cases)
    return HistoryRow(job, worst.outcome, max(times, default=None), flaky, worst.message, len(cases))


def _worst(case: Case) -> int:
    return (Outcome.ERROR, Outcome.FAILED, Outcome.PASSED, Outcome.SKIPPED).index(case.outcome)


def _with_flakes(rows: list[HistoryRow]) -> list[HistoryRow]:
    """A test that passed and failed at one commit is flaky there, whatever its retries say."""
    seen: dict[str, set[bool]] = defaultdict(set)
    for row in rows:
        if row.job.commit and row.outcome in (*BAD, Outcome.PASSED):
            seen[row.job.commit].add(row.is_bad)
    return [replace(row, flaky=row.flaky or len(seen.get(row.job.commit, ())) > 1) for row in rows]


def _since(rows: Sequence[HistoryRow], first: int) -> Since:
    """The row, and the last one before it that says anything."""
    before = [row.job for row in rows[:first] if _tells(row)]
    return Since(rows[first].job, before[-1] if before else None)


def _tells(row: HistoryRow) -> bool:
    return row.outcome is not None and row.outcome is not Outcome.SKIPPED


def _failing_since(rows: Sequence[HistoryRow]) -> Since | None:
    """The first of the failures that last until now; a job that did not run the test breaks no row of them."""
    first: int | None = None
    for number in reversed([number for number, row in enumerate(rows) if _tells(row)]):
        if not rows[number].is_bad:
            break
        first = number
    return None if first is None else _since(rows, first)


def _flaky_since(rows: Sequence[HistoryRow]) -> Since | None:
    return next((_since(rows, number) for number, row in enumerate(rows) if row.flaky), None)


def _slower(rows: Sequence[HistoryRow], options: Options) -> tuple[int, tuple[float, float]] | None:
    """Where the time of what passed steps up, and both medians: the split at which two medians fit best.

    A step that one run alone shows is taken as well: it is the newest, and the question is asked of it.
    """
    timed = [(number, row.seconds) for number, row in enumerate(rows) if row.outcome is Outcome.PASSED]
    times = [(number, seconds) for number, seconds in timed if seconds is not None]
    best: tuple[float, int, tuple[float, float]] | None = None
    for split in range(1, len(times)):
        before, after = ([seconds for _, seconds in some] for some in (times[:split], times[split:]))
        medians = statistics.median(before), statistics.median(after)
        misfit = sum(abs(one - medians[0]) for one in before) + sum(abs(one - medians[1]) for one in after)
        if best is None or misfit < best[0]:
            best = misfit, times[split][0], medians
    if best is None:
        return None
    was, now = best[2]
    steps = now >= options.slower_ratio * was and now - was >= options.slower_seconds
    return (best[1], best[2]) if steps else None
