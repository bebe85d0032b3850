"""Which type an artifact has: the one place that decides it, for whoever asks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from mountfs.namespace.kinds import ArtifactType, type_by_name
from mountfs.namespace.layouts import Layouts


@dataclass(frozen=True, slots=True)
class TypeRules:
    """What the settings say of types: `extra` maps their own aliases to slugs, `layouts` may have a part `{type}`."""

    extra: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    layouts: Layouts = field(default_factory=Layouts)

    def type_of(self, path: tuple[bytes, ...], *, explicit: str | None, by_format: str = "") -> str:
        """The type of the artifact at `path` below its job.

        Said explicitly, by its place in a layout, by its name, by its format, else `custom`.
        """
        said = explicit or self.layouts.type_of(path, extra=self.extra) or type_by_name(path, extra=self.extra)
        return said or by_format or ArtifactType.CUSTOM.value
