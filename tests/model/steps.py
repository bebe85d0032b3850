"""The operations of the model test, each a value that prints as the Python that repeats it.

A step can be run in any state: what it needs and does not find makes it `Skipped` or an errno, so a recorded
list of steps stays meaningful when some of them are left out. Those on content are in `content_steps`, those
on names and attributes in `name_steps`; here is what all share, and the steps on the file system itself.
"""

import hashlib
import random
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from tests.model.tree import Tree, Value


class Step(Protocol):
    """One operation on one tree; raises `OSError` or `Skipped`, returns what its caller sees."""

    def run(self, tree: Tree) -> Value: ...


@lru_cache(maxsize=32)
def pattern(seed: int, length: int) -> bytes:
    """Bytes that tell where they came from: text that compresses for even seeds, noise for odd ones."""
    if seed % 2:
        return random.Random(seed).randbytes(length)
    lines = (b"%d line %d of a log that compresses\n" % (seed, number) for number in range(length // 24 + 1))
    return b"".join(lines)[:length]


def summary(content: bytes) -> Value:
    """Enough of `content` to compare it and to recognise it in a report."""
    return len(content), hashlib.sha256(content).hexdigest()[:16], content[:24]


# --- the file system itself: done by the model, which holds both sides


@dataclass(frozen=True)
class Compare:
    """Compare both trees whole."""

    def run(self, tree: Tree) -> Value:
        raise NotImplementedError


@dataclass(frozen=True)
class Settle:
    """Wait, with everything open, until what was written is stored in its final form."""

    def run(self, tree: Tree) -> Value:
        raise NotImplementedError


@dataclass(frozen=True)
class Restart:
    """Close everything, stop cleanly, start again, compare."""

    def run(self, tree: Tree) -> Value:
        raise NotImplementedError


@dataclass(frozen=True)
class Kill:
    """SIGKILL with files open, start again: what was acknowledged is there."""

    def run(self, tree: Tree) -> Value:
        raise NotImplementedError
