"""All workers of a server: started, replaced when they die, asked, told.

Theory of operation. The first worker opens the store alone: it makes or migrates what has to be, and when the store
cannot be opened one process says so. Then the others follow. From then on a worker that ends is replaced, at once when
it had served and was killed; one that does not come up, or ends by itself again and again, is tried later and later,
and in the end the server gives up, because a supervisor, who starts the whole of it anew, may know better.

A worker may also stop without ending (somebody stopped it, it waits for what never comes), and keep what it has: its
clients, and the turn to write, for which all the others wait. So each gives a sign of life every few seconds; one that
owes several is killed, which gives back all it has, and replaced. Signs are counted by what was asked, not by the
clock: when the parent itself could not run, nobody owes anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

from attrs import define, field
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger, LogLevel

from post3tw.metrics.summing import Family, only_up, summed
from post3tw.server.orders import Message, Order
from post3tw.server.worker_process import WorkerProcess
from post3tw.storage.crew import Crew

SHORT_LIFE = 5.0
"""Seconds that a worker serves at least, if it is not to count as one that does not come up."""

TRIES = 8
"""So many short lives in a row are too many."""

LONGEST_PAUSE = 10.0
"""Seconds."""

ANSWER_TIME = 2.0
"""Seconds that a worker has for an answer; one that has none yet is busy."""

PULSE = 5.0
"""Seconds between signs of life."""

MISSED = 6
"""So many that a worker owes are too many: also on a machine that has too much to do one of them passes in half a
minute."""

SPARE_TIME = 5.0
"""Seconds beyond the time to drain, after which a worker that does not end is killed."""


class NoWorkers(Exception):
    """Workers do not come up. The text is one clear line."""


@define(eq=False)
class _Seat:
    """What is known of a worker, whichever process is in its place."""

    number: int
    process: WorkerProcess | None = None
    since: float = 0.0
    short_lives: int = 0
    refusal: str = ""
    obstacle: str | None = "starting"
    owed: int = 0
    families: list[Family] = field(factory=list)


@define(eq=False)
class Workers:
    """The workers of a server.

    Attributes:
        reactor: an IReactorProcess and IReactorTime.
        crew: as the parent has it.
        order: makes the order of a worker, of its number and whether it is the first.
        descriptors: of the parent, by the numbers that workers have for them.
        given_up: is called with a reason when workers do not come up any more.
        has_buckets: what the first worker found.
        replaced: how many workers were replaced.
    """

    log: ClassVar[Logger] = Logger()

    reactor: Any
    crew: Crew
    order: Callable[[int, bool], Order]
    descriptors: Mapping[int, int]
    given_up: Callable[[str], None]
    has_buckets: bool = field(default=False, init=False)
    replaced: int = field(default=0, init=False)
    _seats: list[_Seat] = field(init=False)
    _gone: list[Family] = field(factory=list, init=False)
    _starting: Deferred[None] | None = field(default=None, init=False)
    _stopping: bool = field(default=False, init=False)
    _pulse: IDelayedCall | None = field(default=None, init=False)
    _asked: int = field(default=0, init=False)
    _answers: dict[tuple[int, int], Deferred[None]] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._seats = [_Seat(number) for number in range(self.crew.count)]

    @property
    def serving(self) -> int:
        """How many workers serve."""
        return sum(seat.process is not None and seat.process.ready for seat in self._seats)

    @property
    def obstacle(self) -> str | None:
        """What keeps all of them from serving, as they said when they were asked last."""
        obstacles = [seat.obstacle for seat in self._seats]
        return None if None in obstacles else obstacles[0]

    def parts(self) -> list[list[Family]]:
        """What each of them measured when it was asked last, and those before them."""
        return [self._gone, *(seat.families for seat in self._seats)]

    # -- for the parent

    async def start(self) -> None:
        """Start the first, then the others.

        Raises:
            NoWorkers: one of them did not come up.
        """
        for seats in (self._seats[:1], self._seats[1:]):
            self._starting = Deferred()
            for seat in seats:
                self._spawn(seat, first=seat.number == 0)
            if seats:
                await self._starting
        self._starting = None
        self._pulse = self.reactor.callLater(PULSE, self._feel_pulse)

    def tell_all(self, word: str) -> None:
        """Have all of them do something."""
        for seat in self._seats:
            if seat.process is not None:
                seat.process.tell(do=word)

    async def ask(self) -> None:
        """Ask all of them how they are, and wait for the answers, but not for long."""
        self._asked += 1
        waiting = []
        for seat in self._seats:
            if seat.process is not None and seat.process.ready:
                answer: Deferred[None] = Deferred(partial(self._forget, (seat.number, self._asked)))
                self._answers[seat.number, self._asked] = answer
                seat.process.tell(ask=self._asked)
                waiting.append(answer.addTimeout(ANSWER_TIME, self.reactor))
        await DeferredList(waiting, consumeErrors=True)

    async def stop(self, drain: float) -> None:
        """Have all of them finish what they do, and wait for their end."""
        self._stopping = True
        if self._pulse is not None:
            self._pulse.cancel()
        ending = {seat.number: seat.process.ended for seat in self._seats if seat.process is not None}
        self.tell_all("stop")
        late = self.reactor.callLater(drain + SPARE_TIME, self._kill_all)
        for number, (_, how) in zip(ending, await DeferredList(ending.values()), strict=True):
            if how != "status 0":
                self.log.error("Worker {number} did not stop in order, it ended with {how}.", number=number, how=how)
        if late.active():
            late.cancel()

    # -- steps

    def _forget(self, which: tuple[int, int], answer: Deferred[None]) -> None:
        self._answers.pop(which, None)

    def _feel_pulse(self) -> None:
        """Ask all who serve for a sign of life, and kill who has not given one for long."""
        for seat in self._seats:
            if seat.process is None or not seat.process.ready:
                continue
            if seat.owed < MISSED:
                seat.owed += 1
                seat.process.tell(do="live")
            else:
                silence = PULSE * MISSED
                self.log.error(
                    "Worker {number} has given no sign of life for {silence:g} s, and is killed.",
                    number=seat.number,
                    silence=silence,
                )
                seat.process.kill()
        self._pulse = self.reactor.callLater(PULSE, self._feel_pulse)

    def _kill_all(self) -> None:
        for seat in self._seats:
            if seat.process is not None:
                self.log.error("Worker {number} does not end, and is killed.", number=seat.number)
                seat.process.kill()

    def _spawn(self, seat: _Seat, first: bool = False) -> None:
        if self._stopping:
            return
        process = WorkerProcess(self.order(seat.number, first), self._heard)
        seat.process, seat.since, seat.refusal, seat.owed = process, self.reactor.seconds(), "", 0
        process.ended.addCallback(partial(self._ended, seat))
        try:
            process.spawn(self.reactor, self.descriptors)
        except OSError as error:  # no memory, processes or descriptors now; later there may be
            seat.refusal = f"worker {seat.number} cannot be started: {error}"
            process.ended.callback("nothing")

    def _heard(self, process: WorkerProcess, message: Message) -> None:
        seat = self._seats[process.number]
        seat.owed = 0
        if "log" in message:
            self._log(process.number, **message["log"])
        elif "answer" in message:
            seat.obstacle, seat.families = message["obstacle"], message["families"]
            answer = self._answers.pop((process.number, message["answer"]), None)
            if answer is not None:
                answer.callback(None)
        elif "refused" in message:
            seat.refusal = message["refused"]
        elif "ready" in message:
            process.ready = True
            seat.since, seat.obstacle = self.reactor.seconds(), None
            self.has_buckets = message["ready"]
            self._look_started(process.number == 0)

    def _look_started(self, first: bool) -> None:
        starting = self._starting
        if starting is not None and not starting.called and (first or self.serving == len(self._seats)):
            starting.callback(None)

    def _log(self, number: int, level: str, namespace: str, text: str) -> None:
        Logger(namespace=namespace, source=None).emit(
            LogLevel.lookupByName(level), "[{worker}] {text}", worker=number, text=text
        )

    def _ended(self, seat: _Seat, how: str) -> str:
        process, seat.process = seat.process, None
        assert process is not None
        self._bury(seat)
        if self._stopping:
            return how
        reason = seat.refusal or f"worker {seat.number} ended with {how}"
        if self._starting is not None:
            if not self._starting.called:
                self._starting.errback(NoWorkers(reason))
            return how
        lived = self.reactor.seconds() - seat.since
        if process.ready and (process.killed or lived >= SHORT_LIFE):
            seat.short_lives = 0
        else:
            seat.short_lives += 1
        if seat.short_lives >= TRIES:
            self.given_up(f"{reason}, {TRIES} times in a row")
            return how
        pause = min(0.1 * (2**seat.short_lives - 1), LONGEST_PAUSE)
        self.log.error("{reason}; another takes its place in {pause} s", reason=reason, pause=pause)
        self.replaced += 1
        self.reactor.callLater(pause, self._spawn, seat)
        return how

    def _bury(self, seat: _Seat) -> None:
        """Forget what a worker was, but for what it had counted."""
        self.crew.clear(seat.number)
        self._gone = summed([self._gone, only_up(seat.families)])
        seat.families, seat.obstacle = [], "starting"
        for which in [which for which in self._answers if which[0] == seat.number]:
            self._answers.pop(which).cancel()
