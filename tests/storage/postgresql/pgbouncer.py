"""A real pgbouncer before a cluster, for as long as a test runs."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from post3tw.testing.postgresql import Cluster, database_of

_PROGRAMS = ("pgbouncer", "/usr/sbin/pgbouncer")

_CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={database_port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = plain
auth_file = {directory}/users
pool_mode = {mode}
logfile = {directory}/log
"""


def through_pgbouncer(test: SynchronousTestCase, cluster: Cluster, dsn: str, mode: str) -> str:
    """The DSN of a database (of a cluster with `tcp`) through a pgbouncer that ends with the test."""
    program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if program is None:
        raise SkipTest("pgbouncer is not installed (Debian: apt-get install pgbouncer)")
    directory = Path(tempfile.mkdtemp(prefix="post3-pgbouncer-"))
    test.addCleanup(shutil.rmtree, directory)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (directory / "users").write_text(f'"postgres" "{cluster.password}"\n')
    (directory / "ini").write_text(
        _CONFIGURATION.format(database_port=cluster.port, port=port, directory=directory, mode=mode)
    )
    command = [program, "--quiet"]
    if os.getuid() == 0:  # which it refuses to run as
        shutil.chown(directory, "postgres")
        command += ["--user=postgres"]
    process = subprocess.Popen([*command, str(directory / "ini")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    test.addCleanup(process.wait)
    test.addCleanup(process.terminate)
    _wait_for(port)
    return f"postgresql://postgres:{cluster.password}@127.0.0.1:{port}/{database_of(dsn)}"


def _wait_for(port: int) -> None:
    for _ in range(500):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.01)
    raise AssertionError("pgbouncer does not listen")
