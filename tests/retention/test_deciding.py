"""What expires by the policy, and the sentence for each (FEATURES F-115 to F-121, F-125, F-126)."""

from dataclasses import replace

import pytest

from mountfs.retention import (
    DAY_NS,
    Baseline,
    Dated,
    Policy,
    Report,
    decide,
    expiring,
    is_candidate,
    next_expiry,
    with_baselines,
)
from tests.retention.history import TODAY_NS, days_ago, report

AFTER_90 = Policy(types={"coverage-report": 90})


def going(policy: Policy, *reports: Report) -> list[str]:
    return decide(reports, policy, now_ns=TODAY_NS).sentences


def staying(policy: Policy, *reports: Report) -> list[str]:
    return [kept.sentence for kept in decide(reports, policy, now_ns=TODAY_NS).kept]


def test_without_any_number_nothing_ever_expires() -> None:
    assert staying(Policy(), report(age=36_500)) == [
        "coverage-report of build-7 stays: its type never expires (retention.default_ttl_days)"
    ]


def test_a_type_has_days_of_its_own_and_the_sentence_says_them() -> None:
    assert going(AFTER_90, report(age=93)) == [
        "coverage-report of build-7: 93 days since it was published, kept for 90 (retention.types)"
    ]
    assert staying(AFTER_90, report(age=89.9)) == [
        "coverage-report of build-7 stays: 89 days since it was published, kept for 90 (retention.types)"
    ]


def test_a_type_without_days_of_its_own_has_those_of_all() -> None:
    policy = Policy(default_ttl_days=1, types={"coverage-report": 90})
    assert going(policy, report(age=93), report(slug="build-logs", age=1)) == [
        "build-logs of build-7: 1 day since it was published, kept for 1 (retention.default_ttl_days)",
        "coverage-report of build-7: 93 days since it was published, kept for 90 (retention.types)",
    ]


def test_zero_days_for_a_type_keep_it_for_ever_whatever_holds_for_all() -> None:
    policy = Policy(default_ttl_days=7, types={"coverage-report": 0})
    assert staying(policy, report(age=900)) == [
        "coverage-report of build-7 stays: its type never expires (retention.types)"
    ]


def test_a_report_goes_when_its_days_are_full() -> None:
    full = report(age=90)
    assert going(AFTER_90, full)
    assert not going(AFTER_90, replace(full, published_ns=full.published_ns + 1))


def test_what_was_published_by_a_clock_ahead_of_ours_is_new() -> None:
    assert "0 days since" in staying(AFTER_90, report(age=-3))[0]


def test_the_newest_jobs_of_each_type_stay_at_any_age() -> None:
    policy = Policy(default_ttl_days=30, keep_latest_n=2)
    reports = [report(f"build-{n}", age=100 - n) for n in range(4)] + [report("build-0", "build-logs", age=99)]
    assert [line.partition(":")[0] for line in going(policy, *reports)] == [
        "coverage-report of build-0",
        "coverage-report of build-1",
    ]
    assert staying(policy, *reports)[-1] == (
        "coverage-report of build-3 stays: number 1 of the newest 2 of type coverage-report (retention.keep_latest_n)"
    )


def test_with_branch_among_the_groups_each_branch_keeps_its_newest() -> None:
    policy = Policy(default_ttl_days=30, keep_latest_n=1, group_by=("type", "branch"))
    reports = [report("a", age=50), report("b", age=60, branch="main"), report("c", age=70), report("d", age=80)]
    reports[3] = replace(reports[3], tags={})
    assert [line.partition(":")[0] for line in going(policy, *reports)] == ["coverage-report of c"]
    assert "of type coverage-report, branch (none) (" in staying(policy, *reports)[2]


def test_the_number_counts_jobs_not_reports() -> None:
    policy = Policy(default_ttl_days=30, keep_latest_n=2, group_by=())
    reports = [report(job, slug, age=40) for job in "abc" for slug in ("build-logs", "test-results")]
    assert {line.split()[2] for line in going(policy, *reports)} == {"a:"}
    assert "number 1 of the newest 2 of all jobs" in staying(policy, *reports)[-1]


def test_what_goes_by_dates_alone_makes_no_job_newer() -> None:
    policy = Policy(default_ttl_days=30, keep_latest_n=1, group_by=())
    passing = replace(report("old", "diff", age=1, began=50), artifacts=1, dated=(Dated("a.diff", TODAY_NS),))
    reports = [report("old", age=50), passing, report("new", age=40)]
    assert [line.partition(":")[0] for line in going(policy, *reports)] == ["coverage-report of old", "old/a.diff"]


def test_a_late_file_makes_no_job_newer_neither_for_the_number_nor_as_a_baseline() -> None:
    policy = Policy(default_ttl_days=30, keep_latest_n=1)
    old, new = (report(job, age=age, began=began, branch="main") for job, age, began in (("a", 40, 60), ("b", 50, 55)))
    assert [line.partition(":")[0] for line in going(policy, old, new)] == ["coverage-report of a"]
    assert [one.job for one in with_baselines([old, new]) if one.baseline] == ["b"]


def test_what_is_pinned_stays_with_every_other_reason_told() -> None:
    policy = Policy(default_ttl_days=30, keep_latest_n=1)
    pinned = replace(report(age=90), pinned=True, baseline=Baseline("main"))
    (kept,) = decide([pinned], policy, now_ns=TODAY_NS).kept
    assert [reason.rule for reason in kept.reasons] == ["pinned", "baseline", "retention.keep_latest_n"]
    assert kept.sentence == "coverage-report of build-7 stays: it is pinned, or something in it is"


