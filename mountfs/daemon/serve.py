"""Serving one mount: the store, the requests, the work behind them, and an end that leaves nothing half done."""

import atexit
import contextlib
import gc
import logging
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import trio

from mountfs import __version__, namespace
from mountfs.clock import writer_of
from mountfs.daemon import dropping, restoring
from mountfs.daemon.background import Background
from mountfs.daemon.cleaning import Cleaning
from mountfs.daemon.control import Answer, Control, listen
from mountfs.daemon.described import Described
from mountfs.daemon.jumping import Jumping
from mountfs.daemon.parts import REMOVED_AT_ONCE, Parts
from mountfs.daemon.requests import CHANGING, READING, requests
from mountfs.daemon.service import Service
from mountfs.daemon.telling import Telling
from mountfs.daemon.understanding import Understanding
from mountfs.errors import MountfsError, RemoteDenied, RemoteUnavailable
from mountfs.events import ConflictLost, EventKind, UploadFailed
from mountfs.fuse import session
from mountfs.fuse.operations import Operations
from mountfs.model import Standing
from mountfs.store.origins import Where
from mountfs.store.paths import Changes
from mountfs.store.store import Store
from mountfs.transfers.bucket import Bucket

log = logging.getLogger(__name__)

LAST_SETTLE_SECONDS = 3.0  # what is not settled by then is settled after the next start
SWITCH_SECONDS = 0.0005  # a busy worker thread hands the interpreter back to the loop after this time
OPEN_FILES = 65536
COLLECT_AFTER = 20_000  # objects; with 700, Python's own, a create cost the daemon a tenth more (970 against 820 µs)


