"""What every remote promises (`mountfs.remote.protocol`): one suite for all, also through decorators and failures."""

import os
import random
import time
import urllib.request
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest

from mountfs.errors import CorruptContent, InvalidArgument, InvalidName, ObjectMissing, PutRefused, Unsupported
from mountfs.remote.protocol import Page, Remote
from tests.remote.conftest import PART_BYTES

TEN = b"0123456789"


class Bytes:
    """A source in memory."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)

    def read(self, offset: int, length: int) -> bytes:
        return self.data[offset : offset + length]


def noise(length: int) -> bytes:
    return random.Random(length).randbytes(length)


def pages(remote: Remote, prefix: str, **how: object) -> list[Page]:
    """All pages of a listing."""
    found = [remote.list(prefix, **how)]  # type: ignore[arg-type]
    while found[-1].token is not None:
        found.append(remote.list(prefix, token=found[-1].token, **how))  # type: ignore[arg-type]
    return found


def keys(listed: Iterable[Page]) -> list[str]:
    return [one.key for page in listed for one in page.objects]


def prefixes(listed: Iterable[Page]) -> list[str]:
    return [prefix for page in listed for prefix in page.prefixes]


# --- put and get ---


@pytest.mark.parametrize("data", [b"", b"x", noise(70_000), noise(1_200_000)], ids=len)
def test_what_was_put_is_what_is_got(remote: Remote, data: bytes) -> None:
    remote.put("jobs/build-7/one.zip", data, content_type="application/zip", content_encoding="zstd")
    fetched = remote.get("jobs/build-7/one.zip", most_bytes=len(data))
    assert (fetched.data, fetched.total_bytes) == (data, len(data))


def test_every_answer_is_dated_by_the_server(remote: Remote) -> None:
    before_ms = time.time() * 1000 - 2000
    answers = [
        remote.put("key", TEN).server_ms,
        remote.get("key", most_bytes=10).server_ms,
        remote.get_tail("key", 4).server_ms,
        remote.copy("key", "copy").server_ms,
        remote.server_ms(),
    ]
    assert all(before_ms <= answer <= time.time() * 1000 + 2000 for answer in answers)


def test_an_object_says_its_size_and_when_it_was_made(remote: Remote) -> None:
    made_ms = remote.put("key", TEN).server_ms
    found = remote.head("key")
    assert found is not None
    assert (found.size, abs(found.modified_ms - made_ms) <= 2000) == (10, True)


def test_the_last_put_counts(remote: Remote) -> None:
    remote.put("key", b"longer than the second")
    remote.put("key", b"second")
    assert remote.get("key", most_bytes=100).data == b"second"


def test_an_object_longer_than_expected_is_refused(remote: Remote) -> None:
    remote.put("key", TEN)
    with pytest.raises(CorruptContent):
        remote.get("key", most_bytes=9)


def test_a_missing_object_is_told(remote: Remote) -> None:
    assert remote.head("jobs/none") is None
    for ask in (
        lambda: remote.get("jobs/none", most_bytes=1),
        lambda: remote.get_range("jobs/none", 0, 1),
        lambda: remote.get_tail("jobs/none", 1),
        lambda: remote.copy("jobs/none", "jobs/other"),
    ):
        with pytest.raises(ObjectMissing):
            ask()


@pytest.mark.parametrize("key", ["", "/absolute", "a\0b"])
def test_what_is_no_key_is_refused(remote: Remote, key: str) -> None:
    with pytest.raises(InvalidName):
        remote.put(key, b"")


@pytest.mark.parametrize(
    "key", ["jobs/a%2Fb~c.d_e-f/x", "jobs/" + "n" * 233 + "/x", "..a/b..", "a+b=c&d/e f", "jobs/ä/ö"]
)
def test_odd_names_are_names(remote: Remote, key: str) -> None:
    remote.put(key, TEN)
    assert keys(pages(remote, "")) == [key]
    assert remote.get(key, most_bytes=10).data == TEN


# --- ranges ---


@pytest.mark.parametrize(
    ("offset", "length", "expected"), [(0, 10, TEN), (2, 3, b"234"), (8, 30, b"89"), (10, 5, b""), (900, 5, b"")]
)
def test_a_range_is_what_is_there_of_it(remote: Remote, offset: int, length: int, expected: bytes) -> None:
    remote.put("key", TEN)
    fetched = remote.get_range("key", offset, length)
    assert (fetched.data, fetched.total_bytes) == (expected, 10)


@pytest.mark.parametrize(("length", "expected"), [(1, b"9"), (10, TEN), (900, TEN)])
def test_a_tail_is_the_end_or_all(remote: Remote, length: int, expected: bytes) -> None:
    remote.put("key", TEN)
    fetched = remote.get_tail("key", length)
    assert (fetched.data, fetched.total_bytes) == (expected, 10)


def test_an_empty_object_has_an_empty_tail(remote: Remote) -> None:
    remote.put("key", b"")
    assert (remote.get_tail("key", 5).data, remote.get_range("key", 0, 5).total_bytes) == (b"", 0)


@pytest.mark.parametrize(("offset", "length"), [(0, 0), (-1, 5)])
def test_a_range_of_nothing_is_refused(remote: Remote, offset: int, length: int) -> None:
    remote.put("key", TEN)
    with pytest.raises(InvalidArgument):
        remote.get_range("key", offset, length)
    with pytest.raises(InvalidArgument):
        remote.get_tail("key", 0)


# --- if_absent ---


def test_what_exists_is_not_put_again(remote: Remote) -> None:
    remote.put("mountfs.json", b"first", if_absent=True)
    with pytest.raises(PutRefused):
        remote.put("mountfs.json", b"other", if_absent=True)
    assert remote.get("mountfs.json", most_bytes=5).data == b"first"


def test_of_many_who_create_one_wins(remote: Remote) -> None:
    def create(number: int) -> bool:
        try:
            remote.put("mountfs.json", f"{number:02}".encode(), if_absent=True)
        except PutRefused:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(create, range(12)))
    assert won.count(True) == 1
    assert int(remote.get("mountfs.json", most_bytes=2).data) == won.index(True)


# --- large contents and copies ---


@pytest.mark.parametrize("size", [1000, PART_BYTES, 2 * PART_BYTES, 2 * PART_BYTES + 12345])
def test_a_large_content_arrives_whole(remote: Remote, size: int) -> None:
    told: list[int] = []
    data = noise(size)
    remote.put_large("jobs/large.zst", Bytes(data), progress=told.append, content_type="application/zstd")
    assert remote.get("jobs/large.zst", most_bytes=size).data == data
    assert told[-1] == size
    assert keys(pages(remote, "")) == ["jobs/large.zst"]


def test_no_upload_is_left_unfinished_by_one_that_succeeded(remote: Remote) -> None:
    remote.put_large("jobs/large.zst", Bytes(noise(2 * PART_BYTES)))
    assert remote.unfinished("jobs/") == []


@pytest.mark.parametrize("size", [10, 2 * PART_BYTES + 3])
def test_a_copy_lives_on_its_own(remote: Remote, size: int) -> None:
    data = noise(size)
    remote.put("jobs/a/x", data)
    remote.copy("jobs/a/x", "jobs/b/y")
    remote.delete(["jobs/a/x"])
    assert remote.get("jobs/b/y", most_bytes=size).data == data
    assert keys(pages(remote, "jobs/")) == ["jobs/b/y"]


# --- delete ---


def test_deleted_objects_are_gone_and_missing_ones_no_error(remote: Remote) -> None:
    for number in range(3):
        remote.put(f"jobs/{number}", TEN)
    remote.delete([f"jobs/{number}" for number in range(1, 1200)])
    assert keys(pages(remote, "")) == ["jobs/0"]
    remote.delete([])


def test_nothing_is_listed_below_a_deleted_job(remote: Remote) -> None:
    remote.put("jobs/gone/a/b", TEN)
    remote.put("jobs/here/a", TEN)
    remote.delete(["jobs/gone/a/b"])
    left = prefixes(pages(remote, "jobs/", delimiter="/"))
    assert "jobs/here/" in left
    # SeaweedFS goes on listing a directory that became empty for a while.
    assert all(keys(pages(remote, prefix)) == [] for prefix in left if prefix != "jobs/here/")


# --- list ---


def test_an_empty_remote_lists_nothing(remote: Remote) -> None:
    assert remote.list("jobs/", delimiter="/") == Page((), (), None)


def test_a_listing_tells_sizes_and_times(remote: Remote) -> None:
    made_ms = remote.put("jobs/x", TEN).server_ms
    (listed,) = remote.list("jobs/").objects
    assert (listed.key, listed.size, abs(listed.modified_ms - made_ms) <= 2000) == ("jobs/x", 10, True)


def test_pages_hold_no_more_than_asked_for_and_all_together_everything(remote: Remote) -> None:
    wanted = [f"feed/{number:03}" for number in range(25)]
    for key in wanted:
        remote.put(key, b"")
    listed = pages(remote, "feed/", limit=10)
    assert keys(listed) == wanted
    assert max(len(page.objects) for page in listed) <= 10


def test_a_listing_goes_on_after_a_key(remote: Remote) -> None:
    names = ["20261121T101500123Z-aaaa-0001.zip", "20261121T101500123Z-bbbb-0001.zip", "20261121T101500124Z-aaaa.zip"]
    for name in names:
        remote.put(f"feed/{name}", b"")
    assert keys(pages(remote, "feed/", after=f"feed/{names[0]}")) == [f"feed/{name}" for name in names[1:]]


def test_the_jobs_are_the_prefixes_under_the_delimiter(remote: Remote) -> None:
    for key in ("jobs/a/1", "jobs/a/2", "jobs/a-b/1", "jobs/a.b/c/d", "jobs/loose"):
        remote.put(key, b"")
    listed = pages(remote, "jobs/", delimiter="/", limit=2)
    assert sorted(prefixes(listed)) == ["jobs/a-b/", "jobs/a.b/", "jobs/a/"]
    assert keys(listed) == ["jobs/loose"]


def test_keys_in_any_order_are_listed_as_s3_promises(remote: Remote) -> None:
    """Also where SeaweedFS has an order of its own: `a/b` before `a-b`."""
    chance = random.Random(11)
    stored = _fuzzed_keys(chance, 60)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda key: remote.put(key, b""), stored))
    for _ in range(25):
        prefix = chance.choice(["", *_beginnings(stored)])
        after = chance.choice(["", *stored, *_beginnings(stored)])
        delimiter = chance.choice(["", "/"])
        listed = pages(remote, prefix, after=after, delimiter=delimiter, limit=chance.choice([3, 1000]))
        expected = _expected(stored, prefix, after, delimiter)
        assert (sorted(keys(listed)), sorted(prefixes(listed))) == expected, (prefix, after, delimiter)
        for page in listed:
            assert [one.key for one in page.objects] == sorted(one.key for one in page.objects)
            assert list(page.prefixes) == sorted(page.prefixes)


def _fuzzed_keys(chance: random.Random, count: int) -> list[str]:
    """Keys of signs around `/`, none of which is a directory of another."""
    made: set[str] = set()
    while len(made) < count:
        names = ["".join(chance.choices("ab-.%0~", k=chance.randint(1, 3))) for _ in range(chance.randint(1, 3))]
        key = "/".join(names)
        is_name = all(name not in (".", "..") for name in names)
        if is_name and not any(other.startswith(f"{key}/") or key.startswith(f"{other}/") for other in made):
            made.add(key)
    return sorted(made)


def _beginnings(stored: list[str]) -> list[str]:
    """Directories, and halves of names."""
    return sorted({key[:end] for key in stored for end in range(1, len(key))})


def _expected(stored: list[str], prefix: str, after: str, delimiter: str) -> tuple[list[str], list[str]]:
    below = [key for key in stored if key.startswith(prefix)]
    if not delimiter:
        return [key for key in below if key > after], []
    rolled = {key[: key.index("/", len(prefix)) + 1] for key in below if "/" in key[len(prefix) :]}
    plain = [key for key in below if "/" not in key[len(prefix) :]]
    return [key for key in plain if key > after], sorted(one for one in rolled if one > after)


# --- the rest ---


def test_many_threads_share_one_remote(remote: Remote) -> None:
    def both_ways(number: int) -> bool:
        data = noise(1000 + number)
        remote.put(f"jobs/{number}", data)
        return remote.get(f"jobs/{number}", most_bytes=len(data)).data == data

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(both_ways, range(40)))


def test_a_url_shows_the_object_as_it_says_until_it_ends(remote: Remote) -> None:
    remote.put("jobs/a.html.zst", TEN)
    told = {"content_type": "text/html", "content_encoding": "zstd", "filename": "a b;ä.html"}
    if not remote.capabilities.presign:
        with pytest.raises(Unsupported):
            remote.presign("jobs/a.html.zst", seconds=60, **told)
        return
    url, ends = remote.presign("jobs/a.html.zst", seconds=60, **told)
    assert 50 <= ends - time.time() <= 61
    with urllib.request.urlopen(url, timeout=20) as answer:
        assert answer.read() == TEN
        assert (answer.headers["Content-Type"], answer.headers["Content-Encoding"]) == ("text/html", "zstd")
        assert "a%20b%3B%C3%A4.html" in answer.headers["Content-Disposition"]


def test_nobody_learns_credentials_from_what_it_says_of_itself(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:

    secret = os.environ.get("AWS_SECRET_ACCESS_KEY", "none set")
    assert secret not in repr(remote) + remote.where
