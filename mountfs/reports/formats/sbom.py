"""Bills of materials: CycloneDX and SPDX 2 as JSON. A component is known by its package url, else by its name."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from mountfs.reports.formats.kinds import JsonFormat
from mountfs.reports.limits import Broken, Room
from mountfs.reports.model import Components
from mountfs.reports.shape import Json, at, maybe_tables, text


def _fits_cyclonedx(document: Json) -> bool:
    return at(document, "bomFormat") == "CycloneDX" and bool(text(at(document, "specVersion")))


def _cyclonedx_schema(document: Json) -> str:
    return text(at(document, "specVersion"))


def _parse_cyclonedx(document: Json, room: Room) -> Components:
    found: dict[str, set[str]] = {}
    for component in _nested(at(document, "components")):
        name = "/".join(part for part in (text(component.get("group")), text(component.get("name"))) if part)
        _add(found, text(component.get("purl")), name, text(component.get("version")), room)
    return _components(found, room)


def _nested(components: Json) -> Iterator[Mapping[str, Json]]:
    waiting = [components]
    while waiting:
        for component in maybe_tables(waiting.pop(), "components"):
            yield component
            waiting.append(component.get("components"))


def _fits_spdx(document: Json) -> bool:
    return text(at(document, "spdxVersion")).startswith("SPDX-") and at(document, "SPDXID") is not None


def _spdx_schema(document: Json) -> str:
    return text(at(document, "spdxVersion")).removeprefix("SPDX-")


def _parse_spdx(document: Json, room: Room) -> Components:
    found: dict[str, set[str]] = {}
    for package in maybe_tables(at(document, "packages"), "packages"):
        _add(found, _spdx_url(package), text(package.get("name")), text(package.get("versionInfo")), room)
    return _components(found, room)


def _spdx_url(package: Mapping[str, Json]) -> str:
    references = maybe_tables(package.get("externalRefs"), "externalRefs")
    urls = (text(reference.get("referenceLocator")) for reference in references if _is_url(reference))
    return next(urls, "")


def _is_url(reference: Mapping[str, Json]) -> bool:
    return reference.get("referenceType") == "purl"


def _add(found: dict[str, set[str]], url: str, name: str, version: str, room: Room) -> None:
    room.take("components")
    if not url and not name:
        raise Broken("has a component without a name")
    found.setdefault(room.name(_without_version(url) or name), set()).add(version)


def _components(found: Mapping[str, set[str]], room: Room) -> Components:
    """A component that is there in several versions has all of them."""
    return Components(MappingProxyType({name: room.name(", ".join(sorted(found[name]))) for name in found}))


def _without_version(url: str) -> str:
    """`pkg:pypi/urllib3@2.8.0` without its version, so that an update is a change and not another component."""
    place, question, qualifiers = url.partition("?")
    before, at_sign, version = place.rpartition("@")
    return (before if at_sign and "/" not in version else place) + question + qualifiers


FORMATS: Final = (
    JsonFormat("cyclonedx", ("bomFormat", "specVersion"), _fits_cyclonedx, _parse_cyclonedx, _cyclonedx_schema),
    JsonFormat("spdx", ("spdxVersion", "SPDXID"), _fits_spdx, _parse_spdx, _spdx_schema),
)
