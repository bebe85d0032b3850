"""Names of objects in the bucket (BUCKET.md, "Objects"): made and read here and nowhere else.

What it keeps true: names are ASCII, so that text sorts as bytes do; two jobs, or two values, never share a name; no
name climbs or has an empty part; a prefix and a key below it are 1024 bytes at most, and each part of it 255, what
S3 and directories allow. Whatever others wrote into a bucket, reading a name answers None and never raises. Keys are
below the prefix of the remote.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from mountfs.errors import InvalidName
from mountfs.model import Codec, Digest

MOUNTFS_JSON: Final = "mountfs.json"
LEASE: Final = "lease.json"
JOBS: Final = "jobs/"
FEED: Final = "feed/"
HEADS: Final = "heads/"
GONE: Final = "gone/"

MOST_PREFIX_BYTES: Final = 128
MOST_NAME: Final = 200
_CUT_TO: Final = 120

_CUT: Final = re.compile(r"[A-Za-z0-9._~%-]{118,120}~[0-9a-f]{32}")
_BUNDLE: Final = re.compile(r"([0-9]{8}T[0-9]{9}Z)-([0-9a-f]{8})-([0-9a-f]{8})\.zip")
_LARGE: Final = re.compile(r"([0-9]{8}T[0-9]{9}Z)-([0-9a-f]{8})-([0-9a-f]{8})-([0-9a-f]{64})(\.zst)?")
_FEED_PART: Final = re.compile(r"([0-9]{8}T[0-9]{9}Z)-([0-9a-f]{8})-([0-9a-f]{8})\.jsonl\.zst")
_HEAD: Final = re.compile(r"([0-9]{8}T[0-9]{9}Z)-([0-9a-f]{8})-(.+)\.json")
_PERIOD: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:T([0-9]{2}))?")
_WHEN: Final = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{3})Z")
_HEX: Final = re.compile(r"[0-9a-f]{8}")
_INVERSE: Final = str.maketrans("0123456789", "9876543210")
_LAST_MS: Final = 253_402_300_799_999  # the end of 9999


# -- parts of names -------------------------------------------------------------------------------------------


def encode_name(raw: bytes) -> str:
    """One part of a key for a job or a value, whatever its bytes: percent-encoded, cut where it is too long."""
    encoded = quote(raw, safe="~")
    if len(encoded) > MOST_NAME:
        return _cut(encoded, raw)
    if encoded in (".", ".."):
        return encoded.replace(".", "%2E")  # never a part that climbs
    if not encoded:
        return "~"  # never an empty part: a label is a tag with an empty value
    if encoded == "~" or is_cut(encoded):
        at = encoded.rindex("~")
        return f"{encoded[:at]}%7E{encoded[at + 1 :]}"  # never the name of another
    return encoded


def _cut(encoded: str, raw: bytes) -> str:
    """The beginning and a hash of the whole; no `%XX` is cut in two."""
    end = encoded.find("%", _CUT_TO - 2, _CUT_TO)
    return f"{encoded[: _CUT_TO if end < 0 else end]}~{hashlib.sha256(raw).hexdigest()[:32]}"


def is_cut(name: str) -> bool:
    """Whether that part of a key stands for a longer name, which is told inside of the objects only."""
    return _CUT.fullmatch(name) is not None


def decode_name(name: str) -> bytes | None:
    """Inverse of `encode_name`; None for what was cut, and for what it never makes."""
    if is_cut(name) or not name.isascii():
        return None
    raw = b"" if name == "~" else unquote_to_bytes(name)
    return raw if encode_name(raw) == name else None


def when(ms: int) -> str:
    """A moment, in ms since the epoch, as names begin with it; those outside of 1970 to 9999 count as the nearest."""
    ms = min(max(ms, 0), _LAST_MS)
    return f"{datetime.fromtimestamp(ms // 1000, UTC):%Y%m%dT%H%M%S}{ms % 1000:03}Z"


def parse_when(text: str) -> int | None:
    """Inverse of `when`; None for what is no such moment."""
    found = _WHEN.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second, ms = map(int, found.groups())
    try:
        ms += int(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()) * 1000
    except ValueError:
        return None
    return ms if ms >= 0 else None


def inverted(when: str) -> str:
    """Each digit taken from 9, so that the newest sorts first; inverted twice it is itself again."""
    return when.translate(_INVERSE)


# -- bundles and large contents -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BundleName:
    when_ms: int
    writer: str
    n: str


@dataclass(frozen=True, slots=True)
class LargeName:
    when_ms: int
    writer: str
    n: str
    digest: Digest
    codec: Codec


def bundle_name(when_ms: int, writer: str, n: str) -> str:
    """The name of a bundle; `writer` and `n` are 8 hex digits each, else ValueError."""
    return f"{_stem(when_ms, writer, n)}.zip"


def large_name(when_ms: int, writer: str, n: str, digest: Digest, codec: Codec) -> str:
    """The name of one large content's own object."""
    suffix = ".zst" if codec is Codec.ZSTD else ""
    return f"{_stem(when_ms, writer, n)}-{digest.hex()}{suffix}"


def _stem(when_ms: int, writer: str, n: str) -> str:
    if not _HEX.fullmatch(writer) or not _HEX.fullmatch(n):
        raise ValueError(f"writer and n are 8 hex digits each, not {writer!r} and {n!r}")
    return f"{when(when_ms)}-{writer}-{n}"


