"""What a server answered, as values: boto3's dictionaries are read here, field by field, and nowhere else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TypeAlias

from mountfs.errors import RemoteDenied, RemoteUnavailable

Parameters: TypeAlias = dict[str, object]
"""What a request says beside the bucket, in boto3's words."""


@dataclass(frozen=True, slots=True)
class Fields:
    """A structure of an answer. What is missing reads as empty, 0 or False, as S3 leaves such fields out."""

    values: Mapping[str, object]

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def text(self, name: str) -> str:
        value = self.values.get(name, "")
        return value if isinstance(value, str) else str(value)

    def number(self, name: str) -> int:
        value = self.values.get(name, 0)
        return value if isinstance(value, int) else int(self.text(name))

    def flag(self, name: str) -> bool:
        return self.values.get(name) is True

    def require_flag(self, name: str) -> bool:
        """A flag that every whole answer holds: an empty one (cut off, or from a proxy) does not pass for "no more"."""
        if name not in self.values:
            raise RemoteUnavailable(f"the answer of the server holds no {name}: it was cut off, or is no S3's")
        return self.flag(name)

    def moment_ms(self, name: str) -> int:
        value = self.values.get(name)
        if not isinstance(value, datetime):
            raise RemoteUnavailable(f"the answer of the server holds no {name}")
        return round(value.timestamp() * 1000)

    def structure(self, name: str) -> "Fields":
        value = self.values.get(name)
        return Fields(value if isinstance(value, Mapping) else {})

    def rows(self, name: str) -> "list[Fields]":
        value = self.values.get(name, [])
        return [Fields(row) for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []


@dataclass(frozen=True, slots=True)
class Answer(Fields):
    """A whole answer. `code` is S3's word for an error that the caller asked to see; `body` what was streamed."""

    headers: Mapping[str, str] = field(default_factory=dict)
    code: str = ""
    body: bytes = b""

    @property
    def server_ms(self) -> int:
        """The `Date` of the answer: whole seconds."""
        try:
            return round(parsedate_to_datetime(self.headers.get("date", "")).timestamp() * 1000)
        except ValueError:
            raise RemoteDenied("the server says no Date in its answers: mountfs goes by the server's clock") from None

    @property
    def etag(self) -> str:
        return self.text("ETag").strip('"')

    def require_object(self, about: str) -> None:
        """Every object has an ETag; the page of a hotel's network that stands in for the server has none."""
        if not self.etag:
            raise RemoteUnavailable(f"{about}: the answer is no object's: something else answers for the server")

    @property
    def is_kms(self) -> bool:
        """Whether the ETag is no MD5, because a key service encrypts."""
        return "kms" in self.text("ServerSideEncryption")

    def total_bytes(self) -> int:
        """The size of the whole object, of which the body may be a range."""
        said = self.text("ContentRange").rpartition("/")[2]
        return int(said) if said.isdecimal() else self.number("ContentLength")
