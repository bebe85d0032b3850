"""What became of each test: failed anew, fixed, gone, skipped, flaky, slower.

Tests are matched by class and name, with multiplicity. Where a job ran one test more than once, the legs of its matrix
tell which is which, then suite and file; those that nothing tells apart are paired by their outcome, so that two tests
of one name that changed places have not changed.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from mountfs.compare.formats import choose_formats
from mountfs.compare.identity import CaseId, identify
from mountfs.compare.legs import by_leg
from mountfs.compare.values import Change, Options, finite
from mountfs.reports.model import Case, Outcome, Parsed, TestRun

BAD: Final = frozenset({Outcome.FAILED, Outcome.ERROR})
_ORDER: Final = {outcome: number for number, outcome in enumerate(Outcome)}


@dataclass(frozen=True, slots=True)
class Ran:
    """One test as one report of a job has it."""

    id: CaseId
    case: Case
    leg: str

    @property
    def is_bad(self) -> bool:
        return self.case.outcome in BAD


@dataclass(frozen=True, slots=True)
class Counts:
    """How many there were, with multiplicity."""

    total: int = 0
    passed: int = 0
    failed: int = 0
    errors: int = 0
    skipped: int = 0
    flaky: int = 0
    seconds: float | None = None

    @property
    def bad(self) -> int:
        return self.failed + self.errors

    def by_name(self) -> dict[str, float | None]:
        """The numbers as metrics name them."""
        return {
            "total": self.total,
            "passed": self.passed,
            "failed": self.failed,
            "errors": self.errors,
            "skipped": self.skipped,
            "flaky": self.flaky,
            "seconds": self.seconds,
        }


@dataclass(frozen=True, slots=True)
class Tests:
    """All tests of one side. Not `complete`: some ran that are not named; not `names_bad`: some of these failed."""

    ran: tuple[Ran, ...]
    counts: Counts
    complete: bool = True
    names_bad: bool = True


@dataclass(frozen=True, slots=True)
class TestChange:
    """What became of one test; None where it was not run. `leg` only where its name alone does not tell."""

    __test__ = False  # no test class

    id: CaseId
    before: Case | None
    after: Case | None
    leg: str = ""

    def __str__(self) -> str:
        return f"{self.id} ({self.leg})" if self.leg else str(self.id)


@dataclass(frozen=True, slots=True)
class TestChanges:
    """Tests by what became of them. A side without tests is None, and then nothing is in any list.

    `flaky` are those that are so now; `newly_flaky` says how many of them were not. A failing test that is not there
    any more is `disappeared`, never `fixed`; `new` are those that came and did not fail. `unnamed`: a side counts
    failures that it does not name, so that the lists hold not all.
    """

    __test__ = False  # no test class

    before: Counts | None
    after: Counts | None
    new_failures: tuple[TestChange, ...] = ()
    fixed: tuple[TestChange, ...] = ()
    still_failing: tuple[TestChange, ...] = ()
    disappeared: tuple[TestChange, ...] = ()
    new: tuple[TestChange, ...] = ()
    newly_skipped: tuple[TestChange, ...] = ()
    flaky: tuple[TestChange, ...] = ()
    slower: tuple[TestChange, ...] = ()
    unnamed: bool = False

    def count(self, name: str) -> Change:
        """One of the counts on both sides."""
        before = None if self.before is None else self.before.by_name()[name]
        return Change(before, None if self.after is None else self.after.by_name()[name])

    @property
    def newly_flaky(self) -> tuple[TestChange, ...]:
        return tuple(test for test in self.flaky if test.before is None or not test.before.flaky)


# -- one side ---------------------------------------------------------------------------------------------------


def merged_tests(reports: Sequence[tuple[str, Parsed]], other: Sequence[tuple[str, Parsed]]) -> Tests | None:
    """The tests of a side's reports; None without any. `other` is the other side: formats it has too go first."""
    runs = [(path, said.format, said.report) for path, said in reports if isinstance(said.report, TestRun)]
    if not runs:
        return None
    if len({name for _, name, _ in runs}) > 1:
        named = _names([(said.format, said.report) for _, said in other if isinstance(said.report, TestRun)])
        formats = choose_formats(_names([(name, run) for _, name, run in runs]), named)
        runs = [run for run in runs if run[1] in formats]
    return _merged([(path, run) for path, _, run in runs])


def merged_run(reports: Sequence[tuple[str, Parsed]]) -> TestRun:
    """The reports of one job as one run, retries folded in: what `history` asks of each job."""
    tests = merged_tests(reports, ())
    return TestRun() if tests is None else TestRun(tuple(ran.case for ran in tests.ran), seconds=tests.counts.seconds)


def _names(runs: Iterable[tuple[str, TestRun]]) -> dict[str, set[CaseId]]:
    names: dict[str, set[CaseId]] = defaultdict(set)
    for name, run in runs:
        names[name].update(identify(case) for case in run.cases)
    return names


