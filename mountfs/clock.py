"""Time and stamps, the only clock of the store: injected, so that tests decide what time it is."""

import secrets
import time
from typing import Protocol


class Clock(Protocol):
    def now_ns(self) -> int:
        """Wall-clock nanoseconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...


class SystemClock:
    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic(self) -> float:
        return time.monotonic()


class Stamps:
    """Hybrid logical clock (BUCKET.md): text of fixed width `<12 hex: ms>-<4 hex: counter>-<writer>`.

    Stamps of one writer only rise, also when the wall clock goes back. `writer` is random, new at every start.
    """

    def __init__(self, clock: Clock, *, writer: str | None = None) -> None:
        self._clock = clock
        self.writer = writer or secrets.token_hex(4)
        self._last = (0, 0)

    def next(self) -> str:
        """A stamp above all that this machine has given out or observed."""
        milliseconds = self._clock.now_ns() // 1_000_000
        last, counter = self._last
        if milliseconds > last:
            self._last = (milliseconds, 0)
        elif counter < 0xFFFF:
            self._last = (last, counter + 1)
        else:
            self._last = (last + 1, 0)
        return f"{self._last[0]:012x}-{self._last[1]:04x}-{self.writer}"

    @property
    def last(self) -> str:
        """The highest time given out or observed, for `observe` after a restart."""
        return f"{self._last[0]:012x}-{self._last[1]:04x}"

    def observe(self, stamp: str) -> None:
        """Keep later stamps above this one."""
        if stamp:
            self._last = max(self._last, (int(stamp[:12], 16), int(stamp[13:17], 16)))
