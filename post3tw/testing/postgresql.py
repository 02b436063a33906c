"""A real PostgreSQL for tests: a cluster of its own in a temporary directory, gone when this process is.

    class MyTests(TestCase):
        def setUp(self) -> None:
            self.dsn = new_database(self)           # empty, dropped after the test

    with Cluster(durable=True, settings={"max_connections": "12"}) as cluster:
        dsn = cluster.create_database()             # for tests that break the server: restart(), stop(), terminate()

The server listens on a Unix socket in its own directory; with `tls` or `tcp` also on a free port of the loopback
interface, where it wants a password. A guardian process that waits for the end of a pipe stops it and removes the
directory, so that neither an exception nor `kill -9` of the tests leaves a server behind. PostgreSQL refuses to run as
root: then everything is done as `postgres` or, without such a user, as `nobody`.

The collation is a linguistic one where initdb knows ICU (15 and later), so that a query that counts on the order of
bytes without saying so fails here, not at the first user whose database has another one.

It blocks: starting takes about a second, a new database some 30 ms.
"""

from __future__ import annotations

import atexit
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from unittest import SkipTest
from urllib.parse import quote, urlencode

import psycopg
from attrs import define, field
from twisted.trial.unittest import SynchronousTestCase

from post3tw.testing.certificates import make_certificate

DEBIAN = Path("/usr/lib/postgresql")
SUPERUSER = "postgres"

_GUARDIAN = """trap '' HUP INT TERM; cat >/dev/null; "$1" stop --mode=immediate --pgdata="$2/data"; rm -rf "$2" """
_SPEED = {"fsync": "off", "full_page_writes": "off"}
_SOCKET_LIMIT = 90
"""Characters of a directory that still has room for the name of a socket (107 in all on Linux)."""

_names = count(1)


class ClusterFailed(Exception):
    """A program of PostgreSQL failed. The text is its output, or the end of the server's log."""


@cache
def find_programs() -> Path:
    """The directory of initdb, pg_ctl and the others: on the PATH, or the newest of Debian's.

    Raises:
        SkipTest: there is none. With CI=true that is a failure: `tools/environment.sh .venv dev` installs it.
    """
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    installed = [path for path in DEBIAN.glob("*/bin") if (path / "initdb").exists()]
    if installed:
        return max(installed, key=lambda path: float(path.parent.name))
    reason = "PostgreSQL's server is not installed (Debian: apt-get install postgresql)"
    if os.environ.get("CI") == "true":
        raise AssertionError(reason)
    raise SkipTest(reason)


