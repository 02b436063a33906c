"""Requests that are right in every part but one, made from what the generated protocol knows of each operation."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from random import Random
from urllib.parse import quote_from_bytes

from attrs import field, frozen

from post3tw.api.operation import Operation
from post3tw.api.operations import OPERATIONS
from post3tw.api.routes import NOT_ROUTED

NASTY = (
    b"",
    b" ",
    b"0",
    b"-1",
    b"99999999999999999999999999",
    b"9223372036854775807",
    b"1e9",
    b"\xff\xfe\xed\xa0\x80",
    "\u00fc\u65e5 \U0001f600 \u0663".encode(),
    b"%0d%0aX-Evil:%20yes",
    b"%",
    b",,=;\"'<&>",
    b"/../../etc/passwd?versionId=\xc3\xa9",
    b"Thu, 31 Feb 99999 25:61:61 GMT",
    b"bytes=-99999999999999999999,5-1",
    b"a" * 10240,
)
"""Values of headers and of parameters in the query."""

NASTY_QUERY = (b"\0", b"\r\nX-Evil: yes", b"\x1b[2J\x7f", b"\xef\xbf\xbf\xc2\x85")
"""Values that only a query can carry, quoted."""

_GIVEN: Mapping[str, bytes] = {
    "partNumber": b"1",
    "x-amz-object-attributes": b"ETag,Checksum,ObjectParts,StorageClass,ObjectSize",
    "attributes": b"",
}
_DOCUMENTS: Mapping[str, bytes] = {
    "CompleteMultipartUpload": b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>%(etag)b</ETag></Part>"
    b"</CompleteMultipartUpload>",
    "CreateBucket": b"",
    "DeleteObjects": b"<Delete><Object><Key>none</Key></Object></Delete>",
    "PutBucketAcl": b"",
    "PutBucketTagging": b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
    "PutBucketVersioning": b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
    "PutObjectTagging": b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
}


@frozen
class Place:
    """What requests are about; all of it exists.

    Attributes:
        bucket: requests about buckets go there.
        objects: the bucket of requests about objects.
        key: in that.
        source: another one, for copies.
        upload: the id of an upload of `key`.
        etag: of its part 1, in quotes.
    """

    bucket: str
    objects: str
    key: str
    source: str
    upload: str
    etag: str


@frozen
class Request:
    """A request in parts; headers and query are raw values by wire name."""

    operation: Operation
    place: Place
    headers: dict[str, bytes] = field(factory=dict)
    query: dict[str, bytes] = field(factory=dict)
    body: bytes = b""

    @property
    def target(self) -> str:
        """The request target."""
        path = ("/", f"/{self.place.bucket}", f"/{self.place.objects}/{self.place.key}")[self.operation.level]
        query = "&".join(f"{name}={quote_from_bytes(value, safe='')}" for name, value in self.query.items())
        return f"{path}?{query}" if query else path

    @property
    def fields(self) -> list[tuple[bytes, bytes]]:
        """The headers as they go out."""
        return [(name.lower().encode(), value) for name, value in self.headers.items()]

    def changed(self, where: str, name: str, value: bytes) -> Request:
        """The same with another value in one place."""
        headers, query = dict(self.headers), dict(self.query)
        if where == "query":
            query[name] = value
        else:
            headers[name + "x" if where == "headers" else name] = value
        return Request(self.operation, self.place, headers, query, self.body)


def routed() -> list[Operation]:
    """Every operation that a request can name."""
    return [operation for name, operation in sorted(OPERATIONS.items()) if name not in NOT_ROUTED]


def sound(operation: Operation, place: Place) -> Request:
    """A request of an operation that has all that it must have."""
    given = {
        **_GIVEN,
        "uploadId": place.upload.encode(),
        "x-amz-copy-source": f"/{place.objects}/{place.source}".encode(),
        "x-amz-rename-source": place.source.encode(),
    }
    query = {name: (value or "").encode() or given.get(name, b"") for name, value in operation.selectors}
    for where, name in operation.bindings.values():
        if where == "query" and name == "uploadId":
            query[name] = given[name]
    wanted = (operation.header, "x-amz-rename-source", "x-amz-object-attributes")
    names = {wire.lower() for where, wire in operation.bindings.values() if where == "header"}
    headers = {name: given[name] for name in wanted if name and name in names and name in given}
    document = _DOCUMENTS.get(operation.name, b"<X/>" if operation.body == "document" else b"")
    body = document.replace(b"%(etag)b", place.etag.encode()) if operation.body == "document" else b""
    return Request(operation, place, headers, query, b"content" if operation.body == "stream" else body)


def spoilt(request: Request) -> Iterator[tuple[str, bytes, Request]]:
    """A request with each of its members spoilt in each way: the member's name, the value, the request."""
    for where, name in request.operation.bindings.values():
        if where in ("header", "headers", "query") and name != "Content-Length":
            for value in NASTY + (NASTY_QUERY if where == "query" else ()):
                yield name, value, request.changed(where, name, value)


def mangled(document: bytes, random: Random) -> bytes:
    """A document with one thing wrong, or at least odd."""
    at, end = sorted((random.randrange(len(document) + 1), random.randrange(len(document) + 1)))
    tag = random.choice(_TAGS.findall(document) or [b"<X>"])
    match random.randrange(8):
        case 0:
            return document[:at]
        case 1:
            return document[:at] + document[end:]
        case 2:
            return document[:end] + document[at:end] * random.choice((1, 2, 300)) + document[end:]
        case 3:
            return document[:at] + random.choice(NASTY + _NASTY_XML) + document[at:]
        case 4:
            return document.replace(tag, random.choice((b"", tag * 2, tag[:-1] + b" a='1' xsi:type='Group'>")))
        case 5:
            return _TEXT.sub(lambda match: b">" + random.choice(NASTY + _NASTY_XML) + b"<", document)
        case 6:
            return bytes(byte if random.random() > 0.05 else random.randrange(256) for byte in document)
        case _:
            return random.choice(_ENCODED)(document.decode())


_TAGS = re.compile(rb"<[A-Za-z]+>")
_TEXT = re.compile(rb">[^<>]+<")
_NASTY_XML = (
    b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>",
    b"&b;",
    b"&#0;",
    b"&#xD800;",
    b"<![CDATA[]]>",
    b"<?pi?>",
    b"<!-- -->",
    b"\x00",
    b"<a>" * 40,
    "\U0001f600\u0085\uffff".encode(),
)
_ENCODED: tuple[Callable[[str], bytes], ...] = (
    lambda text: text.encode("utf-16"),
    lambda text: b"\xef\xbb\xbf" + text.encode(),
    lambda text: b"<?xml version='1.0' encoding='UTF-7'?>" + text.encode("utf-7"),
    lambda text: b"<?xml version='1.0' encoding='ISO-8859-1'?>" + text.encode() + b"\xff",
    lambda text: text.replace("<", "&lt;").encode(),
    lambda text: text.upper().encode(),
)
