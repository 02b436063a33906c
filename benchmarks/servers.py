"""The servers of a table: our own, started for it, and any other that listens already."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.exchange import Endpoint
from benchmarks.measuring import Processes
from benchmarks.scene import Side
from benchmarks.signing import Account
from post3tw.testing.certificates import make_certificate
from post3tw.testing.server import RunningServer
from post3tw.wire.signer import Signer

_TLS = "ssl:0:interface=127.0.0.1:certKey={}:privateKey={}"


@contextmanager
def own_server(directory: str | None, options: Sequence[str], name: str = "post3tw") -> Iterator[Side]:
    """A server as `post3 serve` starts it, on http and https, with its data below `directory`, which then goes.

    Only two things are not as by default. The access log goes nowhere rather than through a pipe to us. Bytes that were
    overwritten go at the next round of the sweeper rather than after an hour, because a table overwrites more than
    disks hold.
    """
    with tempfile.TemporaryDirectory(prefix="post3-benchmarks-", dir=directory) as place:
        made = make_certificate(Path(place))
        settings = [
            f"--listen={_TLS.format(made.certificate, made.private_key)}",
            "--workers=auto",
            "--access-log=/dev/null",
            "--blob-grace=1s",
            *options,
        ]
        with RunningServer(data_dir=Path(place, "data"), options=settings) as server:
            signer = Signer(server.access_key, server.secret_key)
            yield side(name, server.endpoints, signer, [server.pid])


def side(name: str, urls: Sequence[str], signer: Signer, pids: Sequence[int]) -> Side:
    """A server that listens at these URLs.

    Raises:
        ValueError: one is not http://host:port or https://host:port.
    """
    endpoints = [Endpoint.parse(url) for url in urls]
    accounts = {endpoint.scheme: Account(endpoint, signer) for endpoint in endpoints}
    return Side(name, accounts, Processes(tuple(pids)))
