"""`mountfs adopt`."""

import click

from mountfs.cli.output import shown
from mountfs.cli.where import WHERE, Where, exit_codes, key_of


@click.command("adopt", epilog=exit_codes(2, 3, 6, 8))
@click.argument("jobs", nargs=-1, required=True, metavar="JOB...")
@WHERE
def adopt_command(jobs: tuple[str, ...], *, where: Where) -> None:
    """Make jobs this machine's own: what others wrote in them may be removed and renamed here like its own files.

    Without that, `protect: others` refuses it, so that `git clean` or `rm -rf` on one machine does not delete for all.
    """
    from mountfs.api.asking import asking

    place = where.place()
    with asking(place) as ask:
        for job in jobs:
            ask("adopt", job=key_of(job, place.mountpoint))
            click.echo(f"adopted {shown(job)}")
