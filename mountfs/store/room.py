"""Space: reserved before it is written, so that a limit is met by the write that would cross it.

The quota counts stored bytes of settled content and plain bytes of everything not settled yet; the budget of the
cache counts what of that is on this machine. The disk keeps a reserve that ordinary writes may not use, so that
removing still works when it is full.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mountfs.codec import FRAME_BYTES, MAX_FRAMES
from mountfs.errors import ArtifactTooLarge, CacheFull, QuotaExceeded

RESERVE_BYTES = 16 << 20  # free bytes that ordinary writes leave: one full write-ahead log of removals
MOST_BYTES = MAX_FRAMES * FRAME_BYTES
LOW = 3  # less than this part of the reserve: evicted without being asked
CHECK_BYTES = 8 << 20  # the disk is asked again after this many bytes at the latest


@dataclass(frozen=True, slots=True)
class Budget:
    """How much of the contents stays on this machine; above `high_bytes` it is brought down to `low_bytes`."""

    most_bytes: int
    high_bytes: int
    low_bytes: int


class NoRoomYet(CacheFull):
    """Nothing was taken, but evicting, or an upload that ends, may make room: whoever can wait asks the cache for it.

    `lacking_bytes` have to go from here; `on_disk`: from the disk, not only from the budget.
    """

    def __init__(self, sentence: str, *, lacking_bytes: int = 0, on_disk: bool = False) -> None:
        super().__init__(sentence)
        self.lacking_bytes = lacking_bytes
        self.on_disk = on_disk


class Room:
    """Reservations in plain bytes. `stored_bytes` asks the catalog; it is asked only after something settled.

    `here_bytes` asks it for what settled contents cost on this machine. A store without a bucket has no budget.
    """

    def __init__(
        self, state: Path, *, quota_bytes: int, max_artifact_bytes: int, stored_bytes: Callable[[], int],
        here_bytes: Callable[[], int] = lambda: 0, budget: Budget | None = None,
    ) -> None:  # fmt: skip
        self._state = state
        self.quota_bytes = quota_bytes
        self.max_artifact_bytes = max_artifact_bytes
        self.budget = budget
        self._ask_stored_bytes = stored_bytes
        self._here_bytes = here_bytes
        self._stored_bytes: int | None = None
        self.reserved_bytes = 0
        self._disk_allowance = 0
        self._expected_bytes = 0  # that the disk is going to take, and may not show yet
        self.reclaim: Callable[[], None] = lambda: None
        self.evict: Callable[[int], int] = lambda lacking_bytes: 0  # at once; how much that frees
        self.crowded: Callable[[], None] = lambda: None  # more is here than the budget's high mark
        self.drop_trash: Callable[[int], bool] = lambda wanted_bytes: False  # frees disk; whether there was any

    def check_size(self, size: int) -> None:
        """Refuse a file larger than the limit, before a byte of it is written."""
        if size > MOST_BYTES:
            raise ArtifactTooLarge(f"{size} bytes exceeds limit of {MOST_BYTES} bytes, the most any artifact can have")
        if self.max_artifact_bytes and size > self.max_artifact_bytes:
            raise ArtifactTooLarge(f"{size} bytes exceeds limit of {self.max_artifact_bytes} bytes for one artifact")

    def reserve(self, growth: int) -> None:
        """Take `growth` plain bytes, or raise QuotaExceeded or CacheFull and take nothing."""
        if growth <= 0:
            self.reserved_bytes += growth
            return
        if self.quota_bytes and self.used_bytes() + growth > self.quota_bytes:
            self.reclaim()
            self.stored_changed()  # what went into the trash counts no more
            if self.used_bytes() + growth > self.quota_bytes:
                raise QuotaExceeded(
                    f"the quota of {self.quota_bytes} bytes is used up ({self.used_bytes()} bytes): remove something"
                )
        if self.budget is not None:
            self._reserve_here(self.budget, growth)
        self.reserved_bytes += growth

    def _reserve_here(self, budget: Budget, growth: int) -> None:
        here_bytes = self.here_bytes() + growth
        if here_bytes > budget.most_bytes:
            self.evict(here_bytes - budget.most_bytes)
            here_bytes = self.here_bytes() + growth
        if here_bytes > budget.high_bytes:
            self.crowded()
        if here_bytes > budget.most_bytes:
            raise NoRoomYet(
                f"the cache of {budget.most_bytes} bytes is full of what the bucket does not have yet, or was pinned",
                lacking_bytes=here_bytes - budget.most_bytes, on_disk=False,
            )  # fmt: skip

    def here_bytes(self) -> int:
        """What contents and drafts cost on this machine."""
        return self._here_bytes() + self.reserved_bytes

    def reserve_anyway(self, growth: int) -> None:
        """Count bytes that are there already."""
        self.reserved_bytes += growth

    def take_disk(self, length: int) -> None:
        """Before `length` bytes are written: leave the reserve of the disk alone. Raises CacheFull."""
        if length <= self._disk_allowance:
            self._disk_allowance -= length
            return
        free, reserve = self._free_and_reserve()
        if free - reserve < length:
            self.reclaim()
            free, reserve = self._free_and_reserve()
            if free - reserve < length and self.evict(length + reserve - free):
                self.reclaim()
                free, reserve = self._free_and_reserve()
            while free - reserve < length and self.drop_trash(length + reserve - free):
                free, reserve = self._free_and_reserve()
            if free - reserve < length:
                raise NoRoomYet(
                    "no space left on the disk that holds the state directory", lacking_bytes=length - (free - reserve),
                    on_disk=True,
                )  # fmt: skip
        self._disk_allowance = max(0, min(CHECK_BYTES, (free - reserve - length) // 4))

    def expect_on_disk(self, length: int) -> None:
        """Like `take_disk`, for what others cannot see on the disk yet: it counts until `disk_came`."""
        self.take_disk(length)
        self._expected_bytes += length

    def disk_came(self, length: int) -> None:
        """What was expected is on the disk, or does not come."""
        self._expected_bytes -= length

    def disk_low(self, *, has_ballast: bool) -> int:
        """How much has to go so that the catalog can be written whatever comes; 0 while it can."""
        free, reserve = self._free_and_reserve()
        return 0 if has_ballast and free >= reserve // LOW else max(0, reserve - free)

    def disk_holds(self) -> int:
        """The most that contents may come to on this disk, whatever goes."""
        free, reserve = self._free_and_reserve()
        return max(0, free - reserve + self.here_bytes())

    def _free_and_reserve(self) -> tuple[int, int]:
        found = os.statvfs(self._state)
        free = found.f_bavail * found.f_frsize - self._expected_bytes
        return free, min(RESERVE_BYTES, found.f_blocks * found.f_frsize // 8)

    def used_bytes(self) -> int:
        if self._stored_bytes is None:
            self._stored_bytes = self._ask_stored_bytes()
        return self._stored_bytes + self.reserved_bytes

    def stored_changed(self) -> None:
        """Something settled or went: ask the catalog again when it matters."""
        self._stored_bytes = None
