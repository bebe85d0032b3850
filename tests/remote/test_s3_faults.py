"""What may happen between us and the server: each fault becomes the right error, and no confirmation is lost."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from mountfs.config.schema import S3
from mountfs.errors import CorruptContent, MountfsError, ObjectMissing, PutRefused, RemoteDenied, RemoteUnavailable
from mountfs.remote.bucket import S3Remote
from mountfs.remote.multipart import LargeUpload
from mountfs.remote.protocol import Part, Upload
from mountfs.remote.s3 import Connection
from tests.conftest import use_credentials
from tests.faults.proxy import (
    Corrupt,
    CorruptRequest,
    CutAnswer,
    CutRequest,
    Fault,
    Hang,
    Header,
    LoseAnswer,
    Proxy,
    Refuse,
    ShiftDate,
    Slow,
    SlowRequest,
    Status,
)
from tests.remote.conftest import PART_BYTES, patient, s3
from tests.remote.test_conformance import TEN, Bytes, noise
from tests.servers import Weed, aws_environment, free_ports

HUNDRED_KIB = noise(100 << 10)


@pytest.fixture(scope="module")
def shared_proxy(weed: Weed) -> Iterator[Proxy]:
    with Proxy(weed.port) as proxy:
        yield proxy


@pytest.fixture
def proxy(shared_proxy: Proxy) -> Iterator[Proxy]:
    """One proxy for all tests here, so that they may share a connection, and no rule of the test before."""
    shared_proxy.forget()
    yield shared_proxy
    shared_proxy.clear()


@pytest.fixture
def proxied(remote_settings: S3, proxy: Proxy) -> S3:
    """Settings that lead through the proxy."""
    return remote_settings.model_copy(update={"endpoint_url": proxy.endpoint_url})


@pytest.fixture
def remote(proxied: S3, connections: dict[str, Connection]) -> S3Remote:
    return s3(proxied, connections.setdefault("proxied", Connection(proxied)))


@pytest.fixture
def hasty(proxied: S3, connections: dict[str, Connection]) -> S3Remote:
    """For those that hang: no test that counts requests waits so shortly, since a busy machine may take longer."""
    soon = proxied.model_copy(update={"connect_timeout_seconds": 1, "read_timeout_seconds": 0.5})
    return s3(soon, connections.setdefault("hasty", Connection(soon)))


@pytest.fixture
def straight(remote_settings: S3, connections: dict[str, Connection]) -> S3Remote:
    """The same prefix, not through the proxy: what is really there."""
    return s3(remote_settings, connections.setdefault("straight", Connection(remote_settings)))


@pytest.fixture
def newcomer(proxied: S3) -> Iterator[S3Remote]:
    """A remote that has no client yet: it will find what credentials there are."""
    made = s3(proxied)
    yield made
    made.close()


def put(remote: S3Remote) -> object:
    return remote.put("key", HUNDRED_KIB)


def get(remote: S3Remote) -> object:
    return remote.get("key", most_bytes=len(HUNDRED_KIB))


def tail(remote: S3Remote) -> object:
    return remote.get_tail("key", 50_000)


def head(remote: S3Remote) -> object:
    return remote.head("key")


def page(remote: S3Remote) -> object:
    return remote.list("")


def delete(remote: S3Remote) -> object:
    remote.delete(["key"])
    return None


REQUESTS = [put, get, tail, head, page, delete]


# --- nobody answers: transient, whatever was asked for ---


@pytest.mark.parametrize("ask", REQUESTS, ids=lambda ask: ask.__name__)
@pytest.mark.parametrize("fault", [Refuse(), LoseAnswer(), Status(503, "SlowDown"), Status(500)], ids=repr)
def test_no_answer_means_try_again_later(
    remote: S3Remote, straight: S3Remote, proxy: Proxy, ask: Callable[[S3Remote], object], fault: Fault
) -> None:
    straight.put("key", HUNDRED_KIB)
    proxy.rule(fault)
    with pytest.raises(RemoteUnavailable):
        ask(remote)
    assert len(proxy.asked) == 1


@pytest.mark.parametrize("ask", REQUESTS, ids=lambda ask: ask.__name__)
def test_a_server_that_hangs_is_not_waited_for_longer_than_said(
    hasty: S3Remote, proxy: Proxy, ask: Callable[[S3Remote], object]
) -> None:
    proxy.rule(Hang())
    with pytest.raises(RemoteUnavailable):
        ask(hasty)
    assert len(proxy.asked) == 1


@pytest.mark.parametrize("ask", [get, tail, page], ids=lambda ask: ask.__name__)
@pytest.mark.parametrize("after_bytes", [0, 1, 100])
def test_an_answer_cut_off_is_no_answer(
    remote: S3Remote, straight: S3Remote, proxy: Proxy, ask: Callable[[S3Remote], object], after_bytes: int
) -> None:
    straight.put("key", HUNDRED_KIB)
    proxy.rule(CutAnswer(after_bytes))
    with pytest.raises(RemoteUnavailable):
        ask(remote)


def test_a_request_cut_off_leaves_nothing(remote: S3Remote, straight: S3Remote, proxy: Proxy) -> None:
    proxy.rule(CutRequest(after_bytes=50_000), method="PUT")
    with pytest.raises(RemoteUnavailable):
        put(remote)
    assert straight.head("key") is None


def test_a_body_that_trickles_in_is_given_up(hasty: S3Remote, straight: S3Remote, proxy: Proxy) -> None:
    """Each word comes in time, all of them would take minutes: a socket's timeout does not see that."""
    straight.put("key", b"x" * 2000)
    proxy.rule(Slow(bytes_per_second=100))
    began = time.monotonic()
    with pytest.raises(RemoteUnavailable):
        hasty.get("key", most_bytes=2000)
    assert time.monotonic() - began < 10


