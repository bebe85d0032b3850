"""Down through directories where strangers may write, name by name: no symlink leads out, and none is too deep.

A path may have 2,000 names: more than a process may have descriptors open, and longer than a system call takes. So only
the last few directories stay open, and one further up is opened again from the start, when somebody comes back to it.
"""

import os
from types import TracebackType
from typing import Final, Self

KEPT: Final = 32
"""Directories that are open at a time."""

DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Descent:
    """The way from the open directory `start`, which stays the caller's, down to where one is."""

    def __init__(self, start: int) -> None:
        self._start = start
        self._names: list[str] = []
        self._open: list[int] = []  # of the last names, as many as there are

    @property
    def here(self) -> int:
        """The directory where one is, open until one goes on. Raises OSError where the way is no more."""
        if self._names and not self._open:
            self._come_again()
        return self._open[-1] if self._open else self._start

    def down(self, name: str) -> None:
        """Into a directory. Raises OSError: ENOTDIR and ELOOP for what is none, a symlink to one too."""
        self._enter(name, self.here)
        self._names.append(name)

    def up(self) -> None:
        """Back to the directory above."""
        self._names.pop()
        if self._open:
            os.close(self._open.pop())

    def close(self) -> None:
        """Back to the start."""
        self._names.clear()
        self._let_go()

    def _enter(self, name: str, above: int) -> None:
        self._open.append(os.open(name, DIRECTORY, dir_fd=above))
        if len(self._open) > KEPT:
            os.close(self._open.pop(0))

    def _come_again(self) -> None:
        try:
            for name in self._names:
                self._enter(name, self._open[-1] if self._open else self._start)
        except OSError:
            self._let_go()
            raise

    def _let_go(self) -> None:
        while self._open:
            os.close(self._open.pop())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
