"""The bucket of a mount as plain values, from the settings to the process that serves it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mountfs.transfers.bucket import Manner

if TYPE_CHECKING:
    from mountfs.config import Settings
    from mountfs.remote import Remote

BLIP_SECONDS = 2.0  # what fails is tried again for so long before the bucket counts as down


@dataclass(frozen=True, slots=True)
class Described:
    """`storage` is the section of the settings, as JSON has it."""

    storage: Mapping[str, object]
    manner: Manner

    def open(self) -> "Remote":
        """The remote, with its decorators. Takes half a second where that is S3."""
        from mountfs.config.schema import Storage
        from mountfs.remote import open_remote
        from mountfs.remote.retrying import Retrying

        remote = open_remote(Storage.model_validate(self.storage))
        assert remote is not None
        return Retrying(remote, deadline_seconds=BLIP_SECONDS)


def described(settings: "Settings", *, read_only: bool = False) -> Described | None:
    """What the settings say of a bucket; None where they name none."""
    if settings.storage.backend == "local":
        return None
    sync = settings.sync
    manner = Manner(
        lazy=sync.mode == "lazy", look_seconds=sync.look_seconds, refresh_seconds=sync.refresh_seconds,
        sync_seconds=sync.sync_seconds, settle_seconds=sync.settle_seconds,
        settle_max_seconds=sync.settle_max_seconds, patience_seconds=sync.patience_seconds,
        trash_days=settings.trash_days, versions=settings.versions.enabled, heads=tuple(settings.heads),
        live_patterns=tuple(settings.live.patterns), live_seconds=settings.live.seconds,
        fsync_bucket=settings.fsync == "bucket", read_only=read_only,
    )  # fmt: skip
    return Described(settings.storage.model_dump(mode="json"), manner)
