"""`flush`: everything that was closed by now is settled, sent, and confirmed by the bucket."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import trio
import trio.lowlevel

from mountfs import namespace
from mountfs.daemon.control import Answer, Handler
from mountfs.daemon.parts import Parts
from mountfs.daemon.runs import Run
from mountfs.errors import DeadlineExceeded, MountfsError, NotFound
from mountfs.model import Owed
from mountfs.store.store import Store
from mountfs.transfers.bucket import Bucket

log = logging.getLogger(__name__)

SETTLE_SECONDS = 600.0
CLOSING_SECONDS = 1.0  # release follows close in no time; who holds a file open longer is not waited for
OPEN_SHOWN = 100
AT_ONCE = 500  # entries whose bytes are summed up in one go: half a millisecond


def handlers(parts: Parts) -> dict[str, Handler]:
    async def flush(request: dict[str, object]) -> Answer:
        """Flush the jobs of some keys, or all."""
        bucket = parts.need_bucket()
        jobs = _jobs(parts.store, request.get("keys"))
        return parts.runs.begin(bucket.nursery, partial(_flush, parts, bucket, jobs))

    return {"flush": flush}


def _jobs(store: Store, keys: object) -> set[int] | None:
    """The jobs that keys lie in; None: all of them. Raises NotFound for what neither is there nor owes anything."""
    if not isinstance(keys, list) or not keys:
        return None
    tables = store.catalog.bucket
    found = set()
    for key in keys:
        names = namespace.split_key(str(key))
        job = tables.job_id(names[0])
        try:
            store.tree.walk(names)
        except NotFound:
            if job is None or job not in store.outbox.debts():
                raise
        found.add(store.catalog.job(names[0]) if job is None else job)
    return found


async def flush_all(parts: Parts, bucket: Bucket, run: Run) -> None:
    """Return once the bucket has confirmed all that was closed by now. Raises what waiting does not help."""
    await _flush(parts, bucket, None, run)


async def _flush(parts: Parts, bucket: Bucket, jobs: set[int] | None, run: Run) -> None:
    store = parts.store
    run.tell(phase="settling")
    await _settled(parts, run)
    still_open = _still_open(store, jobs)
    bucket.connect_now()
    total = _Total()
    await _sent(bucket, jobs, run, total, still_open)
    if await _forgotten(bucket):  # a bug, and one that must not tell anybody that all is well
        log.error("something was owed to the bucket, and not remembered: it is sent now")
        await _sent(bucket, jobs, run, total, still_open)
    run.tell(
        phase="done", jobs=total.jobs, jobs_left=0, bytes=total.bytes, bytes_confirmed=total.bytes, down=None,
        open=still_open, left=[],
    )  # fmt: skip


@dataclass(slots=True)
class _Total:
    """What a flush had to send: jobs, and stored bytes. Mutable."""

    jobs: int = 0
    bytes: int = 0


async def _sent(bucket: Bucket, jobs: set[int] | None, run: Run, total: _Total, still_open: list[str]) -> None:
    """Return once the bucket has confirmed what these jobs owe now."""
    store, uploads = bucket.store, bucket.uploads
    began = uploads.begin_flush(jobs)
    before = total.bytes
    total.jobs += len(uploads.unconfirmed(began, jobs))
    total.bytes += await _owed_bytes(bucket, uploads.unconfirmed(began, jobs))
    confirmed = before
    while left := uploads.unconfirmed(began, jobs):
        confirmed = max(confirmed, total.bytes - await _owed_bytes(bucket, left))
        run.tell(
            phase="uploading", jobs=total.jobs, jobs_left=len(left), bytes=total.bytes, bytes_confirmed=confirmed,
            down=bucket.carrier.down, open=still_open, left=_names(store, left),
        )  # fmt: skip
        if bucket.refused_by is not None:
            raise bucket.refused_by
        refused = uploads.refused(began, left)
        if refused and left <= refused.keys():
            raise _told(store, refused)
        await uploads.next_done(0.2)


async def _forgotten(bucket: Bucket) -> int:
    """How much is owed by the rows, and was not remembered."""
    missing = 0
    for found in bucket.store.outbox.forgotten():
        missing += found
        await trio.lowlevel.checkpoint()
    return missing


async def _settled(parts: Parts, run: Run) -> None:
    """Return when what was closed by now is hashed and compressed, whatever else is being written."""
    store, began = parts.store, trio.current_time()
    files = store.files
    waiting = set(files.due) | {ino for ino, live in files.live.items() if live.settling or live.changed}
    while waiting or store.settler.backlog:
        waited = trio.current_time() - began
        waiting = {ino for ino in waiting if _is_settling(store, ino, closing=waited < CLOSING_SECONDS)}
        for ino in waiting:
            files.hurry(ino)
        if waited > SETTLE_SECONDS:
            raise DeadlineExceeded("not everything could be compressed in time: see the log of the daemon")
        run.tell(phase="settling", left=len(waiting))
        parts.wake()
        await trio.sleep(0.005)
    store.ledger.drain()


def _is_settling(store: Store, ino: int, *, closing: bool) -> bool:
    live = store.files.live.get(ino)
    if live is None or live.unlinked:
        return False
    if live.writers:
        return closing and live.changed and not live.dirty
    return ino in store.files.due or live.settling or live.changed


def _still_open(store: Store, jobs: set[int] | None) -> list[str]:
    """Keys of files that somebody has open for writing, with changes that are not in the bucket."""
    found = []
    for live in store.files.live.values():
        if not live.writers or live.unlinked or not (live.changed or live.acknowledged.owed & Owed.ANY):
            continue
        names = store.ledger.path(live.ino)
        if names and (jobs is None or store.catalog.bucket.job_id(names[0]) in jobs):
            found.append(namespace.join_key(names))
    return sorted(found)[:OPEN_SHOWN]


async def _owed_bytes(bucket: Bucket, jobs: Iterable[int]) -> int:
    """Stored bytes of contents that the bucket has not confirmed yet."""
    debts, tables = bucket.store.outbox.debts(), bucket.ground.tables
    owed = 0
    for job in jobs:
        inos = sorted(debts[job].inos) if job in debts else []
        for start in range(0, len(inos), AT_ONCE):
            owed += tables.owed_bytes(inos[start : start + AT_ONCE])
            await trio.lowlevel.checkpoint()
    return max(0, owed - sum(bucket.ground.sent.values()))


def _names(store: Store, jobs: Iterable[int]) -> list[str]:
    names = (store.catalog.bucket.job_name(job) for job in jobs)
    return sorted(name.decode("utf-8", "surrogateescape") for name in names)[:OPEN_SHOWN]


def _told(store: Store, refused: dict[int, MountfsError]) -> MountfsError:
    """One error for all that was refused."""
    first = next(iter(refused.values()))
    names = ", ".join(_names(store, refused))
    return type(first)(f"{names}: not in the bucket: {first}")
