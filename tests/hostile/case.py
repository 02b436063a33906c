"""What the hostile tests share: a real server into whose data and log they look."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache
from itertools import count
from pathlib import Path
from typing import ClassVar
from xml.parsers import expat

from twisted.trial.unittest import SynchronousTestCase

from post3tw.testing.server import RunningServer
from tests.backends import new_server
from tests.hostile.inside import Holdings, Inside, inside
from tests.hostile.raw import Client, Fields, Reply

_numbers = count(1)
_BAD_SIGNS = ("Traceback", "critical", "Unhandled")


def wait_until(condition: Callable[[], bool], patience: float = 20.0) -> bool:
    """Look until something holds; whether it does in time."""
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@cache
def shared_server(options: tuple[str, ...]) -> RunningServer:
    """One server for all tests of this process that want these options: each test has a bucket of its own."""
    directory = tempfile.mkdtemp(prefix="post3-hostile-")
    server = new_server(options, data_dir=Path(directory) / "data").start()
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    atexit.register(server.stop)
    return server


def client_of(server: RunningServer) -> Client:
    """A client with the root user's key."""
    return Client(server.endpoint, server.access_key, server.secret_key)


def assert_well_formed(test: SynchronousTestCase, body: bytes) -> None:
    """The bytes are a document that any XML parser takes."""
    try:
        expat.ParserCreate().Parse(body, True)
    except expat.ExpatError as error:
        test.fail(f"{error} in {body!r}")


class HostileCase(SynchronousTestCase):
    """A server, a client, and a bucket that is new.

    Attributes:
        options: of the server; no sync of the disk, where no test cuts the power.
    """

    options: ClassVar[Sequence[str]] = ("--durability=relaxed", "--reserve=0")

    def setUp(self) -> None:
        """Find the server and make a bucket; in the end its log must say of no accident."""
        self.server = shared_server(tuple(self.options))
        self.client = client_of(self.server)
        self.bucket = f"hostile-{next(_numbers)}"
        self.addCleanup(self.assert_calm, len(self.server.output))
        self.assertEqual(self.client.ask("PUT", f"/{self.bucket}").status, 200)

    @property
    def data_dir(self) -> Path:
        """Where the server keeps its data, when it does so in files."""
        assert self.server.data_dir is not None
        return self.server.data_dir

    @property
    def inside(self) -> Inside:
        """What the server holds."""
        return inside(self.server)

    def target(self, key: str = "key", query: str = "") -> str:
        """The target of a key in this test's bucket; the key as it is, so already quoted."""
        return f"/{self.bucket}/{key}" + (f"?{query}" if query else "")

    def put(self, key: str, body: bytes, headers: Fields = ()) -> Reply:
        """Store an object, successfully."""
        reply = self.client.ask("PUT", self.target(key), headers, body)
        self.assertEqual((reply.status, reply.code), (200, ""), key)
        return reply

    def assert_calm(self, begin: int) -> None:
        """The server has logged no accident since."""
        logged = self.server.output[begin:]
        for sign in _BAD_SIGNS:
            self.assertNotIn(sign, logged)

    def assert_error(self, reply: Reply, status: int, code: str, told: object = "") -> None:
        """A reply is this error of S3, as a well-formed document with the request's id."""
        self.assertEqual((reply.status, reply.code), (status, code), told)
        assert_well_formed(self, reply.body)
        self.assertIn(b"<RequestId>%b</RequestId>" % reply.headers["x-amz-request-id"].encode(), reply.body)

    def assert_nothing_left(self, before: Holdings) -> None:
        """The server holds what it held before, and nothing is in the making."""
        self.assertTrue(wait_until(lambda: not self.inside.unfinished()), self.inside.unfinished())
        self.assertEqual(self.inside.holdings(), before)
