"""What of a query is left within one job: its name and its tags are the same for all that is in it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from mountfs.catalog.tables import Run
from mountfs.query import (
    EVERYTHING,
    NOTHING,
    And,
    HasTag,
    Not,
    Op,
    Or,
    Query,
    TagText,
    Text,
    conjunction,
    disjunction,
    fits,
    negation,
)


@dataclass(frozen=True, slots=True)
class JobFacts:
    """`own` are the keys of tags that something in the job says for itself."""

    name: str
    tags: Mapping[str, str]
    own: Collection[str]


def facts_of(run: Run, job: int) -> JobFacts:
    name = run("SELECT coalesce(max(name), x'') FROM entry WHERE ino = ?", (job,)).fetchone()
    tags = run("SELECT key, value FROM job_tag WHERE job = ?", (job,))
    own = run("SELECT DISTINCT key FROM own_tag WHERE job = ?", (job,))
    return JobFacts(_text(name[0]), {key: _text(value) for key, value in tags}, {key for (key,) in own})


def within(query: Query, job: JobFacts) -> Query:
    """A query that holds for the same artifacts of this job."""
    match query:
        case And(parts):
            return conjunction([within(part, job) for part in parts])
        case Or(parts):
            return disjunction([within(part, job) for part in parts])
        case Not(part):
            return negation(within(part, job))
        case Text("job", op, value):
            return _truth(job.name == value if op is Op.EQ else fits(value, job.name))
        case HasTag(key) if key not in job.own:
            return _truth(key in job.tags)
        case TagText(key, op, value) if key not in job.own:
            tag = job.tags.get(key)
            return _truth(tag is not None and (tag == value if op is Op.EQ else fits(value, tag)))
        case _:
            return query


def _text(raw: bytes) -> str:
    return bytes(raw).decode("utf-8", "surrogateescape")


def _truth(holds: bool) -> Query:
    return EVERYTHING if holds else NOTHING
