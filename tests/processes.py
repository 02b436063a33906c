"""A real server in a process of its own, for tests of what only a process can show: signals, exit codes, ports."""

from __future__ import annotations

import os
import re
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import urllib3
from boto3.session import Session
from botocore.config import Config as ClientConfig
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from urllib3.exceptions import InsecureRequestWarning

ROOT = Path(__file__).parents[1]
TWISTD = (sys.executable, "-c", "from twisted.scripts.twistd import run; run()", "--nodaemon", "--pidfile=")
POST3 = (sys.executable, "-m", "post3tw.cli")
WORKERS = ("--workers", os.environ.get("POST3_TEST_WORKERS", "1"))
ON_ANY_PORT = ("--listen", "tcp:0:interface=127.0.0.1", "--admin", "none")
KEYS = {"POST3_ACCESS_KEY": "TESTROOT", "POST3_SECRET_KEY": "a-secret-for-tests"}

_END_OF_BANNER = "boto3"


class ServerProcess(ProcessProtocol):
    """What a server process says, and how it ends."""

    def __init__(self) -> None:
        self.out = ""
        self.err = ""
        self.up: Deferred[None] = Deferred()
        self.ended: Deferred[int] = Deferred()
        self.status: int | None = None

    def outReceived(self, data: bytes) -> None:
        """See ProcessProtocol."""
        self.out += data.decode()

    def errReceived(self, data: bytes) -> None:
        """See ProcessProtocol."""
        self.err += data.decode()
        if _END_OF_BANNER in self.err and not self.up.called:
            self.up.callback(None)

    def processEnded(self, reason: Failure) -> None:
        """See ProcessProtocol."""
        ended: Any = reason.value
        self.status = ended.exitCode if ended.signal is None else -ended.signal
        if not self.up.called:
            self.up.errback(AssertionError(f"the server did not start:\n{self.err}\n{self.out}"))
        self.ended.callback(self.status)

    @property
    def url(self) -> str:
        """Where it serves S3."""
        return self._found(r"(?m)^ +S3 +(\S+)")

    @property
    def admin_url(self) -> str:
        """Where its admin pages are."""
        return self._found(r"Admin +(http://[^/]+)")

    def _found(self, pattern: str) -> str:
        match = re.search(pattern, self.err)
        assert match is not None, self.err
        return match[1]

    def signal(self, number: int) -> None:
        """Send a signal."""
        assert self.transport is not None
        self.transport.signalProcess(number)  # a number: it knows few names


def spawn(test: TestCase, command: tuple[str, ...], environ: dict[str, str] | None = None) -> ServerProcess:
    """Start a command that ends with the test at the latest. POST3_* and AWS_* variables are only those given."""
    process = ServerProcess()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("POST3_", "AWS_"))}
    from twisted.internet import reactor

    reactor.spawnProcess(process, command[0], command, env={**inherited, "PYTHONPATH": str(ROOT), **(environ or {})})

    async def end() -> None:
        process.up.addErrback(lambda failure: None)
        if process.status is None:
            with suppress(ProcessExitedAlready):
                process.signal(signal.SIGKILL)
            await process.ended

    test.addCleanup(lambda: Deferred.fromCoroutine(end()))
    return process


async def start_server(test: TestCase, *options: str, environ: dict[str, str] | None = None) -> ServerProcess:
    """Start `twistd post3` on ports of its own choice with the keys of KEYS, and wait until it serves."""
    process = spawn(test, (*TWISTD, "post3", *ON_ANY_PORT, *WORKERS, *options), {**KEYS, **(environ or {})})
    await process.up
    return process


async def refused(test: TestCase, *options: str, environ: dict[str, str] | None = None) -> ServerProcess:
    """Start `twistd post3` with options that it must refuse, and wait for its end."""
    process = spawn(test, (*TWISTD, "post3", *WORKERS, *options), {**KEYS, **(environ or {})})
    process.up.addErrback(lambda failure: None)
    await process.ended
    return process


def client(url: str, access_key: str = KEYS["POST3_ACCESS_KEY"], secret_key: str = KEYS["POST3_SECRET_KEY"]) -> Any:
    """A boto3 client without retries. Close it before the test ends."""
    session = Session(access_key, secret_key, region_name="us-east-1")
    urllib3.disable_warnings(InsecureRequestWarning)  # the certificates of tests are signed by themselves
    return session.client(
        "s3",
        endpoint_url=url,
        verify=False,
        config=ClientConfig(retries={"max_attempts": 0}, read_timeout=20, signature_version="s3v4"),
    )


async def in_thread(function: Any, *arguments: Any, **options: Any) -> Any:
    """Run a blocking call, as boto3's are, beside the reactor."""
    return await deferToThread(function, *arguments, **options)
