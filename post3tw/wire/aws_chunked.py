"""The aws-chunked body: chunks that may each be signed, and trailers that may be signed too.

Theory of operation
===================

    SIZE;chunk-signature=SIGNATURE CRLF  DATA CRLF          as often as there is data, SIZE in hex
    0;chunk-signature=SIGNATURE CRLF                        the final chunk, without data
    NAME:VALUE CRLF                                         trailers, when announced in x-amz-trailer
    x-amz-trailer-signature:SIGNATURE CRLF                  when chunks are signed and there are trailers
    CRLF

Unsigned chunks have no `;chunk-signature`. Each signature covers the one before it, the first one the request's own
(the seed), so chunks can be neither changed nor dropped, swapped or repeated.

`ChunkedDecoder` is pushed: `feed` takes bytes as they arrive, cut anywhere, and returns the data among them, mostly as
views of what was fed. Data is handed out BEFORE the signature of its chunk is known (a chunk may be gigabytes, and is
hashed as it passes), so nobody may act on it before `finish` has returned: `finish` succeeds only when every signature
was right, the declared length was met exactly, the final chunk and the announced trailers came, and nothing followed.

The grammar is strict where parsers were attacked: sizes are up to 16 hex digits and nothing else, lines end in CRLF,
there is no other chunk extension. The one exception is a line feed before the CRLF of a trailer, which AWS's
documentation shows.

Source: "Signature Calculations for the Authorization Header: Transferring Payload in Multiple Chunks", with and without
trailing headers, Amazon S3 API Reference.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from post3tw.model.errors import DomainError, IncompleteBody, InvalidRequest, MalformedTrailer, SignatureDoesNotMatch
from post3tw.wire.sigv4 import EMPTY_SHA256, signature

_LINE_LIMIT = 1024

_signed_head = re.compile(rb"([0-9A-Fa-f]{1,16});chunk-signature=([0-9a-f]{64})").fullmatch
_unsigned_head = re.compile(rb"([0-9A-Fa-f]{1,16})").fullmatch
_trailer = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)?[ \t]*"
).fullmatch


class SignatureChain:
    """The signatures of one request's chunks, each made over the one before."""

    def __init__(self, key: bytes, timestamp: str, scope: str, seed: bytes) -> None:
        """Begin with the signature of the request itself, the seed.

        Args:
            key: of `post3tw.wire.sigv4.signing_key`.
            timestamp: the request's time as it was signed.
            scope: of the request's credential.
            seed: the request's signature, 64 hex digits.
        """
        self._key = key
        self._context = f"{timestamp}\n{scope}\n".encode()
        self._previous = seed

    def chunk(self, sha256: str) -> bytes:
        """The signature of the next chunk, whose data has this SHA-256."""
        return self._next(b"AWS4-HMAC-SHA256-PAYLOAD\n", EMPTY_SHA256 + b"\n" + sha256.encode())

    def trailer(self, trailer: bytes) -> bytes:
        """The signature of the trailers, which are `name:value` lines that end in LF."""
        return self._next(b"AWS4-HMAC-SHA256-TRAILER\n", hashlib.sha256(trailer).hexdigest().encode())

    def _next(self, kind: bytes, hashes: bytes) -> bytes:
        text = b"%b%b%b\n%b" % (kind, self._context, self._previous, hashes)
        self._previous = signature(self._key, text)
        return self._previous


