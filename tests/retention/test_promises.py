"""Over random histories and policies: what never goes, that nothing goes in halves, and that each loss has a reason."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from mountfs.retention import (
    DAY_NS,
    DatePassed,
    Plan,
    Policy,
    Report,
    Selection,
    TooOld,
    brakes,
    decide,
    expiring,
    next_expiry,
    select,
    with_baselines,
)
from mountfs.retention.brakes import Moment
from tests.retention.history import TODAY_NS, Artifact, Store, days_ago, reports_of, without

TYPES = ("test-results", "coverage-report", "build-logs")
BRANCHES = ("", "main", "feature")
Chosen = frozenset[tuple[str, str]]

ages = st.integers(-2, 40) | st.floats(-2, 40)
limits = st.sampled_from([0, 1, 7, 14, 30])


@st.composite
def tags_of_jobs(draw: st.DrawFn) -> tuple[tuple[str, str], ...]:
    said = {
        "branch": draw(st.sampled_from(BRANCHES)),
        "status": draw(st.sampled_from(["", "success", "failed"])),
        "pr": draw(st.sampled_from(["", "", "12"])),
    }
    return tuple((key, value) for key, value in said.items() if value)


@st.composite
def stores(draw: st.DrawFn) -> Store:
    """Up to eight jobs, with up to three artifacts of each type."""
    found: set[Artifact] = set()
    for number in range(draw(st.integers(0, 8))):
        tags = draw(tags_of_jobs())
        began = draw(ages)
        for slug in draw(st.sets(st.sampled_from(TYPES))):
            for part in range(draw(st.integers(1, 3))):
                dated = draw(st.none() | st.none() | ages)
                found.add(
                    Artifact(
                        f"job-{number}", slug, f"{slug}/{part}", days_ago(draw(ages)), days_ago(began), tags,
                        pinned=draw(st.integers(0, 9)) == 0, expires_at_ns=None if dated is None else days_ago(dated),
                    )
                )  # fmt: skip
    return frozenset(found)


policies = st.builds(
    Policy,
    enabled=st.sampled_from([True, True, True, False]),
    default_ttl_days=limits,
    types=st.dictionaries(st.sampled_from(TYPES), limits, max_size=3),
    keep_latest_n=st.integers(0, 4),
    group_by=st.sampled_from([("type",), ("type", "branch"), ("branch",), ()]),
)
chosen_keys = st.sets(st.tuples(st.sampled_from([f"job-{n}" for n in range(8)]), st.sampled_from(TYPES)), max_size=2)
later = st.integers(0, 60 * DAY_NS)

IN_THE_GATE = 20
# Stores are large values, and a hundred of them take up to five seconds: the gate looks at few, scripts/soak at many.
PROFILE = settings.get_profile(settings.get_current_profile_name())
sampled = settings(max_examples=IN_THE_GATE if PROFILE.derandomize else PROFILE.max_examples)


def lost(plan: Plan) -> set[tuple[str, str]]:
    return {victim.report.key for victim in plan.victims}


def newest_jobs(reports: list[Report], policy: Policy, of: Report) -> list[str]:
    """By counting, beside the code: the jobs of this report's group that are among its newest."""

    def group(one: Report) -> list[str]:
        return [one.type if key == "type" else one.tags.get(key, "") for key in policy.group_by]

    newest: dict[str, int] = {}
    for other in reports:
        mine = [one for one in reports if one.job == other.job and group(one) == group(of)]
        if mine:
            newest[other.job] = min(one.began_ns for one in mine)
    return sorted(newest, key=lambda job: (newest[job], job), reverse=True)[: policy.keep_latest_n]


@sampled
@given(stores(), policies, chosen_keys)
def test_what_is_pinned_is_never_dropped(store: Store, policy: Policy, chosen: Chosen) -> None:
    left = without(store, decide(reports_of(store, chosen), policy, now_ns=TODAY_NS))
    assert {artifact for artifact in store if artifact.pinned} <= left


