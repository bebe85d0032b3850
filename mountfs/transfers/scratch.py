"""Where the pieces of a large content gather while it comes: a file under `incoming/`, filled in any order."""

import os
from pathlib import Path

from mountfs.bucket.requests import Range, Request
from mountfs.contents import full_disk, pwrite_all
from mountfs.errors import CorruptContent
from mountfs.remote.protocol import Fetched, Remote

CHUNK_BYTES = 4 << 20


def chunks_of(start: int, end: int) -> range:
    """Chunks that hold these stored bytes."""
    return range(start // CHUNK_BYTES, -(-end // CHUNK_BYTES))


class Scratch:
    """The file in which the pieces gather; it goes with the last reader, but for one that became a content."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd = -1
        with full_disk():
            self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)

    def __del__(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
        self.path.unlink(missing_ok=True)


class Into(Request[Fetched]):
    """A range, straight into its place in a file."""

    def __init__(self, key: str, offset: int, length: int, fd: int, at: int) -> None:
        self._range = Range(key, offset, length)
        self._fd = fd
        self._at = at

    def run(self, remote: Remote) -> Fetched:
        fetched = self._range.run(remote)
        if len(fetched.data) != self._range.length:
            raise CorruptContent("integrity check: the object in the bucket ends too early")
        with full_disk():
            pwrite_all(self._fd, fetched.data, self._at)
        return fetched
