"""`migrate`: a store gets a bucket; all that is here is sent, and then looked at there."""

from functools import partial

import trio

from mountfs.bucket.verifying import Verified, verify_job
from mountfs.daemon.control import Answer, Handler
from mountfs.daemon.flushing import flush_all
from mountfs.daemon.parts import Parts
from mountfs.daemon.runs import Abandoned, Run
from mountfs.errors import CorruptContent, MountfsError
from mountfs.transfers.bucket import Bucket

SIDE_BY_SIDE = 4  # jobs
PROBLEMS_SHOWN = 10


def handlers(parts: Parts) -> dict[str, Handler]:
    async def migrate(request: dict[str, object]) -> Answer:
        """Send everything, then verify everything; `read_back` fetches all contents again."""
        bucket = parts.need_bucket()
        return parts.runs.begin(bucket.nursery, partial(_migrate, parts, bucket, bool(request.get("read_back"))))

    return {"migrate": migrate}


async def _migrate(parts: Parts, bucket: Bucket, read_back: bool, run: Run) -> None:
    await flush_all(parts, bucket, run)
    verifying = _Verifying(bucket, run, read_back=read_back)
    await verifying.run_all()
    if verifying.problems:
        more = len(verifying.problems) - PROBLEMS_SHOWN
        told = "\n".join([*verifying.problems[:PROBLEMS_SHOWN], *([f"and {more} more"] if more > 0 else [])])
        raise CorruptContent(f"the bucket does not have everything as it is here:\n{told}")


class _Verifying:
    """All jobs, some side by side."""

    def __init__(self, bucket: Bucket, run: Run, *, read_back: bool) -> None:
        self._bucket = bucket
        self._run = run
        self._read_back = read_back
        self._jobs = [(job, name) for job, name in bucket.ground.tables.jobs() if bucket.ground.tables.bundles(job)]
        self._total = len(self._jobs)
        self._sum = Verified()
        self._error: MountfsError | Abandoned | None = None
        self.problems: list[str] = []

    async def run_all(self) -> None:
        """Raises RemoteUnavailable, RemoteDenied."""
        self._tell()
        async with trio.open_nursery() as nursery:
            for _ in range(SIDE_BY_SIDE):
                nursery.start_soon(self._work)
        if self._error is not None:
            raise self._error
        self._tell(phase="done")

    async def _work(self) -> None:
        while self._jobs and self._error is None:
            job, name = self._jobs.pop()
            steps = verify_job(self._bucket.ground, job, read_back=self._read_back)
            try:
                found = await self._bucket.carrier.run(steps, urgent=False)
                self._count(name, found)
                self._tell()
            except (MountfsError, Abandoned) as error:
                self._error = error

    def _count(self, name: bytes, found: Verified) -> None:
        self._sum.paths += found.paths
        self._sum.contents += found.contents
        self._sum.bytes += found.bytes
        self._sum.skipped += found.skipped
        self.problems += [f"{name.decode(errors='replace')}/{problem}" for problem in found.problems]

    def _tell(self, phase: str = "verifying") -> None:
        self._run.tell(
            phase=phase, jobs=self._total, jobs_left=len(self._jobs), paths=self._sum.paths,
            contents=self._sum.contents, bytes=self._sum.bytes, bytes_confirmed=self._sum.bytes,
            skipped=self._sum.skipped, down=self._bucket.carrier.down,
        )  # fmt: skip
