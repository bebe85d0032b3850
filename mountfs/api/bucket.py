"""The bucket of a store that this process holds: connected when it is first needed, asked in the caller's thread.

What they get who call: a job is as the bucket had it `refresh_seconds` ago at most, content comes when it is opened,
and what is owed goes when they flush or close. An outage costs `look_seconds` once, not for each name: for a while
after it nobody is asked, and what is here goes on.
"""

import logging
import time
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from mountfs import namespace
from mountfs.api.errands import Errands, Patience
from mountfs.bucket.connecting import connect, connected, ground_of
from mountfs.bucket.fetching import absent, bundles_of_several, fetch_bundle, is_large, whereabouts
from mountfs.bucket.gathering import fetch_content
from mountfs.bucket.ground import Ground
from mountfs.bucket.heads import JobHead, KnownHeads, find_jobs
from mountfs.bucket.healing import give_to_bucket
from mountfs.bucket.links import encoding_of, no_object_of_its_own, own_object, refuse_without_content
from mountfs.bucket.naming import jobs_in_bucket, show_jobs
from mountfs.bucket.publishing import Published, publish
from mountfs.bucket.reading import refresh
from mountfs.bucket.recovering import finish_interrupted
from mountfs.bucket.requests import Steps
from mountfs.bucket.scanning import forget_nothing
from mountfs.bucket.telling import tell
from mountfs.errors import CacheFull, MountfsError, RemoteUnavailable
from mountfs.model import Content, Entry, State
from mountfs.remote import open_remote
from mountfs.remote.protocol import Remote
from mountfs.remote.retrying import Retrying
from mountfs.store.origins import Where
from mountfs.store.store import Store

if TYPE_CHECKING:
    from mountfs.config import Settings
    from mountfs.config.schema import Storage

log = logging.getLogger(__name__)

T = TypeVar("T")

MISSES = 2  # in one bundle: then it comes whole
JOBS_AT_ONCE = 4  # that are published side by side: each may have a bundle of 32 MiB in memory
BLIP_SECONDS = 2.0
CONNECT_SECONDS = 5.0  # the first request: to make an S3 client alone takes a second on a busy machine
AGAIN_SECONDS = 5.0  # after an outage nobody is asked for so long
PAUSE_SECONDS = 0.5  # between two tries of a flush
NAMES_SHOWN = 10


