"""Where SARIF's findings are: paths below the directory of the run, as its `originalUriBaseIds` say which that is.

A base is a directory with a name (`%SRCROOT%`), absolute or below another base. The one that most results lie below is
where the project begins; what lies elsewhere keeps the path of its base before it, so that two files stay two.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import unquote

from mountfs.reports.paths import plain_path
from mountfs.reports.shape import Json, at, number, text

_DEEPEST: Final = 10  # bases below bases; one may name itself
_URI_SIGNS: Final = 4096


class Paths:
    """The paths of one run; `results` are all of it."""

    def __init__(self, run: Mapping[str, Json], results: Sequence[Mapping[str, Json]]) -> None:
        self._artifacts = run.get("artifacts")
        bases = run.get("originalUriBaseIds")
        self._bases = bases if isinstance(bases, dict) else {}
        self._uris = {base: _directory(at(told, "uri")) for base, told in self._bases.items()}
        self._root = self._most_used(results)
        self._below = self._uris.get(self._root, "")

    def _most_used(self, results: Sequence[Mapping[str, Json]]) -> str:
        """The base of most results; where they name none, the only one there is."""
        named = (text(self._place(location_of(result)).get("uriBaseId")) for result in results)
        used = Counter(self._resolved(base)[0] for base in named if base)
        if used:
            return max(sorted(used), key=lambda base: used[base])
        return next(iter(self._bases)) if len(self._bases) == 1 else ""

    def of(self, location: Json) -> str:
        """The path of a physical location, as short as it still tells which file it is."""
        place = self._place(location)
        path = _plain(place.get("uri"))
        base, between = self._resolved(text(place.get("uriBaseId")))
        if path and base and not _is_whole(path):
            path = between + path if base == self._root else f"{self._uris.get(base) or base + '/'}{between}{path}"
        return path.removeprefix(self._below) if len(self._below) > 1 else path

    def _place(self, location: Json) -> Mapping[str, Json]:
        """The location's own words, else those of the run's list of artifacts at its index."""
        place = at(location, "artifactLocation")
        index, artifacts = number(at(place, "index")), self._artifacts
        if index is not None and isinstance(artifacts, list) and 0 <= index < len(artifacts) and not at(place, "uri"):
            place = at(artifacts[int(index)], "location")
        return place if isinstance(place, dict) else {}

    def _resolved(self, base: str) -> tuple[str, str]:
        """The base that this one lies below, and the way from there to it."""
        between = ""
        for _ in range(_DEEPEST):
            above, uri = text(at(self._bases.get(base), "uriBaseId")), self._uris.get(base, "")
            if not above or _is_whole(uri):
                break
            base, between = above, uri + between
        return base, between


def location_of(result: Mapping[str, Json]) -> Json:
    """The first of the result's physical locations."""
    return first(at(first(result.get("locations")), "physicalLocation"))


def first(value: Json) -> Json:
    return value[0] if isinstance(value, list) and value else value if isinstance(value, dict) else None


def _plain(uri: Json) -> str:
    return plain_path(unquote(text(uri)[:_URI_SIGNS]))


def _directory(uri: Json) -> str:
    """With `/` at its end; empty where none is told."""
    path = _plain(uri)
    return path if not path or path.endswith("/") else f"{path}/"


def _is_whole(path: str) -> bool:
    """Whether it needs no base: absolute, or with a drive or a scheme."""
    return path.startswith("/") or ":" in path.partition("/")[0]
