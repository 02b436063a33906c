"""What the tests of all clients share: a running server, the client's process, and the round trips themselves."""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, ClassVar
from unittest import SkipTest

import boto3
from botocore.config import Config
from twisted.trial.unittest import SynchronousTestCase

from post3tw.testing.server import RunningServer
from tests.backends import new_server
from tests.clients import corpus

_numbers = count(1)


@cache
def shared_server(https: bool) -> RunningServer:
    """One server for all tests of this process: each test has a bucket of its own."""
    server = new_server(https=https).start()
    atexit.register(server.stop)
    return server


def find_client(command: str) -> str:
    """The path of a client's command, beside this Python or on the PATH.

    Raises:
        SkipTest: it is not installed. In CI that is a failure: tests/clients/README.md says how to install it.
    """
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    found = shutil.which(command, path=path)
    if found is None:
        reason = f"{command} is not installed, see tests/clients/README.md"
        if os.environ.get("CI") == "true":
            raise AssertionError(reason)
        raise SkipTest(reason)
    return found


class ClientCase(SynchronousTestCase):
    """A client, a server, a bucket's name, and a home directory in which the client finds nothing of ours.

    Attributes:
        command: what is run; None for a client in this process.
    """

    command: ClassVar[str | None] = None
    https: ClassVar[bool] = False

    def setUp(self) -> None:
        """Find the client and the server."""
        self.executable = find_client(self.command) if self.command else ""
        self.server = shared_server(self.https)
        self.bucket = f"bucket-{next(_numbers)}"
        self.home = Path(self.mktemp()).absolute()
        self.home.mkdir()
        self.s3: Any = boto3.client(
            "s3",
            endpoint_url=self.server.endpoint,
            aws_access_key_id=self.server.access_key,
            aws_secret_access_key=self.server.secret_key,
            region_name="us-east-1",
            verify=str(self.server.certificate) if self.https else None,
            # Or botocore presigns for this region with version 2, which has tests of its own.
            config=Config(signature_version="s3v4"),
        )
        self.addCleanup(self.s3.close)
        self.addCleanup(self.assert_no_failure, len(self.server.output))

    def assert_no_failure(self, begin: int) -> None:
        """The server has logged no traceback since."""
        self.assertNotIn("Traceback", self.server.output[begin:])

    def directory(self, name: str) -> Path:
        """A directory of this test."""
        path = self.home / name
        path.mkdir(exist_ok=True)
        return path

    def environ(self) -> dict[str, str]:
        """The client's variables, and no others; in Amazon's names, which most clients read."""
        environ = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.home),
            "LC_ALL": "C.UTF-8",
            "AWS_ACCESS_KEY_ID": self.server.access_key,
            "AWS_SECRET_ACCESS_KEY": self.server.secret_key,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.server.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        if self.server.certificate is not None:
            environ |= {"AWS_CA_BUNDLE": str(self.server.certificate), "SSL_CERT_FILE": str(self.server.certificate)}
        return environ

    def run_client(self, *arguments: str | Path) -> str:
        """Run the client; what it said. Fails the test when the client fails."""
        done = subprocess.run(
            [self.executable, *map(str, arguments)],
            env=self.environ(),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=1800,
            check=False,
        )
        said = done.stdout.decode("utf-8", "backslashreplace")
        if done.returncode != 0:
            self.fail(f"{self.command} {' '.join(map(str, arguments))} exited {done.returncode}\n{said}")
        return said

    def stored(self) -> dict[str, str]:
        """The SHA-256 of every object in the bucket, by key, as boto3 reads them."""
        found = {}
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket):
            for entry in page.get("Contents", ()):
                body = self.s3.get_object(Bucket=self.bucket, Key=entry["Key"])["Body"].read()
                self.assertEqual(len(body), entry["Size"])
                found[entry["Key"]] = hashlib.sha256(body).hexdigest()
        return found

    def buckets(self) -> list[str]:
        """The names of all buckets, as boto3 sees them."""
        return [bucket["Name"] for bucket in self.s3.list_buckets()["Buckets"]]


class RoundTrips(ClientCase):
    """There and back, compared by SHA-256. A client brings four verbs, all of a whole directory or bucket.

    Test modules take this class as `case.RoundTrips`: under a name of their own, trial would run it as well.
    """

    def make_bucket(self) -> None:
        """Make the bucket."""
        raise NotImplementedError

    def upload(self, directory: Path) -> None:
        """Store every file below the directory under its name from there, large ones in parts."""
        raise NotImplementedError

    def download(self, directory: Path) -> None:
        """The other way."""
        raise NotImplementedError

    def remove_bucket(self) -> None:
        """Remove the bucket and all that is in it."""
        raise NotImplementedError

    def store(self, files: Mapping[str, int]) -> dict[str, str]:
        """Make files and a bucket, upload the ones into the other; the SHA-256 of what is there by name."""
        sent = corpus.write(self.directory("sent"), files)
        self.make_bucket()
        self.assertIn(self.bucket, self.buckets())
        self.upload(self.directory("sent"))
        self.assertEqual(self.stored(), sent)
        return sent

    def round_trip(self, files: Mapping[str, int]) -> None:
        """Store the files and get them back."""
        sent = self.store(files)
        self.download(self.directory("received"))
        self.assertEqual(corpus.hashes(self.directory("received")), sent)

    def test_sizes(self) -> None:
        """Files of no byte, of one byte, and around the size of a part come back as they were."""
        self.round_trip(corpus.SIZES)

    def test_multipart(self) -> None:
        """A large file goes up in parts, as its ETag shows, and comes back as it was."""
        self.round_trip({"large": corpus.MULTIPART})
        self.assertRegex(self.s3.head_object(Bucket=self.bucket, Key="large")["ETag"], r'-\d+"$')

    def test_names(self) -> None:
        """Files with spaces, pluses, percent signs, emoji and worse in their names come back under them."""
        self.round_trip(corpus.NAMES)

    def test_many_small_files(self) -> None:
        """Many small files in several directories come back as they were."""
        self.round_trip(corpus.MANY_SMALL)

    def test_remove(self) -> None:
        """A bucket goes with all that is in it."""
        self.store(corpus.NAMES)
        self.remove_bucket()
        self.assertNotIn(self.bucket, self.buckets())
