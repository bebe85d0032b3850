"""How much there is and what it costs: the figures of `stats`, the same on whatever way they are asked for."""

from pathlib import Path

from mountfs.catalog import Catalog
from mountfs.catalog.search import Search


def totals(catalog: Catalog, *, quota_bytes: int, mountpoint: Path | None, state: Path) -> dict[str, object]:
    """Of everything; reads all entries."""
    found = catalog.totals()
    stored, size = catalog.stored_bytes(), found["size"]
    return {
        "jobs": found["jobs"],
        "artifacts": found["artifacts"],
        "contents": found["contents"],
        "size_bytes": size,
        "stored_bytes": stored,
        "saved": round(1 - stored / size, 4) if size else 0.0,
        "quota_bytes": quota_bytes,
        "damaged": len(catalog.damaged()),
        "mountpoint": str(mountpoint),
        "state": str(state),
    }


def by_type(search: Search) -> dict[str, dict[str, int]]:
    """By type: artifacts, plain and stored bytes, and how many of them are compressed."""
    compressed = search.compressed_by_type()
    return {
        of_type.name.decode("utf-8", "surrogateescape"): {
            "artifacts": of_type.artifacts,
            "size_bytes": of_type.size,
            "stored_bytes": of_type.stored,
            "compressed": compressed.get(of_type.name, 0),
        }
        for of_type in sorted(search.sums_by_type(), key=lambda of_type: of_type.name)
    }
