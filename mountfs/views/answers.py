"""What a view holds, asked of the search index. Synchronous, on a connection of its own: for a worker thread.

What has to be asked of the bucket first comes out on the way (`choosing.Steps`); only `.latest` asks for any.

A place in a view is the view and the names below it: a job, and directories in it. What it holds are further places,
and links, each known by the entry that it leads to.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, assert_never

from mountfs.catalog.search import Below, JobFound, Search
from mountfs.errors import NotFound
from mountfs.query import Query
from mountfs.views.choosing import Steps
from mountfs.views.expiring import ExpiringJobs
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
        self._expiring = ExpiringJobs(search, sense)

    def find(self, node: Node, place: Place, name: bytes) -> Steps[Held | None]:
        """What has that name there, or None."""
        if place.inside:
            return self._find_inside(self._wanted(node, place), place, name)
        match node:
            case Jobs():
                return self._find_job(node, place, name) or self._find_view(node, name)
            case Expiring():
                return self._expiring_job(place, name)
            case Recent():
                return next((held for held in self._recent(place) if held.name == name), None)
            case Latest():
                return self._link(name, (yield from self._latest(node).find(name)).ino)
            case Root() | Versions():
                return self._find_view(node, name)
            case _:
                assert_never(node)

    def page(self, node: Node, place: Place, *, after: bytes, limit: int) -> Steps[list[Held]]:
        """The next names there, in byte order; `after` is that of the last one, b"" for the first page."""
        if place.inside:
            return self._page_inside(self._wanted(node, place), place, after, limit)
        match node:
            case Jobs():
                return [self._job(place, job.name, job.ino, whole=job.whole) for job in self._jobs(node, after, limit)]
            case Expiring():
                going = (self._expiring_job(place, name) for name in self._expiring.names(after))
                return list(islice((held for held in going if held is not None), limit))
            case Recent():
                return [held for held in self._recent(place) if held.name > after][:limit]
            case Latest():
                return (yield from self._page_latest(self._latest(node), after, limit))
            case Root():
                return self._menu(node, after, limit)
            case Versions():
                return []
            case _:
                assert_never(node)

    # -- views in views -----------------------------------------------------------------------------------

    def _find_view(self, node: Node, name: bytes) -> Held | None:
        found = child(node, name, self._sense())
        return None if found is None else _view(found.names)

    def _menu(self, node: Root, after: bytes, limit: int) -> list[Held]:
        """Values that there are, in their own order, which may be another than that of their names."""
        values, found = self._search.values, []
        match node.kind:
            case "types":
                found = [_view((*node.names, name)) for name in values.types() if name > after]
            case "keys":
                found = [_view((*node.names, key)) for key in values.keys(after=after, limit=limit)]
            case "values":
                start = after[1:] if after else None
                for value in values.tag_values(node.key, after=start, limit=limit):
                    name = name_of_value(value)
                    if name is not None:
                        found.append(replace(_view((*node.names, name)), after=b"=" + value))
            case "dates":
                within = b"-".join(node.names[1:]).decode()
                width = 4 if not within else len(within) + 3
                parts = sorted({day[:width][-2 if within else -4 :].encode() for day in values.days(within)})
                found = [_view((*node.names, part)) for part in parts if part > after]
        return found[:limit]

    # -- jobs ---------------------------------------------------------------------------------------------

    def _jobs(self, node: Jobs, after: bytes, limit: int) -> list[JobFound]:
        return self._search.jobs(node.wanted, after=after, limit=limit)

    def _find_job(self, node: Jobs, place: Place, name: bytes) -> Held | None:
        found = self._search.job(node.wanted, name)
        return None if found is None else self._job(place, found.name, found.ino, whole=found.whole)

    def _job(self, place: Place, name: bytes, ino: int, *, whole: bool) -> Held:
        return Held(name, name, entry=ino) if whole else Held(name, name, place=place.down(name))

    def _expiring_job(self, place: Place, name: bytes) -> Held | None:
        wanted = self._expiring.wanted(name)
        found = None if wanted is None else self._search.job(wanted, name)
        return None if found is None else self._job(place, found.name, found.ino, whole=found.whole)

    def _wanted(self, node: Node, place: Place) -> Query:
        """What of a job is in the view. Raises NotFound."""
        if isinstance(node, Expiring):
            wanted = self._expiring.wanted(place.inside[0])
            if wanted is None:
                raise NotFound("not found: the job")
            return wanted
        assert isinstance(node, Jobs)
        return node.wanted

    def _recent(self, place: Place) -> list[Held]:
        newest = self._search.values.recent_jobs(limit=MOST_RECENT)
        return sorted((Held(job.name, job.name, entry=job.ino) for job in newest), key=lambda held: held.name)

    def _latest(self, node: Latest) -> LatestJobs:
        return LatestJobs(self._search, node.key, node.value)

    def _page_latest(self, jobs: LatestJobs, after: bytes, limit: int) -> Steps[list[Held]]:
        found = []
        for name in [name for name in (yield from jobs.names()) if name > after][:limit]:
            held = self._link(name, (yield from jobs.find(name)).ino)
            if held is not None:
                found.append(held)
        return found

    @staticmethod
    def _link(name: bytes, ino: int | None) -> Held | None:
        return None if ino is None else Held(name, name, entry=ino)

    # -- in a job -----------------------------------------------------------------------------------------

    def _find_inside(self, wanted: Query, place: Place, name: bytes) -> Held | None:
        job, path = self._inside(place)
        below = self._search.at(wanted, job=job, path=path + b"/" + name if path else name)
        return None if below is None else self._below(place, below)

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
