"""One connection to S3: boto3, and everything foreign that can come out of it, translated here and nowhere else.

What it keeps true:
- A request is made once. botocore's own repeats are off: `Retrying` knows how long is worth waiting.
- Every request ends: each word of the server within the read timeout, and all of it at no less than
  `SLOWEST_BYTES_PER_SECOND`.
- Credentials come through boto3's usual chain, are read anew after the server called them stale, and appear in no
  message and no log.

One client serves all threads. It is made in the first request, since importing boto3 and building the client take
half a second: not on the event loop.
"""

import calendar
import io
import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import Final, NoReturn, Protocol, TypedDict, cast
from urllib.parse import parse_qs, urlsplit

import boto3
from botocore import exceptions as foreign
from botocore.config import Config
from urllib3.exceptions import HTTPError

from mountfs.config.schema import S3
from mountfs.config.values import is_loopback
from mountfs.errors import CorruptContent, MountfsError, RemoteDenied, RemoteUnavailable
from mountfs.remote.answers import Answer, Parameters
from mountfs.remote.checksums import Sums
from mountfs.remote.refusals import STALE_CREDENTIALS, Refusal, shown, translated

SLOWEST_BYTES_PER_SECOND: Final = 32 << 10
INLINE_BYTES: Final = 64 << 10
"""Bodies up to this are sent in one go. Longer ones wait for `100 Continue`, so that a refusal arrives as one."""

PRESIGN_MAX_SECONDS: Final = 7 * 86400
_PIECE_BYTES: Final = 256 << 10
_TALKATIVE: Final = ("boto3", "botocore", "urllib3")  # at DEBUG they log headers, session tokens among them

_DENIED: Final = (
    foreign.NoCredentialsError,
    foreign.PartialCredentialsError,
    foreign.ProfileNotFound,
    foreign.ConfigNotFound,
    foreign.ConfigParseError,
    foreign.InvalidConfigError,
    foreign.UnauthorizedSSOTokenError,
    foreign.TokenRetrievalError,
    foreign.NoRegionError,
    foreign.ParamValidationError,
    foreign.MissingDependencyException,
)


class _Stream(Protocol):
    """urllib3's response below botocore's body."""

    def read1(self, amount: int) -> bytes: ...


class _Body(Protocol):
    """botocore's StreamingBody. Its `read` blocks until all has come, however slowly: hence the stream below it."""

    _raw_stream: _Stream

    def close(self) -> None: ...


class _Call(Protocol):
    def __call__(self, **parameters: object) -> dict[str, object]: ...


class _Request(TypedDict):
    body: bytes
    headers: dict[str, str]


class _Paced(io.BytesIO):
    """A request's body that stops being readable at its deadline: a server that drains a byte a second is hung."""

    def __init__(self, data: bytes, deadline: float) -> None:
        super().__init__(data)
        self._deadline = deadline

    def read(self, size: int | None = -1, /) -> bytes:
        if time.monotonic() > self._deadline:
            raise TimeoutError("the server takes the body too slowly")
        return super().read(size)


