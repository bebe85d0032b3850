"""From files and environment to settings, or to every problem at once.

Highest first: the environment, the file, the preset, the defaults of the schema. Settings passed as a
mapping are the caller's own words and stand above the environment.
"""

import enum
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from pydantic import ValidationError

from mountfs import retention
from mountfs.config import values
from mountfs.config.document import KeyPath, Tree, parse_document
from mountfs.config.environment import Overlay, expand, overlay
from mountfs.config.places import FILE_NAMES, config_home, find_upward, home_dir
from mountfs.config.presets import PRESETS
from mountfs.config.problems import Problem, Sources, problems_of, sentences, unknown_key
from mountfs.config.reading import refuse_to_follow_out, settings_bytes
from mountfs.config.schema import Settings
from mountfs.config.trust import forbidden_to_strangers, is_trusted
from mountfs.errors import ConfigError, MountfsError

Environ: TypeAlias = Mapping[str, str]

ALLOW_CLOUD: Final = "MOUNTFS_ALLOW_CLOUD"
_PATHS: Final = (("mountpoint",), ("state",), ("storage", "directory", "path"), ("signing", "key_file"))
# Mappings whose keys are names of types: `tests` and `test_results` are one key there.
_TYPE_KEYED: Final = frozenset({("types",), ("retention", "types"), ("compression", "types")})


