"""`twistd post3`: its options, as twistd reads them, and the backend and configuration that they choose.

`post3tw.config` says which there are; here they get the shape that Twisted wants, with those of every backend that is
installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from attrs import evolve, frozen
from twisted.logger import Logger
from twisted.python import usage

from post3tw import __version__
from post3tw.config import OPTIONS, Config, ConfigError, Option, backend_name, read_config, unknown_variables
from post3tw.storage.backends import find_backend, installed_backends
from post3tw.storage.crew import Crew
from post3tw.storage.interfaces import IBackend, OpenedStore, StoreRefused

_log = Logger()


class _Collect:
    """Gathers the values of a repeatable option."""

    def __init__(self) -> None:
        self._values: list[str] = []

    def __call__(self, value: str) -> list[str]:
        self._values.append(value)
        return self._values


def backend_options(backend: IBackend) -> tuple[Option, ...]:
    """The options that a backend declares, as rows like our own."""
    return tuple(Option(name, default or "", text) for name, default, text in backend.options())


def _all_options() -> list[Option]:
    """Ours, and those of every backend that can be loaded."""
    rows = [option for option in OPTIONS if not option.secret]
    for backend in installed_backends().values():
        try:
            rows += backend_options(backend)
        except StoreRefused as error:
            _log.warn("{reason}", reason=str(error))
    return rows


def _help(option: Option) -> str:
    default = f", default {option.default}" if option.default else ""
    return f"{option.help} ({option.variable}{default})"


class Options(usage.Options):
    """What `twistd post3` understands. Wrong options end the process with one line on standard error and status 1."""

    synopsis = "[options]"
    longdesc = (
        "An S3-compatible object store. `post3 serve [DIR]` takes the same options. Every option has an environment "
        "variable, named beside it; the command line wins. POST3_ACCESS_KEY and POST3_SECRET_KEY, together, replace "
        "the root key that is otherwise made at the first start and kept in DATA/credentials. SIGHUP reads identities "
        "and certificates again, SIGUSR1 reopens the access log, SIGTERM finishes what runs and exits."
    )

    optParameters: ClassVar[list[tuple[Any, ...]]] = []

    def __init__(self) -> None:
        # usage.Options reads this table from the class; which backends there are is known only now.
        type(self).optParameters = [
            (option.name, None, None, _help(option), _Collect() if option.repeatable else None)
            for option in _all_options()
        ]
        super().__init__()

    def opt_help_backends(self) -> None:
        """List the installed backends, then exit."""
        for name, backend in installed_backends().items():
            print(f"{name:<12} {backend.description}")
        raise SystemExit(0)

    def opt_version(self) -> None:
        """Show the version, then exit."""
        print(f"post3tw {__version__}")
        raise SystemExit(0)

    def parseArgs(self, *rest: str) -> None:
        """See usage.Options: there is nothing but options."""
        if rest:
            raise usage.UsageError(f"{rest[0]!r} is not an option")

    def parseOptions(self, options: Any = None) -> None:
        """See usage.Options; twistd's own way with errors is a page of usage."""
        try:
            super().parseOptions(options)
        except usage.UsageError as error:
            raise SystemExit(f"post3: {error}") from None


@frozen
class Chosen:
    """A backend and a configuration that fit each other; `environ` is where both were looked up."""

    backend: Any
    config: Config
    environ: Mapping[str, str]

    @property
    def alone(self) -> Chosen:
        """The same for one process."""
        return self.of(1)

    def of(self, workers: int) -> Chosen:
        """The same for so many processes."""
        return evolve(self, config=evolve(self.config, workers=workers))

    @property
    def store_options(self) -> dict[str, Any]:
        """What the backend is opened with; see IBackend."""
        config = self.config
        return {
            **config.backend_options,
            "data_dir": config.data_dir,
            "durability": config.durability,
            "reserve": config.reserve,
            "environ": self.environ,
        }

    def open(self, reactor: Any, crew: Crew | None = None) -> Any:
        """What the backend opens to, not started.

        Raises:
            ConfigError, StoreRefused: not with these options.
        """
        opened = self.backend.open({**self.store_options, "crew": crew}, reactor)
        config = self.config
        if isinstance(opened, OpenedStore) and opened.shared and not config.access_key and config.identities is None:
            raise ConfigError(
                f"nodes that share a store (backend {config.backend}) must agree on who may use it:"
                " set POST3_ACCESS_KEY and POST3_SECRET_KEY, or give --identities"
            )
        return opened


def choose(options: Mapping[str, Any], environ: Mapping[str, str], crew: Crew | None = None) -> Chosen:
    """What options and variables choose. Nothing is opened.

    Args:
        options: see tap.makeService.
        environ: where variables are looked up.
        crew: for one of several workers, whose parent has said already what is wrong with variables.

    Raises:
        ConfigError, StoreRefused: they make no sense.
    """
    backend = find_backend(backend_name(options, environ))
    extra = backend_options(backend)
    config = read_config(options, environ, extra)
    for name in unknown_variables(environ, extra) if crew is None else ():
        _log.warn("{variable} is set, but no option of this server has that variable", variable=name)
    return Chosen(backend, config, environ)
