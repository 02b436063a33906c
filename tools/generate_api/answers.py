"""Writes for each operation the `serialise_x` that makes an answer of its output."""

from __future__ import annotations

from collections.abc import Iterator

from tools.generate_api.documents_in import body_members
from tools.generate_api.documents_out import members_to_elements
from tools.generate_api.facts import ROOTS, STATUSES
from tools.generate_api.model import XML_NAMESPACE, Member, Operation
from tools.generate_api.names import snake


def write_answer(operation: Operation) -> list[str]:
    """The function that serialises one operation's output."""
    status = STATUSES.get(operation.name, str(operation.status))
    headers = [member for member in operation.output.members if member.location in ("header", "headers")]
    lines = ["    headers: list[tuple[str, str]] = []"] if headers else []
    for member in headers:
        lines.append(f"    if output.{member.attribute} is not None:")
        lines.append(f"        {_header(member)}")
    return [
        "",
        f"def serialise_{operation.function}(output: types.{operation.name}Output) -> Reply:",
        *lines,
        *(f"    {line}" for line in _body(operation, status, "headers" if headers else "[]")),
        "",
    ]


def _header(member: Member) -> str:
    value = f"output.{member.attribute}"
    if member.location == "headers":
        return f"headers.extend((f'{member.wire}{{name}}', text) for name, text in {value}.items())"
    text = {
        "integer": f"str({value})",
        "long": f"str({value})",
        "boolean": f'"true" if {value} else "false"',
        "timestamp": f"{'iso8601_of' if member.timestamp_format == 'iso8601' else 'http_date_of'}({value})",
    }.get(member.shape.type, value)
    return f"headers.append(({member.wire!r}, {text}))"


def _body(operation: Operation, status: str, headers: str) -> Iterator[str]:
    members = body_members(operation.output)
    payload = operation.output.payload
    if not members or members[0].streaming:
        yield f"return {status}, {headers}, b''"
    elif operation.name == "GetBucketLocation":
        yield f"region = escape(output.{members[0].attribute} or '')"
        yield from _document("LocationConstraint", ["put(region)"])
        yield from _answer(status, headers, "XML_TYPE", '"".join(parts).encode()')
    elif payload is None:
        yield from _document(
            ROOTS.get(operation.name, operation.output.name),
            list(members_to_elements(members, "output", "documents_out.")),
        )
        yield from _answer(status, headers, "XML_TYPE", '"".join(parts).encode()')
    elif payload.shape.type == "structure":
        yield f"if output.{payload.attribute} is None:"
        yield f"    return {status}, {headers}, b''"
        inside = f"documents_out.write_{snake(payload.shape.name)}(output.{payload.attribute}, put)"
        yield from _document(payload.wire, [inside])
        yield from _answer(status, headers, "XML_TYPE", '"".join(parts).encode()')
    else:
        yield f"body = (output.{payload.attribute} or '').encode()"
        yield from _answer(status, headers, "JSON_TYPE", "body")


def _document(root: str, inside: list[str]) -> Iterator[str]:
    yield f"parts = [DECLARATION, '<{root} xmlns=\"{XML_NAMESPACE}\">']"
    yield "put = parts.append"
    yield from inside
    yield f"put('</{root}>')"


def _answer(status: str, headers: str, content_type: str, body: str) -> Iterator[str]:
    if headers == "[]":
        yield f"return {status}, [{content_type}], {body}"
    else:
        yield f"headers.append({content_type})"
        yield f"return {status}, headers, {body}"
