"""Judges what a power loss leaves: what fsync acknowledged is there, and nothing wrong is ever served.

For each path there is a floor, the last fsync that covered it. The path must be as it was then, or as it was
acknowledged at any moment since, the step under way included. A file that is marked as recovered may hold a
mixture of these: it was being written when the power failed.
"""

from dataclasses import dataclass

from mountfs.model import Standing
from tests.crash.invariants import Found, judge
from tests.crash.judging import Expected, expected_states, is_mixed
from tests.crash.scenarios import PREPARED, steps_of
from tests.crash.steps import DirectorySync, FileSync, Model, Node
from tests.faults.powerloss import CrashState


@dataclass(frozen=True)
class Promises:
    """A scenario's acknowledged states, and the directory that each of its steps made durable."""

    states: list[Expected]
    synced: list[str | None]

    @classmethod
    def of(cls, name: str) -> "Promises":
        return cls(expected_states(name), _synced_directories(name))

    def since_floor(self, path: str, done: int) -> list[Expected]:
        """The states that this path may be found in after `done` acknowledged steps."""
        covering = [step for step in range(1, done + 1) if _covers(self.synced[step], path)]
        return self.states[max(covering, default=0) : done + 2]


def _synced_directories(name: str) -> list[str | None]:
    model = Model()
    for step in [] if name == "first" else PREPARED:
        step.expect(model)
    synced: list[str | None] = [None]
    for step in steps_of(name):
        step.expect(model)
        match step:
            case DirectorySync(path):
                synced.append(path)
            case FileSync(slot):
                paths = [path for path, node in model.nodes.items() if node is model.open[slot]]
                synced.append(paths[0].rpartition("/")[0] if paths else None)
            case _:
                synced.append(None)
    return synced


def _covers(directory: str | None, path: str) -> bool:
    """An fsync is for what lies directly in the directory, for itself, and for the names that lead to it."""
    return directory is not None and (path.rpartition("/")[0] == directory or f"{directory}/".startswith(f"{path}/"))


def survives(state: CrashState, promises: Promises) -> None:
    """Assert that this power loss broke no promise."""
    found = judge(state.root, may_be_damaged=True)
    done = int(state.marks[-1]) if state.marks else 0
    at = f"at event {state.at}, after step {done}, {state.style}/{state.seed}"
    for path in {path for expected in promises.states[: done + 2] for path in expected} | found.keys():
        wrong = _wrong(path, found.get(path), promises.since_floor(path, done))
        assert wrong is None, f"{path} {wrong} ({at})"


def _wrong(path: str, found: Found | None, possible: list[Expected]) -> str | None:
    nodes = [expected[path] for expected in possible if path in expected]
    if found is None:
        return "is lost" if len(nodes) == len(possible) else None
    if not nodes:
        return "was never acknowledged, or its removal was synced"
    if found.kind not in [node.kind for node in nodes]:
        return f"is of kind {found.kind}"
    if found.tags not in [node.tags for node in nodes]:
        return f"has the tags {found.tags}"
    if found.mode not in [node.mode for node in nodes]:
        return f"has mode {found.mode:o}"
    return _wrong_content(found, nodes, synced=path in possible[0])


def _wrong_content(found: Found, nodes: list[Node], *, synced: bool) -> str | None:
    contents = [node.content for node in nodes]
    if found.content is None:
        return "was synced and cannot be read" if synced and found.size == len(contents[0]) else None
    if found.content in contents:
        return None
    drafts = [draft for node in nodes for draft in node.drafts]
    if found.standing != Standing.RECOVERED:
        return f"has {len(found.content)} bytes that nobody acknowledged"
    if not is_mixed(found.content, contents + drafts, zeros_from=len(contents[0]) if synced else 0):
        return "is a mixture with bytes that nobody wrote"
    return None
