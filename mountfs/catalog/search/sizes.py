"""Plain sizes as they were published: what came since somebody looked, and what was at the same place in other jobs."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

from mountfs.catalog.search.values import JobThen
from mountfs.catalog.tables import Run

Cursor = tuple[int, int]
"""(when it was published, in ms; ino): what lies behind it came later."""

_CAME: Final = (
    "SELECT f.published_ms, f.ino, f.job, f.path, w.text, f.size, e.stamp, e.standing = 'closed' AND f.link = 0"
    " FROM found f INDEXED BY found_published CROSS JOIN entry e ON e.ino = f.ino CROSS JOIN word w ON w.id = f.type"
    " WHERE (f.published_ms, f.ino) > (?, ?) AND f.published_ms <= ? ORDER BY f.published_ms, f.ino LIMIT ?"
)
_AT: Final = (
    "SELECT f.size FROM found f INDEXED BY found_path CROSS JOIN word w ON w.id = f.type"
    " WHERE f.job = ? AND f.path = ? AND w.text = ? AND f.link = 0 AND f.published_ms < ?"
)


@dataclass(frozen=True, slots=True)
class Came:
    """An artifact that was published; `path` is below its job, `is_whole`: a file, and its writer has closed it."""

    published_ms: int
    ino: int
    job: int
    path: bytes
    type: bytes
    size: int
    stamp: str
    is_whole: int  # 0 or 1

    @property
    def cursor(self) -> Cursor:
        return self.published_ms, self.ino


class Sizes:
    """`run` reads the index within `snapshot`."""

    def __init__(self, run: Run, snapshot: Callable[[], AbstractContextManager[None]]) -> None:
        self._run = run
        self._snapshot = snapshot

    def came(self, after: Cursor, *, upto_ms: int, limit: int) -> list[Came]:
        """The next that were published, up to that moment, in their order."""
        with self._snapshot():
            return [Came(*row) for row in self._run(_CAME, (*after, upto_ms, limit))]

    def before(self, one: Came, jobs: Iterable[JobThen]) -> Iterator[int]:
        """What was at its place in these jobs, of its type and earlier than it, as far as somebody asks."""
        for job in jobs:
            with self._snapshot():
                row = self._run(_AT, (job.ino, one.path, one.type, one.published_ms)).fetchone()
            if row is not None and job.ino != one.job:
                yield int(row[0])
