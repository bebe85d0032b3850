"""Names of entries, keys of artifacts, and the names in the root that belong to views."""

from collections.abc import Iterable
from typing import Final

from mountfs.errors import InvalidName, NameTooLong, Protected

NAME_MAX: Final = 255

VIEW_NAMES: Final = frozenset(
    {
        ".by-type",
        ".by-tag",
        ".by-branch",
        ".by-commit",
        ".by-date",
        ".recent",
        ".expiring",
        ".find",
        ".latest",
        ".versions",
    }
)
VIRTUAL_FILES: Final = frozenset({".stats.json", ".health", ".metrics"})
JOB_METADATA_NAME: Final = ".metadata.json"


def shown(name: bytes | str) -> str:
    text = name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else name
    printable = ascii(text) if not text.isprintable() else repr(text)
    return printable if len(printable) <= 80 else printable[:77] + "…"


def check_name(name: bytes) -> None:
    """Accept what may name one entry: any bytes up to 255 but `/` and NUL; not empty, `.` or `..`."""
    if not name:
        raise InvalidName("a name must not be empty")
    if name in (b".", b".."):
        raise InvalidName(f"{shown(name)} is not a name")
    if b"/" in name:
        raise InvalidName(f"{shown(name)}: a name must not contain '/'")
    if b"\0" in name:
        raise InvalidName(f"{shown(name)}: a name must not contain NUL")
    if len(name) > NAME_MAX:
        raise NameTooLong(f"{shown(name)}: a name of {len(name)} bytes; allowed: up to {NAME_MAX}")


def is_reserved_root_name(name: bytes) -> bool:
    """Names in the root that start with a dot belong to views, present and future ones."""
    return name.startswith(b".")


def check_job_name(name: bytes) -> None:
    """Accept what may name a job: any name that does not start with a dot."""
    check_name(name)
    if is_reserved_root_name(name):
        raise Protected(f"{shown(name)}: names in the root that start with a dot are reserved for views")


def encoded(key: str) -> bytes:
    """UTF-8 with surrogateescape, as `os.fsencode` does it, on every machine."""
    try:
        return key.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise InvalidName(f"{shown(key)}: not the text of any file name") from None


def _checked_components(key: str, components: Iterable[bytes]) -> tuple[bytes, ...]:
    kept = tuple(components)
    if not kept:
        raise InvalidName("a key must not be empty; it is <job>/<path>")
    try:
        for component in kept:
            check_name(component)
    except InvalidName as error:
        raise InvalidName(f"key {shown(key)}: {error}") from None
    return kept


def split_key(key: str) -> tuple[bytes, ...]:
    """The components of a key `<job>/<path…>`, job first.

    Refuses what `normalize_key` would repair: the key must be in its one canonical form.
    """
    if key.startswith("/"):
        raise InvalidName(f"key {shown(key)}: an absolute path; a key is relative: <job>/<path>")
    return _checked_components(key, encoded(key).split(b"/") if key else ())


def join_key(components: Iterable[bytes]) -> str:
    """The key of these components; `split_key` gives them back, whatever bytes they hold."""
    kept = tuple(components)
    key = b"/".join(kept).decode("utf-8", "surrogateescape")
    return b"/".join(_checked_components(key, kept)).decode("utf-8", "surrogateescape")


def normalize_key(key: str) -> str:
    """The canonical form of a key: without `//`, `./` and a trailing `/` (F-018).

    `..` is refused, never resolved: a key says where something is, not how to get there. A backslash is
    an ordinary character of a name. Idempotent.
    """
    if key.startswith("/"):
        raise InvalidName(f"key {shown(key)}: an absolute path; a key is relative: <job>/<path>")
    parts = (part for part in encoded(key).split(b"/") if part not in (b"", b"."))
    return join_key(_checked_components(key, parts))


def build_key(deal_id: str, category: str, filename: str, subcategory: str | None = None) -> str:
    """`<deal_id>/<category>[/<subcategory>]/<filename>`; each part is one name (F-018)."""
    parts = (deal_id, category, filename) if subcategory is None else (deal_id, category, subcategory, filename)
    return join_key(encoded(part) for part in parts)
