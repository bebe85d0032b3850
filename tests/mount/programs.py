"""Other processes for tests: programs that must succeed, and Python of ours that runs beside the test."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

PROGRAM_SECONDS = 200


def run(*words: str | Path, cwd: Path | None = None, environment: dict[str, str] | None = None) -> str:
    """Standard output of a program that ended with 0; anything else fails the test with what it said."""
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env=_clean_environment() | (environment or {}),
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=PROGRAM_SECONDS,
    )
    assert done.returncode == 0, f"{words} ended with {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def shell(script: str, *, cwd: Path) -> str:
    """Standard output of a shell script that stops at its first error."""
    return run("sh", "-euc", script, cwd=cwd)


class Companion:
    """A Python program beside the test that says a line when asked for one, and ends when told to."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def wait_for(self, line: str) -> None:
        """Return when the program has printed `line` next."""
        assert self.process.stdout is not None
        said = self.process.stdout.readline().rstrip("\n")
        assert said == line, f"{said!r} instead of {line!r}"

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def last_words(self) -> list[str]:
        """What it printed and nobody read yet, once it has ended by itself with 0."""
        assert self.process.stdout is not None
        lines = self.process.stdout.read().splitlines()
        assert self.process.wait(PROGRAM_SECONDS) == 0
        return lines

    def finish(self) -> None:
        """Close its input and wait for its end with 0."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(PROGRAM_SECONDS) == 0


@contextlib.contextmanager
def companion(code: str, *arguments: str | Path) -> Iterator[Companion]:
    """Run Python `code` beside the block; what still runs after it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *[str(argument) for argument in arguments]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield Companion(process)
        finally:
            if process.poll() is None:
                process.kill()


def run_at_once(code: str, argument_lists: Sequence[Sequence[str | Path]]) -> None:
    """Run Python `code` once for each list of arguments, all at the same time; each must end with 0."""
    with contextlib.ExitStack() as stack:
        started = [stack.enter_context(companion(code, *arguments)) for arguments in argument_lists]
        for one in started:
            one.finish()


def _clean_environment() -> dict[str, str]:
    """Ours, without what would make a program inside a test believe it is part of this test run."""
    unwanted = ("PYTEST_", "COV_", "COVERAGE_", "GIT_", "MOUNTFS_", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
