"""haproxy before several nodes, as in docs/postgresql.md."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from unittest import SkipTest
from urllib.parse import SplitResult, urlsplit

from attrs import define, field

from post3tw.testing.server import RunningServer
from tests.hostile.case import wait_until

CONFIGURATION = """
defaults
    mode http
    timeout connect 2s
    timeout client 60s
    timeout server 60s
    # A node that died before it took a request: the next one gets it. What a node has begun is never sent twice.
    retries 2
    retry-on conn-failure
    option redispatch 1

frontend s3
    bind 127.0.0.1:{port}
    default_backend nodes

backend nodes
    balance roundrobin
    option httpchk GET /health/ready
    default-server check inter 200ms fall 2 rise 1
{nodes}
"""


def find_program(name: str) -> str:
    """The path of a program that Debian has; in CI it must be there.

    Raises:
        SkipTest: it is not installed.
    """
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        if os.environ.get("CI") == "true":
            raise AssertionError(f"{name} is not installed")
        raise SkipTest(f"{name} is not installed")
    return found


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def address(url: str | None) -> SplitResult:
    """Host and port of a running node's URL."""
    assert url is not None
    return urlsplit(url)


def listens(port: int) -> bool:
    """Whether somebody does."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@define
class Proxy:
    """haproxy, from `__enter__` to `__exit__`, that asks each node in turn, and only those that say they are ready."""

    nodes: Sequence[RunningServer]
    port: int = field(factory=free_port)
    _directory: str = field(init=False, default="")
    _process: subprocess.Popen[bytes] | None = field(init=False, default=None)

    @property
    def endpoint(self) -> str:
        """Where the nodes are one server."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        program = find_program("haproxy")
        lines = [
            f"    server node{number} {address(node.endpoint).netloc} check port {address(node.admin_endpoint).port}"
            for number, node in enumerate(self.nodes, 1)
        ]
        self._directory = tempfile.mkdtemp(prefix="post3-haproxy-")
        path = Path(self._directory) / "haproxy.cfg"
        path.write_text(CONFIGURATION.format(port=self.port, nodes="\n".join(lines)))
        # Without -W it is one process, which ends with SIGTERM.
        self._process = subprocess.Popen([program, "-db", "-f", str(path)], stderr=subprocess.DEVNULL)
        if not wait_until(lambda: listens(self.port)):
            self.__exit__(None, None, None)
            raise AssertionError("haproxy does not listen")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)
