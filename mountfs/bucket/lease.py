"""`lease.json`: who does maintenance now. It saves double work, and nothing rests on it.

Two that take it at once both work, and all rules hold nonetheless (BUCKET.md, "Maintenance").
"""

import json

from mountfs import objects
from mountfs.bucket.ground import Ground
from mountfs.bucket.requests import Get, Put, Steps, ask
from mountfs.errors import ObjectMissing

LEASE_MS = 10 * 60_000  # a holder that died is waited for so long; one that works takes it anew in half of that
MOST_BYTES = 4096


def take(ground: Ground) -> Steps[bool]:
    """Whether this machine may do maintenance now; for ten minutes, or until it takes the lease again."""
    holder, until_ms = yield from _read()
    now_ms = ground.now_ms()
    if holder != ground.stamps.writer and now_ms < until_ms <= now_ms + 2 * LEASE_MS:  # nobody takes it for longer
        return False
    if holder != ground.stamps.writer or until_ms - now_ms < LEASE_MS // 2:
        yield from _write(ground, until_ms=now_ms + LEASE_MS)
    return True


def give_back(ground: Ground) -> Steps[None]:
    """Others need not wait until it ends."""
    holder, _until_ms = yield from _read()
    if holder == ground.stamps.writer:
        yield from _write(ground, until_ms=0)


def _read() -> Steps[tuple[str, int]]:
    """(who holds it, until when by the server's clock); what cannot be read is nobody's."""
    try:
        fetched = yield from ask(Get(objects.LEASE, MOST_BYTES))
        said = json.loads(fetched.data)
        return str(said["holder"]), int(said["until_ms"])
    except (ObjectMissing, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return "", 0


def _write(ground: Ground, *, until_ms: int) -> Steps[None]:
    said = {"holder": ground.stamps.writer, "until_ms": until_ms}
    yield from ask(Put(objects.LEASE, json.dumps(said).encode() + b"\n", content_type="application/json"))
