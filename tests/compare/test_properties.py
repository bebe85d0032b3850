"""What holds of any two sides."""

import json
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from mountfs.compare import (
    METRICS,
    Side,
    Source,
    as_json,
    as_markdown,
    changed_only,
    compare,
    judge,
    parse_gates,
    tables,
)
from mountfs.reports.model import (
    Answer,
    Benchmarks,
    Case,
    Coverage,
    Diff,
    FileCoverage,
    Finding,
    Findings,
    Load,
    LoadTest,
    Outcome,
    Parsed,
    Report,
    Sample,
    Severity,
    TestRun,
    Unknown,
    Unreadable,
)

words = st.sampled_from(["a", "b", "c", "tests/test_a.py::t", "x|y"])
numbers = st.none() | st.floats() | st.floats(0, 10)
counts = st.integers(0, 20)

cases = st.builds(
    Case, st.sampled_from(["", "s"]), st.sampled_from(["", "m.C"]), words, st.sampled_from(list(Outcome)), numbers,
    st.just(""), st.booleans(),
)  # fmt: skip
totals = st.dictionaries(st.sampled_from(["tests", "failed", "errors", "skipped"]), counts)
test_runs = st.builds(TestRun, st.lists(cases, max_size=6).map(tuple), totals, numbers)
files = st.tuples(counts, counts, counts, counts, st.frozensets(st.integers(1, 9)), numbers).map(
    lambda t: FileCoverage(max(t[:2]), min(t[:2]), max(t[2:4]), min(t[2:4]), t[4], t[5])
)
coverages = st.builds(
    lambda by, whole, line: Coverage(by, max(whole), min(whole), line_rate=line),
    st.dictionaries(words, files, max_size=3), st.tuples(counts, counts), numbers,
)  # fmt: skip
found = st.builds(
    lambda rule, severity, tool, suppressed: Finding((rule,), rule, severity, tool=tool, suppressed=suppressed),
    words, st.sampled_from(list(Severity)), st.sampled_from(["", "t", "u"]), st.booleans(),
)  # fmt: skip
finding_lists = st.builds(
    lambda some, tools: Findings(tuple(some), tools=tuple(tools)),
    st.lists(found, max_size=6),
    st.lists(words, max_size=2),
)
samples = st.builds(Sample, numbers, numbers, numbers, numbers)
benchmark_runs = st.builds(
    Benchmarks, st.dictionaries(words, samples, max_size=3), st.dictionaries(words, words, max_size=2)
)
loads = st.builds(Load, st.none() | counts, st.none() | counts, numbers, numbers, numbers)
load_tests = st.builds(
    LoadTest, st.dictionaries(words, loads, max_size=2), loads, st.lists(words, max_size=2).map(tuple)
)
diffs = st.builds(Diff, st.dictionaries(words, st.tuples(counts, counts), max_size=2))
reports: st.SearchStrategy[Report] = st.one_of(test_runs, coverages, finding_lists, benchmark_runs, load_tests, diffs)
readable: st.SearchStrategy[Answer] = st.builds(Parsed, st.sampled_from(["x", "y"]), reports)
answers = st.one_of(readable, readable, readable, st.just(Unknown()), st.builds(Unreadable, words, words, words))
paths = st.sampled_from(["a.xml", "py311/a.xml", "py312/a.xml", "a-rerun.xml", "attempt-2/a.xml", "b.json"])
sources = st.builds(
    lambda path, answer, slug: Source(path, answer, slug), paths, answers, st.sampled_from(["", "test-results"])
)


def _sides(some: st.SearchStrategy[Source]) -> st.SearchStrategy[Side]:
    unique = st.lists(some, max_size=5, unique_by=lambda source: source.path).map(tuple)
    return st.builds(Side, words, unique, st.dictionaries(words, counts, max_size=3))


sides = _sides(sources)
plain_sides = _sides(
    st.builds(Source, st.sampled_from(["a.xml", "py311/a.xml"]), st.builds(Parsed, st.just("x"), reports))
)


@settings(deadline=None)
@given(sides)
def test_a_side_compared_with_itself_has_not_changed(side: Side) -> None:
    comparison = compare(side, side)
    assert not comparison.changed
    assert not comparison.notes


@settings(deadline=None)
@given(sides, sides)
def test_no_json_holds_a_number_that_is_none(before: Side, after: Side) -> None:
    comparison = compare(before, after)
    text = json.dumps(as_json(comparison, gates=judge(parse_gates("new_failures>0"), comparison)), allow_nan=False)
    assert json.loads(text)["schema"] == 1


@settings(deadline=None)
@given(sides, sides)
def test_every_rendering_takes_every_comparison(before: Side, after: Side) -> None:
    comparison = compare(before, after)
    for shown in (comparison, changed_only(comparison)):
        assert len(as_markdown(shown, limit=5_000)) <= 5_000
        assert all(table.rows for table in tables(shown))
    assert changed_only(comparison).changed is comparison.changed


@settings(deadline=None)
@given(plain_sides, plain_sides)
def test_what_is_new_one_way_is_fixed_or_gone_the_other_way(before: Side, after: Side) -> None:
    there, back = compare(before, after), compare(after, before)
    if there.findings is not None and back.findings is not None:
        assert identities(there.findings.new) == identities(back.findings.fixed)
        assert identities(there.findings.reopened) == identities(back.findings.newly_suppressed)
        assert len(there.findings.judged) == len(back.findings.judged)
    if there.tests is not None and back.tests is not None:
        new = [str(test) for test in there.tests.new_failures if test.before and test.before.outcome is Outcome.PASSED]
        assert new == [str(test) for test in back.tests.fixed if test.before is not None and test.after is not None]
        assert len(there.tests.still_failing) == len(back.tests.still_failing)
    if there.coverage is not None and back.coverage is not None:
        assert there.coverage.line.before == back.coverage.line.after
        assert len(there.coverage.files) == len(back.coverage.files)


def identities(some: tuple[Finding, ...]) -> list[tuple[str, ...]]:
    return sorted(finding.identity for finding in some)


@settings(deadline=None)
@given(sides, sides, st.sampled_from(sorted(METRICS)))
def test_a_gate_is_judged_with_a_number_or_fails_without(before: Side, after: Side, name: str) -> None:
    result = judge(parse_gates(f"{name}>0"), compare(before, after))[0]
    assert result.judged is (result.value is not None)
    assert result.judged or result.failed


@settings(deadline=None)
@given(sides)
def test_no_gate_on_what_came_fails_where_nothing_changed(side: Side) -> None:
    comparison = compare(side, side)
    for name in ("new_failures", "newly_flaky", "findings.high", "disappeared"):
        result = judge(parse_gates(f"{name}>0"), comparison)[0]
        assert not result.judged or not result.failed


@settings(deadline=None)
@given(sides, sides)
def test_the_order_of_reports_does_not_matter(before: Side, after: Side) -> None:
    turned = replace(after, sources=tuple(reversed(after.sources)))
    one, other = compare(before, after), compare(before, turned)
    assert (one.tests, one.coverage, one.load) == (other.tests, other.coverage, other.load) or "nan" in repr(one)
