"""Records: one change to one path of one job at one stamp, and the fold that makes a state of them (BUCKET.md).

`values.py` is the JSON, `contents.py` and `registers.py` say what a record may set, `record.py` is a record as a value
and as a line, `fold.py` what follows from many.

What they keep true: the fold is the same in any order, for any repetition and any grouping; a record that was read is
passed on byte for byte, with whatever it holds that this version does not know; whether a record is refused depends
on its bytes alone, so that machines never differ. Pure: no clock, no I/O.
"""

from mountfs.records.contents import (
    MOST_TARGET_BYTES,
    ContentValue,
    DirectoryContent,
    FileContent,
    SymlinkContent,
    content_of,
    take_time,
)
from mountfs.records.fold import PathState, Win, fold, in_order, winning
from mountfs.records.record import (
    MOST_PATH_BYTES,
    MOST_REGISTERS,
    STAMP,
    Record,
    decode_record,
    match_usual_file,
    record_of,
)
from mountfs.records.registers import MOST_TEXT, check_register, xattr_name, xattr_register
from mountfs.records.values import (
    MOST_DEPTH,
    MOST_LINE_BYTES,
    Fields,
    RecordRefused,
    Value,
    bytes_of_field,
    bytes_of_value,
    canonical,
    field_of_bytes,
    from_base64,
    parse_line,
    take_codec,
    take_digest,
    take_hash,
    take_int,
    to_base64,
    value_of_bytes,
)

__all__ = [
    "MOST_DEPTH", "MOST_LINE_BYTES", "MOST_PATH_BYTES", "MOST_REGISTERS", "MOST_TARGET_BYTES", "MOST_TEXT", "STAMP",
    "ContentValue", "DirectoryContent", "Fields", "FileContent", "PathState", "Record", "RecordRefused",
    "SymlinkContent", "Value", "Win", "bytes_of_field", "bytes_of_value", "canonical", "check_register", "content_of",
    "decode_record", "field_of_bytes", "fold", "from_base64", "in_order", "match_usual_file", "parse_line", "record_of",
    "take_codec", "take_digest", "take_hash", "take_int", "take_time", "to_base64", "value_of_bytes", "winning",
    "xattr_name", "xattr_register",
]  # fmt: skip
