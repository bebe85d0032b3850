"""A cleanup whose process was killed: what of its reports is still here, and the words for that.

Whoever only reads changes nothing of it, and has to say so: what it shows of such a report is a part.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from mountfs import namespace
from mountfs.catalog import Catalog

NAMED_MAX: Final = 3
"""Jobs named in a sentence."""


@dataclass(frozen=True, slots=True)
class Left:
    """So much of a report is here and is to go. `stored` in bytes."""

    job: str
    type: str
    artifacts: int
    stored: int


def left(catalog: Catalog) -> list[Left]:
    """What is to go on, report by report. By the search index, which must have caught up where it counts."""
    notes = [note for note in catalog.going.all(is_over=False) if not note.path]
    pinned = catalog.units.pinned() if notes else set()
    found = []
    for note in notes:
        key, job = catalog.units.key_in(note.job, _text(note.type)), catalog.entry(note.job)
        if key is None or job is None or key in pinned:
            continue
        artifacts, stored = catalog.units.count_until(key, note.newest_ms)
        if artifacts:
            found.append(Left(_text(job.name), _text(note.type), artifacts, stored))
    return found


def is_interrupted(rests: Iterable[Left]) -> str:
    """For who reads; "" where there is nothing to say."""
    jobs = _by_job(rests)
    if not jobs:
        return ""
    return (
        f"a cleanup was interrupted, and {_counted(jobs)} are still here: the next mount or `mountfs cleanup` drops"
        f" them too, `mountfs restore {_one_of(jobs)}` brings back what has gone"
    )


def has_finished(jobs: Mapping[str, int], *, is_kept: bool) -> str:
    """For whose command went on with it; `is_kept`: in the trash."""
    if not jobs:
        return ""
    said = f"finished a cleanup that was interrupted: {_counted(jobs)}"
    return f"{said}; `mountfs restore {_one_of(jobs)}` brings them back" if is_kept else said


def _by_job(rests: Iterable[Left]) -> Mapping[str, int]:
    jobs: Counter[str] = Counter()
    for rest in rests:
        jobs[rest.job] += rest.artifacts
    return jobs


def _counted(jobs: Mapping[str, int]) -> str:
    named = [f"{number} artifacts of {_shown(job)}" for job, number in list(jobs.items())[:NAMED_MAX]]
    rest = len(jobs) - len(named)
    return ", ".join([*named, f"some of {rest} more jobs"] if rest else named)


def _one_of(jobs: Mapping[str, int]) -> str:
    return "JOB" if len(jobs) > 1 else _shown(next(iter(jobs)))


def _shown(job: str) -> str:
    return namespace.join_key((job.encode("utf-8", "surrogateescape"),))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