@sampled
@given(stores(), policies, chosen_keys)
def test_a_baseline_in_use_is_never_dropped(store: Store, policy: Policy, chosen: Chosen) -> None:
    reports = reports_of(store, chosen)
    in_use = {report.key for report in reports if report.baseline is not None}
    left = without(store, decide(reports, policy, now_ns=TODAY_NS))
    assert {artifact for artifact in store if (artifact.job, artifact.type) in in_use} <= left


@sampled
@given(stores(), policies, chosen_keys)
def test_the_newest_jobs_of_a_group_go_by_no_rule_of_age(store: Store, policy: Policy, chosen: Chosen) -> None:
    reports = reports_of(store, chosen)
    plan = decide(reports, policy, now_ns=TODAY_NS)
    assert not [victim for victim in plan.victims if victim.report.job in newest_jobs(reports, policy, victim.report)]


@sampled
@given(stores(), policies, chosen_keys)
def test_no_report_goes_in_halves_but_for_artifacts_with_a_date_of_their_own(
    store: Store, policy: Policy, chosen: Chosen
) -> None:
    left = without(store, decide(reports_of(store, chosen), policy, now_ns=TODAY_NS))
    for key in {(artifact.job, artifact.type) for artifact in store - left}:
        whole = {artifact for artifact in store if (artifact.job, artifact.type) == key}
        torn = whole & left
        assert not torn or all(artifact.expires_at_ns is not None for artifact in whole - left)


@sampled
@given(stores(), policies, chosen_keys)
def test_no_artifact_goes_before_its_own_date(store: Store, policy: Policy, chosen: Chosen) -> None:
    left = without(store, decide(reports_of(store, chosen), policy, now_ns=TODAY_NS))
    assert not [artifact for artifact in store - left if (artifact.expires_at_ns or 0) > TODAY_NS]


@sampled
@given(stores(), policies, chosen_keys)
def test_whatever_goes_had_a_reason_that_holds(store: Store, policy: Policy, chosen: Chosen) -> None:
    plan = decide(reports_of(store, chosen), policy, now_ns=TODAY_NS)
    for victim in plan.victims:
        assert isinstance(victim.reason, TooOld)
        days = policy.types.get(victim.report.type, policy.default_ttl_days)
        assert days == victim.reason.limit_days > 0
        assert TODAY_NS - victim.report.published_ns >= days * DAY_NS
        assert victim.sentence.startswith(f"{victim.report.type} of {victim.report.job}: ")
    for alone in plan.dated:
        assert alone.reason == DatePassed(alone.dated.expires_at_ns)
        assert alone.dated.expires_at_ns <= TODAY_NS
    assert plan.is_empty or policy.enabled


@sampled
@given(stores(), policies, chosen_keys)
def test_each_report_is_judged_once_and_what_stays_has_a_reason(store: Store, policy: Policy, chosen: Chosen) -> None:
    reports = reports_of(store, chosen)
    plan = decide(reports, policy, now_ns=TODAY_NS)
    judged = [victim.report for victim in plan.victims] + [kept.report for kept in plan.kept]
    assert sorted(report.key for report in judged) == sorted(report.key for report in reports)
    assert all(kept.reasons and kept.sentence for kept in plan.kept)
    assert {victim.report.key for victim in plan.dated} <= {kept.report.key for kept in plan.kept}


@sampled
@given(stores(), policies, chosen_keys)
def test_a_second_run_drops_nothing(store: Store, policy: Policy, chosen: Chosen) -> None:
    left = without(store, decide(reports_of(store, chosen), policy, now_ns=TODAY_NS))
    assert decide(reports_of(left, chosen), policy, now_ns=TODAY_NS).is_empty


@sampled
@given(stores(), policies, chosen_keys, later)
def test_what_goes_now_goes_later_too(store: Store, policy: Policy, chosen: Chosen, later_ns: int) -> None:
    reports = reports_of(store, chosen)
    now, then = (decide(reports, policy, now_ns=TODAY_NS + passed) for passed in (0, later_ns))
    assert lost(now) <= lost(then)
    assert without(store, then) <= without(store, now)


