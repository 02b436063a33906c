"""HTTP's chunks, taken off."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.errors import BadRequest
from post3tw.s3.chunks import ChunkedDecoder


def decoded(*pieces: bytes) -> tuple[bytes, bytes | None]:
    """The body in these pieces, and what is left after it."""
    decoder = ChunkedDecoder()
    body = b"".join([decoder.decode(piece) for piece in pieces])
    return body, decoder.rest


class ChunkedDecoderTests(SynchronousTestCase):
    """The decoder is fed by the network, so pieces end anywhere."""

    def test_takes_chunks_off(self) -> None:
        """The data of all chunks is the body; what follows is left."""
        self.assertEqual(decoded(b"3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\nGET"), (b"abc0123456789", b"GET"))

    def test_is_indifferent_to_cuts(self) -> None:
        """Cut at any place, or into single bytes, the body is the same."""
        whole = b"3;x=y\r\nabc\r\n0010\r\n0123456789abcdef\r\n00\r\nT: v\r\n\r\nREST"
        expected = (b"abc0123456789abcdef", b"REST")
        for cut in range(len(whole) - len(b"REST")):
            self.assertEqual(decoded(whole[:cut], whole[cut:]), expected, cut)
        decoder = ChunkedDecoder()
        body, consumed = b"", 0
        while decoder.rest is None:
            body += decoder.decode(whole[consumed : consumed + 1])
            consumed += 1
        self.assertEqual((body, whole[consumed:]), expected)

    def test_ends_only_with_the_empty_line(self) -> None:
        """The last chunk alone is not the end."""
        self.assertEqual(decoded(b"0\r\n"), (b"", None))
        self.assertEqual(decoded(b"0\r\n", b"\r\n"), (b"", b""))

    def test_refuses(self) -> None:
        """Sizes are hexadecimal digits and nothing else, and data ends where its size says."""
        for data in (
            b"\r\n",
            b"x\r\n",
            b"+3\r\nabc\r\n",
            b"-3\r\nabc\r\n",
            b"0x3\r\nabc\r\n",
            b" 3\r\nabc\r\n",
            b"3 \r\nabc\r\n",
            b"3_0\r\n",
            b"3\nabc\n0\n\n\r\n",
            b"3\r\nabcd\r\n",
            b"3\r\nabc\n0\r\n",
            b"3\r\nabc\r0\r\n\r\n",
            b"3;\x00\r\nabc\r\n",
            b"3;a\nb\r\nabc\r\n",
            b"ffffffffffffffff\r\n",
            b"3" + b"0" * 2000,
            b"3;" + b"x" * 2000 + b"\r\n",
            b"0\r\n" + b"a: b\nc: d\r\n\r\n",
            b"0\r\n" + b"".join(b"t: %0500d\r\n" % n for n in range(20)) + b"\r\n",
        ):
            with self.assertRaises(BadRequest, msg=repr(data[:40])):
                decoded(data)
