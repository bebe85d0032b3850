"""MIME types by name and by the first bytes of the content, the same on every machine."""

import codecs
from typing import Final

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
_MAGIC: Final = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF8", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\xfd7zXZ\0", "application/x-xz"),
    (0, b"\x28\xb5\x2f\xfd", "application/zstd"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (257, b"ustar", "application/x-tar"),
    (0, b"SQLite format 3\0", "application/x-sqlite3"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"OggS", "audio/ogg"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\0asm", "application/wasm"),
    (0, b"<?xml", "application/xml"),
    (0, b"<!DOCTYPE html", "text/html"),
)
_NOT_TEXT: Final = frozenset(range(32)) - frozenset(b"\t\n\r\f\b\x1b")  # ESC: coloured logs are text


def guess_mime(name: bytes, head: bytes = b"") -> str:
    """The MIME type by name, else by the first bytes of the content; the same on every machine.

    `head` may end inside a character. Unknown UTF-8 text, and nothing at all, is `text/plain`.
    """
    suffix = name.decode("utf-8", "replace").lower().rpartition(".")
    if suffix[1] and suffix[2] in _MIME:
        return _MIME[suffix[2]]
    for offset, magic, mime in _MAGIC:
        if head.startswith(magic, offset):
            return mime
    return "text/plain" if _is_text(head) else "application/octet-stream"


def _is_text(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, final=False)
    except UnicodeDecodeError:
        return False
    return _NOT_TEXT.isdisjoint(head)
