"""What pydantic found, said for people: `file:line: key: what is wrong; allowed: …`."""

from dataclasses import dataclass, field

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mountfs.config.document import KeyPath, Tree, legible
from mountfs.config.fields import allowed_in, dotted, field_at, is_secret, known_keys, nearest_key, section_at

_SHOWN_MAX = 60


@dataclass
class Sources:
    """Where each value came from, and how it was written there."""

    name: str
    lines: dict[KeyPath, int] = field(default_factory=dict)
    variables: dict[KeyPath, str] = field(default_factory=dict)
    written: Tree = field(default_factory=dict)
    touched: set[KeyPath] = field(default_factory=set)
    """Paths whose `${VAR}` was replaced: what came in may be a secret and is never shown."""

    def place(self, path: KeyPath) -> tuple[int, str]:
        """Where `path`, or the nearest section around it, was written: for sorting, and for reading."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.variables:
                return (2**31, self.variables[path[:end]])
            if path[:end] in self.lines:
                line = self.lines[path[:end]]
                return (line, f"{self.name}:{line}")
        line = self.lines.get((), 0)
        return (line, f"{self.name}:{line}" if line else self.name)

    def as_written(self, path: KeyPath) -> object:
        value: object = self.written
        for part in path:
            try:
                value = value[part]  # type: ignore[index]  # str in dicts, int in lists, or we stop
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def hides(self, path: KeyPath) -> bool:
        """Whether the value at `path` must not be shown."""
        return any(path[:end] in self.touched for end in range(1, len(path) + 1)) or is_secret(field_at(path)[0])

    def sentence(self, path: KeyPath, wrong: str) -> str:
        key = dotted(tuple(legible(part) if isinstance(part, str) else part for part in path))
        return f"{self.place(path)[1]}: {key}: {wrong}" if key else f"{self.place(path)[1]}: {wrong}"


@dataclass(frozen=True)
class Problem:
    path: KeyPath
    wrong: str


def sentences(problems: list[Problem], sources: Sources) -> list[str]:
    """All problems in the order of the file, those of the environment last, each once."""
    ordered = sorted(problems, key=lambda problem: sources.place(problem.path)[0])
    return list(dict.fromkeys(sources.sentence(problem.path, problem.wrong) for problem in ordered))


def problems_of(error: ValidationError, sources: Sources) -> list[Problem]:
    """One problem for each thing that pydantic refused."""
    return [problem for details in error.errors() for problem in _problems_in(details, sources)]


def _problems_in(details: ErrorDetails, sources: Sources) -> list[Problem]:
    path = tuple(part for part in details["loc"] if part != "[key]")
    match details["type"]:
        case "faults":
            return [Problem((*path, *key.split(".")), wrong) for key, wrong in details["ctx"]["found"]]
        case "extra_forbidden":
            return [Problem(path, unknown_key(path))]
        case "missing":
            return [Problem(path, f"is missing{_allowed(path)}")]
        case "value_error" if not sources.hides(path):
            wrong, _, allowed = str(details["ctx"]["error"]).partition("; allowed: ")
            return [Problem(path, f"{wrong}; allowed: {allowed}" if allowed else wrong + _allowed(path))]
        case _:
            return [Problem(path, f"{_shown(path, sources)} is not accepted{_allowed(path)}")]


def _shown(path: KeyPath, sources: Sources) -> str:
    if is_secret(field_at(path)[0]):
        return "the value"
    text = repr(sources.as_written(path))
    return text if len(text) <= _SHOWN_MAX else text[: _SHOWN_MAX - 1] + "…"


def _allowed(path: KeyPath) -> str:
    target, _ = field_at(path)
    return f"; allowed: {allowed_in(target)}" if target is not None else ""


def unknown_key(path: KeyPath) -> str:
    """That nothing has this name, and what was probably meant."""
    near = nearest_key(path)
    section = section_at(path[:-1])
    meant = f", did you mean {near}?" if near else ""
    return f"unknown key{meant}" + (f"; allowed: {known_keys(section)}" if section else "")
