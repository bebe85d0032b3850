"""Who is told of what, and in which order: a queue of deliveries with its limits. Nobody ever waits for one.

A receiver gets one event at a time, in order, so that one that hangs holds up only its own; four at most are told at
once. Where more wait than the queue holds, the oldest goes, and is counted.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from mountfs.events.telling import Told
from mountfs.events.values import EventKind

WAITING_MAX: Final = 1000  # a night on which so many jobs expire is told whole
AT_ONCE_MAX: Final = 4
OUTPUT_BYTES_MAX: Final = 4096


@dataclass(frozen=True, slots=True)
class Hook:
    """A receiver: a command without a shell, or a URL; exactly one of them."""

    on: frozenset[EventKind]
    command: tuple[str, ...] = ()
    url: str = ""
    timeout_seconds: float = 10

    @property
    def name(self) -> str:
        """For the log: of a URL its host only, since the rest of it is often a secret; of a command its program."""
        if self.command:
            return self.command[0]
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one receiver, the `hook`-th of the settings."""

    hook: int
    told: Told


class Deliveries:
    """`put` what happened, `take` what may be told now, say `done` when it was, however it went. On one thread."""

    def __init__(self, hooks: Iterable[Hook]) -> None:
        self.hooks = tuple(hooks)
        self.dropped = 0
        self._waiting: deque[Delivery] = deque()
        self._running: dict[int, str] = {}  # by receiver: the number of what it is told

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def wants(self, kind: EventKind) -> bool:
        """Whether anybody is to be told; whoever makes events may spare the work."""
        return any(kind in hook.on for hook in self.hooks)

    def put(self, told: Told) -> int:
        """Queue it for each receiver that wants it; how many older ones had to go for that."""
        for number, hook in enumerate(self.hooks):
            if told.event.kind in hook.on:
                self._waiting.append(Delivery(number, told))
        went = max(0, len(self._waiting) - WAITING_MAX)
        for _ in range(went):
            self._waiting.popleft()
        self.dropped += went
        return went

    def take(self) -> Delivery | None:
        """The oldest whose receiver is free, while fewer than four are told; None: not now."""
        if len(self._running) >= AT_ONCE_MAX:
            return None
        found = next((waiting for waiting in self._waiting if waiting.hook not in self._running), None)
        if found is not None:
            self._waiting.remove(found)
            self._running[found.hook] = found.told.number
        return found

    def done(self, delivery: Delivery) -> None:
        del self._running[delivery.hook]

    def numbers(self) -> set[str]:
        """Of all that wait, and of those that are being told."""
        return {waiting.told.number for waiting in self._waiting} | set(self._running.values())


class Tail:
    """What a command printed, the end of it: that is where the reason stands when it failed."""

    def __init__(self) -> None:
        self._kept = b""
        self.is_cut = False

    def add(self, printed: bytes) -> None:
        self.is_cut |= len(self._kept) + len(printed) > OUTPUT_BYTES_MAX
        self._kept = (self._kept + printed)[-OUTPUT_BYTES_MAX:]

    @property
    def text(self) -> str:
        """With `…` before it where something is missing."""
        return ("…" if self.is_cut else "") + self._kept.decode("utf-8", "replace").strip()
