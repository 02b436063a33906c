"""Tests of post3tw.storage.threads."""

from __future__ import annotations

import threading

from twisted.internet.defer import gatherResults
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from post3tw.model.errors import SlowDown
from post3tw.storage import threads as threads_module
from post3tw.storage.threads import IThreads, NoThreads, Threads


class ThreadsTests(TestCase):
    """Tests of Threads and NoThreads."""

    def pool(self, size: int) -> Threads:
        """A started pool."""
        from twisted.internet import reactor

        threads = Threads(reactor, "test", size)
        threads.start()
        self.addCleanup(threads.stop)
        return threads

    def test_interfaces(self) -> None:
        """Both are IThreads."""
        verifyObject(IThreads, self.pool(1))
        verifyObject(IThreads, NoThreads())

    async def test_elsewhere(self) -> None:
        """Functions run in other threads, and answer with what they return."""
        name = await self.pool(2).run(lambda prefix: prefix + threading.current_thread().name, "in ")
        self.assertIn("in test-0", name)

    async def test_here(self) -> None:
        """Without threads they run at once."""
        self.assertEqual(await NoThreads().run(threading.get_ident), threading.get_ident())

    async def test_errors(self) -> None:
        """What a function raises is what the Deferred fails with."""
        for threads in (self.pool(1), NoThreads()):
            with self.assertRaises(ZeroDivisionError):
                await threads.run(divmod, 1, 0)

    async def test_no_more_threads(self) -> None:
        """Where the system has no thread for a pool, those that it has do the work, and later ones join them; with
        none, who asks is told to come again."""
        threads, refused = self.pool(2), [True]

        class Scarce(threading.Thread):
            def start(self) -> None:
                if refused[0]:
                    raise RuntimeError("can't start new thread")
                super().start()

        self.patch(threads_module, "Thread", Scarce)
        with self.assertRaises(SlowDown):
            await threads.run(threading.get_ident)
        refused[0] = False
        first = await threads.run(threading.get_ident)
        refused[0] = True
        both = await gatherResults([threads.run(threading.get_ident) for _ in range(2)])
        self.assertEqual(both, [first, first])
        refused[0] = False
        meeting = threading.Barrier(2, timeout=10)
        await gatherResults([threads.run(meeting.wait) for _ in range(2)])

    async def test_side_by_side(self) -> None:
        """As many functions as there are threads run at the same time."""
        threads, meeting = self.pool(3), threading.Barrier(3, timeout=10)
        await gatherResults([threads.run(meeting.wait) for _ in range(3)])
