"""`evict` and `prefetch`: what lies on this machine of an artifact, a directory, a job, or everything."""

from functools import partial

from mountfs import namespace
from mountfs.daemon.control import Answer, Handler
from mountfs.daemon.parts import Parts
from mountfs.daemon.runs import Run
from mountfs.errors import NotFound
from mountfs.model import ROOT_INO
from mountfs.store.eviction import Stays
from mountfs.transfers.bucket import Bucket
from mountfs.transfers.prefetch import Wanted


def handlers(parts: Parts) -> dict[str, Handler]:
    async def evict(request: dict[str, object]) -> Answer:
        """Let go of what the bucket has; tells each content, and why others stay. `dry_run` lets go of nothing."""
        bucket = parts.need_bucket()
        ino = _ino(parts, str(request.get("key") or ""))
        dry_run = bool(request.get("dry_run"))
        return parts.runs.begin(bucket.nursery, partial(_evict, bucket, ino, dry_run=dry_run))

    async def prefetch(request: dict[str, object]) -> Answer:
        """Bring here what the bucket has of a key."""
        bucket = parts.need_bucket()
        return parts.runs.begin(bucket.nursery, partial(_prefetch, parts, bucket, str(request.get("key") or "")))

    return {"evict": evict, "prefetch": prefetch}


def _ino(parts: Parts, key: str) -> int:
    return parts.store.tree.walk(namespace.split_key(key)).ino if key else ROOT_INO


async def _evict(bucket: Bucket, ino: int, run: Run, *, dry_run: bool) -> None:
    ledger = bucket.store.ledger
    async for piece in bucket.cache.let_go(ino, dry_run=dry_run):
        for one in piece:
            if one.stays is Stays.ABSENT and one.content.digest is not None:
                continue  # it is in the bucket alone already
            reason = "not compressed yet" if one.stays is Stays.ABSENT else one.stays
            key = namespace.join_key(ledger.path(one.entry.ino))
            await run.say(key=key, stored_bytes=one.content.stored, stays=reason)


async def _prefetch(parts: Parts, bucket: Bucket, key: str, run: Run) -> None:
    names = namespace.split_key(key) if key else ()
    if names:
        await _look(parts, bucket, names)
    wanted = await bucket.prefetch.wanted(_ino(parts, key))

    def tell() -> None:
        run.tell(**_progress(wanted))

    tell()
    await bucket.prefetch.run(wanted, tell)


async def _look(parts: Parts, bucket: Bucket, names: tuple[bytes, ...]) -> None:
    """Let the job be known here: one that this machine never looked at is read first."""
    try:
        job = parts.store.tree.walk(names[:1])
    except NotFound:
        await bucket.look(names[0])
        job = parts.store.tree.walk(names[:1])
    await bucket.into(job.ino)


def _progress(wanted: Wanted) -> dict[str, object]:
    return {
        "files": wanted.contents, "files_here": wanted.came, "bytes": wanted.stored_bytes,
        "bytes_here": wanted.came_bytes,
    }  # fmt: skip
