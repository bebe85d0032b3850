"""Retention: what expires, when and why; and which versions of a path there are. Pure: no clock, no I/O.

`model.py` and `policy.py` are what goes in, `deciding.py` (by the policy) and `selecting.py` (by hand) make a `Plan` of
`plan.py`, every verdict with a reason of `reasons.py`; `brakes.py` says when a run had better not happen;
`schedule.py` when it comes, `expiring.py` what it will find, `interrupted.py` what one that was killed left to it. What
none of them touches is decided in `protecting.py`.
"""

from mountfs.retention.baselines import is_candidate, with_baselines
from mountfs.retention.brakes import FEW_JOBS, Brake, ClockJumped, Moment, TooMuch, brakes
from mountfs.retention.contradictions import contradictions, doubts, expires_before_it_is_sent
from mountfs.retention.deciding import decide
from mountfs.retention.expiring import Expiring, expiring, next_expiry
from mountfs.retention.interrupted import Rest, set_apart
from mountfs.retention.model import DAY_NS, NEVER, Baseline, Dated, Report
from mountfs.retention.plain import moment_of, plain_moment, plain_policy, policy_of
from mountfs.retention.plan import DatedVictim, Kept, Plan, Victim
from mountfs.retention.policy import Limit, Policy
from mountfs.retention.reasons import (
    AmongLatest,
    AskedFor,
    DateAhead,
    DatePassed,
    Going,
    Interrupted,
    IsBaseline,
    IsPinned,
    NoLimit,
    NotAskedFor,
    Staying,
    SwitchedOff,
    TooOld,
    Young,
)
from mountfs.retention.selecting import Selection, select

__all__ = [
    "DAY_NS", "FEW_JOBS", "NEVER", "AmongLatest", "AskedFor", "Baseline", "Brake", "ClockJumped", "DateAhead",
    "DatePassed", "Dated", "DatedVictim", "Expiring", "Going", "Interrupted", "IsBaseline", "IsPinned", "Kept",
    "Limit", "Moment", "NoLimit", "NotAskedFor", "Plan", "Policy", "Report", "Rest", "Selection", "Staying",
    "SwitchedOff", "TooMuch", "TooOld", "Victim", "Young", "brakes", "contradictions", "decide", "doubts",
    "expires_before_it_is_sent", "expiring", "is_candidate", "moment_of", "next_expiry", "plain_moment",
    "plain_policy", "policy_of", "select", "set_apart", "with_baselines",
]  # fmt: skip
