"""One project in two directories is one project: absolute paths become those below the checkout.

Tools write where they ran (`/builds/7/x/src/a.py`, `C:\\ws\\src\\a.py`), and few reports say where the project begins.
What two sides have in common does: of all pairs of directories, one of each side, the pair below which most files are
on both sides. Ambiguous evidence is none: paths stay as they are, and what they name is new and gone.

What it cannot tell: whether the only file of one side and the only one of the other, `x/m.py` and `y/m.py`, lie in two
checkouts or in two directories of one. It takes them for one file, unless another report names both as two.
"""

import itertools
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from mountfs.reports.paths import common_directory, is_absolute, slashed

_MOST_PATHS: Final = 2_000  # that are looked at, of each side: more say nothing else
_MOST_PARTS: Final = 32  # of a path, from its end: a stranger's may be very deep
_MOST_PLACES: Final = 64  # pairs of places that end alike: `__init__.py` is everywhere and tells nothing
_MOST_ROOTS: Final = 8  # of a side: the legs of a matrix run on machines of their own

Told = Mapping[str, AbstractSet[str]]
"""Of one side, by path (absolute ones and others) what is told of it: rules, names of tests."""


@dataclass(frozen=True, slots=True)
class Roots:
    """The directories that the paths of one side are below; the first that fits counts. `instead` stands for each."""

    roots: tuple[str, ...] = ()
    instead: tuple[str, ...] = ()

    def of(self, path: str) -> str:
        """The path below its root; one that is below none as it is."""
        return self._placed(path)[1]

    def named(self, paths: Iterable[str]) -> dict[str, str]:
        """Of each of the paths of one report its name below the roots; two paths never get the same one."""
        places = {path: self._placed(path) for path in set(paths)}
        names = {path: name for path, (_, name) in places.items()}
        taken = {path for path, name in names.items() if path == name}
        for path in sorted(names.keys() - taken, key=lambda path: (places[path][0], path)):
            if names[path] in taken:
                names[path] = path
            taken.add(names[path])
        return names

    def _placed(self, path: str) -> tuple[int, str]:
        """The place of its root among the roots, and its name below it."""
        plain = slashed(path) if self.roots else path
        for place, root in enumerate(self.roots):
            if plain.startswith(root + "/"):
                return place, (self.instead[place] if self.instead else "") + plain[len(root) + 1 :]
        return len(self.roots), path

    def in_text(self, text: str) -> str:
        """The text, with the paths in it below their roots."""
        for root in self.roots:
            if root and root in text:
                text = re.sub(rf"(?<![\w./-])(?:file://)?{re.escape(root)}/", "", text)
        return text


def roots_of(before: Told, after: Told) -> tuple[Roots, Roots]:
    """Where the project begins on each side; nowhere, where all paths of a side are relative."""
    was, now = _absolute(before), _absolute(after)
    relative = [{path for path in told if not is_absolute(path)} for told in (before, after)]
    if not (was and now):
        return _alone(was, relative[1]), _alone(now, relative[0])
    pairs = _paired(was, now, relative[0] | relative[1])
    if not pairs:
        return _own(was, now, relative[0] | relative[1])
    return Roots(tuple(root for root, _ in pairs)), Roots(tuple(root for _, root in pairs))


def moved(told: Told, there: Told) -> Roots:
    """The roots of `told`, and instead of them those that they are `there`."""
    known = {path for path in (*told, *there) if not is_absolute(path)}
    pairs = _paired(_absolute(told), _absolute(there), known)
    return Roots(tuple(root for root, _ in pairs), tuple(f"{other}/" for _, other in pairs))


def _absolute(told: Told) -> dict[str, AbstractSet[str]]:
    """The absolute paths; of very many those whose last parts hash lowest, which are the same ones on both sides."""
    found = {slashed(path): said for path, said in told.items() if is_absolute(path)}
    if len(found) <= _MOST_PATHS:
        return found
    last = {path: path.rpartition("/")[2].encode("utf-8", "surrogatepass") for path in found}
    order = sorted(found, key=lambda path: (zlib.crc32(last[path]), last[path], path[::-1]))
    return {path: found[path] for path in order[:_MOST_PATHS]}


# -- two sides with absolute paths ------------------------------------------------------------------------------

_Pair = tuple[str, str]


@dataclass(slots=True)
class _Evidence:
    """What speaks for a pair of roots: files that both have below it, what both tell of them, and known names."""

    files: int = 0
    said: int = 0
    known: int = 0


class _Places:
    """The paths of one side that have no root yet: by how they end the directories before, and how many are below.

    `names` are those by which other reports know them: these write paths below the checkout.
    """

    def __init__(self, told: Told, known: AbstractSet[str]) -> None:
        self.told = told
        self.by_end: dict[str, list[str]] = defaultdict(list)
        self.below: Counter[str] = Counter()
        self.names: dict[str, str] = {}
        self._known = known
        for path in told:
            for root, end in _splits(path):  # the longest end comes last
                self.by_end[end].append(root)
                self.below[root] += 1
                if end in known:
                    self.names[path] = end

    def without(self, root: str) -> "_Places":
        left = {path: said for path, said in self.told.items() if not path.startswith(root + "/")}
        return _Places(left, self._known)


