"""A request that waits for a draft and finds it settled: it reads what was settled, never an end that is none.

Handlers as coroutines, without a mount.
"""

import os
from functools import partial

import pytest
import trio
import trio.testing

from mountfs.fuse.operations import Operations
from mountfs.store.live import LiveFile
from mountfs.store.settler import Job, Settler
from tests.store.conftest import Bench

CONTENT = os.urandom(200_000)


@pytest.mark.trio
async def test_a_read_that_waited_for_the_draft_reads_what_was_settled(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by kill -9 under load: the kernel took the empty answer for the end, and the file lost its last chunk."""
    bench.save("file", CONTENT)
    live = bench.store.files.live[bench.entry("file").ino]
    found: list[bytes] = []

    def held(settler: Settler, job: Job, held: list[LiveFile]) -> bool:
        held.append(live)  # by this test, and so the read waits; `commit` lets go of it
        return True

    async def read(operations: Operations, handle: int) -> None:
        found.append(await operations.read(handle, 100_000, 50_000))

    monkeypatch.setattr(Settler, "_hold", held)
    settler = bench.store.settler
    jobs = settler.take(hurry=True)
    results = settler.work(jobs)
    if settler.doom(results):
        settler.adopt(results)
    async with trio.open_nursery() as nursery:
        operations = Operations(bench.store, handler_seconds=10, nursery=nursery, wake=lambda: None)
        handle = operations._handle(bench.store.files.open(live.entry, write=False), write=False, pid=0).fh
        assert live.lock.acquire(blocking=False)
        nursery.start_soon(partial(read, operations, handle))
        await trio.testing.wait_all_tasks_blocked()
        settler.commit(jobs, results)
        assert not live.changed
    assert found == [CONTENT[100_000:150_000]]
