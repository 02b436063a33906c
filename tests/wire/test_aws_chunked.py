"""The aws-chunked body: AWS's published examples, every way to cut it, and what is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.errors import (
    DomainError,
    IncompleteBody,
    InvalidRequest,
    MalformedTrailer,
    SignatureDoesNotMatch,
)
from post3tw.wire.aws_chunked import ChunkedDecoder, SignatureChain, encode
from post3tw.wire.sigv4 import Credential, signing_key

CREDENTIAL = Credential("AKIAIOSFODNN7EXAMPLE", "20130524", "us-east-1", "s3")
KEY = signing_key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", CREDENTIAL)
SEED = b"4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
TRAILER_SEED = b"106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
CRC = "x-amz-checksum-crc32c"


def chain(seed: bytes = SEED) -> SignatureChain:
    """The chain of the published examples."""
    return SignatureChain(KEY, "20130524T000000Z", CREDENTIAL.scope, seed)


def decode(decoder: ChunkedDecoder, stream: Iterable[bytes]) -> tuple[bytes, dict[str, str]]:
    """Data and trailers of a whole stream."""
    data = b"".join([bytes(piece) for fed in stream for piece in decoder.feed(fed)])
    return data, decoder.finish()


class PublishedExampleTests(SynchronousTestCase):
    """The examples of the Amazon S3 API Reference: 65 KiB in chunks of 64 KiB."""

    data = b"a" * 66560

    def test_signed_chunks(self) -> None:
        """Chunks without trailer."""
        signatures = (
            b"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
            b"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
            b"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
        )
        body = b"10000;chunk-signature=%b\r\n%b\r\n400;chunk-signature=%b\r\n%b\r\n0;chunk-signature=%b\r\n\r\n" % (
            signatures[0],
            b"a" * 65536,
            signatures[1],
            b"a" * 1024,
            signatures[2],
        )
        self.assertEqual(len(body), 66824)
        self.assertEqual(decode(ChunkedDecoder(66560, chain=chain()), [body]), (self.data, {}))
        self.assertEqual(b"".join(encode([b"a" * 65536, b"a" * 1024], chain=chain())), body)

    def test_signed_chunks_with_trailer(self) -> None:
        """Chunks and a signed trailer, both with AWS's line feed before CRLF and without."""
        for extra in (b"", b"\n"):
            body = (
                b"10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n"
                + b"a" * 65536
                + b"\r\n400;chunk-signature=1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n"
                + b"a" * 1024
                + b"\r\n0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n"
                + b"x-amz-checksum-crc32c:sOO8/Q=="
                + extra
                + b"\r\nx-amz-trailer-signature:"
                + b"d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n"
            )
            decoder = ChunkedDecoder(66560, chain=chain(TRAILER_SEED), trailers=[CRC])
            self.assertEqual(decode(decoder, [body]), (self.data, {CRC: "sOO8/Q=="}))


