"""Four programs that write into a mount until it dies: `python -m tests.crash.writers KIND DIRECTORY SEED`.

Before an operation each says on its stdout what a path may become by it, and afterwards that it was acknowledged,
in lines short enough to be written in one piece, so that all of them share one pipe.
"""

import contextlib
import hashlib
import itertools
import json
import os
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

PIECE_BYTES = 128 << 10
REMOVED = "removed"


def say(**facts: object) -> None:
    os.write(1, json.dumps(facts).encode() + b"\n")


@contextlib.contextmanager
def acknowledging(path: Path, becomes: str, **more: object) -> Iterator[None]:
    """What happens in the block makes `path` have the digest `becomes`; its end is the acknowledgement."""
    say(path=str(path), may=becomes)
    yield
    say(path=str(path), done=becomes, **more)


def some_bytes(rng: random.Random, length: int) -> bytes:
    """Half of them compress well."""
    if rng.random() < 0.5:
        return rng.randbytes(length)
    return (rng.randbytes(60).hex().encode() * (length // 120 + 1))[:length]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def write_file(path: Path, content: bytes, *, flags: int = os.O_CREAT | os.O_TRUNC, fsync: bool = False) -> None:
    fd = os.open(path, os.O_WRONLY | flags, 0o644)
    try:
        for start in range(0, len(content), PIECE_BYTES):
            os.write(fd, content[start : start + PIECE_BYTES])
        if fsync:
            os.fsync(fd)
    finally:
        os.close(fd)


def small_files_with_tags(directory: Path, rng: random.Random) -> None:
    for number in itertools.count():
        path = directory / f"small-{number}"
        content = some_bytes(rng, rng.choice([0, 10, 700, 10_000, 40_000, 60_000]))
        with acknowledging(path, sha256(content)):
            write_file(path, content)
        if number % 3 == 0:
            os.setxattr(path, "user.pr", str(number).encode())
            say(path=str(path), tag=str(number))


def large_files(directory: Path, rng: random.Random) -> None:
    for number in itertools.count():
        path = directory / f"large-{number % 8}"
        content = some_bytes(rng, rng.randrange(70_000, 4_000_000))
        if path.exists():
            with acknowledging(path, REMOVED):
                path.unlink()
        with acknowledging(path, sha256(content)):
            write_file(path, content)


def saves_by_rename(directory: Path, rng: random.Random) -> None:
    for number in itertools.count():
        path = directory / f"saved-{number % 10}"
        content = some_bytes(rng, rng.choice([100, 5_000, 50_000, 90_000]))
        write_file(path.with_suffix(".tmp"), content)
        with acknowledging(path, sha256(content)):
            os.rename(path.with_suffix(".tmp"), path)
        if rng.random() < 0.1:
            with acknowledging(path, REMOVED):
                os.unlink(path)


def appended_logs(directory: Path, rng: random.Random) -> None:
    contents: dict[Path, bytes] = {}
    for number in itertools.count():
        path = directory / f"log-{number % 3}"
        line = some_bytes(rng, rng.choice([80, 80, 80, 3_000, 100_000]))
        contents[path] = contents.get(path, b"") + line
        with acknowledging(path, sha256(contents[path])):
            write_file(path, line, flags=os.O_CREAT | os.O_APPEND, fsync=rng.random() < 0.3)


WRITERS: dict[str, Callable[[Path, random.Random], None]] = {
    "small": small_files_with_tags,
    "large": large_files,
    "saves": saves_by_rename,
    "logs": appended_logs,
}

if __name__ == "__main__":
    with contextlib.suppress(OSError):  # the mount has gone
        WRITERS[sys.argv[1]](Path(sys.argv[2]), random.Random(f"{sys.argv[1]}/{sys.argv[3]}"))
