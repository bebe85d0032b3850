"""Requests of commands, by the route that is open now: to the daemon of a mount, or to the store opened here.

with asking(place) as ask:
    follow(ask, "flush", seconds=600, told=print)
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import partial

from mountfs.api import LOCK_POLL_SECONDS, LOCK_SECONDS, refuse_strangers
from mountfs.api.place import Place
from mountfs.daemon import client
from mountfs.errors import AlreadyMounted, NotMounted
from mountfs.statedir import StateDirectory

Ask = Callable[..., dict[str, object]]
POLL_SECONDS = 1.0
SPARE_SECONDS = 30.0


@contextlib.contextmanager
def asking(place: Place) -> Iterator[Ask]:
    """Ask with an operation's name and its arguments. Raises NotMounted where there is no store yet."""
    refuse_strangers(place.state)
    with contextlib.ExitStack() as stack:
        yield _asked(place, stack)


def _asked(place: Place, stack: contextlib.ExitStack) -> Ask:
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            client.ask(place.state, "barrier")
            return partial(client.ask, place.state)
        except NotMounted:
            if not StateDirectory(place.state).catalog.exists():
                raise NotMounted(f"there is no store for {place.mountpoint} yet: mount it, or put something") from None
        try:
            return _alone(place, stack)
        except AlreadyMounted:
            if time.monotonic() > deadline:
                raise
            time.sleep(LOCK_POLL_SECONDS)  # a daemon that starts or ends, or another command


def _alone(place: Place, stack: contextlib.ExitStack) -> Ask:
    from mountfs.daemon.alone import Alone  # brings the event loop along
    from mountfs.daemon.service import service_of

    service = service_of(place.settings, mountpoint=place.mountpoint, state=place.state)
    return stack.enter_context(Alone(service)).ask


def follow(
    ask: Ask, op: str, *, seconds: float | None, told: Callable[[dict[str, object]], None], **arguments: object
) -> bool:
    """Begin a long request and hear of it until it has ended; False when it had not within `seconds`.

    `told` gets each answer: `progress`, and `lines` that are new. Raises what the request raises.
    """
    until = None if seconds is None else time.monotonic() + seconds
    number = ask(op, **arguments)["run"]
    while True:
        left = POLL_SECONDS if until is None else min(POLL_SECONDS, max(0.0, until - time.monotonic()))
        answer = ask("follow", run=number, seconds=left, timeout=left + SPARE_SECONDS)
        told(answer)
        if answer["done"]:
            return True
        if until is not None and time.monotonic() >= until:
            return False
