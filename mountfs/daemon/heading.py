"""For who compares jobs that others made: `heads`, which there are, and `expect`, what is going to be read of them."""

from mountfs.bucket.heads import JobHead
from mountfs.daemon.control import Answer, Handler
from mountfs.daemon.parts import Parts

MOST_HEADS = 1000
MOST_EXPECTED = 64  # 2 ms


def handlers(parts: Parts) -> dict[str, Handler]:
    async def heads(request: dict[str, object]) -> Answer:
        """Of the tag `key` with `value`, `limit` jobs at most; `beginning`: of values that begin so. Raises
        RemoteUnavailable, RemoteDenied."""
        bucket = parts.need_bucket()
        value = str(request["value"]).encode("utf-8", "surrogateescape")
        limit = min(int(str(request.get("limit", 1))), MOST_HEADS)
        await bucket.connection()
        is_beginning = bool(request.get("beginning"))
        found = await bucket.heads.ask(str(request["key"]), value, limit=limit, is_beginning=is_beginning)
        return {"heads": [told(head) for head in found]}

    async def expect(request: dict[str, object]) -> Answer:
        """The entries `inos` are read next, all of them: the fewest requests bring them."""
        inos = request.get("inos")
        if parts.bucket is not None and isinstance(inos, list):
            parts.bucket.downloads.expect(int(ino) for ino in inos[:MOST_EXPECTED])
        return {}

    return {"heads": heads, "expect": expect}


def told(head: JobHead) -> dict[str, object]:
    """Names and values are bytes; those that are no text travel as surrogates."""
    facts = {"status": head.status, "pr": head.pr, **head.tags}
    return {
        "job": _text(head.job),
        "began_ns": head.began_ns,
        "tags": {key: _text(value) for key, value in facts.items() if value is not None},
        "types": list(head.types),
        "top": [_text(name) for name in head.top],
    }


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
