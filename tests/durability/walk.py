"""A random walk through S3: each step is one request, made from what earlier answers have named.

Names are few, so that requests meet; among them are those that databases like to trip over: NUL, quotes, wildcards of
LIKE, what sorts differently as text and as bytes, numbers that no column holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random
from typing import TypeVar
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape

from attrs import define, field

from tests.durability.answers import Answer, Step

BUCKETS = ("one", "two", "three")
KEYS = (
    "a",
    "a/",
    "a/b",
    "a/b/c",
    "a0",
    "B",
    "b",
    "ä",
    "a\u0308",
    "a%",
    "a_c",
    "'; --",
    "a\\b",
    "a\u0000b",
    "\U0001f600",
)
PREFIXES = (*KEYS, "", "a/", "A", "\u0000", "\uffff", "z", "a'")
ODD_NUMBERS = ("0", "-1", "3", "1000", "2147483648", "9223372036854775808", "1e3", "", "\u0000", "x" * 2000)
ODD_NAMES = ("null", "", "\u0000", "'", "x" * 3000, "0" * 32, "\ud7ff\U0010ffff")
SIZES = (0, 1, 5, 1000, 65_536, 65_537, 200_000)
SMALL_PART = 70_000
FULL_PART = 5 << 20
VERSIONING = '<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>%s</Status></VersioningConfiguration>'
DATES = ("Mon, 01 Jan 2001 00:00:00 GMT", "Sat, 01 Jan 2050 00:00:00 GMT", "yesterday")
SUBRESOURCES = ("versioning", "tagging", "acl", "location", "policy", "cors", "object-lock", "lifecycle", "nonsense")

T = TypeVar("T")
Pairs = list[tuple[str, str]]
Query = tuple[tuple[str, str | None], ...]


@define
class Walk:
    """Makes steps and looks at the answers to one of the servers."""

    random: Random
    versions: list[tuple[str, str]] = field(factory=lambda: [("a", "null")])
    uploads: list[tuple[str, str, str]] = field(factory=lambda: [("one", "a", "none")])
    parts: dict[str, dict[int, str]] = field(factory=dict)
    tokens: list[str] = field(factory=lambda: ["none"])
    etags: list[str] = field(factory=lambda: ['"0"'])

    def next(self) -> Step:
        """The next step."""
        weighted: list[tuple[int, Callable[[], Step]]] = [
            (12, self._put),
            (8, self._get),
            (4, self._delete),
            (3, self._delete_many),
            (5, self._copy),
            (6, self._list),
            (3, self._list_versions),
            (2, self._list_uploads),
            (3, self._create_upload),
            (4, self._upload_part),
            (2, self._copy_part),
            (2, self._list_parts),
            (3, self._complete),
            (1, self._abort),
            (2, self._versioning),
            (3, self._tagging),
            (3, self._bucket),
            (2, self._subresource),
        ]
        steps = [step for weight, step in weighted for _ in range(weight)]
        return self.random.choice(steps)()

    def learn(self, step: Step, answer: Answer) -> None:
        """Remember what an answer has named."""
        key = step.path.split("/", 2)[-1]
        bucket = step.path.split("/")[1]
        if version := answer.headers.get("x-amz-version-id"):
            self._keep(self.versions, (key, version), 40)
        if etag := answer.headers.get("etag"):
            self._keep(self.etags, etag, 20)
        if found := re.search("<InitiateMultipartUploadResult.*<UploadId>([^<]+)<", answer.body, re.DOTALL):
            self._keep(self.uploads, (bucket, key, found[1]), 12)
        for token in re.findall("<Next(?:ContinuationToken|VersionIdMarker|UploadIdMarker)>([^<]+)<", answer.body):
            self._keep(self.tokens, token, 10)
        query = dict(step.query)
        if answer.status == 200 and (number := query.get("partNumber")) and (upload := query.get("uploadId")):
            etag = answer.headers.get("etag") or (re.findall("<ETag>([^<]+)<", answer.body) or ["x"])[0]
            self.parts.setdefault(upload, {})[int(number)] = etag.strip('"').replace("&quot;", "")

    def _keep(self, known: list[T], value: T, most: int) -> None:
        if value not in known:
            known.append(value)
            del known[:-most]

    # -- pieces --------------------------------------------------------------------------------------------------------

    def _chance(self, percent: int) -> bool:
        return self.random.randrange(100) < percent

    def _bucket_path(self) -> str:
        if self._chance(2):
            return "/" + self.random.choice(("%00", "none", "One", "a" * 64, "%27", "%E2%82%AC"))
        return "/" + self.random.choice((*BUCKETS, "one", "one", "one"))

    def _key_path(self, key: str | None = None) -> str:
        return f"{self._bucket_path()}/{quote(key or self.random.choice(KEYS))}"

    def _data(self) -> bytes:
        size = self.random.choice(SIZES)
        return self.random.randbytes(size).replace(b"<", b">")

    def _query(self, **values: str | None) -> Query:
        return tuple((name.replace("_", "-"), value) for name, value in values.items())

    def _conditions(self, prefix: str = "") -> Pairs:
        headers: Pairs = []
        if self._chance(15):
            headers.append((f"{prefix}if-match", self.random.choice([*self.etags[-4:], "*", '"none"'])))
        if self._chance(15):
            headers.append((f"{prefix}if-none-match", self.random.choice([*self.etags[-4:], "*", '"none"'])))
        if self._chance(5):
            headers.append((f"{prefix}if-modified-since", self.random.choice(DATES)))
        if self._chance(5):
            headers.append((f"{prefix}if-unmodified-since", self.random.choice(DATES)))
        return headers

    def _description(self) -> Pairs:
        headers: Pairs = []
        if self._chance(20):
            headers.append(("x-amz-meta-name", self.random.choice(("x", "\u00e4 \u65e5", "'", "x" * 500, "\\u0000"))))
        if self._chance(15):
            headers.append(("content-type", self.random.choice(("text/plain", "a'b/c", "\u00fc"))))
        if self._chance(15):
            headers.append(
                ("x-amz-tagging", self.random.choice(("a=b&c=d", "a=%00", "a=%27%C3%A4", "a=1&a=2", "=", "%")))
            )
        if self._chance(10):
            headers.append(("x-amz-storage-class", self.random.choice(("STANDARD_IA", "GLACIER", "NONE"))))
        if self._chance(10):
            headers.append(("x-amz-checksum-algorithm", self.random.choice(("CRC32C", "SHA256", "NONE"))))
        return headers

    def _version(self, percent: int = 40) -> tuple[str, Query]:
        """A key, and perhaps one of its versions as a query."""
        if not self._chance(percent):
            return self.random.choice(KEYS), ()
        key, version = self.random.choice(self.versions)
        if self._chance(10):
            version = self.random.choice(ODD_NAMES)
        return unquote(key), self._query(versionId=version)

    def _upload(self) -> tuple[str, str]:
        """The path of an upload's object, and its id."""
        bucket, key, upload = self.random.choice(self.uploads)
        if self._chance(5):
            upload = self.random.choice(ODD_NAMES)
        return (self._key_path() if self._chance(5) else f"/{bucket}/{key}"), upload

    # -- objects -------------------------------------------------------------------------------------------------------

    def _put(self) -> Step:
        headers = [*self._conditions(), *self._description()]
        data = self._data()
        if self._chance(5):
            headers.append(("content-md5", "AAAAAAAAAAAAAAAAAAAAAA=="))
        return Step("PUT", self._key_path(), headers=tuple(headers), body=data)

    def _get(self) -> Step:
        key, query = self._version()
        headers = self._conditions()
        if self._chance(20):
            headers.append(("range", self.random.choice(("bytes=0-0", "bytes=-5", "bytes=65530-65550", "bytes=9-2"))))
        if self._chance(5):
            query += self._query(partNumber=self.random.choice(("1", "2", *ODD_NUMBERS)))
        method = self.random.choice(("GET", "GET", "HEAD"))
        if self._chance(5):
            headers.append(("x-amz-checksum-mode", "ENABLED"))
        if method == "GET" and self._chance(10):
            headers.append(("x-amz-object-attributes", "ETag,Checksum,ObjectParts,StorageClass,ObjectSize"))
            query += self._query(attributes=None)
        return Step(method, self._key_path(key), query, tuple(headers))

    def _delete(self) -> Step:
        key, query = self._version(60)
        return Step("DELETE", self._key_path(key), query, tuple(self._conditions()[:1]))

    def _delete_many(self) -> Step:
        objects = ""
        for _ in range(self.random.randrange(4)):
            key, query = self._version()
            version = f"<VersionId>{escape(str(query[0][1]))}</VersionId>" if query else ""
            objects += f"<Object><Key>{escape(key)}</Key>{version}</Object>"
        quiet = "<Quiet>true</Quiet>" if self._chance(30) else ""
        document = f"<Delete>{objects}{quiet}</Delete>".encode()
        return Step("POST", self._bucket_path(), self._query(delete=None), body=document)

    def _copy(self) -> Step:
        headers = [*self._source(), *self._conditions("x-amz-copy-source-")]
        if self._chance(30):
            headers += [("x-amz-metadata-directive", "REPLACE"), *self._description()]
        return Step("PUT", self._key_path(), headers=tuple(headers))

    def _source(self) -> Pairs:
        key, query = self._version(25)
        version = str(query[0][1]) if query else ""
        chosen = f"?versionId={version if version.startswith('«') else quote(version)}" if query else ""
        return [("x-amz-copy-source", f"{self._bucket_path()}/{quote(key)}{chosen}")]

    # -- listings ------------------------------------------------------------------------------------------------------

    def _listed(self) -> dict[str, str | None]:
        query: dict[str, str | None] = {}
        if self._chance(40):
            query["prefix"] = self.random.choice(PREFIXES)
        if self._chance(40):
            query["delimiter"] = self.random.choice(("/", "/", "a", "\u0308", "", "b/"))
        if self._chance(30):
            query["encoding-type"] = "url"
        return query

    def _most(self) -> str:
        return self.random.choice(("1", "2", "3", "5", *ODD_NUMBERS))

    def _list(self) -> Step:
        query = self._listed()
        if self._chance(50):
            query["max-keys"] = self._most()
        if self._chance(60):
            query["list-type"] = "2"
            if self._chance(30):
                query["continuation-token"] = self.random.choice(self.tokens)
            elif self._chance(30):
                query["start-after"] = self.random.choice(PREFIXES)
        elif self._chance(40):
            query["marker"] = self.random.choice(PREFIXES)
        return Step("GET", self._bucket_path(), tuple(query.items()))

    def _list_versions(self) -> Step:
        query: dict[str, str | None] = {"versions": None, **self._listed()}
        if self._chance(50):
            query["max-keys"] = self._most()
        if self._chance(30):
            query["key-marker"] = self.random.choice(PREFIXES)
            if self._chance(60):
                _, version = self.random.choice(self.versions)
                query["version-id-marker"] = self.random.choice((version, *self.tokens[-2:], *ODD_NAMES))
        return Step("GET", self._bucket_path(), tuple(query.items()))

    def _list_uploads(self) -> Step:
        query: dict[str, str | None] = {"uploads": None, **self._listed()}
        if self._chance(50):
            query["max-uploads"] = self._most()
        if self._chance(30):
            query["key-marker"] = self.random.choice(PREFIXES)
            query["upload-id-marker"] = self.random.choice((*self.tokens[-2:], self._upload()[1], *ODD_NAMES))
        return Step("GET", self._bucket_path(), tuple(query.items()))

    # -- uploads -------------------------------------------------------------------------------------------------------

    def _create_upload(self) -> Step:
        return Step("POST", self._key_path(), self._query(uploads=None), tuple(self._description()))

    def _number(self) -> str:
        return self.random.choice(("1", "1", "2", "3", "10000", *ODD_NUMBERS[:3], "10001"))

    def _upload_part(self) -> Step:
        path, upload = self._upload()
        size = FULL_PART if self._chance(10) else self.random.choice((1, SMALL_PART))
        query = self._query(partNumber=self._number(), uploadId=upload)
        return Step("PUT", path, query, body=bytes([self.random.randrange(61, 256)]) * size)

    def _copy_part(self) -> Step:
        path, upload = self._upload()
        headers = self._source()
        if self._chance(30):
            headers.append(("x-amz-copy-source-range", self.random.choice(("bytes=0-3", "bytes=1-70000", "bytes=x"))))
        return Step("PUT", path, self._query(partNumber=self._number(), uploadId=upload), tuple(headers))

    def _list_parts(self) -> Step:
        path, upload = self._upload()
        query: dict[str, str | None] = {"uploadId": upload}
        if self._chance(40):
            query["max-parts"] = self._most()
        if self._chance(30):
            query["part-number-marker"] = self.random.choice(("1", "2", *ODD_NUMBERS))
        return Step("GET", path, tuple(query.items()))

    def _complete(self) -> Step:
        path, upload = self._upload()
        listed = ""
        for number, etag in sorted(self.parts.get(upload, {1: "0"}).items()):
            if not self._chance(20):
                listed += f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
        document = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
        return Step("POST", path, self._query(uploadId=upload), body=document)

    def _abort(self) -> Step:
        path, upload = self._upload()
        return Step("DELETE", path, self._query(uploadId=upload))

    # -- buckets -------------------------------------------------------------------------------------------------------

    def _versioning(self) -> Step:
        status = self.random.choice(("Enabled", "Enabled", "Suspended", "Maybe"))
        return Step("PUT", self._bucket_path(), self._query(versioning=None), body=(VERSIONING % status).encode())

    def _tagging(self) -> Step:
        method = self.random.choice(("GET", "PUT", "PUT", "DELETE"))
        path, query = self._bucket_path(), self._query(tagging=None)
        if self._chance(60):
            key, version = self._version()
            path, query = f"{path}/{quote(key)}", query + version
        if method != "PUT":
            return Step(method, path, query)
        value = self.random.choice(("v", "", "\u00e4'", "x" * 257))
        tags = "".join(f"<Tag><Key>k{n}</Key><Value>{value}</Value></Tag>" for n in range(self.random.randrange(12)))
        return Step("PUT", path, query, body=f"<Tagging><TagSet>{tags}</TagSet></Tagging>".encode())

    def _bucket(self) -> Step:
        if self._chance(20):
            query = self._query(max_buckets=self.random.choice(("1", *ODD_NUMBERS))) if self._chance(30) else ()
            if self._chance(30):
                query += self._query(prefix=self.random.choice(PREFIXES))
            if self._chance(30):
                query += self._query(continuation_token=self.random.choice((*self.tokens, *ODD_NAMES)))
            return Step("GET", "/", query)
        return Step(self.random.choice(("PUT", "PUT", "HEAD", "DELETE")), self._bucket_path())

    def _subresource(self) -> Step:
        path = self._key_path() if self._chance(40) else self._bucket_path()
        return Step("GET", path, ((self.random.choice(SUBRESOURCES), None),))