class CuttingTests(SynchronousTestCase):
    """However the stream is cut, the result is the same."""

    def test_every_byte_boundary(self) -> None:
        """Two halves at any place, and single bytes, give the same as the whole, signed or not, with trailer or not."""
        chunks, trailers = [b"hello", b"world, \r\n0\r\n\r\n"], {CRC: "sOO8/Q=="}
        for signed in (False, True):
            for sent in (None, trailers):
                body = b"".join(encode(chunks, chain=chain() if signed else None, trailers=sent))
                cuts: list[list[bytes]] = [[body[:at], body[at:]] for at in range(len(body))]
                cuts.append([body[at : at + 1] for at in range(len(body))])
                for cut in cuts:
                    decoder = ChunkedDecoder(19, chain=chain() if signed else None, trailers=sent)
                    self.assertEqual(decode(decoder, cut), (b"".join(chunks), sent or {}))

    @given(
        st.lists(st.binary(min_size=1, max_size=50), max_size=5),
        st.booleans(),
        st.none() | st.dictionaries(st.sampled_from(["a", "b", CRC]), st.sampled_from(["", "x", "x y", "sOO8/Q=="])),
        st.lists(st.integers(1, 40)),
    )
    def test_round_trip(
        self, chunks: list[bytes], signed: bool, trailers: dict[str, str] | None, sizes: list[int]
    ) -> None:
        """What encode makes of any chunks and trailers, a decoder reads in any cut."""
        body = b"".join(encode(chunks, chain=chain() if signed else None, trailers=trailers))
        stream = []
        for size in sizes:
            stream.append(body[:size])
            body = body[size:]
        whole = b"".join(chunks)
        decoder = ChunkedDecoder(len(whole), chain=chain() if signed else None, trailers=trailers)
        self.assertEqual(decode(decoder, [*stream, body]), (whole, trailers or {}))

    @given(st.data(), st.booleans())
    def test_a_changed_byte_never_passes(self, data: st.DataObject, signed: bool) -> None:
        """A signed body with any byte changed is refused, and so is an unsigned one if its framing changed."""
        chunks, trailers = [b"hello", b"world"], {CRC: "sOO8/Q=="}
        body = bytearray(b"".join(encode(chunks, chain=chain() if signed else None, trailers=trailers)))
        at = data.draw(st.integers(0, len(body) - 1))
        body[at] ^= data.draw(st.integers(1, 255))
        decoder = ChunkedDecoder(10, chain=chain() if signed else None, trailers=trailers)
        try:
            decoded = decode(decoder, [bytes(body)])
        except DomainError:
            self.assertRaises(IncompleteBody, decoder.finish)
            return
        # The hex digits of sizes, and white space around a value, may be spelt in two ways.
        if decoded != (b"helloworld", trailers):
            self.assertFalse(signed)
            self.assertEqual(len(decoded[0]), 10)

    @given(st.binary(), st.booleans())
    def test_any_bytes(self, body: bytes, signed: bool) -> None:
        """Arbitrary bytes are data or a domain error."""
        try:
            ChunkedDecoder(5, chain=chain() if signed else None, trailers=[]).feed(body)
        except DomainError:
            return

    def test_few_copies(self) -> None:
        """Data is passed on as views of what was fed, or as the very same bytes."""
        decoder = ChunkedDecoder(100)
        whole, fed = b"b" * 60, b"64\r\n" + b"a" * 40
        first, second = decoder.feed(fed), decoder.feed(whole)
        self.assertIsInstance(first[0], memoryview)
        self.assertIs(first[0].obj, fed)  # type: ignore[union-attr]
        self.assertIs(second[0], whole)


