"""What a killed run left goes before anything is decided: the plan is one of what stays."""

from mountfs.retention import Policy, Rest, decide, set_apart, with_baselines
from tests.retention.history import TODAY_NS, report


def test_without_a_run_that_was_killed_all_reports_are_judged() -> None:
    reports = [report("a"), report("b")]
    assert set_apart(reports, {}) == (reports, ())


def test_a_report_that_was_going_is_a_victim_with_that_reason_and_judged_no_more() -> None:
    staying, going = set_apart([report("a"), report("b")], {("a", "coverage-report"): Rest(2, 200)})
    assert [one.job for one in staying] == ["b"]
    assert [one.sentence for one in going] == ["coverage-report of a: began by a run that was killed"]


def test_what_came_after_the_kill_is_judged_like_any_other() -> None:
    staying, going = set_apart([report("a")], {("a", "coverage-report"): Rest(1, 150)})
    assert [(one.artifacts, one.stored_bytes) for one in staying] == [(1, 50)]
    assert [(one.report.artifacts, one.report.stored_bytes) for one in going] == [(1, 150)]


def test_a_report_that_is_going_is_nobodys_baseline_so_the_next_one_stays() -> None:
    older, newer = report("a", age=40), report("b", age=30)
    reports = with_baselines([older, newer])
    staying, _ = set_apart(reports, {newer.key: Rest(2, 200)})
    plan = decide(staying, Policy(default_ttl_days=1), now_ns=TODAY_NS)
    assert plan.victims == ()
