"""How single values of the settings read; each refuses with `InvalidArgument` or `InvalidName`."""

import contextlib
import re
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from mountfs import namespace
from mountfs.config.units import parse_duration_seconds, parse_size
from mountfs.errors import InvalidArgument, InvalidName

DAY_SECONDS: Final = 86400
DAYS_MAX: Final = 36_500
PREFIX_BYTES_MAX: Final = 128
_CRON_BOUNDS: Final = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_CRON_ITEM: Final = re.compile(r"(?:\*|([0-9]{1,2})(?:-([0-9]{1,2}))?)(?:/([1-9][0-9]?))?")
_LAYOUT_PART: Final = re.compile(r"(?:[^{}]|\{[a-z0-9_-]+\})+")


def _duration(value: object, what: str, *, plain_unit_seconds: int) -> float:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        with contextlib.suppress(InvalidArgument):
            return parse_duration_seconds(value, plain_unit_seconds=plain_unit_seconds)
    raise InvalidArgument(f"{value!r:.60} is not {what}")


def size_bytes(value: object) -> int:
    """A size; `0` stands for no limit wherever one is asked for."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        with contextlib.suppress(InvalidArgument):
            return parse_size(str(value))
    raise InvalidArgument(f"{value!r:.60} is not a size")


def seconds(value: object) -> float:
    """A duration of at most a day: everything that somebody waits for is shorter."""
    duration = _duration(value, "a duration", plain_unit_seconds=1)
    if duration > DAY_SECONDS:
        raise InvalidArgument(f"{value!r:.60} is more than a day")
    return duration


def days(value: object) -> int:
    """Whole days, at most a hundred years."""
    duration = _duration(value, "a number of days", plain_unit_seconds=DAY_SECONDS)
    if duration % DAY_SECONDS or duration > DAYS_MAX * DAY_SECONDS:
        raise InvalidArgument(f"{value!r:.60} is not a number of whole days up to {DAYS_MAX}")
    return int(duration // DAY_SECONDS)


def compression_level(value: object) -> int | str:
    """`none`, `zstd` (at the common level), or a level from 1 to 19."""
    text = str(value)
    if text in ("none", "zstd"):
        return text
    if isinstance(value, bool) or not re.fullmatch(r"[1-9]|1[0-9]", text):
        raise InvalidArgument(f"{text[:60]!r} is no way to compress")
    return int(text)


def secret(value: object) -> object:
    """Text; not the stars that `mountfs config show` prints in its place."""
    if isinstance(value, str) and set(value) <= {"*"}:
        raise InvalidArgument("empty, or stars in place of the secret")
    return value


def views(value: object) -> object:
    """YAML reads a bare `off` as false."""
    return "off" if value is False else value


def path_text(value: object) -> object:
    """Text that may name a file."""
    if isinstance(value, str) and (not value.strip() or "\0" in value):
        raise InvalidArgument("an empty path, or one with NUL in it")
    return value


def tag_key(value: str) -> str:
    namespace.check_tag(value, b"")
    return value


def tag_value(value: object) -> str:
    """Text of at most 1 KiB; a number is not guessed at: YAML has already lost `1.10` and `007`."""
    if not isinstance(value, str):
        raise InvalidArgument(f"{value!r:.60} is not text; allowed: text up to 1 KiB, a number in quotes")
    namespace.check_tag("tag", value.encode())
    return value


def type_name(value: str) -> str:
    """The slug that a type's name or alias stands for; a new name is one of a type of the settings' own."""
    try:
        return namespace.canonical_type(value)
    except InvalidName:
        word = namespace.type_word(value)
        if not namespace.TYPE_SLUG.fullmatch(word):
            raise InvalidName(f"{value[:60]!r} is not a type; allowed: a-z, 0-9 and -, up to 64") from None
        return word


def type_alias(value: str) -> str:
    word = namespace.type_word(value)
    if not 0 < len(word) <= namespace.NAME_MAX or "/" in word or "\0" in word:
        raise InvalidName(f"{value[:60]!r} is not an alias; allowed: a stem, a directory's name or a glob, no '/'")
    return word


def glob_name(value: str) -> str:
    if not 0 < len(value) <= namespace.NAME_MAX or "/" in value or "\0" in value:
        raise InvalidName(f"{value[:60]!r} is not a pattern; allowed: a glob of a file's name, no '/'")
    return value


def layout(value: str) -> str:
    """`{spec}/{task}/{type}`: parts of a path below the job, some of which become tags."""
    parts = value.split("/")
    keys = re.findall(r"\{([^{}]*)\}", value)
    if any(part in ("", ".", "..") or not _LAYOUT_PART.fullmatch(part) for part in parts):
        raise InvalidArgument(f"{value[:60]!r} is not a layout")
    if not keys or len(set(keys)) < len(keys):
        raise InvalidArgument(f"{value[:60]!r} names no tag, or one twice")
    return value


def cron(value: str) -> str:
    """The five fields of cron, in numbers."""
    fields = value.split()
    if len(fields) != len(_CRON_BOUNDS) or not all(map(_is_cron_field, fields, _CRON_BOUNDS)):
        raise InvalidArgument(f"{value[:60]!r} is not a schedule")
    return " ".join(fields)


def _is_cron_field(field: str, bounds: tuple[int, int]) -> bool:
    return all(_is_cron_item(item, bounds) for item in field.split(","))


def _is_cron_item(item: str, bounds: tuple[int, int]) -> bool:
    matched = _CRON_ITEM.fullmatch(item)
    if matched is None:
        return False
    numbers = [int(number) for number in matched.groups()[:2] if number is not None]
    return numbers == sorted(numbers) and all(bounds[0] <= number <= bounds[1] for number in numbers)


def key_prefix(value: str) -> str:
    """The prefix in a bucket, ending with `/` unless it is empty."""
    parts = value.rstrip("/").split("/") if value.rstrip("/") else []
    is_long = len(value.encode()) > PREFIX_BYTES_MAX
    if any(part in ("", ".", "..") for part in parts) or is_long or not value.isprintable():
        raise InvalidArgument(f"{value[:60]!r} is not a prefix")
    return "".join(f"{part}/" for part in parts)


def endpoint_url(value: str) -> str:
    """`http(s)://host[:port][/path]`, without a user or password: those come from the AWS chain."""
    try:
        url = urlsplit(value)
        port_is_good = url.port != 0
    except ValueError:
        raise InvalidArgument("not a URL") from None
    if url.username is not None or url.password is not None:
        raise InvalidArgument("credentials in a URL; they come from the AWS environment or files")
    if url.scheme not in ("http", "https") or not url.hostname or not port_is_good or url.query or url.fragment:
        raise InvalidArgument(f"{value[:60]!r} is not an endpoint")
    return value


def is_loopback(url: str) -> bool:
    """Whether what is sent to this URL stays on the machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def overlap(one: Path, other: Path) -> bool:
    """Whether two paths are one place, or one lies in the other."""
    return one == other or one in other.parents or other in one.parents
