"""How values stand in the names of views: a `/` as `%2F`, and what no name can be escaped likewise."""

import re
import urllib.parse
from typing import Final

from mountfs.namespace import NAME_MAX

_ESCAPED: Final = re.compile(rb"%(2[Ff]|25|2[Ee])")
_MEANT_SO: Final = re.compile(rb"%(?=2[Ff]|25|2[Ee])")
LABEL: Final = b"%"
"""The name of the empty value, which a label has."""


def name_of_value(value: bytes) -> bytes | None:
    """The name that a tag's value has in a view; None where it would be longer than a name can be."""
    if not value:
        return LABEL
    if value in (b".", b".."):
        return value.replace(b".", b"%2E")
    name = _MEANT_SO.sub(b"%25", value).replace(b"/", b"%2F")
    return name if len(name) <= NAME_MAX and b"\0" not in name else None


def value_of_name(name: bytes) -> bytes:
    """The value that such a name stands for: what `name_of_value` takes back, and more than one name may stand for."""
    if name == LABEL:
        return b""
    return _ESCAPED.sub(lambda found: bytes((int(found[1], 16),)), name)


def text_of_query(name: bytes) -> str:
    """The query that a name below `.find/` says, percent-encoded or as it is typed."""
    return urllib.parse.unquote_to_bytes(name).decode("utf-8", "surrogateescape")
