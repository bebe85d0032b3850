"""The daemon with a bug planted: `python -m tests.model.planted BUG mount …` is `mountfs mount …`, and wrong.

Each bug is one that was in the code once, or nearly: a missing line in the middle, which no single request shows.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from mountfs.catalog import Catalog
from mountfs.drafts import DraftFile
from mountfs.model import Digest, Entry
from mountfs.store.ledger import Ledger
from mountfs.store.live import LiveFile
from mountfs.store.publishing import Publishing
from mountfs.store.settler import Settler
from tests.mounting import Mounted


def _replace(owner: type, name: str, wrong: object) -> None:
    assert name in vars(owner), f"{owner.__name__}.{name} has moved: this bug would not be there"
    setattr(owner, name, wrong)


def stale_bytes_in_gaps() -> None:
    """What was truncated away comes back when a later write goes beyond it."""
    _replace(DraftFile, "_clear_gap", lambda draft, offset: None)


def drafts_lose_their_base() -> None:
    """A chunk that is written to in part is not carried over from the content below it."""
    _replace(DraftFile, "_carry", lambda draft, offset, end: None)


def settling_ignores_writers() -> None:
    """A file that was written to while it was compressed goes on from what was compressed."""
    _replace(Settler, "_still", lambda settler, job: job.live is not None and not job.live.unlinked)
    _replace(Settler, "_is_void", staticmethod(lambda job: False))


def chmod_is_not_journaled() -> None:
    """The mode of an open file changes in memory alone: a kill brings the old one back."""
    put = Publishing.put_attributes

    def put_attributes(files: Publishing, live: LiveFile, **values: object) -> None:
        if "mode" in values:
            live.acknowledged = live.acknowledged.copy()
            live.entry = live.acknowledged
            live.entry.mode = int(str(values["mode"]))
            return
        put(files, live, **values)

    _replace(Publishing, "put_attributes", put_attributes)


def second_close_is_not_journaled() -> None:
    """What a file is after its first close stays in memory until the catalog gets it."""
    put = Ledger.put

    def put_new(ledger: Ledger, entry: Entry, content: bytes | None = None, *, is_new: bool = False) -> None:
        if is_new or content is None or ledger.entry(entry.ino) is None:
            put(ledger, entry, content, is_new=is_new)
            return
        known = ledger.entry(entry.ino)
        if known is None or known.content is None:
            put(ledger, entry, content, is_new=is_new)

    _replace(Ledger, "put", put_new)


def digests_are_cut_short() -> None:
    """Deduplication compares the first byte of the digests."""

    def content_id(catalog: Catalog, digest: Digest, codec: str) -> int | None:
        sql = "SELECT id FROM content WHERE substr(digest, 1, 1) = ? AND codec = ? LIMIT 1"
        row = catalog._run(sql, (digest[:1], codec)).fetchone()
        return None if row is None else int(row[0])

    _replace(Catalog, "content_id", content_id)


BUGS: dict[str, Callable[[], None]] = {
    bug.__name__: bug
    for bug in (
        stale_bytes_in_gaps,
        drafts_lose_their_base,
        settling_ignores_writers,
        chmod_is_not_journaled,
        second_close_is_not_journaled,
        digests_are_cut_short,
    )
}


class Broken(Mounted):
    """A mount whose daemon has one of `BUGS`."""

    def __init__(self, directory: Path, state: Path, bug: str) -> None:
        super().__init__(directory, state)
        self._bug = bug

    def command(self) -> list[str]:
        words = super().command()
        at = words.index("mountfs.cli")
        return [*words[:at], "tests.model.planted", self._bug, *words[at + 1 :]]


if __name__ == "__main__":
    BUGS[sys.argv.pop(1)]()
    from mountfs.cli import main

    main()
