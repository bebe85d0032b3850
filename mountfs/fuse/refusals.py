"""The last requests that a rule refused, or the bucket: who asked for what, and the sentence that no errno carries."""

import time
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path

from mountfs.errors import MountfsError
from mountfs.store.store import Store

KEPT = 50


@dataclass(frozen=True, slots=True)
class Refusal:
    time: float
    program: str
    pid: int
    path: str
    request: str
    error: str
    sentence: str


class Refusals:
    """A bounded list, newest last, for `mountfs status`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: deque[Refusal] = deque(maxlen=KEPT)

    def add(self, pid: int, path: str, request: str, error: MountfsError) -> None:
        self._kept.append(
            Refusal(time.time(), program_of(pid), pid, path, request.strip("_"), type(error).__name__, str(error))
        )

    def as_json(self) -> list[dict[str, object]]:
        return [asdict(refusal) for refusal in self._kept]


def program_of(pid: int) -> str:
    """The name of a process; empty when it has gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
    except OSError:
        return ""
