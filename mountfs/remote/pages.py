"""What S3 promises of a listing, made true for servers with an order of their own.

S3 sorts keys by their bytes. SeaweedFS walks directories: `a/b` comes before `a-b`, and what it answers to
StartAfter may hold earlier keys, or lack later ones. So a server is asked for a little more than is wanted, from a
key that is earlier in either order, and what it answers is compared and sorted here.
"""

from collections.abc import Iterable

from mountfs.remote.protocol import Listed, Page

_PLAIN = frozenset(b"123456789BCDEFGHIJKLMNOPQRSTUVWXYZbcdefghijklmnopqrstuvwxyz")
"""Signs whose predecessor sorts above `/` too, and is one that needs no encoding: where a start can be cut off."""


def safe_start(prefix: str, after: str) -> str:
    """A StartAfter before which neither order has a key greater than `after`; "" for none.

    The orders differ only where one name ends and another goes on with a sign below `/` (`-`, `.`, `%`): what
    comes before the first such sign is common to both, and its last sign is lowered, so that it names nothing.
    """
    if after <= prefix or not after.startswith(prefix):
        return after if after > prefix else ""
    rest = after[len(prefix) :].encode()
    common = next((at for at, sign in enumerate(rest) if sign < ord("/")), len(rest))
    last = next((at for at in range(common - 1, -1, -1) if rest[at] in _PLAIN), None)
    if last is None:
        return ""
    return (prefix.encode() + rest[:last] + bytes([rest[last] - 1]) + b"~").decode()


def tidy(objects: Iterable[Listed], prefixes: Iterable[str], *, after: str, token: str | None) -> Page:
    """The page that S3 would have given: nothing up to `after`, sorted by bytes, each once.

    Text sorts as its UTF-8 does.
    """
    found = {listed.key: listed for listed in objects if listed.key > after}
    rolled = {prefix for prefix in prefixes if prefix > after}
    return Page(tuple(found[key] for key in sorted(found)), tuple(sorted(rolled)), token)
