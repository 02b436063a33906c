"""How much memory a server takes for a large object, for an upload in parts, and for idle connections.

    python -m benchmarks memory [--object 5120] [--upload 1024] [--connections 10000]

Each line is a server of its own, driven over sockets: a PUT and a GET of --object MiB, an upload of --upload MiB in
parts of 16 MiB, eight at a time, and --connections keep-alive connections that have had one answer. Shown is what is
resident before, and the most while it lasts (VmHWM of its processes), in MiB. 0 leaves a line out. Data goes below
TMPDIR, as much as the object is large, and is removed.
"""

from __future__ import annotations

import argparse
import resource
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from benchmarks.exchange import Answer, exchange
from benchmarks.scene import MIB
from benchmarks.servers import own_server
from benchmarks.signing import Account
from benchmarks.upload import complete, upload_id

PART = 16
PARALLEL = 8
PATTERN = bytes(range(256)) * (MIB // 256)


def mebibytes(count: int) -> Iterable[bytes]:
    """A body of so many MiB."""
    return (PATTERN for _ in range(count))


def send(account: Account, method: str, target: str, size: int = 0) -> Answer:
    """One request with a body of `size` MiB; the start of the answer's body, of which all is read."""
    request = account.announcing(method.encode(), target.encode(), size * MIB)
    answer = exchange(account.endpoint, request, mebibytes(size), keep=MIB)
    if answer.status != 200:
        raise SystemExit(f"{method} {target}: {answer.status} {answer.body[:300]!r}")
    return answer


def put_and_get(account: Account, size: int) -> None:
    """An object of `size` MiB, in and out."""
    send(account, "PUT", "/bench/object", size)
    send(account, "GET", "/bench/object")


def upload(account: Account, size: int) -> None:
    """An upload of `size` MiB, and a GET of what it made."""
    name = upload_id(send(account, "POST", "/bench/upload?uploads=").body)

    def put(number: int) -> tuple[int, str]:
        return number, send(account, "PUT", f"/bench/upload?partNumber={number}&uploadId={name}", PART).etag

    with ThreadPoolExecutor(PARALLEL) as pool:
        etags = dict(pool.map(put, range(1, size // PART + 1)))
    exchange(account.endpoint, complete(account, "/bench/upload", name, etags))
    send(account, "GET", "/bench/upload")


def idle(account: Account, count: int) -> None:
    """So many connections that stay open, all of them served once."""
    question = b"GET /-/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    connections: list[socket.socket] = []
    for _ in range(count):
        connection = account.endpoint.connect()
        connection.sendall(question)
        if b" 200 " not in connection.recv(4096):
            raise SystemExit(f"refused after {len(connections)} connections")
        connections.append(connection)
    for connection in connections:
        connection.close()


def measure(name: str, work: Callable[[Account, int], None], size: int) -> None:
    """Print the line of one server."""
    options = ["--bucket=bench", "--idle-timeout=3600", "--max-connections=100000"]
    with own_server(None, options) as server:
        before = server.processes.resident() or 0.0
        started = time.monotonic()
        work(server.account, size)
        taken = time.monotonic() - started
        most = server.processes.most_resident()
    print(f"{name:36}{before:>8.0f}{most:>8.0f}{taken:>8.0f} s", flush=True)


def main(arguments: Sequence[str]) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks memory", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--object", type=int, default=5120)
    parser.add_argument("--upload", type=int, default=1024)
    parser.add_argument("--connections", type=int, default=10_000)
    options = parser.parse_args(arguments)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(f"{'':36}{'before':>8}{'most':>8}{'taken':>8}")
    if options.object:
        measure(f"PUT and GET of {options.object} MiB", put_and_get, options.object)
    if options.upload:
        measure(f"upload of {options.upload} MiB, and GET", upload, options.upload)
    if options.connections:
        measure(f"{options.connections} idle connections", idle, options.connections)
