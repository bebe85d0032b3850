"""What each ◆ rule of BUCKET.md is for: without it, the scenario that bears its name breaks an invariant."""

from pathlib import Path

import pytest

from tests.bucket.protocol.rules import RULES
from tests.bucket.protocol.scenarios import SCENARIOS
from tests.bucket.protocol.script import Script
from tests.bucket.protocol.truth import Violation
from tests.bucket.protocol.world import World

SHOWN = [(number, scenario.without) for number, scenario in sorted(SCENARIOS.items())]


def test_every_rule_is_shown_by_a_scenario() -> None:
    assert {name for _number, names in SHOWN for name in names} == set(RULES)


@pytest.mark.parametrize(("number", "names"), SHOWN, ids=[f"{'+'.join(names)}-{number}" for number, names in SHOWN])
def test_an_invariant_breaks_without(
    number: str, names: tuple[str, ...], template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in names:
        RULES[name](monkeypatch)
    scenario = SCENARIOS[number]
    with World.made(scenario.setup, template) as world, pytest.raises(Violation, match=r"^I[1-9]"):
        scenario.tell(Script(world))
