"""From acknowledged to stored: which files are settled when, and what of it goes into the catalog.

The daemon drives it: `take` on the loop, `work` in a worker, `doom` on the loop, `adopt` in a worker, `commit` on
the loop; without a daemon `settle_all` does the same in a row. Files are written and named before the row that
points at them, and every name that a crash could leave behind is noted first (`doom`).
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mountfs.contents import ContentFiles
from mountfs.drafts import remove_draft
from mountfs.errors import CatalogError, MountfsError
from mountfs.model import Content, Digest, Place
from mountfs.settling import Abandoned, Behind, Settled, Small, settle_small
from mountfs.store.files import Files
from mountfs.store.ledger import Ledger
from mountfs.store.live import LiveFile
from mountfs.store.room import Room

log = logging.getLogger(__name__)

BATCH = 64  # small contents settled at a time: 64 × 25 µs in one transaction
RETRY_SECONDS = 5.0


@dataclass(slots=True)
class Job:
    """One content to settle: `plain` or its place in the journal when small, else the work behind a draft."""

    content_id: int
    ino: int
    epoch: int
    compress: bool
    level: int
    plain: bytes | None = None
    digest: Digest | None = None
    segment: int = 0
    offset: int = 0
    behind: Behind | None = None
    live: LiveFile | None = None


@dataclass(frozen=True, slots=True)
class Leftover:
    """A file of a forgotten content (a path below the state directory), or the files of a draft."""

    file: str | None = None
    draft: int | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """A content that could not be settled now; `error` is None when it was written to meanwhile."""

    error: MountfsError | None


class Settler:
    """See the module's docstring. Not thread-safe but for `work` and `adopt`."""

    def __init__(self, ledger: Ledger, files: Files, contents: ContentFiles, room: Room) -> None:
        self._ledger = ledger
        self._files = files
        self._contents = contents
        self._room = room
        self._catalog = ledger.catalog
        self.leftovers: list[Leftover] = []
        self.sync_catalog: Callable[[], None] = lambda: None  # makes every transaction so far durable
        self._adopting: set[str] = set()  # names of files that a commit is about to point at
        self.backlog: deque[tuple[int, int]] = deque()  # (content, ino) found unsettled at start

    # -- choosing -----------------------------------------------------------------------------------------

    def idle(self) -> bool:
        """Whether nothing is left to settle."""
        return not self._files.due and not self.backlog

    def next_due(self) -> float | None:
        """The monotonic time at which there is something to do; None when there is nothing."""
        times = [live.due or 0.0 for ino in self._files.due if (live := self._files.live.get(ino)) is not None]
        return 0.0 if self.backlog else min(times, default=None)

    def take(self, *, hurry: bool = False) -> list[Job]:
        """The next small contents, or one large one. `hurry` waits for nobody to be quiet."""
        now = self._ledger.clock.monotonic()
        jobs: list[Job] = []
        for ino in list(self._files.due):
            live = self._files.live.get(ino)
            if live is None or live.writers:
                self._files.due.discard(ino)
                continue
            if live.settling or (not hurry and (live.due or 0.0) > now):
                continue
            if live.dirty:
                self._files.publish_late(live)
                continue
            if live.draft is not None and jobs:
                continue
            self._files.due.discard(ino)
            jobs.append(self._job(live))
            if live.draft is not None or len(jobs) >= BATCH:
                break
        while self.backlog and not jobs:
            jobs.extend(self._from_backlog())
        return jobs

    def _job(self, live: LiveFile) -> Job:
        assert live.acknowledged.content is not None
        live.settling, live.retrying = True, False
        compress, level = self._files.compression(live.ino)
        job = Job(live.acknowledged.content, live.ino, live.epoch, compress, level, live=live)
        if live.draft is not None:
            job.behind = self._files.behind(live)
        else:
            job.plain = bytes(live.buffer or b"")
            job.digest = Digest.of(job.plain)
        return job

    def _from_backlog(self) -> Iterable[Job]:
        for _ in range(min(BATCH, len(self.backlog))):
            content_id, ino = self.backlog.popleft()
            content = self._ledger.content(content_id)
            if content is not None and content.place == Place.JOURNAL:
                compress, level = self._files.compression(ino)
                yield Job(content_id, ino, 0, compress, level, segment=content.segment, offset=content.offset)

    # -- working ------------------------------------------------------------------------------------------

    def work(self, jobs: list[Job]) -> list[Settled | Failed]:
        """Compress, write files; one answer for each job. In a worker thread."""
        answers: dict[int, Settled | Failed] = {}
        for (compress, level), group in _alike([job for job in jobs if job.behind is None]).items():
            answers.update(self._work_small(group, compress=compress, level=level))
        answers.update((job.content_id, self._work_large(job)) for job in jobs if job.behind is not None)
        return [answers[job.content_id] for job in jobs]

    def _work_small(self, jobs: list[Job], *, compress: bool, level: int) -> dict[int, Settled | Failed]:
        answers: dict[int, Settled | Failed] = {}
        found: list[Small] = []
        for job in jobs:
            try:
                found.append(self._read(job))
            except MountfsError as error:
                answers[job.content_id] = Failed(error)
        try:
            done = settle_small(found, level=level, compress=compress, incoming=self._contents.incoming)
            answers.update((result.content_id, result) for result in done)
        except (MountfsError, OSError) as error:
            answers.update((job.content_id, Failed(_told(error))) for job in jobs if job.content_id not in answers)
        return answers

    def _read(self, job: Job) -> Small:
        plain, digest = job.plain, job.digest
        if plain is None:
            plain = self._ledger.journal.read_content(job.segment, job.offset)
        return Small(job.content_id, job.ino, plain, digest or Digest.of(plain))

    def _work_large(self, job: Job) -> Settled | Failed:
        assert job.behind is not None
        try:
            return job.behind.finish(
                job.ino, epoch=job.epoch, incoming=self._contents.incoming, abandoned=lambda: self._is_void(job)
            )
        except Abandoned:
            return Failed(None)
        except (MountfsError, OSError) as error:
            return Failed(_told(error))

    @staticmethod
    def _is_void(job: Job) -> bool:
        return job.live is not None and (job.live.epoch != job.epoch or job.live.unlinked)

    def doom(self, results: list[Settled | Failed]) -> bool:
        """Note the names that `adopt` is about to make; whether there are any. What fails is noted in `results`."""
        names = [self._contents.doom_name(r.digest, r.codec) for r in results if isinstance(r, Settled) and r.path]
        self._adopting.update(names)
        try:
            if names:
                with self._catalog.transaction():
                    self._catalog.doom(names)
        except MountfsError as error:
            _fail(results, error)
            return False
        return bool(names)

    def adopt(self, results: list[Settled | Failed]) -> None:
        """Give the written files their names. In a worker thread; what `doom` noted is made durable before."""
        try:
            self.sync_catalog()
            for result in results:
                if isinstance(result, Settled) and result.path is not None:
                    self._contents.adopt(result.path, result.digest, result.codec)
        except (MountfsError, OSError) as error:
            _fail(results, _told(error))

    # -- committing ---------------------------------------------------------------------------------------

    def commit(self, jobs: list[Job], results: list[Settled | Failed]) -> None:
        """Point at what was settled; what was overtaken meanwhile is dropped."""
        self._adopting.clear()
        done: list[Settled] = []
        held: list[LiveFile] = []
        for job, result in zip(jobs, results, strict=True):
            if job.live is not None:
                job.live.settling = False
            if isinstance(result, Failed):
                self._again(job, result.error)
            elif job.behind is not None and not self._hold(job, held):
                self._discard_unused(result)
                self._again(job, None)
            else:
                done.append(result)
        try:
            self._commit(done)
            for job in jobs:
                self._go_on(job, {r.content_id for r in done}, held)
        except MountfsError as error:  # a full disk: everything is as it was, and tried again
            for job in jobs:
                self._again(job, error)
        finally:
            for live in held:
                live.lock.release()

    def _hold(self, job: Job, held: list[LiveFile]) -> bool:
        """Keep writers out of a draft that is unchanged, until its row and its files are gone."""
        if job.live is None or not self._still(job) or not job.live.lock.acquire(blocking=False):
            return False
        held.append(job.live)
        return True

    def _commit(self, done: list[Settled]) -> None:
        others = self._ledger.drain_settled(done)
        if others:
            with self._ledger.transaction():
                for result in others:
                    self._apply(result)
        for result in done:
            self._discard_unused(result)
        self._room.stored_changed()

    def _still(self, job: Job) -> bool:
        live = job.live
        return live is not None and live.epoch == job.epoch and not live.dirty and not live.unlinked

    def _again(self, job: Job, error: MountfsError | None) -> None:
        live = job.live
        if error is not None:
            log.error("content %d is not settled yet: %s", job.content_id, error)
        if live is None:
            if error is not None and error.waiting_helps:
                self.backlog.append((job.content_id, job.ino))
            return
        if live.changed and not live.writers and not live.unlinked:
            live.retrying = error is not None
            live.due = self._ledger.clock.monotonic() + (RETRY_SECONDS if error else 0.0)
            self._files.due.add(live.ino)

    def _apply(self, result: Settled) -> None:
        content = self._catalog.content(result.content_id)
        if content is None or content.digest is not None:
            return
        same = self._catalog.content_by_digest(result.digest, result.codec)
        if same is not None:
            self._catalog.repoint(result.ino, old=content.id, new=same.id)
            self._ledger.replaced(result.ino, content.id, same.id)
            self._ledger.bring_back(same.id, result)
        else:
            self._catalog.mimes.put(result.digest, result.mime)
            self._catalog.settle_content(result.as_content(), result.data, now_s=self._ledger.now_s())
        if content.place == Place.DRAFT:
            self._catalog.delete_draft(content.id)

    def _discard_unused(self, result: Settled) -> None:
        """Strike the file of a result from the list of doomed ones, or leave it to be swept when nothing uses it."""
        if result.path is None:
            return
        name = self._contents.doom_name(result.digest, result.codec)
        if self._is_unused(name):
            self.leftovers.append(Leftover(file=name))
            return
        with self._catalog.transaction():
            self._catalog.spare([name])

    def _go_on(self, job: Job, done: set[int], held: list[LiveFile]) -> None:
        """The live file goes on from the stored content."""
        live = job.live
        if live is None or job.content_id not in done or not self._still(job):
            return
        mine = live in held
        if not mine and not live.lock.acquire(blocking=False):
            self._files.due.add(live.ino)
            return
        try:
            entry = self._ledger.entry(live.ino)
            if entry is not None:
                if job.behind is not None:
                    self.leftovers.append(Leftover(draft=job.content_id))
                self._files.settled(live, entry)
        finally:
            if not mine:
                live.lock.release()

    # -- what nobody needs any more -----------------------------------------------------------------------

    def forget_dead(self, limit: int = 256) -> bool:
        """Remove the rows of contents without links, a group at a time; their files become leftovers."""
        contents = [c for c in self._catalog.dead(limit) if not self._adopting.intersection(self._file_names([c]))]
        if not contents:
            return False
        names = self._file_names(contents)
        drafts = [c.id for c in contents if c.place == Place.DRAFT]
        with self._ledger.transaction():
            self._catalog.doom(names)
            for content_id in drafts:
                self._catalog.delete_draft(content_id)
            self._catalog.forget_contents(c.id for c in contents)
        self.leftovers.extend([Leftover(file=name) for name in names] + [Leftover(draft=i) for i in drafts])
        self._room.stored_changed()
        return True

    def _file_names(self, contents: list[Content]) -> list[str]:
        return [
            self._contents.doom_name(c.digest, c.codec)
            for c in contents
            if c.place == Place.FILE and c.digest is not None
        ]

    def is_coming(self, name: str) -> bool:
        """Whether a file is being given this name."""
        return name in self._adopting or self._contents.is_expected(name)

    def take_leftovers(self) -> list[Leftover]:
        """Files whose last pointer is gone; they may be deleted once that is durable."""
        taken, self.leftovers = self.leftovers, []
        return taken

    def unused(self, leftovers: list[Leftover]) -> list[Leftover]:
        """Those that nothing has come to point at again meanwhile."""
        return [entry for entry in leftovers if entry.file is None or self._is_unused(entry.file)]

    def _is_unused(self, name: str) -> bool:
        if self.is_coming(name):
            return False
        known = self._catalog.content_of_file(name.rpartition("/")[2])
        return known is None or known.place != Place.FILE

    def sweep(self, leftovers: list[Leftover]) -> None:
        """Delete durably; after everything that removed the pointers was synced. May run in a worker thread."""
        self._contents.remove([entry.file for entry in leftovers if entry.file is not None])
        for entry in leftovers:
            if entry.draft is not None:
                remove_draft(self._files.drafts, entry.draft)

    def swept(self, leftovers: list[Leftover]) -> None:
        """Strike them from the list of what a crash leaves behind."""
        names = [
            entry.file
            for entry in leftovers
            if entry.file is not None
            and entry.file not in self._adopting
            and not self._contents.is_expected(entry.file)
        ]
        if names:
            with self._catalog.transaction():
                self._catalog.spare(names)

    def reclaim(self) -> None:
        """Give back the room of everything that nobody needs, now, on this thread: it syncs."""
        while self.forget_dead():
            pass
        leftovers = self.take_leftovers()
        if not leftovers:
            return
        self.sync_catalog()
        self.sweep(self.unused(leftovers))
        self.swept(leftovers)
        coming = [entry for entry in leftovers if entry.file is not None and self._contents.is_expected(entry.file)]
        self.leftovers.extend(coming)  # they may have come, and gone again: the next carrying over knows

    def settle_all(self) -> None:
        """Settle everything now, in this thread: for stores without a daemon, and at the end of one."""
        while not self.idle():
            jobs = self.take(hurry=True)
            if not jobs:
                return
            results = self.work(jobs)
            if self.doom(results):
                self.adopt(results)
            self.commit(jobs, results)
            if any(isinstance(r, Failed) and r.error for r in results):
                return
        self.reclaim()


def _alike(jobs: list[Job]) -> dict[tuple[bool, int], list[Job]]:
    """Jobs that are compressed in the same way, together."""
    groups: dict[tuple[bool, int], list[Job]] = {}
    for job in jobs:
        groups.setdefault((job.compress, job.level), []).append(job)
    return groups


def _fail(results: list[Settled | Failed], error: MountfsError) -> None:
    """Results that need a file cannot be committed; the next try makes the file anew."""
    for i, result in enumerate(results):
        if isinstance(result, Settled) and result.path is not None:
            results[i] = Failed(error)


def _told(error: MountfsError | OSError) -> MountfsError:
    if isinstance(error, MountfsError):
        return error
    return CatalogError(f"the state directory cannot be written: {error.strerror}")
