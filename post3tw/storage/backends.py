"""Finding backends: plugins that provide IBackend, in `twisted.plugins` of any installed package.

A plugin file holds one line for each backend, `fs = LazyBackend("fs", "…", "post3tw.storage.fs.FileBackend")`, so
that listing what is installed imports none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

import twisted.plugins
from attrs import field, frozen
from twisted.plugin import IPlugin, getCache, getPlugins
from twisted.python.modules import getModule
from twisted.python.reflect import namedAny
from zope.interface import implementer

from post3tw.storage.interfaces import IBackend, StoreRefused


@implementer(IPlugin, IBackend)
@frozen
class LazyBackend:
    """A backend whose module is imported when it is used.

    Attributes:
        name: what stands after `--backend`.
        description: one line for a person who chooses.
        factory: the full name of a class (or function) that makes the IBackend, called without arguments.
    """

    name: str
    description: str
    factory: str = field(repr=False)

    def options(self) -> Sequence[tuple[str, str | None, str]]:
        """See IBackend."""
        return self._load().options()

    def open(self, options: Mapping[str, Any], reactor: Any) -> Any:
        """See IBackend."""
        return self._load().open(options, reactor)

    @property
    def possess(self) -> Callable[[Mapping[str, Any]], int] | None:
        """See IBackend; None when it has none."""
        return getattr(self._load(), "possess", None)

    def _load(self) -> IBackend:
        try:
            backend: IBackend = namedAny(self.factory)()
        except Exception as error:
            raise StoreRefused(f"backend {self.name} cannot be loaded: {type(error).__name__}: {error}") from error
        return backend


def installed_backends() -> dict[str, IBackend]:
    """Every backend that was found, by name, in the order of names."""
    return dict(sorted((backend.name, backend) for backend in getPlugins(IBackend)))


def find_backend(name: str) -> IBackend:
    """The backend of a name.

    Raises:
        StoreRefused: there is none; the text lists those that are installed, and plugin files that could not be loaded.
    """
    backends = installed_backends()
    if name in backends:
        return backends[name]
    message = f"no backend is called {name!r}; installed: {', '.join(backends) or 'none'}"
    broken = broken_plugins()
    if broken:
        message += f"; could not be loaded: {'; '.join(broken)}"
    raise StoreRefused(message)


def broken_plugins() -> list[str]:
    """Plugin files that raise when imported, each with its error. Twisted itself leaves them out."""
    loaded = getCache(twisted.plugins)
    found = []
    for module in getModule(twisted.plugins.__name__).iterModules():
        if module.name.rpartition(".")[2] not in loaded:
            try:
                import_module(module.name)
            except Exception as error:
                found.append(f"{module.name} ({type(error).__name__}: {error})")
    return found
