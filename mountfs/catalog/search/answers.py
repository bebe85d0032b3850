"""What the index answers, as values."""

from dataclasses import dataclass

from mountfs.catalog.tables import Value


@dataclass(frozen=True, slots=True)
class Found:
    """An artifact as the index knows it. `job`, `path` are as the names are stored; `path` is below the job."""

    ino: int
    job: bytes
    path: bytes
    kind: str
    type: str
    mime: str
    format: str | None
    size: int
    stored: int
    created_ns: int
    modified_ns: int
    published_ms: int
    expires_s: int | None
    pinned: bool
    recovered: bool

    @property
    def key(self) -> str:
        return (self.job + b"/" + self.path).decode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class Order:
    """By which field, and whether the greatest comes first. `job` is the order of keys."""

    field: str = "published"
    descending: bool = True


NEWEST = Order()

Cursor = tuple[Value, Value]
"""Where a page ended: what the order compares of its last row."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows in their order, and where to go on; None: there are no more."""

    rows: list[Found]
    next: Cursor | None


@dataclass(frozen=True, slots=True)
class JobFound:
    """A job of which artifacts were found; `whole`: all that it has."""

    name: bytes
    ino: int
    whole: bool


@dataclass(frozen=True, slots=True)
class Below:
    """A name in a directory of a job: the artifact `ino` that was found, or 0: a directory that has some below it."""

    name: bytes
    ino: int

    @property
    def is_directory(self) -> bool:
        return self.ino == 0

    @property
    def after(self) -> bytes:
        """To go on behind it. Directories come where their names with a `/` would."""
        return self.name + b"/" if self.is_directory else self.name


@dataclass(frozen=True, slots=True)
class Sum:
    """How much there is of something; `name` is a job, a type, a day or the value of a tag."""

    name: bytes
    artifacts: int
    size: int
    stored: int