def _merged(runs: list[tuple[str, TestRun]]) -> Tests:
    legs = by_leg(path for path, _ in runs)
    ran: list[Ran] = []
    by: dict[str, list[tuple[int, TestRun]]] = defaultdict(list)
    for path, run in runs:
        by[legs[path][0]].append((legs[path][1], run))
    for leg, attempts in by.items():
        ran += _leg([run for _, run in sorted(attempts, key=lambda attempt: attempt[0])], leg)
    return _counted(ran, [run for _, run in runs])


def _leg(attempts: Iterable[TestRun], leg: str) -> list[Ran]:
    """The last word on each test; flaky where an earlier attempt said otherwise."""
    last: dict[CaseId, list[Ran]] = {}
    for run in attempts:
        said: dict[CaseId, list[Ran]] = defaultdict(list)
        for case in run.cases:
            test = identify(case)
            said[test].append(Ran(test, case, leg))
        for test, rans in said.items():
            last[test] = _after_retry(last.get(test, []), rans)
    return [ran for rans in last.values() for ran in rans]


def _after_retry(earlier: list[Ran], later: list[Ran]) -> list[Ran]:
    """A retry of some of several tests of one name leaves the others, those that did not fail, as they were."""
    if not earlier:
        return later
    otherwise = {ran.is_bad for ran in earlier} | {ran.is_bad for ran in later} == {True, False}
    retried = [replace(ran, case=replace(ran.case, flaky=ran.case.flaky or otherwise)) for ran in later]
    kept = sorted(earlier, key=lambda ran: ran.is_bad)[: max(len(earlier) - len(later), 0)]
    return retried + kept


def _counted(ran: list[Ran], runs: list[TestRun]) -> Tests:
    counts = _count(ran, runs)
    extra = [_unnamed(run) for run in runs]
    bad = sum(more.bad for more in extra)
    for more in extra:
        counts = _sum(counts, more)
    return Tests(tuple(ran), counts, complete=not any(more.total for more in extra), names_bad=not bad)


def _count(ran: Iterable[Ran], runs: list[TestRun]) -> Counts:
    ran = list(ran)
    many = {outcome: sum(1 for one in ran if one.case.outcome is outcome) for outcome in Outcome}
    flaky = sum(1 for one in ran if one.case.flaky)
    return Counts(
        len(ran), many[Outcome.PASSED], many[Outcome.FAILED], many[Outcome.ERROR], many[Outcome.SKIPPED], flaky,
        _seconds(ran, runs),
    )  # fmt: skip


def _unnamed(run: TestRun) -> Counts:
    """What the totals of a run count beyond its cases: some tools name only what failed."""
    if run.totals.get("tests", 0) <= len(run.cases):
        return Counts()
    many = {outcome: sum(1 for case in run.cases if case.outcome is outcome) for outcome in Outcome}
    total = run.totals["tests"] - len(run.cases)
    failed = max(run.totals.get("failed", 0) - many[Outcome.FAILED], 0)
    errors = max(run.totals.get("errors", 0) - many[Outcome.ERROR], 0)
    skipped = max(run.totals.get("skipped", 0) - many[Outcome.SKIPPED], 0)
    return Counts(total, max(total - failed - errors - skipped, 0), failed, errors, skipped)


def _sum(one: Counts, more: Counts) -> Counts:
    return replace(
        one,
        total=one.total + more.total,
        passed=one.passed + more.passed,
        failed=one.failed + more.failed,
        errors=one.errors + more.errors,
        skipped=one.skipped + more.skipped,
    )


def _seconds(ran: Iterable[Ran], runs: list[TestRun]) -> float | None:
    """What the runs took as they say it, else their tests together."""
    said = [seconds for run in runs if (seconds := finite(run.seconds)) is not None]
    if len(said) < len(runs):
        said = [seconds for one in ran if (seconds := finite(one.case.seconds)) is not None]
    return finite(sum(said)) if said else None


# -- both -------------------------------------------------------------------------------------------------------


def compare_tests(before: Tests | None, after: Tests | None, options: Options) -> TestChanges | None:
    """What became of each test; None where neither side has any."""
    if before is None or after is None:
        if before is None and after is None:
            return None
        return TestChanges(None if before is None else before.counts, None if after is None else after.counts)
    lists: dict[str, list[TestChange]] = defaultdict(list)
    for change in _changes(before, after):
        for name in _fates(change, options):
            lists[name].append(change)
    kept = _of_partial(before, after, lists)
    return TestChanges(
        before.counts,
        after.counts,
        **{name: tuple(sorted(tests, key=_sorted_by)) for name, tests in kept.items()},
        unnamed=not (before.names_bad and after.names_bad),
    )


