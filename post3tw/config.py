"""What a server is started with: one table of options, and the Config made of them.

Every option is a row of OPTIONS. A value comes from the command line (or from the mapping of an embedding program),
else from the option's POST3_* variable, else from its default. All are checked together, before anything is opened.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import field, frozen

from post3tw.model.errors import InvalidBucketName
from post3tw.model.quantities import parse_duration, parse_size
from post3tw.service.bucket_names import check_bucket_name
from post3tw.storage.crew import MOST_WORKERS

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

WELL_KNOWN = frozenset({
    "minioadmin", "rustfsadmin", "geckoadmin", "admin", "password", "test", "secret", "changeme",
    "accesskey1", "verysecretkey1", "local-identity", "local-credential", "akiaiosfodnn7example",
    "wjalrxutnfemi/k7mdeng/bpxrficyexamplekey",
})  # fmt: skip
"""Keys from other people's documentation, in lower case: whoever uses one has an open server."""


class ConfigError(Exception):
    """The configuration makes no sense. The text is one clear line that names the option or variable."""


# -- one value -------------------------------------------------------------------------------------------------------

_REGION = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_ORIGIN = re.compile(r"\*|null|[a-z*][a-z0-9+.*-]*://[^\s/,]+|\*[^\s/,]+", re.IGNORECASE)
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")


def _count(value: str | int) -> int:
    try:
        number = int(value)
    except ValueError:
        number = 0
    if number < 1:
        raise ValueError(f"{value!r} is not a whole number from 1 up")
    return number


def _workers(value: str | int) -> int:
    if value in ("auto", 0):
        return 0
    try:
        number = _count(value)
    except ValueError:
        number = 0
    if not 1 <= number <= MOST_WORKERS:
        raise ValueError(f"{value!r} is neither auto nor a whole number from 1 to {MOST_WORKERS}")
    return number


def _rate(value: str | int) -> int:
    size = parse_size(value)
    if not size:
        raise ValueError(f"{value!r} is no rate; --scrub-interval=0 is how to scrub nothing")
    return size


def _durability(value: str) -> str:
    if value not in ("full", "relaxed"):
        raise ValueError(f"{value!r} is neither full nor relaxed")
    return value


def _region(value: str) -> str:
    if not _REGION.fullmatch(value):
        raise ValueError(f"{value!r} is not a region such as us-east-1")
    return value


def _domain(value: str) -> str:
    name = value.lower().rstrip(".")
    if not _DOMAIN.fullmatch(name):
        raise ValueError(f"{value!r} is not a domain name (which has no port)")
    return name


def _new_bucket_defaults(value: str) -> str:
    if value not in ("classic", "aws"):
        raise ValueError(f"{value!r} is neither classic nor aws")
    return value


def _bucket(value: str) -> str:
    try:
        check_bucket_name(value)
    except InvalidBucketName:
        raise ValueError(f"{value!r} may not be a bucket's name") from None
    return value


def _network(value: str | Network) -> Network:
    try:
        return ipaddress.ip_network(value)
    except ValueError:
        raise ValueError(f"{value!r} is not an address or a network such as 10.0.0.0/8") from None


def _origin(value: str) -> str:
    if not _ORIGIN.fullmatch(value) or value.count("*") > 1:
        raise ValueError(f"{value!r} is not an origin such as https://app.example.com, with one * at most")
    return value


def _optional_path(value: str | Path) -> Path | None:
    return Path(value) if str(value) else None


# -- the table -------------------------------------------------------------------------------------------------------


@frozen
class Option:
    """One option.

    Attributes:
        name: as after `--`.
        default: as a person would write it; "" for none.
        help: one sentence or two.
        parse: text (or an already typed value) to what Config keeps; ValueError says what is wrong.
        repeatable: may be given several times; its variable holds several, separated by spaces or commas.
        secret: known by its variable only, because a command line can be read by everybody on the machine.
    """

    name: str
    default: str
    help: str
    parse: Callable[[Any], Any] = str
    repeatable: bool = False
    secret: bool = False

    @property
    def attribute(self) -> str:
        """Its name in Config."""
        return self.name.replace("-", "_")

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return "POST3_" + self.attribute.upper()


