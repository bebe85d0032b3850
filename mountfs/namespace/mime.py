"""MIME types by name, and where the name says nothing by the first bytes; the same on every machine."""

import re
from typing import Final

PLAIN_TEXT: Final = "text/plain"
OCTETS: Final = "application/octet-stream"
HEAD_BYTES: Final = 512
"""As many first bytes of a content tell what it is: the mark of a tar ends at 262, the rest is for leading blanks."""

# A table of our own: /etc/mime.types and Python's list differ from machine to machine.
_MIME_TABLE: Final = """
text/plain txt log out err text cfg conf ini env properties lst list
text/markdown md markdown
text/html html htm xhtml
text/css css
text/csv csv
text/tab-separated-values tsv
text/javascript js mjs cjs
text/x-python py pyi
text/x-shellscript sh bash
text/x-diff diff patch
text/x-c c h cc cpp cxx hpp
text/x-java-source java
text/x-go go
text/x-rust rs
text/x-typescript ts tsx
text/x-rst rst
text/calendar ics
application/json json map har webmanifest
application/sarif+json sarif
application/x-ndjson jsonl ndjson
application/yaml yaml yml
application/toml toml
application/xml xml xsd xsl trx
application/sql sql
application/pdf pdf
application/rtf rtf
application/zip zip whl
application/java-archive jar war
application/gzip gz tgz
application/x-bzip2 bz2
application/x-xz xz
application/zstd zst
application/x-7z-compressed 7z
application/x-tar tar
application/wasm wasm
application/x-sqlite3 sqlite sqlite3 db
application/msword doc
application/vnd.ms-excel xls
application/vnd.ms-powerpoint ppt
application/vnd.openxmlformats-officedocument.wordprocessingml.document docx
application/vnd.openxmlformats-officedocument.spreadsheetml.sheet xlsx
application/vnd.openxmlformats-officedocument.presentationml.presentation pptx
application/vnd.oasis.opendocument.text odt
application/vnd.oasis.opendocument.spreadsheet ods
application/vnd.ms-outlook msg
application/vnd.apache.parquet parquet
application/octet-stream bin exe dll so o a dump core
message/rfc822 eml
image/png png
image/jpeg jpg jpeg
image/gif gif
image/webp webp
image/svg+xml svg
image/bmp bmp
image/tiff tif tiff
image/avif avif
image/x-icon ico
audio/mpeg mp3
audio/ogg ogg oga
audio/wav wav
video/mp4 mp4 m4v
video/webm webm
video/x-matroska mkv
video/quicktime mov
video/x-msvideo avi
font/woff woff
font/woff2 woff2
font/ttf ttf
"""
_MIME: Final = {suffix: line.split()[0] for line in _MIME_TABLE.strip().splitlines() for suffix in line.split()[1:]}
# What programs begin their files with. Where that could be the beginning of a sentence too (`BZh`, `ID3`, `GIF8`), more
# of it is asked for.
_MAGIC: Final = (
    (rb"\x89PNG\r\n\x1a\n", "image/png"),
    (rb"\xff\xd8\xff", "image/jpeg"),
    (rb"GIF8[79]a", "image/gif"),
    (rb"RIFF.{4}WEBP", "image/webp"),
    (rb"II\*\0|MM\0\*", "image/tiff"),
    (rb"%PDF-", "application/pdf"),
    (rb"PK(?:\x03\x04|\x05\x06|\x07\x08)", "application/zip"),
    (rb"\x1f\x8b\x08", "application/gzip"),
    (rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)", "application/x-bzip2"),
    (rb"\xfd7zXZ\0", "application/x-xz"),
    (rb"\x28\xb5\x2f\xfd", "application/zstd"),
    (rb"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (rb".{257}ustar", "application/x-tar"),
    (rb"\x7fELF", "application/x-elf"),
    (rb"\xca\xfe\xba\xbe..(?:\0[\x2d-\xff]|[\x01-\xff].)", "application/java-vm"),  # below 45 fat binaries of macOS
    (rb"\0asm", "application/wasm"),
    (rb"SQLite format 3\0", "application/x-sqlite3"),
    (rb"\0\0..ftypqt  ", "video/quicktime"),
    (rb"\0\0..ftypavi[fs]", "image/avif"),
    (rb"\0\0..ftyp", "video/mp4"),
    (rb"\x1aE\xdf\xa3.{0,60}\x42\x82.webm", "video/webm"),
    (rb"\x1aE\xdf\xa3", "video/x-matroska"),
    (rb"RIFF.{4}AVI ", "video/x-msvideo"),
    (rb"RIFF.{4}WAVE", "audio/wav"),
    (rb"OggS\0", "audio/ogg"),
    (rb"ID3[\x02-\x04]", "audio/mpeg"),
)
# What begins as INI, TOML or a log does too ([1/7], [[table]]) passes for text, also where it is JSON.
_MARKUP: Final = (
    (rb"<\?xml\s", "application/xml"),
    (rb"(?i:<!doctype html|<html|<head|<body)[\s>]", "text/html"),
    (rb"<svg[\s>]", "image/svg+xml"),
    (rb'\{\s*+(?:"|\}\s*\Z)|\[\s*+(?:["{]|\]\s*\Z)', "application/json"),
)


def _matcher(table: tuple[tuple[bytes, str], ...], before: bytes = b"") -> re.Pattern[bytes]:
    """All beginnings of a table at once; the group that matched is the row, counted from 1."""
    return re.compile(before + b"(?:" + b"|".join(b"(" + begins + b")" for begins, _ in table) + b")", re.DOTALL)


_ANY_MAGIC: Final = _matcher(_MAGIC)
_ANY_MARKUP: Final = _matcher(_MARKUP, before=rb"(?:\xef\xbb\xbf)?\s*+")
_TEXT_BYTES: Final = bytes({*b"\t\n\r\f\b\x1b", *range(32, 256)})  # ESC: coloured logs are text
_WIDE: Final = (b"\xff\xfe", b"\xfe\xff")  # UTF-16, whose every other byte is NUL


def guess_mime(name: bytes, by_content: str = PLAIN_TEXT) -> str:
    """The MIME type by name, else the one that the content tells."""
    return mime_by_name(name) or by_content


def mime_by_name(name: bytes) -> str | None:
    """What the suffix says; None where it says nothing."""
    suffix = name.decode("utf-8", "replace").lower().rpartition(".")
    return _MIME.get(suffix[2]) if suffix[1] else None


def mime_by_content(head: bytes) -> str:
    """What the first `HEAD_BYTES` of a content tell: `text/plain` unless they say more, or are none.

    `head` may be longer, and may end anywhere. Text in any encoding is text; a control byte makes it octets.
    """
    head = head[:HEAD_BYTES]
    magic = _ANY_MAGIC.match(head)
    if magic is not None and magic.lastindex is not None:
        return _MAGIC[magic.lastindex - 1][1]
    if head.translate(None, _TEXT_BYTES):
        return PLAIN_TEXT if head.startswith(_WIDE) else OCTETS
    markup = _ANY_MARKUP.match(head)
    if markup is not None and markup.lastindex is not None:
        return _MARKUP[markup.lastindex - 1][1]
    return PLAIN_TEXT
