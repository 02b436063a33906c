"""Bodies that are not what was announced: the right error, and nothing stays behind, neither of small nor of large
ones."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Callable, Iterable, Mapping

from post3tw.model.checksum import ChecksumAlgorithm
from post3tw.service.digests import Digests
from post3tw.wire.aws_chunked import SignatureChain, encode
from post3tw.wire.dates import amz_date
from post3tw.wire.sigv4 import signing_key
from tests.hostile.case import HostileCase, wait_until
from tests.hostile.raw import Fields, Reply

SMALL, LARGE = b"small body", b"0123456789abcdef" * (3 << 16)
"""One that the index takes, one that becomes a file."""

SIGNED = b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_TRAILER = b"STREAMING-UNSIGNED-PAYLOAD-TRAILER"

WRONG = base64.b64encode(b"wrong")


def digest(algorithm: ChecksumAlgorithm, body: bytes) -> bytes:
    """A checksum as headers have it."""
    digests = Digests((algorithm,))
    digests.update(body)
    return base64.b64encode(digests.results()[algorithm])


def wrong(algorithm: ChecksumAlgorithm) -> bytes:
    """The checksum of something else."""
    return digest(algorithm, b"something else")


_SIGNATURE = re.compile(rb"(?<=chunk-signature=)[0-9a-f]")
_DATA = re.compile(rb"(?<=\r\n)[s0](?=[m1])")
_LAST_SIGNATURE = re.compile(rb"(?<=\n0;chunk-signature=)[0-9a-f]")
_TRAILER_SIGNATURE = re.compile(rb"(?<=trailer-signature:)[0-9a-f]")


def _other_digit(match: re.Match[bytes]) -> bytes:
    return b"1" if match[0] == b"0" else b"0"


class BodyTests(HostileCase):
    """Each attack is tried on a PUT of an object and on a part of an upload, with a small and a large body."""

    def setUp(self) -> None:
        """Begin an upload and remember what is there."""
        super().setUp()
        created = self.client.ask("POST", self.target("key", "uploads"))
        upload = re.search(rb"<UploadId>([^<]+)<", created.body)
        assert upload is not None
        self.targets = (self.target("key"), self.target("key", f"partNumber=1&uploadId={upload[1].decode()}"))
        self.before = self.inside.holdings()

    def assert_refused(
        self, status: int, code: str, headers: Fields, body: bytes, payload_hash: bytes = b"UNSIGNED-PAYLOAD"
    ) -> None:
        """A body with these headers is an error, as an object and as a part."""
        for target in self.targets:
            reply = self.client.ask("PUT", target, headers, body, payload_hash=payload_hash)
            self.assert_error(reply, status, code, (target, headers))
        self.assert_nothing_left(self.before)

    def chunked(
        self,
        kind: bytes,
        body: bytes,
        trailers: Mapping[str, str] | None = None,
        *,
        length: int | None = None,
        damage: Callable[[bytes], bytes] = bytes,
    ) -> Iterable[Reply]:
        """Send a body in aws-chunked framing to each target, with a trailer's names announced; the replies.

        Args:
            kind: of payload.
            body: sent in chunks of 64 KiB.
            trailers: sent, and announced.
            length: declared; the body's, when not given.
            damage: what happens to the framed body on its way.
        """
        declared = b"%d" % (len(body) if length is None else length)
        headers = [(b"x-amz-decoded-content-length", declared), (b"content-encoding", b"aws-chunked")]
        if trailers is not None:
            headers.append((b"x-amz-trailer", ",".join(trailers).encode()))
        chunks = [body[at : at + 65536] for at in range(0, len(body), 65536)]
        for target in self.targets:
            now = int(time.time() * 1000)
            framed = [*headers, (b"transfer-encoding", b"chunked")]
            head = self.client.head("PUT", target, framed, payload_hash=kind, now=now)
            chain = None
            if kind != UNSIGNED_TRAILER:
                credential = self.client.signer.credential(amz_date(now))
                seed = head.partition(b"Signature=")[2][:64]
                key = signing_key(self.client.secret_key, credential)
                chain = SignatureChain(key, amz_date(now), credential.scope, seed)
            data = damage(b"".join(encode(chunks, chain=chain, trailers=trailers)))
            with self.client.connect() as connection:
                connection.offer(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data))
                yield connection.reply()

    # -- length

    def test_shorter(self) -> None:
        """A body that ends before its Content-Length is incomplete."""
        for body in (SMALL, LARGE):
            for target in self.targets:
                with self.client.connect() as connection:
                    connection.send(
                        self.client.head("PUT", target, [(b"content-length", b"%d" % (len(body) + 1))]) + body
                    )
                    connection.half_close()
                    self.assert_error(connection.reply(), 400, "IncompleteBody")
        self.assert_nothing_left(self.before)

    def test_longer(self) -> None:
        """What follows a body of the declared length is another request, and a bad one; the object is what was
        declared."""
        message = self.client.message("PUT", self.target(), [(b"content-length", b"%d" % len(SMALL))], SMALL)
        with self.client.connect() as connection:
            connection.send(message + b"and more\r\n\r\n")
            self.assertEqual(connection.reply().status, 200)
            self.assert_error(connection.reply(), 400, "BadRequest")
            self.assertTrue(connection.closed())
        self.assertEqual(self.client.ask("GET", self.target()).body, SMALL)

    def test_decoded_length(self) -> None:
        """An aws-chunked body of another length than it declares is incomplete."""
        for kind in (SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER):
            trailers = None if kind == SIGNED else {"x-amz-checksum-crc32": wrong(ChecksumAlgorithm.CRC32).decode()}
            for length in (len(LARGE) - 1, len(LARGE) + 1, 10 * len(LARGE)):
                for reply in self.chunked(kind, LARGE, trailers, length=length):
                    self.assert_error(reply, 400, "IncompleteBody", (kind, length))
        self.assert_nothing_left(self.before)

    def test_no_length(self) -> None:
        """A body needs a length, a sensible one, and not more than 5 GiB."""
        for target in self.targets:
            with self.client.connect() as connection:
                connection.send(self.client.head("PUT", target))
                self.assert_error(connection.reply(), 411, "MissingContentLength")
        for length in (b"-1", b"+1", b"0x10", b"1_0", b"1,1", b"9" * 25, b"\xb2", b"1 1", b""):
            with self.client.connect() as connection:
                connection.offer(self.client.head("PUT", self.target(), [(b"content-length", length)]))
                self.assert_error(connection.reply(), 400, "BadRequest", length)
        for target in self.targets:
            with self.client.connect() as connection:
                connection.send(self.client.head("PUT", target, [(b"content-length", b"%d" % (5 * 1024**3 + 1))]))
                self.assert_error(connection.reply(), 400, "EntityTooLarge")
        self.assert_nothing_left(self.before)

    def test_gone(self) -> None:
        """Clients that go away in the middle of a body leave nothing."""
        head = self.client.head("PUT", self.targets[0], [(b"content-length", b"%d" % (2 * len(LARGE)))])
        part = self.client.head("PUT", self.targets[1], [(b"content-length", b"%d" % (2 * len(LARGE)))])
        connections = [self.client.connect() for _ in range(40)]
        for number, connection in enumerate(connections):
            connection.offer((head if number % 2 else part) + LARGE[: number * 50_000])
        self.assertTrue(wait_until(lambda: bool(self.inside.unfinished())))
        for number, connection in enumerate(connections):
            if number % 3:
                connection.reset()
            else:
                connection.close()
        self.assert_nothing_left(self.before)

    # -- digests

    def test_md5(self) -> None:
        """A body with another MD5 than it says is a BadDigest; what is no MD5 at all an InvalidDigest."""
        md5 = base64.b64encode(hashlib.md5(b"something else").digest())
        for body in (SMALL, LARGE):
            self.assert_refused(400, "BadDigest", [(b"content-md5", md5)], body)
            for value in (WRONG, b"", b"*", b"\xff" * 16):
                self.assert_refused(400, "InvalidDigest", [(b"content-md5", value)], body)

    def test_sha256(self) -> None:
        """A body with another SHA-256 than was signed is refused."""
        signed = hashlib.sha256(b"something else").hexdigest().encode()
        for body in (SMALL, LARGE):
            self.assert_refused(400, "XAmzContentSHA256Mismatch", (), body, signed)

    def test_checksum_headers(self) -> None:
        """A body with another checksum than it says is refused, whatever the algorithm."""
        for algorithm in ChecksumAlgorithm:
            name = f"x-amz-checksum-{algorithm.value.lower()}".encode()
            for body in (SMALL, LARGE):
                self.assert_refused(400, "BadDigest", [(name, wrong(algorithm))], body)
            for value in (WRONG, b"", b"*", b"\xff\xff"):
                reply = self.client.ask("PUT", self.targets[0], [(name, value)], SMALL)
                self.assertEqual((reply.status, bool(reply.code)), (400, True), (name, value))
        self.assert_nothing_left(self.before)

    def test_checksum_trailers(self) -> None:
        """So is one whose checksum comes in a trailer, signed or not."""
        for kind in (SIGNED_TRAILER, UNSIGNED_TRAILER):
            for algorithm in ChecksumAlgorithm:
                trailers = {f"x-amz-checksum-{algorithm.value.lower()}": wrong(algorithm).decode()}
                for body in (SMALL, LARGE):
                    for reply in self.chunked(kind, body, trailers):
                        self.assert_error(reply, 400, "BadDigest", (kind, algorithm))
        self.assert_nothing_left(self.before)

    # -- signatures of chunks

    def assert_damaged(
        self,
        kind: bytes,
        trailers: Mapping[str, str] | None,
        damage: Callable[[bytes], bytes],
        *expected: tuple[int, str],
    ) -> None:
        """Bodies damaged on their way are one of these errors."""
        for body in (SMALL, LARGE):
            for reply in self.chunked(kind, body, trailers, damage=damage):
                self.assertIn((reply.status, reply.code), expected)
                self.assert_error(reply, reply.status, reply.code)
        self.assert_nothing_left(self.before)

    def test_sound(self) -> None:
        """Nothing is wrong with these bodies as long as nobody damages them."""
        trailers = {"x-amz-checksum-crc32": digest(ChecksumAlgorithm.CRC32, LARGE).decode()}
        for kind, sent in ((SIGNED, None), (SIGNED_TRAILER, trailers), (UNSIGNED_TRAILER, trailers)):
            self.assertEqual([reply.status for reply in self.chunked(kind, LARGE, sent)], [200, 200])
            self.assertEqual(self.client.ask("GET", self.target()).body, LARGE)

    def test_changed_data(self) -> None:
        """A body whose data was changed does not match its signatures."""
        self.assert_damaged(
            SIGNED, None, lambda data: _DATA.sub(_other_digit, data, count=1), (403, "SignatureDoesNotMatch")
        )

    def test_changed_signature(self) -> None:
        """Nor does it match signatures that were changed, the one of the last, empty chunk included."""
        mismatch = (403, "SignatureDoesNotMatch")
        self.assert_damaged(SIGNED, None, lambda data: _SIGNATURE.sub(_other_digit, data, count=1), mismatch)
        self.assert_damaged(SIGNED, None, lambda data: _LAST_SIGNATURE.sub(_other_digit, data), mismatch)

    def test_dropped_chunks(self) -> None:
        """A body without its last chunk is incomplete; one whose chunks changed places does not match."""
        self.assert_damaged(SIGNED, None, lambda data: data[: data.rindex(b"0;chunk")], (400, "IncompleteBody"))
        self.assert_damaged(UNSIGNED_TRAILER, {}, lambda data: data[: data.rindex(b"0\r\n")], (400, "IncompleteBody"))
        cut = len(b"10000;chunk-signature=\r\n\r\n") + 64 + 65536
        swapped = self.chunked(SIGNED, LARGE, damage=lambda data: data[cut : 2 * cut] + data[:cut] + data[2 * cut :])
        for reply in swapped:
            self.assert_error(reply, 403, "SignatureDoesNotMatch")
        self.assert_nothing_left(self.before)

    def test_trailer_signature(self) -> None:
        """A trailer that was changed, and one whose signature was, does not match; one without is malformed."""
        trailers = {"x-amz-checksum-crc32": digest(ChecksumAlgorithm.CRC32, SMALL).decode()}
        mismatch, malformed = (403, "SignatureDoesNotMatch"), (400, "MalformedTrailerError")
        changed = trailers["x-amz-checksum-crc32"].encode()
        for damage, expected in (
            (lambda data: data.replace(changed, b"AAAAAA=="), mismatch),
            (lambda data: _TRAILER_SIGNATURE.sub(_other_digit, data), mismatch),
            (lambda data: re.sub(rb"x-amz-trailer-signature:.*\r\n", b"", data), malformed),
            (lambda data: re.sub(rb"x-amz-checksum-crc32:.*\r\n", b"", data), mismatch),
        ):
            self.assert_damaged(SIGNED_TRAILER, trailers, damage, expected)

    # -- parts

    def test_part_numbers(self) -> None:
        """Parts are numbered from 1 to 10,000."""
        for number in (0, 10001, -1, 2**31, 2**64):
            target = self.targets[1].replace("partNumber=1&", f"partNumber={number}&")
            self.assert_error(self.client.ask("PUT", target, (), SMALL), 400, "InvalidArgument", number)
            copy = [(b"x-amz-copy-source", self.target().encode())]
            self.assert_error(self.client.ask("PUT", target, copy), 400, "InvalidArgument", number)
        self.assert_nothing_left(self.before)