class DirectBucket:
    """See the module's docstring. `opens` gives the remote; takes half a second where that is S3.

    Not thread-safe: whoever calls holds the store. Each call that asks raises RemoteUnavailable, RemoteDenied,
    ConfigError (another store, or none, under the name of the one that this machine knows), CorruptContent.
    """

    def __init__(
        self, store: Store, settings: "Settings", *, opens: Callable[[], Remote], read_only: bool = False
    ) -> None:
        self.read_only = read_only
        self._store = store
        self._settings = settings
        self._opens = opens
        self._open: Remote | None = None
        self._connected = False
        self._trouble: MountfsError | None = None
        self._again_at = float("-inf")
        self._looked: dict[bytes, float] = {}
        self._unread: dict[bytes, MountfsError] = {}  # why the last look at a job came to nothing
        self._listed = float("-inf")
        self._misses: dict[int, int] = {}
        self._heads: KnownHeads = {}
        self.states: dict[str, str] = {}  # of jobs that the bucket refuses
        self._errands = Errands(store.ledger.clock, heard=self._heard, signs=self._signs)
        self.ground: Ground = ground_of(
            store, trash_days=settings.trash_days, heads=tuple(settings.heads), on_loop=self._errands.on_loop
        )  # fmt: skip
        store.room.evict = self._evict
        if self.ground.store_id:
            finish_interrupted(self.ground)

    def _heard(self, server_ms: int, began_ms: int, ended_ms: int) -> None:
        self.ground.stamps.heard(server_ms, began_ms=began_ms, ended_ms=ended_ms)

    def _signs(self) -> Hashable:
        """What large uploads have brought over so far."""
        return tuple(self.ground.sent.copy().items())

    # -- asking -------------------------------------------------------------------------------------------

    @property
    def _looking(self) -> Patience:
        sync = self._settings.sync
        return Patience(sync.look_seconds, sync.patience_seconds)

    @property
    def _patience(self) -> Patience:
        """For what may take long: as long as there are signs of the bucket."""
        return Patience(self._settings.sync.patience_seconds)

    @property
    def patience_seconds(self) -> float:
        return self._settings.sync.patience_seconds

    @contextmanager
    def _asking(self, *, again: bool = False) -> Iterator[Remote]:
        """The remote, connected. `again`: also right after an outage."""
        if self._trouble is not None and not again and time.monotonic() < self._again_at:
            raise _same(self._trouble)
        try:
            if self._open is None:
                self._open = self._opens()
            if not self._connected:
                self._connect(self._open)
        except MountfsError as error:
            self._note_trouble(error)
            raise
        self._trouble = None
        try:
            yield self._open
        except RemoteUnavailable as error:
            self._note_trouble(error)
            raise

    def _judge(self, ends: Sequence[object]) -> None:
        """Of several runs: where nobody answered any of them, that is an outage."""
        silent = [end for end in ends if isinstance(end, RemoteUnavailable)]
        if silent and len(silent) == len(ends):
            self._note_trouble(silent[0])

    def _note_trouble(self, error: MountfsError) -> None:
        self._trouble, self._again_at = error, time.monotonic() + AGAIN_SECONDS

    def _connect(self, remote: Remote) -> None:
        settings = self._settings
        steps = connect(
            known=self.ground.store_id or None, trash_days=settings.trash_days, versions=settings.versions.enabled,
            where=remote.where, read_only=self.read_only,
        )  # fmt: skip
        patience = Patience(max(settings.sync.look_seconds, CONNECT_SECONDS))
        connected(self.ground, self._errands.run(steps, remote, patience), trash_days=settings.trash_days)
        self._connected = True

    # -- what others wrote ----------------------------------------------------------------------------------

    def look(self, jobs: Iterable[bytes], *, once: bool = False) -> None:
        """Bring in what others wrote in these jobs; `once`: where that was never done since this store was opened.

        Raises only where nothing can be said: the bucket was never reached and refuses, or only a job's name is known.
        A job that could not be read is `unread`, and as it was known here.
        """
        due = [name for name in jobs if self._is_due(name, once=once)]
        if not due:
            return
        for name, error in zip(due, self._read_all(due), strict=True):
            if error is None:
                self._looked[name] = time.monotonic()
                self._unread.pop(name, None)
                continue
            self._unread[name] = error
            if self._is_only_named(name) or not (error.waiting_helps or self.ground.store_id):
                raise _same(error)

    def unread(self, job: bytes) -> MountfsError | None:
        """Why it is not known what the bucket has of a job now; None where it is."""
        return self._unread.get(job)

    def _is_due(self, name: bytes, *, once: bool) -> bool:
        if namespace.is_reserved_root_name(name):
            return False
        looked = self._looked.get(name)
        if looked is None or once:
            return looked is None
        return time.monotonic() - looked > self._settings.sync.refresh_seconds

    def _read_all(self, names: Sequence[bytes]) -> Sequence[MountfsError | None]:
        try:
            with self._asking() as remote:
                found = self._errands.run_all([self._reading(name) for name in names], remote, self._looking)
        except MountfsError as error:
            return [error] * len(names)
        self._judge(found)
        return found

    def _reading(self, name: bytes) -> Steps[None]:
        """A look at one job, of which nothing stays where there is none."""
        tables = self.ground.tables
        known = tables.job_id(name)
        with self.ground.catalog.transaction():
            job = tables.make_job(name)
        try:
            refreshed = yield from refresh(self.ground, job)
            for sentence in refreshed.refused:
                log.warning("%s: %s", namespace.join_key((name,)), sentence)
        finally:
            if known is None and not self.ground.catalog.feed.known(job):
                forget_nothing(self.ground, job)

    def _is_only_named(self, name: bytes) -> bool:
        """Whether a job is known by its name alone: it would look empty."""
        job = self.ground.tables.job_id(name)
        if job is None or self.ground.tables.listed_ms(job):
            return False
        entry = self.ground.paths.find(Where(job, b""))
        return entry is not None and not entry.stamp and not self.ground.catalog.has_children(entry.ino)

    def look_at_root(self) -> None:
        """Bring in the names of all jobs. Raises rather than knowing some of them only; who follows the feed when
        mounted (`sync: full`) gets those of the last time."""
        if time.monotonic() - self._listed <= self._settings.sync.refresh_seconds:
            return
        self._store.ledger.drain()
        try:
            with self._asking() as remote:
                names = self._errands.run(jobs_in_bucket(), remote, self._looking)
                self._errands.run(show_jobs(self.ground, names), remote, self._looking)
        except RemoteUnavailable as error:
            if self._settings.sync.mode == "lazy":
                raise
            log.warning("jobs that others made since may be missing: %s", error)
            return
        self._listed = time.monotonic()

    def heads(self, key: str, value: bytes, *, limit: int, is_beginning: bool = False) -> list[JobHead]:
        """The newest jobs with that tag value, or one that begins so, as the bucket tells of them."""
        steps = find_jobs(key, value, limit=limit, beginning=is_beginning, known=self._heads)
        with self._asking() as remote:
            return self._errands.run(steps, remote, self._patience)

    # -- content --------------------------------------------------------------------------------------------

    def fetch(self, content_id: int) -> None:
        """Bring a content here, where it is not. Raises ContentLost, CacheFull too."""
        content = absent(self.ground, content_id)
        if content is None:
            return
        with self._asking() as remote:
            bundle = None if is_large(self.ground, content) else self._bundle_to_fetch(content)
            if bundle is not None and self.make_room(self._member_bytes(bundle[1])):
                with suppress(CacheFull):  # the disk has no room for all of it
                    self._errands.run(fetch_bundle(self.ground, *bundle), remote, self._patience)
            else:
                self.make_room(content.stored)  # where that is not possible more is here than the budget, for a while
            self._errands.run(fetch_content(self.ground, content_id), remote, self._patience)

    def expect(self, inos: Iterable[int]) -> None:
        """All of these are read next: what several of them lie in comes whole at the first."""
        for bundle in bundles_of_several(self.ground, inos):
            self._misses[bundle] = max(self._misses.get(bundle, 0), MISSES - 1)

    def _bundle_to_fetch(self, content: Content) -> tuple[int, int] | None:
        """(job, bundle) of its first place, when another content of that was missed before."""
        for found in whereabouts(self.ground, content):
            if found.place.object:
                return None
            number = found.place.bundle
            misses = self._misses[number] = self._misses.get(number, 0) + 1
            return (found.job, number) if misses == MISSES else None
        return None

    def _member_bytes(self, bundle: int) -> int:
        return sum(place.stored for place in self.ground.tables.places_in(bundle) if not place.object)

    def heal(self, content_id: int) -> bool:
        """A content rotted here: take it from the bucket, where the bucket has it. Whether it did."""
        if not give_to_bucket(self.ground, content_id):
            return False
        try:
            self.fetch(content_id)
        except MountfsError as error:
            log.error("a damaged content could not be fetched again: %s", error)
            return False
        log.warning("a damaged content was fetched again from the bucket")
        return True

    def url(self, entry: Entry, *, seconds: int, plain: bool, content_type: str) -> str | None:
        """A URL that anybody may read with; None where no server answers any. What is owed goes first."""
        refuse_without_content(self._store, entry.ino)
        assert entry.content is not None
        job = self.ground.owing.where(entry.ino).job
        if not self.read_only:
            self.flush([job], timeout=None)
        with self._asking() as remote:
            if not remote.capabilities.presign:
                return None
            steps = own_object(self.ground, job, entry.content, plain=plain, may_upload=not self.read_only)
            alone = self._errands.run(steps, remote, self._patience)
            if alone is None:
                raise no_object_of_its_own()
            encoding, name = encoding_of(alone), namespace.join_key((entry.name,))
            return remote.presign(
                alone.key, seconds=seconds, content_type=content_type, content_encoding=encoding, filename=name
            )[0]

    # -- the budget of what is here ---------------------------------------------------------------------------

    def note_read(self, content_id: int) -> None:
        """What was read last goes last."""
        if self._store.room.budget is not None:
            with self._store.catalog.transaction():
                self._store.catalog.note_reads([content_id], now_s=self._store.ledger.now_s())

    def make_room(self, size_bytes: int) -> bool:
        """Before so much comes here: evict, and publish where that is not enough. Whether it fits."""
        if self._fits(size_bytes):
            return True
        self._evict_for(size_bytes)
        if not self._fits(size_bytes) and not self.read_only:
            self.publish(self.owing())
            self._evict_for(size_bytes)
        return self._fits(size_bytes)

    def _fits(self, size_bytes: int) -> bool:
        room = self._store.room
        return room.budget is None or room.here_bytes() + size_bytes <= room.budget.most_bytes

    def _evict_for(self, size_bytes: int) -> None:
        room = self._store.room
        assert room.budget is not None
        self._evict(room.here_bytes() + size_bytes - room.budget.low_bytes)

    def _evict(self, lacking_bytes: int) -> int:
        """What could be freed."""
        freed_bytes = self._store.eviction.evict_now(lacking_bytes)
        self._store.contents.sweep_decided()
        self._store.settler.reclaim()
        return freed_bytes

    # -- what is owed -----------------------------------------------------------------------------------------

    def owing(self, jobs: Collection[int] | None = None) -> set[int]:
        """Jobs, of these or of all, that the bucket lacks something of."""
        self._store.ledger.drain()
        owing = {job for job in list(self._store.outbox.debts()) if self._store.outbox.owes(job)}
        return owing if jobs is None else owing & set(jobs)

    def flush(self, jobs: Collection[int] | None, *, timeout: float | None) -> None:
        """Return once the bucket has confirmed all of these jobs (None: of all).

        An outage is waited for `timeout` seconds in all, or without one for `patience_seconds` since anything arrived.
        Raises what waiting does not help; by then the rest has arrived.
        """
        most = self._settings.sync.patience_seconds if timeout is None else timeout
        ends_at = time.monotonic() + most
        while owing := self.owing(jobs):
            left = float("inf") if timeout is None else max(0.0, ends_at - time.monotonic())
            errors = self.publish(owing, seconds=left, again=True)
            if not errors:
                continue
            if timeout is None and len(errors) < len(owing):
                ends_at = time.monotonic() + most
            is_hopeless = not any(error.waiting_helps for error in errors.values())
            if is_hopeless or time.monotonic() + PAUSE_SECONDS > ends_at:
                raise self._told(errors)
            time.sleep(PAUSE_SECONDS)

    def publish(
        self, jobs: Collection[int], *, seconds: float = float("inf"), again: bool = False
    ) -> dict[int, MountfsError]:  # fmt: skip
        """Bring these jobs into the bucket, as far as that goes now; why not, by job, where it did not go."""
        errors: dict[int, MountfsError] = {}
        todo, ends_at = sorted(jobs), time.monotonic() + seconds
        while todo:
            some, todo = todo[:JOBS_AT_ONCE], todo[JOBS_AT_ONCE:]
            patience = Patience(self._settings.sync.patience_seconds, max(0.0, ends_at - time.monotonic()))
            found = self._publish_some(some, patience, again=again)
            errors |= found
            silent = next((error for error in found.values() if isinstance(error, RemoteUnavailable)), None)
            if silent is not None:
                return errors | dict.fromkeys(todo, silent)
        return errors

    def _publish_some(self, jobs: Sequence[int], patience: Patience, *, again: bool) -> dict[int, MountfsError]:
        ends: Sequence[MountfsError | None]
        try:
            with self._asking(again=again) as remote:
                ends = self._errands.run_all([self._publishing(job) for job in jobs], remote, patience)
            self._judge(ends)
        except MountfsError as error:
            ends = [error] * len(jobs)
        for job, end in zip(jobs, ends, strict=True):
            self._note_state(job, end)
        return {job: end for job, end in zip(jobs, ends, strict=True) if end is not None}

    def _note_state(self, job: int, error: MountfsError | None) -> None:
        if error is not None and not error.waiting_helps:
            self.states[self._name(job)] = State.FAILED
        else:
            self.states.pop(self._name(job), None)

    def _publishing(self, job: int) -> Steps[None]:
        published: Published = yield from publish(self.ground, job)
        if not published.complete:
            raise RemoteUnavailable("it changed again and again while it was published")
        if published.bundles:
            yield from self._telling(job)

    def _telling(self, job: int) -> Steps[None]:
        """Feed and heads; a job is published without them, and they are told the next time."""
        try:
            yield from tell(self.ground, job)
        except MountfsError as error:
            log.warning("others hear of %s later: %s", self._name(job), error)

    def _told(self, errors: Mapping[int, MountfsError]) -> MountfsError:
        """One error for all of them: one that somebody has to do something about before others."""
        error = min(errors.values(), key=lambda error: error.waiting_helps)
        names = ", ".join(sorted(map(self._name, errors))[:NAMES_SHOWN])
        more = f" and {len(errors) - NAMES_SHOWN} more" if len(errors) > NAMES_SHOWN else ""
        return type(error)(f"{names}{more}: not in the bucket: {error}")

    def _name(self, job: int) -> str:
        return namespace.join_key((self.ground.tables.job_name(job),))

    def close(self) -> None:
        """Send what is owed, as far as that goes now. What does not is kept: the next open or mount sends it."""
        owing = set() if self.read_only else self.owing()
        if not owing:
            return
        errors = self.publish(owing)
        if errors:
            log.warning("%s; kept here, and sent by the next `mountfs flush`, mount or open", self._told(errors))


def _same(error: MountfsError) -> MountfsError:
    """The same again, for another caller."""
    return type(error)(str(error))


def remote_of(storage: "Storage") -> Remote:
    """The remote that the settings describe. What fails is tried again for a moment before it counts as an outage."""
    remote = open_remote(storage)
    assert remote is not None
    return Retrying(remote, deadline_seconds=BLIP_SECONDS)
