"""HTTP's own chunks (RFC 9112 section 7.1), not those of aws-chunked, which may lie inside them."""

from __future__ import annotations

import re

from post3tw.model.errors import BadRequest

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?")
_LONGEST_LINE = 1024
_LONGEST_TRAILER = 8192


class ChunkedDecoder:
    """Takes the chunks off a body that comes in pieces.

    `rest` is None until the last chunk and the trailer are through, and then what came after them. HTTP trailers are
    checked for size and thrown away: S3 has its own inside the body.
    """

    def __init__(self) -> None:
        self.rest: bytes | None = None
        self._buffer = b""
        self._left = 0  # bytes of the current chunk still to come, with its CRLF
        self._trailer: int | None = None  # bytes of trailer so far, once the last chunk was seen

    def decode(self, data: bytes) -> bytes:
        """The body bytes in the next piece.

        Raises:
            BadRequest: not chunks.
        """
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        pieces: list[bytes] = []
        at = 0
        while at < len(data) and self.rest is None:
            if self._left > 2:
                piece = data[at : at + self._left - 2]
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
            elif self._left:
                at = self._chunk_end(data, at)
            else:
                after = self._line(data, at)
                if after is None:
                    break
                at = after
        if self.rest is None:
            self._buffer = data[at:]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _chunk_end(self, data: bytes, at: int) -> int:
        wanted = b"\r\n"[-self._left :]
        found = data[at : at + self._left]
        if not wanted.startswith(found):
            raise BadRequest("A chunk does not end where it should.")
        self._left -= len(found)
        return at + len(found)

    def _line(self, data: bytes, at: int) -> int | None:
        """Read a chunk's size or a line of the trailer; where it ends, None when it is not all there."""
        end = data.find(b"\r\n", at)
        if end < 0:
            if len(data) - at > _LONGEST_LINE:
                raise BadRequest("A chunk's size line is too long.")
            return None
        line = data[at:end]
        if len(line) > _LONGEST_LINE:
            raise BadRequest("A chunk's size line is too long.")
        if self._trailer is not None:
            self._trailer_line(line, data, end + 2)
            return end + 2
        match = _SIZE.fullmatch(line)
        if match is None:
            raise BadRequest("A chunk's size is not a hexadecimal number.")
        size = int(match[1], 16)
        if size:
            self._left = size + 2
        else:
            self._trailer = 0
        return end + 2

    def _trailer_line(self, line: bytes, data: bytes, after: int) -> None:
        if not line:
            self.rest = data[after:]
            return
        self._trailer = (self._trailer or 0) + len(line)
        if self._trailer > _LONGEST_TRAILER or b"\n" in line or b"\0" in line:
            raise BadRequest("The trailer of the chunks is too long or has control characters.")
