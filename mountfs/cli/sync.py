"""`mountfs sync`."""

import click

from mountfs.cli.output import json_option, print_json
from mountfs.cli.progress import Counted
from mountfs.cli.where import WHERE, Duration, Where, exit_codes
from mountfs.errors import DeadlineExceeded


@click.command("sync", epilog=exit_codes(2, 5, 6))
@click.option(
    "--rebuild", is_flag=True, help="Read the whole bucket: catalog, feed and heads are made anew from the jobs alone."
)
@click.option("--timeout", type=Duration(), default="1h", show_default=True, help="How long to wait: 90s, 10m, 1h.")
@json_option
@WHERE
def sync_command(*, rebuild: bool, timeout: float, as_json: bool, where: Where) -> None:
    """Catch up with what other machines wrote, now: afterwards every job in the bucket is known here.

    A mount with `sync: full` does that by itself every few seconds. With --rebuild nothing is believed but what lies in
    the bucket's jobs: what the feed missed is found, and what of feed and heads is missing is written again.
    """
    from mountfs.api.asking import asking, follow

    last: dict[str, object] = {}
    with asking(where.place()) as ask, Counted() as shown:

        def told(answer: dict[str, object]) -> None:
            progress = answer["progress"]
            if isinstance(progress, dict) and progress:
                last.clear()
                last.update(progress)
                shown.count(str(last["phase"]), done=_number(last, "done"), total=_number(last, "total"))

        is_done = follow(ask, "sync", seconds=timeout, told=told, rebuild=rebuild)
    if not is_done:
        raise DeadlineExceeded(f"not done within {timeout:g} seconds ({last.get('phase')}): it goes on in a mount")
    if as_json:
        print_json({name: last.get(name) for name in ("jobs", "records", "refused")})
        return
    click.echo(f"{_number(last, 'jobs')} jobs are known here; the feed told of {_number(last, 'records')} changes")
    if _number(last, "refused"):
        click.echo(f"{_number(last, 'refused')} lines of the feed were refused: see `mountfs status`")


def _number(told: dict[str, object], name: str) -> int:
    return int(str(told.get(name, 0)))
