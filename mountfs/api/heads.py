"""Jobs of which the bucket tells, as a daemon passes it on."""

from collections.abc import Mapping

from mountfs.compare.baseline import Candidate


def of_answer(answer: Mapping[str, object]) -> list[Candidate]:
    """As the daemon tells of them."""
    found = answer.get("heads")
    return [_candidate(head) for head in found if isinstance(head, dict)] if isinstance(found, list) else []


def _candidate(head: Mapping[str, object]) -> Candidate:
    tags, types, top = head.get("tags"), head.get("types"), head.get("top")
    return Candidate(
        _raw(head["job"]),
        {str(key): _raw(value) for key, value in tags.items()} if isinstance(tags, dict) else {},
        int(str(head["began_ns"])),
        frozenset(map(str, types)) if isinstance(types, list) else frozenset(),
        frozenset(map(_raw, top)) if isinstance(top, list) else frozenset(),
    )


def _raw(text: object) -> bytes:
    return str(text).encode("utf-8", "surrogateescape")