def test_a_baseline_in_use_stays() -> None:
    chosen, newest = Baseline("main", chosen=True), Baseline("main")
    sentences = [staying(AFTER_90, replace(report(age=99), baseline=one))[0] for one in (chosen, newest)]
    assert sentences == [
        "coverage-report of build-7 stays: it was chosen as the baseline of main",
        "coverage-report of build-7 stays: it is the baseline of main: the newest successful one there",
    ]


@pytest.mark.parametrize(
    ("tags", "is_one"),
    [
        ({"branch": "main"}, True),
        ({"branch": "main", "status": "success"}, True),
        ({"branch": "main", "status": "failed"}, False),
        ({"branch": "main", "pr": "12"}, False),
        ({"commit": "abc"}, False),
    ],
)
def test_the_baseline_of_a_branch_is_a_successful_job_that_is_no_pull_request(
    tags: dict[str, str], *, is_one: bool
) -> None:
    assert is_candidate(replace(report(), tags=tags)) is is_one


def test_the_newest_of_each_branch_and_type_is_its_baseline() -> None:
    reports = [report("old", age=3), report("new", age=2), report("failed", age=1, status="failed")]
    marked = with_baselines([*reports, report("other", age=9, branch="main")])
    assert [one.job for one in marked if one.baseline] == ["new", "other"]


def test_who_chose_a_baseline_keeps_it_beside_the_newest() -> None:
    chosen = replace(report("old", age=3), baseline=Baseline("feature", chosen=True))
    assert [one.baseline for one in with_baselines([chosen, report("new", age=2)])] == [
        Baseline("feature", chosen=True),
        Baseline("feature"),
    ]


def test_switched_off_nothing_goes_not_even_what_has_a_date() -> None:
    policy = Policy(enabled=False, default_ttl_days=1)
    dated = replace(report(age=90), dated=(Dated("a.xml", days_ago(1)),))
    assert decide([dated], policy, now_ns=TODAY_NS).is_empty
    assert staying(policy, dated)[0].endswith("stays: nothing expires here (retention.enabled: false)")
    assert next_expiry([dated], policy) is None


# A date of its own


def test_an_artifact_goes_alone_at_its_own_date_also_from_among_the_newest() -> None:
    policy = Policy(keep_latest_n=5)
    dated = replace(report(age=2), dated=(Dated("cov/a.xml", TODAY_NS, 7), Dated("cov/b.xml", TODAY_NS + 1)))
    plan = decide([dated], policy, now_ns=TODAY_NS)
    assert plan.sentences == ["build-7/cov/a.xml: its own date was 2024-10-04 00:00 UTC (expires_at)"]
    assert (plan.artifacts, plan.stored_bytes, set(plan.jobs)) == (1, 7, {"build-7"})


def test_a_date_takes_nothing_from_what_is_pinned_or_a_baseline() -> None:
    dated = replace(report(age=2), dated=(Dated("a.xml", days_ago(1)),))
    held = [replace(dated, pinned=True), replace(dated, job="other", baseline=Baseline("main"))]
    assert decide(held, Policy(), now_ns=TODAY_NS).is_empty


def test_a_report_waits_for_the_last_date_in_it_and_then_goes_whole() -> None:
    dated = replace(report(age=93), dated=(Dated("a.xml", TODAY_NS + DAY_NS),))
    assert "an artifact in it is to stay until 2024-10-05 00:00 UTC (expires_at)" in staying(AFTER_90, dated)[0]
    plan = decide([dated], AFTER_90, now_ns=TODAY_NS + DAY_NS)
    assert [victim.report for victim in plan.victims] == [dated]
    assert not plan.dated


def test_a_plan_counts_what_it_frees() -> None:
    plan = decide([report("a", age=99), report("b", age=99), report("c")], AFTER_90, now_ns=TODAY_NS)
    assert (plan.artifacts, plan.stored_bytes, set(plan.jobs), len(plan.all_jobs)) == (4, 400, {"a", "b"}, 3)


def test_a_report_that_is_named_twice_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="coverage-report of build-7 is named twice"):
        decide([report(), report(age=3)], AFTER_90, now_ns=TODAY_NS)


# What is going to expire


def test_what_goes_within_a_week_is_told_with_its_moment() -> None:
    reports = [report("soon", age=84), report("later", age=80), report("due", age=91)]
    assert [one.sentence for one in expiring(reports, AFTER_90, now_ns=TODAY_NS)] == [
        "coverage-report of due: goes at 2024-10-03 00:00 UTC, 90 days since it was published, kept for 90"
        " (retention.types)",
        "coverage-report of soon: goes at 2024-10-10 00:00 UTC, 90 days since it was published, kept for 90"
        " (retention.types)",
    ]


def test_a_single_artifact_is_told_with_its_own_moment() -> None:
    dated = replace(report(age=1), dated=(Dated("a.xml", TODAY_NS + DAY_NS),))
    assert [one.sentence for one in expiring([dated], AFTER_90, now_ns=TODAY_NS)] == [
        "build-7/a.xml: goes at 2024-10-05 00:00 UTC, its own date was 2024-10-05 00:00 UTC (expires_at)"
    ]


def test_the_next_expiry_is_the_earliest_of_all() -> None:
    reports = [report("a", age=80), report("b", age=85), replace(report("c", age=90), pinned=True)]
    assert next_expiry(reports, AFTER_90) == TODAY_NS + 5 * DAY_NS
    assert next_expiry(reports[2:], AFTER_90) is None
