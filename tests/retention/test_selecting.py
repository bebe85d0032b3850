"""Cleaning by hand takes what was asked for, and nothing that is protected (FEATURES F-121, F-124)."""

from dataclasses import replace

import pytest

from mountfs.errors import InvalidArgument
from mountfs.retention import DAY_NS, Baseline, Dated, Policy, Report, Selection, select
from tests.retention.history import TODAY_NS, report

OLD = Selection(older_than_ns=90 * DAY_NS)
MERGED = Selection(merged=frozenset({"feature"}))


def sentences(selection: Selection, *reports: Report, policy: Policy = Policy()) -> list[str]:  # noqa: B008
    return select(reports, selection, policy, now_ns=TODAY_NS).sentences


def reason(selection: Selection, one: Report, policy: Policy = Policy()) -> str:  # noqa: B008
    (kept,) = select([one], selection, policy, now_ns=TODAY_NS).kept
    return str(kept.reasons[0])


def test_older_than_counts_from_the_last_publication() -> None:
    assert sentences(OLD, report("a", age=90), report("b", age=89.9)) == [
        "coverage-report of a: 90 days since it was published, asked for (--older-than 90d)"
    ]
    assert reason(OLD, report(age=89)) == "not selected by --older-than 90d"


@pytest.mark.parametrize(("span_ns", "text"), [(36 * DAY_NS // 24, "36h"), (90 * 10**9, "90s"), (0, "0s")])
def test_a_span_is_told_as_one_would_write_it(span_ns: int, text: str) -> None:
    assert f"(--older-than {text})" in sentences(Selection(older_than_ns=span_ns), report(age=9))[0]


@pytest.mark.parametrize(
    ("selection", "taken"),
    [
        (Selection(types=frozenset({"build-logs"})), ["build-logs of b"]),
        (Selection(tags=(("env", "prod"),)), ["coverage-report of c"]),
        (Selection(tags=(("nightly", ""),)), ["coverage-report of d"]),
        (Selection(branches=frozenset({"main"})), ["coverage-report of e"]),
        (Selection(branches=frozenset({"feature"}), tags=(("env", "prod"),)), ["coverage-report of c"]),
        (Selection(merged=frozenset({"main"})), ["coverage-report of e"]),
    ],
)
def test_a_report_goes_that_meets_all_that_was_asked_for(selection: Selection, taken: list[str]) -> None:
    reports = [
        report("a"),
        report("b", "build-logs"),
        report("c", env="prod"),
        report("d", nightly=""),
        report("e", branch="main"),
        replace(report("f"), tags={}),
    ]
    assert [line.partition(":")[0] for line in sentences(selection, *reports)] == taken


def test_the_sentence_names_every_flag() -> None:
    selection = Selection(
        DAY_NS, frozenset({"coverage-report"}), (("env", "prod"), ("nightly", "")), merged=MERGED.merged
    )
    assert sentences(selection, report(age=3, env="prod", nightly="")) == [
        "coverage-report of build-7: 3 days since it was published, asked for (--older-than 1d --type coverage-report"
        " --tag env=prod --tag nightly --merged: feature is)"
    ]


def test_nothing_that_is_protected_goes_by_hand() -> None:
    old = report(age=99)
    held = [
        replace(old, pinned=True),
        replace(old, job="b", baseline=Baseline("feature")),
        replace(old, job="c", dated=(Dated("a.xml", TODAY_NS + 1),)),
    ]
    assert sentences(OLD, *held) == []
    assert reason(OLD, old, Policy(keep_latest_n=1)).startswith("number 1 of the newest 1")


def test_a_policy_that_is_switched_off_does_not_keep_one_from_cleaning_by_hand() -> None:
    assert sentences(OLD, report(age=99), policy=Policy(enabled=False))


def test_asking_for_nothing_selects_nothing_and_says_so() -> None:
    with pytest.raises(InvalidArgument, match="allowed: at least one of --older-than"):
        select([report()], Selection(), Policy(), now_ns=TODAY_NS)


# A merged branch is over


def test_a_merged_branch_has_no_baseline_of_its_own_any_more() -> None:
    newest = replace(report(), baseline=Baseline("feature"))
    assert sentences(MERGED, newest)
    assert not sentences(Selection(branches=frozenset({"feature"})), newest)


def test_a_baseline_that_somebody_chose_survives_its_branch() -> None:
    assert not sentences(MERGED, replace(report(), baseline=Baseline("feature", chosen=True)))


def test_the_newest_of_a_merged_branch_stay_only_where_they_are_among_the_newest_of_all() -> None:
    by_branch = Policy(keep_latest_n=1, group_by=("type", "branch"))
    assert sentences(MERGED, report(), policy=by_branch)
    assert not sentences(MERGED, report(), policy=Policy(keep_latest_n=1))


def test_where_no_branch_is_merged_nothing_goes() -> None:
    assert not sentences(Selection(merged=frozenset()), report(), replace(report("b"), tags={}))
