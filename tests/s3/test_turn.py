"""Requests of one turn of the reactor go in step, and none of them holds another up."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.steps import STEP
from post3tw.s3.exchange import IExchange
from post3tw.s3.turn import AT_ONCE, Serving, Turn


class Exchange:
    """As much of one as a turn needs."""

    def __init__(self) -> None:
        self.vanish: Callable[[], object] = lambda: None

    def on_gone(self, callback: Callable[[], object]) -> None:
        self.vanish = callback


class TurnTests(SynchronousTestCase):
    """What is served writes in `log` where it is."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.turn = Turn(partial(self.clock.callLater, 0))
        self.log: list[str] = []

    def serve(self, coroutine: Coroutine[Any, Any, None], turn: Turn | None = None) -> Exchange:
        exchange, turn = Exchange(), turn or self.turn
        turn.join(Serving(lambda _: coroutine, cast(IExchange, exchange), turn))
        return exchange

    async def steps(self, name: str, *waits: Deferred[str] | None) -> None:
        """Says each step; waits for a Deferred, or takes the step."""
        self.log.append(f"{name}0")
        for number, wait in enumerate(waits, 1):
            if wait is None:
                await STEP
                self.log.append(f"{name}{number}")
            else:
                self.log.append(f"{name}{number}{await wait}")

    def test_in_step(self) -> None:
        """Each stage is done for all before the next begins, whoever has fewer of them."""
        self.serve(self.steps("a", None, None))
        self.serve(self.steps("b", None))
        self.serve(self.steps("c", None, None))
        self.assertEqual(self.log, [])
        self.clock.advance(0)
        self.assertEqual(self.log, ["a0", "b0", "c0", "a1", "b1", "c1", "a2", "c2"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_one_call_of_the_reactor(self) -> None:
        """However many there are, the reactor is asked once a turn."""
        for name in "abc":
            self.serve(self.steps(name))
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(0)
        self.assertEqual(self.log, ["a0", "b0", "c0"])

    def test_waiting_for_something_else(self) -> None:
        """Who waits for a Deferred leaves the others, and joins those of the turn in which its result comes."""
        late: Deferred[str] = Deferred()
        self.serve(self.steps("a", late, None))
        self.serve(self.steps("b", None))
        self.clock.advance(0)
        self.assertEqual(self.log, ["a0", "b0", "b1"])
        self.serve(self.steps("c", None))
        late.callback("!")
        self.assertEqual(self.log[3:], ["a1!"])
        self.clock.advance(0)
        self.assertEqual(self.log[4:], ["c0", "a2", "c1"])

    def test_no_more_than_fit(self) -> None:
        """Of more than AT_ONCE requests the first are through before the others begin."""
        for number in range(AT_ONCE + 1):
            self.serve(self.steps(f"{number}.", None))
        self.clock.advance(0)
        self.assertEqual(self.log[-2:], [f"{AT_ONCE}.0", f"{AT_ONCE}.1"])

    def test_the_next_of_the_same_clients(self) -> None:
        """A request that comes while others are served belongs to the next turn."""

        async def and_then() -> None:
            self.log.append("a")
            self.serve(self.steps("b"))

        self.serve(and_then())
        self.serve(self.steps("c", None))
        self.clock.advance(0)
        self.assertEqual(self.log, ["a", "c0", "c1", "b0"])

    def test_one_that_breaks(self) -> None:
        """An error that its own coroutine did not take is logged, and stops nobody else."""

        async def broken() -> None:
            await STEP
            raise ZeroDivisionError

        self.serve(broken())
        self.serve(self.steps("b", None))
        self.clock.advance(0)
        self.assertEqual(self.log, ["b0", "b1"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_reply_that_cannot_leave(self) -> None:
        """An error there is logged; the others of the turn leave, and later turns are served as ever."""

        class Departing:
            def __init__(self, denominator: int) -> None:
                self.denominator = denominator

            def leave(_) -> None:
                self.log.append(f"leaves {1 // _.denominator}")

        async def replying(denominator: int) -> None:
            self.turn.departures.join(cast(Any, Departing(denominator)), self.clock)

        for denominator in (0, 1):
            self.serve(replying(denominator))
        self.clock.advance(0)
        self.serve(self.steps("b"))
        self.clock.advance(0)
        self.assertEqual(self.log, ["leaves 1", "b0"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_client_that_goes(self) -> None:
        """Whatever is waited for is cancelled, which the coroutine learns."""
        late: Deferred[str] = Deferred()

        async def serving() -> None:
            try:
                await late
            except CancelledError:
                self.log.append("cancelled")
                await STEP
                self.log.append("and tidied up")

        exchange = self.serve(serving())
        self.clock.advance(0)
        exchange.vanish()
        self.assertEqual(self.log, ["cancelled"])
        self.clock.advance(0)
        self.assertEqual(self.log, ["cancelled", "and tidied up"])

    def test_a_turn_that_is_always_over(self) -> None:
        """Without anybody to put things off, each request goes all its way at once."""
        turn = Turn()
        self.serve(self.steps("a", None), turn)
        self.serve(self.steps("b", None), turn)
        self.assertEqual(self.log, ["a0", "a1", "b0", "b1"])

    def test_replies_leave_at_the_end(self) -> None:
        """Replies wait until all have gone as far as they can, and need no call of the reactor for it."""

        class Departing:
            def leave(_) -> None:
                self.log.append("leaves")

        async def replying() -> None:
            self.turn.departures.join(cast(Any, Departing()), self.clock)
            self.log.append("replies")

        self.serve(replying())
        self.serve(replying())
        self.clock.advance(0)
        self.assertEqual(self.log, ["replies", "replies", "leaves", "leaves"])
        self.assertEqual(self.clock.getDelayedCalls(), [])
