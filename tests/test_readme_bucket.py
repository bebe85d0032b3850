"""What README.md says of buckets is so: its lines are typed in a clone, with its settings, on a real S3 server."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from mountfs.config import load_settings
from mountfs.config.schema import S3, Settings
from mountfs.model import State
from mountfs.remote.bucket import S3Remote
from tests.conftest import use_credentials
from tests.mounting import is_mounted, require_fuse
from tests.servers import Weed
from tests.test_readme import COMPLAINT, Said, Visitor, codes, section, watched

BUCKET = section("A bucket")


def blocks(language: str) -> list[str]:
    """What stands between fences of that language in the section."""
    return re.findall(rf"^```{language}\n(.*?)^```", BUCKET, re.MULTILINE | re.DOTALL)


def lines_of(block: str) -> list[str]:
    return [line.removeprefix("$ ") for line in block.splitlines()]


def settings_of(weed: Weed) -> dict[str, dict[str, dict[str, object]]]:
    """Those of the README, on a server of the tests."""
    settings: dict[str, dict[str, dict[str, object]]] = yaml.safe_load(blocks("yaml")[0])
    settings["storage"]["s3"] |= {"endpoint_url": weed.endpoint_url, "path_style": True}
    return settings


@dataclass(frozen=True)
class Visit:
    """What the lines said, what was left, and what a machine found that had lost everything."""

    said: list[Said]
    still_mounted: bool
    log: str
    found_again: Said
    manifest: Said


@pytest.fixture(scope="module")
def visit(tmp_path_factory: pytest.TempPathFactory, weed: Weed) -> Iterator[Visit]:
    require_fuse()
    visitor = Visitor(tmp_path_factory.mktemp("bucket"))
    visitor.clones()
    visitor.environment |= weed.environment()
    settings = settings_of(weed)
    file = visitor.state_home.parent / "home" / ".config" / "mountfs" / "mountfs.yml"
    file.parent.mkdir(parents=True)
    file.write_text(yaml.safe_dump(settings))
    said: list[Said] = []
    with watched(visitor) as pipe, pytest.MonkeyPatch.context() as patch:
        for line in lines_of(blocks("console")[0]):
            said.append(visitor.types(line, pipe=pipe))
            if said[-1].code != 0:
                break
        still_mounted = is_mounted(visitor.mountpoint)
        log = visitor.log()
        use_credentials(patch, weed.environment())
        (visitor.place / "bundle.zip").write_bytes(newest_bundle(S3.model_validate(settings["storage"]["s3"])))
        manifest = visitor.types(lines_of(blocks("console")[1])[0])
        if not still_mounted:
            shutil.rmtree(visitor.state_home)
        found_again = visitor.types("mountfs mount && wc -l .artifacts/build-8/doc.log && mountfs umount", pipe=pipe)
        yield Visit(said, still_mounted, log, found_again, manifest)


def newest_bundle(settings: S3) -> bytes:
    remote = S3Remote(settings)
    try:
        keys = [found.key for found in remote.list("jobs/build-8/").objects if found.key.endswith(".zip")]
        return remote.get(max(keys), most_bytes=1 << 26).data
    finally:
        remote.close()


def test_every_line_about_buckets_works(visit: Visit) -> None:
    assert [(said.line, said.code, said.err) for said in visit.said if said.code != 0] == []
    assert [said.line for said in visit.said] == lines_of(blocks("console")[0])


def test_what_was_evicted_and_what_a_url_answers_is_what_was_written(visit: Visit) -> None:
    counted = [said.out.split()[0] for said in visit.said if "wc -l" in said.line]
    assert len(counted) == 2
    assert counted[0] == counted[1] != "0"


def test_the_lines_about_buckets_leave_nothing_mounted(visit: Visit) -> None:
    assert not visit.still_mounted


def test_the_daemon_of_a_bucket_has_nothing_to_complain_about(visit: Visit) -> None:
    assert [line for line in visit.log.splitlines() if COMPLAINT.search(line)] == []


def test_a_machine_that_lost_everything_finds_everything_in_the_bucket(visit: Visit) -> None:
    counted = next(said.out.split()[0] for said in visit.said if "wc -l" in said.line)
    assert visit.found_again.code == 0, visit.found_again.err
    assert counted in visit.found_again.out.split()


def test_a_bundle_says_which_file_is_which(visit: Visit) -> None:
    assert visit.manifest.code == 0, visit.manifest.err
    assert re.search(r"^[0-9a-f]{64}  doc\.log$", visit.manifest.out, re.MULTILINE)


def test_settings_about_buckets_are_accepted(tmp_path: Path) -> None:
    snippets = [code for code in codes(BUCKET) if code.split(":")[0] in Settings.model_fields and ": " in code]
    assert len(snippets) >= 5
    for snippet in snippets:
        file = tmp_path / "mountfs.yml"
        file.write_text(f"{blocks('yaml')[0]}{snippet}\n")
        load_settings(environ={"HOME": str(tmp_path), "MOUNTFS_CONFIG": str(file)}, cwd=tmp_path)


def test_states_that_are_named_are_all_there_are() -> None:
    told = re.search(r"`user\.mountfs\.state` \(`([a-z ]+)`\)", BUCKET)
    assert told is not None
    assert set(told[1].split()) == {state.value for state in State}
