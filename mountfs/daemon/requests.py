"""The control requests that belong to one subject each, in modules of their own (`handlers(parts)`)."""

from mountfs.daemon import (
    caching,
    dropping,
    flushing,
    heading,
    linking,
    maintaining,
    migrating,
    replacing,
    restoring,
    syncing,
)
from mountfs.daemon.control import Handler
from mountfs.daemon.parts import Parts

CHANGING = frozenset(["delete", "replace", "restore", "trash_empty", "adopt", "flush", "migrate", "maintain", "expire"])
"""What a read-only mount refuses."""

READING = frozenset(
    ["barrier", "status", "stop", "follow", "evict", "prefetch", "url", "sync", "retention", "heads", "expect"]
)
"""What it does: nothing of the store changes, here or in the bucket."""


def requests(parts: Parts) -> dict[str, Handler]:
    """By the word that a client sends as `op`."""
    return {
        "follow": parts.runs.follow,
        **flushing.handlers(parts),
        **caching.handlers(parts),
        **dropping.handlers(parts),
        **restoring.handlers(parts),
        **heading.handlers(parts),
        **linking.handlers(parts),
        **maintaining.handlers(parts),
        **migrating.handlers(parts),
        **replacing.handlers(parts),
        **syncing.handlers(parts),
    }
