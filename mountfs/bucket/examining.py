"""Whether a bucket can be worked with: each thing that mountfs asks of it tried once, and what to do where it fails."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mountfs.bucket.connecting import LEAST_GRACE_MS, MOST_BYTES, Store, create, parsed
from mountfs.bucket.ground import DAY_MS, HOUR_MS
from mountfs.bucket.requests import drive
from mountfs.errors import (
    ConfigError,
    CorruptContent,
    MountfsError,
    ObjectMissing,
    PutRefused,
    RemoteDenied,
    RemoteUnavailable,
)
from mountfs.objects import JOBS, MOUNTFS_JSON
from mountfs.remote.policy import CHECK_JSON
from mountfs.remote.protocol import Remote

OK, WARNING, PROBLEM = "ok", "warning", "problem"
SKEW_MS = 60_000  # nothing rests on equal clocks, but S3 refuses signatures of a clock 15 minutes off


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the answer; `exit_code` of a problem is that of its error."""

    check: str
    level: str
    saw: str
    advice: str = ""
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the settings say: `known` is the store that this machine worked with, None where it knows none."""

    trash_days: int
    versions: bool
    known: str | None
    read_only: bool = False


class Unusable(Exception):
    """There is no use in looking further; what was found says why."""


def examine(remote: Remote, wanted: Wanted, *, make: Callable[[], None] | None) -> Iterator[Finding]:
    """Try everything. `make` makes the bucket (or directory) and its store where they are missing; None: do not."""
    try:
        yield _reach(remote, make)
        yield _clock(remote)
        found = _store_of(remote, wanted, create_it=make is not None)
        yield from _store(found, wanted)
        yield from _rights(remote, wanted)
        yield _capabilities(remote)
    except MountfsError as error:
        yield _problem("bucket", error)
    except Unusable as unusable:
        yield unusable.args[0]


def _problem(check: str, error: MountfsError, advice: str = "") -> Finding:
    return Finding(check, PROBLEM, str(error), advice, error.exit_code)


def _reach(remote: Remote, make: Callable[[], None] | None) -> Finding:
    try:
        remote.list("", limit=1)
    except (RemoteDenied, RemoteUnavailable):  # a directory that is missing may be a share that is not mounted
        if make is None:
            raise
        make()
        remote.list("", limit=1)
        return Finding("bucket", OK, f"{remote.where} was made")
    return Finding("bucket", OK, f"{remote.where} can be listed")


def _clock(remote: Remote) -> Finding:
    before_ms = time.time_ns() // 1_000_000
    server_ms = remote.server_ms()
    after_ms = time.time_ns() // 1_000_000
    ahead_ms = max(server_ms - after_ms, 0) or min(server_ms + 999 - before_ms, 0)  # it says whole seconds
    if abs(ahead_ms) <= SKEW_MS:
        return Finding("clock", OK, "within a minute of the server's")
    word = "ahead of" if ahead_ms > 0 else "behind"
    saw = f"the server's clock is {abs(ahead_ms) / 1000:.0f} s {word} this machine's"
    return Finding("clock", WARNING, saw, "set this machine's clock: servers refuse requests of one 15 minutes off")


def _store_of(remote: Remote, wanted: Wanted, *, create_it: bool) -> Store:
    """Raises Unusable with a finding."""
    try:
        fetched = remote.get(MOUNTFS_JSON, most_bytes=MOST_BYTES)
        return parsed(fetched.data, server_ms=fetched.server_ms)
    except ObjectMissing:
        if create_it:
            return drive(create(trash_days=wanted.trash_days, versions=wanted.versions, where=remote.where), remote)
        saw = f"{remote.where} holds no store of mountfs"
        raise Unusable(
            Finding("store", PROBLEM, saw, "run `mountfs remote check --create`", ConfigError.exit_code)
        ) from None
    except (ConfigError, CorruptContent) as error:
        raise Unusable(_problem("store", error, "check bucket and prefix")) from None


def _store(found: Store, wanted: Wanted) -> Iterator[Finding]:
    if wanted.known is not None and wanted.known != found.store_id:
        saw = f"{found.store_id}, but this machine knows {wanted.known} there"
        advice = "check bucket and prefix, or use another state directory"
        yield Finding("store", PROBLEM, saw, advice, ConfigError.exit_code)
    else:
        yield Finding("store", OK, found.store_id)
    yield _grace(found, wanted)
    if found.versions != wanted.versions:
        kept = "keeps versions" if found.versions else "keeps no versions"
        yield Finding("versions", WARNING, f"the bucket {kept}, the settings say otherwise", "the bucket's word counts")


def _grace(found: Store, wanted: Wanted) -> Finding:
    saw = f"what was removed stays {_days(found.grace_ms)}"
    if found.grace_ms == max(wanted.trash_days * DAY_MS, LEAST_GRACE_MS):
        return Finding("grace", OK, saw)
    advice = f"the bucket's word counts; `trash_days` of the settings says {wanted.trash_days}"
    return Finding("grace", WARNING, saw, advice)


def _days(ms: int) -> str:
    return f"{ms / DAY_MS:g} days" if ms >= DAY_MS else f"{ms / HOUR_MS:g} hours"


# -- what the credentials may do ------------------------------------------------------------------------------------


def _rights(remote: Remote, wanted: Wanted) -> Iterator[Finding]:
    yield Finding("read", OK, "objects can be read")
    if wanted.read_only:
        return
    body = json.dumps({"checked": "by mountfs remote check"}).encode()
    try:
        remote.put(CHECK_JSON, body, content_type="application/json")
    except RemoteDenied as error:
        yield _problem("write", error, "grant what `mountfs remote policy --role runner` prints")
        return
    if remote.get_tail(CHECK_JSON, len(body)).data != body:
        saw = "what was written is not what is read back"
        yield Finding("write", PROBLEM, saw, "use another server", CorruptContent.exit_code)
        return
    yield Finding("write", OK, "objects can be written, and their checksums are confirmed")
    yield _conditional(remote, body)
    yield _maintenance(remote)


def _conditional(remote: Remote, body: bytes) -> Finding:
    try:
        remote.put(CHECK_JSON, body, content_type="application/json", if_absent=True)
    except PutRefused:
        return Finding("conditional writes", OK, "are offered")
    except RemoteDenied as error:
        return Finding("conditional writes", OK, f"are not offered ({error}); nothing rests on them")
    return Finding("conditional writes", OK, "are not offered; nothing rests on them")


def _maintenance(remote: Remote) -> Finding:
    """Deleting, and finding what interrupted uploads left."""
    try:
        remote.delete([CHECK_JSON])
        remote.unfinished(JOBS)
    except RemoteDenied:
        saw = "these credentials may not delete: right for runners; maintenance is for another machine"
        return Finding("delete", OK, saw)
    return Finding("delete", OK, "objects can be deleted: maintenance can be done from here")


def _capabilities(remote: Remote) -> Finding:
    can = remote.capabilities
    words = [
        "uploads are resumed" if can.multipart else "uploads begin anew after an interruption",
        "`mountfs url` signs URLs" if can.presign else "no URLs",
    ]
    return Finding("capabilities", OK, ", ".join(words))
