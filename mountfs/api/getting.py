"""Which job or artifact is meant: the newest of a branch, the one of a commit, a path below `.latest/`; and why."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final

from mountfs import namespace, query
from mountfs.api.choosing import Asker
from mountfs.api.finding import found_inos
from mountfs.api.keys import Names
from mountfs.catalog import Catalog
from mountfs.catalog.search import Search
from mountfs.compare.baseline import Candidate, Choice, Wanted, fits, latest, reasons
from mountfs.errors import InvalidArgument, NotFound
from mountfs.model import ROOT_INO
from mountfs.query import Op, Text
from mountfs.views.choosing import look_for
from mountfs.views.latest import JOB_NAME, LatestJobs
from mountfs.views.names import value_of_name

if TYPE_CHECKING:
    from mountfs.api.reading import ArtifactStore

LATEST: Final = b".latest"
SHORTEST_COMMIT: Final = 4
"""Characters, as git has it."""
MOST_NAMED: Final = 10


@dataclass(frozen=True, slots=True)
class Asked:
    """How a caller says which job. `commit` is its beginning."""

    branch: str | None = None
    commit: str | None = None
    latest: bool = False
    type: str | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """What was meant: its key, the job, and why that job and no other."""

    key: str
    job: str
    wanted: Wanted
    choice: Choice

    @property
    def why(self) -> str:
        """The rule, in words."""
        return str(self.wanted)

    def as_json(self) -> dict[str, object]:
        others = [{"job": namespace.join_key((job,)), "reason": reason} for job, reason in self.choice.others]
        return {"job": self.job, "rule": str(self.choice.rule), "why": self.why, "others": others}


# -- by branch and commit -----------------------------------------------------------------------------------------


def choose(store: "ArtifactStore", asked: Asked) -> Chosen:
    """See `ArtifactStore.choose`. The key is the job's, or that of what the job has of the wanted type."""
    wanted = _wanted(store, asked)
    with store.searching() as search:
        enough = 1 if asked.latest else MOST_NAMED + 1
        looked = Asker(store).run(look_for(search, wanted, enough=enough))
        fitting = [job for job in looked if fits(job, wanted)]
        if not fitting:
            raise NotFound(f"not found: {wanted}{reasons(latest(looked, wanted))}")
        if len(fitting) > 1:
            raise InvalidArgument(_several(fitting, wanted))
        return _chosen(store, search, wanted, latest(looked, wanted))


def _wanted(store: "ArtifactStore", asked: Asked) -> Wanted:
    slug = None if asked.type is None else namespace.canonical_type(asked.type, extra=store.types)
    any_end = not asked.latest
    match asked.branch, asked.commit:
        case str(branch), None if branch:
            return Wanted("branch", _raw(branch), type=slug, any_end=any_end)
        case None, str(commit) if len(commit) >= SHORTEST_COMMIT:
            return Wanted("commit", _raw(commit), type=slug, any_end=any_end, is_beginning=True)
        case None, str(commit):
            raise InvalidArgument(f"commit {commit!r}: at least its first {SHORTEST_COMMIT} characters are needed")
        case _:
            raise InvalidArgument("which job? Name a branch or a commit: one of the two")


def _several(jobs: list[Candidate], wanted: Wanted) -> str:
    names = [namespace.join_key((job.job,)) for job in jobs[:MOST_NAMED]]
    more = " and more" if len(jobs) > MOST_NAMED else ""
    return f"{', '.join(names)}{more} are each {wanted}: name one, or say --latest for the newest successful one"


def _chosen(store: "ArtifactStore", search: Search, wanted: Wanted, choice: Choice) -> Chosen:
    assert choice.chosen is not None
    job = namespace.join_key((choice.chosen.job,))
    if wanted.type is None:
        return Chosen(job, job, wanted, choice)
    top = search.job_ino(choice.chosen.job)
    ino = None if top is None else search.common_ino(top, wanted.type)
    return Chosen(store.key_of(ino or 0), job, wanted, choice)


# -- by a path below `.latest/` -----------------------------------------------------------------------------------


def through_latest(store: "ArtifactStore", names: Names) -> Chosen | None:
    """See `ArtifactStore.through_latest`. Of `.latest/<key>/<value>` itself the job."""
    if names[0] != LATEST:
        return None
    key = names[1].decode("ascii", "replace") if len(names) > 2 else ""
    if not namespace.TAG_KEY.fullmatch(key):
        raise NotFound(f"not found: {namespace.join_key(names)}; a path there is .latest/<key>/<value>/<name>")
    name, below = (names[3], names[4:]) if len(names) > 3 else (JOB_NAME, ())
    with store.searching() as search:
        led = Asker(store).run(LatestJobs(search, key, value_of_name(names[2])).find(name))
    choice = led.choice
    if led.ino is None or choice.chosen is None:
        raise NotFound(f"not found: {namespace.join_key(names)}: {led.wanted}{reasons(choice)}")
    found = namespace.split_key(store.key_of(led.ino))
    return Chosen(namespace.join_key((*found, *below)), namespace.join_key(found[:1]), led.wanted, choice)


# -- by type ------------------------------------------------------------------------------------------------------


def inos_of_type(store: "ArtifactStore", catalog: Catalog, job: bytes, type: str) -> frozenset[int]:
    """The artifacts of a type in a job, and the directories on the way to them."""
    slug = namespace.canonical_type(type, extra=store.types)
    name = job.decode("utf-8", "surrogateescape")
    with store.searching() as search:
        found = found_inos(search, query.conjunction((Text("job", Op.EQ, name), Text("type", Op.EQ, slug))))
        return _with_directories(catalog, chain.from_iterable(found))


def _with_directories(catalog: Catalog, inos: Iterable[int]) -> frozenset[int]:
    found: set[int] = set()
    for ino in inos:
        above: int = ino
        while above not in found and above != ROOT_INO:
            found.add(above)
            entry = catalog.entry(above)
            above = ROOT_INO if entry is None else entry.parent
    return frozenset(found)


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
