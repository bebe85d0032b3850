"""What of a query is left within one job: its name and its tags are the same for all that is in it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

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


def _truth(holds: bool) -> Query:
    return EVERYTHING if holds else NOTHING
