"""Writes the modules of operations, and `operations.py`, the table of all."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tools.generate_api.answers import write_answer
from tools.generate_api.documents_in import body_kind, write_payload
from tools.generate_api.facts import HEADER_SELECTORS, MODULES, OBJECT_SETTINGS, STATUSES
from tools.generate_api.heads import write_head
from tools.generate_api.model import Member, Model, Operation
from tools.generate_api.types import input_members

_IMPORTS = {
    "collections.abc": ("Mapping",),
    "post3tw.api": ("documents_in", "documents_out", "enums", "types"),
    "post3tw.api.operation": ("Reply",),
    "post3tw.api.runtime": (
        *("DECLARATION", "JSON_TYPE", "XML_TYPE", "MemberTable", "boolean", "checksum_algorithm", "children_of"),
        *("choice", "choices", "date", "escape_etag", "header_text", "integer", "lenient_date", "missing_header"),
        *("missing_query", "one_of", "read_members", "read_metadata", "read_root", "read_text_body", "storage_class"),
    ),
    "post3tw.api.table": ("put_list",),
    "post3tw.model.errors": ("MalformedXML",),
    "post3tw.wire.dates": ("http_date_of", "iso8601_of"),
    "post3tw.wire.xml": ("escape",),
}


def module_of(operation: Operation) -> str:
    """The module that an operation's functions are in."""
    keys = [key for key, _ in selectors(operation)]
    if operation.level == 2 and keys and keys[0] in OBJECT_SETTINGS:
        return "object_settings"
    return next(module for module, names in MODULES.items() if operation.name in names or (keys and keys[0] in names))


def selectors(operation: Operation) -> list[tuple[str, str | None]]:
    """The query keys that a request of this operation has: fixed by its path, or of members it cannot be without."""
    required = [(m.wire, None) for m in operation.input.members if m.required and m.location == "query"]
    return [*((key, value or None) for key, value in operation.query), *required]


def write_modules(model: Model) -> dict[str, str]:
    """The text of each module of operations, by name."""
    grouped: dict[str, list[Operation]] = {}
    for operation in model.operations:
        grouped.setdefault(module_of(operation), []).append(operation)
    return {module: _module(operations) for module, operations in grouped.items()}


def _module(operations: list[Operation]) -> str:
    lines = [line for op in operations for line in (*write_head(op), *write_payload(op), *write_answer(op))]
    names = ", ".join(operation.name for operation in operations)
    return "\n".join((f'"""{names}."""', "", "from __future__ import annotations", "", *_imports(lines), "", *lines))


def _imports(lines: list[str]) -> Iterator[str]:
    used = set(re.findall(r"\w+", "\n".join(lines)))
    for module, names in _IMPORTS.items():
        found = [name for name in names if name in used]
        if found:
            yield f"from {module} import {', '.join(found)}"


def write_operations(model: Model) -> str:
    """The text of `operations.py`."""
    modules = sorted({module_of(operation) for operation in model.operations})
    lines = [
        '"""All operations of S3 by name."""',
        "",
        "from __future__ import annotations",
        "",
        f"from post3tw.api import types, {', '.join(modules)}",
        "from post3tw.api.operation import Operation",
        "from post3tw.api.runtime import no_payload",
        "",
        "OPERATIONS: dict[str, Operation] = {",
        *(line for operation in model.operations for line in _entry(operation)),
        "}",
    ]
    return "\n".join(lines)


def _entry(operation: Operation) -> Iterator[str]:
    module, function, kind = module_of(operation), operation.function, body_kind(operation)
    payload = f"{module}.parse_{function}_payload" if kind == "document" else "no_payload"
    yield f"{operation.name!r}: Operation("
    yield f"name={operation.name!r}, method={operation.method!r}, level={operation.level},"
    yield f"selectors={tuple(selectors(operation))!r}, header={HEADER_SELECTORS.get(operation.name)!r},"
    yield f"input=types.{operation.name}Input, output=types.{operation.name}Output,"
    status = STATUSES.get(operation.name, "")
    yield f"body={kind!r}, status={status if status.isdigit() else operation.status},"
    yield "bindings={"
    yield from (f"{m.attribute!r}: {_binding(m)!r}," for m in input_members(operation.input))
    yield "},"
    yield f"parse_head={module}.parse_{function}, parse_payload={payload},"
    yield f"serialise={module}.serialise_{function},"
    yield "),"


def _binding(member: Member) -> tuple[str, str]:
    return ("payload" if member.location == "body" else member.location), member.wire
