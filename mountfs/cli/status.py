"""`mountfs status` and `mountfs stats`."""

from collections.abc import Iterator, Mapping

import click

from mountfs.cli.output import json_option, print_fields, print_json, print_table, shown, shown_size, shown_time
from mountfs.cli.where import WHERE, Where, exit_codes
from mountfs.errors import NotMounted

REFUSALS_SHOWN = 10


@click.command("status", epilog=exit_codes(2, 3, 5, 6))
@json_option
@WHERE
def status_command(*, as_json: bool, where: Where) -> None:
    """Show the mount, its daemon, what it is busy with, and which requests it refused last, and why."""
    from mountfs.daemon import client

    place = where.place()
    try:
        status = client.ask(place.state, "status", timeout=10)
    except NotMounted as error:
        dead = "its daemon has died: `mountfs mount` clears that" if place.mounted else "nothing is mounted"
        raise NotMounted(f"{place.mountpoint}: {dead} (state directory {place.state})") from error
    status.pop("ok", None)
    if as_json:
        print_json(status)
        return
    print_fields(_fields(status))
    bucket = status.get("bucket")
    if isinstance(bucket, dict):
        print_fields(_bucket_fields(bucket))
        for line in _bucket_lines(bucket):
            click.echo(shown(line))
    refusals = status.get("refusals")
    for refusal in (refusals if isinstance(refusals, list) else [])[-REFUSALS_SHOWN:]:
        click.echo(_refused(refusal))


def _fields(status: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    yield "mounted", shown(str(status["mountpoint"]))
    yield "pid", str(status["pid"])
    yield "since", shown_time(_number(status["since"]))
    yield "version", str(status["version"])
    yield "state", shown(str(status["state"]))
    quota = int(_number(status["quota_bytes"]))
    stored = shown_size(int(_number(status["stored_bytes"])))
    yield "stored", f"{stored} of {shown_size(quota)}" if quota else stored
    yield "memory", shown_size(int(_number(status["resident_bytes"])))
    yield "open files", f"{status['open_files']}, of these being written {status['drafts']}"
    yield "to compress", str(status["unsettled"])
    damaged = int(_number(status["damaged"]))
    yield "damaged", f"{damaged}: integrity check failed, see the log" if damaged else ""


def _bucket_fields(bucket: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    yield "bucket", shown(str(bucket["where"]))
    yield "connected", _connected(bucket)
    waiting, uploading = int(_number(bucket["jobs_to_upload"])), int(_number(bucket["uploading"]))
    yield "to upload", f"{waiting} jobs, of these being uploaded {uploading}" if waiting else "nothing"
    here = int(_number(bucket["here"])) + int(_number(bucket["drafts"]))
    most = int(_number(bucket["cache"]))
    yield "set aside", str(bucket["set_aside"]) if bucket["set_aside"] else ""
    lost = int(_number(bucket["conflicts"]))
    yield "conflicts", f"{lost} contents lost against later ones of others: `mountfs trash list`" if lost else ""
    refused = int(_number(bucket["refused_lines"]))
    yield "refused", f"{refused} bundles or lines of the bucket that cannot be right" if refused else ""
    yield "feed", f"not told yet: {bucket['untold']}" if bucket.get("untold") else ""
    index = bucket.get("index")
    yield "index", _index(index) if isinstance(index, dict) else ""
    yield "cache", f"{shown_size(here)} of {shown_size(most)}" if most else shown_size(here)


def _index(index: Mapping[str, object]) -> str:
    """How much of the bucket's jobs this machine knows without asking."""
    if not index["complete"]:
        trouble = f"; stopped: {index['trouble']}" if index["trouble"] else ""
        so_far = f"being read, {index['records']} changes so far"
        return f"{so_far}: until it is whole, `ls` asks the bucket for names{trouble}"
    refused = f", {index['refused']} lines refused" if index["refused"] else ""
    trouble = f"; stopped since: {index['trouble']}" if index["trouble"] else ""
    return f"whole, followed until {shown_time(_number(index['followed_until_ms']) / 1000)}{refused}{trouble}"


def _bucket_lines(bucket: Mapping[str, object]) -> Iterator[str]:
    """What somebody has to look after."""
    failed, aside = bucket["failed"], bucket["aside"]
    for one in failed if isinstance(failed, list) else []:
        yield f"failed {one['job']}: {one['reason']}; `mountfs flush` tries again"
    for one in aside if isinstance(aside, list) else []:
        yield f"set aside {one['key']}: {one['reason']}; `mountfs restore` publishes it anew"
    odd = bucket["odd"]
    for one in odd if isinstance(odd, list) else []:
        yield f"refused {one['job']}: {one['reason']}"


def _connected(bucket: Mapping[str, object]) -> str:
    if bucket["refused"]:
        return f"no: {bucket['refused']}"
    if bucket["down"]:
        return f"no answer now: {bucket['down']}" if bucket["connected"] else f"not yet: {bucket['down']}"
    return "yes, to read only" if bucket["read_only"] else "yes"


def _number(value: object) -> float:
    return float(str(value))


def _refused(refusal: Mapping[str, object]) -> str:
    when = shown_time(_number(refusal["time"]))
    who = f"{refusal['program'] or 'a process'} (pid {refusal['pid']})"
    path, sentence = str(refusal["path"]), str(refusal["sentence"])
    request = f"{refusal['request']} {path}" if path not in sentence else refusal["request"]
    return shown(f"refused {when}  {who}  {request}: {sentence}")


@click.command("stats", epilog=exit_codes(2, 3, 5, 6))
@click.option("--compression", is_flag=True, help="By type: what was written, and what it takes.")
@json_option
@WHERE
def stats_command(*, compression: bool, as_json: bool, where: Where) -> None:
    """Show how many artifacts there are and what they cost. Equal contents are stored once."""
    with where.open(read_only=True) as store:
        stats = store.stats()
        by_type = store.compression_stats() if compression else {}
    if as_json:
        print_json({**stats, **({"types": by_type} if compression else {})})
        return
    print_fields(_totals(stats))
    if compression:
        header = ("type", "artifacts", "size", "stored", "saved")
        print_table(header, [_type_row(name, of_type) for name, of_type in by_type.items()], right=(1, 2, 3, 4))


def _totals(stats: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    yield "jobs", str(stats["jobs"])
    yield "artifacts", str(stats["artifacts"])
    yield "size", shown_size(int(_number(stats["size_bytes"])))
    yield "stored", f"{shown_size(int(_number(stats['stored_bytes'])))} ({_number(stats['saved']):.0%} saved)"
    yield "damaged", str(stats["damaged"]) if stats["damaged"] else ""


def _type_row(name: str, of_type: Mapping[str, int]) -> tuple[str, ...]:
    size, stored = of_type["size_bytes"], of_type["stored_bytes"]
    saved = f"{1 - stored / size:.0%}" if size else "-"
    return name, str(of_type["artifacts"]), shown_size(size), shown_size(stored), saved
