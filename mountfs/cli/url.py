"""`mountfs url`."""

import click

from mountfs.cli import complain
from mountfs.cli.output import json_option, print_json
from mountfs.cli.where import WHERE, Duration, Where, exit_codes, key_of

SECONDS = 3600.0  # a large content may have to be uploaded first


@click.command("url", epilog=exit_codes(2, 3, 4, 5, 6, 7))
@click.argument("key")
@click.option(
    "--expires", type=Duration(), default="1h", show_default=True, help="How long it is to work: 15m, 1h, 7d."
)
@click.option("--plain", is_flag=True, help="For clients that know no zstd: a decoded copy is uploaded first.")
@json_option
@WHERE
def url_command(key: str, *, expires: float, plain: bool, as_json: bool, where: Where) -> None:
    """Print a URL that anybody may read KEY with, and on stderr when it really ends.

    It answers with the plain file's content type and `Content-Encoding: zstd`, as browsers and `curl --compressed`
    understand it. What lies in a bundle is uploaded once as an object of its own. A store without a server (local, or a
    directory) answers file://.
    """
    from mountfs.api.asking import asking

    place = where.place()
    with asking(place) as ask:
        told = ask("url", timeout=SECONDS, key=key_of(key, place.mountpoint), seconds=expires, plain=plain)
    if as_json:
        print_json({name: told[name] for name in ("url", "expires_at", "content_type", "content_encoding", "uploaded")})
        return
    click.echo(str(told["url"]))
    if told["expires_at"] is not None:
        complain(f"it works until {told['expires_at']}")
