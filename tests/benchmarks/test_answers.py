from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from benchmarks.answers import AnswerReader, BadAnswer

PLAIN = b'HTTP/1.1 200 OK\r\nETag: "abc"\r\ncontent-length: 10\r\n\r\n0123456789'
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n0123\r\n6;x=y\r\n456789\r\n0\r\nX-Trailer: 1\r\n\r\n"
)


class AnswerReaderTests(SynchronousTestCase):
    """Where an answer ends."""

    def read(self, answer: bytes, cuts: list[int], *, is_head: bool = False) -> AnswerReader:
        """Take an answer in pieces; only the last may complete it."""
        reader = AnswerReader(is_head)
        places = [0, *sorted(cut for cut in cuts if 0 < cut < len(answer)), len(answer)]
        pieces = [answer[a:b] for a, b in pairwise(places)]
        self.assertEqual([reader.take(piece) for piece in pieces], [False] * (len(pieces) - 1) + [True])
        return reader

    @given(st.sampled_from([PLAIN, CHUNKED]), st.lists(st.integers(1, 130), max_size=12))
    def test_pieces(self, answer: bytes, cuts: list[int]) -> None:
        """An answer ends at its last byte, wherever the network cuts it."""
        reader = self.read(answer, cuts)
        self.assertEqual((reader.status, reader.received), (200, 10))

    @given(st.lists(st.integers(1, 90), max_size=6))
    def test_interim(self, cuts: list[int]) -> None:
        """100 Continue is noted, and is not the answer."""
        self.assertTrue(self.read(b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN, cuts).continues)

    def test_headers(self) -> None:
        """The ETag is kept, and whether the server closes."""
        self.assertEqual(self.read(PLAIN, []).etag, '"abc"')
        self.assertFalse(self.read(PLAIN, []).closes)
        closing = b"HTTP/1.1 503 Slow Down\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno"
        self.assertTrue(self.read(closing, []).closes)

    def test_without_body(self) -> None:
        """The answer to HEAD ends with its head, and so do 204 and an empty one."""
        self.read(PLAIN.partition(b"0123")[0], [20], is_head=True)
        self.read(b"HTTP/1.1 204 No Content\r\n\r\n", [5])
        self.read(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", [])

    def test_reason(self) -> None:
        """Of an error, the body is kept."""
        error = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\nreason"
        self.assertEqual(self.read(error, [44, 46]).kept, b"reason")

    def test_bad(self) -> None:
        """What is no answer, has no end, or goes on after it, is refused."""
        for answer in (
            b"SSH-2.0-OpenSSH\r\n\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n",
            PLAIN + b"more",
            CHUNKED + b"more",
        ):
            with self.assertRaises(BadAnswer):
                AnswerReader().take(answer)
