"""`restore`, `trash_empty`, `adopt`: what was removed or overwritten, and whose it is. And the end of the grace."""

from collections.abc import Iterable

import trio
import trio.lowlevel

from mountfs import namespace
from mountfs.daemon.control import Answer, Handler
from mountfs.daemon.dropping import tell
from mountfs.daemon.parts import Parts
from mountfs.errors import InvalidName, MountfsError, RemoteUnavailable
from mountfs.store.paths import Changes
from mountfs.store.removed import Removed

AT_ONCE = 8  # pieces of the trash: 4 ms
KEYS_TOLD = 10_000
EXPIRE_SECONDS = 30.0
STORED_SECONDS = 20.0
POLL_SECONDS = 0.02


def handlers(parts: Parts) -> dict[str, Handler]:
    async def restore(request: dict[str, object]) -> Answer:
        """Bring back a key; `to` says where to, `number` which of several, `version` what the file held once."""
        names = namespace.split_key(str(request["key"]))
        to = namespace.split_key(str(request["to"])) if request.get("to") else names
        number = str(request["number"]) if request.get("number") else None
        if isinstance(request.get("version"), int):
            return await _restore_version(parts, names, int(str(request["version"])))
        chosen = await _chosen(parts, names, number)
        tell(parts)
        return await _restore(parts, chosen, names, to)

    async def trash_empty(request: dict[str, object]) -> Answer:
        """Let go of what is in the trash of a key, or of all of it; with `dry_run` say what would go."""
        names = namespace.split_key(str(request["key"])) if request.get("key") else None
        return await _empty(parts, names, dry_run=bool(request.get("dry_run")))

    async def adopt(request: dict[str, object]) -> Answer:
        """From now on what others wrote in a job may be removed here too."""
        return _adopt(parts, str(request["job"]))

    return {"restore": restore, "trash_empty": trash_empty, "adopt": adopt}


# -- bringing back ------------------------------------------------------------------------------------------------


async def _chosen(parts: Parts, names: tuple[bytes, ...], number: str | None) -> list[Removed]:
    """What comes back; nothing goes while it does. What went while it was looked at is among it."""
    restoring = parts.store.restoring
    chosen: list[Removed] = []
    for _ in range(2):
        newest, chosen = restoring.bin.newest(), []
        for step, removed in enumerate(restoring.choosing(names, number=number)):
            if removed is not None:
                chosen.append(removed)
            await _others_too(step)
        parts.store.dropping.brought_back(chosen, key=names)  # from now on nothing goes
        if restoring.bin.newest() == newest:
            break
    return chosen


async def _others_too(step: int) -> None:
    """After every few steps others are served."""
    if step % AT_ONCE == AT_ONCE - 1:
        await trio.lowlevel.checkpoint()


async def _restore(parts: Parts, chosen: list[Removed], names: tuple[bytes, ...], to: tuple[bytes, ...]) -> Answer:
    """`undated` are those whose date had come; `earlier` says by key what came back that is not what was there last."""
    changes, keys, failed, removals, undated = Changes(), [], [], [], []
    earlier: dict[str, str] = {}
    try:
        for number, removed in enumerate(chosen):
            await _others_too(number)
            target = to + removed.names[len(names) :]
            outlived, what = parts.store.restoring.outlived(removed), parts.store.restoring.earlier(removed)
            try:
                if not await _put_back(parts, removed, target, changes):
                    removals.append(namespace.join_key(removed.names))
                    continue
            except MountfsError as error:
                if len(chosen) == 1:
                    raise
                failed.append(f"{namespace.join_key(target)}: {error}")
                continue
            keys.append(namespace.join_key(target))
            undated += [keys[-1]] if outlived else []
            if what and len(earlier) < KEYS_TOLD:
                earlier[keys[-1]] = what
    finally:
        parts.changed(changes)
        parts.wake()
    told = {"keys": keys[:KEYS_TOLD], "failed": failed[:KEYS_TOLD], "removals": removals[:KEYS_TOLD]}
    told["undated"] = undated[:KEYS_TOLD]
    return {"restored": len(keys), **told, "earlier": earlier}


async def _restore_version(parts: Parts, names: tuple[bytes, ...], number: int) -> Answer:
    if parts.bucket is not None:
        await parts.bucket.learn_history(names[0])
    await _stored(parts, names)
    changes = Changes()
    try:
        parts.store.restoring.put_version(names, number, changes)
    finally:
        parts.changed(changes)
        parts.wake()
    nothing: dict[str, list[str]] = {"failed": [], "removals": [], "undated": []}
    return {"restored": 1, "keys": [namespace.join_key(names)], **nothing, "earlier": {}}


async def _stored(parts: Parts, names: tuple[bytes, ...]) -> None:
    """Wait a while for what was closed a moment ago to be stored."""
    store = parts.store
    with trio.move_on_after(STORED_SECONDS):
        while True:
            entry = store.tree.walk(names)
            if store.tree.is_being_written(entry.ino) or not store.restoring.is_being_stored(entry):
                return
            store.files.hurry(entry.ino)
            parts.wake()
            await trio.sleep(POLL_SECONDS)


async def _put_back(parts: Parts, removed: Removed, target: tuple[bytes, ...], changes: Changes) -> bool:
    """Whether there was anything to bring back: a removal that could not be told is forgotten."""
    restoring = parts.store.restoring
    if removed.is_removal:
        restoring.forget(removed)
        return False
    content = restoring.to_fetch(removed, target)
    if content is not None:
        if parts.bucket is None:
            raise RemoteUnavailable("its content is in the bucket, and the settings name none")
        await parts.bucket.downloads.fetch(content)
    for step, _ in enumerate(restoring.making_way(removed, target, changes)):
        await _others_too(step)
    restoring.put_back(removed, names=target, changes=changes)
    return True


# -- emptying -----------------------------------------------------------------------------------------------------


async def _empty(parts: Parts, names: tuple[bytes, ...] | None, *, dry_run: bool) -> Answer:
    """Without a key what could not be published stays: it exists nowhere else."""
    restoring = parts.store.restoring
    found: Iterable[Removed] = restoring.bin.all_below(names) if names is not None else restoring.bin.all()
    victims = [removed for removed in found if names is not None or removed.trash is not None]
    for number, removed in enumerate([] if dry_run else victims):
        restoring.forget(removed)
        await _others_too(number)
    parts.wake()
    told = [
        {"key": namespace.join_key(removed.names), "size": removed.size, "reason": removed.reason}
        for removed in victims[:KEYS_TOLD]
    ]
    return {"emptied": len(victims), "victims": told}


async def expire_forever(parts: Parts) -> None:
    """What is older than the grace goes, by the bucket's clock where there is a bucket."""
    while True:
        if parts.bucket is not None:
            await parts.bucket.connected.wait()
        while parts.store.trash.expire():
            parts.wake()
            await trio.sleep(0.01)
        parts.wake()
        await trio.sleep(EXPIRE_SECONDS)


# -- whose it is --------------------------------------------------------------------------------------------------


def _adopt(parts: Parts, job: str) -> Answer:
    parts.need_bucket()
    names = namespace.split_key(job)
    if len(names) != 1:
        raise InvalidName(f"{job}: a job is meant, the first part of a key")
    store = parts.store
    store.tree.walk(names)
    with store.catalog.transaction():
        store.catalog.bucket.adopt_job(store.catalog.bucket.make_job(names[0]))
    return {"job": job}
