"""What settings there are, what each may be, and what holds when nobody says anything (DESIGN §6).

Every field knows what is allowed there (`Allowed`, or its type says it), so that each problem can tell.
All models are frozen and refuse unknown keys. Sizes are bytes; `0` means no limit, or never.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    SecretStr,
    model_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from mountfs import namespace, retention
from mountfs.config import values
from mountfs.errors import MountfsError
from mountfs.events import EventKind, Hook, JumpRule

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Allowed:
    """What may stand in a field, as the end of a sentence."""

    text: str


def _reads(parse: Callable[[_Value], object]) -> Callable[[_Value], object]:
    """Let a reader of `values` speak to pydantic, which understands ValueError only."""

    def run(value: _Value) -> object:
        try:
            return parse(value)
        except MountfsError as error:
            raise ValueError(str(error)) from None

    return run


def faults(*found: tuple[str, str]) -> PydanticCustomError:
    """What a check over several fields raises: for each problem its dotted key, from here, and a sentence."""
    return PydanticCustomError("faults", "{found}", {"found": list(found)})


SIZE_ALLOWED: Final = Allowed("a size such as 100 MiB or 20 GiB; 0 = no limit")
Size = Annotated[int, BeforeValidator(_reads(values.size_bytes)), SIZE_ALLOWED]
Seconds = Annotated[
    float,
    BeforeValidator(_reads(values.seconds)),
    Allowed("seconds, or a duration such as 500ms, 2s, 1m, up to a day"),
]
PositiveSeconds = Annotated[
    float,
    BeforeValidator(_reads(values.seconds)),
    Field(gt=0),
    Allowed("seconds, or a duration such as 500ms, 2s, 1m; more than 0, up to a day"),
]
Days = Annotated[
    int,
    BeforeValidator(_reads(values.days)),
    Allowed("whole days, such as 30, 30d or 4w; 0 = never"),
]
FilePath = Annotated[Path, BeforeValidator(_reads(values.path_text)), Allowed("a path")]
OptionalPath = Annotated[Annotated[Path, BeforeValidator(_reads(values.path_text))] | None, Allowed("a path, or null")]
TagKey = Annotated[str, AfterValidator(_reads(values.tag_key))]
TagKeys = Annotated[tuple[TagKey, ...], Field(max_length=16), Allowed("a list of up to 16 tag keys")]
TypeName = Annotated[str, AfterValidator(_reads(values.type_name))]


def _one_name_per_type(value: object) -> object:
    """`tests` and `test-results` are one type: two values for it would hide each other."""
    seen: dict[str, str] = {}
    for name in value if isinstance(value, Mapping) else ():
        slug = _slug_or_name(str(name))
        if slug in seen:
            raise ValueError(f"{seen[slug]} and {name} are the same type; allowed: one of them")
        seen[slug] = str(name)
    return value


def _slug_or_name(name: str) -> str:
    try:
        return values.type_name(name)
    except MountfsError:
        return name


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class S3(Section):
    """A bucket. Credentials come from where boto3 looks for them, never from here."""

    bucket: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$"), Allowed("the name of a bucket")]
    prefix: Annotated[
        str, AfterValidator(_reads(values.key_prefix)), Allowed("a prefix such as qe/, without a leading /")
    ] = ""
    region: Annotated[str, Field(min_length=1), Allowed("a region such as us-east-1")] = "us-east-1"
    endpoint_url: Annotated[
        Annotated[str, AfterValidator(_reads(values.endpoint_url))] | None,
        Allowed("https://host[:port], or null"),
    ] = None
    use_ssl: bool = True
    path_style: bool = False
    sse: Literal["AES256", "aws:kms", "aws:kms:dsse"] | None = None
    storage_class: Annotated[
        Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")] | None,
        Allowed("a class such as STANDARD_IA, or null"),
    ] = None
    checksum: Literal["auto", "when_supported", "when_required"] = "auto"
    connections: Annotated[int, Field(ge=1, le=256)] = 16
    connect_timeout_seconds: PositiveSeconds = 5
    read_timeout_seconds: PositiveSeconds = 20

    @property
    def is_exposed(self) -> bool:
        """Whether content and tags cross a network unencrypted."""
        if self.endpoint_url is None:
            return not self.use_ssl
        return self.endpoint_url.startswith("http:") and not values.is_loopback(self.endpoint_url)

    @model_validator(mode="after")
    def _plain_http_is_meant(self) -> Self:
        if self.is_exposed and self.use_ssl:
            raise faults(
                (
                    "endpoint_url",
                    "plain http to another machine; allowed: https://…, or use_ssl: false beside it",
                )
            )
        return self


class Directory(Section):
    path: FilePath


class Storage(Section):
    backend: Literal["local", "directory", "s3"] = "local"
    s3: S3 | None = None
    directory: Directory | None = None

    @model_validator(mode="after")
    def _backend_is_described(self) -> Self:
        if self.backend == "s3" and self.s3 is None:
            raise faults(("s3", "is missing; allowed: {bucket: …} where backend is s3"))
        if self.backend == "directory" and self.directory is None:
            raise faults(("directory", "is missing; allowed: {path: …} where backend is directory"))
        return self


class Cache(Section):
    """How much of the contents stays here; counts only what is in a remote too."""

    max_size: Size = 20 * 1024**3
    high_watermark: Annotated[float, Field(gt=0, le=1)] = 0.9
    low_watermark: Annotated[float, Field(gt=0, le=1)] = 0.8

    @model_validator(mode="after")
    def _low_is_below_high(self) -> Self:
        if self.low_watermark >= self.high_watermark:
            raise faults(("low_watermark", "is not below high_watermark"))
        return self


class Compression(Section):
    enabled: bool = True
    algorithm: Literal["zstd", "none"] = "zstd"
    level: Annotated[int, Field(ge=1, le=19)] = 3
    types: Annotated[
        Mapping[TypeName, Annotated[int | str, PlainValidator(_reads(values.compression_level))]],
        BeforeValidator(_one_name_per_type),
        Allowed("type: none, zstd, or a level from 1 to 19"),
    ] = {}

    def level_for(self, slug: str) -> int | None:
        """The zstd level for artifacts of this type; None keeps them as they are."""
        said = self.types.get(slug, self.algorithm)
        if not self.enabled or said == "none":
            return None
        return said if isinstance(said, int) else self.level


class SizeJump(Section):
    """When an artifact is so much larger than those at its place before it that somebody is told."""

    factor: Annotated[float, Field(ge=1.1, le=1000)] = 1.5
    least: Annotated[Size, Allowed("a size such as 1 MiB; 0 = however small")] = 1024**2
    last: Annotated[int, Field(ge=3, le=50)] = 5

    def rule(self) -> JumpRule:
        return JumpRule(self.factor, self.least, self.last)


class Limits(Section):
    max_artifact_size: Size = 0
    quota: Size = 0
    warn_threshold: Annotated[float, Field(gt=0, le=1)] = 0.8
    max_tags: Annotated[int, Field(ge=1, le=namespace.MAX_TAGS)] = namespace.MAX_TAGS
    size_jump: SizeJump = SizeJump()


class Sync(Section):
    """`mode` is `lazy` where `CI` is set and nothing is said: the loader knows that, not the schema."""

    mode: Literal["full", "lazy"] = "full"
    look_seconds: PositiveSeconds = 3
    refresh_seconds: Seconds = 2
    sync_seconds: PositiveSeconds = 10
    settle_seconds: Seconds = 2
    settle_max_seconds: Seconds = 60
    patience_seconds: PositiveSeconds = 30

    @model_validator(mode="after")
    def _settling_ends(self) -> Self:
        if self.settle_max_seconds < self.settle_seconds:
            raise faults(("settle_max_seconds", "is shorter than settle_seconds"))
        return self


class Live(Section):
    patterns: Annotated[
        tuple[Annotated[str, AfterValidator(_reads(values.glob_name))], ...],
        Field(max_length=64),
        Allowed("a list of globs of file names"),
    ] = ()
    seconds: PositiveSeconds = 30


class Retention(Section):
    """Nothing expires until a number is said; `enabled: false` stops also what has a date of its own."""

    enabled: bool = True
    default_ttl_days: Days = 0
    keep_latest_n: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    group_by: Annotated[TagKeys, Allowed("a list such as [type] or [type, branch]")] = ("type",)
    types: Annotated[
        Mapping[TypeName, Days],
        BeforeValidator(_one_name_per_type),
        Allowed("type: whole days, such as 30 or 30d; 0 = never"),
    ] = {}
    schedule: Annotated[
        str, AfterValidator(_reads(values.cron)), Allowed('the five fields of cron, such as "0 2 * * *"')
    ] = "0 2 * * *"

    def policy(self) -> retention.Policy:
        """The same as the rules take it."""
        return retention.Policy(
            self.enabled, self.default_ttl_days, self.types, self.keep_latest_n, tuple(self.group_by)
        )

    @model_validator(mode="after")
    def _is_meant(self) -> Self:
        found = list(retention.contradictions(self.policy()))
        if found:
            raise faults(*found)
        return self


class Versions(Section):
    enabled: bool = False


class Signing(Section):
    """Keys that sign; `key` is for `MOUNTFS_SIGNING__KEY`, a file is better."""

    key_file: OptionalPath = None
    key: Annotated[
        Annotated[SecretStr, BeforeValidator(_reads(values.secret))] | None, Allowed("a secret text, or null")
    ] = None
    require: bool = False


EventName = Literal["quota_warning", "size_jump", "upload_failed", "job_expired", "conflict_lost"]


class Receiver(Section):
    """Who is told of which events: a command, without a shell, or a URL. Nothing ever waits for it."""

    on: Annotated[
        tuple[EventName, ...],
        Field(min_length=1, max_length=len(EventKind)),
        Allowed(f"a list of {', '.join(EventKind)}"),
    ]
    command: Annotated[
        tuple[Annotated[str, AfterValidator(_reads(values.argument))], ...],
        Field(max_length=64),
        Allowed("a list: a program's name in PATH or its absolute path, then its arguments"),
    ] = ()
    url: Annotated[
        Annotated[SecretStr, BeforeValidator(_reads(values.secret)), AfterValidator(_reads(values.hook_url))] | None,
        Allowed("https://host/path, http:// for this machine only, or null"),
    ] = None
    timeout_seconds: Annotated[
        PositiveSeconds, Field(le=300), Allowed("seconds, or a duration such as 10s; more than 0, up to 5 minutes")
    ] = 10

    @model_validator(mode="after")
    def _tells_one_receiver(self) -> Self:
        if bool(self.command) == (self.url is not None):
            raise faults(
                ("url", "needs exactly one of command and url; allowed: command: [program, …], or url: https://…")
            )
        if len(set(self.on)) < len(self.on):
            raise faults(("on", "names an event twice; allowed: each once"))
        if self.command and not values.is_program(self.command[0]):
            raise faults(
                ("command", f"{self.command[0][:60]!r} is no program; allowed: a name in PATH, or an absolute path")
            )
        return self

    def hook(self) -> Hook:
        """The same as the rules take it; a secret in the URL is plain in it."""
        url = self.url.get_secret_value() if self.url is not None else ""
        return Hook(frozenset(map(EventKind, self.on)), self.command, url, self.timeout_seconds)


class Settings(BaseSettings):
    """All settings, checked. The loader gathers file, environment and preset; nothing is read from here."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    preset: Literal["qe-summary", "qe-fleet", "agent", "signed", "documents"] | None = None
    mountpoint: FilePath = Path(".artifacts")
    state: OptionalPath = None
    create_dirs: bool = True
    storage: Storage = Storage()
    cache: Cache = Cache()
    compression: Compression = Compression()
    limits: Limits = Limits()
    sync: Sync = Sync()
    heads: TagKeys = ("branch", "commit", "pr")
    live: Live = Live()
    retention: Retention = Retention()
    trash_days: Annotated[Days, Allowed("whole days, such as 7 or 7d; 0 = no trash")] = 7
    protect: Literal["others", "none"] = "others"
    owner: Literal["mounter", "recorded"] = "mounter"
    views: Annotated[Literal["unlisted", "listed", "off"], BeforeValidator(values.views)] = "unlisted"
    versions: Versions = Versions()
    events: Annotated[
        tuple[Receiver, ...],
        Field(max_length=16),
        Allowed("a list of up to 16 of {on: [event, …], command: [program, …]} or {on: […], url: https://…}"),
    ] = ()
    signing: Signing = Signing()
    fsync: Literal["disk", "bucket"] = "disk"
    handler_seconds: PositiveSeconds = 10
    types: Annotated[
        Mapping[TypeName, tuple[Annotated[str, AfterValidator(_reads(values.type_alias))], ...]],
        BeforeValidator(_one_name_per_type),
        Field(max_length=256),
        Allowed("type: [stem, directory, '*.glob']"),
    ] = {}
    tags: Annotated[
        Mapping[TagKey, Annotated[str, BeforeValidator(_reads(values.tag_value))]],
        Field(max_length=namespace.MAX_TAGS),
        Allowed("up to 64 of key: text, with keys of a-z 0-9 _ -"),
    ] = {}
    layouts: Annotated[
        tuple[Annotated[str, AfterValidator(_reads(values.layout))], ...],
        Field(max_length=64),
        Allowed('a list such as ["{spec}/{task}/{type}"]'),
    ] = ()
    allow_other: bool = False

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what the loader passes: it knows where each value came from, and who may say what."""
        return (init_settings,)

    def type_aliases(self) -> dict[str, str]:
        """Alias → slug of the settings' own types, as `namespace.canonical_type` takes them."""
        slugs = {slug: slug for slug in self.types}
        return slugs | {alias: slug for slug, aliases in self.types.items() for alias in aliases}

    def type_rules(self) -> namespace.TypeRules:
        """What decides the type of an artifact."""
        return namespace.TypeRules(self.type_aliases(), namespace.Layouts(self.layouts))

    def hooks(self) -> tuple[Hook, ...]:
        """Who is told of events, in the order of the settings."""
        return tuple(receiver.hook() for receiver in self.events)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        found = [*_places_inside_the_mount(self), *_unknown_types(self), *_aliases_of_two_types(self)]
        found += _expire_unsent(self)
        if found:
            raise faults(*found)
        return self


