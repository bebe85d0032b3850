"""URLs of artifacts: one upload for all who ask at the same time, and what the server is to say of the content."""

import logging
from dataclasses import dataclass, field

import trio

from mountfs import namespace
from mountfs.bucket.ground import Ground
from mountfs.bucket.links import Alone, encoding_of, no_object_of_its_own, own_object, refuse_without_content
from mountfs.errors import DeadlineExceeded, MountfsError, NotFound, RemoteUnavailable
from mountfs.model import Entry, Owed
from mountfs.remote.protocol import Remote
from mountfs.store.store import Store
from mountfs.transfers.carrier import Carrier
from mountfs.transfers.uploads import Uploads

log = logging.getLogger(__name__)

PUBLISH_SECONDS = 600.0  # a file that is still being written is not waited for any longer
Flown = tuple[int, int, bool]


@dataclass(frozen=True, slots=True)
class Link:
    """A URL, and the second since the epoch at which it really ends; None: it does not."""

    url: str
    ends_s: int | None = None
    content_type: str | None = None
    content_encoding: str | None = None
    uploaded: bool = False


@dataclass(slots=True)
class _Flight:
    done: trio.Event = field(default_factory=trio.Event)
    alone: Alone | None = None
    error: MountfsError | None = None


class Links:
    """On the loop. `read_only`: nothing is uploaded for anybody."""

    def __init__(
        self, store: Store, ground: Ground, carrier: Carrier, uploads: Uploads, nursery: trio.Nursery, *,
        read_only: bool,
    ) -> None:  # fmt: skip
        self._store = store
        self._ground = ground
        self._carrier = carrier
        self._remote: Remote = carrier.remote
        self._uploads = uploads
        self._nursery = nursery
        self._read_only = read_only
        self._flights: dict[Flown, _Flight] = {}

    async def link(self, ino: int, *, seconds: int, plain: bool = False) -> Link:
        """A URL that anybody may read with; `plain`: without a Content-Encoding.

        Raises NotFound, IsADirectory, Unsupported, Protected, DeadlineExceeded, RemoteUnavailable, RemoteDenied.
        """
        names = self._store.ledger.path(ino)
        if not self._remote.capabilities.presign:
            return local_link(self._store, ino)
        entry = await self._published(ino)
        alone = await self._alone(entry, plain=plain)
        content = self._store.ledger.content(entry.content) if entry.content is not None else None
        mime = self._store.facts.mime_of(names, self._store.catalog.register(ino, "mime_type"), content)
        encoding = encoding_of(alone)
        name = namespace.join_key(names[-1:])

        def presign() -> tuple[str, int]:
            return self._remote.presign(
                alone.key, seconds=seconds, content_type=mime, content_encoding=encoding, filename=name
            )

        url, ends_s = await trio.to_thread.run_sync(presign)
        return Link(url, ends_s, mime, encoding, alone.uploaded)

    async def _published(self, ino: int) -> Entry:
        """The entry once the bucket has its content."""
        refuse_without_content(self._store, ino)
        with trio.move_on_after(PUBLISH_SECONDS):
            while True:
                if self._carrier.down is not None:
                    raise RemoteUnavailable(self._carrier.down)
                entry = self._store.ledger.entry(ino)
                if entry is None or entry.content is None:
                    raise NotFound("it was removed, or emptied, meanwhile")
                if not entry.owed & Owed.CONTENT:
                    return entry
                await self._hurry(ino)
        raise DeadlineExceeded(f"not in the bucket within {PUBLISH_SECONDS:g} seconds: it is still being written")

    async def _hurry(self, ino: int) -> None:
        job = self._ground.owing.where(ino).job
        failure = self._uploads.failures.get(job)
        if failure is not None and failure.parked:
            raise failure.raised()
        self._store.files.hurry(ino)
        self._uploads.hurry(job)
        await self._uploads.next_done(0.25)

    async def _alone(self, entry: Entry, *, plain: bool) -> Alone:
        assert entry.content is not None
        key = (self._ground.owing.where(entry.ino).job, entry.content, plain)
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight()
            self._nursery.start_soon(self._fly, key, flight)
        await flight.done.wait()
        if flight.error is not None:
            raise flight.error
        if flight.alone is None:
            raise no_object_of_its_own()
        return flight.alone

    async def _fly(self, key: Flown, flight: _Flight) -> None:
        job, content, plain = key
        steps = own_object(self._ground, job, content, plain=plain, may_upload=not self._read_only)
        try:
            flight.alone = await self._carrier.run(steps, urgent=True)
        except MountfsError as error:
            flight.error = error
        except Exception as error:  # a bug here must not take the mount away from its users
            log.exception("a bug in making a link")
            flight.error = MountfsError(f"a bug: {error!r}")
        finally:
            del self._flights[key]
            flight.done.set()


def local_link(store: Store, ino: int) -> Link:
    """Where a program of this machine finds it: in the mount."""
    refuse_without_content(store, ino)
    return Link(store.facts.uri(store.ledger.path(ino)))
