"""The reactor of a worker process.

Twisted's calls each reader in a log context of its own, for the word that stands before the lines of its old log. Ours
has no such word, and the context costs as much as reading a request from its socket.
"""

from __future__ import annotations

import errno
import sys
from typing import Any

from twisted.internet.main import installReactor


def install_reactor() -> None:
    """Install the reactor that suits the platform, before anybody imports one."""
    if sys.platform == "linux":
        installReactor(lean_reactor())
    else:
        from twisted.internet.default import install

        install()


def lean_reactor() -> Any:
    """An EPollReactor, not installed, that calls readers and writers without a log context."""
    from twisted.internet.epollreactor import EPollReactor

    class LeanReactor(EPollReactor):
        """Calls readers and writers, and nothing else; what they raise is logged below (`_doReadOrWrite`)."""

        def doPoll(self, timeout: float | None) -> None:
            """See EPollReactor."""
            try:
                events = self._poller.poll(-1 if timeout is None else timeout, len(self._selectables))
            except OSError as error:
                if error.errno == errno.EINTR:
                    return
                raise
            selectables, serve = self._selectables, self._doReadOrWrite
            for descriptor, event in events:
                selectable = selectables.get(descriptor)
                if selectable is not None:  # else one of those before has closed it
                    serve(selectable, descriptor, event)

        doIteration = doPoll

    return LeanReactor()
