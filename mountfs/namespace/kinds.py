"""The type of an artifact: said explicitly, or by the names on its path (DESIGN §3, F-034 to F-038)."""

import enum
import fnmatch
import functools
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from mountfs.errors import InvalidName
from mountfs.namespace.keys import shown


class ArtifactType(enum.StrEnum):
    """The eleven slugs every store knows; settings add more."""

    TEST_RESULTS = "test-results"
    COVERAGE_REPORT = "coverage-report"
    SECURITY_FINDINGS = "security-findings"
    PERFORMANCE_METRICS = "performance-metrics"
    BUILD_LOGS = "build-logs"
    STATIC_ANALYSIS = "static-analysis"
    API_DOCS = "api-docs"
    SCREENSHOTS = "screenshots"
    VIDEOS = "videos"
    DIFF = "diff"
    CUSTOM = "custom"


_NONE: Final[Mapping[str, str]] = MappingProxyType({})
BUILTIN_TYPES: Final = tuple(member.value for member in ArtifactType)
TYPE_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")

# F-034 to F-038: words the five older systems used, and the tools' own file names.
_WORDS: Final[dict[ArtifactType, str]] = {
    ArtifactType.TEST_RESULTS: "test-result tests test test-report test-reports junit xunit nunit pytest"
    " reportlog pytest-report surefire-reports failsafe-reports",
    ArtifactType.COVERAGE_REPORT: "coverage coverage-reports cov htmlcov cobertura jacoco clover lcov"
    " lcov-report coverage-final coverage-summary",
    ArtifactType.SECURITY_FINDINGS: "security security-finding security-report security-reports sarif bandit"
    " trivy semgrep codeql gitleaks snyk grype npm-audit pip-audit sast dependency-check",
    ArtifactType.PERFORMANCE_METRICS: "performance performance-metric performance-report perf benchmark"
    " benchmarks bench pytest-benchmark hyperfine k6 locust lighthouse",
    ArtifactType.BUILD_LOGS: "build-log log logs console stdout stderr",
    ArtifactType.STATIC_ANALYSIS: "lint ruff mypy pylint flake8 eslint checkstyle pmd spotbugs code-quality"
    " gl-code-quality-report",
    ArtifactType.API_DOCS: "api-doc apidocs openapi swagger javadoc",
    ArtifactType.SCREENSHOTS: "screenshot",
    ArtifactType.VIDEOS: "video recording recordings",
    ArtifactType.DIFF: "diffs patch patches",
    ArtifactType.CUSTOM: "",
}
_ALIASES: Final[dict[str, str]] = {
    word: slug.value for slug, words in _WORDS.items() for word in (slug.value, *words.split())
}

# A suffix that leaves no doubt wins over the stem: test.log is a log, diff.png a picture.
_FILE_PATTERNS: Final = tuple(
    (re.compile(pattern), slug.value)
    for pattern, slug in (
        (r"\.log(\.\d+)?$", ArtifactType.BUILD_LOGS),
        (r"\.sarif(\.json)?$", ArtifactType.SECURITY_FINDINGS),
        (r"\.(diff|patch)$", ArtifactType.DIFF),
        (r"\.(trx|tap)$", ArtifactType.TEST_RESULTS),
        (r"\.lcov$", ArtifactType.COVERAGE_REPORT),
        (r"^(junit|test)-.*\.xml$", ArtifactType.TEST_RESULTS),
        (r"^(coverage|cobertura|jacoco|lcov)-.*\.(xml|json|info|html)$", ArtifactType.COVERAGE_REPORT),
        (
            r"^(bandit|trivy|semgrep|npm-audit|pip-audit|gitleaks|grype)-.*\.json$",
            ArtifactType.SECURITY_FINDINGS,
        ),
        (r"^(benchmark|hyperfine|k6|locust)-.*\.(json|csv)$", ArtifactType.PERFORMANCE_METRICS),
    )
)
_PICTURES: Final = (  # after directories: the icons of a coverage report are no screenshots
    (re.compile(r"\.(png|jpe?g|gif|webp)$"), ArtifactType.SCREENSHOTS.value),
    (re.compile(r"\.(mp4|webm|mkv)$"), ArtifactType.VIDEOS.value),
)
_COMPRESSED: Final = re.compile(r"(\.bin)?\.(gz|bz2|xz|zst)$")


