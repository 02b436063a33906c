"""A writing transaction that waits to share a commit with others, whatever the database."""

from __future__ import annotations

from typing import Any

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred


@define(eq=False)
class Job:
    """Who waits for a transaction, and what came of it.

    Attributes:
        outcome: what it returned.
        error: what it raised, or what went wrong with its commit.
        cancelled: its caller went before it began: it is not run.
        begun: it belongs to a group, and is not cancelled any more.
        answered: its caller was told.
    """

    outcome: Any = field(default=None, init=False)
    error: Exception | None = field(default=None, init=False)
    cancelled: bool = field(default=False, init=False)
    begun: bool = field(default=False, init=False)
    answered: bool = field(default=False, init=False)
    _answer: Deferred[Any] = field(factory=Deferred, init=False)

    async def result(self) -> Any:
        """What the transaction returned, when that is committed.

        Cancelling it keeps the transaction from being run. Once it has begun the caller learns what came of it all the
        same, because it must not undo what the commit is about to rely on.
        """
        while True:
            try:
                return await self._answer
            except CancelledError:
                if self.answered or not self.begun:
                    self.cancelled = True
                    raise
                self._answer = Deferred()

    def respond(self) -> None:
        """Answer the one who waits."""
        self.answered = True
        if self.error is None:
            self._answer.callback(self.outcome)
        else:
            self._answer.errback(self.error)
