"""Contents in their final form, and small ones brought into it."""

from dataclasses import dataclass
from pathlib import Path

from mountfs import codec
from mountfs.contents import INLINE_BYTES, write_durably
from mountfs.model import Content, Digest, Place
from mountfs.namespace import mime_by_content


@dataclass(frozen=True, slots=True)
class Settled:
    """A content in its final form: `data` when it goes into the catalog, else `path` of a complete, synced file.

    `mime` is what its first bytes tell.
    """

    content_id: int
    ino: int
    digest: Digest
    codec: str
    size: int
    stored: int
    sums: bytes
    data: bytes | None
    path: Path | None
    mime: str
    epoch: int = 0

    def as_content(self) -> Content:
        """The row it becomes."""
        place = Place.FILE if self.data is None else Place.CATALOG
        return Content(self.content_id, place, self.digest, self.size, self.stored, self.codec, self.sums)


class Abandoned(Exception):
    """The draft was written to, or deleted, while it was being settled; the work so far is kept for the next try."""


@dataclass(frozen=True, slots=True)
class Small:
    """A content held in memory, with its digest: taken where it was acknowledged, 1 ns a byte."""

    content_id: int
    ino: int
    plain: bytes
    digest: Digest


def settle_small(contents: list[Small], *, level: int, compress: bool, incoming: Path) -> list[Settled]:
    """Compress contents held in memory. Raises CacheFull."""
    if compress:
        encoded = codec.encode_small([c.plain for c in contents], [c.digest for c in contents], level=level)
    else:
        encoded = [codec.encode(c.plain, level=level, compress=False) for c in contents]
    return [_settle_one(content, done, incoming) for content, done in zip(contents, encoded, strict=True)]


def _settle_one(content: Small, done: codec.Encoded, incoming: Path) -> Settled:
    data, path = done.stored, None
    if len(data) > INLINE_BYTES:
        path = incoming / str(content.content_id)
        write_durably(path, [data])
    return Settled(
        content.content_id, content.ino, content.digest, done.codec, len(content.plain), len(data), done.sums,
        None if path else data, path, mime_by_content(content.plain),
    )  # fmt: skip
