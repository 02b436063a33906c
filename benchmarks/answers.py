"""Where an HTTP/1.1 answer ends: the little that a load generator has to understand, at the least cost."""

from __future__ import annotations

import re

from attrs import define

_length = re.compile(rb"(?i)\r\ncontent-length: *(\d+)").search
_chunked = re.compile(rb"(?i)\r\ntransfer-encoding: *chunked").search
_closes = re.compile(rb"(?i)\r\nconnection: *close").search
_etag = re.compile(rb"(?i)\r\netag: *([^\r]+)").search


class BadAnswer(Exception):
    """What came is not an answer in HTTP/1.1. The text says why."""


@define
class AnswerReader:
    """Takes the bytes of one answer as they arrive.

    Attributes:
        is_head: the answer to a HEAD, which has no body whatever its Content-Length says.
        status: of the answer, 0 before its head is complete.
        received: bytes of body so far, without the framing of chunks.
        kept: the start of the body of an answer that is no success, for whoever has to find out why.
        continues: a 100 Continue has come.
        closes: the server will take no other request on this connection.
        etag: the header.
    """

    is_head: bool = False
    status: int = 0
    received: int = 0
    kept: bytes = b""
    continues: bool = False
    closes: bool = False
    etag: str = ""
    _waiting: bytes = b""
    _left: int = 0
    _is_chunked: bool = False
    _is_last: bool = False

    def take(self, data: bytes | memoryview) -> bool:
        """Take what has arrived; whether the answer is complete.

        Raises:
            BadAnswer: it is none.
        """
        if self._left and not self._is_chunked:
            if self.status >= 300:
                self.kept += bytes(data[:500])
            self.received += len(data)
            self._left -= len(data)
            if self._left < 0:
                raise BadAnswer("more body than was announced")
            return not self._left
        self._waiting += data
        if not self.status and not self._take_head():
            return False
        if self._is_chunked:
            return self._take_chunks()
        body, self._waiting = self._waiting, b""
        return self.take(body) if self._left else self._end(body)

    def _end(self, rest: bytes) -> bool:
        if rest:
            raise BadAnswer("bytes after the answer")
        return True

    def _take_head(self) -> bool:
        """Read the head, if it is complete; interim answers are noted and dropped."""
        while True:
            end = self._waiting.find(b"\r\n\r\n")
            if end < 0:
                return False
            head, self._waiting = self._waiting[:end], self._waiting[end + 4 :]
            if not head.startswith(b"HTTP/1.1 "):
                raise BadAnswer(repr(head[:40]))
            status = int(head[9:12])
            if status >= 200:
                break
            self.continues = True
        self.status = status
        self.closes = _closes(head) is not None
        if found := _etag(head):
            self.etag = found[1].decode()
        if self.is_head or status in (204, 304):
            return True
        self._is_chunked = _chunked(head) is not None
        if not self._is_chunked:
            found = _length(head)
            if found is None:
                raise BadAnswer("neither Content-Length nor chunks")
            self._left = int(found[1])
        return True

    def _take_chunks(self) -> bool:
        """Read chunks up to the last; `_left` is what is missing of the present one, its line end included."""
        while True:
            if self._left:
                taken = self._waiting[: self._left]
                self._waiting = self._waiting[len(taken) :]
                if self.status >= 300:
                    self.kept += taken[:500]
                self._left -= len(taken)
                self.received += len(taken)
                if self._left:
                    return False
                self.received -= 2
                continue
            line, found, rest = self._waiting.partition(b"\r\n")
            if not found:
                return False
            self._waiting = rest
            if self._is_last:
                if not line:
                    return self._end(rest)
                continue  # A trailer.
            size = int(line.partition(b";")[0], 16)
            if size:
                self._left = size + 2
            else:
                self._is_last = True
