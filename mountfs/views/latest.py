"""`.latest/<key>/<value>/`: the newest successful job of a tag, and names and types in the newest that have them."""

from dataclasses import dataclass
from typing import Final

from mountfs import namespace
from mountfs.catalog.search import Search
from mountfs.compare.baseline import Candidate, Choice, Wanted, latest
from mountfs.views.choosing import Steps, look_for

JOB_NAME: Final = b".job"


@dataclass(frozen=True, slots=True)
class Led:
    """What a name leads to: an entry, or None; what its job had to have, and the jobs that were looked at for it."""

    ino: int | None
    wanted: Wanted
    looked: tuple[Candidate, ...]

    @property
    def choice(self) -> Choice:
        """Which job was taken, and why no other."""
        return latest(self.looked, self.wanted)


class LatestJobs:
    """The jobs of one tag value, newest first, read as far as somebody asks."""

    def __init__(self, search: Search, key: str, value: bytes) -> None:
        self._search = search
        self._key = key
        self._value = value

    def names(self) -> Steps[list[bytes]]:
        """What the view lists: `.job`, the names in the newest successful job, and the types of its artifacts."""
        found = yield from self.find(JOB_NAME)
        if found.ino is None:
            return []
        types = {slug.encode() for slug in self._search.values.types_in(found.ino)}
        return sorted({JOB_NAME, *self._search.names_in(found.ino), *types})

    def find(self, name: bytes) -> Steps[Led]:
        """What a name of the view leads to: a job, something directly in one, or the artifacts of a type."""
        if name == JOB_NAME:
            wanted = Wanted(self._key, self._value)
        else:
            slug = name.decode("utf-8", "surrogateescape")
            is_slug = namespace.TYPE_SLUG.fullmatch(slug) is not None
            wanted = Wanted(self._key, self._value, name=name, or_type=slug if is_slug else None)
        looked = yield from look_for(self._search, wanted)
        return Led(self._entry(latest(looked, wanted), wanted), wanted, tuple(looked))

    def _entry(self, choice: Choice, wanted: Wanted) -> int | None:
        job = None if choice.chosen is None else self._search.job_ino(choice.chosen.job)
        if job is None or wanted.name is None:
            return job
        named = self._search.child_ino(job, wanted.name)
        if named is None and wanted.or_type is not None:
            return self._search.common_ino(job, wanted.or_type)
        return named
