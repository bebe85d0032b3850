"""Records that waited too long, or whose content is nowhere: stamped anew, or set aside for somebody to decide.

After 30 days a clear may be forgotten in the bucket; what was said before it must not arrive after it (BUCKET.md,
"Publishing"). What is set aside is kept without limit, contents and all, and the path shows what the bucket has.
"""

import json
import logging
import zlib
from collections.abc import Iterable, Sequence

from mountfs.bucket.ground import Ground
from mountfs.bucket.reading import give_back_rows, published, reconcile_paths, refresh, take_rows
from mountfs.bucket.requests import Steps
from mountfs.records import PathState
from mountfs.store.outbox import Due
from mountfs.store.owing import Where
from mountfs.store.paths import Changes

log = logging.getLogger(__name__)


def settle_stale(ground: Ground, job: int) -> Steps[None]:
    """Decide over what waited for 30 days less half the grace, if there is any."""
    if not any(is_stale(ground, due) for due in ground.outbox.batch(job)):
        return
    yield from refresh(ground, job)
    yield from take_rows(ground, job)
    try:
        states = yield from published(ground, job)
        batch = ground.outbox.batch(job)
        stale = together(batch, {due.path for due in batch if is_stale(ground, due)})
        if not was_tried(ground, job, stale) and all(is_unchanged(ground, states, due) for due in stale):
            with ground.ledger.transaction():
                ground.outbox.restamp(job, stale)
            return
        reason = "it waited for weeks, and the path may have changed meanwhile"
        yield from _give_up(ground, job, stale, states, reason)
    finally:
        give_back_rows(ground, job)


def is_stale(ground: Ground, due: Due) -> bool:
    """◆ A record as old as that is not published as it is."""
    return ground.now_ms() - due.oldest_ms >= ground.clears_stay_ms - ground.half_ms


def together(batch: Sequence[Due], paths: set[bytes]) -> list[Due]:
    """All that is due of these paths, and of what was renamed from or to them."""
    inos = {due.entry.ino: due.path for due in batch if due.entry is not None}
    while True:
        chosen = [due for due in batch if due.path in paths]
        ends = {due.entry.ino for due in chosen if due.entry is not None}
        ends |= {due.waits_for for due in chosen if due.waits_for is not None}
        more = {due.path for due in batch if due.waits_for in ends} | {inos[ino] for ino in ends if ino in inos}
        if more <= paths:
            return chosen
        paths = paths | more


def was_tried(ground: Ground, job: int, stale: Iterable[Due]) -> bool:
    """◆ Whether a PUT of any of these was begun and never answered: it may have landed, and been cleared since."""
    tried = (json.loads(zlib.decompress(raw)) for *_, raw in ground.tables.attempts(job))
    said = {(path, stamp) for records in tried for path, stamp in records}
    return any((record.path.hex(), record.stamp) in said for due in stale for record in due.records)


def is_unchanged(ground: Ground, states: dict[bytes, PathState], due: Due) -> bool:
    """Whether the bucket has of the path what it had when the first change was made here."""
    state = states.get(due.path)
    return (ground.paths.stamps(state) if state is not None else None) == due.base


def set_aside(ground: Ground, job: int, dues: Sequence[Due], reason: str) -> Steps[None]:
    """Keep these where only a person brings them back from, and show what the bucket has of their paths."""
    yield from take_rows(ground, job)
    try:
        states = yield from published(ground, job)
        now = {due.path: due.records for due in ground.outbox.batch(job)}
        left = [due for due in dues if now.get(due.path) == due.records]  # the others were changed meanwhile
        yield from _give_up(ground, job, left, states, reason)
    finally:
        give_back_rows(ground, job)


def _give_up(ground: Ground, job: int, dues: Sequence[Due], states: dict[bytes, PathState], reason: str) -> Steps[None]:
    for due in dues:
        where = Where(job, due.path)
        with ground.ledger.transaction():
            for record in due.records:
                ground.tables.set_aside(
                    job, due.path, set_ms=ground.now_ms(), reason=reason, record=record.encoded().decode(),
                    content=due.entry.content if due.entry is not None else None,
                )  # fmt: skip
            ground.outbox.give_up([due], job)
        log.warning("%r is set aside: %s; `mountfs status` names it", due.path, reason)
        if due.content is not None and landed_without(ground, where, states.get(due.path), due):
            with ground.ledger.transaction():
                ground.owing.clear_path(where, above=due.records[-1].stamp)
    changes = Changes()
    yield from reconcile_paths(ground, job, states, [due.path for due in dues], changes)
    ground.show(changes)


def landed_without(ground: Ground, where: Where, state: PathState | None, due: Due) -> bool:
    """◆ Whether this very record is in the bucket, and its content at no place that is there."""
    if state is None or not state.exists or due.content is None or due.content.digest is None:
        return False
    if state.registers["content"][0] not in {record.stamp for record in due.records}:
        return False
    listed = ground.tables.listed(where.job)
    places = ground.tables.places(where.job, due.content.digest)
    return not any(not place.object or place.object in listed for place in places)
