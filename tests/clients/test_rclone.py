"""rclone, as its S3 backend for any server ("Other")."""

from __future__ import annotations

from pathlib import Path

from tests.clients import case, corpus


class RcloneTests(case.RoundTrips):
    """Over http."""

    command = "rclone"

    def environ(self) -> dict[str, str]:
        """A remote named post3, made of variables; parts of 5 MiB."""
        environ = super().environ() | {
            "RCLONE_CONFIG": str(self.home / "rclone.conf"),
            "RCLONE_CONFIG_POST3_TYPE": "s3",
            "RCLONE_CONFIG_POST3_PROVIDER": "Other",
            "RCLONE_CONFIG_POST3_ENDPOINT": self.server.endpoint,
            "RCLONE_CONFIG_POST3_ACCESS_KEY_ID": self.server.access_key,
            "RCLONE_CONFIG_POST3_SECRET_ACCESS_KEY": self.server.secret_key,
            "RCLONE_S3_UPLOAD_CUTOFF": "5Mi",
            "RCLONE_S3_CHUNK_SIZE": "5Mi",
            "RCLONE_TRANSFERS": "16",
            "RCLONE_RETRIES": "1",
        }
        if self.server.certificate is not None:
            del environ["AWS_CA_BUNDLE"]  # Debian's rclone cannot do with it
            environ["RCLONE_CA_CERT"] = str(self.server.certificate)
        return environ

    def remote(self, bucket: str | None = None) -> str:
        """The bucket, as rclone says it."""
        return f"post3:{bucket or self.bucket}"

    def make_bucket(self) -> None:
        """`mkdir`."""
        self.run_client("mkdir", self.remote())

    def upload(self, directory: Path) -> None:
        """`copy`, then `check`, which compares sizes and hashes."""
        self.run_client("copy", directory, self.remote())
        self.assertIn("0 differences found", self.run_client("check", directory, self.remote()))

    def download(self, directory: Path) -> None:
        """`sync`, then `check --download`, which compares every byte."""
        self.run_client("sync", self.remote(), directory)
        self.assertIn("0 differences found", self.run_client("check", "--download", self.remote(), directory))

    def remove_bucket(self) -> None:
        """`purge`."""
        self.run_client("purge", self.remote())

    def test_sync(self) -> None:
        """A sync makes the bucket like the directory: uploads what changed, removes what is gone."""
        sent = self.directory("sent")
        corpus.write(sent, {"same": 10, "changed": 10, "a/removed": 10})
        self.make_bucket()
        self.run_client("sync", sent, self.remote())
        sent.joinpath("a/removed").unlink()
        corpus.write(sent, {"changed": 11, "new": 10})
        self.run_client("sync", sent, self.remote())
        self.assertEqual(self.stored(), corpus.hashes(sent))

    def test_server_side_copy(self) -> None:
        """Copies within the server, of a small object and of one in parts, under hard names."""
        files = {"with space+plus%\U0001f600": 1000, "large": 12 * corpus.MIB}
        sent = self.store(files)
        other = self.bucket + "-copy"
        self.run_client("copy", self.remote(), self.remote(other), "--s3-copy-cutoff", "5Mi")
        self.bucket = other
        self.assertEqual(self.stored(), sent)


class RcloneHttpsTests(RcloneTests):
    """Over https."""

    https = True
