"""Targets in post3tw.wire that are small: targets of requests, ranges, dates, sources of copies, XML."""

from __future__ import annotations

from post3tw.wire.canonical import canonical_path
from post3tw.wire.copy_source import parse_copy_source
from post3tw.wire.dates import amz_date, http_date, iso8601, parse_amz_date, parse_http_date, parse_iso8601
from post3tw.wire.ranges import content_range, parse_copy_range, parse_range
from post3tw.wire.uri import decode_path, parse_query, quote, split_target
from post3tw.wire.xml import Element, escape, parse
from tests.fuzz.engine import Target
from tests.fuzz.wire_targets import attempt


def uri(data: bytes) -> None:
    """A request target."""
    parts = attempt(split_target, data)
    if parts is None:
        return
    path, query = parts
    key = attempt(decode_path, path)
    if key is not None:
        assert decode_path(quote(key, safe="/").encode()) == key
    assert canonical_path(canonical_path(path)) == canonical_path(path)
    pairs = attempt(parse_query, query)
    if pairs is not None:
        again = "&".join(f"{quote(name)}={quote(value)}" for name, value in pairs)
        assert parse_query(again.encode()) == [pair for pair in pairs if pair != ("", "")] or ("", "") in pairs


def ranges(data: bytes) -> None:
    """A Range header; its first byte says the object's size."""
    size, text = data[0] if data else 0, data[1:].decode("latin-1")
    for parse_it in (parse_range, parse_copy_range):
        found = attempt(parse_it, text, size)
        if found is not None:
            first, last = found
            assert 0 <= first <= last < size
            assert content_range(first, last, size).startswith("bytes ")


def dates(data: bytes) -> None:
    """A date in any form."""
    text = data.decode("latin-1")
    time = parse_http_date(text)
    if time is not None and time >= 0:
        assert parse_http_date(http_date(time)) == time
    time = parse_iso8601(text)
    if time is not None and time >= -62_135_596_800_000:
        assert parse_iso8601(iso8601(time)) == time
    time = parse_amz_date(text)
    if time is not None:
        assert amz_date(time) == text


def copy_source(data: bytes) -> None:
    """An x-amz-copy-source header."""
    for text in (data.decode("latin-1"), data.decode("utf-8", "surrogateescape")):
        found = attempt(parse_copy_source, text)
        if found is not None:
            assert found.bucket and found.key and "/" not in found.bucket
            again = f"/{quote(found.bucket)}/{quote(found.key)}"
            if found.version_id is not None:
                again += f"?versionId={quote(found.version_id)}"
            assert parse_copy_source(again) == found


def xml(data: bytes) -> None:
    """Any document, and a text that goes into one."""
    root = attempt(parse, data)
    if root is not None:
        _walk(root)
    text = data[:4096].decode("utf-8", "replace")
    document = f"<a>{escape(text)}</a>".encode("utf-8", "surrogatepass")
    again = attempt(parse, document)
    if again is not None:
        assert again.text == text


def _walk(element: Element, depth: int = 1) -> None:
    assert depth <= 16
    for child in element.children:
        _walk(child, depth + 1)


TARGETS = (
    Target(
        "uri",
        uri,
        (b"/bucket/key%2Fa?list-type=2&prefix=a+b", b"http://host:1/b?x", b"/"),
        (b"%2e%2e", b"/../", b"//", b"%C3%A9", b"%ED%A0%80", b"?", b"&", b"=", b"+", b"https://", b"*"),
    ),
    Target(
        "ranges", ranges, (b"\x0abytes=0-4", b"\x0abytes=-4", b"\x0abytes=5-"), (b"bytes=", b"-", b" ", b"\t", b",")
    ),
    Target(
        "dates",
        dates,
        (
            b"Wed, 18 Nov 2026 09:06:40 GMT",
            b"Wednesday, 18-Nov-26 09:06:40 GMT",
            b"Wed Nov 18 09:06:40 2026",
            b"2026-11-18T09:06:40.123Z",
            b"2026-11-18",
            b"20261118T090640Z",
        ),
        (b" +2359", b"-0000", b"GMT", b"UTC", b"Feb", b"9999", b"0000", b"0001", b"31", b"60", b"."),
    ),
    Target(
        "copy_source",
        copy_source,
        (b"/bucket/key?versionId=1", b"bucket%2Fkey+%C3%A9", b"t:bucket/a?b"),
        (b"?versionId=", b"%3F", b"%2F", b"/", b"+", b"arn:aws:s3:::", b"\xed\xa0\x80"),
    ),
    Target(
        "xml",
        xml,
        (b'<?xml version="1.0"?><a xmlns="u"><b>t</b><c x:y="1" xmlns:x="v"/></a>', b"<a><![CDATA[x]]>&amp;&#65;</a>"),
        (
            b"<!DOCTYPE a [",
            b"<!ENTITY b 'c'>",
            b"&b;",
            b"&#0;",
            b"<a>",
            b"</a>",
            b"<![CDATA[",
            b"]]>",
            b"<!--",
            b"<?x ?>",
            b"xmlns:x=",
        ),
        most=1 << 20,
    ),
)
