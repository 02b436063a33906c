"""The canonical form of requests."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from post3tw.wire.canonical import canonical_path, canonical_query, canonical_request
from post3tw.wire.sigv4 import (
    UNSIGNED_PAYLOAD,
)


class CanonicalTests(SynchronousTestCase):
    """The canonical form of each piece."""

    def test_paths(self) -> None:
        """Every byte is encoded once; nothing is normalised."""
        for path, canonical in (
            (b"/", b"/"),
            (b"", b"/"),
            (b"/a-b_c.d~e/f", b"/a-b_c.d~e/f"),
            (b"/a b+c*", b"/a%20b%2Bc%2A"),
            (b"/a%20b%2bc%2F%7e", b"/a%20b%2Bc/~"),
            (b"/a/../b//./", b"/a/../b//./"),
            (b"/%25", b"/%25"),
            (b"/\xc3\xa9", b"/%C3%A9"),
            (b"/%c3%a9", b"/%C3%A9"),
        ):
            self.assertEqual(canonical_path(path), canonical, path)

    def test_queries(self) -> None:
        """Parameters are encoded alike and sorted; plus is a space; only presigned requests lose their signature."""
        for query, canonical in (
            (b"", b""),
            (b"b=2&a=1", b"a=1&b=2"),
            (b"a=2&a=1", b"a=1&a=2"),
            (b"uploads&&x", b"uploads=&x="),
            (b"p=a/b+c%20d%2Be", b"p=a%2Fb%20c%20d%2Be"),
            (b"a-b=1&a=1", b"a=1&a-b=1"),
            (b"X-Amz-Signature=1&B=2", b"B=2&X-Amz-Signature=1"),
        ):
            self.assertEqual(canonical_query(query), canonical, query)
        self.assertEqual(canonical_query(b"X-Amz-Signature=1&B=2&X%2DAmz-Signature=3", presigned=True), b"B=2")

    def test_headers(self) -> None:
        """Values are trimmed, runs of spaces become one, repeated headers are joined in order."""
        headers = [
            (b"host", b" h\t"),
            (b"x-amz-meta-a", b"1"),
            (b"other", b"not signed"),
            (b"x-amz-meta-a", b'  "a   b  c" '),
            (b"x-amz-meta-b", b""),
        ]
        request = canonical_request(
            b"PUT", b"/k", b"", headers, (b"host", b"x-amz-meta-a", b"x-amz-meta-b"), UNSIGNED_PAYLOAD
        )
        self.assertEqual(
            request,
            b'PUT\n/k\n\nhost:h\nx-amz-meta-a:1,"a b c"\nx-amz-meta-b:\n\n'
            b"host;x-amz-meta-a;x-amz-meta-b\nUNSIGNED-PAYLOAD",
        )

    def test_only_white_space_is_trimmed(self) -> None:
        """Spaces and tabs around a value are no part of it, whether its header comes once or twice; letters are."""
        for headers, expected in (
            ([(b"a", b" \tXvX\t ")], b"a:XvX\n"),
            ([(b"a", b"\t XvX"), (b"a", b"XwX \t")], b"a:XvX,XwX\n"),
        ):
            made = canonical_request(b"GET", b"/", b"", headers, (b"a",), b"hash")
            self.assertIn(b"\n" + expected, made)
