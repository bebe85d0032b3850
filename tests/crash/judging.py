"""Compares what a store holds after a death with what was acknowledged before it."""

from pathlib import Path

from mountfs.model import Standing
from tests.crash.invariants import Found, Tree, judge
from tests.crash.scenarios import FROM_NOTHING, PREPARED, steps_of
from tests.crash.steps import Node, Step, states

BLOCK_BYTES = 64 << 10

Expected = dict[str, Node]


def expected_states(name: str) -> list[Expected]:
    """The tree after each step of a scenario, which began on what it is to begin on."""
    earlier: list[Step] = [] if name in FROM_NOTHING else [*PREPARED]
    earlier += steps_of("unfinished") if name == "recovery" else []
    return states([*earlier, *steps_of(name)])[len(earlier) :]


def acknowledged_is_there(state: Path, acknowledged: list[str], expected: list[Expected]) -> None:
    """After a kill: the tree is that of the last acknowledged step, or of the one that was under way."""
    found = judge(state)
    done = int(acknowledged[-1]) if acknowledged else 0
    candidates = expected[done : done + 2]
    complaints = [difference(found, candidate, candidates[-1]) for candidate in candidates]
    assert None in complaints, f"after step {done}: {complaints[0]}; or, had the next step been done: {complaints[-1]}"


def difference(found: Tree, expected: Expected, later: Expected) -> str | None:
    """The first way in which `found` is not what is expected; what is under way may be half `later`."""
    if found.keys() != expected.keys():
        return f"names {sorted(found.keys() ^ expected.keys())}"
    for path, node in expected.items():
        if (wrong := _wrong(found[path], node, later.get(path, node))) is not None:
            return f"{path}: {wrong}"
    return None


def _wrong(found: Found, node: Node, later: Node) -> str | None:
    if (found.kind, found.mode, found.tags) != (node.kind, node.mode, node.tags):
        return f"found {found.kind, oct(found.mode), found.tags}, not {node.kind, oct(node.mode), node.tags}"
    if found.content is None:
        return "cannot be read"
    if found.standing not in (node.standing, later.standing):
        return f"is {found.standing}, not {node.standing}"
    if found.content in (node.content, later.content):
        return None
    if node.standing == Standing.RECOVERED and is_mixed(found.content, [node.content, *node.drafts, *later.drafts]):
        return None
    return f"{len(found.content)} bytes that nobody acknowledged, instead of {len(node.content)}"


def is_mixed(found: bytes, written: list[bytes], *, zeros_from: int = 0) -> bool:
    """Whether each byte is one that was written there or, behind `zeros_from`, a zero that nobody wrote yet."""
    sizes = [len(content) for content in written]
    if not min(sizes) <= len(found) <= max(sizes):
        return False
    for start in range(0, len(found), BLOCK_BYTES):
        part = found[start : start + BLOCK_BYTES]
        sources = [content[start : start + len(part)] for content in written]
        if part not in sources and not _each_byte_from(part, sources, zeros_from=zeros_from - start):
            return False
    return True


def _each_byte_from(part: bytes, sources: list[bytes], *, zeros_from: int) -> bool:
    return all(
        (part[i] == 0 and i >= zeros_from) or any(part[i : i + 1] == source[i : i + 1] for source in sources)
        for i in range(len(part))
    )