def _places_inside_the_mount(settings: Settings) -> list[tuple[str, str]]:
    directory = settings.storage.directory
    places = {"state": settings.state, "storage.directory.path": directory.path if directory else None}
    mountpoint = settings.mountpoint
    found = [
        (key, "lies below the mountpoint; allowed: a place outside of it")
        for key, place in places.items()
        if place is not None and (place == mountpoint or mountpoint in place.parents)
    ]
    state, bucket = places.values()
    if state is not None and bucket is not None and values.overlap(state, bucket):
        found.append(("storage.directory.path", "and `state` overlap; allowed: two places, neither in the other"))
    return found


def _expire_unsent(settings: Settings) -> list[tuple[str, str]]:
    if settings.storage.backend == "local":
        return []
    found = retention.expires_before_it_is_sent(
        settings.retention.policy(), settle_max_seconds=settings.sync.settle_max_seconds
    )
    return [(f"retention.{key}", wrong) for key, wrong in found]


def _unknown_types(settings: Settings) -> list[tuple[str, str]]:
    known = {*namespace.BUILTIN_TYPES, *settings.types}
    said: dict[str, Sequence[str]] = {
        "retention.types": [*settings.retention.types],
        "compression.types": [*settings.compression.types],
    }
    return [
        (f"{key}.{slug}", f"unknown type; allowed: {', '.join(sorted(known))}, or more under types:")
        for key, slugs in said.items()
        for slug in slugs
        if slug not in known
    ]


def _aliases_of_two_types(settings: Settings) -> list[tuple[str, str]]:
    owners: dict[str, str] = {}
    found = []
    for slug, aliases in settings.types.items():
        for alias in aliases:
            if owners.setdefault(alias, slug) != slug:
                found.append((f"types.{slug}", f"{alias!r} is an alias of {owners[alias]} already"))
    return found
