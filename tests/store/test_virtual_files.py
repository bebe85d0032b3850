"""What virtual files say of a store: of very much a part, and that it is one."""

import json
import time
from collections.abc import Callable, Iterator

import pytest

from mountfs.errors import Stale
from mountfs.namespace import TypeRules
from mountfs.views.virtual import Most, Telling
from tests.store.conftest import Bench

NAMES = [f"{number:02}.log" for number in range(60)]
Tell = Callable[..., dict[str, object]]


@pytest.fixture
def full(bench: Bench) -> Bench:
    """More artifacts than a page has, in no order."""
    for name in reversed(NAMES):
        bench.save(name, name.encode() * 10)
    bench.settle()
    return bench


@pytest.fixture
def tell(full: Bench) -> Iterator[Tell]:
    """`tell(artifacts=…)`: the metadata of the job under these limits."""
    made: list[Telling] = []

    def say(*, seconds: float = 60, **most: int) -> dict[str, object]:
        made.append(Telling(full.store.state.catalog, mountpoint=None, types=TypeRules(), most=Most(**most)))
        said = made[-1].metadata(full.job, states={}, until=time.monotonic() + seconds)
        found = json.loads(said.document)
        assert isinstance(found, dict)
        return found

    yield say
    for telling in made:
        telling.close()


def names(said: dict[str, object]) -> list[object]:
    listed = said["artifacts"]
    assert isinstance(listed, list)
    return [one["path"] for one in listed]


def test_a_job_is_told_in_the_order_of_its_paths(tell: Tell) -> None:
    said = tell()
    assert names(said) == NAMES
    assert (said["count"], said["truncated"], said["size_bytes"]) == (60, False, 60 * 60)


def test_of_more_artifacts_than_are_allowed_the_first_are_told_and_the_count_of_all(tell: Tell) -> None:
    said = tell(artifacts=7)
    assert names(said) == NAMES[:7]
    assert (said["count"], said["truncated"], said["size_bytes"]) == (60, True, 60 * 60)
    assert said["stored_bytes"] == tell()["stored_bytes"]
    assert tell(artifacts=60)["truncated"] is False


def test_artifacts_with_much_to_say_are_fewer(tell: Tell) -> None:
    said = tell(size_bytes=5000)
    assert 1 < len(names(said)) < 10
    assert (said["count"], said["truncated"]) == (60, True)


def test_when_the_time_is_up_what_was_found_is_told(tell: Tell) -> None:
    said = tell(seconds=-1)
    assert names(said) == []
    assert (said["count"], said["truncated"], said["size_bytes"]) == (60, True, 60 * 60)


def test_a_job_that_went_is_stale(full: Bench) -> None:
    telling = Telling(full.store.state.catalog, mountpoint=None, types=TypeRules())
    with pytest.raises(Stale):
        telling.metadata(full.entry(NAMES[0]).ino, states={}, until=0)
    telling.close()
