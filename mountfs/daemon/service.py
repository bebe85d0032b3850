"""What a daemon serves, and where: plain values, so that whoever starts one needs neither its event loop nor FUSE."""

import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any  # Any: what JSON holds

from mountfs import namespace
from mountfs.errors import ConfigError
from mountfs.events import EventKind, Hook, JumpRule
from mountfs.retention import plain_policy, policy_of
from mountfs.store.options import Options

if TYPE_CHECKING:
    from mountfs.config import Settings
    from mountfs.daemon.described import Described


@dataclass(frozen=True, slots=True)
class Service:
    """One mount. Both paths are absolute and free of symlinks: the kernel's mount table names them."""

    mountpoint: Path
    state: Path
    options: Options
    handler_seconds: float = 10.0
    allow_other: bool = False
    auto_unmount: bool = False
    read_only: bool = False
    views: str = "unlisted"  # listed, off
    bucket: "Described | None" = None
    hooks: tuple[Hook, ...] = ()
    jump: JumpRule = field(default_factory=JumpRule)

    def as_json(self) -> str:
        """For the process that is to serve it; `from_json` reads it there."""
        options = {f.name: getattr(self.options, f.name) for f in fields(Options)}
        options |= {"retention": plain_policy(self.options.retention)}
        apart = ("options", "bucket", "hooks", "jump")
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in apart}
        bucket = None if self.bucket is None else {"storage": self.bucket.storage, "manner": asdict(self.bucket.manner)}
        hooks = [{**asdict(hook), "on": sorted(hook.on)} for hook in self.hooks]
        said = {**plain, "options": options, "bucket": bucket, "hooks": hooks, "jump": asdict(self.jump)}
        return json.dumps(said, default=_plain)

    @classmethod
    def from_json(cls, text: str) -> "Service":
        said = json.loads(text)
        options = said.pop("options")
        options["owner"], options["layouts"] = tuple(options["owner"]), tuple(options["layouts"])
        options["retention"] = policy_of(options["retention"])
        if (bucket := said.pop("bucket")) is not None:
            from mountfs.daemon.described import Described
            from mountfs.transfers.bucket import Manner

            lists = {name: tuple(bucket["manner"][name]) for name in ("heads", "live_patterns")}
            manner = Manner(**{**bucket["manner"], **lists})
            said["bucket"] = Described(bucket["storage"], manner)
        said["hooks"] = tuple(_hook(hook) for hook in said["hooks"])
        said["jump"] = JumpRule(**said["jump"])
        said["mountpoint"], said["state"] = Path(said["mountpoint"]), Path(said["state"])
        return cls(options=Options(**options), **said)


def _hook(said: dict[str, Any]) -> Hook:
    on, command = frozenset(map(EventKind, said.pop("on"))), tuple(said.pop("command"))
    return Hook(on, command, **said)


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else dict(value)  # type: ignore[call-overload]  # mapping proxies


def service_of(
    settings: "Settings", *, mountpoint: Path, state: Path, allow_other: bool = False, auto_unmount: bool = False,
    read_only: bool = False,
) -> Service:  # fmt: skip
    """The mount that these settings describe, at this place. Raises ConfigError for a bucket in the state directory."""
    from mountfs.config.values import overlap

    bucket = settings.storage.directory
    if bucket is not None and overlap(bucket.path.resolve(), state):
        raise ConfigError(
            f"storage.directory.path {bucket.path} and the state directory {state} overlap: use two places"
        )
    return Service(
        mountpoint,
        state,
        options_of(settings),
        handler_seconds=settings.handler_seconds,
        allow_other=allow_other or settings.allow_other,
        auto_unmount=auto_unmount,
        read_only=read_only,
        views=settings.views,
        bucket=_bucket_of(settings, read_only=read_only),
        hooks=settings.hooks(),
        jump=settings.limits.size_jump.rule(),
    )


def _bucket_of(settings: "Settings", *, read_only: bool) -> "Described | None":
    if settings.storage.backend == "local":
        return None
    from mountfs.daemon.described import described  # brings the event loop along

    return described(settings, read_only=read_only)


def options_of(settings: "Settings") -> Options:
    """What the store needs to know of the settings."""
    compression, limits = settings.compression, settings.limits
    slugs = {*namespace.BUILTIN_TYPES, *settings.types}
    levels = {slug: compression.level_for(slug) for slug in sorted(slugs)} if compression.types else {}
    return Options(
        compress=any(levels.values()) if levels else compression.enabled and compression.algorithm != "none",
        level=compression.level,
        type_levels=levels,
        types=settings.type_aliases(),
        max_artifact_bytes=limits.max_artifact_size,
        quota_bytes=limits.quota,
        warn_threshold=limits.warn_threshold,
        max_tags=limits.max_tags,
        settle_seconds=settings.sync.settle_seconds,
        has_bucket=settings.storage.backend != "local",
        cache_bytes=settings.cache.max_size,
        cache_high=settings.cache.high_watermark,
        cache_low=settings.cache.low_watermark,
        trash_days=settings.trash_days,
        versions=settings.versions.enabled,
        recorded_owner=settings.owner == "recorded",
        protect_others=settings.protect == "others",
        job_tags=dict(settings.tags),
        layouts=settings.layouts,
        retention=settings.retention.policy(),
        retention_schedule=settings.retention.schedule,
        owner=(os.getuid(), os.getgid()),
    )