OPTIONS = (
    Option("backend", "fs", "Where objects are kept; --help-backends lists what is installed."),
    Option("data-dir", "./data", "The directory of everything that is kept.", Path),
    Option(
        "listen",
        "tcp:9000:interface=127.0.0.1",
        "A Twisted endpoint string to serve S3 on: tcp:, tcp6:, unix:, ssl:, tls:, haproxy:, systemd: … Repeatable.",
        repeatable=True,
    ),
    Option(
        "admin",
        "tcp:9001:interface=127.0.0.1",
        "The endpoint of /health/live, /health/ready and /metrics; none switches it off.",
    ),
    Option("metrics-token", "", "The bearer token that /metrics wants from callers that are not on this machine."),
    Option("region", "us-east-1", "The region that clients sign for.", _region),
    Option("domain", "", "A domain whose subdomains name buckets (virtual-hosted style). Repeatable.", _domain, True),
    Option(
        "durability",
        "full",
        "full: nothing is acknowledged that a power cut could take; relaxed: no fsync, for tests and caches.",
        _durability,
    ),
    Option("reserve", "64MiB", "Disk space set aside so that deletes work on a full disk; 0 for none.", parse_size),
    Option(
        "identities",
        "",
        "A TOML file of users, read again on SIGHUP and when it changes; only its owner may be able to read it.",
        _optional_path,
    ),
    Option("bucket", "", "A bucket to make at start when it is missing. Repeatable.", _bucket, True),
    Option(
        "new-bucket-defaults",
        "classic",
        "classic: access control lists count, and nothing public is blocked until a bucket says so; aws: as on AWS "
        "today, a bucket's owner owns every object and all public access is blocked.",
        _new_bucket_defaults,
    ),
    Option("drain", "30s", "How long requests may finish after SIGTERM.", parse_duration),
    Option("blob-grace", "1h", "How long bytes stay on disk that no object refers to any more.", parse_duration),
    Option(
        "stale-uploads", "7d", "The age at which unfinished multipart uploads are aborted; 0: never.", parse_duration
    ),
    Option(
        "scrub-interval",
        "7d",
        "How often everything stored is read and verified (docs/durability.md); 0: never.",
        parse_duration,
    ),
    Option("scrub-rate", "10MiB", "How much of it a second, at most.", _rate),
    Option("head-timeout", "30s", "How long a request's head may take to arrive.", parse_duration),
    Option(
        "body-timeout",
        "30s",
        "A body must bring 1 KiB a second, averaged over windows of this length.",
        parse_duration,
    ),
    Option("idle-timeout", "120s", "How long a connection may wait for its next request.", parse_duration),
    Option(
        "workers",
        "auto",
        "How many processes serve; auto: one a core, as far as memory goes. Inside another program it is one.",
        _workers,
    ),
    Option("max-connections", "16384", "Connections at a time; further ones get 503 SlowDown.", _count),
    Option("max-requests", "2048", "Requests at a time; further ones get 503 SlowDown.", _count),
    Option(
        "trusted-proxy",
        "",
        "A network (CIDR) whose X-Forwarded-For and X-Forwarded-Proto are believed. Repeatable.",
        _network,
        True,
    ),
    Option(
        "cors-origin",
        "",
        "An origin, such as https://*.example.com or *, whose pages may use every bucket from a browser. Repeatable.",
        _origin,
        True,
    ),
    Option(
        "access-log",
        "",
        "The file to append a JSON line to for each request, opened again on SIGUSR1; standard error when not given.",
        _optional_path,
    ),
    Option(
        "access-key", "", "The root user's access key; with POST3_SECRET_KEY, instead of DATA/credentials.", secret=True
    ),
    Option("secret-key", "", "The root user's secret key.", secret=True),
)
"""Every option of the server; a backend adds its own."""


