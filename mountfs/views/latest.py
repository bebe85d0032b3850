"""`.latest/<key>/<value>/`: the newest successful job of a tag, and names and types in the newest that have them."""

from typing import Final

from mountfs import namespace
from mountfs.catalog.search import Search
from mountfs.compare.baseline import Candidate, Choice, Wanted, latest
from mountfs.views.candidates import candidate, newest_jobs
from mountfs.views.nodes import Latest

JOB_NAME: Final = b".job"


class LatestJobs:
    """The jobs of one tag value, newest first, read as far as somebody asks."""

    def __init__(self, search: Search, node: Latest) -> None:
        self._search = search
        self._node = node

    def job(self) -> tuple[bytes, int] | None:
        """(name, ino) of the newest successful job."""
        return self._newest(Wanted(self._node.key, self._node.value))

    def of_name(self, name: bytes) -> tuple[bytes, int] | None:
        """The newest successful job that has something of this name directly in it."""
        return self._newest(Wanted(self._node.key, self._node.value, name=name))

    def of_type(self, slug: str) -> tuple[bytes, int] | None:
        """The newest successful job with an artifact of this type."""
        return self._newest(Wanted(self._node.key, self._node.value, type=slug))

    def choice(self, wanted: Wanted) -> Choice:
        """Which job is taken, and why no other: of all that were looked at."""
        looked: list[Candidate] = []
        for then in newest_jobs(self._search, self._node.key, self._node.value):
            looked.append(candidate(self._search, then, wanted))
            if latest(looked[-1:], wanted).chosen is not None:
                break
        return latest(looked, wanted)

    def _newest(self, wanted: Wanted) -> tuple[bytes, int] | None:
        for then in newest_jobs(self._search, self._node.key, self._node.value):
            if latest([candidate(self._search, then, wanted)], wanted).chosen is not None:
                return then.name, then.ino
        return None

    # -- what the view lists --------------------------------------------------------------------------------

    def names(self) -> list[bytes]:
        """`.job`, the names in the newest successful job, and the types of its artifacts."""
        found = self.job()
        if found is None:
            return []
        _name, ino = found
        types = {slug.encode() for slug in self._search.values.types_in(ino)}
        return sorted({JOB_NAME, *self._search.names_in(ino), *types})

    def find(self, name: bytes) -> int | None:
        """The entry that a name of the view leads to: a job, something in one, or the artifacts of a type."""
        if name == JOB_NAME:
            found = self.job()
            return None if found is None else found[1]
        found = self.of_name(name)
        if found is not None:
            return self._search.child_ino(found[1], name)
        slug = name.decode("utf-8", "surrogateescape")
        if not namespace.TYPE_SLUG.fullmatch(slug):
            return None
        found = self.of_type(slug)
        return None if found is None else self._search.common_ino(found[1], slug)
