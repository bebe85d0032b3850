"""How long work shows how far it is: a bar on a terminal, plain lines elsewhere, all of it on stderr."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from mountfs.cli import complain, legible
from mountfs.cli.output import shown_size

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn, TaskID

PLAIN_SECONDS = 5.0  # between two lines in a log
SOON_SECONDS = 1.0  # what is done by then needs no bar


class Shown:
    """Bytes of a total, with a few words before them. A context manager; `show` as often as one likes."""

    def __init__(self, *, seconds_between: float = PLAIN_SECONDS) -> None:
        self._terminal = sys.stderr.isatty()
        self._between = seconds_between
        self._last = time.monotonic()
        self._said = ""
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
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
        self._say(f"{words}, {shown_size(done_bytes)} of {shown_size(total_bytes)}")

    def _say(self, line: str) -> None:
        if line != self._said and time.monotonic() - self._last >= self._between:
            self._said, self._last = line, time.monotonic()
            complain(line)

    def _show_bar(self, words: str, done_bytes: int, total_bytes: int) -> None:
        progress, task = self._bar()
        progress.update(task, description=legible(words), completed=done_bytes, total=total_bytes or None)

    def _bar(self) -> "tuple[Progress, TaskID]":
        if self._progress is None or self._task is None:
            from rich.console import Console
            from rich.progress import Progress

            self._progress = Progress(*self._columns(), console=Console(stderr=True), transient=True)
            self._task = self._progress.add_task("", total=None)
            self._progress.start()
        return self._progress, self._task

    def _columns(self) -> "tuple[ProgressColumn, ...]":
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn

        words = TextColumn("{task.description}", markup=False)
        return words, BarColumn(), DownloadColumn(), TransferSpeedColumn()


class Counted(Shown):
    """The same for things that are counted: `count` instead of `show`."""

    def count(self, words: str, *, done: int, total: int) -> None:
        if self._terminal:
            self._show_bar(words, done, total)
        else:
            self._say(f"{words}, {done} of {total}" if total else words)

    def _columns(self) -> "tuple[ProgressColumn, ...]":
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn

        return TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn()


class ReportsRead:
    """Called with how many reports were read, of how many; shown once that has taken a moment."""

    def __init__(self) -> None:
        self._began: float | None = None
        self._shown = Counted()

    def __call__(self, done: int, total: int) -> None:
        if self._began is None:
            self._began = time.monotonic()
        if done >= total:
            self._shown.__exit__(None, None, None)
            self._began, self._shown = None, Counted()
        elif time.monotonic() - self._began > SOON_SECONDS:
            self._shown.count("reading reports", done=done, total=total)