class RefusalTests(SynchronousTestCase):
    """Bodies that are not what they claim to be."""

    def refuse(
        self,
        error: type[DomainError],
        body: bytes,
        *,
        length: int = 5,
        signed: bool = False,
        trailers: Sequence[str] | None = None,
    ) -> None:
        """Refused alike whole and byte by byte, and for good."""
        for stream in ([body], [body[at : at + 1] for at in range(len(body))]):
            decoder = ChunkedDecoder(length, chain=chain() if signed else None, trailers=trailers)
            self.assertRaises(error, decode, decoder, stream)
            self.assertRaises(IncompleteBody, decoder.finish)

    def test_malformed_framing(self) -> None:
        """Sizes with signs, prefixes, underscores, spaces or too many digits, and loose line ends are refused."""
        for size in (
            b"",
            b"+5",
            b"-5",
            b"0x5",
            b"0_5",
            b" 5",
            b"5 ",
            b"5;",
            b"5;a=b",
            b"g",
            b"0" * 16 + b"5",
            b"\xd9\xa5",
        ):
            self.refuse(InvalidRequest, size + b"\r\nhello\r\n0\r\n\r\n")
        for body in (
            b"5\r\nhello\n0\r\n\r\n\r\n",
            b"5\r\nhelloo\r\n0\r\n\r\n",
            b"5\r\r\nhello\r\n0\r\n\r\n",
            b"5;chunk-signature=" + b"0" * 64 + b"\r\nhello\r\n0\r\n\r\n",
            b"5" * 2000,
            b"5\r\nhello" + b"x" * 2000,
        ):
            self.refuse(InvalidRequest, body)
        self.refuse(IncompleteBody, b"5\nhello\n0\n\n")

    def test_size_spellings(self) -> None:
        """Leading zeros and hex digits of either case are fine."""
        body = b"000a\r\n0123456789\r\nA\r\n0123456789\r\n00\r\n\r\n"
        self.assertEqual(decode(ChunkedDecoder(20), [body]), (b"0123456789" * 2, {}))

    def test_nothing_may_follow(self) -> None:
        """Bytes after the end are refused, also when they come later, and then nothing is finished."""
        self.refuse(InvalidRequest, b"5\r\nhello\r\n0\r\n\r\nx")
        decoder = ChunkedDecoder(5)
        decoder.feed(b"5\r\nhello\r\n0\r\n\r\n")
        self.assertEqual(decoder.finish(), {})
        self.assertRaises(InvalidRequest, decoder.feed, b"\r\n")
        self.assertRaises(IncompleteBody, decoder.finish)

    def test_lines(self) -> None:
        """A line has at most 1024 bytes, its end not counted, however it comes."""
        head = b"1\r\nx\r\n0\r\n"
        for size, fits in ((1024, True), (1025, False)):
            line = b"a:" + b"v" * (size - 2)
            body = head + line + b"\r\n\r\n"
            end = len(head + line)
            for at in (0, len(head), len(head) + 1, end - 1, end, end + 1):
                decoder = ChunkedDecoder(1, trailers=["a"])
                if fits:
                    found = decode(decoder, [body[:at], body[at:]])
                    self.assertEqual(found, (b"x", {"a": "v" * 1022}), at)
                else:
                    self.assertRaises(InvalidRequest, decode, decoder, [body[:at], body[at:]])

    def test_too_long(self) -> None:
        """More data than declared is refused at the header that announces it."""
        decoder = ChunkedDecoder(5)
        decoder.feed(b"5\r\nhello\r\n")
        self.assertRaises(IncompleteBody, decoder.feed, b"1\r\n")
        self.assertRaises(InvalidRequest, decoder.feed, b"x\r\n0\r\n\r\n")
        self.refuse(IncompleteBody, b"ffffffffffffffff\r\n")
        self.refuse(IncompleteBody, b"6\r\n")

    def test_too_short(self) -> None:
        """Less data than declared is refused at the final chunk."""
        self.refuse(IncompleteBody, b"4\r\nhell\r\n0\r\n")
        self.refuse(IncompleteBody, b"0\r\n\r\n")

    def test_sig_3_cut_off(self) -> None:
        """SIG-3: a stream that ends anywhere before its end, final chunk included, is incomplete."""
        for signed in (False, True):
            body = b"".join(encode([b"hello"], chain=chain() if signed else None, trailers={CRC: "x"}))
            for end in range(len(body)):
                decoder = ChunkedDecoder(5, chain=chain() if signed else None, trailers=[CRC])
                self.assertRaises(IncompleteBody, decode, decoder, [body[:end]])

    def test_sig_4_unsigned_chunks_where_signed_are_due(self) -> None:
        """SIG-4: chunks without signatures, or with something else in their place, are refused."""
        body = b"".join(encode([b"hello"], chain=chain()))
        for signature in (b"", b";chunk-signature=", b";chunk-signature=abc", b";chunk-signature=" + b"G" * 64):
            self.refuse(InvalidRequest, b"5" + signature + body[82:], signed=True)

    def test_wrong_signatures(self) -> None:
        """A wrong seed, changed data, and chunks swapped, repeated or dropped break the chain."""
        first, second, third, last, end = encode([b"hello", b"world", b"again"], chain=chain())
        for pieces in (
            (first.replace(b"hello", b"hellO"), second, third, last, end),
            (second, first, third, last, end),
            (first, first, third, last, end),
            (first, third, last, end),
        ):
            body = b"".join(pieces)
            self.refuse(SignatureDoesNotMatch, body, length=5 * (len(pieces) - 2), signed=True)
        other = b"".join(encode([b"hello"], chain=chain(TRAILER_SEED)))
        self.refuse(SignatureDoesNotMatch, other, signed=True)
        final = b"".join(encode([b"hello"], chain=chain()))[:-68] + b"0" * 64 + b"\r\n\r\n"
        self.refuse(SignatureDoesNotMatch, final, signed=True)

    def test_data_before_a_wrong_signature_is_never_finished(self) -> None:
        """Data flows before its signature is checked, but such a body fails."""
        body = b"".join(encode([b"hello"], chain=chain())).replace(b"hello", b"hellO")
        decoder = ChunkedDecoder(5, chain=chain())
        at = body.index(b"hellO") + 4
        self.assertEqual(decoder.feed(body[:at]), [b"hell"])
        self.assertRaises(SignatureDoesNotMatch, decoder.feed, body[at:])
        self.assertRaises(IncompleteBody, decoder.finish)

    def test_trailers_must_be_those_announced(self) -> None:
        """Trailers that are missing, repeated, unannounced or unreadable are MalformedTrailer."""
        for lines in (
            b"",
            b"x-amz-checksum-crc32:AAAAAA==\r\n",
            b"x-amz-checksum-crc32c:a\r\nx-amz-checksum-crc32c:a\r\n",
            b"x-amz-checksum-crc32c:a\r\nx-amz-meta-b:1\r\n",
            b"x-amz-checksum-crc32c\r\n",
            b"x-amz-checksum-crc32c :a\r\n",
            b" x-amz-checksum-crc32c:a\r\n",
            b"x-amz-checksum-crc32c:\xff\r\n",
            b"x-amz-checksum-crc32c:a\rb\r\n",
            b"x-amz-checksum-crc32c:a\nb\r\n",
            b"x-amz-checksum-crc32c:a\r\nx-amz-trailer-signature:" + b"0" * 64 + b"\r\n",
            b":a\r\n",
        ):
            self.refuse(MalformedTrailer, b"5\r\nhello\r\n0\r\n" + lines + b"\r\n", trailers=[CRC])
        self.refuse(MalformedTrailer, b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32c:a\r\n\r\n")
        self.refuse(InvalidRequest, b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32c:" + b"a" * 2000, trailers=[CRC])

    def test_trailer_names_are_lower_cased(self) -> None:
        """Names may be in any case, values have no white space around."""
        body = b"5\r\nhello\r\n0\r\nX-Amz-Checksum-CRC32C:  a b\t\r\n\r\n"
        self.assertEqual(decode(ChunkedDecoder(5, trailers=[CRC]), [body])[1], {CRC: "a b"})

    def test_trailer_signature(self) -> None:
        """Signed chunks need a signed trailer: one that is missing, wrong or not the last line is refused."""
        body = b"".join(encode([b"hello"], chain=chain(), trailers={CRC: "abc"}))
        unsigned, _, signature = body[:-4].rpartition(b"x-amz-trailer-signature:")
        wrong = unsigned + b"x-amz-trailer-signature:" + b"0" * 64 + b"\r\n\r\n"
        self.refuse(MalformedTrailer, unsigned + b"\r\n", signed=True, trailers=[CRC])
        self.refuse(SignatureDoesNotMatch, wrong, signed=True, trailers=[CRC])
        self.refuse(SignatureDoesNotMatch, body.replace(b":abc", b":abd"), signed=True, trailers=[CRC])
        again = b"x-amz-trailer-signature:" + signature + b"\r\n\r\n"
        self.refuse(MalformedTrailer, body[:-2] + again, signed=True, trailers=[CRC])
        self.refuse(MalformedTrailer, body, signed=True, trailers=[CRC, "another"])
        self.refuse(MalformedTrailer, body, signed=True)


class SignatureChainTests(SynchronousTestCase):
    """The chain itself."""

    def test_each_signature_depends_on_the_one_before(self) -> None:
        """The same data twice has two signatures."""
        signatures = chain()
        digest = hashlib.sha256(b"x").hexdigest()
        self.assertNotEqual(signatures.chunk(digest), signatures.chunk(digest))

    def test_no_key_in_repr(self) -> None:
        """The signing key is not shown."""
        self.assertNotIn(KEY.hex(), repr(chain()))
        self.assertNotIn(repr(KEY), repr(chain()))
