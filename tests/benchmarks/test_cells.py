from __future__ import annotations

from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.cells import TRAIL, Setting, catalogue, check_page, same, settings_of
from benchmarks.exchange import Endpoint, Request
from benchmarks.scene import PREFIXES, Scene, Stock, listed_key
from benchmarks.signing import Account
from benchmarks.stocking import ListedPuts
from post3tw.wire.signer import Signer

STOCK = Stock("bench", keys=6000, small=4000, large=0)


def scene() -> Scene:
    """One that is never played."""
    return Scene(Account(Endpoint("localhost", 9000), Signer("k", "s")), STOCK, "signed", "mark")


def line(request: Request) -> tuple[str, str]:
    """Method and target."""
    method, target, _ = request.head.split(b"\r\n")[0].decode().split(" ")
    return method, target


def made(name: str) -> list[tuple[str, str]]:
    """The requests of a cell."""
    requests = catalogue(STOCK)[name].requests
    assert requests is not None
    return [line(request) for request in requests(scene())]


class CellTests(SynchronousTestCase):
    """What cells send."""

    def test_mix(self) -> None:
        """The mix has its shares, reads nothing that is deleted, and deletes what was put some while before."""
        requests = made("mix-4k")
        shares = Counter(method for method, _ in requests)
        for method, part in {"GET": 0.45, "HEAD": 0.3, "PUT": 0.15, "DELETE": 0.1}.items():
            self.assertLess(abs(shares[method] / len(requests) - part), 0.02)
        put = {target: number for number, (method, target) in enumerate(requests) if method == "PUT"}
        for number, (method, target) in enumerate(requests):
            if method == "DELETE":
                self.assertGreater(number - put[target], TRAIL)
            elif method != "PUT":
                self.assertNotIn(target, put)

    def test_deletes(self) -> None:
        """PUT and DELETE are as many of each, and every key is deleted in a round."""
        requests = made("put-delete-4k")
        put, deleted = ({target for method, target in requests if method == one} for one in ("PUT", "DELETE"))
        self.assertEqual(put, deleted)
        self.assertEqual(len(requests), 2 * len(put))

    def test_listed_keys(self) -> None:
        """A bucket that is listed has all its prefixes, evenly, whatever its size, and its keys in order."""
        for count in (4000, 10_000):
            keys = [listed_key(number, count) for number in range(count)]
            self.assertEqual(keys, sorted(set(keys)))
            sizes = Counter(key.partition("/")[0] for key in keys)
            self.assertEqual((len(sizes), set(sizes.values())), (PREFIXES, {count // PREFIXES}))

    def test_shares_of_processes(self) -> None:
        """The puts of a bucket are divided among processes without one being made, lost or doubled."""
        puts = ListedPuts(scene(), "small", range(10))
        parts = [puts[number::3] for number in range(3)]
        assert all(isinstance(part, ListedPuts) for part in parts)
        targets = [line(request)[1] for part in parts for request in part]  # type: ignore[union-attr]
        self.assertEqual(sorted(targets), [line(request)[1] for request in puts])

    def test_large_bucket(self) -> None:
        """Cells of a bucket that is not wanted are not there."""
        self.assertNotIn("list-flat-large", catalogue(STOCK))
        self.assertIn("list-flat-large", catalogue(Stock("bench")))


class ProofTests(SynchronousTestCase):
    """What is no result."""

    def test_pages(self) -> None:
        """A page must have its thousand entries and begin where it was asked to; some servers ignore start-after."""
        keys = [f"<Key>p{number // 5:06d}/k{number:08d}</Key>" for number in range(60, 1060)]
        page = f"<StartAfter>p000012</StartAfter>{''.join(keys)}".encode()
        check_page(page, b"<Key>", 12)
        for bad, start in ((page, 13), (page.replace(b"<Key>", b"<key>", 1), 12), (b"", 12)):
            with self.assertRaises(ValueError):
                check_page(bad, b"<Key>", start)

    def test_bodies(self) -> None:
        """A body that is not what was put is no result."""
        same(b"body", b"body")
        self.assertRaises(ValueError, same, b"4;chunk-signature=0\r\nbody", b"body")


class SettingTests(SynchronousTestCase):
    """How often a cell runs."""

    def settings(self, name: str) -> list[Setting]:
        """Of a cell, with everything asked for."""
        return settings_of(catalogue(STOCK)[name], ["http", "https"], ["signed", "boto3"], [1, 32])

    def test_styles(self) -> None:
        """Styles make a difference only where bodies are sent."""
        self.assertEqual(len(self.settings("put-4k")), 8)
        self.assertEqual({setting.style for setting in self.settings("get-4k")}, {"signed"})

    def test_clients(self) -> None:
        """Cells of large bodies have few clients, once each; one has a thousand."""
        self.assertEqual([one.clients for one in self.settings("get-64m")], [1, 4, 1, 4])
        self.assertEqual([one.clients for one in self.settings("get-4k-1000")], [1000, 1000])
        cell = catalogue(STOCK)["get-64m"]
        self.assertEqual(len(settings_of(cell, ["http"], ["signed"], [32, 64])), 1)