class Daemon:
    """One mount, from open to close."""

    def __init__(self, service: Service, store: Store, ready: Callable[[], None], stopping: Callable[[], None]) -> None:
        self._service = service
        self._store = store
        self._ready = ready
        self._stopping_said = stopping
        self._started = time.time()
        self._background = Background(store)
        self._stopping = False
        self._operations: Operations | None = None
        self._parts = Parts(
            store, self._background, self._changed, self._background.wake, read_only=service.read_only
        )  # fmt: skip
        self._invalidations = session.Invalidations()
        self._telling = Telling(store, service.hooks, mount=str(service.mountpoint))
        self._parts.tell = self._telling.tell
        store.dropping.tells = self._telling.wants(EventKind.JOB_EXPIRED)
        store.paths.on_conflict = self._conflict_lost

    async def run(self) -> None:
        listener = listen(self._service.state)
        own = {"barrier": self._barrier, "status": self._status, "delete": self._delete, "stop": self._stop}
        handlers = {**own, **requests(self._parts)}
        assert handlers.keys() == CHANGING | READING, "a request that does not say whether it changes something"
        control = Control(handlers, refused=CHANGING if self._service.read_only else ())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_signals)
            nursery.start_soon(control.serve, listener)
            nursery.start_soon(self._background.run)
            nursery.start_soon(self._invalidations.run)
            nursery.start_soon(self._telling.run)
            understanding = Understanding(self._store, self._background)
            nursery.start_soon(understanding.run)
            nursery.start_soon(self._jumping().run)
            if self._service.bucket is not None:
                bucket = self._parts.bucket = await self._open_bucket(self._service.bucket, nursery)
                bucket.cache.sweep = partial(self._background.carry_over, truncate=False)
                understanding.on_type = bucket.typed
                nursery.start_soon(bucket.run)
            nursery.start_soon(restoring.expire_forever, self._parts)
            if not self._service.read_only:
                nursery.start_soon(dropping.finish_early, self._parts)
                nursery.start_soon(Cleaning(self._parts).run)
            operations = Operations(
                self._store,
                handler_seconds=self._service.handler_seconds,
                nursery=nursery,
                wake=self._background.wake,
                bucket=self._parts.bucket,
                views=self._service.views,
            )
            self._operations = operations
            with session.mounted(
                operations,
                self._service.mountpoint,
                source=self._service.state,
                allow_other=self._service.allow_other,
                auto_unmount=self._service.auto_unmount,
                read_only=self._service.read_only,
            ):
                nursery.start_soon(self._announce)
                await session.serve()
                self._stopping = True
                self._stopping_said()
            await self._finish()
            nursery.cancel_scope.cancel()

    async def _open_bucket(self, described: Described, nursery: trio.Nursery) -> Bucket:
        """Connected when it answers in time; what is wrong for good with a bucket never used before ends the mount."""
        remote = await trio.to_thread.run_sync(described.open)
        bucket = Bucket(self._store, remote, described.manner, nursery, self._changed)
        bucket.uploads.on_parked = self._upload_failed
        try:
            await bucket.connect(seconds=max(described.manner.look_seconds, 5.0))
        except RemoteUnavailable as error:
            log.warning("mounted without the bucket: %s", error)
        except RemoteDenied as error:
            if not bucket.ground.store_id:
                raise
            log.error("mounted without the bucket: %s", error)
        return bucket

    def _changed(self, changes: Changes) -> None:
        self._invalidations.tell(changes)

    # -- events -------------------------------------------------------------------------------------------

    def _conflict_lost(self, where: Where, winner: str, loser: str) -> None:
        job = self._store.catalog.bucket.job_name(where.job)
        self._telling.tell(ConflictLost(_text(job), _text(where.path), writer_of(winner), writer_of(loser)))

    def _jumping(self) -> Jumping:
        wanted = self._telling.wants(EventKind.SIZE_JUMP) and not self._service.read_only
        return Jumping(self._store, self._background, self._service.jump, self._telling.tell, wanted=wanted)

    def _upload_failed(self, job: bytes, reason: str) -> None:
        self._telling.tell(UploadFailed(_text(job), reason, will_retry=False))

    async def _announce(self) -> None:
        found = await trio.to_thread.run_sync(os.stat, self._service.mountpoint)
        session.raise_read_ahead(found.st_dev)
        gc.collect()
        gc.freeze()
        gc.set_threshold(COLLECT_AFTER)
        self._ready()

    async def _watch_signals(self) -> None:
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for number in signals:
                log.info("ending on signal %d", number)
                self._end()

    def _end(self) -> None:
        if not self._stopping:
            self._stopping = True
            if self._parts.bucket is not None:
                self._parts.bucket.end()
            session.stop()

    async def _finish(self) -> None:
        """The mount is gone: acknowledge what is still open, settle what can be settled in a moment."""
        for live in list(self._store.files.live.values()):
            try:
                if live.dirty and live.lock.acquire(timeout=0.2):
                    self._store.files.publish(live, Standing.PROVISIONAL)
                    live.lock.release()
            except MountfsError as error:
                log.error("%r was still open and is not saved: %s", live.entry.name, error)
        await self._background.settled(seconds=LAST_SETTLE_SECONDS)

    # -- control requests ---------------------------------------------------------------------------------

    async def _barrier(self, request: dict[str, object]) -> Answer:
        """Everything acknowledged is in the catalog; with `settled` also hashed and compressed, with `indexed`
        in the search index."""
        if request.get("settled"):
            return {"settled": await self._background.settled(seconds=float(str(request.get("seconds", 600))))}
        self._store.ledger.drain()
        if request.get("indexed"):
            await self._background.index()
        bucket = self._parts.bucket
        return {
            "types": dict(self._store.options.types),
            "layouts": list(self._store.options.layouts),
            "states": bucket.job_states() if bucket is not None else {},
            "knows_all": bucket is None or not bucket.manner.lazy,
            "patience_seconds": None if bucket is None else _patience_seconds(bucket),
            "quota_bytes": self._store.room.quota_bytes,
            "warn_threshold": self._store.options.warn_threshold,
        }

    async def _status(self, request: dict[str, object]) -> Answer:
        store = self._store
        refusals = self._operations.refusals.as_json() if self._operations else []
        return {
            "pid": os.getpid(),
            "version": __version__,
            "mountpoint": str(self._service.mountpoint),
            "state": str(self._service.state),
            "since": self._started,
            "open_files": sum(1 for live in store.files.live.values() if live.handles),
            "drafts": sum(1 for live in store.files.live.values() if live.dirty),
            "unsettled": len(store.files.due) + len(store.settler.backlog) + store.ledger.waiting_count(),
            "stored_bytes": store.room.used_bytes(),
            "quota_bytes": store.room.quota_bytes,
            "warn_threshold": store.options.warn_threshold,
            "resident_bytes": _resident_bytes(),
            "damaged": len(store.catalog.damaged()),
            "refusals": refusals,
            "bucket": self._parts.bucket.status() if self._parts.bucket is not None else None,
        }

    async def _delete(self, request: dict[str, object]) -> Answer:
        """Remove a key and all below it; what the kernel remembers of it goes too."""
        names = namespace.split_key(str(request.get("key")))
        tree = self._store.tree
        if self._parts.bucket is not None:
            await self._parts.bucket.into(tree.walk(names[:1]).ino)  # of some jobs only the name is known
        entry = tree.walk(names)
        gone = 0
        for number, removed in enumerate(tree.removing_tree(entry)):
            gone += removed
            if number % REMOVED_AT_ONCE == 0:
                await trio.lowlevel.checkpoint()
        session.forget_name(entry.parent, entry.name)
        self._background.wake()
        return {"deleted": gone}

    async def _stop(self, request: dict[str, object]) -> Answer:
        self._end()
        return {}


def _patience_seconds(bucket: Bucket) -> float:
    """How long it is waited for now: not at all while it is known to be silent."""
    return 0.0 if bucket.carrier.down is not None else bucket.manner.patience_seconds


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def serve(service: Service, ready: Callable[[], None], stopping: Callable[[], None] = lambda: None) -> None:
    """Serve until unmounted or told to end. Raises AlreadyMounted, CatalogError, EnvironmentProblem."""
    os.umask(0o077)
    sys.setswitchinterval(SWITCH_SECONDS)
    _raise_open_files()
    store = Store.open(service.state, service.options, mountpoint=service.mountpoint)
    try:
        trio.run(Daemon(service, store, ready, stopping).run)
    except BaseExceptionGroup as group:
        raise sole(group) from None
    finally:
        with contextlib.suppress(FileNotFoundError):
            (service.state / "control.sock").unlink()
        store.close()
    _end_with_requests_under_way()


def _end_with_requests_under_way() -> None:
    """Threads that send parts of a large content would be waited for, for as long as their bucket hangs."""
    if any(not thread.daemon and thread is not threading.main_thread() for thread in threading.enumerate()):
        log.info("ending without the answers to requests that are under way")
        sys.stdout.flush()
        atexit._run_exitfuncs()
        os._exit(0)


def sole(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What ended a nursery, where that is one thing: trio puts it into a group for each nursery on its way."""
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup) and len(found.exceptions) == 1:
        found = found.exceptions[0]
    return found


def _raise_open_files() -> None:
    """One descriptor for each open draft or content: the usual 1024 is soon used up."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
