"""What goes for good: dead large contents, emptied jobs, and what interrupted uploads left.

What it keeps true (BUCKET.md, "Maintenance"): only objects that a complete reading listed are deleted, never "the
digest"; and only what was dead, or named by nothing, for the whole grace when that reading began.
"""

import logging

from mountfs import objects
from mountfs.bucket.census import EMPTIED, HIDDEN
from mountfs.bucket.ground import Ground, know_time
from mountfs.bucket.requests import Abort, Delete, ListUploads, Put, Steps, ask
from mountfs.bucket.survey import Survey, age_ms, may_drop

log = logging.getLogger(__name__)

AT_A_TIME = 1000  # keys in one request


def drop(ground: Ground, job: int, seen: Survey) -> Steps[frozenset[str]]:
    """Delete the large objects that may go; their names. Raises RemoteUnavailable, RemoteDenied."""
    names = dead_objects(ground, seen)
    for start in range(0, len(names), AT_A_TIME):
        keys = tuple(ground.key(job, name) for name in names[start : start + AT_A_TIME])
        yield from ask(Delete(keys))
    return frozenset(names)


def dead_objects(ground: Ground, seen: Survey) -> list[str]:
    """◆ Large objects that this very reading listed, and of which it knows that they may go."""
    if not seen.complete:
        return []
    return [name for name, modified_ms in sorted(seen.large.items()) if _is_dead(ground, seen, name, modified_ms)]


def _is_dead(ground: Ground, seen: Survey, name: str, modified_ms: int) -> bool:
    if name not in seen.census.objects:  # its bundle may be on its way
        return age_ms(ground, seen, modified_ms) > ground.grace_ms
    found = objects.parse_object(name)
    return isinstance(found, objects.LargeName) and may_drop(ground, seen, found.digest)


# -- emptied jobs ---------------------------------------------------------------------------------------------


def clear_away(ground: Ground, job: int, seen: Survey, *, hidden: bool | None = None) -> Steps[bool]:
    """Hide a job that was emptied, show one that is back, delete what is left after the grace; whether all is gone.

    `hidden`: whether `gone/<job>` is there with 0 bytes; None: what this machine knows of it.
    """
    known = ground.tables.found_dead(job)
    is_hidden = HIDDEN in known if hidden is None else hidden
    if not seen.bundles and not seen.large:
        if is_hidden or hidden is None:  # another machine may have hidden it
            yield from ask(Delete((objects.gone_key(ground.tables.job_name(job)),)))
        _forget_dead(ground, job)
        return True
    if may_vanish(ground, seen):
        yield from ask(Delete(tuple(ground.key(job, name) for name in seen.bundles)))
    elif seen.complete and seen.census.is_emptied != is_hidden and seen.bundles:
        yield from say_gone(ground, job, is_gone=seen.census.is_emptied)
    return False


def may_vanish(ground: Ground, seen: Survey) -> bool:
    """◆ Whether the last bundle of an emptied job may go: one that has held no record for the grace."""
    if len(seen.bundles) != 1 or seen.census.records or not may_drop(ground, seen, EMPTIED):
        return False
    return all(may_drop(ground, seen, digest) for digest in seen.census.held)


def say_gone(ground: Ground, job: int, *, is_gone: bool) -> Steps[None]:
    """`gone/<job>` of 0 bytes hides a job from a lazy `ls`; of 1 byte: it is back."""
    yield from ask(Put(objects.gone_key(ground.tables.job_name(job)), b"" if is_gone else b"1"))
    found = ground.tables.found_dead(job)
    found.pop(HIDDEN, None)
    if is_gone:
        found[HIDDEN] = (ground.now_ms(), "[]")
    with ground.catalog.transaction():
        ground.tables.set_found_dead(job, found)


def _forget_dead(ground: Ground, job: int) -> None:
    if ground.tables.found_dead(job):
        with ground.catalog.transaction():
            ground.tables.set_found_dead(job, {})


# -- interrupted uploads --------------------------------------------------------------------------------------


def drop_leftovers(ground: Ground) -> Steps[int]:
    """End the multipart uploads, of all jobs, that nobody went on with for the grace; how many."""
    yield from know_time(ground)
    began_ms = ground.now_ms()
    ended = 0
    for upload, begun_ms in (yield from ask(ListUploads(objects.JOBS))):
        if began_ms - begun_ms > ground.grace_ms:
            yield from ask(Abort(upload))
            ended += 1
    return ended
