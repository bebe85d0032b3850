"""The rules for names: keys, types, MIME types, tags, xattrs, views (DESIGN §3).

Pure decisions over names, so that the kernel side, the command line and the Python API refuse and accept
the same things. No clock, no I/O, nothing that depends on the machine it runs on.
"""

from mountfs.namespace.ages import Age, age_of, is_successful
from mountfs.namespace.attributes import (
    FACTS,
    MAX_TAGS,
    REQUEST_FACTS,
    TAG_KEY,
    TAG_KEY_MAX,
    TAG_VALUE_MAX,
    WRITABLE_FACTS,
    XATTR_VALUE_MAX,
    Fact,
    Foreign,
    Plain,
    Tag,
    Xattr,
    check_tag,
    classify_xattr,
    parse_tag,
    tag_key,
)
from mountfs.namespace.expiry import expiry_seconds, parse_expiry
from mountfs.namespace.keys import (
    JOB_METADATA_NAME,
    NAME_MAX,
    VIEW_NAMES,
    VIRTUAL_FILES,
    build_key,
    check_job_name,
    check_name,
    is_reserved_root_name,
    join_key,
    normalize_key,
    split_key,
)
from mountfs.namespace.kinds import (
    BUILTIN_TYPES,
    TYPE_SLUG,
    ArtifactType,
    canonical_type,
    type_by_name,
    type_word,
)
from mountfs.namespace.layouts import Layouts, layout_keys
from mountfs.namespace.mime import HEAD_BYTES, PLAIN_TEXT, guess_mime, mime_by_content, mime_by_name
from mountfs.namespace.rules import TypeRules

__all__ = [
    "BUILTIN_TYPES",
    "FACTS",
    "HEAD_BYTES",
    "JOB_METADATA_NAME",
    "MAX_TAGS",
    "NAME_MAX",
    "PLAIN_TEXT",
    "REQUEST_FACTS",
    "TAG_KEY",
    "TAG_KEY_MAX",
    "TAG_VALUE_MAX",
    "TYPE_SLUG",
    "VIEW_NAMES",
    "VIRTUAL_FILES",
    "WRITABLE_FACTS",
    "XATTR_VALUE_MAX",
    "Age",
    "ArtifactType",
    "Fact",
    "Foreign",
    "Layouts",
    "Plain",
    "Tag",
    "TypeRules",
    "Xattr",
    "age_of",
    "build_key",
    "canonical_type",
    "check_job_name",
    "check_name",
    "check_tag",
    "classify_xattr",
    "expiry_seconds",
    "guess_mime",
    "is_reserved_root_name",
    "is_successful",
    "join_key",
    "layout_keys",
    "mime_by_content",
    "mime_by_name",
    "normalize_key",
    "parse_expiry",
    "parse_tag",
    "split_key",
    "tag_key",
    "type_by_name",
    "type_word",
]
