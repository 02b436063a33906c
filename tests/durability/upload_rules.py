"""Rules of the model: uploads in parts."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import md5
from xml.etree import ElementTree

from tests.durability.answers import STRANGE_UPLOAD, Step
from tests.durability.dictstore import PART, Bucket, Refused, Upload, Version
from tests.durability.expectations import Expected, document_of, text_of
from tests.durability.rules import NO_BUCKET, Rule, Rules, refusal


class UploadRules(Rules):
    """See the module's text."""

    def create_upload(self) -> Rule:
        """Begin an upload."""
        name, bucket = self.some_bucket()
        key = self.some_key(bucket)
        step = Step("POST", self.object_path(name, key), self.query(uploads=None))
        if bucket is None:
            yield step, NO_BUCKET
            return
        if len(bucket.uploads) > 4:
            return
        described, headers = self.some_description(bucket)
        answer = yield Step(step.method, step.path, step.query, tuple(headers)), Expected(200)
        bucket.uploads[text_of(document_of(answer), "UploadId")] = Upload(key, described)

    def _some_upload(self) -> tuple[str, Bucket, str, str] | None:
        """The bucket of an upload, its key and id; rarely one that is not there."""
        name, bucket = self.some_bucket()
        if bucket is None:
            return None
        if not bucket.uploads or self.chance(4):
            return name, bucket, self.some_key(bucket), STRANGE_UPLOAD
        upload_id = self.random.choice(sorted(bucket.uploads))
        return name, bucket, bucket.uploads[upload_id].key, upload_id

    def upload_part(self) -> Rule:
        """Upload a part, or one over another."""
        if (chosen := self._some_upload()) is None:
            return
        name, bucket, key, upload_id = chosen
        number = self.random.choice((1, 1, 1, 2, 2, 3, 9999))
        large = number == 1 and self.chance(3)
        data = bytes([self.random.randrange(1, 255)]) * PART if large else self.some_data().replace(b"<", b">")
        etag = md5(data).hexdigest()
        query = self.query(partNumber=str(number), uploadId=upload_id)
        step = Step("PUT", self.object_path(name, key), query, body=data)
        try:
            upload = bucket.upload(upload_id, key)
        except Refused as refused:
            yield step, refusal(refused)
            return
        yield step, Expected(200, headers={"etag": f'"{etag}"'})
        upload.parts[number] = etag, data

    def list_parts(self) -> Rule:
        """Walk through the parts of an upload."""
        if (chosen := self._some_upload()) is None:
            return
        name, bucket, key, upload_id = chosen
        size, marker = self.random.randrange(1, 4), 0
        try:
            left = sorted(bucket.upload(upload_id, key).parts.items())
        except Refused as refused:
            yield Step("GET", self.object_path(name, key), self.query(uploadId=upload_id)), refusal(refused)
            return
        while True:
            page, left = left[:size], left[size:]
            query = self.query(uploadId=upload_id, max_parts=str(size), part_number_marker=str(marker))
            shown = [(str(number), f'"{etag}"', str(len(data))) for number, (etag, data) in page]
            expected = Expected(200, document=(shown, "true" if left else "false"), parse=_parts)
            yield Step("GET", self.object_path(name, key), query), expected
            if not left:
                return
            marker = page[-1][0]

    def list_uploads(self) -> Rule:
        """Show all uploads of a bucket."""
        name, bucket = self.some_bucket()
        if bucket is None:
            return
        shown = sorted((upload.key, upload_id) for upload_id, upload in bucket.uploads.items())
        step = Step("GET", f"/{name}", self.query(uploads=None))
        yield step, Expected(200, document=shown, parse=lambda page: sorted(_uploads(page)))

    def complete(self) -> Rule:
        """Make an object of parts; or fail to, because they are too small, unknown or in disorder."""
        if (chosen := self._some_upload()) is None:
            return
        name, bucket, key, upload_id = chosen
        parts = bucket.uploads[upload_id].parts if upload_id in bucket.uploads else {1: ("0" * 32, b"")}
        wanted = [(number, etag) for number, (etag, _) in sorted(parts.items()) if self.chance(70)]
        if self.chance(10):
            wanted.reverse()
        if self.chance(5):
            wanted.append((77, "0" * 32))
        if not wanted:
            return
        listed = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>" for n, etag in wanted)
        document = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
        step = Step("POST", self.object_path(name, key), self.query(uploadId=upload_id), body=document)
        try:
            upload = bucket.upload(upload_id, key)
            data, etag = bucket.assembled(upload, wanted)
        except Refused as refused:
            yield step, refusal(refused)
            return
        expected = Expected(
            200, headers=self.fixed_id(bucket), document=f'"{etag}"', parse=lambda page: text_of(page, "ETag")
        )
        answer = yield step, expected
        bucket.add(key, Version(self.new_id(bucket, answer), data, etag, described=upload.described))
        del bucket.uploads[upload_id]

    def abort(self) -> Rule:
        """Give an upload up."""
        if (chosen := self._some_upload()) is None:
            return
        name, bucket, key, upload_id = chosen
        step = Step("DELETE", self.object_path(name, key), self.query(uploadId=upload_id))
        try:
            bucket.upload(upload_id, key)
        except Refused as refused:
            yield step, refusal(refused)
            return
        yield step, Expected(204)
        del bucket.uploads[upload_id]


def _parts(page: ElementTree.Element) -> object:
    shown = [(text_of(each, "PartNumber"), text_of(each, "ETag"), text_of(each, "Size")) for each in page.iter("Part")]
    return shown, text_of(page, "IsTruncated")


def _uploads(page: ElementTree.Element) -> Iterator[tuple[str, str]]:
    for each in page.iter("Upload"):
        yield text_of(each, "Key"), text_of(each, "UploadId")
