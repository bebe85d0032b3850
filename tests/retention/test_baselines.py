"""What comparisons take as the baseline is what retention keeps: the same candidates, the same choice."""

from hypothesis import given

from mountfs.compare import Candidate, Wanted, choose_baseline
from mountfs.retention import Policy, Report, decide
from tests.retention.history import TODAY_NS, Store, reports_of, without
from tests.retention.test_promises import BRANCHES, TYPES, policies, sampled, stores


def candidates(reports: list[Report]) -> list[Candidate]:
    """The jobs of these reports, as comparisons see them."""
    found: dict[str, list[Report]] = {}
    for report in reports:
        found.setdefault(report.job, []).append(report)
    return [
        Candidate(
            job.encode(),
            {key: value.encode() for key, value in held[0].tags.items()},
            held[0].began_ns,
            frozenset(report.type for report in held),
        )
        for job, held in found.items()
    ]


@sampled
@given(stores(), policies)
def test_what_a_comparison_takes_is_never_dropped(store: Store, policy: Policy) -> None:
    reports = reports_of(store)
    left = without(store, decide(reports, policy, now_ns=TODAY_NS))
    for branch in filter(None, BRANCHES):
        for slug in TYPES:
            wanted = Wanted("branch", branch.encode(), type=slug)
            chosen = choose_baseline(candidates(reports), wanted).chosen
            if chosen is not None:
                key = (chosen.job.decode(), slug)
                assert {one for one in store if (one.job, one.type) == key} <= left
            again = choose_baseline(candidates(reports_of(left)), wanted).chosen
            assert (chosen and chosen.job) == (again and again.job)


@sampled
@given(stores())
def test_each_baseline_that_retention_marks_is_one_that_a_comparison_takes(store: Store) -> None:
    reports = reports_of(store)
    for report in reports:
        wanted = Wanted("branch", report.branch.encode(), type=report.type)
        chosen = choose_baseline(candidates(reports), wanted).chosen if report.branch else None
        is_taken = chosen is not None and chosen.job == report.job.encode()
        assert (report.baseline is not None) == is_taken
