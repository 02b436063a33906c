"""boto3, in this process."""

from __future__ import annotations

import hashlib
import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.request import Request, urlopen

import boto3
from boto3.s3.transfer import TransferConfig

from tests.clients import case, corpus

IN_PARTS = TransferConfig(multipart_threshold=5 * corpus.MIB + 1, multipart_chunksize=5 * corpus.MIB)


class Boto3Tests(case.RoundTrips):
    """Over http."""

    def make_bucket(self) -> None:
        """CreateBucket."""
        self.s3.create_bucket(Bucket=self.bucket)

    def upload(self, directory: Path) -> None:
        """Managed transfers, several at a time."""
        files = [path for path in directory.rglob("*") if path.is_file()]

        def upload_file(path: Path) -> None:
            self.s3.upload_file(str(path), self.bucket, path.relative_to(directory).as_posix(), Config=IN_PARTS)

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(upload_file, files))

    def download(self, directory: Path) -> None:
        """Managed transfers, which read large objects in ranges."""
        for key in self.keys():
            path = directory / key
            path.parent.mkdir(parents=True, exist_ok=True)
            self.s3.download_file(self.bucket, key, str(path), Config=IN_PARTS)

    def remove_bucket(self) -> None:
        """DeleteObjects and DeleteBucket."""
        self.s3.delete_objects(Bucket=self.bucket, Delete={"Objects": [{"Key": key} for key in self.keys()]})
        self.s3.delete_bucket(Bucket=self.bucket)

    def keys(self) -> list[str]:
        """All keys of the bucket."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, MaxKeys=37)
        return [entry["Key"] for page in pages for entry in page.get("Contents", ())]

    def test_presigned(self) -> None:
        """A presigned URL uploads, and another one downloads, without credentials."""
        self.make_bucket()
        body = b"presigned" * 1000
        where = {"Bucket": self.bucket, "Key": "a b+c%/\U0001f600"}
        trusting = ssl.create_default_context(cafile=self.server.certificate) if self.https else None
        put = Request(self.s3.generate_presigned_url("put_object", Params=where), data=body, method="PUT")
        with urlopen(put, context=trusting) as answer:
            self.assertEqual(answer.status, 200)
        with urlopen(self.s3.generate_presigned_url("get_object", Params=where), context=trusting) as answer:
            self.assertEqual(answer.read(), body)

    def test_presigned_by_default(self) -> None:
        """What boto3 presigns when it is told nothing, with Signature Version 2, works as well."""
        self.make_bucket()
        client = boto3.client(
            "s3",
            endpoint_url=self.server.endpoint,
            aws_access_key_id=self.server.access_key,
            aws_secret_access_key=self.server.secret_key,
            region_name="us-east-1",
        )
        self.addCleanup(client.close)
        body = b"presigned" * 1000
        where = {"Bucket": self.bucket, "Key": "a b+c%/\U0001f600"}
        what = {**where, "ContentType": "text/plain", "Metadata": {"colour": "blue"}}
        trusting = ssl.create_default_context(cafile=self.server.certificate) if self.https else None
        url = client.generate_presigned_url("put_object", Params=what)
        self.assertIn("AWSAccessKeyId=", url)
        headers = {"Content-Type": "text/plain", "x-amz-meta-colour": "blue"}
        with urlopen(Request(url, data=body, headers=headers, method="PUT"), context=trusting) as answer:
            self.assertEqual(answer.status, 200)
        override = {**where, "ResponseContentDisposition": 'attachment; filename="a&b+c"'}
        with urlopen(client.generate_presigned_url("get_object", Params=override), context=trusting) as answer:
            self.assertEqual(answer.read(), body)
            self.assertEqual(answer.headers["Content-Disposition"], override["ResponseContentDisposition"])
        self.assertEqual(self.s3.head_object(**where)["Metadata"], {"colour": "blue"})
        listing = client.generate_presigned_url("list_objects_v2", Params={"Bucket": self.bucket, "Prefix": "a"})
        with urlopen(listing, context=trusting) as answer:
            self.assertIn(b"<KeyCount>1</KeyCount>", answer.read())

    def test_checksums(self) -> None:
        """Every checksum algorithm is verified on the way in and comes back on the way out."""
        self.make_bucket()
        for algorithm in ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"):
            stored = self.s3.put_object(
                Bucket=self.bucket, Key=algorithm, Body=b"x" * 70_000, ChecksumAlgorithm=algorithm
            )
            read = self.s3.get_object(Bucket=self.bucket, Key=algorithm, ChecksumMode="ENABLED")
            self.assertEqual(read[f"Checksum{algorithm}"], stored[f"Checksum{algorithm}"])
            self.assertEqual(hashlib.sha256(read["Body"].read()).digest(), hashlib.sha256(b"x" * 70_000).digest())


class Boto3HttpsTests(Boto3Tests):
    """Over https, where boto3 sends unsigned chunks with a trailer."""

    https = True
