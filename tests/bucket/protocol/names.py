"""What worlds are made of: jobs, paths and contents by name, and keys as a trace shows them."""

from collections.abc import Iterable
from random import Random
from typing import Final

from mountfs import objects
from mountfs.model import Digest
from mountfs.records import Record
from tests.bucket.protocol.truth import digest_in

MINUTE: Final = 60_000
BEGIN_MS: Final = 1_795_000_000_000
JOBS: Final = ("j", "k")
PATHS: Final = ("p", "q")
DEEP_PATHS: Final = ("p", "d", "d/p", "d/e", "d/e/p", "c")
CONTENTS: Final = tuple(
    Random(number).randbytes(40_000) if number % 2 else b"small content %d" % number for number in range(4)
)
"""What is written: odd ones are large."""

DIGESTS: Final = tuple(Digest.of(content) for content in CONTENTS)


def job_of(key: str) -> str | None:
    """The job of a key below `jobs/`."""
    part = objects.job_part(key)
    return None if part is None else (objects.decode_name(part) or b"").decode()


def shown(key: str) -> str:
    """A key with minutes instead of dates, and contents by number."""
    job, _, name = key.removeprefix(objects.JOBS).partition("/")
    when, _, rest = name.partition("-")
    ms = objects.parse_when(when)
    return key if ms is None else f"{job}/{(ms - BEGIN_MS) // MINUTE}-{rest[9:17]}{_suffix(rest[17:])}"


def _suffix(rest: str) -> str:
    digest = rest.removeprefix("-").removesuffix(".zst")
    return f"-{content_name(digest)}" if len(digest) == 64 else rest


def content_name(digest: str) -> str:
    return next((f"D{number}" for number, known in enumerate(DIGESTS) if known.hex() == digest), digest[:8])


def told(records: Iterable[Record]) -> str:
    """Records in few words."""
    said = []
    for record in records:
        digest = digest_in(record.set.get("content"))
        what = content_name(digest) if digest else ",".join(record.set)
        said.append(f"{record.path.decode() or '.'}: {'clear ' if record.clear else ''}{what}")
    return "; ".join(said)
