"""A policy that contradicts itself is refused with its key and a sentence; a doubtful one is pointed out."""

import pytest

from mountfs.retention import Policy, contradictions, doubts, expires_before_it_is_sent

DAILY = "0 2 * * *"


def doubts_of(policy: Policy, schedule: str = DAILY, trash_days: int = 7) -> list[str]:
    return list(doubts(policy, schedule, trash_days=trash_days))


@pytest.mark.parametrize(
    ("group_by", "key", "words"),
    [
        (("type", "branch", "type"), "group_by", "names type 2 times"),
        (("job",), "group_by", "N counts jobs, so that in groups of one job none ever goes"),
        (("type", "path"), "group_by", "has no path of its own"),
    ],
)
def test_groups_that_can_never_lose_anything_are_refused(group_by: tuple[str, ...], key: str, words: str) -> None:
    ((found, sentence),) = contradictions(Policy(group_by=group_by))
    assert (found, words in sentence, "; allowed: " in sentence) == (key, True, True)


@pytest.mark.parametrize("group_by", [("type",), ("type", "branch"), (), ("spec", "task")])
def test_any_other_groups_are_fine(group_by: tuple[str, ...]) -> None:
    assert not [*contradictions(Policy(group_by=group_by))]


def test_days_that_are_over_before_a_job_is_sent_are_refused() -> None:
    policy = Policy(default_ttl_days=2, types={"build-logs": 1, "diff": 0})
    assert list(expires_before_it_is_sent(policy, settle_max_seconds=86_400)) == [
        ("types.build-logs", "1 day are over before a job is sent to the bucket (sync.settle_max_seconds)")
    ]
    assert not [*expires_before_it_is_sent(policy, settle_max_seconds=60)]


def test_settings_that_say_nothing_raise_no_doubt() -> None:
    assert doubts_of(Policy()) == []
    assert doubts_of(Policy(default_ttl_days=30, keep_latest_n=10)) == []


def test_keeping_the_newest_where_nothing_expires_is_pointed_out() -> None:
    assert doubts_of(Policy(keep_latest_n=10)) == [
        "retention.keep_latest_n: 10 keeps nothing from going, since nothing expires: default_ttl_days is 0 and no"
        " type has days"
    ]


def test_types_that_never_expire_among_others_that_never_do_are_pointed_out() -> None:
    assert "retention.types: 0 is never" in doubts_of(Policy(types={"diff": 0}))[0]


def test_a_schedule_with_which_every_run_would_stop_is_pointed_out() -> None:
    weekly = doubts_of(Policy(default_ttl_days=14), "0 2 * * 0")
    assert weekly == [
        "retention.schedule: between two runs lie up to 7 days, and jobs are kept for 14 days: each run would drop"
        " more than a fifth of them, and stop; let it run more often"
    ]
    assert "lie up to 1 day," in doubts_of(Policy(default_ttl_days=1))[0]
    assert doubts_of(Policy(default_ttl_days=14, types={"custom": 0}), "0 2 * * 0") == []


def test_expiring_without_a_trash_is_pointed_out() -> None:
    assert doubts_of(Policy(default_ttl_days=30), trash_days=0) == ["trash_days: 0: what expires cannot be restored"]


def test_a_policy_that_is_switched_off_raises_no_doubt() -> None:
    assert doubts_of(Policy(enabled=False, keep_latest_n=10)) == []