@define(eq=False)
class Cluster:
    """A PostgreSQL server, from `start` to `close`; as a context manager, from begin to end.

    Attributes:
        durable: sync to the disk, as a server does that keeps anything. Off, a test is several times faster, and a
            crash of the machine (not of the server) would lose data.
        tcp: also listen on a free port of 127.0.0.1, for who has the password.
        tls: the same, and only with TLS; `certificate` is then the file that a client has to trust.
        settings: further lines of postgresql.conf.
        place: where its directory is made; None is the directory for temporary files.
        port: the number in the socket's name, and of the TCP port.
        password: of the superuser, for TCP.
    """

    durable: bool = False
    tcp: bool = False
    tls: bool = False
    settings: Mapping[str, str] = field(factory=dict)
    place: Path | None = None
    port: int = field(init=False, default=5432)
    password: str = field(init=False, factory=lambda: secrets.token_hex(12), repr=False)
    certificate: Path | None = field(init=False, default=None)
    _directory: Path | None = field(init=False, default=None)
    _guardian: subprocess.Popen[bytes] | None = field(init=False, default=None, repr=False)

    # -- life ----------------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Make the cluster when there is none yet, and start the server; returns when it accepts connections.

        Raises:
            ClusterFailed: it did not start.
        """
        if self._directory is None:
            self.make_directory()
            self._initialise()
            self.configure(self._configuration())
        try:
            self.run("pg_ctl", "start", "--wait", "--silent", f"--pgdata={self.data}", f"--log={self._log}")
        except ClusterFailed as failed:
            raise ClusterFailed(f"{failed}\n{self.log[-4000:]}") from None
        return self

    def follow(self, primary: Cluster) -> Self:
        """Instead of an empty cluster make a copy of a running one, as its streaming standby, and start it."""
        self.copy(primary, "--write-recovery-conf")
        return self.start()

    def copy(self, primary: Cluster, *options: str) -> None:
        """Instead of an empty cluster make a copy of a running one, not started."""
        self.make_directory()
        self.password = primary.password
        copy = [f"--pgdata={self.data}", f"--dbname={primary.dsn()}", "--checkpoint=fast", "--no-sync"]
        self.run("pg_basebackup", *copy, *options)
        self.configure(self._configuration())

    def promote(self) -> None:
        """Make a standby a primary; returns when it takes writes."""
        self.run("pg_ctl", "promote", "--wait", "--silent", f"--pgdata={self.data}")

    def stop(self, mode: Literal["smart", "fast", "immediate"] = "fast") -> None:
        """Stop the server, `immediate` as a crash does; the data stays."""
        self.run("pg_ctl", "stop", "--wait", "--silent", f"--mode={mode}", f"--pgdata={self.data}")

    def kill(self) -> None:
        """End every process of the server at once, as a power cut does; nothing is written or told to anyone."""
        processes = self.processes()
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def restart(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop and start again: every connection is lost."""
        self.stop(mode)
        self.start()

    def close(self) -> None:
        """End the server and remove the directory. Safe to call twice."""
        guardian, self._guardian, self._directory = self._guardian, None, None
        if guardian is not None:
            assert guardian.stdin is not None
            guardian.stdin.close()
            guardian.wait()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # -- databases -----------------------------------------------------------------------------------------------------

    def create_database(self, template: str = "template0") -> str:
        """Make a database with a name of its own; its DSN."""
        name = f"test{next(_names)}"
        self.query(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.dsn(name)

    def drop_database(self, dsn: str) -> None:
        """Remove a database that `create_database` made, whoever is connected to it."""
        self.query(f'DROP DATABASE IF EXISTS "{database_of(dsn)}" WITH (FORCE)')

    def dsn(self, database: str = "postgres") -> str:
        """How to reach a database through the socket: no password."""
        options = urlencode({"host": str(self.directory), "port": self.port, "user": SUPERUSER}, quote_via=quote)
        return f"postgresql:///{database}?{options}"

    def tcp_dsn(self, database: str = "postgres", **options: str) -> str:
        """How to reach a database through the TCP port, with the password in it, as in a user's DATABASE_URL.

        Args:
            options: of libpq, such as `sslmode` and `sslrootcert`.
        """
        query = f"?{urlencode(options)}" if options else ""
        return f"postgresql://{SUPERUSER}:{self.password}@127.0.0.1:{self.port}/{database}{query}"

    def query(self, sql: str, *parameters: object, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run a statement outside of a transaction; its rows, none if it has none."""
        with psycopg.connect(self.dsn(database), autocommit=True) as connection:
            cursor = connection.execute(sql, parameters or None)
            return cursor.fetchall() if cursor.description else []

    # -- what tests look at, and break ---------------------------------------------------------------------------------

    def connections(self, dsn: str) -> list[tuple[str, str]]:
        """State ("active", "idle", "idle in transaction" …) and last statement of each client of a database."""
        found = self.query(
            "SELECT state, query FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'"
            " AND pid <> pg_backend_pid() ORDER BY backend_start",
            database_of(dsn),
        )
        return [(state or "", query or "") for state, query in found]

    def terminate_backends(self, dsn: str, matching: str = "%") -> int:
        """End every connection of a database whose last statement is LIKE a pattern; how many there were."""
        ended = self.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND query LIKE %s"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()",
            database_of(dsn),
            matching,
        )
        return len(ended)

    def processes(self) -> list[int]:
        """Ids of the server's processes, the postmaster first: for signals."""
        postmaster = int((self.data / "postmaster.pid").read_text().splitlines()[0])
        others = self.query("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        return [postmaster, *(int(process) for (process,) in others)]

    @property
    def log(self) -> str:
        """What the server has logged."""
        return self._log.read_text(errors="backslashreplace") if self._log.exists() else ""

    # -- for clusters that begin as a copy of another ------------------------------------------------------------------

    @property
    def directory(self) -> Path:
        """What the cluster has for itself: socket, log and, in `data`, its files."""
        if self._directory is None:
            raise ClusterFailed("not started, or closed already")
        return self._directory

    @property
    def data(self) -> Path:
        """PGDATA."""
        return self.directory / "data"

    @property
    def _log(self) -> Path:
        return self.directory / "server.log"

    def make_directory(self) -> None:
        """Make the directory and what removes it, without anything in it; `start` does it when nobody has."""
        directory = Path(tempfile.mkdtemp(prefix="post3-pg-", dir=self.place))
        if len(str(directory)) > _SOCKET_LIMIT:
            directory.rmdir()
            raise ClusterFailed(f"{directory} is too long for the name of a Unix socket: set TMPDIR")
        self._directory = give(directory)
        guardian = ["sh", "-c", _GUARDIAN, "guardian", str(find_programs() / "pg_ctl"), str(directory)]
        self._guardian = subprocess.Popen(
            guardian,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
            **as_user(),
        )
        atexit.register(self.close)

    def run(self, program: str, *arguments: str) -> str:
        """Run a program of PostgreSQL as the user that the server runs as; what it wrote.

        Raises:
            ClusterFailed: it failed.
        """
        environ = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        # A file, not a pipe: the server inherits it from pg_ctl, and the pipe would never end.
        with tempfile.TemporaryFile("w+") as output:
            ended = subprocess.run(
                [str(find_programs() / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.directory,
                env=environ | {"PGPASSWORD": self.password},
                check=False,
                **as_user(),
            )
            output.seek(0)
            said = output.read()
        if ended.returncode != 0:
            raise ClusterFailed(f"{program} {' '.join(arguments)}: exit status {ended.returncode}\n{said}")
        return said

    def configure(self, settings: Mapping[str, str]) -> None:
        """Add lines to postgresql.conf; they count from the next start."""
        with (self.data / "postgresql.conf").open("a") as file:
            for name, value in settings.items():
                file.write(f"{name} = '{value.replace(chr(39), chr(39) * 2)}'\n")

    def _initialise(self) -> None:
        secret = self.directory / "password"
        secret.write_text(self.password + "\n")
        options = [f"--pgdata={self.data}", f"--username={SUPERUSER}", f"--pwfile={give(secret)}", "--no-sync"]
        options += ["--encoding=UTF8", "--auth-local=trust", "--auth-host=scram-sha-256", *_collation()]
        self.run("initdb", *options)
        secret.unlink()
        if self.tls:
            hba = (self.data / "pg_hba.conf").read_text()
            (self.data / "pg_hba.conf").write_text(hba.replace("\nhost ", "\nhostssl "))

    def _configuration(self) -> dict[str, str]:
        settings = {"unix_socket_directories": str(self.directory), "listen_addresses": "", "logging_collector": "off"}
        if not self.durable:
            settings |= _SPEED
        if self.tcp or self.tls:
            self.port = _free_port()
            settings |= {"listen_addresses": "127.0.0.1"}
        if self.tls:
            settings |= self._make_certificate()
        return settings | {"port": str(self.port)} | dict(self.settings)

    def _make_certificate(self) -> dict[str, str]:
        made = make_certificate(self.directory)
        self.certificate = give(made.certificate)
        return {"ssl": "on", "ssl_cert_file": str(made.certificate), "ssl_key_file": str(give(made.private_key))}


# -- one for all tests of a process ------------------------------------------------------------------------------------


@cache
def shared_cluster() -> Cluster:
    """The cluster of this process, for tests that leave the server itself in peace. Not durable."""
    return Cluster(settings={"max_connections": "200"}).start()


def new_database(test: SynchronousTestCase, template: str = "template0") -> str:
    """The DSN of an empty database (or a copy of a template) in the shared cluster, dropped after the test."""
    cluster = shared_cluster()
    dsn = cluster.create_database(template)
    test.addCleanup(cluster.drop_database, dsn)
    return dsn


def database_of(dsn: str) -> str:
    """The name of the database in a DSN."""
    return str(psycopg.conninfo.conninfo_to_dict(dsn)["dbname"])


@cache
def _user() -> pwd.struct_passwd | None:
    """Who runs PostgreSQL; None when we do, since we are not root."""
    if os.geteuid() != 0:
        return None
    names = {user.pw_name for user in pwd.getpwall()}
    return pwd.getpwnam("postgres" if "postgres" in names else "nobody")


def as_user() -> dict[str, Any]:
    """Arguments of a subprocess that make it run as this user."""
    user = _user()
    return {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": ()}


def give(path: Path) -> Path:
    """Make the user that PostgreSQL runs as a file's owner; the same path."""
    user = _user()
    if user is not None:
        os.chown(path, user.pw_uid, user.pw_gid)
    return path


@cache
def _collation() -> Sequence[str]:
    told = subprocess.run([find_programs() / "initdb", "--help"], capture_output=True, text=True, check=True).stdout
    if "--icu-locale" in told:
        return ("--locale-provider=icu", "--icu-locale=en", "--locale=C.UTF-8")
    return ("--locale=C.UTF-8",)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
