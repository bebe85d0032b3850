"""`mountfs migrate`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from mountfs.cli import complain
from mountfs.cli.output import json_option, print_json, shown_size
from mountfs.cli.progress import Shown
from mountfs.cli.where import WHERE, Duration, Where, exit_codes
from mountfs.errors import ConfigError, DeadlineExceeded, NotMounted

if TYPE_CHECKING:
    from mountfs.api import Place

TOLD = ("jobs", "paths", "contents", "bytes", "skipped")


@click.command("migrate", epilog=exit_codes(2, 3, 5, 6, 7))
@click.option("--dry-run", is_flag=True, help="Only count what would be sent.")
@click.option("--read-back", is_flag=True, help="Fetch every content again, and compare its checksum.")
@click.option("--timeout", type=Duration(), default="1d", show_default=True, help="How long: what is sent stays sent.")
@json_option
@WHERE
def migrate_command(*, dry_run: bool, read_back: bool, timeout: float, as_json: bool, where: Where) -> None:
    """Bring a store that had no bucket into the one that the settings name now. Paths stay as they are.

    Sends all that the bucket lacks, then reads what the bucket says of it and looks at every content's place and
    checksum. Interrupted, it goes on where it was. A mount made before the settings named the bucket is to be
    unmounted first.
    """
    place = where.place()
    if place.settings.storage.backend == "local":
        raise ConfigError("the settings name no bucket: set storage.backend to s3 or directory, and what belongs to it")
    told = _count(place) if dry_run else _migrate(place, read_back=read_back, timeout=timeout)
    if as_json:
        print_json({**told, "dry_run": dry_run})
        return
    size = shown_size(int(str(told["bytes"])))
    if dry_run:
        click.echo(f"would send {told['jobs']} jobs, {told['paths']} artifacts, {told['contents']} contents, {size}")
        return
    if told["skipped"]:
        complain(f"{told['skipped']} paths are being changed right now: not looked at")
    click.echo(f"the bucket has {told['jobs']} jobs, {told['paths']} paths, {told['contents']} contents, {size}")


def _count(place: "Place") -> dict[str, object]:
    """What the bucket lacks, without asking it, and without noting anything for it."""
    from mountfs.catalog import Catalog
    from mountfs.statedir import StateDirectory

    path = StateDirectory(place.state).catalog
    if not path.exists():
        raise NotMounted(f"there is no store for {place.mountpoint} yet: nothing to send")
    _settle(place)
    catalog = Catalog.open(path, read_only=True)
    try:
        jobs, paths, contents, size = catalog.backlog()
    finally:
        catalog.close()
    return {"jobs": jobs, "paths": paths, "contents": contents, "bytes": size}


def _settle(place: "Place") -> None:
    """Bring into the catalog what was written last: through the daemon, or as its successor."""
    from dataclasses import replace

    from mountfs.daemon import client
    from mountfs.daemon.service import options_of
    from mountfs.store.store import Store

    try:
        client.ask(place.state, "barrier", settled=True, seconds=60, timeout=90)
        return
    except NotMounted:
        pass
    store = Store.open(place.state, replace(options_of(place.settings), has_bucket=False), mountpoint=place.mountpoint)
    try:
        store.settler.settle_all()
    finally:
        store.close()


def _migrate(place: "Place", *, read_back: bool, timeout: float) -> Mapping[str, object]:
    from mountfs.api.asking import asking, follow

    last: dict[str, object] = {}
    with asking(place) as ask, Shown() as progress:

        def told(answer: dict[str, object]) -> None:
            found = answer["progress"]
            if isinstance(found, dict) and found:
                last.clear()
                last.update(found)
                _show(progress, last)

        try:
            is_done = follow(ask, "migrate", seconds=timeout, told=told, read_back=read_back)
        except ConfigError as error:
            if place.mounted:
                raise ConfigError(
                    f"{error}; the mount is older than these settings: `mountfs umount` it first"
                ) from None
            raise
    if not is_done:
        raise DeadlineExceeded(f"not done within {timeout:g} seconds; what was sent stays sent: run it again to go on")
    return {name: last.get(name, 0) for name in TOLD}


def _show(progress: Shown, told: Mapping[str, object]) -> None:
    phase = str(told.get("phase", ""))
    words = (
        "compressing"
        if phase == "settling"
        else f"{phase}, {told.get('jobs_left', 0)} of {told.get('jobs', 0)} jobs left"
    )
    if told.get("down"):
        words += f" (the bucket does not answer: {told['down']})"
    done, total = int(str(told.get("bytes_confirmed", 0))), int(str(told.get("bytes", 0)))
    progress.show(words, done_bytes=done, total_bytes=total)
