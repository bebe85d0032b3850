"""`replace`: what `mountfs put` and the API store takes a key, also where another machine wrote what has it."""

from mountfs import namespace
from mountfs.daemon.control import Answer, Handler
from mountfs.daemon.parts import Parts
from mountfs.errors import InvalidArgument
from mountfs.store.paths import Changes


def handlers(parts: Parts) -> dict[str, Handler]:
    async def replace(request: dict[str, object]) -> Answer:
        """Give the file `draft` the key `key`, in the same directory; all or nothing."""
        *directory, name = namespace.split_key(str(request.get("key")))
        *beside, draft = namespace.split_key(str(request.get("draft")))
        if directory != beside:
            raise InvalidArgument("replace: both are in the same directory")
        parent = parts.store.tree.walk(tuple(directory)).ino
        parts.store.tree.replace(parent, draft, name)
        parts.changed(Changes(names={(parent, draft), (parent, name)}))
        parts.wake()
        return {}

    return {"replace": replace}
