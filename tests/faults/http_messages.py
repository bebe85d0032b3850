"""HTTP/1.1 messages of S3, taken whole: read, handed on, changed. For the proxy beside this."""

import http.client
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from io import BufferedReader
from urllib.parse import parse_qs, urlsplit

_HEAD_BYTES_MAX = 64 << 10
_HOP = frozenset({"connection", "expect", "keep-alive", "transfer-encoding", "content-length"})


@dataclass
class Message:
    """A request or an answer: first line, headers as they came, body."""

    first: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name), "")


def kind_of(method: str, target: str, headers: list[tuple[str, str]]) -> str:
    """What a request is to S3: object, range, copy, list, delete-many, part, and the words of multipart uploads."""
    url = urlsplit(target)
    query = parse_qs(url.query, keep_blank_values=True)
    names = {name.lower() for name, _ in headers}
    if "uploads" in query:
        return "begin" if method == "POST" else "list-uploads"
    if "uploadId" in query:
        part = "part-copy" if "x-amz-copy-source" in names else "part"
        return {"PUT": part, "POST": "complete", "DELETE": "abort"}.get(method, "list-parts")
    if "delete" in query:
        return "delete-many"
    if "list-type" in query:
        return "list"
    if "/" not in url.path.strip("/"):
        return "bucket"
    if "x-amz-copy-source" in names:
        return "copy"
    return "range" if "range" in names else "object"


def read_head(stream: BufferedReader) -> tuple[str, list[tuple[str, str]]] | None:
    first = stream.readline(_HEAD_BYTES_MAX).decode("latin-1").strip()
    if not first:
        return None
    headers = []
    while line := stream.readline(_HEAD_BYTES_MAX).decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers.append((name.strip(), value.strip()))
    return first, headers


def forward(request: Message, upstream: http.client.HTTPConnection) -> Message:
    """The server's own answer, over a connection that is made anew when the server has closed the old one."""
    method, target, _ = request.first.split(" ", 2)
    for _ in range(2):
        try:
            upstream.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers:
                if name.lower() not in _HOP:
                    upstream.putheader(name, value)
            upstream.putheader("Content-Length", str(len(request.body)))
            upstream.endheaders(request.body)
            answer = upstream.getresponse()
            break
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            upstream.close()
    else:
        raise ConnectionResetError
    first = f"HTTP/1.1 {answer.status} {answer.reason}"
    headers = answer.getheaders()
    body = answer.read()
    length = answer.getheader("Content-Length")
    kept = [(name, value) for name, value in headers if name.lower() not in _HOP]
    # An answer to HEAD says a length and has no body.
    return Message(first, [*kept, ("Content-Length", length if length and not body else str(len(body)))], body)


def flipped(body: bytes, at: int) -> bytes:
    if not body:
        return body
    changed = bytearray(body)
    changed[at] ^= 1
    return bytes(changed)


def shifted(name: str, text: str, seconds: float) -> str:
    if name.lower() != "date":
        return text
    return formatdate(parsedate_to_datetime(text).timestamp() + seconds, usegmt=True)
