"""`url`: where anybody can read an artifact, and until when."""

from datetime import UTC, datetime

from mountfs import namespace
from mountfs.daemon.control import Answer, Handler
from mountfs.daemon.parts import Parts
from mountfs.errors import InvalidArgument
from mountfs.transfers.linking import Link, local_link

DEFAULT_SECONDS = 3600


def handlers(parts: Parts) -> dict[str, Handler]:
    async def url(request: dict[str, object]) -> Answer:
        """A link to `key` for `seconds`; `plain`: one that answers without a Content-Encoding."""
        names = namespace.split_key(str(request["key"]))
        seconds = int(float(str(request.get("seconds", DEFAULT_SECONDS))))
        if seconds < 1:
            raise InvalidArgument("a URL lives for a second at least")
        return _told(await _link(parts, names, seconds=seconds, plain=bool(request.get("plain"))))

    return {"url": url}


async def _link(parts: Parts, names: tuple[bytes, ...], *, seconds: int, plain: bool) -> Link:
    tree, bucket = parts.store.tree, parts.bucket
    if bucket is None:
        return local_link(parts.store, tree.walk(names).ino)
    if tree.find(tree.walk(()).ino, names[0]) is None:
        await bucket.look(names[0])
    await bucket.into(tree.walk(names[:1]).ino)
    return await bucket.links.link(tree.walk(names).ino, seconds=seconds, plain=plain)


def _told(link: Link) -> Answer:
    ends = None if link.ends_s is None else datetime.fromtimestamp(link.ends_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "url": link.url,
        "expires_at": ends,
        "content_type": link.content_type,
        "content_encoding": link.content_encoding,
        "uploaded": link.uploaded,
    }
