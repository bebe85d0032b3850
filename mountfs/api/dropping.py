"""What cleaning up asks of a store that is opened here: what `mountfs.daemon.dropping` is to one that is mounted."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from mountfs import namespace
from mountfs.errors import RemoteUnavailable
from mountfs.retention import plain_moment, plain_policy
from mountfs.store.clocks import last_look, look, note_look
from mountfs.store.dropping import Dropped, condemned, outdated
from mountfs.store.interrupted import Left, has_finished, left
from mountfs.store.store import Store

if TYPE_CHECKING:
    from mountfs.api.bucket import DirectBucket


class DirectDropping:
    """With the lock of the route. `index` brings all there is into the search index, reports read."""

    def __init__(self, store: Store, bucket: "DirectBucket | None", *, index: Callable[[], None]) -> None:
        self._store = store
        self._bucket = bucket
        self._index = index

    def left(self) -> list[Left]:
        """What a cleanup that was killed left to go on with."""
        if not self._store.dropping.is_unfinished():
            return []
        self._store.ledger.drain()
        self._store.indexer.catch_up()
        return left(self._store.catalog)

    def finish(self) -> str:
        """Go on with that, and say so; "" where there was nothing of it. Raises CacheFull."""
        done = Dropped()
        self._finish(done)
        return has_finished(+done.finished, is_kept=self._store.trash.keep_ms > 0)

    def _finish(self, done: Dropped) -> None:
        if not self._store.dropping.is_unfinished():
            return
        self._store.ledger.drain()
        self._store.indexer.catch_up()
        for _ in self._store.dropping.finish(done):
            pass
        self._store.settler.reclaim()

    def retention(self, *, knows_all: bool) -> dict[str, object]:
        if self._bucket is not None:
            self._bucket.look_at_root()
            if not self._store.stamps.is_told:
                raise RemoteUnavailable("the bucket says what time it is, and it does not answer: nothing is dropped")
        self._index()
        store = self._store
        return {
            "policy": plain_policy(store.options.retention),
            "types": dict(store.options.types),
            "now": plain_moment(look(store.ledger.clock, store.stamps)),
            "before": last_look(store.catalog),
            "knows_all": knows_all,
            "left": [[one.job, one.type, one.artifacts, one.stored] for one in left(store.catalog)],
        }

    def expire(self, request: Mapping[str, object]) -> dict[str, object]:
        reports, dated = condemned(request.get("reports")), outdated(request.get("dated"))
        jobs = {one.job for one in reports} | {one.job for one in dated}
        if self._bucket is not None:
            self._bucket.look([namespace.split_key(job)[0] for job in sorted(jobs)])
        done = Dropped()
        self._finish(done)
        self._index()
        for _ in self._store.dropping.drop(reports, dated, done):
            pass
        self._store.settler.reclaim()
        if isinstance(ran := request.get("ran"), dict):
            note_look(self._store.catalog, ran)
        return {"artifacts": done.artifacts, "jobs": done.jobs, "skipped": done.skipped}
