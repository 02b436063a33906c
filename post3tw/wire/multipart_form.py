"""Reading a `multipart/form-data` body as it comes: the fields of a browser's form, and one file that streams.

Theory of operation
===================
A body is a row of parts. Before each, and behind the last, stands a delimiter: CRLF, two dashes and the boundary. Put a
CRLF in front of the whole body, and every delimiter looks the same. `feed` walks through five states:

    preamble → delimiter → head of a part → value of a field, or the file → delimiter → … → epilogue

Fields before the file are collected, and all of them together are bounded, heads and delimiters included. The file is
handed out as it comes: one `bytes.find` for the delimiter over each piece, and a piece that has none, nor may hold the
beginning of one at its end, goes through as it is, uncopied. What follows the file is read and dropped, as AWS does,
but counts against the same bound; a second file there is refused, because one of the two would be lost.

Parts are read strictly: what one reader takes for a field and another one for the file's content must not pass a
policy. Field names are compared in lower case; a name may come once.

Sources: RFC 7578, RFC 2046 section 5.1, "POST Object", Amazon S3 API Reference.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from attrs import frozen

from post3tw.model.errors import FormTooLarge, InvalidArgument, MalformedForm, NotImplementedHere, WrongNumberOfFiles

MAX_FORM = 20 * 1024
"""Bytes of everything but the file, as on AWS."""

IGNORED = "x-ignore-"
"""What a field's name begins with when nobody is to look at it."""

