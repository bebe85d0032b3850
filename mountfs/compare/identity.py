"""Which test is which, whatever tool wrote it down: a pytest node id and JUnit's classname and name are one."""

import difflib
import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from mountfs.errors import InvalidArgument, NotFound
from mountfs.reports.model import Case

_MOST_NAMED: Final = 10
_MOST_COMPARED: Final = 5_000  # for the nearest name: difflib takes a second for some ten thousand
_MODULE: Final = re.compile(r"[^\[\]\s]+\.py(::|$)")


class CaseId(NamedTuple):
    """A test by class and name; parameters belong to the name. A tuple, since a run has up to 100,000 as keys."""

    classname: str
    name: str

    def __str__(self) -> str:
        return f"{self.classname}::{self.name}" if self.classname else self.name


def identify(case: Case) -> CaseId:
    """The test that a case is about. `tests/test_a.py::T::test_b` is `tests.test_a.T`, `test_b`, as JUnit has it."""
    if ".py" in case.name and _MODULE.match(case.name):
        return _of_node(case.name)
    if ".py" in case.classname and _MODULE.match(case.classname):
        return _of_node(f"{case.classname}::{case.name}")
    return CaseId(case.classname, case.name)


def _of_node(node: str) -> CaseId:
    head, bracket, parameters = node.partition("[")
    path, *inner = head.split("::")
    module = path.removesuffix(".py").replace("\\", "/").strip("./").replace("/", ".")
    if not inner:  # a module that could not be imported: pytest's JUnit names it so, without a class
        return CaseId("", module + bracket + parameters)
    return CaseId(".".join((module, *inner[:-1])), inner[-1] + bracket + parameters)


def find_test(wanted: str, known: Iterable[CaseId]) -> CaseId:
    """The one test that a person means by `tests/test_a.py::test_b`, `pkg.Class.test_b` or `test_b`.

    The whole id goes before its end, its end before its end without parameters; the first that fits anything
    decides. Raises InvalidArgument where that is more than one, naming them, and NotFound, with the nearest names.
    """
    tests = sorted(set(known))
    text = _dotted(wanted.strip())
    for fits in (_is_whole, _is_end, _is_end_without_parameters):
        found = [test for test in tests if text and fits(text, test)]
        if len(found) == 1:
            return found[0]
        if found:
            raise InvalidArgument(f"{wanted!r} is {len(found)} tests, say which: {_listed(map(str, found))}")
    near = difflib.get_close_matches(wanted, [str(test) for test in tests[:_MOST_COMPARED]], n=3, cutoff=0.5)
    hint = f"; near it: {_listed(near)}" if near else ""
    raise NotFound(f"no test {wanted!r} in {len(tests)} tests{hint}")


def _dotted(text: str) -> str:
    """One way to write a test, whatever stands between module, class and name."""
    if _MODULE.match(text):
        test = _of_node(text)
        return f"{test.classname}.{test.name}" if test.classname else test.name
    head, bracket, parameters = text.partition("[")
    return head.replace("::", ".") + bracket + parameters


def _full(test: CaseId) -> str:
    return _dotted(f"{test.classname}.{test.name}" if test.classname else test.name)


def _is_whole(text: str, test: CaseId) -> bool:
    return text == _full(test)


def _is_end(text: str, test: CaseId) -> bool:
    return text == test.name or _full(test).endswith(("." + text, "/" + text))


def _is_end_without_parameters(text: str, test: CaseId) -> bool:
    bare = _full(test).partition("[")[0]
    return bare == text or bare.endswith(("." + text, "/" + text))


def _listed(names: Iterable[str]) -> str:
    shown = list(names)
    more = f" and {len(shown) - _MOST_NAMED} more" if len(shown) > _MOST_NAMED else ""
    return ", ".join(shown[:_MOST_NAMED]) + more