class Connection:
    """Requests to one bucket, from any thread. Errors name `about`, what was asked for, and never a credential."""

    def __init__(self, settings: S3) -> None:
        self.bucket = settings.bucket
        self._settings = settings
        self._lock = threading.Lock()
        self._made: object | None = None

    def __repr__(self) -> str:
        return f"Connection({self.bucket!r})"

    def ask(self, operation: str, about: str, parameters: Parameters, *, accepts: Collection[str] = ()) -> Answer:
        """The answer to one request; a refusal whose code is in `accepts` is an answer too.

        A streamed body is not read and its connection given up: `fetch` is for those.
        """
        answer, body = self._begun(operation, about, accepts, parameters)
        if body is not None:
            body.close()
        return answer

    def fetch(self, about: str, parameters: Parameters, *, most_bytes: int, accepts: Collection[str] = ()) -> Answer:
        """An object with its body; `CorruptContent` before a byte is read when that is longer than `most_bytes`."""
        answer, body = self._begun("get_object", about, accepts, parameters)
        if body is None:
            return answer
        try:
            length = answer.number("ContentLength")
            if length > most_bytes:
                raise CorruptContent(f"{shown(about)} is {length} bytes long, {most_bytes} at most were expected")
            data = self._drained(body, length, about)
        finally:
            body.close()
        return Answer(answer.values, answer.headers, body=data)

    def send(self, operation: str, about: str, data: bytes, parameters: Parameters) -> Answer:
        """The answer to a request with a body."""
        deadline = self._deadline(len(data))
        body = data if len(data) <= INLINE_BYTES else _Paced(data, deadline)
        return self.ask(operation, about, {**parameters, "Body": body})

    def presigned(self, about: str, parameters: Parameters, *, seconds: int) -> tuple[str, int]:
        """A URL for `get_object`, and when it ends: the credentials may end before the `seconds` do."""
        client = self._client()
        make = cast("Callable[..., str]", getattr(client, "generate_presigned_url"))  # noqa: B009
        try:
            left = min(seconds, PRESIGN_MAX_SECONDS, self._credentials_last())
            if left < 1:
                raise RemoteUnavailable("the credentials are about to end: no URL can be made with them")
            url = make("get_object", Params={"Bucket": self.bucket, **parameters}, ExpiresIn=left)
        except foreign.BotoCoreError as error:
            self._refuse(error, about, client)
        said = parse_qs(urlsplit(url).query)
        begun = time.strptime(said["X-Amz-Date"][0], "%Y%m%dT%H%M%SZ")
        return url, calendar.timegm(begun) + int(said["X-Amz-Expires"][0])

    def close(self) -> None:
        """Give the idle connections back."""
        with self._lock:
            client, self._made = self._made, None
        if client is not None:
            cast("Callable[[], None]", getattr(client, "close"))()  # noqa: B009

    def _begun(
        self, operation: str, about: str, accepts: Collection[str], parameters: Parameters
    ) -> tuple[Answer, _Body | None]:
        client = self._client()
        call = cast("_Call", getattr(client, operation))
        try:
            values = call(Bucket=self.bucket, **parameters)
        except foreign.ClientError as error:
            refusal = self._refusal(error, about)
            if refusal.code in accepts:
                return Answer({}, _headers(error.response), code=refusal.code), None
            self._refuse(error, about, client)
        except (foreign.BotoCoreError, ValueError) as error:
            self._refuse(error, about, client)
        body = values.pop("Body", None)
        return Answer(values, _headers(values)), cast("_Body | None", body)

    def _drained(self, body: _Body, length: int, about: str) -> bytes:
        """All `length` bytes; `RemoteUnavailable` when they end early, or come too slowly."""
        deadline = self._deadline(length)
        pieces, missing = [], length
        try:
            while missing:
                piece = body._raw_stream.read1(min(missing, _PIECE_BYTES))
                if not piece:
                    raise RemoteUnavailable(f"{shown(about)}: the answer ended {missing} bytes early")
                if time.monotonic() > deadline:
                    raise RemoteUnavailable(f"{shown(about)}: the answer comes too slowly")
                pieces.append(piece)
                missing -= len(piece)
        except (HTTPError, OSError) as error:
            raise RemoteUnavailable(f"{shown(about)}: the answer broke off ({type(error).__name__})") from None
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _deadline(self, length: int) -> float:
        seconds = self._settings.read_timeout_seconds + length / SLOWEST_BYTES_PER_SECOND
        return time.monotonic() + seconds

    def _client(self) -> object:
        with self._lock:
            if self._made is None:
                self._made = self._new_client()
            return self._made

    def _new_client(self) -> object:
        """A client with credentials read now, from a session of its own: what another one cached is not asked."""
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.ERROR)
        settings = self._settings
        try:
            client = boto3.session.Session().client(
                "s3",
                region_name=settings.region,
                endpoint_url=settings.endpoint_url,
                use_ssl=settings.use_ssl,
                config=_config(settings),
            )
        except (foreign.BotoCoreError, ValueError) as error:
            self._refuse(error, f"s3://{self.bucket}", None)
        address = client.meta.endpoint_url
        if settings.use_ssl and address.startswith("http:") and not is_loopback(address):
            raise RemoteDenied(
                f"{shown(address)}, from the AWS settings of this machine, is plain http to another machine: "
                "use https, or set storage.s3.use_ssl to false"
            )
        if settings.checksum != "when_supported":
            client.meta.events.register("before-call.s3.DeleteObjects", _with_md5)
        return cast("object", client)

    def _credentials_last(self) -> int:
        """Seconds for which the credentials are good; those that say nothing last."""
        credentials = cast("object", getattr(getattr(self._client(), "_request_signer"), "_credentials"))  # noqa: B009
        if credentials is None:
            raise foreign.NoCredentialsError
        cast("Callable[[], object]", getattr(credentials, "get_frozen_credentials"))()  # noqa: B009  # refreshes
        ends = getattr(credentials, "_expiry_time", None)
        return PRESIGN_MAX_SECONDS if ends is None else int(ends.timestamp() - time.time())

    def _refusal(self, error: foreign.ClientError, about: str) -> Refusal:
        said = error.response.get("Error", {})
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return Refusal(str(said.get("Code", "")), status, str(said.get("Message", "")), self.bucket, shown(about))

    def _refuse(self, error: Exception, about: str, client: object) -> NoReturn:
        """Raise what a foreign exception means. Its chain ends here: it may hold the request, headers and all."""
        if isinstance(error, foreign.ClientError):
            refusal = self._refusal(error, about)
            if refusal.code in STALE_CREDENTIALS:
                self._forget(client)
            raise translated(refusal) from None
        raise _broken(error, f"s3://{self.bucket}: {shown(about)}") from None

    def _forget(self, client: object) -> None:
        """The next request makes a new client; threads that still use this one may finish with it."""
        with self._lock:
            if self._made is client:
                self._made = None


