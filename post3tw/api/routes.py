"""Which operation a request is, told from its method, what its path names, its query and its headers.

Theory of operation. Three things tell operations apart: method and level, *sub-resources* (query keys such as `acl` or
`uploadId` that make another operation of the same path), and for copies a header. A wrong guess loses data: a PUT with a
sub-resource that we do not know must never become a plain PutObject, nor a DELETE a plain DeleteObject. Therefore a
request is an operation only when the operation accounts for every sub-resource in the query, and on methods that change
something for every other key as well. Only a GET or HEAD may have keys nobody knows, with a value: cache busters.

Keys that sign a request, or that override headers of the answer, are neutral. A header of the S3 model that was hoisted
into a presigned query (`x-amz-storage-class=…`) is not: whoever calls moves it to the headers first, or it is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NoReturn

from post3tw.api.operation import Operation
from post3tw.api.operations import OPERATIONS
from post3tw.model.errors import InvalidArgument, InvalidRequest, MethodNotAllowed, NotImplementedHere

NOT_ROUTED = frozenset({"ListDirectoryBuckets", "WriteGetObjectResponse"})
"""Operations that only the name of AWS's host tells from others; we do not have those hosts."""

FOREIGN_SUB_RESOURCES = frozenset({"append", "position", "symlink", "usage"})
"""Sub-resources of other servers, which clients of theirs send to us too."""

_RESOURCE_TYPES = ("SERVICE", "BUCKET", "OBJECT")
_NEUTRAL = frozenset({"x-id", "awsaccesskeyid", "signature", "expires"})
_NEUTRAL_PREFIXES = ("response-", "x-amz-checksum-", "x-amz-sdk-")


def _sub_resources(operation: Operation) -> frozenset[str]:
    """The query keys that make this operation another one than the plain one of its path.

    Of members that an operation cannot be without, those of parts do so; an `id` alone does not.
    """
    members = {wire for where, wire in operation.bindings.values() if where == "query"}
    return frozenset(key for key, _ in operation.selectors if key not in members or key in ("uploadId", "partNumber"))


def _specific_first(operations: Iterable[Operation]) -> tuple[Operation, ...]:
    return tuple(sorted(operations, key=lambda op: (-len(op.selectors), op.header is None, op.name)))


_ROUTED = [operation for name, operation in OPERATIONS.items() if name not in NOT_ROUTED]
_SUB_RESOURCES = FOREIGN_SUB_RESOURCES.union(*(_sub_resources(operation) for operation in _ROUTED))
_MEMBER_KEYS = frozenset(key for operation in _ROUTED for key in operation.query_keys)
_ENDPOINTS = {(operation.method, int(operation.level)) for operation in _ROUTED}
_PLAIN = {
    endpoint: _specific_first(
        op for op in _ROUTED if (op.method, op.level) == endpoint and not op.selectors and op.header is None
    )
    for endpoint in _ENDPOINTS
}
_BY_HEADER = {
    endpoint: tuple(
        (op.header, op) for op in _ROUTED if op.header and not op.selectors and (op.method, op.level) == endpoint
    )
    for endpoint in _ENDPOINTS
}
# A rename without its query key would be a PutObject that empties the destination.
_BY_HEADER["PUT", 2] += (("x-amz-rename-source", OPERATIONS["RenameObject"]),)
_BY_KEY = {
    endpoint: {
        key: _specific_first(op for op in _ROUTED if (op.method, op.level) == endpoint and key in op.query_keys)
        for key in _SUB_RESOURCES
    }
    for endpoint in _ENDPOINTS
}


def route(method: str, level: int, query: Mapping[str, str], headers: Mapping[str, str]) -> Operation:
    """The operation that a request is.

    Args:
        method: of HTTP.
        level: 0 when the path names nothing, 1 for a bucket, 2 for an object.
        query: decoded; a key without a value has "".
        headers: by lower-case name.

    Raises:
        NotImplementedHere: a query key that nobody knows, or a hoisted header.
        MethodNotAllowed: nothing has this method here, or the sub-resource has not.
        InvalidArgument: sub-resources that contradict each other, or a versionId where there are no versions.
        InvalidRequest: a sub-resource without a query key or header that must come with it.
    """
    endpoint = (method, level)
    if endpoint not in _ENDPOINTS:
        raise _not_allowed(method, level)
    if not query:
        return _plain(endpoint, headers)
    selected = [key for key in query if key in _SUB_RESOURCES]
    operation = _selected(endpoint, selected, query, headers) if selected else _plain(endpoint, headers)
    for key, value in query.items():
        if key not in operation.query_keys:
            _check_stranger(operation, key, value)
    return operation


def _plain(endpoint: tuple[str, int], headers: Mapping[str, str]) -> Operation:
    for header, operation in _BY_HEADER[endpoint]:
        if header in headers:
            return operation
    operations = _PLAIN[endpoint]
    if operations:
        return operations[0]
    if endpoint == ("POST", 1):
        raise NotImplementedHere(operation="PostObject")
    raise _not_allowed(*endpoint)


def _selected(
    endpoint: tuple[str, int], selected: list[str], query: Mapping[str, str], headers: Mapping[str, str]
) -> Operation:
    candidates = [op for op in _BY_KEY[endpoint][selected[0]] if op.query_keys.issuperset(selected)]
    for operation in candidates:
        if (operation.header is None or operation.header in headers) and _missing(operation, query) is None:
            return operation
    _refuse(endpoint, selected, query, candidates)


def _missing(operation: Operation, query: Mapping[str, str]) -> str | None:
    """The first selector of the operation that the query does not have."""
    for key, value in operation.selectors:
        if key not in query or (value is not None and query[key] != value):
            return key
    return None


def _refuse(
    endpoint: tuple[str, int], selected: list[str], query: Mapping[str, str], candidates: list[Operation]
) -> NoReturn:
    """Say what is wrong with sub-resources that no operation accounts for."""
    method, level = endpoint
    for key in selected:
        if not _BY_KEY[endpoint][key]:
            if any(where == level and table[key] for (_, where), table in _BY_KEY.items()):
                raise _not_allowed(method, level)
            raise NotImplementedHere(f"The sub-resource {key} is not implemented here.", operation=f"{method} ?{key}")
    if not candidates:
        raise InvalidArgument(
            f"Conflicting query string parameters: {', '.join(selected)}",
            argument_name="ResourceType",
            argument_value=selected[0],
        )
    missing = _missing(candidates[-1], query)
    if missing == "list-type":
        raise InvalidArgument(
            "Invalid List Type specified in Request", argument_name=missing, argument_value=query[missing]
        )
    raise InvalidRequest(f"Missing required query parameter for this request: {missing}")


def _check_stranger(operation: Operation, key: str, value: str) -> None:
    """Let a query key pass that the operation does not know, or refuse it."""
    name = key.lower()
    if name in _NEUTRAL or name.startswith(_NEUTRAL_PREFIXES):
        return
    if name.startswith("x-amz-"):
        if operation.takes_header(name):
            raise NotImplementedHere(f"The header {name} is not taken from the query.", header=name)
        return
    if key == "versionId":
        raise InvalidArgument(
            "This operation does not accept a version-id.", argument_name="versionId", argument_value=value
        )
    if operation.method not in ("GET", "HEAD") or not (value or key in _MEMBER_KEYS):
        raise NotImplementedHere(f"The query parameter {key} is not implemented here.", operation=operation.name)


def _not_allowed(method: str, level: int) -> MethodNotAllowed:
    return MethodNotAllowed(method=method, resource_type=_RESOURCE_TYPES[level])
