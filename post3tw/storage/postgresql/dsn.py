"""Where the database is: one string, as libpq reads it.

Both forms of libpq are taken, `postgresql://user:secret@one:5432,two:5432/name?sslmode=verify-full` and
`host=one,two user=…` (PostgreSQL documentation, 34.1.1 Connection Strings), and what they leave out comes from libpq's
own places: PG* variables, ~/.pgpass, a service file. Several hosts are tried in their order; `target_session_attrs=
read-write` picks the one that is primary, so a failover needs no new configuration.

The string holds a password. It is in no message and no repr: what cannot be read is named by what was expected, because
libpq's own complaint quotes the piece it stumbled over, and that can be the password.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from attrs import field, frozen
from psycopg import Error
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from post3tw.storage.interfaces import StoreRefused

APPLICATION = "post3tw"
"""What pg_stat_activity shows, when the DSN gives no application_name of its own."""

_EXPECTED = (
    "the DSN of the database cannot be read: expected postgresql://USER@HOST:PORT/NAME?sslmode=… or host=… dbname=… "
    "(special characters of a password are %XX in the first form, quoted in the second)"
)


@frozen
class Dsn:
    """A connection string that was read.

    Attributes:
        parameters: libpq's parameters by name; several hosts, addresses or ports are one value with commas.
    """

    parameters: Mapping[str, str] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Dsn:
        """Read a URL or a list of key=value; the empty text is what libpq has by itself.

        Raises:
            StoreRefused: it is neither, or hosts and ports do not fit each other.
        """
        if _misplaces_secret(text):
            raise StoreRefused(_EXPECTED)
        try:
            read = conninfo_to_dict(text)
        except Error:
            raise StoreRefused(_EXPECTED) from None
        parameters = {name: str(value) for name, value in read.items() if value is not None}
        for name in ("host", "hostaddr", "port"):
            # libpq would use these too, but resolve the name with a call that blocks.
            if f"PG{name.upper()}" in os.environ:
                parameters.setdefault(name, os.environ[f"PG{name.upper()}"])
        parameters.setdefault("application_name", APPLICATION)
        # Whatever the DSN, PGCLIENTENCODING, the role or the database say: what we send is UTF-8.
        parameters["client_encoding"] = "UTF8"
        dsn = cls(parameters)
        dsn.attempts()
        return dsn

    def attempts(self) -> list[Mapping[str, str]]:
        """Parameters for one host at a time, in the order in which to try them.

        libpq gives each host its own timeout only when it may block, so we go from host to host ourselves.
        `prefer-standby` is two rounds, as libpq makes it: standbys only, then any.
        """
        hosts, addresses, ports = (self._several(name) for name in ("host", "hostaddr", "port"))
        count = max(len(hosts), len(addresses), 1)
        if (hosts and addresses and len(hosts) != len(addresses)) or len(ports) not in {0, 1, count}:
            raise StoreRefused("the DSN of the database names as many ports as hosts, or one, or none")
        if not all(port.isdecimal() for port in ports if port):
            raise StoreRefused("the DSN of the database has a port that is no number")
        rest = {name: value for name, value in self.parameters.items() if name not in {"host", "hostaddr", "port"}}
        lists = {"host": hosts, "hostaddr": addresses, "port": ports * count if len(ports) == 1 else ports}
        found: list[Mapping[str, str]] = [
            rest | {name: given[n] for name, given in lists.items() if given} for n in range(count)
        ]
        if rest.get("target_session_attrs") == "prefer-standby":
            anything: list[Mapping[str, str]] = [{**one, "target_session_attrs": "any"} for one in found]
            found = [{**one, "target_session_attrs": "standby"} for one in found] + anything
        return found

    @property
    def place(self) -> str:
        """Host, port and name of the database, for people: nothing secret, nothing else."""
        hosts = self._several("host") or self._several("hostaddr") or ["the local socket"]
        ports = self._several("port") or ["5432"]
        ports = ports * len(hosts) if len(ports) == 1 else ports
        name = self.parameters.get("dbname") or os.environ.get("PGDATABASE", "")
        where = ",".join(f"{host}:{port}" for host, port in zip(hosts, ports, strict=False))
        return f"{where}/{name}" if name else where

    def __repr__(self) -> str:
        return f"Dsn({self.place})"

    def _several(self, name: str) -> list[str]:
        """The values of a parameter that may be several."""
        text = self.parameters.get(name, "")
        return text.split(",") if text else []


def _misplaces_secret(text: str) -> bool:
    """Whether a URL has an @ where none can be: its password has a / or @ that is not written %XX, and libpq would take
    a piece of it for a host or a name, which are shown."""
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in {"postgresql", "postgres"}:
        return False
    authority, _, path = rest.partition("?")[0].partition("/")
    return authority.count("@") > 1 or "@" in path


def conninfo(parameters: Mapping[str, str]) -> str:
    """The string that libpq takes. It holds the password: hand it to libpq and to nobody else."""
    return make_conninfo("", **parameters)
