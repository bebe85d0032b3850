"""The pure rules of S3's side: what an error code means, where a listing may start, what confirms an upload."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mountfs.config.schema import S3, Directory, Storage
from mountfs.errors import ConfigError, MountfsError, ObjectMissing, PutRefused, RemoteDenied, RemoteUnavailable
from mountfs.remote import create_remote, open_remote
from mountfs.remote.checksums import Sums, Whole
from mountfs.remote.multipart import PART_BYTES, PARTS_MAX, part_bytes_for
from mountfs.remote.pages import safe_start, tidy
from mountfs.remote.protocol import Listed
from mountfs.remote.refusals import Refusal, shown, translated

# --- refusals ---


def refused(code: str, status: int) -> MountfsError:
    return translated(Refusal(code, status, "words of the server", "artifacts", "jobs/x"))


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("SlowDown", 503),
        ("ServiceUnavailable", 503),
        ("InternalError", 500),
        ("", 502),
        ("500", 500),
        ("ExpiredToken", 400),
        ("InvalidToken", 400),
        ("TokenRefreshRequired", 400),
        ("RequestTimeTooSkewed", 403),
        ("RequestTimeout", 400),
        ("ConditionalRequestConflict", 409),
        ("OperationAborted", 409),
        ("TooManyRequests", 429),
        ("", 429),
        ("InternalError", 0),
    ],
)
def test_what_passes_is_unavailable(code: str, status: int) -> None:
    assert type(refused(code, status)) is RemoteUnavailable


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("AccessDenied", 403),
        ("InvalidAccessKeyId", 403),
        ("SignatureDoesNotMatch", 403),
        ("NoSuchBucket", 404),
        ("404", 404),
        ("PermanentRedirect", 301),
        ("QuotaExceeded", 403),
        ("QuotaExceeded", 500),
        ("", 507),
        ("NotImplemented", 501),
        ("", 501),
        ("BadDigest", 400),
        ("InvalidDigest", 400),
        ("XAmzContentChecksumMismatch", 400),
        ("EntityTooSmall", 400),
        ("InvalidRequest", 400),
    ],
)
def test_what_stays_is_denied_and_says_the_servers_code(code: str, status: int) -> None:
    error = refused(code, status)
    assert isinstance(error, RemoteDenied)
    assert (code or str(status)) in str(error)
    assert "jobs/x" in str(error) or "bucket artifacts" in str(error)


def test_missing_and_existing_have_errors_of_their_own() -> None:
    assert isinstance(refused("NoSuchKey", 404), ObjectMissing)
    assert isinstance(refused("PreconditionFailed", 412), PutRefused)


def test_a_missing_bucket_says_how_to_make_it() -> None:
    assert "the bucket artifacts does not exist: mountfs remote check --create" in str(refused("NoSuchBucket", 404))


@given(st.text())
def test_a_strangers_words_stay_on_one_line(words: str) -> None:
    assert shown(words).isprintable()
    assert len(shown(words)) <= 200


# --- listings ---

names = st.text(alphabet="ab-.%0~19AZ", min_size=1, max_size=4)
paths = st.lists(names, min_size=1, max_size=3).map("/".join)


@given(prefix=st.sampled_from(["", "a/", "0", "ab"]), after=paths, key=paths)
def test_a_start_loses_nothing_in_either_order(prefix: str, after: str, key: str) -> None:
    """By bytes as S3 sorts, and name by name as SeaweedFS does."""
    after, key = prefix + after, prefix + key
    start = safe_start(prefix, after)
    if key > after and start:
        assert key > start
        assert key.split("/") > start.split("/")
        assert start.split("/") != key.split("/")[: len(start.split("/"))]  # nor is it a directory on the way


@given(prefix=st.sampled_from(["", "a/", "b"]), after=paths)
def test_a_start_is_never_beyond_what_was_asked_for(prefix: str, after: str) -> None:
    if after.startswith(prefix):
        assert safe_start(prefix, after) <= after


def test_a_start_in_the_feed_is_close() -> None:
    key = "feed/2026-11-21T10/20261121T101500123Z-0a1b2c3d-00000001.jsonl.zst"
    assert safe_start("feed/2026-11-21T10/", key) == "feed/2026-11-21T10/20261121T101500123Y~"


def test_a_page_is_sorted_and_holds_nothing_up_to_after() -> None:
    listed = [Listed(key, 0, 0) for key in ("a/b", "a-b", "a", "b", "a-b")]
    page = tidy(listed, ["z/", "a/"], after="a", token="t")
    assert [one.key for one in page.objects] == ["a-b", "a/b", "b"]
    assert (page.prefixes, page.token) == (("a/", "z/"), "t")


# --- parts and checksums ---


@given(st.integers(min_value=1, max_value=5 << 40))
def test_parts_are_as_large_as_they_must_be_and_no_more_than_s3_takes(size: int) -> None:
    part_bytes = part_bytes_for(size)
    assert -(-size // part_bytes) <= PARTS_MAX
    assert part_bytes == PART_BYTES or size > PART_BYTES * PARTS_MAX


def test_a_sha256_decides_where_there_is_one() -> None:
    sums = Sums.of(b"hello")
    assert sums.match(etag="something else", checksum=sums.sha256_text)
    assert not sums.match(etag="5d41402abc4b2a76b9719d911017c592", checksum="x")
    assert sums.match(etag="5d41402abc4b2a76b9719d911017c592", checksum="")


def test_the_sum_of_a_whole_is_the_sum_of_its_sums() -> None:
    whole = Whole.of([Sums.of(b"hello"), Sums.of(b"world")])
    assert whole.etag == "065947336a2f2a95ba8899f3675c3be6-2"
    assert whole.checksum == "cwXbmyq8zXBsJW2z2X5f9I1nfP5NOlkEr7faDjlQ4eI=-2"


# --- opening ---


def test_a_local_store_has_no_remote() -> None:
    assert open_remote(Storage()) is None


def test_the_settings_choose_the_remote() -> None:
    s3 = Storage(backend="s3", s3=S3(bucket="artifacts", prefix="qe/"))
    directory = Storage(backend="directory", directory=Directory(path="/mnt/share"))  # type: ignore[arg-type]
    opened = [open_remote(s3), open_remote(directory)]
    assert [remote and remote.where for remote in opened] == ["s3://artifacts/qe/", "/mnt/share"]


def test_a_directory_is_made_a_bucket_once(tmp_path: object) -> None:
    storage = Storage(backend="directory", directory=Directory(path=f"{tmp_path}/bucket"))  # type: ignore[arg-type]
    create_remote(storage)
    create_remote(storage)
    create_remote(Storage())
    remote = open_remote(storage)
    assert remote is not None
    assert remote.list("").objects == ()


def test_a_backend_without_a_description_is_refused() -> None:
    with pytest.raises(ConfigError):
        open_remote(Storage.model_construct(backend="s3", s3=None))


def test_the_package_imports_neither_boto3_nor_trio() -> None:
    program = "import sys, mountfs.remote; sys.exit(any(name in sys.modules for name in ('boto3', 'botocore', 'trio')))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
