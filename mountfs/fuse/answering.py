"""What the handlers of requests share: their state, and how what they raise is answered.

Every handler is wrapped once (`answers`): what mountfs raises becomes its errno, anything else is a bug: EIO with
its traceback in the log, and the daemon lives on (an exception that pyfuse3 does not know would end it).
"""

import abc
import errno
import functools
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, ParamSpec, TypeVar  # Any: what pyfuse3's own signatures say of coroutines

import pyfuse3
import trio
from pyfuse3 import EntryAttributes, FileInfo, FUSEError, RequestContext

from mountfs.errors import (
    ArtifactTooLarge,
    CacheFull,
    ContentLost,
    CorruptContent,
    DeadlineExceeded,
    InvalidArgument,
    InvalidName,
    MountfsError,
    NameTooLong,
    Protected,
    QuotaExceeded,
    RemoteDenied,
    TagTooLarge,
    Unsupported,
)
from mountfs.fuse.asking import Asking
from mountfs.fuse.attributes import CACHED_SECONDS, SHARED_ATTRIBUTES, SHARED_SECONDS, UNSETTLED_SECONDS, to_kernel
from mountfs.fuse.handles import DirectoryHandle, Handle
from mountfs.fuse.history import History
from mountfs.fuse.refusals import Refusals
from mountfs.fuse.syncing import Syncing
from mountfs.fuse.viewnodes import VIEW, is_virtual
from mountfs.fuse.views import Views
from mountfs.fuse.virtual import VirtualFiles
from mountfs.fuse.waiting import Waiting
from mountfs.model import Entry
from mountfs.store.live import LiveFile
from mountfs.store.room import NoRoomYet
from mountfs.store.store import Store
from mountfs.transfers.bucket import Bucket

log = logging.getLogger(__name__)
P = ParamSpec("P")
R = TypeVar("R")

_REFUSED = (
    Protected, Unsupported, InvalidArgument, InvalidName, ArtifactTooLarge, TagTooLarge, QuotaExceeded, CacheFull,
    NameTooLong, RemoteDenied,
)  # fmt: skip
_OF_ATTRIBUTES = frozenset({"getxattr", "_getxattr", "setxattr", "removexattr"})


