"""The control requests that belong to one subject each, in modules of their own (`handlers(parts)`)."""

from mountfs.daemon.control import Handler
from mountfs.daemon.parts import Parts


def requests(parts: Parts) -> dict[str, Handler]:
    """By the word that a client sends as `op`."""
    return {}
