"""`mountfs doctor`."""

import click

from mountfs.cli.output import json_option, print_json, shown
from mountfs.cli.where import WHERE, Where


@click.command("doctor", epilog="Exit codes: 0 nothing hinders a mount · 1 a problem was found · 2 wrong settings")
@json_option
@WHERE
def doctor_command(*, as_json: bool, where: Where) -> None:
    """Check what a mount needs on this machine, and say what to do where something is wrong."""
    from dataclasses import asdict

    from mountfs.cli.checks import PROBLEM, findings

    place = where.place()
    found = list(findings(place, allow_other=place.settings.allow_other))
    for finding in found:
        if as_json:
            print_json(asdict(finding))
            continue
        click.echo(shown(f"{finding.level:<8} {finding.check}: {finding.saw}"))
        if finding.advice:
            click.echo(shown(f"{'':<8} → {finding.advice}"))
    raise click.exceptions.Exit(int(any(finding.level == PROBLEM for finding in found)))