def type_word(name: str) -> str:
    """How names of types compare: lower case, `_` as `-`."""
    return name.strip().lower().replace("_", "-")


def canonical_type(name: str, *, extra: Mapping[str, str] = _NONE) -> str:
    """The slug that `name`, a slug or one of its aliases, stands for (F-034 to F-037).

    `extra` maps the settings' aliases, each a `type_word`, to their slugs and goes first. An unknown name
    is `InvalidName` with the list of known slugs.
    """
    word = type_word(name)
    if word in extra:
        return extra[word]
    if word in _ALIASES:
        return _ALIASES[word]
    slugs = sorted({*BUILTIN_TYPES, *extra.values()})
    if word in slugs:
        return word
    raise InvalidName(f"{shown(name)} is not a type; known: {', '.join(slugs)}")


def type_by_name(path: tuple[bytes, ...], *, extra: Mapping[str, str] = _NONE) -> str | None:
    """The type that the file's name says, else its nearest directory that says one, else that of a picture, or None.

    `path` is the path below the job.
    """
    if not path:
        return None
    word = _word_of(path[-1])
    picture = _first_match(_PICTURES, word)
    if picture is not None:
        return _type_by_settings(word, extra) or _type_of_directories(path, extra) or picture
    return _type_of_file(word, extra) or _type_of_directories(path, extra)


def type_of_word(name: bytes, *, extra: Mapping[str, str] = _NONE) -> str | None:
    """The type that a name is, or whose alias it is, with or without its suffix; None for any other."""
    return _type_of_file(type_word(name.decode("utf-8", "surrogateescape")), extra)


def _word_of(name: bytes) -> str:
    return type_word(name.decode("utf-8", "surrogateescape"))


def _type_of_directories(path: tuple[bytes, ...], extra: Mapping[str, str]) -> str | None:
    for part in reversed(path[:-1]):
        word = _word_of_directory(part)
        found = extra.get(word) or _ALIASES.get(word)
        if found:
            return found
    return None


_word_of_directory = functools.lru_cache(maxsize=4096)(_word_of)  # the same few are asked for with each of their files


def _type_of_file(word: str, extra: Mapping[str, str]) -> str | None:
    word = _COMPRESSED.sub("", word)
    said = _type_by_settings(word, extra) or _first_match(_FILE_PATTERNS, word)
    return said or _of_stems(_stems(word), _ALIASES)


def _type_by_settings(word: str, extra: Mapping[str, str]) -> str | None:
    if not extra:
        return None
    return _of_stems(_stems(word), extra) or _first_match(_globs(tuple(extra.items())), word)


def _stems(word: str) -> tuple[str, str, str]:
    bare = word.lstrip(".")
    return bare, bare.rpartition(".")[0], bare.partition(".")[0]


def _of_stems(stems: tuple[str, ...], aliases: Mapping[str, str]) -> str | None:
    for stem in stems:
        if stem in aliases:
            return aliases[stem]
    return None


def _first_match(patterns: Iterable[tuple[re.Pattern[str], str]], word: str) -> str | None:
    for pattern, slug in patterns:
        if pattern.search(word):
            return slug
    return None


@functools.lru_cache(maxsize=8)
def _globs(known: tuple[tuple[str, str], ...]) -> tuple[tuple[re.Pattern[str], str], ...]:
    # fnmatch writes its patterns for `match`; with \A they serve `search`, as those beside them do
    return tuple(
        (re.compile(r"\A" + fnmatch.translate(alias)), slug)
        for alias, slug in known
        if any(sign in alias for sign in "*?[")
    )
