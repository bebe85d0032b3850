"""What a protocol step may ask for, and how a list of steps is driven without an event loop."""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from mountfs.errors import CacheFull, MountfsError
from mountfs.remote.protocol import Answered, Fetched, Found, Listed, Page, Remote, Source, Unfinished, Upload

T = TypeVar("T")
A = TypeVar("A", covariant=True)


class Request(Generic[A]):
    """One step. `run` may be called in any thread."""

    def run(self, remote: Remote) -> A:
        raise NotImplementedError


Steps = Generator[Request[object], object, T]
"""A protocol run that ends with a T. What a request raises is thrown into it."""


@dataclass(frozen=True, slots=True)
class List(Request[Page]):
    prefix: str
    after: str = ""
    delimiter: str = ""
    token: str | None = None

    def run(self, remote: Remote) -> Page:
        return remote.list(self.prefix, after=self.after, delimiter=self.delimiter, token=self.token)


@dataclass(frozen=True, slots=True)
class Tail(Request[Fetched]):
    key: str
    length: int

    def run(self, remote: Remote) -> Fetched:
        return remote.get_tail(self.key, self.length)


@dataclass(frozen=True, slots=True)
class Range(Request[Fetched]):
    key: str
    offset: int
    length: int

    def run(self, remote: Remote) -> Fetched:
        return remote.get_range(self.key, self.offset, self.length)


@dataclass(frozen=True, slots=True)
class Get(Request[Fetched]):
    key: str
    most_bytes: int

    def run(self, remote: Remote) -> Fetched:
        return remote.get(self.key, most_bytes=self.most_bytes)


@dataclass(frozen=True, slots=True)
class Head(Request["Found | None"]):
    key: str

    def run(self, remote: Remote) -> Found | None:
        return remote.head(self.key)


@dataclass(frozen=True, slots=True)
class Put(Request[Answered]):
    key: str
    data: bytes = field(repr=False)
    content_type: str | None = None
    content_encoding: str | None = None
    if_absent: bool = False

    def run(self, remote: Remote) -> Answered:
        return remote.put(
            self.key, self.data, content_type=self.content_type, content_encoding=self.content_encoding,
            if_absent=self.if_absent,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class PutLarge(Request[Answered]):
    key: str
    source: Source
    resume: Upload | None
    noted: Callable[[Upload], None]
    progress: Callable[[int], None]

    def run(self, remote: Remote) -> Answered:
        return remote.put_large(
            self.key, self.source, resume=self.resume, noted=self.noted, progress=self.progress,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Copy(Request[Answered]):
    source: str
    key: str

    def run(self, remote: Remote) -> Answered:
        return remote.copy(self.source, self.key)


@dataclass(frozen=True, slots=True)
class Delete(Request[None]):
    keys: tuple[str, ...]

    def run(self, remote: Remote) -> None:
        remote.delete(self.keys)


@dataclass(frozen=True, slots=True)
class ListUploads(Request[Unfinished]):
    """Multipart uploads that were begun below a prefix and never ended."""

    prefix: str

    def run(self, remote: Remote) -> Unfinished:
        return remote.unfinished(self.prefix)


@dataclass(frozen=True, slots=True)
class Abort(Request[None]):
    upload: Upload

    def run(self, remote: Remote) -> None:
        remote.abort(self.upload)


@dataclass(frozen=True, slots=True)
class ServerTime(Request[Answered]):
    def run(self, remote: Remote) -> Answered:
        return Answered(remote.server_ms())


@dataclass(frozen=True, slots=True)
class Together(Request["list[object]"]):
    """Requests side by side; the answers in their order, an error as a value."""

    requests: Sequence[Request[object]]

    def run(self, remote: Remote) -> list[object]:
        def one(request: Request[object]) -> object:
            try:
                return request.run(remote)
            except MountfsError as error:
                return error

        if len(self.requests) < 2:
            return [one(request) for request in self.requests]
        with ThreadPoolExecutor(min(16, len(self.requests))) as threads:
            return list(threads.map(one, self.requests))


@dataclass(frozen=True, slots=True)
class Work(Request[A]):
    """Something to compute, where it holds up nobody."""

    work: Callable[[], A]

    def run(self, remote: Remote) -> A:
        return self.work()


@dataclass(frozen=True, slots=True)
class MakeRoom(Request[None]):
    """Before more is written here: let what may go first make room. Raises `lack`, where nothing does."""

    lack: CacheFull

    def run(self, remote: Remote) -> None:
        raise self.lack


class Pause(Request[None]):
    """Let others go first: a long run between two requests holds up the loop."""

    def run(self, remote: Remote) -> None:
        return None


def ask(request: Request[T]) -> Generator[Request[object], object, T]:
    """`answer = yield from ask(request)`: the answer in its type."""
    answer = yield request
    return answer  # type: ignore[return-value]


def listing(prefix: str) -> Steps[list[Listed]]:
    """All objects under a prefix, page by page."""
    found: list[Listed] = []
    token: str | None = None
    while True:
        page = yield from ask(List(prefix, token=token))
        found.extend(page.objects)
        if page.token is None:
            return found
        token = page.token


def drive(steps: Steps[T], remote: Remote) -> T:
    """Carry out all steps in a row, in this thread."""
    answer: object = None
    error: MountfsError | None = None
    while True:
        try:
            request = steps.throw(error) if error is not None else steps.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result
        try:
            answer, error = request.run(remote), None
        except MountfsError as raised:
            answer, error = None, raised
