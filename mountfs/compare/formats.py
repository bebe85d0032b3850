"""One run, written down in two formats, is counted once: which formats of each side are compared."""

from collections.abc import Hashable, Mapping
from collections.abc import Set as AbstractSet

Keys = Mapping[str, AbstractSet[Hashable]]
"""By format, what its reports tell of: tests, files."""


def choose_formats(keys: Keys, other: Keys) -> list[str]:
    """The formats to take of a side, those first that the other side has too: like with like.

    A format of which half is told by those already taken says the same run again, and is left out; one that tells
    of other things (a frontend beside a backend) is taken too.
    """
    order = sorted(keys, key=lambda name: (name not in other, -len(keys[name]), name))
    taken: list[str] = []
    known: set[Hashable] = set()
    for name in order:
        if taken and 2 * len(keys[name] & known) >= len(keys[name]):
            continue
        taken.append(name)
        known |= keys[name]
    return taken
