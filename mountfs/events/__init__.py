"""Events: what happened that somebody wants to be told of. Pure: whoever runs commands and posts to URLs is the daemon.

`values.py` is what can happen, `judging.py` when it is worth telling, `telling.py` how it is written for programs and
people, `deliveries.py` who gets it, with all limits. Nothing in the file system ever waits for a delivery.
"""

from mountfs.events.deliveries import AT_ONCE_MAX, OUTPUT_BYTES_MAX, WAITING_MAX, Deliveries, Delivery, Hook, Tail
from mountfs.events.judging import JumpRule, Published, size_jump, warn
from mountfs.events.telling import SCHEMA, Told, body, environment, headers
from mountfs.events.values import (
    ConflictLost,
    Event,
    EventKind,
    JobExpired,
    QuotaWarning,
    SizeJump,
    UploadFailed,
)

__all__ = [
    "AT_ONCE_MAX", "OUTPUT_BYTES_MAX", "SCHEMA", "WAITING_MAX", "ConflictLost", "Deliveries", "Delivery", "Event",
    "EventKind", "Hook", "JobExpired", "JumpRule", "Published", "QuotaWarning", "SizeJump", "Tail", "Told",
    "UploadFailed", "body", "environment", "headers", "size_jump", "warn",
]  # fmt: skip
