"""`mountfs remote check`, `lifecycle` and `policy`: setting up a bucket, and finding out what is wrong with one."""

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from mountfs.cli import complain
from mountfs.cli.output import json_option, print_json, shown
from mountfs.cli.where import WHERE, Where
from mountfs.errors import ConfigError, MountfsError

if TYPE_CHECKING:
    from mountfs.api import Place
    from mountfs.bucket.examining import Finding, Wanted
    from mountfs.config.schema import S3, Settings
    from mountfs.remote import Remote

CODES = (
    "Exit codes: 0 done · 2 wrong settings, or the bucket holds something else · 5 the bucket does not answer"
    " · 6 the bucket refuses · 70 a bug"
)
BLIP_SECONDS = 4.0
ROLES = ("runner", "reader", "maintainer")


@click.group("remote", epilog=CODES)
def remote_command() -> None:
    """Check and set up the bucket (or directory) that the settings name."""


# -- check --------------------------------------------------------------------------------------------------------


@remote_command.command("check", epilog=CODES)
@click.option("--create", is_flag=True, help="Make the bucket, and the store in it, where they are missing.")
@click.option("--read-only", is_flag=True, help="Write nothing: for credentials of role reader.")
@json_option
@WHERE
def check_command(*, create: bool, read_only: bool, as_json: bool, where: Where) -> None:
    """Try all that mountfs asks of the bucket: reached, listed, read, written, whose store it is, whose clock is right.

    Writes and deletes one small object, `check.json`. Says what to do where something is wrong.
    """
    worst = 0
    for finding in _findings(where.place(), create=create, read_only=read_only):
        worst = worst or finding.exit_code
        _show(finding, as_json=as_json)
    raise click.exceptions.Exit(worst)


def _findings(place: "Place", *, create: bool, read_only: bool) -> "Iterator[Finding]":
    from mountfs.bucket.examining import PROBLEM, Finding, examine
    from mountfs.remote import create_remote

    settings = place.settings
    _require_remote(settings)
    make: Callable[[], None] | None = (lambda: create_remote(settings.storage)) if create else None
    try:
        remote = _opened(settings)
        yield from examine(remote, _wanted(place, read_only=read_only), make=make)
    except MountfsError as error:
        yield Finding("bucket", PROBLEM, str(error), exit_code=error.exit_code)
        return
    if settings.storage.s3 is not None and settings.storage.backend == "s3":
        yield from _lifecycle_findings(settings.storage.s3)


def _wanted(place: "Place", *, read_only: bool) -> "Wanted":
    from mountfs.bucket.examining import Wanted

    settings = place.settings
    return Wanted(settings.trash_days, settings.versions.enabled, _known_store(place), read_only=read_only)


def _known_store(place: "Place") -> str | None:
    """The store that the state directory of this place worked with."""
    from mountfs.catalog import Catalog
    from mountfs.statedir import StateDirectory

    path = StateDirectory(place.state).catalog
    if not path.exists():
        return None
    catalog = Catalog.open(path, read_only=True)
    try:
        return catalog.meta("store_id")
    finally:
        catalog.close()


def _opened(settings: "Settings") -> "Remote":
    from mountfs.remote import open_remote
    from mountfs.remote.retrying import Retrying

    remote = open_remote(settings.storage)
    assert remote is not None
    return Retrying(remote, deadline_seconds=BLIP_SECONDS)


def _require_remote(settings: "Settings") -> None:
    if settings.storage.backend == "local":
        raise ConfigError("the settings name no remote: storage.backend is local; allowed: s3, directory")


