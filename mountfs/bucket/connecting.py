"""Which store a bucket holds: `mountfs.json`, made once, known for good.

A machine connects to the store that it knows and to no other: an empty or foreign bucket under the old name is an
error, never "all was deleted".
"""

import contextlib
import json
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from mountfs import objects
from mountfs.bucket.ground import DAY_MS, HOUR_MS, Ground, nobody
from mountfs.bucket.recovering import finish_interrupted
from mountfs.bucket.requests import Get, List, Put, Steps, ask
from mountfs.errors import ConfigError, CorruptContent, ObjectMissing, PutRefused
from mountfs.store.paths import Changes
from mountfs.store.store import Store as LocalStore

log = logging.getLogger(__name__)

FORMAT = 1
MOST_BYTES = 64 << 10
LEAST_GRACE_MS = HOUR_MS
STORE_ID_BYTES = 16


@dataclass(frozen=True, slots=True)
class Store:
    """What `mountfs.json` says, one for all machines. `server_ms` is when it said so."""

    store_id: str
    grace_ms: int
    versions: bool
    server_ms: int = 0

    def to_json(self) -> bytes:
        said = {
            "format": FORMAT, "store": self.store_id, "grace_seconds": self.grace_ms // 1000, "versions": self.versions
        }  # fmt: skip
        return json.dumps(said, indent=2).encode() + b"\n"


def connect(*, known: str | None, trash_days: int, versions: bool, where: str, read_only: bool = False) -> Steps[Store]:
    """The store in the bucket; made where the prefix is empty and this machine (`known` None) has none yet.

    Raises ConfigError for another store, a newer format or a prefix that holds something else; CorruptContent for a
    `mountfs.json` that cannot be read.
    """
    try:
        found = yield from _read()
    except ObjectMissing:
        if known is not None:
            raise ConfigError(
                f"{where} is empty, and this machine knows the store {known} there: check bucket and prefix; nothing"
                " was changed here"
            ) from None
        if read_only:
            raise ConfigError(f"{where} holds no store of mountfs, and this mount is to read only") from None
        return (yield from _create(trash_days=trash_days, versions=versions, where=where))
    if known is not None and found.store_id != known:
        raise ConfigError(
            f"{where} holds another store ({found.store_id}) than this machine knows ({known}): check bucket and"
            " prefix, or use another state directory; nothing was changed"
        )
    return found


def create(*, trash_days: int, versions: bool, where: str) -> Steps[Store]:
    """The store in the bucket, made where there is none: `mountfs remote check --create`."""
    try:
        return (yield from _read())
    except ObjectMissing:
        return (yield from _create(trash_days=trash_days, versions=versions, where=where))


def _read() -> Steps[Store]:
    fetched = yield from ask(Get(objects.MOUNTFS_JSON, MOST_BYTES))
    return parsed(fetched.data, server_ms=fetched.server_ms)


def parsed(data: bytes, *, server_ms: int) -> Store:
    """Raises ConfigError, CorruptContent."""
    try:
        said = json.loads(data)
        number, store_id, grace = said["format"], said["store"], said["grace_seconds"]
        if not isinstance(store_id, str) or len(bytes.fromhex(store_id)) != STORE_ID_BYTES:
            raise ValueError("store")
        if type(number) is not int or type(grace) is not int or not 0 < grace < 10_000 * DAY_MS // 1000:
            raise ValueError("numbers")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CorruptContent(f"{objects.MOUNTFS_JSON} in the bucket is no word of mountfs ({error})") from None
    if number > FORMAT:
        raise ConfigError(f"the bucket has format {number}, this mountfs knows up to {FORMAT}: upgrade it")
    return Store(store_id, max(grace * 1000, LEAST_GRACE_MS), bool(said.get("versions")), server_ms)


def _create(*, trash_days: int, versions: bool, where: str) -> Steps[Store]:
    page = yield from ask(List(""))
    if page.objects or page.prefixes:
        first = page.objects[0].key if page.objects else page.prefixes[0]
        raise ConfigError(f"{where} holds other things ({first}), and no store of mountfs: choose an empty prefix")
    made = Store(secrets.token_hex(STORE_ID_BYTES), max(trash_days * DAY_MS, LEAST_GRACE_MS), versions)
    with contextlib.suppress(PutRefused):  # another machine was quicker: its word counts
        yield from ask(Put(objects.MOUNTFS_JSON, made.to_json(), content_type="application/json", if_absent=True))
    return (yield from _read())


# -- on this machine --------------------------------------------------------------------------------------------


def ground_of(
    store: LocalStore, *, trash_days: int, heads: tuple[str, ...], on_loop: Callable[[Callable[[], None]], None],
    changed: Callable[[Changes], None] = nobody,
) -> Ground:  # fmt: skip
    """What protocol runs over this store stand on; of the bucket what was known of it the last time."""
    known = store.catalog.meta("store_id") or ""
    grace_ms = int(store.catalog.meta("grace_ms") or trash_days * DAY_MS)
    return Ground(
        store.ledger, store.owing, store.paths, store.outbox, store.contents, store.room, known, grace_ms,
        on_loop=on_loop, heads=heads, types=store.types, changed=changed,
    )  # fmt: skip


def connected(ground: Ground, found: Store, *, trash_days: int) -> None:
    """The bucket said who it is: known for good from now on, and what a crash left half done is finished."""
    if found.grace_ms != trash_days * DAY_MS:
        log.info("the bucket keeps what was removed for %.3g days", found.grace_ms / DAY_MS)
    with ground.ledger.transaction():
        ground.catalog.set_meta("store_id", found.store_id)
        ground.catalog.set_meta("grace_ms", str(found.grace_ms))
        ground.catalog.set_meta("versions", str(int(found.versions)))
    ground.store_id, ground.grace_ms, ground.versions = found.store_id, found.grace_ms, found.versions
    ground.paths.versions.enabled = found.versions
    if found.server_ms:
        now_ms = ground.clock.now_ns() // 1_000_000
        ground.stamps.heard(found.server_ms, began_ms=now_ms - 1000, ended_ms=now_ms)
    finish_interrupted(ground)
