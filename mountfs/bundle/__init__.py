"""Bundles: one object of a job, small contents and records together, so that one PUT commits both (BUCKET.md).

`archive.py` is the ZIP, `places.py` says where contents lie, `manifest.py` puts a bundle together and reads what it
says of itself.

What they keep true: what was packed is what readers will believe, all of it; a bundle that lies, was cut or belongs
elsewhere is a clear error, a line that lies is one refused line, and neither costs more memory than bundles need;
`unzip`, `zstd -d` and `jq` read all of it. Pure: no clock, no I/O.
"""

from mountfs.bundle.archive import (
    MANIFEST_NAME,
    MOST_MEMBERS,
    MOST_OBJECT_BYTES,
    MOST_STORED_MANIFEST_BYTES,
    TAIL_BYTES,
    DoesNotFit,
    Extent,
    find_manifest,
    overhead_bytes,
)
from mountfs.bundle.manifest import (
    FORMAT,
    MOST_BUNDLE_BYTES,
    MOST_LINES,
    MOST_MANIFEST_BYTES,
    MOST_VALUES,
    ForeignBundle,
    Manifest,
    NewerFormat,
    Packed,
    job_named,
    pack,
    read_manifest,
)
from mountfs.bundle.places import Member, Place, check_member, member_in, member_name

__all__ = [
    "FORMAT",
    "MANIFEST_NAME",
    "MOST_BUNDLE_BYTES",
    "MOST_LINES",
    "MOST_MANIFEST_BYTES",
    "MOST_MEMBERS",
    "MOST_OBJECT_BYTES",
    "MOST_STORED_MANIFEST_BYTES",
    "MOST_VALUES",
    "TAIL_BYTES",
    "DoesNotFit",
    "Extent",
    "ForeignBundle",
    "Manifest",
    "Member",
    "NewerFormat",
    "Packed",
    "Place",
    "check_member",
    "find_manifest",
    "job_named",
    "member_in",
    "member_name",
    "overhead_bytes",
    "pack",
    "read_manifest",
]
