"""MIME types: the name says it, else the first bytes do, the same for everybody."""

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mountfs import namespace as ns

PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR"
TAR = b"report.xml".ljust(100, b"\0") + b"0000644\0" + bytes(149) + b"ustar\x0000" + bytes(300)
CLASS = b"\xca\xfe\xba\xbe" + struct.pack(">HH", 0, 61)
MATROSKA = b"\x1aE\xdf\xa3\x01\0\0\0\0\0\0\x1fB\x86\x81\x01B\xf7\x81\x01B\xf2\x81\x04B\xf3\x81\x08B\x82"

TELLING = [
    (PNG, "image/png"),
    (b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"),
    (b"GIF89a\x01\0", "image/gif"),
    (b"RIFF\x24\0\0\0WEBPVP8 ", "image/webp"),
    (b"RIFF\x24\0\0\0WAVEfmt ", "audio/wav"),
    (b"RIFF\x24\0\0\0AVI LIST", "video/x-msvideo"),
    (b"II*\0\x08", "image/tiff"),
    (b"%PDF-1.7\n%text so far", "application/pdf"),
    (b"PK\x03\x04\x14\0", "application/zip"),
    (b"PK\x05\x06" + bytes(18), "application/zip"),
    (b"\x1f\x8b\x08\0", "application/gzip"),
    (b"BZh91AY&SY", "application/x-bzip2"),
    (b"\xfd7zXZ\0", "application/x-xz"),
    (b"\x28\xb5\x2f\xfd....", "application/zstd"),
    (b"7z\xbc\xaf\x27\x1c\0\x04", "application/x-7z-compressed"),
    (TAR, "application/x-tar"),
    (b"\x7fELF\x02\x01\x01", "application/x-elf"),
    (CLASS, "application/java-vm"),
    (b"\0asm\x01\0\0\0", "application/wasm"),
    (b"SQLite format 3\0", "application/x-sqlite3"),
    (b"\0\0\0\x18ftypmp42", "video/mp4"),
    (b"\0\0\0\x14ftypqt  ", "video/quicktime"),
    (b"\0\0\0\x1cftypavif", "image/avif"),
    (MATROSKA + b"\x84webm", "video/webm"),
    (MATROSKA + b"\x88matroska", "video/x-matroska"),
    (b"OggS\0\x02", "audio/ogg"),
    (b"ID3\x03\0", "audio/mpeg"),
    (b'<?xml version="1.0"?><testsuites/>', "application/xml"),
    (b"\xef\xbb\xbf\r\n<?xml version='1.0'?>", "application/xml"),
    (b"<!DOCTYPE html>\n<title>", "text/html"),
    (b"\n<HTML lang=en>", "text/html"),
    (b"<svg xmlns=", "image/svg+xml"),
    (b'{"a": 1}', "application/json"),
    (b'[\n  {"a": 1}\n]', "application/json"),
    (b"{}\n", "application/json"),
    (b"[]", "application/json"),
    (b"\0\x01", "application/octet-stream"),
    (b'{"a": "\0', "application/octet-stream"),
    (b"\xca\xfe\xba\xbe" + struct.pack(">I", 2), "application/octet-stream"),
]
TEXTS = [
    b"",
    b"a line\n",
    b"\x1b[31mred\x1b[0m\r\n",
    "é".encode() * 3 + b"\xc3",
    b"caf\xe9 au lait",
    "breit".encode("utf-16"),
    b"BZhang wrote this",
    b"ID3 tags are here",
    b"GIF87 or GIF89?",
    b"OggShop",
    b"use ftyp here",
    b"[package]\nname = 'x'\n",
    b"[[package]]\nname = 'x'\n",
    b"[1/7] Building",
    b"{% block %}",
    b"{{ name }}",
    b"<htmlish>",
    b"<testsuite/>",
]


@pytest.mark.parametrize(("head", "mime"), TELLING)
def test_the_first_bytes_tell_what_a_file_is(head: bytes, mime: str) -> None:
    assert ns.mime_by_content(head) == mime


@pytest.mark.parametrize("head", TEXTS)
def test_what_only_looks_alike_is_text(head: bytes) -> None:
    assert ns.mime_by_content(head) == "text/plain"


@given(st.one_of(st.binary(max_size=600), st.sampled_from(TELLING).flatmap(lambda row: _broken(row[0]))))
@example(b" " * 600)
@example(b"{" + b"\n" * 600)
def test_any_bytes_have_a_type_and_only_the_first_512_count(content: bytes) -> None:
    told = ns.mime_by_content(content)
    assert told in {mime for _, mime in TELLING} | {"text/plain"}
    head = content[: ns.HEAD_BYTES]
    assert told == ns.mime_by_content(head)
    assert ns.mime_by_content(head.ljust(ns.HEAD_BYTES) + PNG) == ns.mime_by_content(head.ljust(ns.HEAD_BYTES))


def _broken(head: bytes) -> st.SearchStrategy[bytes]:
    """A beginning that is cut off, with something else behind it."""
    return st.tuples(st.integers(0, len(head)), st.binary(max_size=20)).map(lambda cut: head[: cut[0]] + cut[1])


@given(st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF), max_size=300), st.sampled_from([0, 1, 8, 11, 31]))
def test_words_are_text_and_a_control_byte_makes_them_octets(words: str, control: int) -> None:
    head = b"# " + words.encode()
    assert ns.mime_by_content(head) == "text/plain"
    octets = ns.mime_by_content(head[:400] + bytes([control]))
    assert octets == ("text/plain" if control == 8 else "application/octet-stream")


@pytest.mark.parametrize(
    ("name", "mime"),
    [
        (b"a.json", "application/json"),
        (b"a.SARIF", "application/sarif+json"),
        (b"a.xml", "application/xml"),
        (b"a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        (b"a.unknown-suffix", None),
        (b"png", None),
        (b"\xff.\xff", None),
    ],
)
def test_the_suffix_says_the_type_or_nothing(name: bytes, mime: str | None) -> None:
    assert ns.mime_by_name(name) == mime


def test_the_name_is_believed_before_the_content() -> None:
    told = ns.mime_by_content(PNG)
    assert ns.guess_mime(b"a.xml", told) == "application/xml"
    assert ns.guess_mime(b"picture", told) == "image/png"
    assert ns.guess_mime(b"notes") == "text/plain"
