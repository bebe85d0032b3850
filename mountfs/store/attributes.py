"""Tags, facts and other extended attributes of entries, as `getfattr` and `setfattr` meet them.

Registers live in the catalog; an entry is brought there before it gets one. On the loop's thread.
"""

import json
from collections.abc import Callable

from mountfs import namespace
from mountfs.errors import (
    InvalidArgument,
    NotFound,
    Protected,
    TagNotFound,
    TagTooLarge,
    UnsupportedAttribute,
)
from mountfs.model import ROOT_INO, Content, Entry, Kind, Standing, State
from mountfs.namespace import Fact, Foreign, Plain, Tag
from mountfs.records import RecordRefused, check_register, xattr_name, xattr_register
from mountfs.store.facts import Facts, digest_of, format_of, iso, summary_of
from mountfs.store.files import Files
from mountfs.store.ledger import Ledger
from mountfs.store.options import Options
from mountfs.store.owing import Owing
from mountfs.store.tree import Tree
from mountfs.store.versions import number_of

_MIME = b"user.mountfs.mime_type"
_OF_SETTLED = frozenset({b"user.mountfs.sha256", b"user.mountfs.stored_size", b"user.mountfs.codec", _MIME})
PLAIN_MAX = 256  # other xattrs on one entry
CODEC = "@codec"  # what was asked for on this machine, before the first write: no other needs to know


