"""Rules of the model: objects are written, read, copied and deleted."""

from __future__ import annotations

from base64 import b64encode
from hashlib import md5
from xml.etree import ElementTree
from xml.sax.saxutils import escape
from zlib import crc32

from attrs import evolve

from tests.durability.answers import Step
from tests.durability.dictstore import NULL, Bucket, Refused, Version
from tests.durability.expectations import Expected, text_of
from tests.durability.rules import NO_BUCKET, Pairs, Rule, Rules, refusal

_UNCHANGING = {"x-amz-delete-marker": None}


class ObjectRules(Rules):
    """See the module's text."""

    def put(self) -> Rule:
        """Write an object, sometimes only if something holds, in one piece or in chunks."""
        name, bucket = self.some_bucket()
        key, data = self.some_key(bucket), self.some_data()
        if bucket is None:
            yield Step("PUT", self.object_path(name, key), body=data), NO_BUCKET
            return
        described, headers = self.some_description(bucket)
        if_match, if_none_match = None, False
        if self.chance(12):
            if_match = self._some_etag(bucket, key)
            headers.append(("if-match", if_match if if_match == "*" else f'"{if_match}"'))
        elif self.chance(12):
            if_none_match = True
            headers.append(("if-none-match", "*"))
        step = self._body_step(self.object_path(name, key), headers, data)
        try:
            bucket.check(key, if_match, if_none_match)
        except Refused as refused:
            yield step, refusal(refused)
            return
        yield from self.fill(name, key, described, data, step)

    def _body_step(self, path: str, headers: Pairs, data: bytes) -> Step:
        locks = any(name.startswith("x-amz-object-lock") for name, _ in headers)
        if not self.chance(35):
            if locks or self.chance(20):
                headers = [*headers, ("content-md5", b64encode(md5(data).digest()).decode())]
            return Step("PUT", path, (), tuple(headers), data)
        chunk = self.random.choice((8192, 65_536, 100_000))
        pieces = [data[at : at + chunk] for at in range(0, len(data), chunk)]
        coded = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
        checksum = b64encode(crc32(data).to_bytes(4, "big"))
        headers = [
            *headers,
            ("content-encoding", "aws-chunked"),
            ("x-amz-decoded-content-length", str(len(data))),
            ("x-amz-trailer", "x-amz-checksum-crc32"),
        ]
        coded += b"0\r\nx-amz-checksum-crc32:%b\r\n\r\n" % checksum
        return Step("PUT", path, (), tuple(headers), coded, payload="STREAMING-UNSIGNED-PAYLOAD-TRAILER")

    def _some_etag(self, bucket: Bucket, key: str) -> str:
        latest = bucket.latest(key)
        if latest is not None and self.chance(60):
            return latest.etag
        return self.random.choice(("*", "0" * 32))

    # -- reading

    def get(self) -> Rule:
        """Read an object, or a part of it, sometimes only if something holds."""
        name, bucket = self.some_bucket()
        key = self.some_key(bucket, 85)
        method = self.random.choice(("GET", "GET", "HEAD"))
        if bucket is None:
            yield Step(method, self.object_path(name, key)), NO_BUCKET
            return
        version_id, headers = self.some_version(bucket, key), Pairs()
        condition = self.random.choice(("if-match", "if-none-match")) if self.chance(20) else ""
        etag = self._some_etag(bucket, key)
        if condition:
            headers.append((condition, etag if etag == "*" else f'"{etag}"'))
        span = (
            self.random.choice(((0, 0), (0, 99), (3, 70_000), (65_530, 65_545), (-5, 0))) if self.chance(25) else None
        )
        if span is not None:
            headers.append(("range", f"bytes={span[0]}-{span[1]}" if span[0] >= 0 else f"bytes={span[0]}"))
        step = Step(method, self.object_path(name, key), self.query(version_id), tuple(headers))
        try:
            yield step, self._reading(method, bucket, bucket.find(key, version_id), condition, etag, span)
        except Refused as refused:
            yield step, refusal(refused)

    def _reading(
        self, method: str, bucket: Bucket, found: Version, condition: str, etag: str, span: tuple[int, int] | None
    ) -> Expected:
        matches = etag in ("*", found.etag)
        if condition == "if-match" and not matches:
            return Expected(412, "PreconditionFailed")
        if condition == "if-none-match" and matches:
            return Expected(304)
        data, status, headers = found.data, 200, self._shown(bucket, found)
        if span is not None:
            size = len(data)
            first, last = span if span[0] >= 0 else (max(0, size + span[0]), size - 1)
            if first >= size:
                return Expected(416, "InvalidRange")
            last = min(last, size - 1)
            data, status = data[first : last + 1], 206
            headers["content-range"] = f"bytes {first}-{last}/{size}"
        headers["content-length"] = str(len(data))
        metadata = dict(found.described.metadata)
        return Expected(status, headers=headers, metadata=metadata, body=b"" if method == "HEAD" else data)

    def _shown(self, bucket: Bucket, found: Version) -> dict[str, str | None]:
        described, lock = found.described, found.described.lock
        return {
            "etag": f'"{found.etag}"',
            "content-type": described.content_type,
            "x-amz-version-id": bucket.shown_id(found),
            "x-amz-tagging-count": str(len(described.tags)) if described.tags else None,
            "x-amz-object-lock-mode": lock.mode,
            "x-amz-object-lock-retain-until-date": lock.until and lock.until.replace("Z", ".000Z"),
            "x-amz-object-lock-legal-hold": None if lock.hold is None else "ON" if lock.hold else "OFF",
            **_UNCHANGING,
        }

    def read_as_stranger(self) -> Rule:
        """Read without a signature: only what its list makes public."""
        name, bucket = self.some_bucket()
        if bucket is None or not (keys := [key for key in sorted(bucket.keys) if bucket.latest(key)]):
            return
        key = self.random.choice(keys)
        found = bucket.find(key, None)
        expected = self._reading("GET", bucket, found, "", "", None)
        if not found.described.public:
            expected = Expected(403, "AccessDenied")
        else:
            # Tags and locks have permissions of their own.
            hidden = {
                name: None for name in expected.headers if name.startswith(("x-amz-object-lock", "x-amz-tagging"))
            }
            expected = evolve(expected, headers={**expected.headers, **hidden})
        yield Step("GET", self.object_path(name, key), signed=False), expected

    # -- deleting

    def delete(self) -> Rule:
        """Delete an object or a version."""
        name, bucket = self.some_bucket()
        key = self.some_key(bucket)
        if bucket is None:
            yield Step("DELETE", self.object_path(name, key)), NO_BUCKET
            return
        headers = Pairs()
        version_id, bypass = self.some_version(bucket, key), self.bypass(headers)
        step = Step("DELETE", self.object_path(name, key), self.query(version_id), tuple(headers))
        if version_id is None:
            answer = yield step, Expected(204, headers=self._latest_gone(bucket))
            self._bury(bucket, key, answer.headers.get("x-amz-version-id"))
            return
        try:
            marker = bucket.remove(key, version_id, bypass)
        except Refused as refused:
            yield step, refusal(refused)
            return
        shown = {} if marker is None else {"x-amz-version-id": version_id}
        yield step, Expected(204, headers={**shown, "x-amz-delete-marker": "true" if marker else None})

    def _latest_gone(self, bucket: Bucket) -> dict[str, str | None]:
        if not bucket.versioning:
            return {"x-amz-delete-marker": None, "x-amz-version-id": None}
        known = {} if bucket.versioning == "Enabled" else {"x-amz-version-id": NULL}
        return {"x-amz-delete-marker": "true", **known}

    def _bury(self, bucket: Bucket, key: str, marker_id: str | None) -> None:
        if bucket.versioning:
            assert marker_id is not None
            bucket.add(key, Version(marker_id, marker=True))
        else:
            bucket.remove(key, NULL, True)

    def delete_many(self) -> Rule:
        """Delete several at once; each is answered for itself."""
        name, bucket = self.some_bucket()
        if bucket is None:
            return
        chosen = {self.some_key(bucket): None for _ in range(self.random.randrange(1, 5))}
        headers = Pairs()
        bypass, objects = self.bypass(headers), ""
        asked = [(key, self.some_version(bucket, key)) for key in chosen]
        for key, version_id in asked:
            wanted = "" if version_id is None else f"<VersionId>{version_id}</VersionId>"
            objects += f"<Object><Key>{escape(key)}</Key>{wanted}</Object>"
        results: dict[str, tuple[str, ...]] = {}
        for key, version_id in asked:
            results[key] = self._one_of_many(bucket, key, version_id, bypass)
        step = Step("POST", f"/{name}", (("delete", None),), tuple(headers), f"<Delete>{objects}</Delete>".encode())
        made: dict[str, str] = {}

        def parse(page: ElementTree.Element) -> dict[str, tuple[str, ...]]:
            found: dict[str, tuple[str, ...]] = {}
            for each in page:
                key, marker = text_of(each, "Key"), text_of(each, "DeleteMarker")
                if each.tag == "Error":
                    found[key] = ("Error", text_of(each, "Code"))
                elif marker and text_of(each, "VersionId") == "":
                    made[key] = text_of(each, "DeleteMarkerVersionId")
                    found[key] = ("Marker",)
                else:
                    found[key] = ("Deleted", text_of(each, "VersionId"), marker)
            return found

        yield step, Expected(200, document=results, parse=parse)
        for key, version_id in asked:
            if version_id is None and bucket.versioning:
                self._bury(bucket, key, made[key])

    def _one_of_many(self, bucket: Bucket, key: str, version_id: str | None, bypass: bool) -> tuple[str, ...]:
        if version_id is None:
            if bucket.versioning:
                return ("Marker",)
            bucket.remove(key, NULL, True)
            return ("Deleted", "", "")
        try:
            marker = bucket.remove(key, version_id, bypass)
        except Refused as refused:
            return ("Error", refused.code)
        return ("Deleted", version_id, "true" if marker else "")

    # -- copying

    def copy(self) -> Rule:
        """Make an object of another one's bytes, with its description or a new one."""
        source_name, source = self.some_bucket()
        name, bucket = self.some_bucket()
        if source is None or bucket is None:
            return
        source_key, key = self.some_key(source, 85), self.some_key(bucket)
        version_id = self.some_version(source, source_key, 25)
        described, headers = self.some_description(bucket)
        replaces = (source_name, source_key) == (name, key) or self.chance(30)
        from_ = f"{self.object_path(source_name, source_key)}" + (f"?versionId={version_id}" if version_id else "")
        directives = [("x-amz-metadata-directive", "REPLACE"), ("x-amz-tagging-directive", "REPLACE")]
        if not replaces:
            kept = ("x-amz-acl", "x-amz-object-lock")
            headers, directives = [each for each in headers if each[0].startswith(kept)], []
        step = Step("PUT", self.object_path(name, key), (), (*headers, ("x-amz-copy-source", from_), *directives))
        try:
            found = source.find(source_key, version_id)
        except Refused as refused:
            # A delete marker that is named is refused in another way as a source: AWS says InvalidRequest.
            yield step, refusal(refused) if refused.status == 404 else Expected(400, "InvalidRequest")
            return
        if not replaces:
            described = evolve(found.described, public=described.public, lock=described.lock)
        shown = source.shown_id(found)
        expected = Expected(
            200,
            headers={"x-amz-copy-source-version-id": shown, **self.fixed_id(bucket)},
            document=f'"{found.etag}"',
            parse=lambda page: text_of(page, "ETag"),
        )
        answer = yield step, expected
        bucket.add(key, evolve(found, id=self.new_id(bucket, answer), described=described))
