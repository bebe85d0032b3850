"""Which reports of a job belong together: legs of a matrix stand side by side, a retry has the later word.

Nothing in a report says which it is, so the path does: `attempt-2/junit.xml` and `junit-rerun.xml` come after
`junit.xml`, `py312/junit.xml` stands beside it. To take a leg for a retry would hide its failures; the rule therefore
asks for one of three words, and a later word counts for the tests that the earlier report has too.
"""

import re
from collections.abc import Iterable
from typing import Final

_RETRY: Final = re.compile(r"(?i)(?:(?<=[/._-])|^)(attempt|retry|rerun)s?[-_.]?(\d{1,3})?(?=[/._-]|$)")
_EDGES: Final = re.compile(r"[-_.]+(?=[./]|$)|(?<=/)[-_.]+(?=\w)|/(?=/)|^/+")


def attempt_of(path: str) -> tuple[str, int]:
    """The path without the word that says which attempt it is, and which: 1 where none does."""
    found = _RETRY.search(path)
    if found is None:
        return path, 1
    left = _EDGES.sub("", path[: found.start()] + path[found.end() :])
    number = int(found[2] or (2 if found[1].lower() == "attempt" else 1))
    return left, number if found[1].lower() == "attempt" else number + 1


def by_leg(paths: Iterable[str]) -> dict[str, tuple[str, int]]:
    """Of each path its leg (the path of its first attempt) and its attempt.

    A retry whose leg has no report of its own name belongs to the only other one beside it, if there is one.
    """
    told = {path: attempt_of(path) for path in paths}
    firsts = {leg for path, (leg, _) in told.items() if leg == path}
    return {path: (_leg(path, leg, firsts), attempt) for path, (leg, attempt) in told.items()}


def _leg(path: str, leg: str, firsts: set[str]) -> str:
    if leg == path or leg in firsts:
        return leg
    folder = leg.rpartition("/")[0]
    beside = [first for first in firsts if first.rpartition("/")[0] == folder]
    return beside[0] if len(beside) == 1 else leg
