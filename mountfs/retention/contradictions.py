"""Policies that cannot be meant: what is refused when the settings are read, and what is only pointed out."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from mountfs.retention.brakes import runs_into_brake
from mountfs.retention.model import NEVER
from mountfs.retention.policy import Policy
from mountfs.retention.reasons import days
from mountfs.retention.schedule import longest_gap_seconds

_DAY_SECONDS: Final = 86_400
_NOT_A_GROUP: Final = {
    "job": "N counts jobs, so that in groups of one job none ever goes",
    "name": "a report is all artifacts of one type, so it has no name of its own",
    "path": "a report is all artifacts of one type, so it has no path of its own",
}


def contradictions(policy: Policy) -> Iterator[tuple[str, str]]:
    """What makes the section `retention` unusable: its key, and a sentence."""
    for key, times in Counter(policy.group_by).items():
        if times > 1:
            yield "group_by", f"names {key} {times} times; allowed: each once"
        if key in _NOT_A_GROUP:
            yield "group_by", f"{key}: {_NOT_A_GROUP[key]}; allowed: type, and keys of tags such as branch"


def expires_before_it_is_sent(policy: Policy, *, settle_max_seconds: float) -> Iterator[tuple[str, str]]:
    """Days shorter than the time for which a job may gather its changes before it goes to the bucket."""
    said = {"default_ttl_days": policy.default_ttl_days}
    said |= {f"types.{slug}": number for slug, number in policy.types.items()}
    for key, number in said.items():
        if number != NEVER and number * _DAY_SECONDS <= settle_max_seconds:
            yield key, f"{days(number)} are over before a job is sent to the bucket (sync.settle_max_seconds)"


def doubts(policy: Policy, schedule: str, *, trash_days: int) -> Iterator[str]:
    """What is allowed and probably not meant, a sentence each. Settings that say nothing raise no doubt."""
    if not policy.enabled:
        return
    if policy.keep_latest_n and not policy.has_limit:
        yield (
            f"retention.keep_latest_n: {policy.keep_latest_n} keeps nothing from going, since nothing expires:"
            " default_ttl_days is 0 and no type has days"
        )
    yield from _types_like_all(policy)
    gap_seconds = longest_gap_seconds(schedule)
    if runs_into_brake(longest_days=policy.longest_days, gap_seconds=gap_seconds):
        yield (
            f"retention.schedule: between two runs lie up to {_hours(gap_seconds)}, and jobs are kept for"
            f" {days(policy.longest_days)}: each run would drop more than a fifth of them, and stop;"
            " let it run more often"
        )
    if policy.has_limit and not trash_days:
        yield "trash_days: 0: what expires cannot be restored"


def _types_like_all(policy: Policy) -> Iterator[str]:
    """Types that are to be kept longer than others, and are not."""
    if policy.default_ttl_days == NEVER and policy.types and set(policy.types.values()) == {NEVER}:
        yield "retention.types: 0 is never, and without default_ttl_days nothing expires anyway"


def _hours(gap_seconds: int) -> str:
    hours = max(1, gap_seconds // 3600)
    return days(hours // 24) if hours % 24 == 0 else f"{hours} hours"