class Attributes:
    """Extended attributes by inode number and full name (`user.branch`, `user.mountfs.sha256`)."""

    def __init__(self, ledger: Ledger, owing: Owing, tree: Tree, files: Files, facts: Facts, options: Options) -> None:
        self._ledger = ledger
        self._owing = owing
        self._tree = tree
        self._files = files
        self._facts = facts
        self._options = options
        self._catalog = ledger.catalog
        self.state_elsewhere: Callable[[Entry], str | None] = lambda entry: None  # on its way to the bucket, or there
        self.request: Callable[[str, int], None] = lambda what, ino: None  # nothing to carry anywhere without a bucket
        self.on_pin: Callable[[int], None] = lambda ino: None

    # -- reading ------------------------------------------------------------------------------------------

    def get(self, ino: int, name: bytes) -> bytes:
        """The value; a tag that the entry lacks is looked for in the directories above it. Raises TagNotFound."""
        match namespace.classify_xattr(name):
            case Foreign():
                raise TagNotFound(f"no attribute {name!r}")
            case Tag(key):
                return self._tag(ino, key)
            case Plain():
                return self._register(ino, xattr_register(name))
            case Fact(field):
                return self.fact(ino, field).encode("utf-8", "surrogateescape")

    def _register(self, ino: int, name: str) -> bytes:
        value = self._catalog.register(ino, name)
        if value is None:
            raise TagNotFound(f"no attribute {name}")
        return value

    def _tag(self, ino: int, key: str) -> bytes:
        name = f"tag:{key}"
        while ino != ROOT_INO:
            value = self._catalog.register(ino, name)
            if value is not None:
                return value
            try:
                ino = self._tree.entry(ino).parent
            except NotFound:
                break
        raise TagNotFound(f"no tag {key}")

    def list(self, ino: int) -> list[bytes]:
        """The names of the entry's own tags and other attributes: no inherited ones, no facts."""
        names = []
        for register in self._catalog.registers(ino):
            if register.startswith("tag:"):
                names.append(b"user." + register[4:].encode())
            elif (plain := xattr_name(register)) is not None:
                names.append(plain)
        return names

    def needs_settling(self, ino: int, name: bytes) -> bool:
        """Whether the answer waits for a hash or a compression that is still running."""
        if name not in _OF_SETTLED or (name == _MIME and self._is_mime_known(ino)):
            return False
        live = self._files.live.get(ino)
        if live is not None and live.dirty:
            return False
        entry = live.acknowledged if live is not None else self._ledger.entry(ino)
        if entry is None or entry.content is None:
            return False
        content = self._ledger.content(entry.content)
        return content is not None and content.digest is None

    def _is_mime_known(self, ino: int) -> bool:
        """Whether it is said, or the name says it, so that nobody asks the content."""
        names = self._ledger.path(ino)
        return (
            not names
            or namespace.mime_by_name(names[-1]) is not None
            or self._catalog.register(ino, "mime_type") is not None
        )

    def fact(self, ino: int, field: str) -> str:
        """One fact as text. Raises TagNotFound where there is none."""
        entry = self._tree.entry(ino)
        value = self._fact(entry, field)
        if value is None:
            raise TagNotFound(f"no fact user.mountfs.{field}")
        return value

    def _fact(self, entry: Entry, field: str) -> str | None:
        if field in ("type", "mime_type", "expires_at", "pinned", "metadata", "created_at", "uri", "version"):
            return self._said_fact(entry, field)
        if entry.kind == Kind.DIRECTORY:
            return None
        live = self._files.live.get(entry.ino)
        published = live.acknowledged if live is not None else entry
        content = self._ledger.content(published.content) if published.content is not None else None
        match field:
            case "size":
                return str(entry.size)
            case "state":
                draft = (live is not None and live.dirty) or entry.standing == Standing.PROVISIONAL
                return State.DRAFT if draft else self.state_elsewhere(published) or State.LOCAL
            case "recovered":
                return str(int(published.standing == Standing.RECOVERED))
            case "sha256":
                digest = digest_of(published, content)
                return digest.hex() if digest else None
            case "stored_size":
                return str(content.stored if content else 0)
            case "format":
                return format_of(self._facts.told(content))
            case "summary":
                summary = summary_of(self._facts.told(content))
                return None if summary is None else json.dumps(summary, separators=(",", ":"))
            case "codec":
                asked = self._catalog.register(entry.ino, CODEC)
                return content.codec if content and content.digest else (asked or b"none").decode()
            case _:
                return None

    def _said_fact(self, entry: Entry, field: str) -> str | None:
        said = self._catalog.register(entry.ino, field)
        names = self._ledger.path(entry.ino)
        directory = entry.kind == Kind.DIRECTORY
        match field:
            case "type":
                if directory or not names:
                    return None if said is None else said.decode("utf-8", "surrogateescape")
                return self._facts.type_of(names, said, self._facts.told(self._published(entry)))
            case "mime_type":
                return None if directory or not names else self._facts.mime_of(names, said, self._published(entry))
            case "pinned":
                return "1" if said == b"1" else "0"
            case "created_at":
                return iso(entry.birth_ns)
            case "uri":
                return self._facts.uri(names)
            case "version":
                return None if directory else str(number_of(self._catalog, entry))
            case _:
                return said.decode() if said is not None else None

    def _published(self, entry: Entry) -> Content | None:
        """The content that others see."""
        live = self._files.live.get(entry.ino)
        published = live.acknowledged if live is not None else entry
        return self._ledger.content(published.content) if published.content is not None else None

    # -- writing ------------------------------------------------------------------------------------------

    def set(self, ino: int, name: bytes, value: bytes) -> None:
        """Set a tag, a writable fact or another `user.` attribute; durable on return."""
        if ino == ROOT_INO:
            raise Protected("the root takes no tags: tag a job or an artifact")
        match namespace.classify_xattr(name):
            case Foreign():
                raise UnsupportedAttribute(f"{name.decode(errors='replace')}: only attributes under user. are kept")
            case Tag(key):
                self._set_tag(ino, key, value)
            case Plain():
                self._set_plain(ino, name, value)
            case Fact(field):
                self._set_fact(ino, field, value)

    def _set_tag(self, ino: int, key: str, value: bytes) -> None:
        namespace.check_tag(key, value)
        own = self._catalog.registers(ino, "tag:")
        if f"tag:{key}" not in own and len(own) >= self._options.max_tags:
            raise TagTooLarge(f"tag {key}: there are {len(own)} tags already; allowed: {self._options.max_tags}")
        self._put(ino, f"tag:{key}", value)

    def _set_plain(self, ino: int, name: bytes, value: bytes) -> None:
        if len(value) > namespace.XATTR_VALUE_MAX:
            raise TagTooLarge(f"an attribute of {len(value)} bytes; allowed: up to {namespace.XATTR_VALUE_MAX}")
        register = xattr_register(name)
        own = self._catalog.registers(ino, "xattr")
        if register not in own and len(own) >= PLAIN_MAX:
            raise TagTooLarge(f"{len(own)} attributes already; allowed: {PLAIN_MAX}")
        self._put(ino, register, value)

    def _set_fact(self, ino: int, field: str, value: bytes) -> None:
        if field in namespace.REQUEST_FACTS:
            self._tree.entry(ino)
            self.request(field, ino)
            return
        if field not in namespace.WRITABLE_FACTS:
            raise Protected(f"user.mountfs.{field} is computed, not set")
        checked = self._checked_fact(ino, field, value)
        if checked:
            self._put(ino, _register_of(field), checked.encode())
            if field == "pinned":
                self.on_pin(ino)
        else:
            self._delete(ino, _register_of(field))

    def _checked_fact(self, ino: int, field: str, value: bytes) -> str:
        try:
            text = value.decode().rstrip("\n")
        except UnicodeDecodeError:
            raise InvalidArgument(f"user.mountfs.{field}: not UTF-8") from None
        match field:
            case "type":
                return namespace.canonical_type(text, extra=self._options.types) if text else ""
            case "mime_type":
                if len(text) > 255 or not text.isprintable():
                    raise InvalidArgument("user.mountfs.mime_type: at most 255 printable characters")
                return text
            case "expires_at":
                return self._checked_expiry(text)
            case "pinned":
                if text not in ("0", "1", "true", "false", "yes", "no", ""):
                    raise InvalidArgument("user.mountfs.pinned: allowed are 1 and 0")
                return "1" if text in ("1", "true", "yes") else ""
            case "codec":
                return self._checked_codec(ino, text)
            case _:
                return self._checked_metadata(text)

    def _checked_expiry(self, text: str) -> str:
        """Empty for an empty text, which takes the date away as it does any other fact: what has none stays."""
        try:
            moment = namespace.parse_expiry(text, now_ns=self._ledger.clock.now_ns())
        except InvalidArgument as error:
            raise InvalidArgument(f"user.mountfs.expires_at: {error}") from None
        return "" if moment is None else iso(moment)

    def _checked_codec(self, ino: int, text: str) -> str:
        if text != "none":
            raise InvalidArgument("user.mountfs.codec: only `none` can be asked for")
        entry = self._tree.entry(ino)
        if entry.kind == Kind.FILE and entry.size > 0:
            raise Protected("user.mountfs.codec is set before the first write")
        return text

    @staticmethod
    def _checked_metadata(text: str) -> str:
        if len(text) > namespace.XATTR_VALUE_MAX:
            raise TagTooLarge(f"metadata of {len(text)} bytes; allowed: up to {namespace.XATTR_VALUE_MAX}")
        try:
            check_register("metadata", text or "{}")  # as every machine will judge it that reads of it in the bucket
        except RecordRefused as error:
            raise InvalidArgument(f"user.mountfs.metadata: {error}") from None
        return text

    def remove(self, ino: int, name: bytes) -> None:
        """Take away an attribute of the entry's own. Raises TagNotFound."""
        match namespace.classify_xattr(name):
            case Foreign():
                raise TagNotFound(f"no attribute {name!r}")
            case Tag(key):
                register = f"tag:{key}"
            case Plain():
                register = xattr_register(name)
            case Fact(field):
                if field not in namespace.WRITABLE_FACTS:
                    raise Protected(f"user.mountfs.{field} is computed, not set")
                register = _register_of(field)
        self._register(ino, register)
        self._delete(ino, register)

    def _put(self, ino: int, register: str, value: bytes) -> None:
        self._tree.entry(ino)
        with self._ledger.transaction():
            self._owing.tagged(ino, register, value)
        self._changed(ino)

    def _delete(self, ino: int, register: str) -> None:
        with self._ledger.transaction():
            self._owing.tagged(ino, register, None)
        self._changed(ino)

    def _changed(self, ino: int) -> None:
        live = self._files.live.get(ino)
        now = self._ledger.clock.now_ns()
        if live is not None:
            self._files.put_attributes(live, ctime_ns=now)  # also what is acknowledged: settling goes on from that
            return
        entry = self._tree.entry(ino).copy()
        entry.ctime_ns = now
        self._ledger.put(entry)


def _register_of(field: str) -> str:
    return CODEC if field == "codec" else field
