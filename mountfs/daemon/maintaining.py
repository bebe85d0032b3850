"""`maintain`: merge and drop in the bucket now, for all jobs that are due or for those that were named."""

from dataclasses import asdict
from functools import partial

from mountfs import namespace
from mountfs.daemon.control import Answer, Handler
from mountfs.daemon.parts import Parts
from mountfs.daemon.runs import Run
from mountfs.errors import InvalidArgument
from mountfs.transfers.bucket import Bucket


def handlers(parts: Parts) -> dict[str, Handler]:
    async def maintain(request: dict[str, object]) -> Answer:
        """`jobs`: only these; `all`: also those that seem not to need it; `dry_run`: only say which, and why."""
        bucket = parts.need_bucket()
        said = request.get("jobs")
        jobs = [_job(str(name)) for name in said] if isinstance(said, list) else []
        everything, dry_run = bool(request.get("all")), bool(request.get("dry_run"))
        work = partial(_maintain, bucket, jobs, everything=everything, dry_run=dry_run)
        return parts.runs.begin(bucket.nursery, work)

    return {"maintain": maintain}


def _job(key: str) -> bytes:
    names = namespace.split_key(key)
    if len(names) != 1:
        raise InvalidArgument(f"{key}: maintenance is done for whole jobs; name the job alone")
    return names[0]


async def _maintain(bucket: Bucket, jobs: list[bytes], run: Run, *, everything: bool, dry_run: bool) -> None:
    def tell(phase: str, done: int = 0, total: int = 0) -> None:
        run.tell(phase=phase, done=done, total=total)

    tell("connecting")
    await bucket.connection()
    maintenance = bucket.maintenance
    due = await (maintenance.named(jobs) if jobs else maintenance.due(tell, everything=everything))
    if dry_run:
        for name, reason in sorted(due.items()):
            await run.say(job=name.decode("utf-8", "surrogateescape"), reason=reason)
        return
    done = await maintenance.once(due, tell, lists=not jobs)
    run.tell(phase="done", **asdict(done))
