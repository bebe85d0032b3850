"""The public Python API: `open_store`, with and without a mount.

    with open_store() as store:
        artifact = store.put("build-7/junit.xml", Path("junit.xml"), tags={"branch": "main"})
        store.get("build-7/junit.xml")

Two routes behind one class (DESIGN §7): where a daemon holds the store it is read beside it and written through its
mount (`mounted.py`); where nothing is mounted the store is opened here, under its lock (`direct.py`).
"""

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mountfs.api.keys import Key
from mountfs.api.pieces import Data
from mountfs.api.place import Place, Said, locate
from mountfs.api.reading import LIST_LIMIT, ArtifactStore
from mountfs.api.routes import Quota
from mountfs.daemon import client
from mountfs.errors import AlreadyMounted, CatalogError, EnvironmentProblem, InvalidArgument, NotMounted
from mountfs.namespace import Layouts, TypeRules
from mountfs.statedir import StateDirectory

if TYPE_CHECKING:
    from mountfs.api.bucket import DirectBucket
    from mountfs.config import Settings
    from mountfs.store.store import Store

__all__ = ["LIST_LIMIT", "ArtifactStore", "Data", "Key", "Place", "Said", "locate", "open_place", "open_store"]

LOCK_SECONDS = 10.0  # how long another process that holds the store directly is waited for
LOCK_POLL_SECONDS = 0.02


def open_store(
    config: "Settings | Mapping[str, object] | os.PathLike[str] | str | None" = None,
    *,
    mount: os.PathLike[str] | str | None = None,
    state: os.PathLike[str] | str | None = None,
    read_only: bool = False,
) -> ArtifactStore:
    """The store that settings, a mapping of settings, or the path of a settings file describe.

    Without `config`: the nearest mount or settings upward of the working directory. `mount` and `state` name a
    mountpoint or a state directory instead. Where the settings name a bucket it is connected when something is asked
    that this machine does not know; with `read_only` nothing leaves for it. Raises ConfigError, AlreadyMounted,
    CatalogError, EnvironmentProblem; with `read_only` and no bucket NotMounted where there is no store yet.
    """
    said = Said(_path(mount), _path(state), _source(config))
    place = locate(said, environ=os.environ, cwd=Path.cwd())
    return open_place(place, read_only=read_only)


def _path(said: os.PathLike[str] | str | None) -> Path | None:
    return None if said is None else Path(said)


def _source(config: object) -> Path | Mapping[str, object] | None:
    match config:
        case None:
            return None
        case Mapping():
            return config
        case str() | os.PathLike():
            return Path(config)
        case _ if hasattr(config, "model_dump"):
            dumped: Mapping[str, object] = config.model_dump()
            return dumped
        case _:
            raise InvalidArgument(f"config: {type(config).__name__} is neither settings, a mapping nor a path")


def open_place(place: Place, *, read_only: bool = False) -> ArtifactStore:
    """The store at a place, by the route that is open now."""
    refuse_strangers(place.state)
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            return _mounted(place)
        except NotMounted:
            pass
        try:
            # with a bucket a reader brings in what others wrote, and has the lock for that
            return _direct(place, read_only=read_only) if _has_bucket(place) or not read_only else _shared(place)
        except AlreadyMounted as holder:
            if time.monotonic() > deadline:
                if read_only and _has_bucket(place):
                    return _shared(place, holder=holder)
                raise
            time.sleep(LOCK_POLL_SECONDS)  # a daemon that starts or ends, or another command


def refuse_strangers(state: Path) -> None:
    """A catalog that another user may have prepared is not opened."""
    try:
        owner = state.stat().st_uid
    except FileNotFoundError:
        return
    except OSError as error:
        raise EnvironmentProblem(f"the state directory {state} cannot be used: {error.strerror}") from error
    if owner != os.geteuid():
        raise EnvironmentProblem(f"the state directory {state} belongs to another user: run this as that user")


def _mounted(place: Place) -> ArtifactStore:
    answer = client.ask(place.state, "barrier")
    from mountfs.api.mounted import MountedStore

    store = MountedStore(place.state, mountpoint=place.mountpoint, rules=_rules_in(answer))
    store.knows_all = answer.get("knows_all") is not False
    store.quota = Quota(int(str(answer.get("quota_bytes", 0))), float(str(answer.get("warn_threshold", 0.8))))
    return store


def _rules_in(answer: Mapping[str, object]) -> TypeRules:
    """What decides types, as a daemon says it."""
    types, layouts = answer.get("types"), answer.get("layouts")
    return TypeRules(
        types if isinstance(types, Mapping) else {}, Layouts(map(str, layouts) if isinstance(layouts, list) else ())
    )


def _direct(place: Place, *, read_only: bool = False) -> ArtifactStore:
    from mountfs.api.direct import DirectStore
    from mountfs.daemon.service import options_of
    from mountfs.store.store import Store

    store = Store.open(place.state, options_of(place.settings), mountpoint=place.mountpoint)
    try:
        bucket = _bucket_of(place, store, read_only=read_only)
        opened = DirectStore(store, mountpoint=place.mountpoint, bucket=bucket, read_only=read_only)
        opened.quota = _quota(place)
        return opened
    except BaseException:
        store.close()
        raise


def _bucket_of(place: Place, store: "Store", *, read_only: bool) -> "DirectBucket | None":
    """Not asked for anything yet; what asks S3 is imported when it is."""
    if not _has_bucket(place):
        return None
    from mountfs.api.bucket import DirectBucket, remote_of

    storage = place.settings.storage
    return DirectBucket(store, place.settings, opens=lambda: remote_of(storage), read_only=read_only)


def _quota(place: Place) -> Quota:
    limits = place.settings.limits
    return Quota(limits.quota, limits.warn_threshold)


def _has_bucket(place: Place) -> bool:
    return place.settings.storage.backend != "local"


def _shared(place: Place, *, holder: AlreadyMounted | None = None) -> ArtifactStore:
    """What is here, without the lock."""
    from mountfs.api.shared import SharedStore

    state = StateDirectory(place.state)
    if not state.catalog.exists():
        raise NotMounted(f"there is no store for {place.mountpoint} yet: mount it, or put something")
    opens = partial(
        SharedStore, place.state, mountpoint=place.mountpoint, rules=place.settings.type_rules(), holder=holder,
        understands=partial(_understand, place),
    )  # fmt: skip
    try:
        store = opens()
        store.quota = _quota(place)
        if store.is_complete() or state.holder() is not None:
            return store
        store.close()
    except CatalogError:
        if (pid := state.holder()) is not None:  # it is just making or migrating the catalog
            raise AlreadyMounted(f"{place.state} is in use by process {pid}") from None
    _direct(place, read_only=True).close()  # its last holder was killed: what it acknowledged is brought in first
    store = opens()
    store.quota = _quota(place)
    return store


def _understand(place: Place, on_reading: Callable[[int, int], None]) -> None:
    """Have reports read under the lock; not where another process has it, for it may keep it for long."""
    with contextlib.suppress(AlreadyMounted), _direct(place, read_only=True) as store:
        store.on_reading = on_reading
        store.understand()