def _sorted_by(change: TestChange) -> tuple[CaseId, str]:
    return change.id, change.leg


def _fates(change: TestChange, options: Options) -> Iterator[str]:
    """The lists that a test belongs to."""
    before, after = change.before, change.after
    if after is None:
        yield "disappeared"
        return
    if after.outcome in BAD:
        yield "still_failing" if before is not None and before.outcome in BAD else "new_failures"
    elif before is None:
        yield "new"
    elif after.outcome is Outcome.SKIPPED and before.outcome is not Outcome.SKIPPED:
        yield "newly_skipped"
    elif after.outcome is Outcome.PASSED and before.outcome in BAD:
        yield "fixed"
    if after.flaky:
        yield "flaky"
    if before is not None and _is_slower(before, after, options):
        yield "slower"


def _is_slower(before: Case, after: Case, options: Options) -> bool:
    """Of those that passed: what fails ends early, or waits until something gives up."""
    if before.outcome is not Outcome.PASSED or after.outcome is not Outcome.PASSED:
        return False
    was, took = finite(before.seconds), finite(after.seconds)
    if was is None or took is None:
        return False
    return took >= options.slower_ratio * was and took - was >= options.slower_seconds


def _of_partial(before: Tests, after: Tests, lists: dict[str, list[TestChange]]) -> dict[str, list[TestChange]]:
    """The lists that can be told where a side names only some of its tests.

    A failure that is named no more by a run which names all its failures does not fail: it is fixed, if no fewer
    tests ran. What was not named before may well have been there, and what is not named now may be.
    """
    if not after.complete:
        gone = lists.pop("disappeared", [])
        if after.names_bad and after.counts.total >= before.counts.total:
            lists["fixed"] += [test for test in gone if test.before is not None and test.before.outcome in BAD]
    if not before.complete:
        lists.pop("new", None)
    return lists


def _changes(before: Tests, after: Tests) -> Iterator[TestChange]:
    was, now = _by_id(before), _by_id(after)
    for test in {**was, **now}:
        one, other = was.get(test, []), now.get(test, [])
        several = len(one) > 1 or len(other) > 1
        for old, new in _pairs(one, other):
            leg = (new or old or one[0]).leg if several else ""
            yield TestChange(test, None if old is None else old.case, None if new is None else new.case, leg)


def _by_id(tests: Tests) -> dict[CaseId, list[Ran]]:
    found: dict[CaseId, list[Ran]] = defaultdict(list)
    for ran in tests.ran:
        found[ran.id].append(ran)
    return found


Pair = tuple[Ran | None, Ran | None]
_LABELS: Final[tuple[Callable[[Ran], tuple[str, ...]], ...]] = (
    lambda ran: (ran.leg, ran.case.suite, ran.case.file),
    lambda ran: (ran.case.suite, ran.case.file),
    lambda ran: (ran.leg,),
    lambda ran: (),
)


def _pairs(before: list[Ran], after: list[Ran]) -> Iterator[Pair]:
    """Each of before with one of after, those first that most facts name the same; None for who is left alone."""
    if len(before) == len(after) == 1:
        yield before[0], after[0]
        return
    for label in _LABELS:
        before, after, found = _labelled(before, after, label)
        yield from found
    yield from ((ran, None) for ran in before)
    yield from ((None, ran) for ran in after)


def _labelled(
    before: list[Ran], after: list[Ran], label: Callable[[Ran], tuple[str, ...]]
) -> tuple[list[Ran], list[Ran], list[Pair]]:
    """Pairs of one label, and who is left on each side."""
    waiting: dict[tuple[str, ...], tuple[list[Ran], list[Ran]]] = defaultdict(lambda: ([], []))
    for ran in before:
        waiting[label(ran)][0].append(ran)
    for ran in after:
        waiting[label(ran)][1].append(ran)
    found: list[Pair] = []
    for ours, theirs in waiting.values():
        found += _alike(ours, theirs)
        both = min(len(ours), len(theirs))
        found += zip(ours[:both], theirs[:both], strict=True)
        del ours[:both], theirs[:both]
    left, right = zip(*waiting.values(), strict=True) if waiting else ((), ())
    return [ran for some in left for ran in some], [ran for some in right for ran in some], found


def _alike(ours: list[Ran], theirs: list[Ran]) -> list[Pair]:
    """Takes out of both who ended the same; the rest is brought into the order of outcomes."""
    found: list[Pair] = []
    for outcome in Outcome:
        one = [ran for ran in ours if ran.case.outcome is outcome]
        other = [ran for ran in theirs if ran.case.outcome is outcome]
        found += zip(one, other, strict=False)
    for done, group in ((0, ours), (1, theirs)):
        taken = {id(pair[done]) for pair in found}
        group[:] = sorted((ran for ran in group if id(ran) not in taken), key=lambda ran: _ORDER[ran.case.outcome])
    return found
