"""What is known of an operation, beside its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from attrs import field, frozen

Level = Literal[0, 1, 2]
"""What a request's path names: 0 the service, 1 a bucket, 2 an object."""

ParseHead = Callable[[str | None, str | None, Mapping[str, str], Mapping[str, str]], Any]
ParsePayload = Callable[[Any, bytes], None]
Reply = tuple[int, list[tuple[str, str]], bytes]
"""Status, headers, and the body as far as it does not stream."""


@frozen(eq=False)
class Operation:
    """One operation of S3.

    Attributes:
        name: such as "PutObject".
        method: of HTTP.
        level: what the path names.
        selectors: query keys that a request of this operation has; with a value other than None only that value counts.
        header: a header, in lower case, that a request of this operation has and others of its kind have not.
        input: the class of what is asked.
        output: the class of the answer.
        body: what a request's body is: nothing, a document for `parse_payload`, or bytes that stream.
        status: of a success; `serialise` may say another, such as 206.
        bindings: where each member is on the wire: its location ("uri", "query", "header", "headers" for a prefix of
            names, "payload") and its name there.
        parse_head: `(bucket, key, query, headers)` to an input, without what is in the body. Header names are in lower
            case. Raises InvalidArgument, InvalidRequest or InvalidStorageClass.
        parse_payload: `(input, body)` adds what a document says. Raises MalformedXML or MissingRequestBody.
        serialise: an output to status, headers and body. A body that streams is left to the caller.
        members: the input's members, in the model's order.
        query_keys: all query keys that the operation knows.
    """

    name: str
    method: str
    level: Level
    selectors: tuple[tuple[str, str | None], ...]
    header: str | None
    input: type[Any]
    output: type[Any]
    body: Literal["none", "document", "stream"]
    status: int
    bindings: Mapping[str, tuple[str, str]]
    parse_head: ParseHead
    parse_payload: ParsePayload
    serialise: Callable[[Any], Reply]
    members: tuple[str, ...] = field(init=False)
    query_keys: frozenset[str] = field(init=False)

    @members.default
    def _members(self) -> tuple[str, ...]:
        return tuple(self.bindings)

    @query_keys.default
    def _query_keys(self) -> frozenset[str]:
        members = (wire for where, wire in self.bindings.values() if where == "query")
        return frozenset(members).union(key for key, _ in self.selectors)

    def takes_header(self, name: str) -> bool:
        """Whether a member comes in the header of this name, in lower case."""
        for where, wire in self.bindings.values():
            if (where == "header" and wire.lower() == name) or (where == "headers" and name.startswith(wire)):
                return True
        return False
