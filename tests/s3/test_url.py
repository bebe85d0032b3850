"""URLs: what they answer with, for how long, and what it costs the bucket."""

import json
import os
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime
from pathlib import Path

import pytest

from mountfs.api import open_store
from mountfs.config.schema import S3
from mountfs.remote.bucket import S3Remote
from tests.mount.conftest import MountFactory, mounted  # noqa: F401  # a fixture
from tests.s3.program import Program, storage_of
from tests.s3.two import Machine, Machines, Two

TEXT = b"a line of a log that compresses well\n" * 120_000


def url_of(machine: Machine, key: str, *arguments: str) -> dict[str, object]:
    done = machine.mountfs("url", key, "--json", *arguments)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def curl(url: object, *arguments: str) -> bytes:
    done = subprocess.run(["curl", "-sS", "--fail", *arguments, str(url)], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def headers_of(url: object) -> dict[str, str]:
    with urllib.request.urlopen(str(url), timeout=30) as answer:
        return {name.lower(): value for name, value in answer.headers.items()}


def objects_of(remote: S3Remote, job: str) -> list[str]:
    return [found.key for found in remote.list(f"jobs/{job}/").objects]


def test_curl_shows_the_plain_bytes_of_4_mib_in_frames(two: Two, job: str) -> None:
    here, _ = two
    (here.path / job).mkdir()
    (here.path / job / "build.log").write_bytes(TEXT)
    found = url_of(here, f"{job}/build.log")
    assert len(TEXT) > 4 << 20
    assert curl(found["url"], "--compressed") == TEXT
    headers = headers_of(found["url"])
    assert headers["content-encoding"] == "zstd"
    assert headers["content-type"] == "text/plain"
    assert "build.log" in headers["content-disposition"]


def test_a_name_that_is_no_utf_8_has_a_url_too(two: Two, job: str) -> None:
    here, _ = two
    (here.path / job).mkdir()
    name = os.fsdecode(b"build\xff.log")
    (here.path / job / name).write_bytes(TEXT)
    found = url_of(here, f"{job}/{name}")
    assert curl(found["url"], "--compressed") == TEXT


def test_raw_content_has_no_encoding(two: Two, job: str) -> None:
    here, _ = two
    noise = os.urandom(100_000)
    (here.path / job).mkdir()
    (here.path / job / "shot.png").write_bytes(noise)
    found = url_of(here, f"{job}/shot.png")
    headers = headers_of(found["url"])
    assert curl(found["url"]) == noise
    assert "content-encoding" not in headers
    assert headers["content-type"] == "image/png"


def test_a_picture_without_a_suffix_is_served_as_one(two: Two, job: str) -> None:
    here, _ = two
    (here.path / job).mkdir()
    (here.path / job / "picture").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(400))
    assert headers_of(url_of(here, f"{job}/picture")["url"])["content-type"] == "image/png"


def test_a_large_content_needs_no_second_upload(two: Two, job: str) -> None:
    here, _ = two
    noise = os.urandom(5 << 20)
    (here.path / job).mkdir()
    (here.path / job / "video.mp4").write_bytes(noise)
    found = url_of(here, f"{job}/video.mp4")
    assert not found["uploaded"]
    assert curl(found["url"]) == noise


def test_what_lies_in_a_bundle_is_uploaded_once_and_named_by_a_manifest(
    two: Two, job: str, shared_machines: Machines
) -> None:
    here, there = two
    remote = shared_machines.remote()
    (here.path / job).mkdir()
    (here.path / job / "report.txt").write_bytes(b"text " * 1000)
    here.flush()
    before = objects_of(remote, job)
    assert url_of(here, f"{job}/report.txt")["uploaded"]
    after = set(objects_of(remote, job)) - set(before)
    assert sorted(key.rpartition(".")[2] for key in after) == ["zip", "zst"]
    assert not url_of(here, f"{job}/report.txt")["uploaded"]
    assert (there.path / job / "report.txt").read_bytes() == b"text " * 1000
    assert not url_of(there, f"{job}/report.txt")["uploaded"]


def test_plain_uploads_a_decoded_copy(two: Two, job: str) -> None:
    here, _ = two
    (here.path / job).mkdir()
    (here.path / job / "build.log").write_bytes(TEXT)
    found = url_of(here, f"{job}/build.log", "--plain")
    assert (found["uploaded"], found["content_encoding"]) == (True, None)
    assert "content-encoding" not in headers_of(found["url"])
    assert curl(found["url"]) == TEXT
    assert not url_of(here, f"{job}/build.log", "--plain")["uploaded"]


