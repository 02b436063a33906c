"""A real server for tests: the `twistd` command in a process of its own, on free ports of the loopback interface.

    with RunningServer(https=True) as server:
        client = boto3.client("s3", endpoint_url=server.endpoint, verify=str(server.certificate), …)

It blocks, so a test that runs a reactor uses it from a thread.
"""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Self

from attrs import define, field
from twisted.internet.endpoints import quoteStringArgument

import post3tw
from post3tw.testing.certificates import make_certificate

_LOOPBACK = "interface=127.0.0.1"
_served = re.compile(r"  S3 +(\S+)").match
_administered = re.compile(r"  Admin +(\S+?)/health/live").match
_up = re.compile(r"  Root key +").match
_TWISTD = (
    "import signal, sys; from twisted.scripts.twistd import run;"
    " signal.signal(signal.SIGHUP, signal.SIG_DFL);"  # which nohup has children ignore
    " sys.argv[0] = 'twistd'; run()"
)


class ServerNotRunning(Exception):
    """The server did not start, or did not stop as it should. The text is its output."""


@define
class RunningServer:
    """A server process, from `start` to `stop`; as a context manager, from begin to end.

    Attributes:
        data_dir: where it keeps its data. None makes a directory that goes when the server stops; to start a second
            server on the same data, say where.
        https: serve https, with a certificate of its own.
        options: further options of `twistd post3`, such as "--durability=relaxed".
        wrapper: a command to run it with, which must end up in the same process, such as `strace -D`.
        environment: further variables. POST3_* and AWS_* variables of this process are not handed on.
        workers: how many processes serve; with 1 it is one process altogether.
        access_key: of the root user.
        secret_key: of the root user.
        patience: seconds that starting, and stopping, may take.
        endpoints: URLs that S3 is served under, once started.
        admin_endpoint: URL of the admin pages, once started.
        certificate: the PEM file that clients have to trust, once started with https.
    """

    data_dir: Path | None = None
    https: bool = False
    options: Sequence[str] = ()
    wrapper: Sequence[str] = ()
    environment: Mapping[str, str] = field(factory=dict, repr=False)
    workers: int = 1
    access_key: str = "post3testing"
    secret_key: str = field(factory=lambda: secrets.token_hex(20), repr=False)
    patience: float = 60
    endpoints: list[str] = field(init=False, factory=list)
    admin_endpoint: str | None = field(init=False, default=None)
    certificate: Path | None = field(init=False, default=None)
    _directory: tempfile.TemporaryDirectory[str] | None = field(init=False, default=None, repr=False)
    _process: subprocess.Popen[str] | None = field(init=False, default=None, repr=False)
    _reader: Thread | None = field(init=False, default=None, repr=False)
    _lines: list[str] = field(init=False, factory=list, repr=False)
    _settled: Event = field(init=False, factory=Event, repr=False)

    @property
    def endpoint(self) -> str:
        """The URL of S3, the first if there are several."""
        return self.endpoints[0]

    @property
    def output(self) -> str:
        """What the server has written so far: banner, log and access log."""
        return "".join(self._lines)

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        return self._running().pid

    def start(self) -> Self:
        """Start, and return when the server accepts requests. May be called again after `stop` or `kill`.

        Raises:
            ServerNotRunning: it ended, or is not ready after `patience` seconds.
        """
        self.endpoints.clear()
        self._settled.clear()
        self._directory = tempfile.TemporaryDirectory(prefix="post3-testing-")
        directory = Path(self._directory.name)
        command = [*self.wrapper, sys.executable, "-c", _TWISTD, "--nodaemon", "--pidfile=", "post3"]
        command += [f"--data-dir={self.data_dir or directory / 'data'}", f"--listen={self._listen(directory)}"]
        command += [f"--admin=tcp:0:{_LOOPBACK}", f"--workers={self.workers}", *self.options]
        self._process = subprocess.Popen(
            command,
            cwd=directory,
            env=self._environ(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="backslashreplace",
        )
        self._reader = Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()
        if not self._settled.wait(self.patience) or not self.endpoints:
            self.kill()
            raise ServerNotRunning(self.output)
        return self

    def stop(self) -> int:
        """Stop as an operator does, with SIGTERM; the exit status.

        Raises:
            ServerNotRunning: it did not end within `patience` seconds, and was killed.
        """
        process = self._running()
        process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(self.patience)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServerNotRunning(self.output) from None
        self._clean_up()
        return status

    def kill(self) -> None:
        """End it at once, as a crash does (SIGKILL)."""
        process = self._running()
        process.kill()
        process.wait()
        self._clean_up()

    def send_signal(self, number: int) -> None:
        """Send any signal, SIGHUP for instance."""
        self._running().send_signal(number)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process is None:
            return  # The test has stopped or killed it itself.
        status = self.stop()
        if status != 0 and error is None:
            raise ServerNotRunning(f"exit status {status}\n{self.output}")

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise ServerNotRunning("not started, or stopped already")
        return self._process

    def _listen(self, directory: Path) -> str:
        if not self.https:
            return f"tcp:0:{_LOOPBACK}"
        made = make_certificate(directory)
        self.certificate = made.certificate
        certificate, key = quoteStringArgument(str(made.certificate)), quoteStringArgument(str(made.private_key))
        return f"ssl:0:{_LOOPBACK}:certKey={certificate}:privateKey={key}"

    def _environ(self) -> dict[str, str]:
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("POST3_", "AWS_"))}
        source = str(Path(post3tw.__file__).parents[1])
        environ["PYTHONPATH"] = os.pathsep.join(filter(None, (source, environ.get("PYTHONPATH"))))
        environ |= {"POST3_ACCESS_KEY": self.access_key, "POST3_SECRET_KEY": self.secret_key}
        return environ | dict(self.environment)

    def _read(self, process: subprocess.Popen[str]) -> None:
        """Keep what the server writes; runs in a thread, or the server would block on a full pipe."""
        assert process.stdout is not None
        for line in process.stdout:
            self._lines.append(line)
            if not self._settled.is_set():
                self._read_banner(line)
        self._settled.set()

    def _read_banner(self, line: str) -> None:
        if served := _served(line):
            self.endpoints.append(served[1])
        elif administered := _administered(line):
            self.admin_endpoint = administered[1]
        elif _up(line):
            self._settled.set()

    def _clean_up(self) -> None:
        """Forget the process, which has ended; its output stays."""
        self._process = None
        if self._reader is not None:
            self._reader.join()
        if self._directory is not None:
            self._directory.cleanup()