def _config(settings: S3) -> Config:
    return Config(
        signature_version="s3v4",
        connect_timeout=settings.connect_timeout_seconds,
        read_timeout=settings.read_timeout_seconds,
        max_pool_connections=settings.connections,
        retries={"total_max_attempts": 1, "mode": "standard"},
        s3={"addressing_style": "path" if settings.path_style else "auto"},
        # We make, send and compare checksums ourselves (`checksums`): a body needs hashing once.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        tcp_keepalive=True,
    )


def _with_md5(params: _Request, **_told: object) -> None:
    """Servers older than CRC checksums want the list of keys to be deleted with its MD5."""
    params["headers"]["Content-MD5"] = Sums.of(params["body"]).md5_text


def _headers(values: Mapping[str, object]) -> dict[str, str]:
    metadata = values.get("ResponseMetadata")
    headers = metadata.get("HTTPHeaders", {}) if isinstance(metadata, dict) else {}
    return {str(name).lower(): str(value) for name, value in headers.items()}


def _broken(error: Exception, about: str) -> MountfsError:
    """What it means that there was no answer, or none that could be understood."""
    kind = type(error).__name__
    match error:
        case foreign.NoCredentialsError() | foreign.PartialCredentialsError():
            return RemoteDenied(
                f"{about}: no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile"
            )
        case foreign.SSLError() if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return RemoteDenied(f"{about}: the server's certificate is not trusted: set AWS_CA_BUNDLE ({kind})")
        case foreign.BotoCoreError() if not isinstance(error, _DENIED):
            return RemoteUnavailable(f"{about}: no answer from the server ({kind})")
        case _:
            return RemoteDenied(f"{about}: boto3 refuses the settings or credentials it found ({kind})")
