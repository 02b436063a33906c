"""Tests of post3tw.server.descriptors."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from post3tw.server.descriptors import most_connections


class MostConnectionsTests(SynchronousTestCase):
    """Tests of most_connections."""

    def test_plenty(self) -> None:
        """With descriptors enough there are as many connections as are wanted."""
        self.assertEqual(most_connections(16384, 2048, 1 << 20), 16384)

    def test_few(self) -> None:
        """Else every connection that may have a request leaves a descriptor for its blob."""
        for descriptors in (256, 1024, 4096, 16384):
            connections = most_connections(16384, 2048, descriptors)
            self.assertLess(connections + min(connections, 2048), descriptors)
            self.assertGreater(connections, descriptors // 5)

    def test_absurd(self) -> None:
        """There is always one."""
        self.assertEqual(most_connections(16384, 2048, 10), 1)
