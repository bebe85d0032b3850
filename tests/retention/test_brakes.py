"""A run stops before it drops too much, or when the time cannot be believed."""

from dataclasses import replace

import pytest

from mountfs.retention import DAY_NS, Dated, Moment, Plan, Policy, brakes, decide
from mountfs.retention.brakes import runs_into_brake
from tests.retention.history import TODAY_NS, report

HOUR_NS = DAY_NS // 24
NOW = Moment(TODAY_NS, 100 * DAY_NS, "boot", TODAY_NS)
BEFORE = Moment(TODAY_NS - DAY_NS, 99 * DAY_NS, "boot", TODAY_NS - DAY_NS)


def dropping(jobs: int, *, of: int) -> Plan:
    reports = [report(f"job-{number}", age=9 if number < jobs else 0) for number in range(of)]
    return decide(reports, Policy(default_ttl_days=7), now_ns=TODAY_NS)


def sentences(plan: Plan, *, before: Moment | None = None, now: Moment = NOW) -> list[str]:
    return [brake.sentence for brake in brakes(plan, before=before, now=now)]


@pytest.mark.parametrize(("jobs", "of", "stops"), [(20, 100, False), (21, 100, True), (5, 5, False), (6, 6, True)])
def test_a_run_that_would_drop_more_than_a_fifth_of_the_jobs_stops(jobs: int, of: int, *, stops: bool) -> None:
    assert bool(sentences(dropping(jobs, of=of))) is stops


def test_it_says_how_many_and_what_to_do() -> None:
    assert sentences(dropping(30, of=100)) == [
        "this would take something from 30 of 100 jobs, more than a fifth of them; look at `mountfs cleanup --dry-run`,"
        " and if that is meant: `mountfs cleanup --yes`"
    ]


def test_a_job_counts_that_loses_one_artifact_by_its_date() -> None:
    reports = [replace(report(f"job-{number}"), dated=(Dated("a", 1),)) for number in range(6)]
    assert len(decide(reports, Policy(), now_ns=TODAY_NS).jobs) == 6
    assert sentences(decide(reports, Policy(), now_ns=TODAY_NS))


def test_a_run_that_drops_nothing_is_never_stopped() -> None:
    assert sentences(dropping(0, of=3), before=replace(BEFORE, wall_ns=0)) == []


def test_clocks_that_agree_are_believed_however_long_the_machine_was_off() -> None:
    long_ago = Moment(TODAY_NS - 400 * DAY_NS, 5, "another boot", TODAY_NS - 400 * DAY_NS)
    assert sentences(dropping(1, of=9), before=long_ago) == []
    assert sentences(dropping(1, of=9), before=BEFORE) == []


@pytest.mark.parametrize(
    ("now", "sentence"),
    [
        (
            replace(NOW, wall_ns=TODAY_NS + 3 * DAY_NS),
            "this machine's clock went 3 days ahead against the time it was on",
        ),
        (replace(NOW, server_ns=TODAY_NS + 2 * DAY_NS), "the server's clock went 2 days ahead against this machine's"),
        (replace(NOW, wall_ns=TODAY_NS - 4 * DAY_NS), "this machine's clock went 3 days back against itself"),
        (replace(NOW, server_ns=TODAY_NS - 9 * DAY_NS), "the server's clock went 8 days back against itself"),
    ],
)
def test_a_clock_that_jumped_by_more_than_a_day_stops_the_run(now: Moment, sentence: str) -> None:
    found = sentences(dropping(1, of=9), before=BEFORE, now=now)
    assert any(line.startswith(f"{sentence} since the last cleanup; set the clock right") for line in found)


def test_a_clock_that_was_set_by_hours_stops_nothing() -> None:
    assert sentences(dropping(1, of=9), before=BEFORE, now=replace(NOW, wall_ns=TODAY_NS + 23 * HOUR_NS)) == []


def test_the_time_a_machine_was_on_means_nothing_after_a_restart() -> None:
    assert sentences(dropping(1, of=9), before=BEFORE, now=replace(NOW, monotonic_ns=7, boot="next")) == []


def test_the_time_that_counts_is_the_servers() -> None:
    assert (Moment(5, server_ns=9).now_ns, Moment(5).now_ns) == (9, 5)


@pytest.mark.parametrize(("longest_days", "gap_days", "runs_into"), [(3, 1, True), (4, 1, False), (0, 31, False)])
def test_a_schedule_too_rare_for_its_days_is_recognised(longest_days: int, gap_days: int, *, runs_into: bool) -> None:
    assert runs_into_brake(longest_days=longest_days, gap_seconds=gap_days * 86_400) is runs_into
