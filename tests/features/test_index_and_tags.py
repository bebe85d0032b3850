"""Promises F-083 to F-091: what is known of each artifact, and what people say of it themselves."""

import contextlib
import datetime
import errno
import hashlib
import json
import os
import sqlite3
import time

import pytest

from mountfs.api import ArtifactStore
from tests.features.conftest import Shell
from tests.mount.syscalls import refused
from tests.mounting import Mounted

pytestmark = pytest.mark.usefixtures("unmeasured")

CONTENT = b"a line of a log\n" * 1000

OLDER_FIELDS = {
    # a document store
    "storage_uri": "uri", "storage_key": "key", "sha256": "sha256", "size_bytes": "size", "mime_type": "mime_type",
    "storage_backend": "state",
    # a fleet of agents
    "uri": "uri", "task_id": "job", "spec_name": "tags", "type": "type", "size": "stored_size", "checksum": "sha256",
    "created_at": "created_at", "compressed": "compressed", "original_size": "size", "tags": "tags",
    "version": "version", "metadata": "metadata",
    # a signed blob tier; its signature comes with signing
    "id": "key", "name": "path", "content_type": "mime_type", "checksum_sha256": "sha256", "expires_at": "expires_at",
}  # fmt: skip


def test_the_index_tells_job_time_type_size_path_and_tags(
    shell: Shell, served: Mounted, store: ArtifactStore, job: str
) -> None:
    """F-083: of what was closed a moment ago too."""
    began = time.time()
    shell(f"mkdir -p .artifacts/{job}/deep; setfattr -n user.branch -v main .artifacts/{job}")
    (served.path / job / "deep" / "build.log").write_bytes(CONTENT)
    [row] = map(json.loads, shell(f"mountfs list {job}/ --json").splitlines())
    told = {key: row[key] for key in ("job", "path", "type", "size", "tags")}
    assert told == {
        "job": job, "path": "deep/build.log", "type": "build-logs", "size": len(CONTENT), "tags": {"branch": "main"},
    }  # fmt: skip
    assert began - 1 <= datetime.datetime.fromisoformat(row["created_at"]).timestamp() <= time.time()


def test_time_type_and_expiry_are_indexed(served: Mounted, store: ArtifactStore, job: str) -> None:
    """F-084: in the SQLite that anybody may read beside the daemon."""
    store.put(f"{job}/a.log", CONTENT, expires="+30d")
    assert next(store.find(f"job={job}")).path == "a.log"
    with contextlib.closing(sqlite3.connect(f"file:{served.state}/catalog.db?mode=ro", uri=True)) as catalog:
        indexes = [name for _, name, *_ in catalog.execute("PRAGMA index_list(found)")]
        first = {catalog.execute(f"PRAGMA index_info({name})").fetchone()[2] for name in indexes}
        known = catalog.execute("SELECT path FROM found WHERE expires_s > unixepoch()").fetchall()
    assert {"created_ns", "type", "expires_s", "size", "job"} <= first
    assert (b"a.log",) in known


def test_every_field_that_an_older_store_kept_is_a_fact_of_the_artifact(store: ArtifactStore, job: str) -> None:
    """F-085, F-086, F-087: under a name that is as long as names may be."""
    name = "n" * 251 + ".log"
    said = {"expires": "+30d", "tags": {"spec": "login"}, "metadata": {"attempt": 2}}
    store.put(f"{job}/{name}", CONTENT, **said)  # type: ignore[arg-type]
    artifact = store.metadata(f"{job}/{name}")
    assert [field for field in OLDER_FIELDS.values() if getattr(artifact, field) in (None, "", {})] == []
    assert (artifact.size, artifact.sha256) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    assert (artifact.path, artifact.job, artifact.tags) == (name, job, {"spec": "login"})
    assert (artifact.metadata, artifact.version, artifact.type) == ({"attempt": 2}, 1, "build-logs")
    assert artifact.compressed == (artifact.codec == "zstd")


def test_an_artifact_knows_whether_it_has_expired(store: ArtifactStore, job: str) -> None:
    """F-087, F-126: and is there all the same, until a cleanup takes it."""
    store.put(f"{job}/old", b"old", expires="2020-01-02")
    store.put(f"{job}/new", b"new", expires="+30d")
    store.put(f"{job}/ever", b"ever")
    assert {found.path: found.is_expired() for found in store.list(job)} == {"old": True, "new": False, "ever": False}
    assert store.get(f"{job}/old") == b"old"


def test_a_description_and_any_metadata_are_kept(shell: Shell, served: Mounted, store: ArtifactStore, job: str) -> None:
    """F-088: the one is a tag that is found, the other JSON up to what an attribute holds."""
    store.put(f"{job}/a", b"x")
    path = served.path / job / "a"
    shell(f"setfattr -n user.description -v 'nightly run, third try' {path}")
    assert [found.key for found in store.find(f"job={job} and description~*third*")] == [f"{job}/a"]
    said = {"matrix": {"os": ["linux", "mac"]}, "attempt": 3, "note": "x" * 60_000}
    os.setxattr(path, b"user.mountfs.metadata", json.dumps(said).encode())
    assert store.metadata(f"{job}/a").metadata == said
    with refused(errno.E2BIG):
        os.setxattr(path, b"user.mountfs.metadata", json.dumps({"note": "x" * 65_536}).encode())
    assert store.metadata(f"{job}/a").metadata == said


def test_artifacts_and_jobs_are_tagged_in_a_shell_and_found_by_it(
    shell: Shell, served: Mounted, store: ArtifactStore, job: str
) -> None:
    """F-089, F-090: by key and value and by label, with setfattr and with `mountfs tag`."""
    for name in ("a", "b"):
        store.put(f"{job}/{name}", b"x")
    shell(f"setfattr -n user.env -v prod-{job} .artifacts/{job}/a; mountfs tag {job} nightly-{job} team=payments")
    assert [found.path for found in store.find(f"env=prod-{job}")] == ["a"]
    assert [found.path for found in store.find(f"nightly-{job}", sort="name")] == ["a", "b"]
    assert os.listdir(served.path / ".by-tag" / "env" / f"prod-{job}" / job) == ["a"]
    assert os.listdir(served.path / ".by-tag" / f"nightly-{job}" / "%") == [job]
    assert store.metadata(f"{job}/a").tags == {"env": f"prod-{job}", f"nightly-{job}": "", "team": "payments"}
    shell(f"setfattr -x user.env .artifacts/{job}/a; setfattr -x user.nightly-{job} .artifacts/{job}")
    assert next(store.find(f"env=prod-{job} or nightly-{job}"), None) is None


def test_branch_commit_and_pull_request_lead_to_their_jobs(served: Mounted, store: ArtifactStore, job: str) -> None:
    """F-091: ordinary tags, to which the views have a door each."""
    store.put(f"{job}/a", b"x")
    commit = hashlib.sha1(job.encode(), usedforsecurity=False).hexdigest()
    store.tag(job, branch=f"feature/{job}", commit=commit, pr=f"pr-{job}")
    for door in (f".by-branch/feature%2F{job}", f".by-commit/{commit[:12]}", f".by-tag/pr/pr-{job}"):
        assert os.listdir(served.path / door) == [job]
        assert (served.path / door / job / "a").read_bytes() == b"x"
    assert (served.path / ".latest" / "commit" / commit / "a").read_bytes() == b"x"
