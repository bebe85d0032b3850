"""A bucket behind S3's protocol as a `Remote`: what each request says, and what its answer means."""

from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import quote

from mountfs.config.schema import S3
from mountfs.errors import CorruptContent, InvalidArgument, InvalidName, ObjectMissing, RemoteDenied, RemoteUnavailable
from mountfs.remote.answers import Answer, Parameters
from mountfs.remote.checksums import Sums, confirm
from mountfs.remote.multipart import PART_BYTES, LargeUpload, copy_in_parts, part_bytes_for
from mountfs.remote.pages import safe_start, tidy
from mountfs.remote.protocol import (
    LIST_LIMIT,
    Answered,
    Capabilities,
    Fetched,
    Found,
    Listed,
    Page,
    Source,
    Unfinished,
    Upload,
    ignore,
)
from mountfs.remote.refusals import Refusal, RequestInvalid, UploadMissing, shown, translated
from mountfs.remote.s3 import Connection

COPY_BYTES: Final = 5 << 30
"""The most that one request copies."""

COPY_PART_BYTES: Final = 1 << 30
KEY_BYTES_MAX: Final = 1024
DELETED_AT_ONCE: Final = 1000


class S3Remote:
    """One prefix of one bucket. See `Remote` for the promises. Several prefixes may share a connection."""

    capabilities = Capabilities(conditional_put=True, presign=True, multipart=True)

    def __init__(
        self,
        settings: S3,
        *,
        connection: Connection | None = None,
        part_bytes: int = PART_BYTES,
        copy_bytes: int = COPY_BYTES,
        copy_part_bytes: int = COPY_PART_BYTES,
    ) -> None:
        self.where = f"s3://{settings.bucket}/{settings.prefix}"
        self._settings = settings
        self._connection = connection or Connection(settings)
        self._part_bytes = part_bytes
        self._copy_bytes = copy_bytes
        self._copy_part_bytes = copy_part_bytes

    def __repr__(self) -> str:
        return f"S3Remote({self.where!r})"

    def close(self) -> None:
        self._connection.close()

    def create(self) -> None:
        """Make the bucket; one that is ours already is no error."""
        where = {"LocationConstraint": self._settings.region}
        said: Parameters = {"CreateBucketConfiguration": where} if self._settings.region != "us-east-1" else {}
        self._connection.ask("create_bucket", self.where, said, accepts=("BucketAlreadyOwnedByYou",))

    # -- writing ------------------------------------------------------------------------------------------

    def put(
        self,
        key: str,
        data: bytes,
        *,
        content_type: str | None = None,
        content_encoding: str | None = None,
        if_absent: bool = False,
    ) -> Answered:
        full, sums, mode = self._full(key), Sums.of(data), self._settings.checksum
        said = {"Key": full, **sums.sent(mode), **self._made_with(content_type, content_encoding)}
        if if_absent:
            said["IfNoneMatch"] = "*"
        answer = self._connection.send("put_object", full, data, said)
        confirm(answer, sums, mode=mode, about=shown(full))
        return Answered(answer.server_ms)

    def put_large(
        self,
        key: str,
        source: Source,
        *,
        resume: Upload | None = None,
        noted: Callable[[Upload], None] = ignore,
        progress: Callable[[int], None] = ignore,
        content_type: str | None = None,
        content_encoding: str | None = None,
    ) -> Answered:
        if source.size <= self._part_bytes:
            answered = self.put(
                key, source.read(0, source.size), content_type=content_type, content_encoding=content_encoding
            )
            progress(source.size)
            return answered
        made = self._made_with(content_type, content_encoding)
        large = LargeUpload(self._connection, self._settings.checksum, self._full(key), source, made, progress)
        if resume is not None and resume.key == key and resume.part_bytes > 0:
            done = self._resumed(large, resume)
            if done is not None:
                progress(source.size)
                return done
        upload = large.begin(known_as=key, part_bytes=part_bytes_for(source.size, least=self._part_bytes))
        noted(upload)
        return large.finish(upload, {})

    def _resumed(self, large: LargeUpload, upload: Upload) -> Answered | None:
        """The end of an upload begun earlier; None when it has to begin anew."""
        try:
            return large.finish(upload, large.parts_there(upload))
        except UploadMissing:
            return large.completed(upload.part_bytes)
        except RequestInvalid:  # begun under another storage.s3.checksum
            self.abort(upload)
            return None

    def copy(self, source: str, key: str) -> Answered:
        old, new = self._full(source), self._full(key)
        head = self._head(old)
        if head is None:
            raise ObjectMissing(f"{shown(old)} is not in the bucket")
        size, made = head.number("ContentLength"), self._made_with(None, None)
        if size > self._copy_bytes:
            kept = {name: head.text(name) for name in ("ContentType", "ContentEncoding") if head.text(name)}
            return copy_in_parts(self._connection, old, new, size, {**kept, **made}, part_bytes=self._copy_part_bytes)
        place = {"Bucket": self._settings.bucket, "Key": old}
        answer = self._connection.ask("copy_object", new, {"Key": new, "CopySource": place, **made})
        if not answer.structure("CopyObjectResult").text("ETag"):
            raise RemoteUnavailable(f"{shown(new)}: the server does not say that it copied")
        return Answered(answer.server_ms)

    def delete(self, keys: Sequence[str]) -> None:
        full = [self._full(key) for key in keys]
        for start in range(0, len(full), DELETED_AT_ONCE):
            self._delete(full[start : start + DELETED_AT_ONCE])

    def _delete(self, keys: Sequence[str]) -> None:
        """Not `Quiet`: an answer that was cut off would pass for "all deleted"."""
        about = f"{keys[0]} and {len(keys) - 1} more" if len(keys) > 1 else keys[0]
        objects = [{"Key": key} for key in dict.fromkeys(keys)]
        answer = self._connection.ask("delete_objects", about, {"Delete": {"Objects": objects}})
        told = {row.text("Key") for row in answer.rows("Deleted")}
        for row in answer.rows("Errors"):
            code, key = row.text("Code"), row.text("Key")
            if code != "NoSuchKey":
                raise translated(Refusal(code, 0, row.text("Message"), self._settings.bucket, shown(key)))
            told.add(key)
        if missing := set(keys) - told:
            raise RemoteUnavailable(f"{shown(min(missing))}: the server does not say that it is deleted")

    # -- reading ------------------------------------------------------------------------------------------

    def get(self, key: str, *, most_bytes: int) -> Fetched:
        full = self._full(key)
        answer = self._connection.fetch(full, {"Key": full, "ChecksumMode": "ENABLED"}, most_bytes=most_bytes)
        answer.require_object(shown(full))
        said = answer.text("ChecksumSHA256")
        if said and "-" not in said and said != Sums.of(answer.body).sha256_text:
            raise CorruptContent(f"{shown(full)} failed its integrity check on the way from the bucket")
        return Fetched(answer.body, len(answer.body), answer.server_ms)

    def get_range(self, key: str, offset: int, length: int) -> Fetched:
        if offset < 0 or length < 1:
            raise InvalidArgument(f"no range: {length} bytes from {offset}")
        return self._ranged(key, f"bytes={offset}-{offset + length - 1}", length, starts_at=offset)

    def get_tail(self, key: str, length: int) -> Fetched:
        if length < 1:
            raise InvalidArgument(f"no tail: {length} bytes")
        return self._ranged(key, f"bytes=-{length}", length)

    def _ranged(self, key: str, wanted: str, length: int, *, starts_at: int | None = None) -> Fetched:
        full = self._full(key)
        answer = self._connection.fetch(
            full, {"Key": full, "Range": wanted}, most_bytes=length, accepts=("InvalidRange",)
        )
        if answer.code:  # nothing there: beyond the end, or an empty object
            head = self._head(full)
            if head is None:
                raise ObjectMissing(f"{shown(full)} is not in the bucket")
            return Fetched(b"", head.number("ContentLength"), answer.server_ms)
        answer.require_object(shown(full))
        total = answer.total_bytes()
        first = max(0, total - length) if starts_at is None else starts_at
        said = answer.text("ContentRange")
        if len(answer.body) != min(length, total - first) or (said and not said.startswith(f"bytes {first}-")):
            raise RemoteDenied(f"{shown(full)}: the server answers {wanted} with another range: it is of no use here")
        return Fetched(answer.body, total, answer.server_ms)

    def head(self, key: str) -> Found | None:
        answer = self._head(self._full(key))
        if answer is None:
            return None
        return Found(answer.number("ContentLength"), answer.moment_ms("LastModified"), answer.server_ms)

    def _head(self, full: str) -> Answer | None:
        try:
            answer = self._connection.ask("head_object", full, {"Key": full})
        except (ObjectMissing, RemoteDenied):
            self._refuse_unless_missing(full)
            return None
        answer.require_object(shown(full))
        return answer

    def _refuse_unless_missing(self, full: str) -> None:
        """Raise why nothing is to be had, unless the key is missing: an answer to HEAD has no room for a reason."""
        if self._first_byte(full).code != "NoSuchKey":
            raise RemoteUnavailable(f"{shown(full)}: the server refuses to describe what it gives")

    def _first_byte(self, full: str) -> Answer:
        said: Parameters = {"Key": full, "Range": "bytes=0-0"}
        return self._connection.ask("get_object", full, said, accepts=("NoSuchKey", "InvalidRange"))

    def list(
        self, prefix: str, *, after: str = "", delimiter: str = "", token: str | None = None, limit: int = LIST_LIMIT
    ) -> Page:
        under, start = self._settings.prefix, safe_start(prefix, after)
        said: Parameters = {"Prefix": under + prefix, "MaxKeys": min(limit, LIST_LIMIT)}
        if delimiter:
            said["Delimiter"] = delimiter
        if token is not None:
            said["ContinuationToken"] = token
        elif start:
            said["StartAfter"] = under + start
        answer = self._connection.ask("list_objects_v2", self.where, said)
        is_more = answer.require_flag("IsTruncated")
        if is_more and not answer.text("NextContinuationToken"):
            raise RemoteUnavailable(f"{self.where}: the server lists a part, and does not say how to go on")
        found = (
            Listed(row.text("Key")[len(under) :], row.number("Size"), row.moment_ms("LastModified"))
            for row in answer.rows("Contents")
            if row.text("Key").startswith(under + prefix)
        )
        rolled = (row.text("Prefix")[len(under) :] for row in answer.rows("CommonPrefixes"))
        return tidy(found, rolled, after=after, token=answer.text("NextContinuationToken") if is_more else None)

    def server_ms(self) -> int:
        """One byte of the store's own description; that there is none is an answer with a `Date` too."""
        return self._first_byte(self._full("mountfs.json")).server_ms

    def presign(
        self, key: str, *, seconds: int, content_type: str | None, content_encoding: str | None, filename: str | None
    ) -> tuple[str, int]:
        full = self._full(key)
        shown_as: dict[str, str | None] = {
            "ResponseContentType": content_type,
            "ResponseContentEncoding": content_encoding,
            "ResponseContentDisposition": filename and f"inline; filename*=UTF-8''{_quoted(filename)}",
        }
        said = {name: value for name, value in shown_as.items() if value}
        return self._connection.presigned(full, {"Key": full, **said}, seconds=seconds)

    # -- uploads that were begun --------------------------------------------------------------------------

    def unfinished(self, prefix: str) -> Unfinished:
        under = self._settings.prefix
        found: Unfinished = []
        markers: Parameters = {}
        while True:
            answer = self._connection.ask("list_multipart_uploads", self.where, {"Prefix": under + prefix, **markers})
            for row in answer.rows("Uploads"):
                upload = Upload(row.text("Key")[len(under) :], row.text("UploadId"), 0)
                if row.text("Key").startswith(under + prefix):
                    found.append((upload, row.moment_ms("Initiated")))
            if not answer.require_flag("IsTruncated"):
                return found
            markers = {
                "KeyMarker": answer.text("NextKeyMarker"),
                "UploadIdMarker": answer.text("NextUploadIdMarker"),
            }

    def abort(self, upload: Upload) -> None:
        full = self._full(upload.key)
        said: Parameters = {"Key": full, "UploadId": upload.upload_id}
        self._connection.ask("abort_multipart_upload", full, said, accepts=("NoSuchUpload",))

    def _full(self, key: str) -> str:
        full = self._settings.prefix + key
        if not key or key.startswith("/") or "\0" in key or len(full.encode()) > KEY_BYTES_MAX:
            raise InvalidName(f"{shown(key)!r} is no key of an object")
        return full

    def _made_with(self, content_type: str | None, content_encoding: str | None) -> Parameters:
        """How a new object is kept and shown."""
        said = {
            "ContentType": content_type,
            "ContentEncoding": content_encoding,
            "ServerSideEncryption": self._settings.sse,
            "StorageClass": self._settings.storage_class,
        }
        return {name: value for name, value in said.items() if value is not None}


def _quoted(filename: str) -> str:
    """Any name: what is no UTF-8 comes as the bytes that it is."""
    return quote(filename, safe="", errors="surrogateescape")
