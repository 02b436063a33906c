"""s3cmd."""

from __future__ import annotations

import hashlib
import ssl
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

from tests.clients import case, corpus


class S3cmdTests(case.RoundTrips):
    """Over http."""

    command = "s3cmd"

    def setUp(self) -> None:
        """Write its configuration: path style, parts of 5 MiB."""
        super().setUp()
        host = urlsplit(self.server.endpoint).netloc
        lines = [
            "[default]",
            f"access_key = {self.server.access_key}",
            f"secret_key = {self.server.secret_key}",
            f"host_base = {host}",
            f"host_bucket = {host}",
            f"use_https = {self.https}",
            f"signurl_use_https = {self.https}",
            "multipart_chunk_size_mb = 5",
            "progress_meter = False",
            "max_retries = 1",
        ]
        if self.server.certificate is not None:
            lines.append(f"ca_certs_file = {self.server.certificate}")
        (self.home / ".s3cfg").write_text("\n".join(lines) + "\n")

    def make_bucket(self) -> None:
        """`mb`."""
        self.run_client("mb", f"s3://{self.bucket}")

    def upload(self, directory: Path) -> None:
        """`put --recursive`."""
        self.run_client("put", "--recursive", "--quiet", f"{directory}/", f"s3://{self.bucket}/")

    def download(self, directory: Path) -> None:
        """`get --recursive`, which compares MD5 sums."""
        self.run_client("get", "--recursive", "--quiet", f"s3://{self.bucket}/", f"{directory}/")

    def remove_bucket(self) -> None:
        """`rb --recursive`."""
        self.run_client("rb", "--recursive", "--force", f"s3://{self.bucket}")

    def test_sync(self) -> None:
        """A sync uploads what is new or changed, and with --delete-removed removes what is gone."""
        sent = self.directory("sent")
        corpus.write(sent, {"same": 10, "changed": 10, "a/removed": 10})
        self.make_bucket()
        self.run_client("sync", f"{sent}/", f"s3://{self.bucket}/")
        sent.joinpath("a/removed").unlink()
        corpus.write(sent, {"changed": 11, "new": 10})
        self.run_client("sync", "--delete-removed", f"{sent}/", f"s3://{self.bucket}/")
        self.assertEqual(self.stored(), corpus.hashes(sent))

    def test_signurl(self) -> None:
        """`signurl` makes a URL that works as it is."""
        sent = self.store({"a b+c": 1000})
        trusting = ssl.create_default_context(cafile=self.server.certificate) if self.https else None
        url = self.run_client("signurl", f"s3://{self.bucket}/a b+c", "+60").strip()
        with urlopen(url, context=trusting) as answer:
            self.assertEqual(hashlib.sha256(answer.read()).hexdigest(), sent["a b+c"])

    def test_copy_move_and_info(self) -> None:
        """Objects are copied and moved within the server, and described."""
        self.store({"from": 1000})
        self.run_client("cp", f"s3://{self.bucket}/from", f"s3://{self.bucket}/a b+c")
        self.run_client("mv", f"s3://{self.bucket}/a b+c", f"s3://{self.bucket}/to")
        self.assertEqual(set(self.stored()), {"from", "to"})
        self.assertIn("File size: 1000", self.run_client("info", f"s3://{self.bucket}/to"))


class S3cmdHttpsTests(S3cmdTests):
    """Over https."""

    https = True
