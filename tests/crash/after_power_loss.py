"""Judges what a power loss leaves: what fsync acknowledged is there, and nothing wrong is ever served.

For each path there is a floor, the last fsync that covered it. The path must be as it was then, or as it was
acknowledged at any moment since, the step under way included. A file that is marked as recovered may hold a
mixture of these and of what was written and not closed: it was being written when the power failed. A file that was
replaced by a rename may be missing while nobody has synced the rename: the new one was never on the disk.
"""

from dataclasses import dataclass

from mountfs.model import Standing
from tests.crash.invariants import Found, judge
from tests.crash.judging import Expected, is_mixed
from tests.crash.scenarios import FROM_NOTHING, PREPARED, steps_of
from tests.crash.steps import DirectorySync, FileSync, Model, Node, Step
from tests.faults.powerloss import CrashState


@dataclass(frozen=True)
class Promises:
    """The acknowledged states of a scenario, and the directory that each of its steps made durable.

    `began` steps had been done when the recording began: what they did was on the disk, and not synced. `nameless`
    are, after each step, open files whose name is gone: it may be back, with what was written to them since.
    """

    states: list[Expected]
    synced: list[str | None]
    nameless: list[list[Node]]
    began: int = 0

    @classmethod
    def of(cls, name: str) -> "Promises":
        before = steps_of("unfinished") if name == "recovery" else []
        model = Model()
        synced: list[str | None]
        for step in [] if name in FROM_NOTHING else PREPARED:
            step.expect(model)
        states, synced, nameless = [model.snapshot()], [None], [_nameless(model)]
        for step in [*before, *steps_of(name)]:
            step.expect(model)
            states.append(model.snapshot())
            synced.append(_synced_directory(step, model))
            nameless.append(_nameless(model))
        return cls(states, synced, nameless, len(before))

    def since_floor(self, path: str, done: int) -> list[Expected]:
        """The states that this path may be found in after `done` acknowledged steps."""
        covering = [step for step in range(1, done + 1) if _covers(self.synced[step], path)]
        return self.states[max(covering, default=0) : done + 2]

    def nodes_since_floor(self, birth: int, done: int) -> list[Node]:
        """What one file was since it was last synced, whatever its name was."""
        nodes: list[Node] = []
        for state, synced in zip(self.states[: done + 2], [*self.synced[: done + 1], None], strict=False):
            for path, node in state.items():
                if node.birth == birth:
                    nodes = [node] if _covers(synced, path) else [*nodes, node]
        return nodes


def _nameless(model: Model) -> list[Node]:
    named = {node.birth for node in model.nodes.values()}
    return [node.copy() for node in model.open.values() if node.birth not in named]


def _synced_directory(step: Step, model: Model) -> str | None:
    match step:
        case DirectorySync(path):
            return path
        case FileSync(slot):
            paths = [path for path, node in model.nodes.items() if node is model.open[slot]]
            return paths[0].rpartition("/")[0] if paths else None
        case _:
            return None


def _covers(directory: str | None, path: str) -> bool:
    """An fsync is for what lies directly in the directory, for itself, and for the names that lead to it."""
    return directory is not None and (path.rpartition("/")[0] == directory or f"{directory}/".startswith(f"{path}/"))


def survives(state: CrashState, promises: Promises) -> None:
    """Assert that this power loss broke no promise."""
    found = judge(state.root, may_be_damaged=True)
    done = promises.began + (int(state.marks[-1]) if state.marks else 0)
    at = f"at event {state.at}, after step {done - promises.began}, {state.style}/{state.seed}"
    for path in {path for expected in promises.states[: done + 2] for path in expected} | found.keys():
        wrong = _wrong(path, found.get(path), promises, done)
        assert wrong is None, f"{path} {wrong} ({at})"


def _wrong(path: str, found: Found | None, promises: Promises, done: int) -> str | None:
    possible = promises.since_floor(path, done)
    here = [expected[path] for expected in possible if path in expected]
    replaced = len({node.birth for node in here}) > 1
    if found is None:
        return "is lost" if len(here) == len(possible) and not replaced else None
    if not here:
        return "was never acknowledged, or its removal was synced"
    if found.kind not in [node.kind for node in here]:
        return f"is of kind {found.kind}"
    nodes = [node for birth in {node.birth for node in here} for node in promises.nodes_since_floor(birth, done)]
    if found.tags not in [node.tags for node in nodes]:
        return f"has the tags {found.tags}"
    if found.mode not in [node.mode for node in nodes]:
        return f"has mode {found.mode:o}"
    births = {node.birth for node in here}
    later = [node for step in promises.nameless[: done + 2] for node in step if node.birth in births]
    return _wrong_content(found, nodes, later, synced=None if replaced else possible[0].get(path))


def _wrong_content(found: Found, nodes: list[Node], later: list[Node], *, synced: Node | None) -> str | None:
    contents = [node.content for node in nodes]
    kept = len(synced.content) if synced else 0
    if found.content is None:
        return "was synced and cannot be read" if synced and found.size == kept else None
    if found.content in contents:
        return None
    drafts = [draft for node in [*nodes, *later] for draft in node.drafts]
    drafts += [bytes(node.current) for node in [*nodes, *later] if node.current is not None]
    if found.standing != Standing.RECOVERED:
        return f"has {len(found.content)} bytes that nobody acknowledged"
    if not is_mixed(found.content, contents + drafts, zeros_from=kept):
        return "is a mixture with bytes that nobody wrote"
    return None
