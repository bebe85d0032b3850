"""What to compare with: the pinned job, else the newest good one of the branch, else the nearest ancestor, or nothing.

The same rule says what `.latest/<key>/<value>/` shows. Why a job was not taken is part of the answer: a baseline that
surprises is the first thing people ask about.
"""

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mountfs.namespace import age_of, is_successful

MOST_REASONS: Final = 3
_OF_A_PR: Final = frozenset({"pr", "commit"})  # the tags under which the job of a pull request counts


class Rule(enum.StrEnum):
    """Why a baseline is the one."""

    PINNED = "pinned"
    LATEST = "latest"
    ANCESTOR = "ancestor"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A job that could be compared with.

    `types` and `names` (directly in the job) are what it holds; `began_ns` is its beginning (`namespace/ages.py`).
    `commits_away` counts from its commit to that of the compared job, None where it is no ancestor or nobody knows.
    """

    job: bytes
    tags: Mapping[str, bytes]
    began_ns: int
    types: frozenset[str] = frozenset()
    names: frozenset[bytes] = frozenset()
    pinned: bool = False
    commits_away: int | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the job must have: a tag with this value; of `type` or `name` those that are asked for, none for any job.

    `or_type` is a type that does as well as the name. `is_beginning`: the tag's value begins so, as a short SHA does;
    `any_end`: it need not have succeeded.
    """

    key: str = "branch"
    value: bytes = b"main"
    type: str | None = None
    name: bytes | None = None
    other_than: bytes | None = None
    or_type: str | None = None
    is_beginning: bool = False
    any_end: bool = False

    def __str__(self) -> str:
        newest = "job" if self.any_end else "newest successful job"
        tag = f"{self.key}={_shown(self.value)}{'…' if self.is_beginning else ''}"
        held = [part for part in (self.type, None if self.name is None else _shown(self.name)) if part]
        return f"the {newest} with {tag}{' that holds ' if held else ''}{' and '.join(held)}"


@dataclass(frozen=True, slots=True)
class Choice:
    """The job that was taken, the rule that took it, and of each other one the sentence why not.

    `because`: why it is none with the tag that was wanted, where the rule is ANCESTOR.
    """

    chosen: Candidate | None
    rule: Rule
    others: tuple[tuple[bytes, str], ...] = ()
    because: str = ""


@dataclass(frozen=True, slots=True)
class Baseline:
    """What is told about a baseline. `commits_away` is None where the distance is unknown; `because` as of a choice."""

    job: str | None
    rule: Rule
    age_seconds: float | None = None
    commits_away: int | None = None
    because: str = ""

    def __str__(self) -> str:
        if self.job is None:
            return "no baseline"
        distance = {None: "distance unknown", 1: "1 commit away"}.get(
            self.commits_away, f"{self.commits_away} commits away"
        )
        age = "" if self.age_seconds is None else f", {_shown_age(self.age_seconds)} old"
        return f"{self.job} ({self.rule}{age}, {distance})"

    @property
    def warning(self) -> str:
        """The line to show below it: it is not what was asked for. Empty where it is."""
        return f"an ancestor commit instead: {self.because}" if self.because else ""


def describe(choice: Choice, *, now_ns: int, commits_away: int | None = None) -> Baseline:
    """The facts of a choice; `commits_away` where the caller found the distance after it chose."""
    if choice.chosen is None:
        return Baseline(None, choice.rule)
    chosen = choice.chosen
    away = chosen.commits_away if commits_away is None else commits_away
    name = chosen.job.decode("utf-8", "surrogateescape")
    return Baseline(name, choice.rule, max(now_ns - chosen.began_ns, 0) / 1_000_000_000, away, choice.because)


def reasons(choice: Choice, *, most: int = MOST_REASONS) -> str:
    """Why no job will do, to be said behind what was wanted."""
    return f"; {_none_will_do(choice.others, 'jobs', most)}" if choice.others else "; no such job is known"


def _none_will_do(others: Sequence[tuple[bytes, str]], what: str, most: int) -> str:
    shown = "; ".join(f"{_shown(job)}: {reason}" for job, reason in others[:most])
    more = f"; and {len(others) - most} more" if len(others) > most else ""
    return f"of {len(others)} {what} none will do ({shown}{more})"