def parse_object(name: str) -> BundleName | LargeName | None:
    """What lies under that name in a job; None for a name that mountfs never gives."""
    if bundle := _BUNDLE.fullmatch(name):
        when_ms = parse_when(bundle[1])
        return None if when_ms is None else BundleName(when_ms, bundle[2], bundle[3])
    if large := _LARGE.fullmatch(name):
        when_ms = parse_when(large[1])
        digest, codec = Digest(bytes.fromhex(large[4])), Codec.ZSTD if large[5] else Codec.RAW
        return None if when_ms is None else LargeName(when_ms, large[2], large[3], digest, codec)
    return None


def job_prefix(job: bytes) -> str:
    """What all keys of a job begin with."""
    return f"{JOBS}{encode_name(job)}/"


def bundle_key(job: bytes, name: str) -> str:
    """The key of a bundle of that job; ValueError for another name than `bundle_name` makes."""
    if not isinstance(parse_object(name), BundleName):
        raise ValueError(f"{name!r} is no name of a bundle")
    return job_prefix(job) + name


def large_key(job: bytes, name: str) -> str:
    """The key of a large content of that job; ValueError for another name than `large_name` makes."""
    if not isinstance(parse_object(name), LargeName):
        raise ValueError(f"{name!r} is no name of a large content")
    return job_prefix(job) + name


def job_part(key: str) -> str | None:
    """The job's part of a key below `jobs/`, or of its prefix, as it is encoded; None elsewhere."""
    if not key.startswith(JOBS):
        return None
    part, slash, _ = key[len(JOBS) :].partition("/")
    return part if slash and (is_cut(part) or decode_name(part) is not None) else None


def gone_key(job: bytes) -> str:
    return GONE + encode_name(job)


# -- feed -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FeedPart:
    """One object of the feed; `period` is an hour, or a day where hours were merged."""

    period: str
    when_ms: int
    writer: str
    n: str


def hour(ms: int) -> str:
    """The hour of the feed in which that moment lies: `2026-11-21T10`."""
    text = when(ms)
    return f"{day(ms)}T{text[9:11]}"


def day(ms: int) -> str:
    """The day of the feed in which that moment lies: `2026-11-21`."""
    text = when(ms)
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}"


def parse_period(text: str) -> int | None:
    """The first moment of an hour or a day of the feed, in ms since the epoch; None for anything else."""
    found = _PERIOD.fullmatch(text)
    return None if found is None else parse_when(f"{found[1]}{found[2]}{found[3]}T{found[4] or '00'}0000000Z")


def feed_prefix(period: str) -> str:
    """What all keys of an hour, or of a day, begin with; ValueError for neither."""
    if parse_period(period) is None:
        raise ValueError(f"{period!r} is neither an hour nor a day of the feed")
    return f"{FEED}{period}/"


def feed_key(period: str, when_ms: int, writer: str, n: str) -> str:
    """The key of one part of the feed."""
    return f"{feed_prefix(period)}{_stem(when_ms, writer, n)}.jsonl.zst"


def parse_feed(key: str) -> FeedPart | None:
    """What `feed_key` was given; None for a key that it never makes."""
    period, _, name = key.removeprefix(FEED).partition("/")
    found = _FEED_PART.fullmatch(name)
    when_ms = None if found is None else parse_when(found[1])
    if found is None or when_ms is None or not key.startswith(FEED) or parse_period(period) is None:
        return None
    return FeedPart(period, when_ms, found[2], found[3])


# -- heads ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Head:
    """One head as its key says it. `key`, `value` and `job` are parts of keys: see `decode_name` and `is_cut`."""

    key: str
    value: str
    when_ms: int
    n: str
    job: str


def heads_prefix(key: str, value: bytes) -> str:
    """What the heads of all jobs with that tag begin with; the newest comes first."""
    return f"{HEADS}{encode_name(key.encode())}/{encode_name(value)}/"


def heads_beginning(key: str, beginning: bytes) -> str:
    """What the heads of values begin with that begin so: a short SHA finds its commits."""
    return f"{HEADS}{encode_name(key.encode())}/{quote(beginning, safe='~')[: _CUT_TO - 2]}"


def head_key(key: str, value: bytes, when_ms: int, n: str, job: bytes) -> str:
    """The key of one head: a job that has the tag `key` with that value."""
    if not _HEX.fullmatch(n):
        raise ValueError(f"n is 8 hex digits, not {n!r}")
    return f"{heads_prefix(key, value)}{inverted(when(when_ms))}-{n}-{encode_name(job)}.json"


def parse_head(key: str) -> Head | None:
    """What `head_key` was given; None for a key that it never makes."""
    parts = key.split("/")
    found = _HEAD.fullmatch(parts[3]) if len(parts) == 4 and parts[0] == HEADS[:-1] else None
    when_ms = None if found is None else parse_when(inverted(found[1]))
    if found is None or when_ms is None:
        return None
    names = (parts[1], parts[2], found[3])
    if not all(is_cut(name) or decode_name(name) is not None for name in names):
        return None
    return Head(parts[1], parts[2], when_ms, found[2], found[3])


# -- the prefix -----------------------------------------------------------------------------------------------


def check_prefix(prefix: str) -> str:
    """The prefix of a bucket in its one form, with a slash at its end unless it is empty. Raises InvalidName."""
    if not prefix:
        return ""
    normal = prefix.removesuffix("/") + "/"
    parts = normal[:-1].split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise InvalidName(f"prefix {prefix!r}: no leading slash, no empty part, no `.` or `..`")
    if not normal.isprintable():
        raise InvalidName(f"prefix {prefix!r}: printable characters only")
    if len(normal.encode()) > MOST_PREFIX_BYTES:
        raise InvalidName(f"prefix {prefix!r}: allowed are up to {MOST_PREFIX_BYTES} bytes")
    return normal
