"""A remote that fails on purpose, before or after the effect: to the caller it looks the same."""

import random
from collections.abc import Callable, Iterator
from typing import Literal, TypeAlias, TypeVar

from mountfs.errors import RemoteUnavailable
from mountfs.remote.around import Around
from mountfs.remote.protocol import Remote

T = TypeVar("T")

When: TypeAlias = Literal["before", "after"] | None


class Faulty(Around):
    """`plan` says for each request, by its kind, when it fails."""

    def __init__(self, inner: Remote, plan: Callable[[str], When]) -> None:
        super().__init__(inner)
        self._plan = plan

    def _through(self, kind: str, request: Callable[[], T], *, up_bytes: int = 0) -> T:
        when = self._plan(kind)
        if when == "before":
            raise RemoteUnavailable(f"{kind} fails before its effect")
        answer = request()
        if when == "after":
            raise RemoteUnavailable(f"{kind} fails after its effect")
        return answer


def in_turn(*whens: When) -> Callable[[str], When]:
    """These, one after the other, then never again."""
    left: Iterator[When] = iter(whens)
    return lambda kind: next(left, None)


def now_and_then(seed: int, *, often: float = 0.5) -> Callable[[str], When]:
    """By chance, the same for the same seed."""
    chance = random.Random(seed)

    def plan(kind: str) -> When:
        if chance.random() > often:
            return None
        return chance.choice(("before", "after"))

    return plan
