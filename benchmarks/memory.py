"""How much memory a server takes for a large object, for an upload in parts, and for idle connections.

    python benchmarks/memory.py [--object 5120] [--upload 1024] [--connections 10000]

Each line is a server of its own, driven over sockets: a PUT and a GET of --object MiB, an upload of --upload MiB in
parts of 16 MiB, eight at a time, and --connections keep-alive connections that have had one answer. Shown is what is
resident before, and the most while it lasts (VmHWM), in MiB. 0 leaves a line out. Data goes below TMPDIR, as much as
the object is large, and is removed.
"""

from __future__ import annotations

import argparse
import re
import resource
import socket
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

from attrs import define

from post3tw.testing.server import RunningServer
from post3tw.wire.signer import Signer

MIB = 1 << 20
PART = 16
PARALLEL = 8
PATTERN = bytes(range(256)) * (MIB // 256)


@define
class Client:
    """Signed requests to a server, each on a connection of its own."""

    server: RunningServer

    @property
    def address(self) -> tuple[str, int]:
        """Where the server listens."""
        host, _, port = self.server.endpoint.rpartition("//")[2].partition(":")
        return host, int(port)

    def headers(self, method: str, target: str) -> dict[str, str]:
        """Those of a signed request; the body is not signed."""
        signer = Signer(self.server.access_key, self.server.secret_key)
        host = "{}:{}".format(*self.address).encode()
        now = int(time.time() * 1000)
        signed = signer.sign_request(method.encode(), target.encode(), [(b"host", host)], time=now)
        return {name.decode(): value.decode() for name, value in signed}

    def send(self, method: str, target: str, size: int = 0, body: Iterable[bytes] | bytes = b"") -> tuple[bytes, str]:
        """One request with `size` bytes of body; the start of the answer's body, of which all is read, and the ETag."""
        connection = HTTPConnection(*self.address)
        connection.request(method, target, body, {**self.headers(method, target), "content-length": str(size)})
        response = connection.getresponse()
        start = response.read(MIB)
        while response.read(MIB):
            pass
        connection.close()
        if response.status != 200:
            raise SystemExit(f"{method} {target}: {response.status} {start!r}")
        return start, response.headers.get("etag", "")


def mebibytes(count: int) -> Iterable[bytes]:
    """A body of so many MiB."""
    return (PATTERN for _ in range(count))


def resident(pid: int) -> tuple[float, float]:
    """MiB that are resident now, and the most that ever were."""
    status = Path(f"/proc/{pid}/status").read_text()
    kibibytes = dict(re.findall(r"(VmRSS|VmHWM):\s+(\d+)", status))
    return int(kibibytes["VmRSS"]) / 1024, int(kibibytes["VmHWM"]) / 1024


def put_and_get(client: Client, size: int) -> None:
    """An object of `size` MiB, in and out."""
    client.send("PUT", "/bench/object", size * MIB, mebibytes(size))
    client.send("GET", "/bench/object")


def upload(client: Client, size: int) -> None:
    """An upload of `size` MiB, and a GET of what it made."""
    start, _ = client.send("POST", "/bench/upload?uploads=")
    found = re.search(rb"<UploadId>([^<]+)", start)
    if found is None:
        raise SystemExit(f"no upload id: {start!r}")
    target = f"/bench/upload?uploadId={found[1].decode()}"

    def put(number: int) -> str:
        return client.send("PUT", f"{target}&partNumber={number}", PART * MIB, mebibytes(PART))[1]

    with ThreadPoolExecutor(PARALLEL) as pool:
        etags = list(pool.map(put, range(1, size // PART + 1)))
    parts = [f"<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>" for n, etag in enumerate(etags, 1)]
    document = f"<CompleteMultipartUpload>{''.join(parts)}</CompleteMultipartUpload>".encode()
    client.send("POST", target, len(document), document)
    client.send("GET", "/bench/upload")


def idle(client: Client, count: int) -> None:
    """So many connections that stay open, all of them served once."""
    question = b"GET /-/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    connections: list[socket.socket] = []
    for _ in range(count):
        connection = socket.create_connection(client.address)
        connection.sendall(question)
        if b" 200 " not in connection.recv(4096):
            raise SystemExit(f"refused after {len(connections)} connections")
        connections.append(connection)
    for connection in connections:
        connection.close()


def measure(name: str, work: Callable[[Client, int], None], size: int) -> None:
    """Print the line of one server."""
    options = ["--bucket=bench", "--access-log=/dev/null", "--idle-timeout=3600", "--max-connections=100000"]
    with RunningServer(options=options) as server:
        before, _ = resident(server.pid)
        started = time.monotonic()
        work(Client(server), size)
        taken = time.monotonic() - started
        _, most = resident(server.pid)
    print(f"{name:36}{before:>8.0f}{most:>8.0f}{taken:>8.0f} s", flush=True)


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--object", type=int, default=5120)
    parser.add_argument("--upload", type=int, default=1024)
    parser.add_argument("--connections", type=int, default=10_000)
    arguments = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(f"{'':36}{'before':>8}{'most':>8}{'taken':>8}")
    if arguments.object:
        measure(f"PUT and GET of {arguments.object} MiB", put_and_get, arguments.object)
    if arguments.upload:
        measure(f"upload of {arguments.upload} MiB, and GET", upload, arguments.upload)
    if arguments.connections:
        measure(f"{arguments.connections} idle connections", idle, arguments.connections)


if __name__ == "__main__":
    main()