_BOUNDARY = re.compile("[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_PARAMETER = re.compile(r';[ \t]*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)=("(?:[^"\\]|\\.)*"|[^\s;"]*)[ \t]*')
_TOKEN = re.compile("[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
_AS_IT_IS = frozenset({"7bit", "8bit", "binary"})


@frozen
class File:
    """The head of the file: its name as the browser sent it, perhaps with folders; "" when there is none."""

    name: str


def parse_parameters(value: str) -> tuple[str, dict[str, str]]:
    """A header such as `form-data; name="key"`: what comes first in lower case, and the parameters by lower-case name.

    In a quoted value only `\\"` is an escape: browsers send backslashes of file names as they are.

    Raises:
        MalformedForm: not of that form, or a parameter that comes twice.
    """
    kind, _, _ = value.partition(";")
    parameters: dict[str, str] = {}
    at = len(kind)
    while at < len(value):
        found = _PARAMETER.match(value, at)
        if found is None:
            raise MalformedForm()
        name, text = found[1].lower(), found[2]
        if name in parameters:
            raise MalformedForm()
        parameters[name] = text[1:-1].replace('\\"', '"') if text.startswith('"') else text
        at = found.end()
    return kind.strip(" \t").lower(), parameters


def boundary_of(content_type: str) -> bytes | None:
    """The boundary that a Content-Type header names, None when it is not that of a form.

    Raises:
        MalformedForm: it is, but it names no boundary, or none that may be one.
    """
    if content_type.partition(";")[0].strip(" \t").lower() != "multipart/form-data":
        return None
    boundary = parse_parameters(content_type)[1].get("boundary", "")
    if _BOUNDARY.fullmatch(boundary) is None:
        raise MalformedForm()
    return boundary.encode("ascii")


class MultipartForm:
    """One body being read.

    Attributes:
        fields: values by lower-case name, of the fields before the file, in their order.
        file: the file's head, None while it has not come: from then on `fields` is complete.
        ended: whether the last delimiter was seen.
    """

    def __init__(self, boundary: bytes, limit: int = MAX_FORM) -> None:
        self.fields: dict[str, str] = {}
        self.file: File | None = None
        self.ended = False
        self._delimiter = b"\r\n--" + boundary
        self._left = limit + 2  # bytes that everything but the file may still have
        self._buffer = b"\r\n"
        self._step: Callable[[bytes, int, list[bytes]], int] = self._preamble
        self._name = ""  # of the field whose value comes next

    def feed(self, data: bytes) -> list[bytes]:
        """The file's content in the next piece of the body; often there is none.

        Raises:
            MalformedForm: not a form, or a part that is not UTF-8 where it should be.
            FormTooLarge: more than `limit` bytes beside the file.
            InvalidArgument: a field that comes twice.
            WrongNumberOfFiles: a second file.
            NotImplementedHere: a part in a transfer encoding.
        """
        if self._buffer:
            data, self._buffer = self._buffer + data, b""
        content: list[bytes] = []
        at = 0
        while at < len(data):
            step = self._step
            after = step(data, at, content)
            if step != self._content:
                self._left -= after - at
            at = after
            if step is self._step:
                break  # it waits for more
        self._buffer = data[at:]
        if self._left < (0 if self._step == self._content else len(self._buffer)):
            raise FormTooLarge()
        return content

    def finish(self) -> None:
        """The body is over.

        Raises:
            MalformedForm: it ended before its last delimiter.
            WrongNumberOfFiles: no file was in it.
        """
        if not self.ended:
            raise MalformedForm()
        if self.file is None:
            raise WrongNumberOfFiles()

    # -- the states: each takes bytes from `at` on and says how far it came; one that does not name the next state waits

    def _preamble(self, data: bytes, at: int, content: list[bytes]) -> int:
        """There is none, but for an empty line that some clients send."""
        if len(data) < at + 4:
            return at
        self._step = self._at_delimiter
        return at + 2 if data.startswith(b"\r\n\r\n", at) else at

    def _at_delimiter(self, data: bytes, at: int, content: list[bytes]) -> int:
        end = at + len(self._delimiter)
        if not data.startswith(self._delimiter[: len(data) - at], at):
            raise MalformedForm()
        if len(data) < end + 2:
            return at
        what = data[end : end + 2]
        if what == b"--":
            self.ended = True
            self._step = self._epilogue
        elif what == b"\r\n":
            self._step = self._head
        else:
            raise MalformedForm()
        return end + 2

    def _head(self, data: bytes, at: int, content: list[bytes]) -> int:
        end = data.find(b"\r\n\r\n", at)
        if end < 0:
            return at
        name, file_name = _part(data[at:end])
        if name == "file":
            if self.file is not None:
                raise WrongNumberOfFiles()
            self.file = File(file_name)
            self._step = self._content
        elif self.file is not None:
            self._step = self._dropped
        elif name in self.fields and not name.startswith(IGNORED):
            raise InvalidArgument(f"The field {name} must come once.", argument_name=name)
        else:
            self._name = name
            self._step = self._value
        return end + 4

    def _value(self, data: bytes, at: int, content: list[bytes]) -> int:
        end = data.find(self._delimiter, at)
        if end < 0:
            return at
        self.fields[self._name] = _text(data[at:end])
        self._step = self._at_delimiter
        return end

    def _content(self, data: bytes, at: int, content: list[bytes]) -> int:
        end = data.find(self._delimiter, at)
        if end >= 0:
            self._step = self._at_delimiter
        else:
            end = self._sure_end(data, at)
        if end > at:
            content.append(data[at:end] if at or end < len(data) else data)
        return end

    def _sure_end(self, data: bytes, at: int) -> int:
        """Where what may be the beginning of a delimiter starts, at the end of `data`."""
        start = data.find(b"\r", max(at, len(data) - len(self._delimiter) + 1))
        while start >= 0:
            if self._delimiter.startswith(data[start:]):
                return start
            start = data.find(b"\r", start + 1)
        return len(data)

    def _dropped(self, data: bytes, at: int, content: list[bytes]) -> int:
        """The value of a field after the file."""
        end = data.find(self._delimiter, at)
        if end < 0:
            return at
        self._step = self._at_delimiter
        return end

    def _epilogue(self, data: bytes, at: int, content: list[bytes]) -> int:
        return len(data)


def _part(head: bytes) -> tuple[str, str]:
    """The lower-case name and the file name of a part."""
    headers: dict[str, str] = {}
    for line in head.split(b"\r\n"):
        name, colon, value = _text(line).partition(":")
        name = name.lower()
        if not colon or _TOKEN.fullmatch(name) is None or name in headers or _CONTROL.search(value):
            raise MalformedForm()
        headers[name] = value.strip(" \t")
    kind, parameters = parse_parameters(headers.get("content-disposition", ""))
    if kind != "form-data" or not parameters.get("name"):
        raise MalformedForm()
    if headers.get("content-transfer-encoding", "binary").lower() not in _AS_IT_IS:
        raise NotImplementedHere("Parts of a form in a transfer encoding are not implemented.")
    return parameters["name"].lower(), parameters.get("filename", "")


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedForm() from None
