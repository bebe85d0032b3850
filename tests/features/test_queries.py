"""Promises F-093 to F-106: questions, in flags, in the query language, and as directories."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mountfs.api import ArtifactStore, open_store
from tests.faults.clock import build_clock, skewed
from tests.features.conftest import Shell
from tests.mounting import Mounted

pytestmark = pytest.mark.usefixtures("unmeasured")

DAY_SECONDS = 86_400
MEBI = 1 << 20
LATEST_SECONDS = 0.05


@pytest.fixture(scope="module")
def nights(project: Mounted) -> Iterator[ArtifactStore]:
    """Twelve nights of a suite, the newest last: logs of growing sizes, and coverage by two branches."""
    with open_store(mount=project.path) as store:
        for number in range(12):
            job, branch = f"night-{number:02}", "main" if number % 3 else "next"
            store.put(f"{job}/test.log", b"x" * (number * 100_000))
            store.put(f"{job}/coverage.xml", b"<coverage/>", tags={"stage": "unit"})
            store.tag(job, suite="nights", branch=branch, os="linux" if number % 2 else "mac")
        yield store


def jobs(paths: str) -> list[str]:
    """The jobs of what `--paths` printed."""
    return [Path(path).parent.name for path in paths.splitlines()]


def test_the_newest_come_first_and_so_many_as_one_asks_for(
    served: Mounted, shell: Shell, nights: ArtifactStore
) -> None:
    """F-093: by `list --limit`, from Python, and in `.recent/`."""
    newest = ["night-11", "night-10", "night-09"]
    assert jobs(shell("mountfs list 'suite=nights and name=test.log' --limit 3 --paths 2>more")) == newest
    assert [one.job for one in nights.find("suite=nights and name=test.log", limit=3)] == newest
    assert set(newest) <= set(os.listdir(served.path / ".recent"))


def test_a_table_json_or_paths_are_printed(shell: Shell, nights: ArtifactStore) -> None:
    """F-099, F-100: `list --type coverage --limit 5`."""
    asked = ["list", "suite=nights", "--type", "coverage", "--limit", "5"]
    said = shell.answers(asked, [*asked, "--json"], [*asked, "--paths"])
    assert {(code, more) for code, _, more in said} == {(0, "mountfs: there are more than 5: --limit 0 shows all\n")}
    table, rows, paths = (out.splitlines() for _, out, _ in said)
    assert [row.split("\t")[1] for row in table] == ["coverage-report"] * 5
    told = [json.loads(row) for row in rows]
    assert [(row["schema"], row["key"]) for row in told] == [(1, row.split("\t")[0]) for row in table]
    assert [Path(path).read_bytes() for path in paths] == [b"<coverage/>"] * 5


def test_tags_are_joined_in_flags_and_in_directories(served: Mounted, shell: Shell, nights: ArtifactStore) -> None:
    """F-095: AND."""
    expected = ["night-01", "night-05", "night-07", "night-11"]
    flags = "--tag suite=nights --tag branch=main --tag os=linux --type log"
    assert jobs(shell(f"mountfs list {flags} --sort job --paths")) == expected
    assert sorted(os.listdir(served.path / ".by-tag/suite/nights/branch/main/os/linux")) == expected
    unit = served.path / ".by-tag/suite/nights/stage/unit/night-04"
    assert os.listdir(unit) == ["coverage.xml"]


def test_one_question_is_asked_in_words_in_flags_and_as_a_directory(
    served: Mounted, shell: Shell, nights: ArtifactStore
) -> None:
    """F-096, F-098: several conditions and wildcards; `list` takes words and flags together."""
    question = "type=log and name~test* and suite=nights and (branch=next or os=mac) and size>=600000"
    expected = ["night-06", "night-08", "night-09", "night-10"]
    assert [found.job for found in nights.find(question, sort="job")] == expected
    assert sorted(os.listdir(served.path / ".find" / question)) == expected
    flags = "--type log --job 'night-*' --branch next --since 1d --min-size 600000"
    assert jobs(shell(f"mountfs list 'name~test*' {flags} --sort job --paths")) == ["night-06", "night-09"]


def test_artifacts_are_found_by_their_sizes(served: Mounted, shell: Shell, nights: ArtifactStore) -> None:
    """F-097: by flags, and `find -size` agrees."""
    flags = "--tag suite=nights --type log --min-size 300KB --max-size 1MB --sort size"
    expected = [f"night-{number:02}" for number in range(3, 11)]
    assert jobs(shell(f"mountfs list {flags} --paths")) == expected
    found = shell("find .artifacts/night-* -name '*.log' -size +299999c -size -1000001c").split()
    assert sorted(Path(path).parent.name for path in found) == expected
    assert [one.job for one in nights.find("suite=nights and size>1MiB")] == ["night-11"]


def test_artifacts_are_found_by_the_dates_of_their_making(alone: Shell, tmp_path: Path) -> None:
    """F-094: `--since` and `--until` take days, times, and how long ago."""
    place = {"state": str(tmp_path / "state"), "mountpoint": str(tmp_path / "mnt")}
    at = f"--state {place['state']} --mount {place['mountpoint']}"
    week_ago = skewed(build_clock(tmp_path), ahead_seconds=-8 * DAY_SECONDS)
    alone(f"mountfs put build/older /dev/null {at}", environment=week_ago)
    day = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 8 * DAY_SECONDS))
    with open_store(place) as store:
        store.put("build/today", b"")
        asked = {"created>=7d": "today", f"created={day}": "older", f"created>{day}T00:00:00Z and created<1h": "older"}
        assert {words: [found.path for found in store.find(words)] for words in asked} == {
            words: [name] for words, name in asked.items()
        }
    assert alone(f"mountfs list --since 7d {at}").split("\t")[0] == "build/today"
    assert alone(f"mountfs list --since {day} --until {day} {at}").split("\t")[0] == "build/older"


@pytest.mark.alone
def test_a_question_about_a_thousand_artifacts_takes_less_than_50_ms(tmp_path: Path) -> None:
    """F-106: of the processor; the first page, as `list` and `find` print it. `scripts/bench` takes the rest."""
    with open_store({"state": str(tmp_path / "s"), "mountpoint": str(tmp_path / "m")}) as store:
        for number in range(1000):
            store.put(f"build-{number // 20}/{number}{'.log' if number % 2 else '.png'}", b"")
        for number in range(0, 50, 2):
            store.tag(f"build-{number}", branch="main")
        questions = ("type=log and branch=main", "name~*9*.png or size>1MiB", "created>7d and not branch=main")
        for question in questions:
            assert min(_seconds(store, question) for _ in range(8)) < LATEST_SECONDS, question


def _seconds(store: ArtifactStore, question: str) -> float:
    began = time.process_time()
    found = list(store.find(question))
    assert found
    return time.process_time() - began
