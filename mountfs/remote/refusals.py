"""From S3's error codes to our errors: what is worth waiting for, what is not, and what to do about it.

The codes are those of AWS, SeaweedFS, Ceph and MinIO. An unknown one goes by its HTTP status.
"""

from dataclasses import dataclass
from typing import Final

from mountfs.errors import MountfsError, ObjectMissing, PutRefused, RemoteDenied, RemoteUnavailable

STALE_CREDENTIALS: Final = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired", "RequestExpired"}
)
"""The credentials were good and are no more: they are read again, and the request may be repeated."""

_TRANSIENT: Final = STALE_CREDENTIALS | {
    *("RequestTimeout", "RequestTimeoutException", "RequestTimedOut", "RequestTimeTooSkewed", "IncompleteBody"),
    *("SlowDown", "SlowDownRead", "SlowDownWrite", "Throttling", "ThrottlingException", "RequestThrottled"),
    *("RequestLimitExceeded", "TooManyRequests", "BandwidthLimitExceeded"),
    *("ServiceUnavailable", "InternalError", "InternalFailure", "ServerNotInitialized", "XMinioServerNotInitialized"),
    *("OperationAborted", "ConditionalRequestConflict"),
}
_TRANSIENT_STATUS: Final = frozenset({408, 425, 429})
_PERMANENT_5XX: Final = frozenset({501, 505, 507})
_QUOTA: Final = frozenset(
    {"QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded"}
)
_CHECKSUM: Final = frozenset({"BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch"})
_SAID_MAX: Final = 200

_ADVICE: Final = {
    "AccessDenied": "the credentials may not do this: grant what `mountfs remote policy` prints",
    "AllAccessDisabled": "the account or bucket is disabled at the provider",
    "InvalidAccessKeyId": "the server does not know the access key: correct the credentials",
    "SignatureDoesNotMatch": "the secret key is wrong: correct the credentials",
    "AuthorizationHeaderMalformed": "set storage.s3.region to the region of the bucket",
    "PermanentRedirect": "set storage.s3.region to the region of the bucket",
    "IllegalLocationConstraintException": "set storage.s3.region to the region of the bucket",
    "InvalidObjectState": "the object is archived: restore it at the provider",
    "KMS.DisabledException": "the encryption key is disabled: enable it",
    "NotImplemented": "the server cannot do this: set storage.s3.checksum to when_required, or use another server",
    "BucketAlreadyExists": "the name belongs to somebody else: choose another storage.s3.bucket",
}


class UploadMissing(ObjectMissing):
    """The multipart upload is neither under way nor known: completed, aborted, or dropped by the server."""


class RequestInvalid(RemoteDenied):
    """The server takes the request for nonsense: for an upload begun in another checksum mode, it is."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error as the server said it; `about` is what was asked for, `bucket` where. Status 0: one of many in a 200."""

    code: str
    status: int
    said: str
    bucket: str
    about: str


def translated(refusal: Refusal) -> MountfsError:
    """The error that says what the server's refusal means for mountfs."""
    match refusal.code:
        case "NoSuchKey":
            return ObjectMissing(f"{refusal.about} is not in the bucket")
        case "NoSuchUpload":
            return UploadMissing(f"the upload of {refusal.about} is not known to the server")
        case "InvalidRequest":
            return RequestInvalid(f"{refusal.about}: {_what_to_do(refusal)} ({_quoted(refusal)})")
        case "PreconditionFailed":
            return PutRefused(f"{refusal.about} exists already")
        case "NoSuchBucket":
            return RemoteDenied(
                f"the bucket {refusal.bucket} does not exist: mountfs remote check --create ({_quoted(refusal)})"
            )
    if is_transient(refusal.code, refusal.status):
        return RemoteUnavailable(f"{refusal.about}: the server asks to come back ({_quoted(refusal)})")
    return RemoteDenied(f"{refusal.about}: {_what_to_do(refusal)} ({_quoted(refusal)})")


def is_transient(code: str, status: int) -> bool:
    """Whether the same request may be granted later without anybody changing anything."""
    if code in _TRANSIENT or status in _TRANSIENT_STATUS:
        return True
    known_permanent = code in _QUOTA or code in _CHECKSUM or code in _ADVICE
    return status >= 500 and status not in _PERMANENT_5XX and not known_permanent


def _what_to_do(refusal: Refusal) -> str:
    if refusal.code in _QUOTA or refusal.status == 507:
        return "the bucket is full: make room or raise its quota, then `mountfs flush`"
    if refusal.code in _CHECKSUM:
        return "checksum refused, the bytes did not arrive as they were sent: `mountfs flush` sends them again"
    if refusal.status == 404:
        return "something answers that knows neither key nor bucket: check storage.s3.endpoint_url"
    if refusal.status == 501:
        return _ADVICE["NotImplemented"]
    return _ADVICE.get(refusal.code, "the server refuses")


def _quoted(refusal: Refusal) -> str:
    words = [refusal.code or "no code", *([str(refusal.status)] if refusal.status else [])]
    return shown(f"{', '.join(words)}: {refusal.said}")


def shown(words: str) -> str:
    """A stranger's words for a sentence of ours: on one line, without control characters, of bounded length."""
    return "".join(sign if sign.isprintable() else " " for sign in words)[:_SAID_MAX]
