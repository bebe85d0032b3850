"""Virtual files of jobs that another machine wrote, asked for on a lazy one."""

import json
from pathlib import Path

from tests.faults.proxy import Hang
from tests.s3.two import Machine, Two, eventually


def write(machine: Machine, job: str, *names: str) -> Path:
    directory = machine.path / job
    directory.mkdir(exist_ok=True)
    for name in names:
        (directory / name).write_text(f"{name}\n" * 100)
    machine.flush()
    return directory


def paths(job: Path) -> list[str]:
    return [one["path"] for one in json.loads((job / ".metadata.json").read_bytes())["artifacts"]]


def test_who_asks_first_for_the_metadata_of_a_job_has_it_looked_at(two: Two, job: str) -> None:
    here, there = two
    write(here, job, "a.log", "b.log")
    said = json.loads((there.path / job / ".metadata.json").read_bytes())
    assert [one["path"] for one in said["artifacts"]] == ["a.log", "b.log"]
    assert {one["state"] for one in said["artifacts"]} == {"remote"}
    assert all(one["sha256"] for one in said["artifacts"])


def test_who_asks_again_and_again_sees_what_comes(two: Two, job: str) -> None:
    here, there = two
    write(here, job, "a.log")
    assert paths(there.path / job) == ["a.log"]
    write(here, job, "b.log")
    eventually(lambda: paths(there.path / job), ["a.log", "b.log"])


def test_a_real_file_of_that_name_wins_on_other_machines_too(two: Two, job: str) -> None:
    here, there = two
    directory = write(here, job, "draft")
    (directory / "draft").rename(directory / ".metadata.json")
    here.flush()
    assert (there.path / job / ".metadata.json").read_text().startswith("draft\n")


def test_no_bucket_is_needed_for_the_metadata_of_a_job_that_is_known(two: Two, job: str) -> None:
    here, there = two
    write(here, job, "a.log")
    assert paths(there.path / job) == ["a.log"]
    there.proxy.rule(Hang())
    assert paths(there.path / job) == ["a.log"]
