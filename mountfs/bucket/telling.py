"""Feed and heads: what was published, said again for machines that do not read the job itself.

A job is published when `jobs/` has it; what is said here is said again until it arrived, and a crash in between
repeats it.
"""

import logging
from collections.abc import Callable

from mountfs import bundle, objects
from mountfs.bucket import feed, feedtext
from mountfs.bucket.census import HIDDEN
from mountfs.bucket.dropping import say_gone
from mountfs.bucket.feedtext import Section
from mountfs.bucket.ground import Ground
from mountfs.bucket.heads import write_heads
from mountfs.bucket.reading import refresh
from mountfs.bucket.requests import Head, Steps, Work, ask
from mountfs.errors import MountfsError
from mountfs.store.origins import Where

log = logging.getLogger(__name__)


def tell(ground: Ground, job: int) -> Steps[None]:
    """Say again what bundles of this machine said that nobody was told of. Raises RemoteUnavailable, RemoteDenied.

    Heads first: they are not written twice, whatever becomes of the feed. One that is refused keeps no other back.
    """
    refusals: list[MountfsError] = []
    for steps in (write_heads(ground, job), _tell_gone(ground, job), _tell_feed(ground, job)):
        try:
            yield from steps
        except MountfsError as error:
            if error.waiting_helps:
                raise
            refusals.append(error)
    if refusals:
        raise refusals[0]


def _tell_feed(ground: Ground, job: int) -> Steps[None]:
    numbers = [number for told_job, number in ground.tables.untold() if told_job == job]
    if not numbers:
        return
    for data in (yield from ask(Work(_packing(ground, job, numbers)))):
        yield from feed.put_part(ground, data)
    with ground.catalog.transaction():
        for number in numbers:
            ground.tables.set_told(number)


def _packing(ground: Ground, job: int, numbers: list[int]) -> Callable[[], list[bytes]]:
    """To be called where it holds up nobody: the parts that tell of these bundles."""
    store_id, name = ground.store_id, ground.tables.job_name(job)
    stored = [(ground.tables.bundle_name(number), ground.tables.manifest(number)) for number in numbers]

    def section(bundle_name: str, manifest: bytes) -> Section:
        read = bundle.read_manifest(manifest, store_id=store_id, job=name, name=bundle_name)
        return Section(name, bundle_name, tuple(record.line for record in read.records))

    return lambda: list(feedtext.packed(store_id, (section(*found) for found in stored)))


def _tell_gone(ground: Ground, job: int) -> Steps[None]:
    """`gone/<job>` hides a job of which nothing is left from those that list names only, until it is back."""
    where = Where(job, b"")
    is_hidden = HIDDEN in ground.tables.found_dead(job)
    if ground.paths.find(where) is None:
        if is_hidden:
            return
        yield from refresh(ground, job)  # others may have written there
        if ground.paths.find(where) is None:
            yield from say_gone(ground, job, is_gone=True)
    elif is_hidden or (yield from _was_removed(ground, job)):
        yield from say_gone(ground, job, is_gone=False)


def _was_removed(ground: Ground, job: int) -> Steps[bool]:
    """Whether others hide this job, in which this machine knows of an earlier life."""
    if not any(not row.register for row in ground.tables.past(job, b"")):
        return False
    found = yield from ask(Head(objects.gone_key(ground.tables.job_name(job))))
    return found is not None and found.size == 0
