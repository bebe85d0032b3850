"""A proxy between boto3 and an S3 server that misbehaves on request.

It speaks plain HTTP/1.1 on loopback and takes requests and answers whole, so that a rule may decide about any of
them: refused, left hanging, cut off in the middle, answered with another status, slow, corrupted, done but never
answered, dated otherwise. The `Host` header travels untouched: SeaweedFS checks the signature against it. Signatures
stay good because nothing that is signed is changed.

Rules are tried in the order of their making; the first that fits and is not used up decides (shifts of the date
add up beside it). Every request is recorded, so that a test can promise how many there are.
"""

import contextlib
import http.client
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from io import BufferedReader
from typing import TypeAlias

from tests.faults.http_messages import Message, flipped, forward, kind_of, read_head, shifted

_IDLE_SECONDS = 60


@dataclass(frozen=True)
class Refuse:
    """The connection is reset before a word is said."""


@dataclass(frozen=True)
class Hang:
    """Nothing comes, until the rule is dropped or the proxy stopped. The server never sees the request."""


@dataclass(frozen=True)
class CutRequest:
    """The connection is reset after so many bytes of the request's body; the server sees nothing of it."""

    after_bytes: int = 1


@dataclass(frozen=True)
class CutAnswer:
    """The connection is reset after so many bytes of the answer's body; the server has done its part."""

    after_bytes: int = 1


@dataclass(frozen=True)
class LoseAnswer:
    """The server has done its part, and its answer never comes: the connection is reset."""


@dataclass(frozen=True)
class Status:
    """Another answer, in the server's stead: S3's error of that `code`, or `body`, or the page of some web server."""

    status: int
    code: str = ""
    body: str = "<html><body>not S3</body></html>"


@dataclass(frozen=True)
class Slow:
    """The answer's body comes at so many bytes a second."""

    bytes_per_second: int


@dataclass(frozen=True)
class SlowRequest:
    """The request's body is taken at so many bytes a second; the server sees nothing of it until all is here."""

    bytes_per_second: int


@dataclass(frozen=True)
class Corrupt:
    """One bit of the answer's body is wrong, at this byte (counted from the end when negative)."""

    at: int = 0


@dataclass(frozen=True)
class CorruptRequest:
    """One bit of the request's body is wrong when it reaches the server."""

    at: int = 0


@dataclass(frozen=True)
class Header:
    """The answer says this header otherwise; None drops it."""

    name: str
    value: str | None


@dataclass(frozen=True)
class ShiftDate:
    """The answer is dated so many seconds later. What was modified when stays: it is time that has passed."""

    seconds: float


Fault: TypeAlias = (
    Refuse
    | Hang
    | CutRequest
    | CutAnswer
    | LoseAnswer
    | Status
    | Slow
    | SlowRequest
    | Corrupt
    | CorruptRequest
    | Header
    | ShiftDate
)


@dataclass(eq=False)
class Rule:
    """One fault for the requests that fit. `method`, `kind` and `path` are patterns; the path has its query.

    `skip` fitting requests go by first; `times` get the fault (None: all). `hits` counts those.
    """

    fault: Fault
    method: str = ".*"
    path: str = ""
    kind: str = ".*"
    skip: int = 0
    times: int | None = None
    hits: int = 0
    dropped: threading.Event = field(default_factory=threading.Event)
    reached: threading.Event = field(default_factory=threading.Event)
    """Set by the first request that gets the fault: a test waits for it, and not for time to pass."""

    def drop(self) -> None:
        """The fault is over; what hangs in it is reset."""
        self.dropped.set()

    def fits(self, asked: "Asked") -> bool:
        return (
            not self.dropped.is_set()
            and re.fullmatch(self.method, asked.method) is not None
            and re.fullmatch(self.kind, asked.kind) is not None
            and re.search(self.path, asked.target) is not None
        )

    def takes(self) -> bool:
        """Whether this fitting request is one that gets the fault."""
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None and self.hits >= self.times:
            return False
        self.hits += 1
        self.reached.set()
        return True


@dataclass(frozen=True)
class Asked:
    """One request as it came. `kind` says what it is to S3 (`kind_of`)."""

    method: str
    target: str
    kind: str
    headers: dict[str, str]


class _Reset(Exception):
    """The connection ends here, with RST."""


