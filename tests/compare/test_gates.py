"""Gates: what they say, where they do not parse, and that none passes on nothing (F-112)."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mountfs.compare import (
    METRICS,
    Comparison,
    GateResult,
    Side,
    Source,
    compare,
    judge,
    metric_named,
    parse_gates,
    value_of_job,
)
from mountfs.errors import InvalidArgument
from mountfs.reports.model import (
    Benchmarks,
    Findings,
    Load,
    LoadTest,
    Report,
    Sample,
    Severity,
    TestRun,
    Unknown,
    Unreadable,
)
from tests.compare.building import compared, finding, findings, project, run, side


def judged(text: str, comparison: Comparison) -> GateResult:
    results = judge(parse_gates(text), comparison)
    assert len(results) == 1
    return results[0]


def fails(text: str, before: Report, after: Report) -> bool:
    return judged(text, compared(before, after)).failed


def test_three_gates_parse_and_keep_their_text() -> None:
    gates = parse_gates("new_failures>0, coverage.line < -0.5 ,findings.high>0")
    assert [(gate.text, gate.metric.name, gate.operator, gate.threshold) for gate in gates] == [
        ("new_failures>0", "new_failures", ">", 0),
        ("coverage.line < -0.5", "coverage.line", "<", -0.5),
        ("findings.high>0", "findings.high", ">", 0),
    ]


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("new_failures", 1),
        ("new_failures>", 1),
        ("new_failures>0,", 16),
        ("new_failures>0, nope", 17),
        ("new_failures>0, coverage.lin<1", 17),
        ("new_failures>many", 14),
        ("new_failures>1e400", 14),
        ("new_failures>nan", 14),
        ("new_failures>0 fixed>0", 1),
        ("coverage.line<5 KiB", 15),
        ("size>a MiB", 6),
        ("after.new_failures>0", 1),
        ("new_failures>5%", 14),
        ("a>0;b>0", 1),
    ],
)
def test_what_does_not_parse_is_refused_with_its_position(text: str, position: int) -> None:
    with pytest.raises(InvalidArgument, match=rf"at character {position} \(") as caught:
        parse_gates(text)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_gates_out_of_a_variable_that_is_not_set_are_refused(text: str) -> None:
    """A pipeline that asks for gates and judges by none would be green for ever."""
    with pytest.raises(InvalidArgument, match="no gate is named: a variable that is not set"):
        parse_gates(text)


def test_an_unknown_name_is_answered_with_the_nearest_and_all_there_are() -> None:
    with pytest.raises(InvalidArgument, match=r"did you mean new_failures\? known: new_failures, fixed.*bench\.NAME"):
        parse_gates("new_failure>0")


def test_too_many_or_too_long_gates_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="more than 64"):
        parse_gates(",".join(["fixed<0"] * 65))
    with pytest.raises(InvalidArgument, match="4096"):
        parse_gates("fixed<0," * 600)


@settings(deadline=None)
@given(st.text(alphabet='new_failures><=!,." %+-019', max_size=60))
def test_any_text_parses_or_is_refused(text: str) -> None:
    with contextlib.suppress(InvalidArgument):
        assert parse_gates(text)


def test_a_name_with_other_signs_stands_in_quotes() -> None:
    gate = parse_gates('bench."parse[1, 2] > x" > 10%')[0]
    assert (gate.metric.name, gate.threshold) == ("bench.parse[1, 2] > x", 10)


@pytest.mark.parametrize(
    ("text", "threshold", "relative"),
    [
        ("size>1MiB", 2**20, False),
        ("size.build-logs>10 %", 10, True),
        ("load.p95>50ms", 0.05, False),
        ("load.p95>20%", 20, True),
        ("coverage.line<-0.5%", -0.5, False),
        ("bench.parse>10", 10, False),
        ("after.bench.parse>1 s", 1, False),
        ("tests.seconds>2min", 120, False),
    ],
)
def test_numbers_have_units(text: str, threshold: float, relative: bool) -> None:
    gate = parse_gates(text)[0]
    assert (gate.threshold, gate.relative) == (threshold, relative)


@pytest.mark.parametrize(
    ("text", "failed"),
    [
        ("new_failures>0", True),
        ("new_failures>=1", True),
        ("new_failures>1", False),
        ("new_failures=1", True),
        ("new_failures!=1", False),
        ("fixed<1", True),
        ("still_failing>0", False),
        ("disappeared>0", True),
        ("tests.failed>0", True),
        ("tests.total<0", False),
        ("after.tests.failed>1", False),
        ("after.tests.total=2", True),
    ],
)
def test_gates_on_tests(text: str, failed: bool) -> None:
    assert fails(text, run(a="P", b="P"), run(a="F", c="P")) is failed


@pytest.mark.parametrize(
    ("text", "failed"),
    [
        ("coverage.line<-0.5", True),
        ("coverage.line<-1", False),
        ("coverage.line<=-1", True),
        ("after.coverage.line<80", True),
        ("after.coverage.line<79", False),
        ("coverage.covered<-5%", False),
        ("coverage.covered<-1%", True),
    ],
)
def test_gates_on_coverage_look_at_points(text: str, failed: bool) -> None:
    assert fails(text, project(a=(100, 80)), project(a=(100, 79))) is failed


def test_gates_on_findings_count_what_came_and_not_the_balance() -> None:
    before, after = findings(finding("B1"), finding("B2")), findings(finding("B3"))
    assert fails("findings.high>0", before, after)
    assert not fails("findings.low>0", before, after)
    assert not fails("findings.new>1", before, after)
    assert not fails("after.findings.high>1", before, after)


def test_gates_on_benchmarks_look_past_their_noise() -> None:
    before, after = (Benchmarks({"a": Sample(one), "b": Sample(1.0)}) for one in (1.0, 1.2))
    assert fails("bench.a>10%", before, after)
    assert not fails("bench.a>25", before, after)
    assert fails("bench.slower>0", before, after)
    same = Benchmarks({"a": Sample(1.03)})
    assert not fails("bench.a>1", before, same)


def test_a_slower_benchmark_under_another_name_passes_no_gate() -> None:
    before = Benchmarks({"a": Sample(1.0), "b": Sample(1.0)})
    after = Benchmarks({"a (new)": Sample(9.0), "b": Sample(1.0)})
    found = judged("bench.slower>0", compared(before, after))
    assert (found.failed, found.judged) == (True, False)
    assert found.reason == (
        "not judged, and so not passed: 1 benchmark is not there any more (a), which may be slower under another name;"
        " of the others 0 are"
    )
    more = Benchmarks({**after.samples, "new": Sample(1.0)})
    assert judged("bench.slower>0", compared(after, more)).judged


def test_gates_on_load_tests() -> None:
    before, after = (LoadTest({}, Load(failures=0, p95=p95, per_second=9.0)) for p95 in (0.1, 0.2))
    assert fails("load.p95>50ms", before, after)
    assert not fails("load.p95>100%", before, after)
    assert not fails("load.failures>0", before, after)


def test_a_gate_that_holds_says_why_it_failed() -> None:
    result = judged("coverage.line<-0.5", compared(project(a=(100, 80)), project(a=(100, 79))))
    assert result == GateResult(
        "coverage.line", "coverage.line<-0.5", -1.0, -0.5, failed=True, reason="coverage.line changed by -1"
    )


@pytest.mark.parametrize("name", [name for name in METRICS if not name.startswith("size")])
def test_no_gate_passes_where_neither_side_has_a_report(name: str) -> None:
    result = judged(f"{name}>1000", compare(Side("a"), Side("b")))
    assert (result.failed, result.judged, result.value) == (True, False, None)
    assert "not judged" in result.reason


@pytest.mark.parametrize("name", ["new_failures", "after.tests.failed", "fixed", "newly_skipped"])
def test_a_run_that_crashed_before_it_wrote_its_report_passes_no_gate(name: str) -> None:
    crashed = Side("b", (Source("junit.xml", Unreadable("junit", "it ends in the middle", "tests")),))
    for after in (Side("b"), crashed, Side("b", (*side(run(a="P")).sources, *crashed.sources))):
        result = judged(f"{name}>0", compare(side(run(a="P")), after))
        assert (result.failed, result.judged) == (True, False)


def test_a_report_that_is_no_longer_recognised_passes_no_gate() -> None:
    before = side(run(a="P"), run(b="P"))
    after = Side("b", (before.sources[0], Source("report-1", Unknown())))
    assert not judged("new_failures>0", compare(before, after)).judged


def test_any_other_file_of_the_type_blocks_no_gate_but_is_listed() -> None:
    after = Side("b", (*side(run(a="P")).sources, Source("tests/notes.txt", Unknown(), "test-results")))
    comparison = compare(side(run(a="P")), after)
    assert judged("new_failures>0", comparison).judged
    assert [lack.path for lack in comparison.lacks] == ["tests/notes.txt"]


def test_without_a_baseline_what_is_none_now_is_not_new_either() -> None:
    assert not judged("new_failures>0", compare(Side("a"), side(run(a="P")))).failed
    assert not judged("findings.high>0", compare(Side("a"), side(findings(finding("B1", Severity.LOW))))).failed


def test_without_a_baseline_what_there_is_may_be_old_or_new() -> None:
    assert not judged("new_failures>0", compare(Side("a"), side(run(a="F")))).judged
    assert not judged("findings.low>0", compare(Side("a"), side(findings(finding("B1", Severity.LOW))))).judged
    assert not judged("coverage.line<0", compare(Side("a"), side(project(a=(2, 1))))).judged


def test_a_scanner_that_did_not_run_passes_no_gate_and_a_new_one_only_those_it_has_nothing_for() -> None:
    trivy = Findings((), tools=("trivy",))
    without, with_it = side(trivy), side(trivy, findings(finding("B1", Severity.LOW)))
    assert not judged("findings.high>0", compare(with_it, without)).judged
    assert not judged("after.findings.high>0", compare(with_it, without)).judged
    assert not judged("findings.high>0", compare(without, with_it)).failed
    assert not judged("findings.low>0", compare(without, with_it)).judged


def test_findings_that_are_counted_but_not_named_are_judged_only_where_there_are_none() -> None:
    counted = Findings((), totals={"high": 2})
    before, after = side(counted, format_name="own"), side(counted, format_name="own")
    assert not judged("findings.high>0", compare(before, after)).judged
    assert not judged("findings.low>0", compare(before, after)).failed
    assert judged("after.findings.high>1", compare(before, after)).failed


def test_failures_without_names_are_not_judged() -> None:
    counted = TestRun((), totals={"tests": 5, "failed": 2})
    assert not judged("new_failures>0", compared(run(a="P"), counted)).judged
    assert judged("after.tests.failed>1", compared(run(a="P"), counted)).failed


def test_every_metric_is_found_by_its_name() -> None:
    assert all(metric_named(name).name == name for name in METRICS)
    assert metric_named("bench.x.y").name == "bench.x.y"


def test_the_number_of_a_job_is_that_of_its_reports_together() -> None:
    shards = [
        {"tests.failed": 1, "coverage.line": 50.0, "coverage.lines": 10, "coverage.covered": 5, "load.p95": 0.1},
        {"tests.failed": 2, "coverage.line": 90.0, "coverage.lines": 30, "coverage.covered": 27, "load.p95": 0.3},
    ]
    assert value_of_job("tests.failed", shards) == 3
    assert value_of_job("coverage.line", shards) == 80.0
    assert value_of_job("load.p95", shards) == 0.3
    assert value_of_job("findings.high", shards) is None


def test_rates_without_counts_have_no_sum() -> None:
    assert value_of_job("coverage.line", [{"coverage.line": 50.0}]) == 50.0
    assert value_of_job("coverage.line", [{"coverage.line": 50.0}, {"coverage.line": 90.0}]) is None
