"""Jobs as candidates, for `.latest/` and for a baseline: as the index knows them, and as the bucket's heads tell."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from mountfs.bucket.heads import JobHead
from mountfs.catalog.search import JobThen, Search
from mountfs.compare.baseline import Candidate, Wanted

MOST_JOBS: Final = 1000
"""Jobs that are looked at for one name, newest first."""
PAGE: Final = 16


def newest_jobs(
    search: Search, key: str, value: bytes | None, *, is_beginning: bool = False, most: int = MOST_JOBS
) -> Iterator[JobThen]:
    """The jobs with that tag themselves, or one that begins so, or without a value all jobs; newest first."""
    after: JobThen | None = None
    values = search.values
    while most > 0:
        limit = min(PAGE, most)
        if value is None:
            page = values.newest_jobs(after=after, limit=limit)
        elif is_beginning:
            page = values.newest_beginning(key, value, after=after, limit=limit)
        else:
            page = values.newest_tagged(key, value, after=after, limit=limit)
        yield from page
        if len(page) < limit:
            return
        most -= limit
        after = page[-1]


def candidate(search: Search, then: JobThen, wanted: Wanted) -> Candidate:
    """What the choice needs to know of a job, and no more."""
    asks_type = wanted.type is not None or wanted.or_type is not None
    types = frozenset(search.values.types_in(then.ino)) if asks_type else frozenset[str]()
    names = frozenset[bytes]()
    if wanted.name is not None and search.has_name(then.ino, wanted.name):
        names = frozenset({wanted.name})
    return Candidate(then.name, search.values.job_tags(then.ino), then.began_ns, types, names)


def pinned_candidates(search: Search, wanted: Wanted) -> Iterator[Candidate]:
    """The jobs with the wanted tag of which the wanted type, or all, is pinned."""
    types: dict[JobThen, set[str]] = {}
    for ino in search.values.pinned():
        found = search.values.job_of(ino)
        if found is not None and search.values.job_tags(found[0].ino).get(wanted.key) == wanted.value:
            types.setdefault(found[0], set()).update(search.values.types_below(found[0].ino, found[1]))
    for then, slugs in types.items():
        if wanted.type is None or wanted.type in slugs:
            yield replace(candidate(search, then, wanted), pinned=True)


def of_heads(heads: Iterable[JobHead]) -> list[Candidate]:
    """As the bucket tells of them."""
    return [
        Candidate(head.job, _known({"status": head.status, "pr": head.pr, **head.tags}), head.began_ns,
                  frozenset(head.types), frozenset(head.top))
        for head in heads
    ]  # fmt: skip


def _known(tags: dict[str, bytes | None]) -> dict[str, bytes]:
    return {key: value for key, value in tags.items() if value is not None}