class ChunkedDecoder:
    """Takes an aws-chunked body apart as it arrives. See the theory of operation above."""

    def __init__(
        self, length: int, *, chain: SignatureChain | None = None, trailers: Iterable[str] | None = None
    ) -> None:
        """Be ready for a body.

        Args:
            length: of the data, as x-amz-decoded-content-length declares it.
            chain: checks the signatures; None when chunks are not signed.
            trailers: the announced names, lower-case; None when the payload kind has no trailers at all.
        """
        self._missing = length
        self._chain = chain
        self._parse_head = _unsigned_head if chain is None else _signed_head
        self._has_trailers = trailers is not None
        self._announced = frozenset(trailers or ())
        self._trailers: dict[str, str] = {}
        self._trailer_signed = False
        self._partial_line = b""
        self._chunk_left = 0
        self._chunk_signature = b""
        self._hash = hashlib.sha256()
        self._step: _Step = ChunkedDecoder._on_head

    def feed(self, data: bytes) -> list[bytes | memoryview]:
        """The body's data among the next bytes of the stream, in order; views of `data` where that saves copying.

        Raises:
            InvalidRequest: not aws-chunked, or bytes after its end.
            IncompleteBody: more or less data than declared.
            SignatureDoesNotMatch: of a chunk or of the trailers.
            MalformedTrailer: trailers that cannot be read, or are not those announced.
        """
        pieces: list[bytes | memoryview] = []
        at = 0
        try:
            while at < len(data):
                at = self._step(self, data, at, pieces)
        except DomainError:
            self._step = ChunkedDecoder._after_failure
            raise
        return pieces

    def finish(self) -> dict[str, str]:
        """The trailers, by lower-case name, of a body that has ended as it should.

        Raises:
            IncompleteBody: the stream ended early, or `feed` has failed.
        """
        if self._step is not ChunkedDecoder._at_end:
            raise IncompleteBody()
        return self._trailers

    # The steps. Each takes what it can from `data` at `at`, sets the next step, and returns how far it came.

    def _on_head(self, data: bytes, at: int, pieces: list[bytes | memoryview]) -> int:
        line, at = self._line(data, at)
        if line is None:
            return at
        found = self._parse_head(line)
        if found is None:
            raise InvalidRequest("The aws-chunked body has a malformed chunk header.")
        self._chunk_left = int(found[1], 16)
        if self._chain is not None:
            self._chunk_signature = found[2]
            self._hash = hashlib.sha256()
        if self._chunk_left:
            if self._chunk_left > self._missing:
                raise IncompleteBody("The body is longer than x-amz-decoded-content-length.")
            self._missing -= self._chunk_left
            self._step = ChunkedDecoder._on_data
        else:
            self._end_data()
        return at

    def _on_data(self, data: bytes, at: int, pieces: list[bytes | memoryview]) -> int:
        end = min(at + self._chunk_left, len(data))
        piece = data if end - at == len(data) else memoryview(data)[at:end]
        if self._chain is not None:
            self._hash.update(piece)
        pieces.append(piece)
        self._chunk_left -= end - at
        if not self._chunk_left:
            self._check_chunk()
            self._step = ChunkedDecoder._after_data
        return end

    def _after_data(self, data: bytes, at: int, pieces: list[bytes | memoryview]) -> int:
        line, at = self._line(data, at)
        if line is None:
            return at
        if line:
            raise InvalidRequest("The data of a chunk is longer than its header says.")
        self._step = ChunkedDecoder._on_head
        return at

    def _on_trailer(self, data: bytes, at: int, pieces: list[bytes | memoryview]) -> int:
        line, at = self._line(data, at)
        if line is None:
            return at
        if line:
            self._add_trailer(line)
        else:
            self._end_trailers()
        return at

    def _at_end(self, data: bytes, at: int, pieces: list[bytes | memoryview]) -> int:
        raise InvalidRequest("There are bytes after the end of the aws-chunked body.")

    def _after_failure(self, data: bytes, at: int, pieces: list[bytes | memoryview]) -> int:
        raise InvalidRequest("The aws-chunked body was already refused.")

    # What the steps do.

    def _line(self, data: bytes, at: int) -> tuple[bytes | None, int]:
        """A whole line without its CRLF, or None when its end has not come yet; and where `data` goes on."""
        begun = self._partial_line
        line, found, _ = (begun + data[at : at + _LINE_LIMIT + 2]).partition(b"\r\n")
        if len(line) > _LINE_LIMIT + 1 or (found and len(line) > _LINE_LIMIT):
            raise InvalidRequest("The aws-chunked body has a line that is too long.")
        if not found:
            self._partial_line = line
            return None, len(data)
        self._partial_line = b""
        return line, at + len(line) + 2 - len(begun)

    def _check_chunk(self) -> None:
        if self._chain is not None:
            expected = self._chain.chunk(self._hash.hexdigest())
            if not hmac.compare_digest(expected, self._chunk_signature):
                raise SignatureDoesNotMatch("The signature of a chunk does not match.")

    def _end_data(self) -> None:
        if self._missing:
            raise IncompleteBody("The body is shorter than x-amz-decoded-content-length.")
        self._check_chunk()
        self._step = ChunkedDecoder._on_trailer

    def _add_trailer(self, line: bytes) -> None:
        found = _trailer(line.removesuffix(b"\n"))
        if found is None or not self._has_trailers or self._trailer_signed:
            raise MalformedTrailer()
        name, value = found[1].decode().lower(), (found[2] or b"").decode()
        if name == "x-amz-trailer-signature" and self._chain is not None:
            canonical = "".join(f"{name}:{value}\n" for name, value in self._trailers.items())
            if not hmac.compare_digest(self._chain.trailer(canonical.encode()), value.encode()):
                raise SignatureDoesNotMatch("The signature of the trailer does not match.")
            self._trailer_signed = True
        elif name in self._announced and name not in self._trailers:
            self._trailers[name] = value
        else:
            raise MalformedTrailer()

    def _end_trailers(self) -> None:
        signed = self._trailer_signed or self._chain is None or not self._has_trailers
        if not signed or self._trailers.keys() != self._announced:
            raise MalformedTrailer()
        self._step = ChunkedDecoder._at_end


_Step = Callable[[ChunkedDecoder, bytes, int, list[bytes | memoryview]], int]


def encode(
    chunks: Iterable[bytes], *, chain: SignatureChain | None = None, trailers: Mapping[str, str] | None = None
) -> Iterator[bytes]:
    """The pieces of an aws-chunked body: the other direction.

    Args:
        chunks: the data, none of them empty.
        chain: signs; None for unsigned chunks.
        trailers: to append; None when the payload kind has no trailers.
    """
    for chunk in (*chunks, b""):
        head = b"%x" % len(chunk)
        if chain is not None:
            head += b";chunk-signature=" + chain.chunk(hashlib.sha256(chunk).hexdigest())
        yield head + b"\r\n" + (chunk + b"\r\n" if chunk else b"")
    if trailers is not None:
        lines = [f"{name}:{value}" for name, value in trailers.items()]
        if chain is not None:
            canonical = "".join(f"{line}\n" for line in lines)
            lines.append(f"x-amz-trailer-signature:{chain.trailer(canonical.encode()).decode()}")
        yield "".join(f"{line}\r\n" for line in lines).encode()
    yield b"\r\n"
