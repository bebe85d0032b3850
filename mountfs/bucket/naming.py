"""Which jobs the bucket has, by their names alone: what a lazy `ls` of the root shows."""

from collections.abc import Collection

from mountfs import bundle, namespace, objects
from mountfs.bucket.ground import Ground
from mountfs.bucket.reading import refresh
from mountfs.bucket.requests import List, Pause, Range, Steps, Tail, ask
from mountfs.errors import CorruptContent, MountfsError, ObjectMissing
from mountfs.model import ROOT_INO, Entry
from mountfs.store.origins import Where
from mountfs.store.paths import Changes


def jobs_in_bucket() -> Steps[set[bytes]]:
    """Names of all jobs with something under their prefix, less those that were emptied. Pages of a thousand."""
    parts: set[str] = set()
    token: str | None = None
    while True:
        page = yield from ask(List(objects.JOBS, delimiter="/", token=token))
        parts.update(part for prefix in page.prefixes if (part := objects.job_part(prefix)) is not None)
        if page.token is None:
            break
        token = page.token
    hidden = yield from hidden_jobs()
    names: set[bytes | None] = set()
    for part in sorted(parts - hidden):
        names.add((yield from long_name(part)) if objects.is_cut(part) else objects.decode_name(part))
    return {name for name in names if name is not None and is_job_name(name)}


def long_name(part: str) -> Steps[bytes | None]:
    """The name of a job whose prefix has only the beginning of it: it stands in its bundles."""
    page = yield from ask(List(f"{objects.JOBS}{part}/"))
    for found in page.objects:
        if not isinstance(objects.parse_object(found.key.rpartition("/")[2]), objects.BundleName):
            continue
        try:
            tail = yield from ask(Tail(found.key, bundle.TAIL_BYTES))
            extent = bundle.find_manifest(tail.data, object_bytes=tail.total_bytes)
            stored = yield from ask(Range(found.key, extent.offset, extent.length))
            name = bundle.job_named(stored.data)
        except (CorruptContent, ObjectMissing):
            continue
        return name if objects.encode_name(name) == part else None
    return None


def hidden_jobs() -> Steps[set[str]]:
    """Jobs of which nothing is left to see: `gone/<job>` of 0 bytes, not of 1 (it is back)."""
    hidden: set[str] = set()
    token: str | None = None
    while True:
        page = yield from ask(List(objects.GONE, token=token))
        hidden.update(found.key[len(objects.GONE) :] for found in page.objects if found.size == 0)
        if page.token is None:
            return hidden
        token = page.token


def is_job_name(name: bytes) -> bool:
    """Whether the root can show it: names from a bucket may be anything."""
    try:
        namespace.check_job_name(name)
    except MountfsError:
        return False
    return True


def show_jobs(ground: Ground, names: Collection[bytes]) -> Steps[None]:
    """Make the root show these; of what else it shows, a job that the bucket had and has no more is read again."""
    changes = Changes()
    wanted = list(names)
    for start in range(0, len(wanted), ground.piece):
        some = wanted[start : start + ground.piece]
        if any(ground.ledger.child(ROOT_INO, name) is None for name in some):
            with ground.ledger.transaction():  # what waits for the catalog is in it now
                for name in some:
                    if ground.catalog.child(ROOT_INO, name) is None:
                        ground.paths.imply_job(ground.tables.make_job(name), changes)
        yield Pause()
    ground.show(changes)
    for job, name in ground.tables.jobs():
        if name not in names and _was_in_bucket(ground, job):
            yield from refresh(ground, job)
            _forget_name(ground, job)


def _was_in_bucket(ground: Ground, job: int) -> bool:
    return bool(ground.catalog.feed.known(job)) or _only_named(ground, job) is not None


def _only_named(ground: Ground, job: int) -> Entry | None:
    entry = ground.paths.find(Where(job, b""))
    if entry is None or entry.stamp or ground.catalog.has_children(entry.ino):
        return None
    return entry


def _forget_name(ground: Ground, job: int) -> None:
    """A job of which only the name was known is not there any more."""
    if _only_named(ground, job) is not None:
        changes = Changes()
        with ground.ledger.transaction():
            ground.paths.forget_implied(Where(job, b""), changes)
        ground.show(changes)