def _shown_age(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def latest(candidates: Iterable[Candidate], wanted: Wanted) -> Choice:
    """The newest successful job with that tag value and what is wanted in it: `.latest/<key>/<value>/`.

    A job tagged `pr` counts under `pr` and `commit` only. `namespace/ages.py` says which is the newest.
    """
    jobs = _newest_first(candidates)
    fitting = [job for job in jobs if _refused(job, wanted) is None]
    if not fitting:
        return Choice(None, Rule.NONE, tuple((job.job, _refused(job, wanted) or "") for job in jobs))
    chosen = fitting[0]
    others = tuple(
        (job.job, _refused(job, wanted) or f"older than {_shown(chosen.job)}") for job in jobs if job is not chosen
    )
    return Choice(chosen, Rule.LATEST, others)


def fits(job: Candidate, wanted: Wanted) -> bool:
    """Whether the rule would take this job, were it the newest."""
    return _refused(job, wanted) is None


def choose_baseline(candidates: Iterable[Candidate], wanted: Wanted) -> Choice:
    """The job to compare with: pinned, else the newest successful of the branch, else the nearest ancestor.

    A pinned job must be of that branch and hold the type, but not be successful: somebody said so. The nearest
    ancestor may be of any branch, and of a pull request.
    """
    jobs = _newest_first(candidates)
    pinned = [job for job in jobs if job.pinned and _refused(job, wanted, pinned=True) is None]
    if pinned:
        return Choice(
            pinned[0], Rule.PINNED, _others(jobs, pinned[0], wanted, "not pinned, or not the newest pinned one")
        )
    newest = latest(jobs, wanted)
    if newest.chosen is not None:
        return newest
    ancestors = [job for job in jobs if _is_ancestor(job, wanted)]
    if not ancestors:
        return newest
    nearest = min(ancestors, key=lambda job: job.commits_away or 0)
    others = _others(jobs, nearest, wanted, f"further away than {_shown(nearest.job)}")
    return Choice(nearest, Rule.ANCESTOR, others, _why_none_with_the_tag(jobs, wanted))


def _why_none_with_the_tag(jobs: Iterable[Candidate], wanted: Wanted) -> str:
    with_it = [job for job in jobs if job.job != wanted.other_than and job.tags.get(wanted.key) == wanted.value]
    tag = f"{wanted.key}={_shown(wanted.value)}"
    if not with_it:
        return f"no other job with {tag} is known"
    return _none_will_do([(job.job, _refused(job, wanted) or "") for job in with_it], f"jobs with {tag}", MOST_REASONS)


def _newest_first(jobs: Iterable[Candidate]) -> list[Candidate]:
    return sorted(jobs, key=lambda job: age_of(job.began_ns, job.job), reverse=True)


def _others(
    jobs: Iterable[Candidate], chosen: Candidate, wanted: Wanted, otherwise: str
) -> tuple[tuple[bytes, str], ...]:
    return tuple((job.job, _refused(job, wanted) or otherwise) for job in jobs if job is not chosen)


def _is_ancestor(job: Candidate, wanted: Wanted) -> bool:
    if not job.commits_away or job.commits_away < 0:  # 0 is the commit itself
        return False
    return _refused_itself(job, wanted) is None and is_successful(job.tags)


def _refused(job: Candidate, wanted: Wanted, *, pinned: bool = False) -> str | None:
    """Why the rule of the branch does not take this job; None where it does."""
    checks: tuple[Callable[[Candidate, Wanted], str | None], ...] = (_refused_itself, _refused_tag)
    for check in checks if pinned else (*checks, _refused_status):
        reason = check(job, wanted)
        if reason is not None:
            return reason
    return None


def _refused_itself(job: Candidate, wanted: Wanted) -> str | None:
    if job.job == wanted.other_than:
        return "the job itself"
    if wanted.type is not None and wanted.type not in job.types:
        return f"holds no {wanted.type}"
    if wanted.name is not None and wanted.name not in job.names and wanted.or_type not in job.types:
        return f"holds no {_shown(wanted.name)}"
    return None


def _refused_tag(job: Candidate, wanted: Wanted) -> str | None:
    value = job.tags.get(wanted.key)
    if value is None:
        return f"no tag {wanted.key}"
    if not (value.startswith(wanted.value) if wanted.is_beginning else value == wanted.value):
        return f"{wanted.key}={_shown(value)}"
    if "pr" in job.tags and wanted.key not in _OF_A_PR:
        return f"of pull request {_shown(job.tags['pr'])}"
    return None


def _refused_status(job: Candidate, wanted: Wanted) -> str | None:
    return None if wanted.any_end or is_successful(job.tags) else f"not successful: status={_shown(job.tags['status'])}"


def _shown(name: bytes) -> str:
    text = name.decode("utf-8", "backslashreplace")
    return text if text.isprintable() else ascii(text)[1:-1]
