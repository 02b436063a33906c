"""Proxies to put before a server: nginx and haproxy, as lenient as they can be told to be; they log what they see."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from attrs import define, field

from tests.hostile.case import wait_until
from tests.postgresql.haproxy import find_program, free_port, listens

_NGINX = """
daemon off;
master_process off;
pid {directory}/pid;
error_log {directory}/errors;
events {{ worker_connections 1024; }}
http {{
    log_format requests '$request';
    access_log {directory}/requests requests;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    ignore_invalid_headers off;
    underscores_in_headers on;
    merge_slashes off;
    client_max_body_size 0;
    upstream server {{ server {server}; keepalive 8; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://server;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_request_buffering {buffering};
            proxy_next_upstream off;
        }}
    }}
}}
"""

_HAPROXY = """
global
    log stdout format raw local0
defaults
    mode http
    log global
    log-format %{{+Q}}r
    timeout connect 2s
    timeout client 20s
    timeout server 20s
    timeout http-request 5s
    http-reuse always
    retries 0
frontend front
    bind 127.0.0.1:{port}
    {lenient}
    default_backend back
backend back
    server server {server}
"""


@define
class Front:
    """A proxy, from `__enter__` to `__exit__`.

    Attributes:
        kind: "nginx", "nginx, unbuffered", "haproxy" or "haproxy, lenient".
        server: the URL of what is behind it.
        port: where it listens.
    """

    kind: str
    server: str
    port: int = field(factory=free_port)
    _directory: Path = field(init=False)
    _process: subprocess.Popen[bytes] = field(init=False)

    def __enter__(self) -> Self:
        """Start it.

        Raises:
            SkipTest: it is not installed.
        """
        program = find_program(self.kind.partition(",")[0])
        self._directory = Path(tempfile.mkdtemp(prefix="post3-front-"))
        configuration = self._directory / "configuration"
        values = {"directory": self._directory, "port": self.port, "server": urlsplit(self.server).netloc}
        if self.kind.startswith("nginx"):
            values["buffering"] = "off" if "unbuffered" in self.kind else "on"
            configuration.write_text(_NGINX.format(**values))
            command = [program, "-p", str(self._directory), "-c", str(configuration)]
        else:
            values["lenient"] = "option accept-invalid-http-request" if "lenient" in self.kind else ""
            configuration.write_text(_HAPROXY.format(**values))
            command = [program, "-db", "-f", str(configuration)]
        with (self._directory / "output").open("wb") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output)
        if not wait_until(lambda: listens(self.port)):
            said = self.log()
            self.__exit__(None, None, None)
            raise RuntimeError(f"{self.kind} does not listen: {said}")
        return self

    def log(self) -> str:
        """What it has written, a line with each request that it saw among it."""
        paths = [self._directory / name for name in ("requests", "output", "errors")]
        return "".join(path.read_text("utf-8", "backslashreplace") for path in paths if path.exists())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGTERM)
        self._process.wait(20)
        shutil.rmtree(self._directory, ignore_errors=True)
