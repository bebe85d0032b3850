"""Gates: what must not happen, as `new_failures>0, coverage.line<-0.5, findings.high>0`; what holds, fails.

A gate that cannot be judged, because a side lacks the report, fails as well, and says why: a run whose tests crashed
before they could write a report would otherwise be the best of all. Who starts without a baseline has
`--no-baseline ok`.
"""

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from mountfs.compare.comparison import Comparison
from mountfs.compare.measures import Measure, measure
from mountfs.compare.metrics import Metric, Unit, metric_named
from mountfs.errors import InvalidArgument
from mountfs.namespace.units import parse_duration_seconds, parse_size

MOST_TEXT: Final = 4096
MOST_GATES: Final = 64
AFTER: Final = "after."
_NONE: Final = (
    "no gate is named: a variable that is not set? Name one, as in new_failures>0, or leave --fail-on away;"
    " no gates at all would fail on nothing"
)

_OPERATORS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
}
_GATE: Final = re.compile(
    r"""\s*(?P<name>(?:"[^"]*"|[^\s<>=!,"])+)\s*(?P<operator>[<>]=?|[!=]=|=)\s*(?P<sign>[-+]?)(?P<number>[^\s,<>=]+(?:\s+[A-Za-zµ%]+)?)\s*(?P<end>,|$)"""
)


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition under which a comparison fails.

    `absolute`: on what the number is now, else on its change; `relative`: on the change in percent of before.
    """

    text: str
    metric: Metric
    operator: str
    threshold: float
    absolute: bool = False
    relative: bool = False


@dataclass(frozen=True, slots=True)
class GateResult:
    """What a gate found. Not `judged`, it has no value, and fails."""

    name: str
    gate: str
    value: float | None
    threshold: float
    failed: bool
    reason: str
    judged: bool = True


def parse_gates(text: str) -> list[Gate]:
    """The gates that a text names, separated by commas; a name with other signs stands in quotes: bench."f[1, 2]".

    A number may have a unit: `size>1MiB`, `load.p95>50ms`; with % a gate is on the change in percent of before, but
    coverage, which is in percent, changes by points. Raises InvalidArgument with the position of what does not fit,
    and where nothing is named: who asks for gates means some.
    """
    if not text.strip():
        raise InvalidArgument(_NONE)
    if len(text) > MOST_TEXT:
        raise InvalidArgument(f"gates of {len(text)} characters; allowed: up to {MOST_TEXT}")
    gates: list[Gate] = []
    position = 0
    while position < len(text) or not gates:
        found = _GATE.match(text, position)
        if found is None:
            raise _problem(text, position, "expected NAME<NUMBER, as in new_failures>0, coverage.line<-0.5")
        gates.append(_gate(text, found))
        position = found.end()
        if found["end"] == "," and not text[position:].strip():
            raise _problem(text, position, "nothing after the comma")
        if len(gates) > MOST_GATES:
            raise _problem(text, position, f"more than {MOST_GATES} gates")
    return gates


def _problem(text: str, position: int, reason: str) -> InvalidArgument:
    """Position counts from 1, as people do, and the sign is shown with what follows."""
    at = position + len(text[position:]) - len(text[position:].lstrip())
    shown = repr(text[at : at + 30]) if at < len(text) else "the end"
    return InvalidArgument(f"gates, at character {at + 1} ({shown}): {reason}")


def _gate(text: str, found: re.Match[str]) -> Gate:
    name = found["name"].replace('"', "")
    absolute = name.startswith(AFTER)
    try:
        metric = metric_named(name.removeprefix(AFTER))
    except InvalidArgument as error:
        raise _problem(text, found.start("name"), str(error)) from None
    if absolute and metric.between:
        raise _problem(text, found.start("name"), f"{metric.name} exists between two runs alone; leave {AFTER} away")
    try:
        threshold, relative = _threshold(found["number"], metric, absolute=absolute)
    except InvalidArgument as error:
        raise _problem(text, found.start("number"), str(error)) from None
    signed = -threshold if found["sign"] == "-" else threshold
    return Gate(found[0].strip(" ,"), metric, found["operator"], signed, absolute, relative)


def _threshold(text: str, metric: Metric, *, absolute: bool) -> tuple[float, bool]:
    """The number, and whether it is in percent of what was before."""
    bare = text.removesuffix("%").rstrip()
    in_percent = metric.unit is Unit.PERCENT or (metric.name.startswith("bench.") and not absolute)
    if bare != text:
        if metric.between or (absolute and not in_percent):
            raise InvalidArgument(f"{metric.name} has no percents here")
        return _number(bare), not in_percent
    if metric.unit is Unit.BYTES:
        return float(parse_size(text)), False
    if metric.unit is Unit.SECONDS and not in_percent:
        return parse_duration_seconds(text), False
    return _number(text), False


def _number(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,18}(\.[0-9]{0,9})?|\.[0-9]{1,9}", text):
        raise InvalidArgument(f"{text[:40]!r} is not a number")
    return float(text)


def judge(gates: Iterable[Gate], comparison: Comparison) -> list[GateResult]:
    """What each gate finds."""
    return [_judge(gate, comparison) for gate in gates]


def _judge(gate: Gate, comparison: Comparison) -> GateResult:
    found = measure(comparison, gate.metric)
    value, reason = _looked_at(gate, found)
    if value is None:
        reason = f"not judged, and so not passed: {reason}"
        return GateResult(gate.metric.name, gate.text, None, gate.threshold, failed=True, reason=reason, judged=False)
    failed = _OPERATORS[gate.operator](value, gate.threshold)
    what = "is" if gate.absolute or gate.metric.between else "changed by"
    reason = f"{gate.metric.name} {what} {_shown(value)}{'%' if gate.relative else ''}"
    return GateResult(gate.metric.name, gate.text, value, gate.threshold, failed=failed, reason=reason)


def _looked_at(gate: Gate, found: Measure) -> tuple[float | None, str]:
    if gate.absolute:
        return found.at.after, found.reason or "the later side does not say it"
    if not gate.relative:
        return found.changed, found.reason
    if found.changed == 0:
        return 0.0, ""
    return found.at.percent, found.reason or "there was nothing before, and no percents of nothing"


def _shown(value: float) -> str:
    """As a person would write it, and never rounded to a threshold it has not reached."""
    return str(int(value)) if value == math.floor(value) and abs(value) < 1e15 else f"{value:.6g}"