class Proxy:
    """Listens on loopback and hands on to `port`; `endpoint_url` is for boto3. A context manager."""

    def __init__(self, port: int) -> None:
        self.server_port = port
        self.asked: list[Asked] = []
        self._rules: list[Rule] = []
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._threads = [threading.Thread(target=self._accept, name="proxy", daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> "Proxy":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def rule(
        self,
        fault: Fault,
        *,
        method: str = ".*",
        path: str = "",
        kind: str = ".*",
        skip: int = 0,
        times: int | None = None,
    ) -> Rule:
        made = Rule(fault, method, path, kind, skip, times)
        with self._lock:
            self._rules.append(made)
        return made

    def clear(self) -> None:
        """No faults any more."""
        with self._lock:
            rules, self._rules = self._rules, []
        for rule in rules:
            rule.drop()

    def counted(self) -> Counter[tuple[str, str]]:
        """How many requests came, by method and kind, since the last `forget`."""
        with self._lock:
            return Counter((one.method, one.kind) for one in self.asked)

    def forget(self) -> None:
        with self._lock:
            self.asked.clear()

    def stop(self) -> None:
        """Reset every connection and return when all threads have ended."""
        self._stopped.set()
        self.clear()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            connections, threads = list(self._open), list(self._threads)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(10)

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(_IDLE_SECONDS)
            thread = threading.Thread(target=self._serve, args=(connection,), name="proxied", daemon=True)
            with self._lock:
                self._open.add(connection)
                self._threads = [one for one in self._threads if one.is_alive()] + [thread]
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        """Requests of one connection, one after the other, until either side ends it."""
        upstream = http.client.HTTPConnection("127.0.0.1", self.server_port, timeout=_IDLE_SECONDS)
        try:
            with connection, connection.makefile("rb") as stream:
                try:
                    while self._serve_one(connection, stream, upstream):
                        pass
                except _Reset:
                    _reset(connection)
        except (OSError, ValueError, http.client.HTTPException):
            pass  # whoever waited for us went away, or the server did: the connection just ends
        finally:
            upstream.close()
            with self._lock:
                self._open.discard(connection)

    def _serve_one(
        self, connection: socket.socket, stream: BufferedReader, upstream: http.client.HTTPConnection
    ) -> bool:
        head = read_head(stream)
        if head is None:
            return False
        first, headers = head
        method, target, _ = first.split(" ", 2)
        asked = Asked(method, target, kind_of(method, target, headers), {name.lower(): text for name, text in headers})
        rule, shift_seconds = self._decide(asked)
        fault = rule.fault if rule else None
        if rule and isinstance(fault, Hang):
            self._hang(rule)
        if isinstance(fault, Refuse):
            raise _Reset
        body = _read_body(connection, stream, Message(first, headers, b""), fault, self._stopped)
        answer = self._answer(Message(first, headers, body), fault, upstream)
        answer.headers = [(name, shifted(name, text, shift_seconds)) for name, text in answer.headers]
        _send(connection, method, answer, fault, self._stopped)
        return True

    def _decide(self, asked: Asked) -> tuple[Rule | None, float]:
        """The rule for a request, and by how much its answer is dated later."""
        with self._lock:
            self.asked.append(asked)
            fitting = [rule for rule in self._rules if rule.fits(asked)]
            faults = (rule for rule in fitting if not isinstance(rule.fault, ShiftDate))
            shifts = (rule.fault for rule in fitting if isinstance(rule.fault, ShiftDate) and rule.takes())
            return next((rule for rule in faults if rule.takes()), None), sum(shift.seconds for shift in shifts)

    def _hang(self, rule: Rule) -> None:
        rule.dropped.wait()
        raise _Reset

    def _answer(self, request: Message, fault: Fault | None, upstream: http.client.HTTPConnection) -> Message:
        if isinstance(fault, Status):
            return _refusal(fault)
        if isinstance(fault, CorruptRequest):
            request.body = flipped(request.body, fault.at)
        answer = forward(request, upstream)
        match fault:
            case LoseAnswer():
                raise _Reset
            case Corrupt():
                answer.body = flipped(answer.body, fault.at)
            case Header():
                answer.headers = [pair for pair in answer.headers if pair[0].lower() != fault.name.lower()]
                answer.headers += [(fault.name, fault.value)] if fault.value is not None else []
        return answer


def _read_body(
    connection: socket.socket, stream: BufferedReader, head: Message, fault: Fault | None, stopped: threading.Event
) -> bytes:
    """The request's body. A client that waits for `100 Continue` is told to go on, or told the refusal at once."""
    length = int(head.header("content-length") or 0)
    if "chunked" in head.header("transfer-encoding").lower():
        raise ValueError("boto3 was told to send whole bodies")
    if head.header("expect") and not isinstance(fault, Status):
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    elif head.header("expect"):
        return b""
    if isinstance(fault, CutRequest):
        stream.read(min(length, fault.after_bytes))
        raise _Reset
    if isinstance(fault, SlowRequest):
        return b"".join(stream.read(size) for size in _paced(length, fault.bytes_per_second, stopped))
    return stream.read(length) if length else b""


def _send(
    connection: socket.socket, method: str, answer: Message, fault: Fault | None, stopped: threading.Event
) -> None:
    head = "\r\n".join([answer.first, *(f"{name}: {value}" for name, value in answer.headers), "", ""])
    connection.sendall(head.encode("latin-1"))
    body = b"" if method == "HEAD" else answer.body
    if isinstance(fault, CutAnswer):
        connection.sendall(body[: fault.after_bytes])
        raise _Reset
    if isinstance(fault, Slow):
        sent = 0
        for size in _paced(len(body), fault.bytes_per_second, stopped):
            connection.sendall(body[sent : sent + size])
            sent += size
    elif body:
        connection.sendall(body)


def _paced(length: int, bytes_per_second: int, stopped: threading.Event) -> Iterator[int]:
    """Sizes of pieces, each when its time has come: some fifty a second."""
    began, given = time.monotonic(), 0
    while given < length:
        size = min(length - given, max(1, bytes_per_second // 50))
        yield size
        given += size
        if stopped.wait(max(0.0, began + given / bytes_per_second - time.monotonic())):
            raise _Reset


def _refusal(fault: Status) -> Message:
    if fault.code:
        text = f"<Error><Code>{fault.code}</Code><Message>said by a test</Message></Error>"
    else:
        text = fault.body
    body = text.encode() if fault.status != 204 else b""
    headers = [
        ("Content-Type", "application/xml"),
        ("Content-Length", str(len(body))),
        ("Date", formatdate(usegmt=True)),
    ]
    return Message(f"HTTP/1.1 {fault.status} Said", headers, body)


def _reset(connection: socket.socket) -> None:
    """Close with RST, as a server that dies does, and not with an orderly end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
