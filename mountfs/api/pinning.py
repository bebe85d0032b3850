"""Pins, and that other machines know of them: what is pinned here must not be deleted there a moment later."""

import abc
import logging
import time
from pathlib import Path
from typing import Final

from mountfs import namespace
from mountfs.api.keys import Key, Names, names_of
from mountfs.errors import MountfsError

log = logging.getLogger(__name__)

PINNED, LOOSE = b"1", b"0"
NOT_TOLD: Final = "other machines will know when the bucket answers"


class Pinning(abc.ABC):
    """Part of `ArtifactStore`."""

    mountpoint: Path

    def pin(self, key: Key, *more: Key) -> bool:
        """Keep an artifact, or a directory with all below it: it never expires, and keeps its name until `unpin`.

        Its content may still be written to. With a bucket it returns when the bucket was told, with all that its job
        owes, so that no other machine removes it; False where the bucket did not answer within `patience_seconds`:
        then it is told as soon as it does. Raises NotFound.
        """
        return self._pin((key, *more), PINNED)

    def unpin(self, key: Key, *more: Key) -> bool:
        """Let go of what `pin` keeps; of what is not pinned itself nothing changes. Tells the bucket as `pin` does.

        Raises NotFound.
        """
        return self._pin((key, *more), LOOSE)

    def _pin(self, keys: tuple[Key, ...], value: bytes) -> bool:
        known = [names_of(key, self.mountpoint) for key in keys]
        for names in known:
            self._set_pinned(names, value)
        return self._tell(sorted({names[0] for names in known}))

    def _tell(self, jobs: list[bytes]) -> bool:
        """Whether the bucket knows now, or there is none."""
        patience_seconds = self._patience_seconds()
        if patience_seconds is None:
            return True
        until = time.monotonic() + patience_seconds
        try:
            for job in jobs:
                self.flush(namespace.join_key((job,)), timeout=max(0.0, until - time.monotonic()))
        except MountfsError as error:  # it is pinned here whatever the bucket says
            log.info("the bucket was not told of a pin yet: %s", error)
            return False
        return True

    @abc.abstractmethod
    def flush(self, key: Key | None = None, *, timeout: float | None = None) -> None:
        """See `ArtifactStore`."""

    @abc.abstractmethod
    def _set_pinned(self, names: Names, value: bytes) -> None:
        """Pin or let go, here. Raises NotFound."""

    @abc.abstractmethod
    def _patience_seconds(self) -> float | None:
        """How long the bucket is waited for; None without one."""
