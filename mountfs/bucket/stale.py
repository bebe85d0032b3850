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
from mountfs.bucket.requests import Pause, Steps, Work, ask
from mountfs.records import PathState
from mountfs.store.origins import Where
from mountfs.store.outbox import Due, Subject
from mountfs.store.paths import Changes

log = logging.getLogger(__name__)


def settle_stale(ground: Ground, job: int) -> Steps[None]:
    """Decide over what waited for 30 days less half the grace, if there is any."""
    if not (yield from _may_be_stale(ground)) or not (yield from _stale(ground, job)):
        return
    refreshed = yield from refresh(ground, job)
    yield from take_rows(ground, job)
    try:
        states = yield from published(ground, job)
        stale = yield from _stale(ground, job)
        if refreshed.complete and (yield from _is_as_it_was(ground, job, stale, states)):
            yield from _restamp(ground, job, stale)
        else:
            reason = "it waited for weeks, and the path may have changed meanwhile"
            yield from _give_up(ground, job, stale, states, reason)
    finally:
        give_back_rows(ground, job)


def _may_be_stale(ground: Ground) -> Steps[bool]:
    """Whether anything of any job waited for so long; nearly never, and then it costs nothing."""
    if not is_old(ground, ground.outbox.oldest_ms):
        return False
    for _ in ground.outbox.finding_oldest():
        yield Pause()
    return is_old(ground, ground.outbox.oldest_ms)


def _stale(ground: Ground, job: int) -> Steps[list[Subject]]:
    """What of a job waited for too long, and what belongs to it; in the order of its paths."""
    subjects: list[Subject] = []
    paths = set()
    for number, due in enumerate(ground.outbox.walking(job)):
        if number % ground.piece == ground.piece - 1:
            yield Pause()
        if due is None:
            continue
        subjects.append(due.subject)
        if is_stale(ground, due):
            paths.add(due.path)
    if not paths:
        return []
    chosen = yield from ask(Work(lambda: together(subjects, paths)))
    return sorted(chosen, key=lambda subject: subject.path)


def _is_as_it_was(
    ground: Ground, job: int, stale: Sequence[Subject], states: dict[bytes, PathState]
) -> Steps[bool]:  # fmt: skip
    """Whether none of it may have landed, and the bucket has of its paths what it had when they were changed here."""
    for start in range(0, len(stale), ground.piece):
        if start:
            yield Pause()
        dues = _remade(ground, job, stale[start : start + ground.piece])
        if was_tried(ground, job, dues) or not all(is_unchanged(ground, job, states, due) for due in dues):
            return False
    return True


def _restamp(ground: Ground, job: int, stale: Sequence[Subject]) -> Steps[None]:
    """Say it anew, in pieces, but what is said of one path at once: a clear stays below what came after it."""
    at = 0
    while at < len(stale):
        end = at + ground.piece
        while end < len(stale) and stale[end].path == stale[end - 1].path:
            end += 1
        with ground.ledger.transaction():
            ground.outbox.restamp(job, _remade(ground, job, stale[at:end]))
        at = end
        yield Pause()


def _remade(ground: Ground, job: int, subjects: Iterable[Subject]) -> list[Due]:
    return [due for subject in subjects if (due := ground.outbox.remade(job, subject)) is not None]


def is_stale(ground: Ground, due: Due) -> bool:
    """◆ A record as old as that is not published as it is."""
    return is_old(ground, due.oldest_ms)


def is_old(ground: Ground, said_ms: int) -> bool:
    return ground.now_ms() - said_ms >= ground.clears_stay_ms - ground.half_ms


def refuse_stale(ground: Ground, due: Due) -> bool:
    """Whether a record that is about to go out became too old for it since the last look: then all is looked at."""
    if not is_stale(ground, due):
        return False
    ground.outbox.forget_oldest()
    return True


def together(subjects: Sequence[Subject], paths: set[bytes]) -> list[Subject]:
    """All that is due of these paths, and of what was renamed from or to them."""
    inos = {subject.ino: subject.path for subject in subjects if subject.ino is not None}
    while True:
        chosen = [subject for subject in subjects if subject.path in paths]
        ends = {subject.ino for subject in chosen if subject.ino is not None}
        ends |= {subject.waits_for for subject in chosen if subject.waits_for is not None}
        more = {s.path for s in subjects if s.waits_for in ends} | {inos[ino] for ino in ends if ino in inos}
        if more <= paths:
            return chosen
        paths = paths | more


def was_tried(ground: Ground, job: int, stale: Iterable[Due]) -> bool:
    """◆ Whether a PUT of any of these was begun and never answered: it may have landed, and been cleared since."""
    tried = (json.loads(zlib.decompress(raw)) for *_, raw in ground.tables.attempts(job))
    said = {(path, stamp) for records in tried for path, stamp in records}
    return any((record.path.hex(), record.stamp) in said for due in stale for record in due.records)


def is_unchanged(ground: Ground, job: int, states: dict[bytes, PathState], due: Due) -> bool:
    """Whether the bucket has of the path what it had when the first change was made here."""
    state = states.get(due.path)
    return (ground.paths.stamps(state) if state is not None else None) == ground.outbox.base_of(job, due)


def set_aside(ground: Ground, job: int, dues: Sequence[Due], reason: str) -> Steps[None]:
    """Keep these where only a person brings them back from, and show what the bucket has of their paths."""
    yield from take_rows(ground, job)
    try:
        states = yield from published(ground, job)
        now = ((due, ground.outbox.remade(job, due.subject)) for due in dues)  # what was changed meanwhile stays
        left = [due.subject for due, made in now if made is not None and made.records == due.records]
        yield from _give_up(ground, job, left, states, reason)
    finally:
        give_back_rows(ground, job)


def _give_up(
    ground: Ground, job: int, subjects: Sequence[Subject], states: dict[bytes, PathState], reason: str
) -> Steps[None]:  # fmt: skip
    for number, subject in enumerate(subjects):
        if number % ground.piece == ground.piece - 1:
            yield Pause()
        due = ground.outbox.remade(job, subject)
        if due is not None:
            _give_up_one(ground, job, due, states.get(due.path), reason)
    changes = Changes()
    yield from reconcile_paths(ground, job, states, [subject.path for subject in subjects], changes)
    ground.show(changes)


def _give_up_one(ground: Ground, job: int, due: Due, state: PathState | None, reason: str) -> None:
    where = Where(job, due.path)
    with ground.ledger.transaction():
        for record in due.records:
            ground.tables.set_aside(
                job, due.path, set_ms=ground.now_ms(), reason=reason, record=record.encoded().decode(),
                content=due.entry.content if due.entry is not None else None,
            )  # fmt: skip
        ground.outbox.give_up([due], job)
    log.warning("%r is set aside: %s; `mountfs status` names it", due.path, reason)
    if due.content is not None and landed_without(ground, where, state, due):
        with ground.ledger.transaction():
            ground.owing.clear_path(where, above=due.records[-1].stamp)


def landed_without(ground: Ground, where: Where, state: PathState | None, due: Due) -> bool:
    """◆ Whether this very record is in the bucket, and its content at no place that is there."""
    if state is None or not state.exists or due.content is None or due.content.digest is None:
        return False
    if state.registers["content"][0] not in {record.stamp for record in due.records}:
        return False
    listed = ground.tables.listed(where.job)
    places = ground.tables.places(where.job, due.content.digest)
    return not any(not place.object or place.object in listed for place in places)
