"""`sync`: catch up with what others wrote now, or make catalog, feed and heads anew from `jobs/` alone."""

from functools import partial

from mountfs.daemon.control import Answer, Handler
from mountfs.daemon.parts import Parts
from mountfs.daemon.runs import Run
from mountfs.transfers.bucket import Bucket


def handlers(parts: Parts) -> dict[str, Handler]:
    async def sync(request: dict[str, object]) -> Answer:
        """Catch up; with `rebuild` all of the bucket is read."""
        bucket = parts.need_bucket()
        return parts.runs.begin(bucket.nursery, partial(_sync, bucket, rebuild=bool(request.get("rebuild"))))

    return {"sync": sync}


async def _sync(bucket: Bucket, run: Run, *, rebuild: bool) -> None:
    def tell(phase: str, done: int = 0, total: int = 0) -> None:
        run.tell(phase=phase, done=done, total=total)

    tell("connecting")
    await bucket.connection()
    await (bucket.following.rebuild(tell) if rebuild else bucket.following.sync(tell))
    run.tell(phase="done", **bucket.following.counts())
