"""Open files, published while they grow: a state of them is stored beside the draft, under an id of its own.

The bucket is told of the state that was acknowledged under the entry's stamp. The file here goes on as a draft; when
it is closed and settled as it was then, it is the same content under the same stamp, and nothing is told twice.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from mountfs.contents import ContentFiles
from mountfs.errors import MountfsError
from mountfs.model import Digest, Kind, Standing
from mountfs.settling import Abandoned, Behind, Settled, Small, Snapshot, settle_small
from mountfs.store.files import Files
from mountfs.store.ledger import Ledger
from mountfs.store.live import LiveFile

EXTENDS_KEPT = 16  # earlier states that are named: a reader may have missed as many


@dataclass(slots=True)
class Taken:
    """A state of an open file on its way into the store."""

    live: LiveFile
    ino: int
    stamp: str
    content_id: int
    extends: list[str]
    plain: bytes | None = None
    state: Snapshot | None = None
    behind: Behind | None = None


@dataclass(slots=True)
class _Last:
    stamp: str
    digest: str
    extends: list[str]
    plain: bytes | None
    state: Snapshot | None
    draft_id: int | None


class Snapshots:
    """`take` on the loop with the lock of the file, `work` in a worker, `commit` on the loop."""

    def __init__(self, ledger: Ledger, files: Files, contents: ContentFiles) -> None:
        self._ledger = ledger
        self._files = files
        self._contents = contents
        self._last: dict[int, _Last] = {}

    def take(self, live: LiveFile) -> Taken | None:
        """The state of an open file as it is now, acknowledged; None where the last one still is. With its lock."""
        if live.unlinked or live.entry.kind != Kind.FILE or not live.changed:
            return None
        if live.dirty:
            self._files.publish(live, Standing(live.acknowledged.standing))
        entry = live.acknowledged
        last = self._last.get(entry.ino)
        if not entry.size or (last is not None and last.stamp == entry.stamp):
            return None
        taken = Taken(live, entry.ino, entry.stamp, self._ledger.new_content_id(), [])
        if live.draft is None:
            taken.plain = bytes(live.buffer or b"")
        else:
            taken.state, taken.behind = Snapshot.of(live.draft), self._files.behind(live)
        if last is not None and self._extends(taken, last, live):
            taken.extends = [last.digest, *last.extends][:EXTENDS_KEPT]
        return taken

    @staticmethod
    def _extends(taken: Taken, last: _Last, live: LiveFile) -> bool:
        if taken.plain is not None:
            return last.plain is not None and taken.plain.startswith(last.plain)
        assert taken.state is not None
        assert live.draft is not None
        if last.state is None:
            return last.plain is not None and live.draft.read(0, len(last.plain)) == last.plain
        return last.draft_id == live.draft.content_id and taken.state.extends(last.state, live.draft)

    def work(self, taken: Taken) -> Settled | None:
        """Compress it; None when it was overwritten meanwhile. Raises CacheFull."""
        incoming: Path = self._contents.incoming
        if taken.plain is not None:
            small = Small(taken.content_id, taken.ino, taken.plain, Digest.of(taken.plain))
            return settle_small([small], level=3, compress=True, incoming=incoming)[0]
        assert taken.behind is not None
        assert taken.state is not None
        try:
            return taken.behind.snapshot(taken.ino, taken.content_id, taken.state, incoming)
        except Abandoned:
            return None

    def doom(self, settled: Settled) -> None:
        """Note the name that `adopt` is about to make."""
        if settled.path is not None:
            with self._ledger.catalog.transaction():
                self._ledger.catalog.doom([self._contents.doom_name(settled.digest, settled.codec)])

    def adopt(self, settled: Settled) -> None:
        """Give the file its name. In a worker."""
        if settled.path is not None:
            self._contents.adopt(settled.path, settled.digest, settled.codec)

    def commit(self, taken: Taken, settled: Settled) -> None:
        """From now on this state can be published, unless the file was acknowledged anew since."""
        catalog = self._ledger.catalog
        draft_id = taken.live.draft.content_id if taken.live.draft is not None else None
        with self._ledger.transaction():
            known = catalog.content_by_any(settled.digest, settled.codec)
            if known is None:
                catalog.mimes.put(settled.digest, settled.mime)
                catalog.insert_contents(
                    [settled.as_content()], [(settled.content_id, settled.data)] if settled.data is not None else []
                )
                known = settled.content_id
            else:
                self._ledger.bring_back(known, settled)
            if settled.path is not None:
                catalog.spare([self._contents.doom_name(settled.digest, settled.codec)])
            catalog.bucket.set_snapshot(taken.ino, known, taken.stamp, json.dumps(taken.extends))
        self._last[taken.ino] = _Last(
            taken.stamp, settled.digest.hex(), taken.extends, taken.plain, taken.state, draft_id
        )  # fmt: skip
        self._ledger.on_owed(taken.ino)

    def forget(self, ino: int) -> None:
        """It is closed: what comes next is said in the ordinary way."""
        self._last.pop(ino, None)

    def last_extends(self, ino: int, digest: Digest) -> list[str]:
        """For the content that a file has when it is closed: the states that were its beginning."""
        last = self._last.get(ino)
        return [] if last is None or last.digest == digest.hex() else [last.digest, *last.extends][:EXTENDS_KEPT]


def doubtful(error: MountfsError) -> bool:
    """Whether a snapshot that failed is to be tried again at the next time only."""
    return error.waiting_helps
