"""What the store needs to know of the settings, as plain values: the store knows no settings library."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from mountfs.namespace import Layouts, TypeRules
from mountfs.retention import Policy


def _empty() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Options:
    """Limits are 0 where there is none. `type_levels` maps a type to its zstd level, None for stored raw."""

    compress: bool = True
    level: int = 3
    type_levels: Mapping[str, int | None] = field(default_factory=lambda: MappingProxyType({}))
    types: Mapping[str, str] = field(
        default_factory=_empty
    )  # alias (stem, directory or glob) → type slug, from the settings
    max_artifact_bytes: int = 0
    quota_bytes: int = 0
    warn_threshold: float = 0.8
    max_tags: int = 64
    settle_seconds: float = 2.0
    has_bucket: bool = False  # a remote is written down: note what it is to be told
    cache_bytes: int = 0  # of contents and drafts that stay on this machine; counts only with a bucket
    cache_high: float = 0.9
    cache_low: float = 0.8
    trash_days: int = 7
    versions: bool = False  # keep what is written over; a bucket's own word counts
    recorded_owner: bool = False  # show the numbers that other machines recorded
    protect_others: bool = True  # refuse to remove what another machine wrote
    job_tags: Mapping[str, str] = field(default_factory=_empty)  # put on every job created here
    layouts: tuple[str, ...] = ()  # parts of paths below a job that become tags, or say the type
    retention: Policy = field(default_factory=Policy)
    retention_schedule: str = "0 2 * * *"
    owner: tuple[int, int] = (0, 0)  # uid and gid of the mounting user: the owner of the root

    def type_rules(self) -> TypeRules:
        """What decides the type of an artifact."""
        return TypeRules(self.types, Layouts(self.layouts))
