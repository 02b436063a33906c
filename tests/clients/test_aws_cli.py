"""The aws command: `s3` and `s3api`."""

from __future__ import annotations

import hashlib
import json
import ssl
from pathlib import Path
from urllib.request import urlopen

from tests.clients import case, corpus

CONFIG = """\
[default]
s3 =
  multipart_threshold = 5MB
  multipart_chunksize = 5MB
  addressing_style = path
"""


class AwsCliTests(case.RoundTrips):
    """Over http."""

    command = "aws"

    def setUp(self) -> None:
        """Configure it to send large files in small parts."""
        super().setUp()
        self.directory(".aws").joinpath("config").write_text(CONFIG)

    def make_bucket(self) -> None:
        """`s3 mb`."""
        self.run_client("s3", "mb", f"s3://{self.bucket}")

    def upload(self, directory: Path) -> None:
        """`s3 cp --recursive`."""
        self.run_client("s3", "cp", "--recursive", "--quiet", directory, f"s3://{self.bucket}")

    def download(self, directory: Path) -> None:
        """`s3 sync`, which compares what is there first."""
        self.run_client("s3", "sync", "--quiet", f"s3://{self.bucket}", directory)

    def remove_bucket(self) -> None:
        """`s3 rb --force`, which removes the objects too."""
        self.run_client("s3", "rb", "--force", f"s3://{self.bucket}")

    def test_sync(self) -> None:
        """A second sync has nothing to do; a changed, a new and a missing file are all it does."""
        sent = self.directory("sent")
        corpus.write(sent, {"same": 10, "changed": 10, "removed": 10})
        self.make_bucket()
        self.run_client("s3", "sync", sent, f"s3://{self.bucket}")
        self.assertEqual(self.run_client("s3", "sync", sent, f"s3://{self.bucket}"), "")
        sent.joinpath("removed").unlink()
        corpus.write(sent, {"changed": 11, "new": 10})
        said = self.run_client("s3", "sync", "--no-progress", "--delete", sent, f"s3://{self.bucket}")
        self.assertEqual(
            sorted(line.split()[0] for line in said.split("\n") if "s3://" in line), ["delete:", "upload:", "upload:"]
        )
        self.assertEqual(self.stored(), corpus.hashes(sent))

    def test_presign(self) -> None:
        """`s3 presign` makes a URL that works as it is."""
        sent = self.store({"a b+c": 1000})
        trusting = ssl.create_default_context(cafile=self.server.certificate) if self.https else None
        url = self.run_client("s3", "presign", f"s3://{self.bucket}/a b+c").strip()
        with urlopen(url, context=trusting) as answer:
            self.assertEqual(hashlib.sha256(answer.read()).hexdigest(), sent["a b+c"])

    def test_s3api(self) -> None:
        """Single operations: put with metadata and checksum, head, get of a range, copy, list, delete."""
        self.make_bucket()
        body = self.home / "body"
        body.write_bytes(b"0123456789" * 1000)
        where = ("--bucket", self.bucket, "--key", "a b+c%\U0001f600")

        def api(*arguments: str | Path) -> dict[str, object]:
            answer: dict[str, object] = json.loads(self.run_client("s3api", *arguments, "--output", "json") or "{}")
            return answer

        put = api("put-object", *where, "--body", body, "--metadata", "colour=blue", "--checksum-algorithm", "SHA256")
        self.assertEqual(put["ETag"], f'"{hashlib.md5(body.read_bytes()).hexdigest()}"')
        head = api("head-object", *where, "--checksum-mode", "ENABLED")
        self.assertEqual((head["ContentLength"], head["Metadata"]), (10_000, {"colour": "blue"}))
        self.assertEqual(head["ChecksumSHA256"], put["ChecksumSHA256"])
        got = api("get-object", *where, "--range", "bytes=5-14", self.home / "range")
        self.assertEqual(got["ContentRange"], "bytes 5-14/10000")
        self.assertEqual((self.home / "range").read_bytes(), b"5678901234")
        source = f"{self.bucket}/a b+c%\U0001f600"  # botocore encodes it
        api("copy-object", "--copy-source", source, "--bucket", self.bucket, "--key", "copy")
        listed = api("list-objects-v2", "--bucket", self.bucket)
        self.assertEqual([entry["Key"] for entry in listed["Contents"]], ["a b+c%\U0001f600", "copy"])  # type: ignore[attr-defined]
        api("delete-object", *where)
        self.assertEqual(list(self.stored()), ["copy"])


class AwsCliHttpsTests(AwsCliTests):
    """Over https, where it sends unsigned chunks with a trailer."""

    https = True