def test_a_body_that_is_taken_in_trickles_is_given_up(
    hasty: S3Remote, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mountfs.remote.s3.SLOWEST_BYTES_PER_SECOND", 100 << 20)
    proxy.rule(SlowRequest(bytes_per_second=2 << 20), method="PUT")
    began = time.monotonic()
    with pytest.raises(RemoteUnavailable):
        hasty.put("key", noise(16 << 20))
    assert time.monotonic() - began < 8


def test_a_slow_server_that_answers_is_waited_for(remote: S3Remote, straight: S3Remote, proxy: Proxy) -> None:
    straight.put("key", HUNDRED_KIB)
    proxy.rule(Slow(bytes_per_second=200 << 10))
    assert remote.get("key", most_bytes=len(HUNDRED_KIB)).data == HUNDRED_KIB


def test_where_nobody_listens_nobody_answers(remote_settings: S3) -> None:
    nowhere = f"http://127.0.0.1:{free_ports(1)[0]}"
    with pytest.raises(RemoteUnavailable):
        S3Remote(remote_settings.model_copy(update={"endpoint_url": nowhere})).list("")


# --- the answer is no, and stays no ---


@pytest.mark.parametrize("ask", REQUESTS, ids=lambda ask: ask.__name__)
@pytest.mark.parametrize(
    "fault",
    [
        Status(403, "AccessDenied"),
        Status(403, "InvalidAccessKeyId"),
        Status(507, "InsufficientStorage"),
        Status(403, "QuotaExceeded"),
        Status(501, "NotImplemented"),
        Status(404, "NoSuchBucket"),
        Status(404),
        Status(400, "SomethingNew"),
    ],
    ids=repr,
)
def test_a_refusal_is_told_with_the_servers_code(
    remote: S3Remote, proxy: Proxy, ask: Callable[[S3Remote], object], fault: Status
) -> None:
    proxy.rule(fault)
    with pytest.raises(RemoteDenied, match=fault.code or "404"):
        ask(remote)


@pytest.mark.parametrize("ask", [get, tail], ids=lambda ask: ask.__name__)
def test_only_a_server_that_names_the_key_makes_an_object_missing(
    remote: S3Remote, proxy: Proxy, ask: Callable[[S3Remote], object]
) -> None:
    proxy.rule(Status(404, "NoSuchKey"))
    with pytest.raises(ObjectMissing):
        ask(remote)


def test_a_bucket_that_went_away_is_not_an_absence_of_objects(remote: S3Remote, proxy: Proxy) -> None:
    proxy.rule(Status(404, "NoSuchBucket"))
    with pytest.raises(RemoteDenied, match="mountfs remote check --create"):
        remote.head("key")


def test_an_empty_answer_is_not_an_empty_bucket(remote: S3Remote, proxy: Proxy) -> None:
    proxy.rule(Status(204))
    with pytest.raises(RemoteUnavailable):
        remote.list("")
    with pytest.raises(RemoteUnavailable):
        remote.unfinished("")
    with pytest.raises(RemoteUnavailable):
        remote.delete(["key"])


@pytest.mark.parametrize("ask", REQUESTS, ids=lambda ask: ask.__name__)
def test_a_web_page_is_neither_an_object_nor_an_empty_bucket(
    remote: S3Remote, proxy: Proxy, ask: Callable[[S3Remote], object]
) -> None:
    proxy.rule(Status(200))
    with pytest.raises(MountfsError):
        ask(remote)


def test_an_answer_without_a_date_is_refused(remote: S3Remote, straight: S3Remote, proxy: Proxy) -> None:
    straight.put("key", TEN)
    proxy.rule(Header("Date", None))
    with pytest.raises(RemoteDenied, match="Date"):
        remote.get("key", most_bytes=10)


def test_time_is_the_servers(remote: S3Remote, proxy: Proxy) -> None:
    before = remote.server_ms()
    proxy.rule(ShiftDate(3600))
    assert 3_590_000 < remote.server_ms() - before < 3_620_000
    assert remote.put("key", TEN).server_ms > before + 3_590_000


# --- confirmations ---


def test_bytes_that_change_on_the_way_up_are_refused(remote: S3Remote, straight: S3Remote, proxy: Proxy) -> None:
    proxy.rule(CorruptRequest(), method="PUT")
    with pytest.raises(RemoteDenied, match="checksum refused"):
        put(remote)
    assert straight.head("key") is None


@pytest.mark.parametrize("mode", ["auto", "when_supported", "when_required"])
@pytest.mark.parametrize("name", ["x-amz-checksum-sha256", "ETag"])
def test_a_put_that_is_confirmed_otherwise_is_no_success(proxied: S3, proxy: Proxy, mode: str, name: str) -> None:
    remote = S3Remote(proxied.model_copy(update={"checksum": mode}))
    wrong = {"x-amz-checksum-sha256": "A" * 43 + "=", "ETag": '"d41d8cd98f00b204e9800998ecf8427e"'}
    proxy.rule(Header(name, wrong[name]), method="PUT")
    decides = "ETag" if mode == "when_required" else "x-amz-checksum-sha256"
    if name in (decides, "x-amz-checksum-sha256"):
        with pytest.raises(RemoteDenied, match="checksum refused"):
            put(remote)
    else:
        put(remote)
    remote.close()


def test_a_server_that_knows_md5_only_will_do(remote: S3Remote, proxy: Proxy) -> None:
    proxy.rule(Header("x-amz-checksum-sha256", None))
    put(remote)
    remote.put_large("large", Bytes(noise(PART_BYTES + 1)))
    assert get(remote)


def test_when_sha256_is_required_md5_will_not_do(proxied: S3, proxy: Proxy) -> None:
    remote = S3Remote(proxied.model_copy(update={"checksum": "when_supported"}))
    proxy.rule(Header("x-amz-checksum-sha256", None))
    with pytest.raises(RemoteDenied, match=r"storage\.s3\.checksum"):
        put(remote)
    remote.close()


def test_where_a_key_service_encrypts_the_etag_is_no_checksum(proxied: S3, proxy: Proxy) -> None:
    """A rule gives one header only, so the answer is made to look like KMS by its ETag and by that header's name."""
    remote = S3Remote(proxied.model_copy(update={"checksum": "when_required"}))
    proxy.rule(Header("x-amz-server-side-encryption", "aws:kms"), method="PUT")
    put(remote)
    remote.close()


def test_bytes_that_change_on_the_way_down_are_not_served(remote: S3Remote, straight: S3Remote, proxy: Proxy) -> None:
    straight.put("key", HUNDRED_KIB)
    proxy.rule(Corrupt(at=77), method="GET")
    with pytest.raises(CorruptContent):
        get(remote)


def test_another_range_than_asked_for_is_not_served(remote: S3Remote, straight: S3Remote, proxy: Proxy) -> None:
    straight.put("key", HUNDRED_KIB)
    proxy.rule(Header("Content-Range", f"bytes 0-99/{len(HUNDRED_KIB)}"))
    with pytest.raises(RemoteDenied, match="another range"):
        remote.get_range("key", 500, 100)


# --- with repeats ---


@pytest.mark.parametrize("fault", [Refuse(), LoseAnswer(), Status(503, "SlowDown")], ids=repr)
@pytest.mark.parametrize("ask", REQUESTS, ids=lambda ask: ask.__name__)
def test_what_passes_is_not_noticed_behind_repeats(
    remote: S3Remote, straight: S3Remote, proxy: Proxy, ask: Callable[[object], object], fault: Fault
) -> None:
    straight.put("key", HUNDRED_KIB)
    proxy.rule(fault, times=2)
    ask(patient(remote))
    assert len(proxy.asked) == 3


def test_a_refusal_is_not_repeated(remote: S3Remote, proxy: Proxy) -> None:
    proxy.rule(Status(403, "AccessDenied"))
    with pytest.raises(RemoteDenied):
        patient(remote).put("key", TEN)
    assert len(proxy.asked) == 1


def test_who_created_it_knows_so_also_when_the_answer_was_lost(remote: S3Remote, proxy: Proxy) -> None:
    proxy.rule(LoseAnswer(), method="PUT", times=1)
    patient(remote).put("mountfs.json", b"mine", if_absent=True)
    assert proxy.counted() == {("PUT", "object"): 2, ("GET", "object"): 1}


def test_who_did_not_create_it_is_not_told_so_after_a_lost_answer(
    remote: S3Remote, straight: S3Remote, proxy: Proxy
) -> None:
    straight.put("mountfs.json", b"theirs")
    proxy.rule(LoseAnswer(), method="PUT", times=1)
    with pytest.raises(PutRefused):
        patient(remote).put("mountfs.json", b"mine", if_absent=True)


# --- uploads in parts ---


class Journal:
    """What an uploader would note durably."""

    def __init__(self) -> None:
        self.noted: list[Upload] = []
        self.told: list[int] = []


def upload(remote: object, source: Bytes, journal: Journal, resume: Upload | None = None) -> None:
    put_large = remote.put_large  # type: ignore[attr-defined]
    put_large("large", source, resume=resume, noted=journal.noted.append, progress=journal.told.append)


@pytest.mark.parametrize("fault", [Refuse(), LoseAnswer(), Status(503, "SlowDown")], ids=repr)
@pytest.mark.parametrize("kind", ["part", "complete"])
def test_an_upload_goes_on_where_it_was(
    remote: S3Remote, straight: S3Remote, proxy: Proxy, kind: str, fault: Fault
) -> None:
    source, journal = Bytes(noise(4 * PART_BYTES + 5)), Journal()
    proxy.rule(fault, kind=kind, skip=2 if kind == "part" else 0, times=1)
    upload(patient(remote), source, journal)
    assert straight.get("large", most_bytes=source.size).data == source.data
    assert (len(journal.noted), journal.told[-1]) == (1, source.size)
    assert proxy.counted()["PUT", "part"] <= 6
    assert straight.unfinished("") == []


@pytest.mark.parametrize("kind", ["part", "complete"])
def test_an_upload_that_hangs_goes_on_where_it_was(
    hasty: S3Remote, straight: S3Remote, proxy: Proxy, kind: str
) -> None:
    source, journal = Bytes(noise(2 * PART_BYTES)), Journal()
    proxy.rule(Hang(), kind=kind, times=1)
    upload(patient(hasty), source, journal)
    assert straight.get("large", most_bytes=source.size).data == source.data
    assert len(journal.noted) == 1


def test_after_a_restart_confirmed_parts_are_not_sent_again(remote: S3Remote, straight: S3Remote, proxy: Proxy) -> None:
    source, journal = Bytes(noise(6 * PART_BYTES)), Journal()
    cut = proxy.rule(Refuse(), kind="part", skip=3)
    with pytest.raises(RemoteUnavailable):
        upload(remote, source, journal)
    there = sum(part.size for part in _parts_there(straight, journal.noted[0]).values()) // PART_BYTES
    cut.drop()
    proxy.forget()
    upload(remote, source, journal, resume=journal.noted[0])
    assert proxy.counted()["PUT", "part"] == 6 - there
    assert 1 <= there <= 3
    assert straight.get("large", most_bytes=source.size).data == source.data


def test_a_part_that_is_not_what_it_should_be_is_sent_again(remote: S3Remote, straight: S3Remote, proxy: Proxy) -> None:
    source, journal = Bytes(noise(2 * PART_BYTES)), Journal()
    cut = proxy.rule(Status(503, "SlowDown"), kind="complete")
    with pytest.raises(RemoteUnavailable):
        upload(remote, Bytes(noise(2 * PART_BYTES - 1) + b"!"), journal)
    cut.drop()
    upload(remote, source, journal, resume=journal.noted[0])
    assert straight.get("large", most_bytes=source.size).data == source.data


def test_an_upload_that_the_server_dropped_begins_anew(remote: S3Remote, straight: S3Remote) -> None:
    source, journal = Bytes(noise(PART_BYTES + 1)), Journal()
    upload(remote, source, journal, resume=Upload("large", "no-such-upload", PART_BYTES))
    assert len(journal.noted) == 1
    assert straight.get("large", most_bytes=source.size).data == source.data


def test_an_upload_whose_completion_was_not_heard_of_is_found_complete(remote: S3Remote, proxy: Proxy) -> None:
    source, journal = Bytes(noise(2 * PART_BYTES)), Journal()
    proxy.rule(LoseAnswer(), kind="complete", times=1)
    with pytest.raises(RemoteUnavailable):
        upload(remote, source, journal)
    proxy.forget()
    upload(remote, source, journal, resume=journal.noted[0])
    assert ("PUT", "part") not in proxy.counted()


@pytest.mark.parametrize(("mode", "next_mode"), [("when_required", "auto"), ("auto", "when_required")])
def test_an_upload_begun_under_another_checksum_setting_ends_well(
    proxied: S3, straight: S3Remote, proxy: Proxy, mode: str, next_mode: str
) -> None:
    source, journal = Bytes(noise(2 * PART_BYTES)), Journal()
    cut = proxy.rule(Refuse(), kind="part", skip=1)
    before = s3(proxied.model_copy(update={"checksum": mode}))
    with pytest.raises(RemoteUnavailable):
        upload(before, source, journal)
    cut.drop()
    after = s3(proxied.model_copy(update={"checksum": next_mode}))
    upload(after, source, journal, resume=journal.noted[0])
    assert straight.get("large", most_bytes=source.size).data == source.data
    assert straight.unfinished("") == []
    before.close()
    after.close()


def test_an_upload_that_the_server_takes_for_nonsense_begins_anew(
    remote: S3Remote, straight: S3Remote, proxy: Proxy
) -> None:
    source, journal = Bytes(noise(2 * PART_BYTES)), Journal()
    proxy.rule(Refuse(), kind="complete", times=1)
    with pytest.raises(RemoteUnavailable):
        upload(remote, source, journal)
    proxy.rule(Status(400, "InvalidRequest"), kind="complete", times=1)
    upload(remote, source, journal, resume=journal.noted[0])
    assert straight.get("large", most_bytes=source.size).data == source.data
    assert (len(journal.noted), straight.unfinished("")) == (2, [])


def test_a_completion_without_an_object_is_no_success(remote: S3Remote, proxy: Proxy) -> None:
    said = "<CompleteMultipartUploadResult><ETag>x-2</ETag></CompleteMultipartUploadResult>"
    proxy.rule(Status(200, body=said), kind="complete")
    with pytest.raises(RemoteDenied, match="checksum refused"):
        upload(remote, Bytes(noise(2 * PART_BYTES)), Journal())


def test_a_copy_that_is_not_confirmed_is_no_success(remote: S3Remote, straight: S3Remote, proxy: Proxy) -> None:
    straight.put("key", TEN)
    proxy.rule(Status(200, body="<CopyObjectResult/>"), kind="copy")
    with pytest.raises(RemoteUnavailable):
        remote.copy("key", "copy")


def test_a_part_of_a_listing_that_cannot_be_continued_is_no_listing(remote: S3Remote, proxy: Proxy) -> None:
    proxy.rule(Status(200, body="<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"))
    with pytest.raises(RemoteUnavailable):
        remote.list("")


def test_unfinished_uploads_are_told_from_all_pages(remote: S3Remote, proxy: Proxy) -> None:
    key, head = remote._full("large"), "<Initiated>2026-11-21T10:00:00Z</Initiated>"
    first, last = (f"<Upload><Key>{key}</Key><UploadId>{name}</UploadId>{head}</Upload>" for name in ("one", "two"))
    more = "<IsTruncated>true</IsTruncated><NextKeyMarker>k</NextKeyMarker><NextUploadIdMarker>one</NextUploadIdMarker>"
    end = "<IsTruncated>false</IsTruncated>"
    for said in (first + more, last + end):
        proxy.rule(Status(200, body=f"<ListMultipartUploadsResult>{said}</ListMultipartUploadsResult>"), times=1)
    assert [upload.upload_id for upload, _ in remote.unfinished("")] == ["one", "two"]


def test_a_corrupted_part_makes_no_object(remote: S3Remote, straight: S3Remote, proxy: Proxy) -> None:
    proxy.rule(CorruptRequest(at=9), kind="part", times=1)
    with pytest.raises(RemoteDenied, match="checksum refused"):
        upload(remote, Bytes(noise(2 * PART_BYTES)), Journal())
    assert straight.head("large") is None


def test_what_the_caller_raises_ends_the_upload_which_can_be_resumed(remote: S3Remote, straight: S3Remote) -> None:
    class Closing(Exception):
        pass

    source, journal = Bytes(noise(6 * PART_BYTES)), Journal()

    def stop(done_bytes: int) -> None:
        raise Closing

    with pytest.raises(Closing):
        remote.put_large("large", source, noted=journal.noted.append, progress=stop)
    upload(remote, source, journal, resume=journal.noted[0])
    assert straight.get("large", most_bytes=source.size).data == source.data


def test_an_unfinished_upload_is_found_with_its_time_and_aborted(remote: S3Remote, proxy: Proxy) -> None:
    proxy.rule(Refuse(), kind="complete")
    with pytest.raises(RemoteUnavailable):
        upload(remote, Bytes(noise(2 * PART_BYTES)), Journal())
    ((unfinished, begun_ms),) = remote.unfinished("la")
    assert (unfinished.key, abs(begun_ms - remote.server_ms()) < 20_000) == ("large", True)
    remote.abort(unfinished)
    remote.abort(unfinished)
    assert remote.unfinished("") == []


def test_a_copy_in_parts_that_fails_leaves_nothing(remote: S3Remote, straight: S3Remote, proxy: Proxy) -> None:
    straight.put("key", noise(3 * PART_BYTES))
    proxy.rule(Status(503, "SlowDown"), kind="part-copy", skip=1, times=1)
    with pytest.raises(RemoteUnavailable):
        remote.copy("key", "copy")
    assert (straight.head("copy"), straight.unfinished("")) == (None, [])


def test_a_source_that_is_shorter_than_it_says_is_not_uploaded(remote: S3Remote, straight: S3Remote) -> None:
    source = Bytes(noise(2 * PART_BYTES))
    source.size += 1
    with pytest.raises(CorruptContent):
        upload(remote, source, Journal())
    assert straight.head("large") is None


def _parts_there(remote: S3Remote, upload: Upload) -> dict[int, Part]:
    large = LargeUpload(remote._connection, "auto", remote._full(upload.key), Bytes(b""), {}, lambda told: None)
    return large.parts_there(upload)


# --- deletes ---


def test_one_key_that_may_not_be_deleted_is_told(remote: S3Remote, proxy: Proxy) -> None:
    """The server answers 200, and says for each key how it went."""
    said = "<Error><Key>{}</Key><Code>AccessDenied</Code><Message>no</Message></Error>"
    proxy.rule(Status(200, body=f"<DeleteResult>{said.format(remote._full('key'))}</DeleteResult>"))
    with pytest.raises(RemoteDenied, match="AccessDenied"):
        remote.delete(["key"])


# --- credentials ---


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidToken"])
def test_credentials_that_ended_are_read_again(
    newcomer: S3Remote, proxy: Proxy, weed: Weed, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    use_credentials(monkeypatch, aws_environment("of-yesterday", "secret"))
    rule = proxy.rule(Status(400, code))
    with pytest.raises(RemoteUnavailable):
        newcomer.put("key", TEN)
    rule.drop()
    use_credentials(monkeypatch, weed.environment())
    newcomer.put("key", TEN)


def test_a_clock_that_is_off_is_transient(remote: S3Remote, proxy: Proxy) -> None:
    proxy.rule(Status(403, "RequestTimeTooSkewed"))
    with pytest.raises(RemoteUnavailable):
        remote.list("")


@pytest.mark.parametrize("environment", [{}, {"AWS_ACCESS_KEY_ID": "alone"}], ids=["none", "half"])
def test_without_credentials_it_says_where_they_belong(
    newcomer: S3Remote, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = aws_environment("", "")
    del nothing["AWS_ACCESS_KEY_ID"], nothing["AWS_SECRET_ACCESS_KEY"]
    use_credentials(monkeypatch, nothing | environment)
    with pytest.raises(RemoteDenied, match="AWS_ACCESS_KEY_ID"):
        newcomer.list("")


def test_wrong_and_powerless_credentials_are_refused_by_the_server(
    remote_settings: S3, weed: Weed, monkeypatch: pytest.MonkeyPatch
) -> None:
    for environment, code in (
        (aws_environment("nobody", "x"), "InvalidAccessKeyId"),
        (aws_environment(weed.access_key, "wrong"), "SignatureDoesNotMatch"),
        (weed.denied_environment(), "AccessDenied"),
    ):
        use_credentials(monkeypatch, environment)
        remote = S3Remote(remote_settings)
        for ask in REQUESTS:
            with pytest.raises(RemoteDenied, match=code):
                ask(remote)
        remote.close()


def test_credentials_appear_in_no_error_and_no_log(
    newcomer: S3Remote, proxy: Proxy, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token-of-the-session")
    secrets = [os.environ[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")]
    caplog.set_level(logging.DEBUG)
    said = []
    for fault in (Refuse(), Status(403, "AccessDenied"), Status(400, "ExpiredToken"), Status(200)):
        rule = proxy.rule(fault)
        for ask in REQUESTS:
            with pytest.raises(MountfsError) as caught:
                ask(newcomer)
            assert caught.value.__suppress_context__ or caught.value.__context__ is None
            said.append(f"{caught.value!r} {newcomer!r} {newcomer._connection!r}")
        rule.drop()
    everything = " ".join(said) + caplog.text
    assert [secret for secret in secrets if secret in everything] == []


def test_a_url_never_outlives_the_credentials(newcomer: S3Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    in_half_an_hour = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1800))
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", in_half_an_hour)
    _, ends = newcomer.presign("key", seconds=86400, content_type=None, content_encoding=None, filename=None)
    assert 1700 < ends - time.time() <= 1800


def test_a_url_lasts_a_week_at_most(remote: S3Remote) -> None:
    _, ends = remote.presign("key", seconds=10**9, content_type=None, content_encoding=None, filename=None)
    assert ends - time.time() <= 7 * 86400


def test_plain_http_by_an_aws_setting_needs_to_be_meant(remote_settings: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://192.0.2.1:9")
    with pytest.raises(RemoteDenied, match="use_ssl"):
        S3Remote(remote_settings.model_copy(update={"endpoint_url": None})).list("")


# --- many at once ---


def test_a_hanging_request_holds_up_nobody_else(hasty: S3Remote, straight: S3Remote, proxy: Proxy) -> None:
    straight.put("key", TEN)
    rule = proxy.rule(Hang(), path="hung")
    with ThreadPoolExecutor(1) as pool:
        hung = pool.submit(hasty.put, "hung", TEN)
        assert rule.reached.wait(10)
        assert patient(hasty).get("key", most_bytes=10).data == TEN
        assert isinstance(hung.exception(timeout=10), RemoteUnavailable)


def test_the_server_may_die_and_come_back(tmp_path_factory: pytest.TempPathFactory) -> None:
    """SIGKILL keeps what was acknowledged; connections that went stale are not noticed behind repeats."""
    own = Weed(tmp_path_factory.mktemp("weed-that-dies"))
    own.start()
    with pytest.MonkeyPatch.context() as patch:
        use_credentials(patch, own.environment())
        remote = S3Remote(S3(bucket="bbb", endpoint_url=own.endpoint_url, path_style=True))
        remote.create()
        remote.put("key", TEN)
        own.kill()
        with pytest.raises(RemoteUnavailable):
            remote.get("key", most_bytes=10)
        own.start()
        assert patient(remote).get("key", most_bytes=10).data == TEN
        remote.close()
    own.kill()
