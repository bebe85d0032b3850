"""How long work shows how far it is: a bar on a terminal, plain lines elsewhere, all of it on stderr."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from mountfs.cli import complain, legible
from mountfs.cli.output import shown_size

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PLAIN_SECONDS = 5.0  # between two lines in a log


class Shown:
    """Bytes of a total, with a few words before them. A context manager; `show` as often as one likes."""

    def __init__(self, *, seconds_between: float = PLAIN_SECONDS) -> None:
        self._terminal = sys.stderr.isatty()
        self._between = seconds_between
        self._last = time.monotonic()
        self._said = ""
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> "Shown":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def show(self, words: str, *, done_bytes: int, total_bytes: int) -> None:
        if self._terminal:
            self._show_bar(words, done_bytes, total_bytes)
            return
        line = f"{words}, {shown_size(done_bytes)} of {shown_size(total_bytes)}"
        if line != self._said and time.monotonic() - self._last >= self._between:
            self._said, self._last = line, time.monotonic()
            complain(line)

    def _show_bar(self, words: str, done_bytes: int, total_bytes: int) -> None:
        progress, task = self._bar()
        progress.update(task, description=legible(words), completed=done_bytes, total=total_bytes or None)

    def _bar(self) -> "tuple[Progress, TaskID]":
        if self._progress is None or self._task is None:
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                DownloadColumn(),
                TransferSpeedColumn(),
            )
            self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
            self._task = self._progress.add_task("", total=None)
            self._progress.start()
        return self._progress, self._task
