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
        return time.clock_gettime(_SINCE_BOOT)


_SINCE_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # the first goes on while a laptop sleeps
WAS_SET_MS = 2000  # a wall clock that is further than this from where it should be was set meanwhile
RUNS_AHEAD_MS = 3_600_000  # a stamp further ahead of the server than this never becomes one's own clock

LATEST_NS = 9_223_372_036 * 1_000_000_000  # what 63 bits hold, in whole seconds


class Stamps:
    """Hybrid logical clock (BUCKET.md): text of fixed width `<12 hex: ms>-<4 hex: counter>-<writer>`.

    Stamps of one writer only rise, also when the wall clock goes back. `writer` is random, new at every start.
    `offset_ms` is what the server's clock is ahead of this machine's.
    """

    def __init__(self, clock: Clock, *, writer: str | None = None) -> None:
        self._clock = clock
        self.writer = writer or secrets.token_hex(4)
        self.offset_ms = 0
        self._anchor: tuple[int, float] | None = None  # both clocks of this machine at the last answer
        self._last = (0, 0)

    @property
    def is_told(self) -> bool:
        """Whether a server has told its time since the start."""
        return self._anchor is not None

    def heard(self, server_ms: int, *, began_ms: int, ended_ms: int) -> None:
        """The server's clock showed this, in whole seconds, at some time between the two of this machine's.

        The offset moves only as far as the answer proves it wrong.
        """
        wall_ms = self._clock.now_ns() // 1_000_000
        if self._wall_ms() != wall_ms or not began_ms <= ended_ms <= wall_ms:  # it was set since the last answer
            began_ms = ended_ms = wall_ms
        least, most = server_ms - ended_ms, server_ms + 999 - began_ms
        self.offset_ms = min(max(self.offset_ms, least), most)
        self._anchor = (wall_ms, self._clock.monotonic())

    def now_ms(self) -> int:
        """The server's time as far as it is known; this machine's, before a server was asked."""
        return self._wall_ms() + self.offset_ms

    def _wall_ms(self) -> int:
        """The wall clock; where it would be, when somebody has set it since the last answer."""
        wall_ms = self._clock.now_ns() // 1_000_000
        if self._anchor is None:
            return wall_ms
        due_ms = self._anchor[0] + int((self._clock.monotonic() - self._anchor[1]) * 1000)
        return wall_ms if abs(wall_ms - due_ms) <= WAS_SET_MS else due_ms

    def next(self, *, above: str = "") -> str:
        """A stamp above all that this machine has given out or observed, and above that one.

        One that runs far ahead is outdone by this stamp alone: the clock does not follow it.
        """
        self._last = max(_after(self._last), (self.now_ms(), 0))
        if not above or above < self._text(self._last):
            return self._text(self._last)
        if _parsed(above)[0] <= self.now_ms() + RUNS_AHEAD_MS:
            self._last = _after(_parsed(above))
            return self._text(self._last)
        return self._text(_after(_parsed(above)))

    def _text(self, time: tuple[int, int]) -> str:
        return f"{time[0]:012x}-{time[1]:04x}-{self.writer}"

    @property
    def last(self) -> str:
        """The highest time given out or observed, for `observe` after a restart."""
        return f"{self._last[0]:012x}-{self._last[1]:04x}"

    def observe(self, stamp: str) -> bool:
        """Keep later stamps above this one; False where it runs more than an hour ahead, and is not followed."""
        if not stamp:
            return True
        time = _parsed(stamp)
        if time[0] > self.now_ms() + RUNS_AHEAD_MS:
            return False
        self._last = max(self._last, time)
        return True

    def resume(self, last: str) -> None:
        """Go on from what this machine itself had given out, whatever its clock says now."""
        if last:
            self._last = max(self._last, _parsed(last))


def milliseconds_of(stamp: str) -> int:
    """The time a stamp tells, in ms since the epoch; 0 for the empty stamp."""
    return int(stamp[:12], 16) if stamp else 0


def nanoseconds_of(stamp: str) -> int:
    """The same in ns, as times of files are kept: what is beyond the year 2262 is told as its spring."""
    return min(milliseconds_of(stamp) * 1_000_000, LATEST_NS)


def writer_of(stamp: str) -> str:
    return stamp[18:]


def _parsed(stamp: str) -> tuple[int, int]:
    return int(stamp[:12], 16), int(stamp[13:17], 16)


def _after(time: tuple[int, int]) -> tuple[int, int]:
    return (time[0], time[1] + 1) if time[1] < 0xFFFF else (time[0] + 1, 0)
