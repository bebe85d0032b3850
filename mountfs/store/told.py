"""What the feed told of jobs, as rows: made where no catalog is, by a process that folds, and taken in by `bulk`.

Nothing but shapes of plain values, which `marshal` carries from one process to the other.
"""

from typing import NamedTuple, TypeAlias

from mountfs.records import Value

Row: TypeAlias = tuple[int | str | bytes | None, ...]
"""One path that exists: (parent, name, kind, mode, uid, gid, size, mtime_ns, ctime_ns, birth_ns, target, stamp,
mode_stamp, owner_stamp, mtime_stamp, digest, stored, codec). `parent` is the number of another row before this one; of
the first row, which is the job, it is -1.

(parent, name, time_ns) alone is a directory that something lies in, whoever made it: `time_ns` is that of the newest.
"""

PARENT, NAME, KIND, SIZE, MTIME, CTIME, STAMP, DIGEST, STORED, CODEC = 0, 1, 2, 6, 7, 8, 11, 15, 16, 17
SHORT = 3


Register: TypeAlias = tuple[int, str, bytes | None, str]
"""(row, name, value, stamp) of a tag or the like of a row; value None: it was taken away, only that stamp counts."""

Other: TypeAlias = tuple[bytes, str, dict[str, tuple[str, Value]]]
"""(path, clear, registers) of a path that is no row: it does not exist, or it has something that a row does not say."""


class Told(NamedTuple):
    """A job as far as some bundles tell of it: all of `sources` say something here, all of `complete` end here.

    `clears` are (path, stamp) of rows that begin with a clear.
    """

    job: bytes
    sources: list[str]
    complete: list[str]
    rows: list[Row]
    registers: list[Register]
    clears: list[tuple[bytes, str]]
    others: list[Other]


class Piece(NamedTuple):
    """As much as is taken in at a time. `stamp` is the highest that may be followed."""

    told: list[Told]
    records: int
    stamp: str
    refused: list[str]


def told_of(raw: tuple[object, ...]) -> Piece:
    """A piece as another process sent it."""
    told, records, stamp, refused = raw
    return Piece([Told(*one) for one in told], records, stamp, refused)  # type: ignore[attr-defined,arg-type]