@frozen
class Config:
    """A checked configuration. See OPTIONS for the meaning of each attribute; durations are seconds, sizes bytes.

    `backend_options` holds the options that the chosen backend declares.
    """

    backend: str
    data_dir: Path
    listen: tuple[str, ...]
    admin: str | None
    metrics_token: str = field(repr=False)
    region: str
    domain: tuple[str, ...]
    durability: str
    reserve: int
    identities: Path | None
    bucket: tuple[str, ...]
    new_bucket_defaults: str
    drain: float
    blob_grace: float
    stale_uploads: float
    scrub_interval: float
    scrub_rate: int
    head_timeout: float
    body_timeout: float
    idle_timeout: float
    workers: int
    max_connections: int
    max_requests: int
    trusted_proxy: tuple[Network, ...]
    cors_origin: tuple[str, ...]
    access_log: Path | None
    access_key: str
    secret_key: str = field(repr=False)
    backend_options: Mapping[str, Any] = field(factory=dict, repr=False)


def read_config(given: Mapping[str, Any], environ: Mapping[str, str], backend_options: Sequence[Option] = ()) -> Config:
    """Make a Config.

    Args:
        given: options by name (`data-dir`) or attribute (`data_dir`), as text or already typed; None means not given.
        environ: where POST3_* variables are looked up.
        backend_options: what the chosen backend declares beside OPTIONS.

    Raises:
        ConfigError: an unknown option, or a value that makes no sense.
    """
    wanted = {name.replace("-", "_"): value for name, value in given.items() if value is not None}
    values = {option.attribute: _value(option, wanted, environ) for option in OPTIONS}
    extra = {option.attribute: _value(option, wanted, environ) for option in backend_options}
    unknown = sorted(wanted.keys() - values.keys() - extra.keys())
    if unknown:
        raise ConfigError(f"unknown option: {unknown[0]}")
    _check_root_key(values["access_key"], values["secret_key"])
    if not values["listen"]:
        raise ConfigError("--listen: there must be one endpoint at least")
    values["admin"] = None if values["admin"] in ("none", "") else values["admin"]
    return Config(**values, backend_options=extra)


def backend_name(given: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """The chosen backend, whose options are needed to read the rest."""
    name: str = given.get("backend") or environ.get("POST3_BACKEND") or OPTIONS[0].default
    return name


def unknown_variables(environ: Mapping[str, str], backend_options: Sequence[Option] = ()) -> list[str]:
    """POST3_* variables that no option has: probably misspelt."""
    known = {option.variable for option in (*OPTIONS, *backend_options)}
    return sorted(name for name in environ if name.startswith("POST3_") and name not in known)


def _value(option: Option, wanted: Mapping[str, Any], environ: Mapping[str, str]) -> Any:
    """One option's checked value, from wherever it was given."""
    if option.attribute in wanted:
        source, value = (option.variable if option.secret else f"--{option.name}"), wanted[option.attribute]
    elif environ.get(option.variable):
        source, value = option.variable, environ[option.variable]
    else:
        source, value = f"--{option.name}", option.default
    try:
        if option.repeatable:
            parts = re.split(r"[\s,]+", value.strip()) if isinstance(value, str) else value
            return tuple(option.parse(part) for part in parts if part)
        return option.parse(value)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{source}: {error}") from None


def _check_root_key(access_key: str, secret_key: str) -> None:
    """Both keys or none, long enough, and not from somebody's documentation."""
    if bool(access_key) != bool(secret_key):
        missing = "POST3_SECRET_KEY" if access_key else "POST3_ACCESS_KEY"
        raise ConfigError(f"{missing} is missing: set both keys or none")
    if not access_key:
        return
    for variable, value in (("POST3_ACCESS_KEY", access_key), ("POST3_SECRET_KEY", secret_key)):
        if value.lower() in WELL_KNOWN:
            raise ConfigError(
                f"{variable} is a well-known default; choose another, for instance from `openssl rand -hex 20`"
            )
    if not re.fullmatch(r"[A-Za-z0-9_.-]{3,128}", access_key):
        raise ConfigError("POST3_ACCESS_KEY must be 3 to 128 letters, digits, `_`, `.` and `-`")
    if len(secret_key) < 8:
        raise ConfigError("POST3_SECRET_KEY must be at least 8 characters long")