class Origin(enum.StrEnum):
    """Who named the settings."""

    CALLER = "caller"
    COMMAND_LINE = "--config"
    VARIABLE = "MOUNTFS_CONFIG"
    WORKING_DIRECTORY = "working directory"
    USER = "user"
    NOBODY = "defaults"


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings that are right; all paths in them are absolute."""

    settings: Settings
    path: Path | None
    origin: Origin
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Given:
    """What was found, before anything of it is believed."""

    tree: Tree
    origin: Origin
    base: Path
    path: Path | None = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    is_stranger: bool = False


def load_settings(
    source: Path | Mapping[str, object] | None = None,
    *,
    environ: Environ,
    cwd: Path,
    cli_path: Path | None = None,
) -> Loaded:
    """The settings that hold in `cwd`, or `ConfigError` with all that is wrong.

    A relative path is meant from `cwd`; in a file found in the working directory or above, from that file.
    """
    cwd = Path(os.path.abspath(cwd))
    if isinstance(source, Mapping):
        given = _Given(_plain(source), Origin.CALLER, cwd)
    else:
        path, origin = _find(source, environ, cwd, cli_path)
        given = _read_file(path, origin, environ, cwd) if path else _Given({}, origin, cwd)
    return _judge(given, overlay(environ), environ, cwd)


def _find(source: Path | None, environ: Environ, cwd: Path, cli_path: Path | None) -> tuple[Path | None, Origin]:
    if source is not None:
        return cwd / source, Origin.CALLER
    if cli_path is not None:
        return cwd / cli_path, Origin.COMMAND_LINE
    if environ.get("MOUNTFS_CONFIG"):
        return cwd / environ["MOUNTFS_CONFIG"], Origin.VARIABLE
    found = find_upward(cwd)
    if found is not None:
        return found, Origin.WORKING_DIRECTORY
    candidates = (config_home(environ) / name for name in FILE_NAMES)
    user = next((path for path in candidates if os.path.isfile(path)), None)
    return (user, Origin.USER) if user else (None, Origin.NOBODY)


def _read_file(path: Path, origin: Origin, environ: Environ, cwd: Path) -> _Given:
    raw = settings_bytes(path)
    is_found = origin is Origin.WORKING_DIRECTORY
    is_stranger = is_found and not is_trusted(path, environ=environ, content=raw)
    if is_stranger:
        refuse_to_follow_out(path)
    document = parse_document(raw, name=str(path))
    return _Given(
        document.tree,
        origin,
        path.parent if is_found else cwd,
        path,
        document.lines,
        is_stranger=is_stranger,
    )


def _judge(given: _Given, said: Overlay, environ: Environ, cwd: Path) -> Loaded:
    """Gather problems from every layer, and validate what they make together."""
    expanded = expand(given.tree, None if given.is_stranger else environ)
    home = home_dir(environ)
    own, env = _anchored(expanded.tree, given.base, home), _anchored(said.tree, cwd, home)
    over_own = given.path is not None or given.origin is not Origin.CALLER
    chosen = _layered(own, env) if over_own else _layered(env, own)
    sources = Sources(
        name=str(given.path or "settings"),
        lines=given.lines,
        variables={path: name for path, name in said.variables.items() if over_own or not _holds(own, path)},
        written=_layered(given.tree, said.tree) if over_own else _layered(said.tree, given.tree),
        touched=expanded.touched,
    )
    problems = [Problem(path, wrong) for path, wrong in expanded.problems]
    if given.is_stranger and given.path is not None:
        forbidden = forbidden_to_strangers(given.tree, given.path)
        problems += [Problem(path, wrong) for path, wrong in forbidden.items() if _is_known(path)]
    if _chosen_by_environment_alone(own, env) and not _is_yes(environ.get(ALLOW_CLOUD, "")):
        problems.append(Problem(("storage", "backend"), _CLOUD_NEEDS_CONSENT))
    settings, refused = _validated(_layered(_background(chosen, given.base, environ), chosen), sources)
    missing = {path for path, _ in expanded.problems}
    # what could not be expanded is no value yet, so that nothing can be said about it
    problems += [problem for problem in refused if not _is_below(problem.path, missing)]
    if problems or said.problems or settings is None:
        raise ConfigError(sentences(problems, sources) + said.problems)
    return Loaded(settings, given.path, given.origin, _warnings(settings))


def _validated(tree: Tree, sources: Sources) -> tuple[Settings | None, list[Problem]]:
    # BaseSettings takes arguments of its own (_secrets_dir, _cli_parse_args…): a file must not reach them
    unknown = [Problem((key,), unknown_key((key,))) for key in tree if not _is_known((key,))]
    known = {key: value for key, value in tree.items() if _is_known((key,))}
    try:
        settings = Settings.model_validate(known)
    except ValidationError as error:
        return None, unknown + problems_of(error, sources)
    return (None if unknown else settings), unknown


_CLOUD_NEEDS_CONSENT: Final = (
    f"a remote chosen by the environment alone; allowed: with {ALLOW_CLOUD}=true, or written in the settings"
)


def _chosen_by_environment_alone(own: Tree, env: Tree) -> bool:
    """Nothing leaves the machine by a variable that somebody else may have set (F-077)."""
    by_env, by_own = _value_at(env, ("storage", "backend")), _value_at(own, ("storage", "backend"))
    return by_env not in (None, "local") and by_own != by_env


def _is_yes(text: str) -> bool:
    return text.strip().lower() in ("1", "true", "yes", "on")


def _is_known(path: KeyPath) -> bool:
    return path[0] in Settings.model_fields


def _is_below(path: KeyPath, tops: set[KeyPath]) -> bool:
    return any(path[:end] in tops for end in range(1, len(path) + 1))


def _warnings(settings: Settings) -> tuple[str, ...]:
    """What is allowed, and probably not meant, or not safe."""
    found = []
    s3, limits = settings.storage.s3, settings.limits
    if settings.storage.backend == "s3" and s3 is not None and s3.is_exposed:
        found.append("storage.s3.use_ssl: false: contents and tags cross the network unencrypted")
    if 0 < limits.quota < limits.max_artifact_size:
        found.append("limits.max_artifact_size: more than limits.quota, so that the quota refuses such an artifact")
    if not limits.quota and any("quota_warning" in hook.on for hook in settings.events):
        found.append("events: nobody can be warned of a quota, since there is none; allowed: limits.quota beside it")
    kept = settings.retention
    found += retention.doubts(kept.policy(), kept.schedule, trash_days=settings.trash_days)
    return tuple(found)


def _background(chosen: Tree, base: Path, environ: Environ) -> Tree:
    """What holds where nobody says anything, as far as the schema cannot know it."""
    tree: Tree = {"mountpoint": str(base / ".artifacts")}
    if environ.get("CI", "").strip().lower() not in ("", "0", "false"):
        tree["sync"] = {"mode": "lazy"}
    preset = chosen.get("preset")
    return _layered(tree, PRESETS.get(preset, {})) if isinstance(preset, str) else tree


def _layered(below: Mapping[str, object], above: Mapping[str, object], at: tuple[str, ...] = ()) -> Tree:
    """Both trees in one; where both say something, `above` wins."""
    merged: Tree = dict(below)
    for key, value in above.items():
        if at in _TYPE_KEYED:
            _drop_same_type(merged, key)
        under = merged.get(key)
        both = isinstance(under, dict) and isinstance(value, dict)
        merged[key] = _layered(under, value, (*at, key)) if both else value  # type: ignore[arg-type]
    return merged


def _drop_same_type(tree: Tree, name: str) -> None:
    for other in [other for other in tree if _slug(other) == _slug(name)]:
        del tree[other]


def _slug(name: str) -> str:
    try:
        return values.type_name(name)
    except MountfsError:
        return name


def _value_at(tree: Mapping[str, object], path: tuple[str, ...]) -> object:
    value: object = tree
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _holds(tree: Tree, path: KeyPath) -> bool:
    return _value_at(tree, tuple(str(part) for part in path)) is not None


def _anchored(tree: Tree, base: Path, home: Path) -> Tree:
    """The tree with its paths absolute; what is no path yet is left for the schema to refuse."""
    for path in _PATHS:
        text = _value_at(tree, path)
        if isinstance(text, str) and text.strip() and "\0" not in text:
            tree = _layered(tree, _nested(path, _absolute(text, base, home)))
    return tree


def _absolute(text: str, base: Path, home: Path) -> str:
    if text == "~" or text.startswith("~/"):
        return os.path.normpath(home / text[2:])
    return os.path.normpath(base / text)


def _nested(path: tuple[str, ...], value: object) -> Tree:
    for part in reversed(path):
        value = {part: value}
    assert isinstance(value, dict)
    return value


def _plain(source: Mapping[str, object]) -> Tree:
    """A caller's mapping as if it had been read from a file."""
    return {str(key): _plain_value(value) for key, value in source.items()}


def _plain_value(value: object) -> object:
    match value:
        case Mapping():
            return _plain(value)
        case list() | tuple():
            return [_plain_value(item) for item in value]
        case os.PathLike():
            return os.fspath(value)
        case _:
            return value