def _splits(path: str) -> Iterator[_Pair]:
    """A path as each of its directories and what follows, the deepest first; `/` is empty."""
    cut = len(path)
    for _ in range(_MOST_PARTS):
        cut = path.rfind("/", 0, cut)
        if cut < 0:
            break
        yield path[:cut], path[cut + 1 :]


def _paired(before: Told, after: Told, known: AbstractSet[str]) -> list[_Pair]:
    """The roots that belong together, the best first; what has found its root is no evidence for another one.

    What lies outside the first and has the same path on both sides needs no root.
    """
    was, now = _Places(before, known), _Places(after, known)
    found: list[_Pair] = []
    while was.told and now.told and len(found) < _MOST_ROOTS:
        evidence = _evidence(was, now)
        best = _best({pair: said for pair, said in evidence.items() if not found or pair[0] != pair[1]}, was, now)
        if best is None:
            break
        found.append(best)
        was, now = was.without(best[0]), now.without(best[1])
    return found


def _evidence(was: _Places, now: _Places) -> dict[_Pair, _Evidence]:
    evidence: dict[_Pair, _Evidence] = defaultdict(_Evidence)
    for end, places in was.by_end.items():
        others = now.by_end.get(end, [])
        if len(places) * len(others) > _MOST_PLACES:
            continue
        for pair in itertools.product(places, others):
            path, there = (f"{root}/{end}" for root in pair)
            if any(pair) and not _are_known_apart(was.names.get(path), now.names.get(there)):
                one = evidence[pair]
                one.files += 1
                one.said += len(was.told[path] & now.told[there])
                one.known += end == was.names.get(path)
    return {pair: said for pair, said in evidence.items() if _is_plausible(pair, said, was, now)}


def _are_known_apart(name: str | None, other: str | None) -> bool:
    return name is not None and other is not None and name != other


def _is_plausible(pair: _Pair, said: _Evidence, was: _Places, now: _Places) -> bool:
    """Whether the roots hold all there is, or half of what is below them is on both sides: not one `setup.py`."""
    below = was.below[pair[0]], now.below[pair[1]]
    return below == (len(was.told), len(now.told)) or 2 * said.files >= max(below)


def _best(evidence: Mapping[_Pair, _Evidence], was: _Places, now: _Places) -> _Pair | None:
    """The pair for which most speaks, of several inside each other the deepest; None where as much speaks against."""

    def weight(pair: _Pair) -> tuple[int, int, int, int]:
        said = evidence[pair]
        return said.files, was.below[pair[0]] + now.below[pair[1]], said.said, said.known

    most = max(map(weight, evidence), default=None)
    best = [pair for pair in evidence if weight(pair) == most]
    deepest = max(best, key=lambda pair: (len(pair[0]), pair), default=None)
    return deepest if deepest is not None and all(_agree(pair, deepest) for pair in best) else None


def _agree(pair: _Pair, other: _Pair) -> bool:
    """Whether both may hold: one inside the other along the same names, or each of them somewhere else."""
    return _holds(pair, other) or not any(map(_overlap, pair, other))


def _overlap(root: str, other: str) -> bool:
    return f"{root}/".startswith(f"{other}/") or f"{other}/".startswith(f"{root}/")


def _holds(outer: _Pair, inner: _Pair) -> bool:
    """Whether both directories of the one are as far above those of the other, along the same names."""
    way = inner[0][len(outer[0]) :]
    return inner == (outer[0] + way, outer[1] + way) and way[:1] in ("", "/")


def _own(before: Told, after: Told, known: AbstractSet[str]) -> tuple[Roots, Roots]:
    """On each side the directory that holds all paths; none where names below them would meet, for nothing says so."""
    roots = _common(before), _common(after)
    below = [{path[len(root) + 1 :] for path in told} for root, told in zip(roots, (before, after), strict=True)]
    if not all(roots) or below[0] & below[1] or (below[0] | below[1]) & known:
        return Roots(), Roots()
    return Roots(roots[:1]), Roots(roots[1:])


# -- one side with absolute paths -------------------------------------------------------------------------------


def _alone(told: Told, names: AbstractSet[str]) -> Roots:
    """The root below which paths are named as the other side's relative ones are, else that of them all."""
    if not told:
        return Roots()
    places = _Places(told, names)
    votes = Counter(root for end in names & places.by_end.keys() for root in places.by_end[end])
    fits = {root: many for root, many in votes.items() if places.below[root] == len(told) or 2 * many >= len(told)}
    best = [root for root, many in fits.items() if many == max(fits.values())]
    if len(best) == 1:
        return Roots((best[0],))
    root = _common(told)
    return Roots() if not root or any(path[len(root) + 1 :] in names for path in told) else Roots((root,))


def _common(paths: Iterable[str]) -> str:
    return common_directory(path.rpartition("/")[0] for path in paths)
