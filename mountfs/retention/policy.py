"""The policy as a value: how long which type is kept, and how many are kept whatever their age.

It is the settings' section `retention` without its schedule. Without a number in it nothing expires but what has a
date of its own, and `enabled: false` stops that too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from mountfs.retention.model import NEVER

TYPE: Final = "type"  # in `group_by`; any other word there is the key of a tag
BRANCH: Final = "branch"


@dataclass(frozen=True, slots=True)
class Limit:
    """How long reports are kept by which key of the settings; 0 days is for ever."""

    days: int
    rule: str


@dataclass(frozen=True, slots=True)
class Policy:
    """`types` are days by slug of a type, 0 is never; `keep_latest_n` counts jobs of a group, 0 keeps none for that."""

    enabled: bool = True
    default_ttl_days: int = NEVER
    types: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    keep_latest_n: int = 0
    group_by: tuple[str, ...] = (TYPE,)

    def limit_of(self, slug: str) -> Limit:
        """What is said of this type, else of all."""
        if slug in self.types:
            return Limit(self.types[slug], "retention.types")
        return Limit(self.default_ttl_days, "retention.default_ttl_days")

    @property
    def has_limit(self) -> bool:
        """Whether any report can ever go by its age."""
        return self.default_ttl_days != NEVER or any(days != NEVER for days in self.types.values())

    @property
    def longest_days(self) -> int:
        """After how many days nothing of a job is left; 0 where some type stays for ever."""
        said = [self.default_ttl_days, *self.types.values()]
        return NEVER if NEVER in said else max(said)
