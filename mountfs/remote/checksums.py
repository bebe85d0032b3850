"""What confirms that the server holds the bytes that were sent.

SHA-256 where the server knows it, MD5 (Content-MD5, and the ETag of an object of one piece) where it knows nothing
else: Ceph before 19 ignores every other checksum.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from mountfs.errors import RemoteDenied
from mountfs.remote.answers import Answer, Parameters

Mode: TypeAlias = Literal["auto", "when_supported", "when_required"]


@dataclass(frozen=True, slots=True)
class Sums:
    """Both checksums of one piece."""

    sha256: bytes
    md5: bytes

    @classmethod
    def of(cls, data: bytes) -> "Sums":
        return cls(hashlib.sha256(data).digest(), hashlib.md5(data, usedforsecurity=False).digest())

    @property
    def sha256_text(self) -> str:
        return base64.b64encode(self.sha256).decode()

    @property
    def md5_text(self) -> str:
        return base64.b64encode(self.md5).decode()

    def sent(self, mode: Mode) -> Parameters:
        """The parameters of a PUT that make the server refuse other bytes."""
        said: Parameters = {}
        if mode != "when_required":
            said["ChecksumSHA256"] = self.sha256_text
        if mode != "when_supported":
            said["ContentMD5"] = self.md5_text
        return said

    def match(self, *, etag: str, checksum: str) -> bool:
        """Whether what the server says about the piece fits. A SHA-256 decides; without one the ETag does."""
        return checksum == self.sha256_text if checksum else etag == self.md5.hex()


@dataclass(frozen=True, slots=True)
class Whole:
    """The checksums of an object of several parts: S3 hashes the hashes."""

    etag: str
    checksum: str

    @classmethod
    def of(cls, parts: Sequence[Sums]) -> "Whole":
        md5 = hashlib.md5(b"".join(part.md5 for part in parts), usedforsecurity=False).hexdigest()
        sha256 = base64.b64encode(hashlib.sha256(b"".join(part.sha256 for part in parts)).digest()).decode()
        return cls(f"{md5}-{len(parts)}", f"{sha256}-{len(parts)}")

    def match(self, answer: Answer) -> bool:
        """Whether the object of that answer is the one meant. False also where the server's way cannot be compared."""
        said = answer.text("ChecksumSHA256")
        return said in (self.checksum, self.checksum.rpartition("-")[0]) if said else answer.etag == self.etag


def confirm(answer: Answer, sums: Sums, *, mode: Mode, about: str) -> None:
    """Return when the answer to a PUT proves that the server holds these bytes; else `RemoteDenied`.

    Where a key service encrypts, the ETag proves nothing: the Content-MD5, which the server had to check, does.
    """
    said = answer.text("ChecksumSHA256")
    if said == sums.sha256_text:
        return
    if mode == "when_supported" and not said:
        raise RemoteDenied(f"{about}: the server confirms no SHA-256: set storage.s3.checksum to auto")
    if not said and (answer.etag == sums.md5.hex() or answer.is_kms):
        return
    raise RemoteDenied(
        f"{about}: checksum refused, the server confirms other bytes ({said or answer.etag or 'none'}): "
        "`mountfs flush` sends them again"
    )
