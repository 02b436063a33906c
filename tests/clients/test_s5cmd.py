"""s5cmd."""

from __future__ import annotations

from pathlib import Path

from tests.clients import case, corpus


class S5cmdTests(case.RoundTrips):
    """Over http."""

    command = "s5cmd"

    def s5cmd(self, *arguments: str | Path) -> str:
        """Run it against our endpoint."""
        return self.run_client("--endpoint-url", self.server.endpoint, "--log", "error", *arguments)

    def make_bucket(self) -> None:
        """`mb`."""
        self.s5cmd("mb", f"s3://{self.bucket}")

    def upload(self, directory: Path) -> None:
        """`cp` of a directory, in parts of 5 MiB."""
        self.s5cmd("cp", "--part-size", "5", f"{directory}/", f"s3://{self.bucket}/")

    def download(self, directory: Path) -> None:
        """`cp` of all keys, in ranges of 5 MiB."""
        self.s5cmd("cp", "--part-size", "5", f"s3://{self.bucket}/*", f"{directory}/")

    def remove_bucket(self) -> None:
        """`rm` of all keys, then `rb`."""
        self.s5cmd("rm", f"s3://{self.bucket}/*")
        self.s5cmd("rb", f"s3://{self.bucket}")

    def test_sync(self) -> None:
        """A sync uploads what is new or changed, and with --delete removes what is gone."""
        sent = self.directory("sent")
        corpus.write(sent, {"same": 10, "changed": 10, "a/removed": 10})
        self.make_bucket()
        self.s5cmd("sync", f"{sent}/", f"s3://{self.bucket}/")
        sent.joinpath("a/removed").unlink()
        corpus.write(sent, {"changed": 11, "new": 10})
        self.s5cmd("sync", "--delete", f"{sent}/", f"s3://{self.bucket}/")
        self.assertEqual(self.stored(), corpus.hashes(sent))


class S5cmdHttpsTests(S5cmdTests):
    """Over https."""

    https = True
