"""`ArtifactStore.compare`: two jobs, or a job and its baseline, read, compared and judged."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mountfs import namespace
from mountfs.api import git
from mountfs.api.baselines import Baselines
from mountfs.api.keys import Key, Names
from mountfs.api.sides import Held, held_in, side_of
from mountfs.compare.baseline import Baseline, Choice, Rule, Wanted, describe, reasons
from mountfs.compare.comparison import Comparison
from mountfs.compare.comparison import compare as compare_sides
from mountfs.compare.document import as_json
from mountfs.compare.gates import Gate, GateResult, judge, parse_gates
from mountfs.compare.markdown import as_markdown
from mountfs.compare.sides import Side
from mountfs.compare.values import Options
from mountfs.errors import InvalidArgument, NotFound

if TYPE_CHECKING:
    from mountfs.api.reading import ArtifactStore
    from mountfs.reports.process import Reader

_TELLING: Final[tuple[str, ...]] = (
    "test-results",
    "coverage-report",
    "security-findings",
    "static-analysis",
    "performance-metrics",
)
"""Types of which a baseline must have reports; the first that has one names the job."""


@dataclass(frozen=True, slots=True)
class Compared:
    """What changed, what the gates found, and where it was chosen which baseline that was and why no other."""

    comparison: Comparison
    gates: tuple[GateResult, ...] = ()
    baseline: Baseline | None = None
    choice: Choice | None = None

    @property
    def has_baseline(self) -> bool:
        """Whether there was anything to compare with; without, all is new and no gate is judged."""
        return self.baseline is None or self.baseline.job is not None

    @property
    def passed(self) -> bool:
        """Whether no gate failed."""
        return not any(gate.failed for gate in self.gates)

    def as_json(self) -> dict[str, object]:
        return as_json(self.comparison, gates=self.gates, baseline=self.baseline)

    def as_markdown(self) -> str:
        return as_markdown(self.comparison, gates=self.gates, baseline=self.baseline)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a caller says beside the job. `gates` is the text of `--fail-on`, None: nothing is judged."""

    baseline: str | None = None
    repo: Path | None = None
    gates: str | None = None
    options: Options | None = None


def compare(store: "ArtifactStore", a: Key, b: Key | None, asked: Asked) -> Compared:
    """See `ArtifactStore.compare`."""
    from mountfs.reports.process import Reader

    gates = [] if asked.gates is None else parse_gates(asked.gates)
    after, before = store.names_of(a), None if b is None else store.names_of(b)
    _refuse_nonsense(after, before, asked)
    with Reader() as reader:
        held = _held(store, after)
        if before is None:
            return _with_baseline(store, reader, held, gates, asked)
        sides = side_of(store, reader, _held(store, before)), side_of(store, reader, held)
    comparison = compare_sides(*sides, asked.options)
    return Compared(comparison, tuple(judge(gates, comparison)))


def _refuse_nonsense(after: Names, before: Names | None, asked: Asked) -> None:
    if (before is None) == (asked.baseline is None):
        raise InvalidArgument("with what? Name a second job, or a branch as --baseline: one of the two")
    if before == after:
        raise InvalidArgument(f"{namespace.join_key(after)} is compared with itself: name two different jobs")
    if asked.repo is not None and not git.is_repository(asked.repo):
        raise InvalidArgument(f"{asked.repo} is no git repository")


def _held(store: "ArtifactStore", names: Names) -> Held:
    """What there is at and below a key. Raises NotFound."""
    store.metadata(namespace.join_key(names))
    with store.searching() as search:
        return held_in(store, search, names)


# -- with a baseline --------------------------------------------------------------------------------------------


def _with_baseline(
    store: "ArtifactStore", reader: "Reader", held: Held, gates: Sequence[Gate], asked: Asked
) -> Compared:
    chosen, commit = _choices(store, held, asked)
    main = next((choice for choice in chosen.values() if choice.chosen is not None), next(iter(chosen.values())))
    baseline = _described(main, commit, asked.repo)
    after = side_of(store, reader, held)
    if main.chosen is None:
        return Compared(compare_sides(Side("no baseline"), after, asked.options), (), baseline, main)
    carried = {
        slug: choice.chosen.job
        for slug, choice in chosen.items()
        if choice.chosen is not None and choice.chosen.job != main.chosen.job
    }
    before = _before(store, reader, (main.chosen.job, *held.names[1:]), carried)
    comparison = compare_sides(before, after, asked.options)
    comparison = replace(comparison, notes=(*comparison.notes, *map(_carried, carried.items())))
    return Compared(comparison, tuple(judge(gates, comparison)), baseline, main)


def _choices(store: "ArtifactStore", held: Held, asked: Asked) -> tuple[dict[str, Choice], str]:
    """By type of report the job to compare with, in the order in which they name the baseline; and the job's commit."""
    assert asked.baseline is not None
    branch = asked.baseline.encode("utf-8", "surrogateescape")
    with store.searching() as search:
        ino = search.job_ino(held.names[0])
        tags: Mapping[str, bytes] = {} if ino is None else search.values.job_tags(ino)
        commit = tags.get("commit", b"").decode("ascii", "replace")
        wanted = Wanted("branch", branch, other_than=held.names[0])
        baselines = Baselines(store, search, wanted, commit=commit, repo=asked.repo)
        types = [slug for slug in _TELLING if slug in held.types]
        return {slug: baselines.choice(slug or None) for slug in types or [""]}, commit


def _described(choice: Choice, commit: str, repo: Path | None) -> Baseline:
    away = None
    if choice.chosen is not None and choice.chosen.commits_away is None and repo is not None:
        away = git.distance(repo, choice.chosen.tags.get("commit", b"").decode("ascii", "replace"), commit)
    return describe(choice, now_ns=time.time_ns(), commits_away=away)


def _before(store: "ArtifactStore", reader: "Reader", names: Names, carried: Mapping[str, bytes]) -> Side:
    """The reports of the baseline; those of the types that it lacks from the jobs that have them."""
    side = side_of(store, reader, _held_if_there(store, names))
    for slug, job in carried.items():
        other = side_of(store, reader, _held_if_there(store, (job, *names[1:])), types={slug})
        side = replace(side, sources=(*side.sources, *other.sources))
    return side


def _held_if_there(store: "ArtifactStore", names: Names) -> Held:
    """A baseline may lack the directory that is compared; the job itself is there. Raises NotFound."""
    try:
        return _held(store, names)
    except NotFound:
        _held(store, names[:1])
        with store.searching() as search:
            return held_in(store, search, names)


def _carried(item: tuple[str, bytes]) -> str:
    slug, job = item
    return f"{slug} is carried forward from {namespace.join_key((job,))}: the baseline has none."


def why_none(compared: Compared, branch: str) -> str:
    """The sentence of exit code 9."""
    others = () if compared.choice is None else compared.choice.others
    if not others:
        return f"no baseline: no job with branch={branch} is known; `--no-baseline ok` goes on without one"
    return f"no baseline{reasons(Choice(None, Rule.NONE, others))}; `--no-baseline ok` goes on without one"