def answers(handler: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """Translate what a handler raises; see the module's docstring."""

    @functools.wraps(handler)
    async def answer(*args: P.args, **kwargs: P.kwargs) -> R:
        here: Answering = args[0]  # type: ignore[assignment]
        here.requests += 1
        try:
            if len(args) > 1 and isinstance(args[1], int) and args[1] >= VIEW:
                room = here.virtual if is_virtual(args[1]) else here.views
                return await getattr(room, handler.__name__)(*args[1:], **kwargs)  # type: ignore[no-any-return]
            return await handler(*args, **kwargs)
        except FUSEError:
            raise
        except MountfsError as error:
            here.refused(handler.__name__, args, error)
            raise FUSEError(error.errno) from error
        except OSError as error:
            log.exception("%s failed", handler.__name__)
            raise FUSEError(error.errno or errno.EIO) from error
        except Exception as error:
            log.exception("a bug in %s", handler.__name__)
            raise FUSEError(errno.EIO) from error

    return answer


class Answering(pyfuse3.Operations):
    """What every handler works with. All run on one loop; what waits goes through `Waiting`."""

    def __init__(
        self, store: Store, *, handler_seconds: float, nursery: trio.Nursery, wake: Callable[[], None],
        bucket: Bucket | None = None, views: str = "unlisted",
    ) -> None:  # fmt: skip
        """`views`: as in the settings, `unlisted`, `listed` or `off`."""
        super().__init__()
        self.store = store
        self.bucket = bucket
        self._cached_seconds = CACHED_SECONDS
        if bucket is not None:
            self._cached_seconds = min(SHARED_SECONDS, SHARED_ATTRIBUTES * bucket.manner.refresh_seconds)
            bucket.following.asked = lambda: self.requests
        self.waiting = Waiting(handler_seconds)
        self.syncing = Syncing(store, self.waiting)
        asking = Asking(store, self.waiting, bucket)
        history = History(store, self._learn_history)
        self.views = Views(asking, history, self._open_content, owner=store.options.owner)
        self.virtual = VirtualFiles(
            store, self.waiting, catch_up=asking.catch_up, states=self._job_states, wake=wake
        )  # fmt: skip
        self._has_views, self._lists_views = views != "off", views == "listed"
        self.refusals = Refusals(store)
        self.requests = 0
        self._tree, self._files = store.tree, store.files
        self._nursery = nursery
        self._wake = wake
        self._handles: dict[int, Handle] = {}
        self._directories: dict[int, DirectoryHandle] = {}
        self._next_handle = 1
        self._behind: dict[int, int] = {}
        self._behind_limiter = trio.CapacityLimiter(2)

    async def _learn_history(self, job: bytes) -> None:
        """Raises DeadlineExceeded where the bucket does not tell in time."""
        if self.bucket is None:
            return
        with trio.move_on_after(self.waiting.seconds / 2) as patience:
            await self.bucket.learn_history(job)
        if patience.cancelled_caught:
            raise DeadlineExceeded("the bucket did not tell in time which versions there are")

    @abc.abstractmethod
    async def _open_content(self, row: Entry, pid: int) -> FileInfo:
        """Open what is no entry of the tree, to read it."""

    def refused(self, request: str, args: tuple[object, ...], error: MountfsError) -> None:
        """Remember what was refused, by a rule or by the bucket, and log what is broken."""
        if isinstance(error, CorruptContent | ContentLost):
            return
        if isinstance(error, _REFUSED):
            self.refusals.add(*self._asked(request, args), request, error)
        elif error.errno == errno.EIO:
            log.error("%s: %s", request, error)

    def _asked(self, request: str, args: tuple[object, ...]) -> tuple[int, str]:
        """Who asked, and for which path: requests on a handle name neither."""
        match args:
            case (_, int(ino), bytes(), *_, RequestContext() as context) if request in _OF_ATTRIBUTES:
                return context.pid, _shown(self.store.ledger.path(ino))
            case (_, int(ino), bytes(name), *_, RequestContext() as context):
                return context.pid, _shown((*self.store.ledger.path(ino), name))
            case (_, int(ino), *_, RequestContext() as context):
                return context.pid, _shown(self.store.ledger.path(ino))
            case (_, int(fh), *_) if fh in self._handles:
                handle = self._handles[fh]
                return handle.pid, _shown(self.store.ledger.path(handle.live.ino))
        return 0, ""

    async def _locked_with_room(self, live: LiveFile, prepare: Callable[[], None]) -> None:
        """Run `prepare` with the lock of a file, and keep the lock. Where it finds no room, what the bucket has makes
        room, or an upload that ends, within our deadline; nobody else waits for the file. Raises CacheFull."""
        until = trio.current_time() + self.waiting.seconds
        while True:
            await self.waiting.lock(live.lock)
            try:
                prepare()
                return
            except NoRoomYet as found:
                live.lock.release()
                lack = found
            except BaseException:
                live.lock.release()
                raise
            if self.bucket is None:
                raise CacheFull(str(lack)) from lack
            await self.bucket.cache.make_room(lack, until=until)

    def _job_states(self) -> Mapping[str, str]:
        return self.bucket.job_states() if self.bucket is not None else {}

    def _made(self, parent: int, name: bytes, pid: int) -> None:
        """Whoever looked for this name did so to make it."""
        if self.bucket is not None:
            self.bucket.made(parent, name, pid)

    def _attributes(self, entry: Entry) -> EntryAttributes:
        live = self._files.live.get(entry.ino)
        settled = live is None and (entry.content is None or not self.store.ledger.is_waiting(entry.content))
        return to_kernel(
            entry,
            links=0 if live is not None and live.unlinked else 1,
            owner=self.store.options.owner,
            cached_seconds=self._cached_seconds if settled else UNSETTLED_SECONDS,
        )


def _shown(names: tuple[bytes, ...]) -> str:
    return b"/".join(names).decode("utf-8", "surrogateescape")
