"""Jobs of which the bucket tells, as candidates for a baseline."""

from collections.abc import Iterable, Mapping

from mountfs.bucket.heads import JobHead
from mountfs.compare.baseline import Candidate


def of_heads(heads: Iterable[JobHead]) -> list[Candidate]:
    """Asked for by this process."""
    return [
        Candidate(head.job, _known({"status": head.status, "pr": head.pr, **head.tags}), head.when_ms,
                  frozenset(head.types), frozenset(head.top))
        for head in heads
    ]  # fmt: skip


def of_answer(answer: Mapping[str, object]) -> list[Candidate]:
    """As the daemon tells of them."""
    found = answer.get("heads")
    return [_candidate(head) for head in found if isinstance(head, dict)] if isinstance(found, list) else []


def _candidate(head: Mapping[str, object]) -> Candidate:
    tags, types, top = head.get("tags"), head.get("types"), head.get("top")
    return Candidate(
        _raw(head["job"]),
        {str(key): _raw(value) for key, value in tags.items()} if isinstance(tags, dict) else {},
        int(str(head["when_ms"])),
        frozenset(map(str, types)) if isinstance(types, list) else frozenset(),
        frozenset(map(_raw, top)) if isinstance(top, list) else frozenset(),
    )


def _known(tags: Mapping[str, bytes | None]) -> dict[str, bytes]:
    return {key: value for key, value in tags.items() if value is not None}


def _raw(text: object) -> bytes:
    return str(text).encode("utf-8", "surrogateescape")