@sampled
@given(stores(), policies, chosen_keys, st.randoms(use_true_random=False))
def test_the_order_of_the_reports_does_not_matter(store: Store, policy: Policy, chosen: Chosen, random: Random) -> None:
    reports = reports_of(store, chosen)
    shuffled = random.sample(reports, len(reports))
    assert decide(shuffled, policy, now_ns=TODAY_NS) == decide(reports, policy, now_ns=TODAY_NS)
    assert expiring(shuffled, policy, now_ns=TODAY_NS) == expiring(reports, policy, now_ns=TODAY_NS)


@sampled
@given(stores(), policies, chosen_keys)
def test_baselines_do_not_hang_on_the_order_of_the_reports(store: Store, policy: Policy, chosen: Chosen) -> None:
    reports = reports_of(store, chosen)
    bare = reports_of(store)
    assert {report.key: report.baseline for report in with_baselines(reversed(reports))} == {
        report.key: report.baseline for report in reports
    }
    assert [report.key for report in with_baselines(bare) if report.baseline] == [
        report.key for report in bare if report.baseline
    ]


@sampled
@given(stores(), policies, chosen_keys)
def test_what_is_said_to_expire_goes_at_that_moment_and_not_before(
    store: Store, policy: Policy, chosen: Chosen
) -> None:
    reports = reports_of(store, chosen)
    for one in expiring(reports, policy, now_ns=TODAY_NS, within_ns=50 * DAY_NS):
        before, then = (decide(reports, policy, now_ns=one.at_ns - early) for early in (1, 0))
        if one.dated is None:
            assert one.report.key in lost(then) - lost(before)
        else:
            what = (one.report.key, one.dated)
            assert what in [(victim.report.key, victim.dated) for victim in then.dated]
            assert what not in [(victim.report.key, victim.dated) for victim in before.dated]


@sampled
@given(stores(), policies, chosen_keys, later)
def test_what_goes_was_said_to_expire(store: Store, policy: Policy, chosen: Chosen, later_ns: int) -> None:
    reports = reports_of(store, chosen)
    plan = decide(reports, policy, now_ns=TODAY_NS + later_ns)
    said = expiring(reports, policy, now_ns=TODAY_NS, within_ns=later_ns)
    assert lost(plan) == {one.report.key for one in said if one.dated is None}
    first_ns = next_expiry(reports, policy)
    assert plan.is_empty == (first_ns is None or first_ns > TODAY_NS + later_ns)


@sampled
@given(stores(), policies, chosen_keys)
def test_a_run_beyond_a_fifth_of_the_jobs_stops_unless_few_lose_anything(
    store: Store, policy: Policy, chosen: Chosen
) -> None:
    plan = decide(reports_of(store, chosen), policy, now_ns=TODAY_NS)
    left = without(store, plan)
    losing = {artifact.job for artifact in store - left}
    stops = bool(brakes(plan, before=None, now=Moment(TODAY_NS)))
    assert stops == (len(losing) > 5 and len(losing) > len({artifact.job for artifact in store}) / 5)


@sampled
@given(stores(), policies, chosen_keys, st.none() | st.integers(0, 40 * DAY_NS), st.sets(st.sampled_from(TYPES)))
def test_by_hand_nothing_goes_that_the_policy_protects(
    store: Store, policy: Policy, chosen: Chosen, older_than_ns: int | None, types: set[str]
) -> None:
    reports = reports_of(store, chosen)
    selection = Selection(older_than_ns, frozenset(types), branches=frozenset({"main", "feature"}))
    plan = select(reports, selection, policy, now_ns=TODAY_NS)
    for victim in plan.victims:
        one = victim.report
        assert not one.pinned
        assert one.baseline is None
        assert one.job not in newest_jobs(reports, policy, one)
        assert all(dated.expires_at_ns <= TODAY_NS for dated in one.dated)
        assert victim.sentence
    assert not plan.dated
