"""What parent and child say to each other: a line that announces a report, its bytes, and a line that answers.

Pure, and the same for the commands' parent and the daemon's. Both lines are JSON in ASCII. The child read what
strangers wrote, so its answer is checked like theirs: `AnswerRefused` where it is not what it should be.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, assert_never

from mountfs.reports import coded
from mountfs.reports.limits import Broken
from mountfs.reports.model import Answer, Parsed, Unknown, Unreadable
from mountfs.reports.shape import Json, at, parse, table, text
from mountfs.reports.summaries import Numbers, kind_of, summarize, type_of

Want: TypeAlias = Literal["summary", "report"]

REQUEST_BYTES: Final = 200
ANSWER_BYTES: Final = 256 * 1024 * 1024  # a report at its limits; a summary is at most a few KiB
_WANTS: Final[Mapping[str, Want]] = MappingProxyType({"summary": "summary", "report": "report"})


class AnswerRefused(Exception):
    """The other side did not say what this protocol has; the connection is of no more use."""


@dataclass(frozen=True, slots=True)
class Request:
    """`size` bytes follow."""

    size: int
    want: Want


@dataclass(frozen=True, slots=True)
class Summary:
    """A report that was read, as the catalog keeps it."""

    format: str
    schema: str
    kind: str
    type: str
    numbers: Numbers


Told: TypeAlias = Parsed | Summary | Unreadable | Unknown


def summary_of(answer: Answer) -> Summary | Unreadable | Unknown:
    """The answer with the numbers instead of the report."""
    if isinstance(answer, Parsed):
        numbers = summarize(answer.report)
        return Summary(answer.format, answer.schema, kind_of(answer.report), type_of(answer), numbers)
    return answer


def encode_request(request: Request) -> bytes:
    return json.dumps({"size": request.size, "want": request.want}).encode() + b"\n"


def decode_request(line: bytes) -> Request:
    """Raises AnswerRefused."""
    try:
        document = table(parse(line), "request")
    except Broken as broken:
        raise AnswerRefused(f"a request {broken}") from None
    size, want = document.get("size"), _WANTS.get(text(document.get("want")))
    if not isinstance(size, int) or isinstance(size, bool) or size < 0 or want is None:
        raise AnswerRefused("a request without size or want")
    return Request(size, want)


def encode(told: Told) -> bytes:
    """The answer as one line. That of a whole report has its summary too."""
    return json.dumps(_document(told), allow_nan=False, separators=(",", ":")).encode() + b"\n"


def _document(told: Told) -> dict[str, Json]:
    match told:
        case Parsed():
            summary = summary_of(told)
            return {**_document(summary), "report": coded.encoded(told.report)}
        case Summary():
            said: dict[str, Json] = {"answer": "parsed", "format": told.format, "schema": told.schema}
            return {**said, "kind": told.kind, "type": told.type, "summary": dict(told.numbers)}
        case Unreadable():
            return {"answer": "unreadable", "format": told.format, "reason": told.reason}
        case Unknown():
            return {"answer": "unknown"}
        case _:
            assert_never(told)


def decode(line: bytes) -> Told:
    """What `encode` was given: with its report where the line has one, else with its summary. Raises AnswerRefused."""
    try:
        document = table(parse(line), "answer")
        return _told(document)
    except Broken as broken:
        raise AnswerRefused(f"an answer {broken}") from None


def _told(document: Mapping[str, Json]) -> Told:
    format_ = text(document.get("format"))
    match document.get("answer"):
        case "unknown":
            return Unknown()
        case "unreadable" if format_:
            return Unreadable(format_, text(document.get("reason")))
        case "parsed" if format_:
            return _parsed(document, format_)
        case _:
            raise Broken("says neither parsed, unreadable nor unknown")


def _parsed(document: Mapping[str, Json], format_: str) -> Parsed | Summary:
    schema, kind = text(document.get("schema")), text(document.get("kind"))
    if "report" in document:
        return Parsed(format_, coded.decoded(kind, document["report"]), schema)
    return Summary(format_, schema, kind, text(document.get("type")), _numbers(at(document.get("summary"))))


def _numbers(value: Json) -> Numbers:
    numbers: dict[str, int | float | str] = {}
    for name, number in table(value, "summary").items():
        if isinstance(number, bool) or not isinstance(number, int | float | str):
            raise Broken("has a summary of other things than numbers")
        numbers[name] = number
    return MappingProxyType(numbers)