def _lifecycle_findings(s3: "S3") -> "Iterator[Finding]":
    """What the bucket does by itself; who may not ask is not told, and nothing is wrong with that."""
    from mountfs.bucket.examining import OK, WARNING, Finding
    from mountfs.remote.lifecycle import Lifecycle
    from mountfs.remote.policy import RULE_ID, dangers

    lifecycle = Lifecycle(s3)
    try:
        rules = lifecycle.rules()
    except MountfsError:
        return
    finally:
        lifecycle.close()
    for danger in dangers(rules, s3.prefix):
        yield Finding("lifecycle", WARNING, danger, "take the rule off this prefix: mountfs drops what is dead itself")
    if any(str(rule.get("ID", "")).startswith(RULE_ID) for rule in rules):
        yield Finding("lifecycle", OK, "unfinished uploads end by themselves")


def _show(finding: "Finding", *, as_json: bool) -> None:
    from dataclasses import asdict

    if as_json:
        print_json(asdict(finding))
        return
    click.echo(shown(f"{finding.level:<8} {finding.check}: {finding.saw}"))
    if finding.advice:
        click.echo(shown(f"{'':<8} → {finding.advice}"))


# -- lifecycle ------------------------------------------------------------------------------------------------------


@remote_command.command("lifecycle", epilog=CODES)
@click.option("--apply", is_flag=True, help="Set it; rules of others stay.")
@WHERE
def lifecycle_command(*, apply: bool, where: Where) -> None:
    """Print the lifecycle that the bucket should have: uploads that nobody goes on with end after the grace.

    Nothing else: which objects are dead is known by maintenance alone, and a rule that expires objects loses data.
    """
    from mountfs.remote.policy import lifecycle_rule

    place = where.place()
    s3 = _require_s3(place.settings)
    rule = lifecycle_rule(s3.prefix, grace_ms=_grace_ms(place))
    if not apply:
        click.echo(json.dumps({"Rules": [rule]}, indent=2))
        return
    _apply(s3, rule)


def _require_s3(settings: "Settings") -> "S3":
    if settings.storage.backend != "s3" or settings.storage.s3 is None:
        raise ConfigError(f"storage.backend is {settings.storage.backend}: only s3 has policies and lifecycles")
    return settings.storage.s3


def _grace_ms(place: "Place") -> int:
    """What the bucket says, or where it does not answer, the settings."""
    from mountfs.bucket.connecting import MOST_BYTES, parsed
    from mountfs.bucket.ground import DAY_MS
    from mountfs.objects import MOUNTFS_JSON

    try:
        fetched = _opened(place.settings).get(MOUNTFS_JSON, most_bytes=MOST_BYTES)
        return parsed(fetched.data, server_ms=fetched.server_ms).grace_ms
    except MountfsError as error:
        complain(f"the grace is that of the settings, because the bucket does not tell it: {error}")
        return max(place.settings.trash_days, 1) * DAY_MS


def _apply(s3: "S3", rule: dict[str, object]) -> None:
    from mountfs.remote.lifecycle import Lifecycle
    from mountfs.remote.policy import dangers, with_rule

    lifecycle = Lifecycle(s3)
    try:
        existing = lifecycle.rules()
        lifecycle.set(with_rule(existing, rule))
    finally:
        lifecycle.close()
    for danger in dangers(existing, s3.prefix):
        complain(f"{danger}: take it off this prefix")
    click.echo(shown(f"s3://{s3.bucket}: unfinished uploads below {s3.prefix or 'it'} end by themselves"))


# -- policy ---------------------------------------------------------------------------------------------------------


@remote_command.command("policy", epilog=CODES)
@click.option("--role", type=click.Choice(ROLES), required=True, help="Who is to have it.")
@WHERE
def policy_command(*, role: str, where: Where) -> None:
    """Print the smallest IAM policy for a role.

    A reader looks (`mount --read-only`), a runner adds and needs no delete, a maintainer merges and drops (`sync: full`
    or `mountfs maintain`) and makes the store (`remote check --create`, in a bucket that exists).
    """
    from mountfs.remote.policy import ROLES as KNOWN
    from mountfs.remote.policy import policy

    chosen = next(known for known in KNOWN if known == role)
    click.echo(json.dumps(policy(_require_s3(where.place().settings), chosen), indent=2))