def test_a_machine_that_has_not_the_content_links_to_it_too(two: Two, job: str) -> None:
    here, there = two
    (here.path / job).mkdir()
    (here.path / job / "report.txt").write_bytes(b"text " * 1000)
    here.flush()
    found = url_of(there, f"{job}/report.txt")
    assert curl(found["url"], "--compressed") == b"text " * 1000


def test_the_real_expiry_is_told(two: Two, job: str) -> None:
    here, _ = two
    (here.path / job).mkdir()
    (here.path / job / "file").write_bytes(b"content")
    soon = url_of(here, f"{job}/file", "--expires", "2s")
    ends = datetime.fromisoformat(str(soon["expires_at"]))
    assert 0 < ends.timestamp() - time.time() <= 3
    most = url_of(here, f"{job}/file", "--expires", "1d")
    assert 86_000 < datetime.fromisoformat(str(most["expires_at"])).timestamp() - time.time() < 86_500
    said = urllib.parse.parse_qs(urllib.parse.urlsplit(str(most["url"])).query)
    assert said["X-Amz-Expires"] == ["86400"]


def test_the_url_is_an_attribute_that_is_never_listed(two: Two, job: str) -> None:
    here, _ = two
    (here.path / job).mkdir()
    file = here.path / job / "file"
    file.write_bytes(b"content " * 100)
    assert "user.mountfs.url" not in os.listxattr(file)
    url = os.getxattr(file, "user.mountfs.url").decode()
    assert curl(url, "--compressed") == b"content " * 100
    with pytest.raises(OSError, match="No data"):
        os.getxattr(here.path / job, "user.mountfs.url")


def test_what_has_no_content_has_no_url(two: Two, job: str) -> None:
    here, _ = two
    (here.path / job).mkdir()
    (here.path / job / "empty").touch()
    (here.path / job / "link").symlink_to("empty")
    for key, code in ((job, 4), (f"{job}/empty", 4), (f"{job}/link", 4), (f"{job}/missing", 3)):
        assert here.mountfs("url", key).returncode == code


def test_only_the_url_is_printed_and_the_expiry_on_stderr(two: Two, job: str) -> None:
    here, _ = two
    (here.path / job).mkdir()
    (here.path / job / "file").write_bytes(b"content")
    done = here.mountfs("url", f"{job}/file")
    assert done.stdout.startswith("http://127.0.0.1")
    assert len(done.stdout.splitlines()) == 1
    assert "until" in done.stderr


def test_where_nothing_is_mounted_it_works_too(tmp_path: Path, remote_settings: S3) -> None:
    program = Program(tmp_path / "here", storage_of(remote_settings))
    program.put("job/report.txt", b"text " * 1000)
    (found,) = program.json("url", "job/report.txt")
    assert curl(found["url"], "--compressed") == b"text " * 1000


def test_a_python_program_gets_a_url_with_and_without_a_mount(
    two: Two, job: str, tmp_path: Path, remote_settings: S3
) -> None:
    here, _ = two
    (here.path / job).mkdir()
    (here.path / job / "file").write_bytes(b"content " * 100)
    with open_store(mount=here.path) as store:
        assert curl(store.url(f"{job}/file", expires_in=60), "--compressed") == b"content " * 100
    settings = {
        "state": str(tmp_path / "state"),
        "mountpoint": str(tmp_path / "m"),
        "storage": storage_of(remote_settings),
    }
    with open_store(settings) as store:
        store.put("job/file", b"other " * 100)
        assert curl(store.url("job/file"), "--compressed") == b"other " * 100
        assert curl(store.url("job/file", plain=True)) == b"other " * 100


def test_a_local_store_answers_with_a_file(mounted: MountFactory) -> None:  # noqa: F811
    daemon = mounted()
    file = daemon.path / "job" / "a file"
    file.parent.mkdir()
    file.write_bytes(b"content")
    url = os.getxattr(file, "user.mountfs.url").decode()
    assert url.startswith("file:///")
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.read() == b"content"


def test_a_directory_as_a_remote_answers_with_a_file_too(tmp_path: Path) -> None:
    program = Program(tmp_path / "here", {"backend": "directory", "directory": {"path": str(tmp_path / "share")}})
    program("remote", "check", "--create")
    program.put("job/file", b"content")
    (found,) = program.json("url", "job/file")
    assert str(found["url"]).startswith("file:///")
    assert found["expires_at"] is None
