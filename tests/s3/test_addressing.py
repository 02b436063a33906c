"""Which bucket and key a request is about."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.errors import InvalidURI
from post3tw.s3.addressing import Address, Addressing
from post3tw.s3.exchange import RequestHead


def located(target: bytes, host: str = "localhost:9000", domains: tuple[str, ...] = ()) -> Address:
    """The address in a target, served below these domains."""
    return Addressing(domains).locate(RequestHead("GET", target, "HTTP/1.1", [], {"host": host}))


class AddressingTests(SynchronousTestCase):
    """Path style, virtual-hosted style, and keys that look like paths."""

    def test_path_style(self) -> None:
        """The first segment is the bucket, the rest is the key."""
        for target, bucket, key in (
            (b"/", None, None),
            (b"/?x=1", None, None),
            (b"/b", "b", None),
            (b"/b/", "b", None),
            (b"/b/k", "b", "k"),
            (b"/b/k/", "b", "k/"),
            (b"/b//", "b", "/"),
            (b"/b/k/l?x=/y/z", "b", "k/l"),
            (b"/tenant:b/k", "tenant:b", "k"),
            (b"/:b/k", ":b", "k"),
            (b"/tenant%3Ab/k", "tenant:b", "k"),
            (b"http://localhost:9000/b/k", "b", "k"),
            (b"HTTPS://localhost", None, None),
        ):
            address = located(target)
            self.assertEqual((address.bucket, address.key), (bucket, key), target)
            self.assertEqual(address.level, (bucket is not None) + (key is not None))

    def test_PAR_1_keys_are_opaque(self) -> None:
        """Nothing in a key is a path: it is decoded once and kept."""
        for raw, key in (
            (b"..", ".."),
            (b".", "."),
            (b"../evil/key", "../evil/key"),
            (b"%2e%2e/x", "../x"),
            (b"a/../b", "a/../b"),
            (b"a%2Fb", "a/b"),
            (b"/a//b", "/a//b"),
            (b"%2F", "/"),
            (b"%252e%252e", "%2e%2e"),
            (b"%5c..%5C", "\\..\\"),
            (b"a+b", "a+b"),
            (b"a%20b", "a b"),
            ("é".encode(), "é"),
            (b"%C3%A9", "é"),
            (b"%F0%9F%98%80", "😀"),
            (b"x" * 256, "x" * 256),
        ):
            self.assertEqual(located(b"/b/" + raw).key, key)

    def test_refuses_what_it_cannot_read(self) -> None:
        """Bad escapes, bytes that are not UTF-8, a bucket without a name."""
        for target in (
            b"/b/%",
            b"/b/%4",
            b"/b/%zz",
            b"/b/%ff",
            b"/b/\xff",
            b"/%ff/k",
            b"/b/k?x=%zz",
            b"//",
            b"//k",
            b"*",
        ):
            with self.assertRaises(InvalidURI, msg=target):
                located(target)

    def test_virtual_hosted_style(self) -> None:
        """Below a domain the host names the bucket, whatever its case and port, and the whole path is the key."""
        domains = ("S3.Example.com", "localhost:9000")
        for host, target, bucket, key in (
            ("b.s3.example.com", b"/k/l", "b", "k/l"),
            ("B.S3.EXAMPLE.COM:9000", b"/k", "b", "k"),
            ("b.c.s3.example.com", b"/k", "b.c", "k"),
            ("b.localhost", b"/", "b", None),
            ("b.localhost:1234", b"/?acl", "b", None),
            ("b.localhost", b"//x", "b", "/x"),
            ("s3.example.com", b"/b/k", "b", "k"),
            ("localhost:9000", b"/b/k", "b", "k"),
            ("other.com", b"/b/k", "b", "k"),
            ("xs3.example.com", b"/b/k", "b", "k"),
            (".s3.example.com", b"/b/k", "b", "k"),
            ("[::1]:9000", b"/b/k", "b", "k"),
            ("", b"/b/k", "b", "k"),
        ):
            address = located(target, host, domains)
            self.assertEqual((address.bucket, address.key), (bucket, key), (host, target))

    def test_the_longest_domain_counts(self) -> None:
        """Of two domains, one below the other, the longer one is meant."""
        domains = ("example.com", "s3.example.com")
        self.assertEqual(located(b"/k", "b.s3.example.com", domains).bucket, "b")
        self.assertEqual(located(b"/k", "b.example.com", domains).bucket, "b")

    def test_query(self) -> None:
        """Parameters are decoded and all kept; by name the first counts. Path and query are raw too."""
        address = located(b"/b/%6B?a=1&b&a=2&c=x%2By+z")
        self.assertEqual(address.parameters, [("a", "1"), ("b", ""), ("a", "2"), ("c", "x+y z")])
        self.assertEqual(address.arguments, {"a": "1", "b": "", "c": "x+y z"})
        self.assertEqual((address.path, address.query), (b"/b/%6B", b"a=1&b&a=2&c=x%2By+z"))
