"""What a view holds, asked of the search index. Synchronous, on a connection of its own: for a worker thread.

A place in a view is the view and the names below it: a job, and directories in it. What it holds are further places,
and links, each known by the entry that it leads to.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, assert_never

from mountfs.catalog.search import Search
from mountfs.errors import NotFound
from mountfs.query import Query
from mountfs.views.latest import LatestJobs
from mountfs.views.names import name_of_value
from mountfs.views.nodes import Expiring, Jobs, Latest, Names, Node, Recent, Root, Sense, Versions, child

MOST_RECENT: Final = 100
"""Jobs in `.recent/`."""


@dataclass(frozen=True, slots=True)
class Place:
    """A directory in a view: names below the root of the mount; the first `depth` of them name the view itself."""

    names: Names
    depth: int

    @property
    def view(self) -> Names:
        return self.names[: self.depth]

    @property
    def inside(self) -> Names:
        """The job and the directories in it; () where the view itself is meant."""
        return self.names[self.depth :]

    def down(self, name: bytes) -> "Place":
        return Place((*self.names, name), self.depth)


@dataclass(frozen=True, slots=True)
class Held:
    """One name in a place: a directory of the view, or a link to the entry `entry`. `after` goes on behind it."""

    name: bytes
    after: bytes
    place: Place | None = None
    entry: int = 0


class Answers:
    """Raises what `Search` raises."""

    def __init__(self, search: Search, sense: Callable[[], Sense]) -> None:
        self._search = search
        self._sense = sense

    def find(self, node: Node, place: Place, name: bytes) -> Held | None:
        """What has that name there, or None."""
        if place.inside:
            return self._find_inside(_wanted(node), place, name)
        match node:
            case Jobs():
                return self._find_job(node, place, name) or self._find_view(node, name)
            case Recent():
                return next((held for held in self._recent(place) if held.name == name), None)
            case Latest():
                return self._latest(node).find(name)
            case Root() | Expiring() | Versions():
                return self._find_view(node, name)
            case _:
                assert_never(node)

    def page(self, node: Node, place: Place, *, after: bytes, limit: int) -> list[Held]:
        """The next names there, in byte order; `after` is that of the last one, b"" for the first page."""
        if place.inside:
            return self._page_inside(_wanted(node), place, after, limit)
        match node:
            case Jobs():
                return [self._job(place, job.name, job.ino, whole=job.whole) for job in self._jobs(node, after, limit)]
            case Recent():
                return [held for held in self._recent(place) if held.name > after][:limit]
            case Latest():
                return self._latest(node).page(after, limit)
            case Root():
                return list(self._menu(node, after, limit))
            case Expiring() | Versions():
                return []
            case _:
                assert_never(node)

    # -- views in views -----------------------------------------------------------------------------------

    def _find_view(self, node: Node, name: bytes) -> Held | None:
        found = child(node, name, self._sense())
        return None if found is None else _view(found.names)

    def _menu(self, node: Root, after: bytes, limit: int) -> Iterator[Held]:
        """Values that there are. A name may sort otherwise than its value: there are never so many of those."""
        names: Iterable[bytes | None]
        match node.kind:
            case "types":
                names = self._search.types()
            case "keys":
                names = self._search.tag_keys()
            case "values":
                names = map(name_of_value, self._search.tag_values(node.key))
            case "dates":
                names = self._search.dates(b"-".join(node.names[1:]))
            case _:
                names = ()
        for name in sorted(name for name in names if name is not None and name > after)[:limit]:
            yield _view((*node.names, name))

    # -- jobs ---------------------------------------------------------------------------------------------

    def _jobs(self, node: Jobs, after: bytes, limit: int) -> list[JobFound]:
        return self._search.jobs(node.wanted, after=after, limit=limit)

    def _find_job(self, node: Jobs, place: Place, name: bytes) -> Held | None:
        found = self._search.job(node.wanted, name)
        return None if found is None else self._job(place, found.name, found.ino, whole=found.whole)

    def _job(self, place: Place, name: bytes, ino: int, *, whole: bool) -> Held:
        return Held(name, name, entry=ino) if whole else Held(name, name, place=place.down(name))

    def _recent(self, place: Place) -> list[Held]:
        newest = self._search.newest_jobs(limit=MOST_RECENT)
        return sorted((Held(job.name, job.name, entry=job.ino) for job in newest), key=lambda held: held.name)

    def _latest(self, node: Latest) -> LatestJobs:
        return LatestJobs(self._search, node)

    # -- in a job -----------------------------------------------------------------------------------------

    def _find_inside(self, wanted: Query, place: Place, name: bytes) -> Held | None:
        """Names are in byte order, and a directory stands where its name with a `/` would: at most two come in
        question."""
        job, path = self._inside(place)
        for after in (_before(name), name):
            for below in self._search.below(wanted, job=job, path=path, after=after, limit=1):
                if below.name == name:
                    return self._below(place, below)
        return None

    def _page_inside(self, wanted: Query, place: Place, after: bytes, limit: int) -> list[Held]:
        job, path = self._inside(place)
        found = self._search.below(wanted, job=job, path=path, after=after, limit=limit)
        return [self._below(place, below) for below in found]

    def _inside(self, place: Place) -> tuple[int, bytes]:
        ino = self._search.job_ino(place.inside[0])
        if ino is None:
            raise NotFound("not found: the job")
        return ino, b"/".join(place.inside[1:])

    def _below(self, place: Place, below: Below) -> Held:
        down = place.down(below.name) if below.is_directory else None
        return Held(below.name, below.after, place=down, entry=below.ino)


def _view(names: Names) -> Held:
    return Held(names[-1], names[-1], place=Place(names, len(names)))


def _wanted(node: Node) -> Query:
    assert isinstance(node, Jobs)
    return node.wanted
