"""Ports that several workers accept from, and who of them takes a connection.

Theory of operation. All workers have the same listening socket, so no connection is lost when one of them dies: it
waits in the kernel until another accepts it. (With a socket for each, SO_REUSEPORT, those that wait for a dead one are
reset, and the kernel deals them out by their addresses: of 32 clients and two workers, one often has 20.) But who comes
first would take all that wait, and a client that keeps its connection stays where it is. So a worker takes one
connection at a time, and one that has more than the others lets them go first: it looks away for a moment, then takes
what nobody took. The connections that each has are in memory that all of them see (storage/crew.py).
"""

from __future__ import annotations

import socket
from typing import Any

from attrs import define
from twisted.internet import tcp, unix
from twisted.python.failure import Failure

from post3tw.storage.crew import Crew

LOOKS_AWAY = 0.005
"""Seconds that a worker leaves a connection to the others."""


@define(eq=False)
class Turnstile:
    """Who takes a connection.

    Attributes:
        crew: the workers.
    """

    crew: Crew

    def enter(self) -> None:
        """Take connections from now on."""
        self.crew.accepting[self.crew.number] = True

    def leave(self) -> None:
        """Take no more."""
        self.crew.accepting[self.crew.number] = False

    def is_ours(self) -> bool:
        """Whether this worker has hardly more connections than the one that has the fewest."""
        crew = self.crew
        own = crew.connections[crew.number]
        all_counts = zip(crew.connections, crew.accepting, strict=True)
        fewest = min((count for count, accepts in all_counts if accepts), default=own)
        return own <= fewest + 1 + fewest // 8


class SharedPort(tcp.Port):
    """A port of a socket that other processes have too."""

    turnstile: Turnstile
    reactor: Any
    _shouldShutdown = False  # that would be the end of the socket for everybody

    def doRead(self) -> None:
        """See IReadDescriptor: somebody connects."""
        if self.turnstile.is_ours():
            self._take_one()
        else:
            self.stopReading()
            self.reactor.callLater(LOOKS_AWAY, self._look_again)

    def _look_again(self) -> None:
        if self.connected and not self.disconnecting:
            self._take_one()
            self.startReading()

    def _take_one(self) -> None:
        self.numberAccepts = 1
        super().doRead()


class SharedUnixPort(SharedPort, unix.Port):
    """The same in the file system, where the parent looks after the name."""

    def startListening(self) -> None:
        """Use the socket as it is: its mode and its queue are set."""
        tcp.Port.startListening(self)

    def connectionLost(self, reason: Failure) -> None:
        """Close the socket, and leave its name."""
        tcp.Port.connectionLost(self, reason)


def adopt_port(reactor: Any, descriptor: int, family: int, factory: Any, turnstile: Turnstile) -> SharedPort:
    """A port of a listening socket, not accepting yet.

    Args:
        reactor: an IReactorFDSet.
        descriptor: of the socket, which does not block; a duplicate is used.
        family: of its address.
        factory: makes the protocols.
        turnstile: says who takes a connection.
    """
    port: SharedPort
    if family == socket.AF_UNIX:
        port = SharedUnixPort._fromListeningDescriptor(reactor, descriptor, factory)
    else:
        port = SharedPort._fromListeningDescriptor(reactor, descriptor, family, factory)
    port.turnstile = turnstile
    port.startListening()
    port.stopReading()
    return port
