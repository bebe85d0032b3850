"""`mountfs flush` and `mountfs wait`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from mountfs.cli import complain
from mountfs.cli.output import json_option, print_json, shown, shown_size
from mountfs.cli.progress import Shown
from mountfs.cli.where import WHERE, Duration, Where, exit_codes, key_of
from mountfs.errors import DeadlineExceeded

if TYPE_CHECKING:
    from mountfs.api.asking import Ask

JOBS_SHOWN = 10
TIMEOUT = click.option(
    "--timeout", type=Duration(), default="10m", show_default=True, help="How long to wait: 90s, 10m, 1h."
)
CODES = exit_codes(2, 3, 5, 6)


@click.command("flush", epilog=CODES)
@click.argument("key", required=False)
@TIMEOUT
@json_option
@WHERE
def flush_command(key: str | None, *, timeout: float, as_json: bool, where: Where) -> None:
    """Send what was closed by now to the bucket; exit 0 once the bucket has confirmed all of it.

    KEY names a job, or something in one: then that job alone. What the bucket refused before is tried again. Files
    that somebody still writes are named, and not waited for.
    """
    _flush([key] if key else [], timeout, as_json=as_json, where=where)


@click.command("wait", epilog=CODES)
@click.argument("jobs", nargs=-1, required=True, metavar="JOB...")
@TIMEOUT
@json_option
@WHERE
def wait_command(jobs: tuple[str, ...], *, timeout: float, as_json: bool, where: Where) -> None:
    """Return once the bucket has confirmed all that was closed in these jobs: the last step of a CI job."""
    _flush(jobs, timeout, as_json=as_json, where=where)


def _flush(keys: Sequence[str], timeout: float, *, as_json: bool, where: Where) -> None:
    from mountfs.api.asking import asking

    place = where.place()
    with asking(place) as ask:
        told = flush_with(ask, [key_of(key, place.mountpoint) for key in keys], seconds=timeout)
    if as_json:
        print_json({name: told.get(name) for name in ("jobs", "bytes", "open")})
    else:
        click.echo(_done(told))


def flush_with(ask: "Ask", keys: Sequence[str], *, seconds: float) -> Mapping[str, object]:
    """Flush, and show how far it is; what was told last. Raises DeadlineExceeded with what is left."""
    from mountfs.api.asking import follow

    last: dict[str, object] = {}
    with Shown() as shown_progress:

        def told(answer: dict[str, object]) -> None:
            progress = answer["progress"]
            if isinstance(progress, dict) and progress:
                last.update(progress)
                _show(shown_progress, last)

        is_done = follow(ask, "flush", seconds=seconds, told=told, keys=list(keys))
    for key in _texts(last, "open"):
        complain(f"{key} is still being written: it is not in the bucket as it is now")
    if not is_done:
        raise DeadlineExceeded(_left(last, seconds))
    return last


def _show(shown_progress: Shown, told: Mapping[str, object]) -> None:
    total, left = _number(told, "jobs"), _number(told, "jobs_left")
    words = f"uploading {_jobs(total)}, {left} left" if told.get("phase") != "settling" else "compressing"
    if told.get("down"):
        words += f" (the bucket does not answer: {told['down']})"
    shown_progress.show(words, done_bytes=_number(told, "bytes_confirmed"), total_bytes=_number(told, "bytes"))


def _left(told: Mapping[str, object], seconds: float) -> str:
    if told.get("phase") == "settling":
        return f"not done within {seconds:g} seconds: not everything was compressed; nothing was lost"
    names = _texts(told, "left")
    more = f" and {len(names) - JOBS_SHOWN} more" if len(names) > JOBS_SHOWN else ""
    missing = shown_size(max(0, _number(told, "bytes") - _number(told, "bytes_confirmed")))
    why = f"; the bucket does not answer: {told['down']}" if told.get("down") else ""
    return (
        f"not done within {seconds:g} seconds: {missing} of {', '.join(names[:JOBS_SHOWN])}{more} are not in the"
        f" bucket{why}; they stay here, and are sent when it is possible"
    )


def _done(told: Mapping[str, object]) -> str:
    jobs = _number(told, "jobs")
    if not jobs:
        return "the bucket has everything"
    return shown(f"the bucket has confirmed {_jobs(jobs)}, {shown_size(_number(told, 'bytes'))}")


def _jobs(count: int) -> str:
    return f"{count} job" if count == 1 else f"{count} jobs"


def _number(told: Mapping[str, object], name: str) -> int:
    return int(str(told.get(name, 0)))


def _texts(told: Mapping[str, object], name: str) -> list[str]:
    found = told.get(name)
    return [str(one) for one in found] if isinstance(found, list) else []
