"""A bucket in memory with a clock of its own: strongly consistent, listings in pages, every request one step."""

import bisect
from collections.abc import Callable, Sequence

from mountfs.errors import ObjectMissing, PutRefused
from mountfs.remote.protocol import (
    Answered,
    Capabilities,
    Fetched,
    Found,
    Listed,
    Page,
    Source,
    Unfinished,
    Upload,
    ignore,
)


class SimulatedBucket:
    """Objects by key with the time of their PUT. `page` is how many keys a listing gives at a time; `resolution_ms` of
    the times that it tells, as servers tell whole seconds."""

    capabilities = Capabilities(conditional_put=True, presign=False, multipart=False)
    where = "memory"

    def __init__(self, *, now_ms: int, page: int = 1000, resolution_ms: int = 1) -> None:
        self.now_ms = now_ms
        self.resolution_ms = resolution_ms
        self.page = page
        self.objects: dict[str, tuple[bytes, int]] = {}
        self.requests: list[tuple[str, str]] = []

    @property
    def told_ms(self) -> int:
        """What its `Date` header says."""
        return self.now_ms - self.now_ms % self.resolution_ms

    def _said(self, kind: str, key: str) -> None:
        self.requests.append((kind, key))

    def put(
        self, key: str, data: bytes, *, content_type: str | None = None, content_encoding: str | None = None,
        if_absent: bool = False,
    ) -> Answered:  # fmt: skip
        self._said("put", key)
        if if_absent and key in self.objects:
            raise PutRefused(key)
        self.objects[key] = (bytes(data), self.told_ms)
        return Answered(self.told_ms)

    def put_large(
        self, key: str, source: Source, *, resume: Upload | None = None, noted: Callable[[Upload], None] = ignore,
        progress: Callable[[int], None] = ignore, content_type: str | None = None, content_encoding: str | None = None,
    ) -> Answered:  # fmt: skip
        self._said("put_large", key)
        self.objects[key] = (source.read(0, source.size), self.told_ms)
        progress(source.size)
        return Answered(self.told_ms)

    def get(self, key: str, *, most_bytes: int) -> Fetched:
        self._said("get", key)
        data = self._data(key)
        return Fetched(data, len(data), self.told_ms)

    def get_range(self, key: str, offset: int, length: int) -> Fetched:
        self._said("get_range", key)
        data = self._data(key)
        return Fetched(data[offset : offset + length], len(data), self.told_ms)

    def get_tail(self, key: str, length: int) -> Fetched:
        self._said("get_tail", key)
        data = self._data(key)
        return Fetched(data[-length:], len(data), self.told_ms)

    def head(self, key: str) -> Found | None:
        self._said("head", key)
        found = self.objects.get(key)
        return None if found is None else Found(len(found[0]), found[1], self.told_ms)

    def copy(self, source: str, key: str) -> Answered:
        self._said("copy", key)
        self.objects[key] = (self._data(source), self.told_ms)
        return Answered(self.told_ms)

    def _data(self, key: str) -> bytes:
        if key not in self.objects:
            raise ObjectMissing(key)
        return self.objects[key][0]

    def list(
        self, prefix: str, *, after: str = "", delimiter: str = "", token: str | None = None, limit: int = 1000
    ) -> Page:
        self._said("list", prefix)
        after = max(after, token or "")
        keys = sorted(key for key in self.objects if key.startswith(prefix))
        found: list[Listed] = []
        prefixes: list[str] = []
        at = bisect.bisect_right(keys, after)
        limit = min(limit, self.page)
        last = after
        for key in keys[at:]:
            if len(found) + len(prefixes) == limit:
                return Page(tuple(found), tuple(prefixes), last)
            last = key
            rest = key[len(prefix) :]
            if delimiter and delimiter in rest:
                common = prefix + rest[: rest.index(delimiter) + 1]
                if common not in prefixes and common > after:
                    prefixes.append(common)
                continue
            found.append(Listed(key, len(self.objects[key][0]), self.objects[key][1]))
        return Page(tuple(found), tuple(prefixes), None)

    def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            self._said("delete", key)
            self.objects.pop(key, None)

    def presign(
        self, key: str, *, seconds: int, content_type: str | None, content_encoding: str | None, filename: str | None
    ) -> tuple[str, int]:
        raise NotImplementedError

    def server_ms(self) -> int:
        return self.told_ms

    def unfinished(self, prefix: str) -> Unfinished:
        return []

    def abort(self, upload: Upload) -> None:
        return None
