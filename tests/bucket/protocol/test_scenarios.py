"""The scenarios of the protocol's model on the real code: none of them breaks an invariant."""

from pathlib import Path

import pytest

from tests.bucket.protocol.found import FOUND
from tests.bucket.protocol.scenarios import SCENARIOS
from tests.bucket.protocol.script import Script
from tests.bucket.protocol.world import World


def test_all_scenarios_of_the_model_are_there() -> None:
    assert sorted(SCENARIOS) == [f"S{number:02}" for number in range(1, 36)]


@pytest.mark.parametrize("number", sorted(SCENARIOS), ids=lambda number: f"{number}-{SCENARIOS[number].name}")
def test_no_invariant_breaks_when(number: str, template: Path) -> None:
    scenario = SCENARIOS[number]
    with World.made(scenario.setup, template) as world:
        scenario.tell(Script(world))


@pytest.mark.parametrize("name", sorted(FOUND))
def test_it_does_not_happen_again_that(name: str, template: Path) -> None:
    scenario = FOUND[name]
    with World.made(scenario.setup, template) as world:
        scenario.tell(Script(world))
