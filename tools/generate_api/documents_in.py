"""Writes `documents_in.py`, what reads structures from XML, and for each operation its `parse_x_payload`."""

from __future__ import annotations

from tools.generate_api.enums import constant
from tools.generate_api.facts import MALFORMED_WHEN_EMPTY, OPEN, OPTIONAL_BODY
from tools.generate_api.model import Member, Model, Operation, Shape, structures_in
from tools.generate_api.names import snake
from tools.generate_api.types import annotation


def value(shape: Shape, element: str, module: str = "") -> str:
    """The expression that reads a value that is not a list from an element; `module` is before a `read_` function."""
    if shape.type == "structure":
        return f"{module}read_{snake(shape.name)}({element})"
    if shape.type in ("integer", "long"):
        return f"element_integer({element}, {64 if shape.type == 'long' else 32})"
    if shape.type in ("boolean", "timestamp"):
        return f"element_{'boolean' if shape.type == 'boolean' else 'date'}({element})"
    if shape.enum and shape.name not in OPEN:
        return f"one_of({element}.text, enums.{constant(shape)})"
    return f"{element}.text"


def write_documents_in(model: Model) -> str:
    """The text of `documents_in.py`."""
    lines = [
        '"""Structures of requests, read from XML. What the model does not know is skipped."""',
        "",
        "from __future__ import annotations",
        "",
        "from post3tw.api import enums, types",
        "from post3tw.api.runtime import children_of, element_boolean, element_date, element_integer, one_of",
        "from post3tw.model.errors import MalformedXML",
        "from post3tw.wire.xml import Element",
        "",
    ]
    for shape in structures_in(operation.input for operation in model.operations):
        lines += [
            "",
            f"def read_{snake(shape.name)}(element: Element) -> types.{shape.name}:",
            f"    value = types.{shape.name}()",
            *members_from_element(list(shape.members), "value"),
            "    return value",
            "",
        ]
    return "\n".join(lines)


def members_from_element(members: list[Member], target: str, module: str = "") -> list[str]:
    """The statements that set members of `target` from `element` and check that the required ones are there."""
    flattened = [member for member in members if member.shape.type == "list" and member.flattened]
    lines = [f"    {member.attribute}: {_list_type(member)} = []" for member in flattened]
    branches: list[str] = []
    for member in members:
        if member.xml_attribute:
            text = f"element.attributes.get({member.wire!r})"
            lines.append(f"    {target}.{member.attribute} = one_of({text}, enums.{constant(member.shape)})")
        else:
            branches.append(f"{'elif' if branches else 'if'} child.name == {member.wire!r}:")
            branches.append(f"    {_set(member, target, module)}")
    if branches:
        repeated = "".join(f", {member.wire!r}" for member in flattened)
        lines += [f"    for child in children_of(element{repeated}):", *(f"        {line}" for line in branches)]
    for member in flattened:
        lines += [f"    if {member.attribute}:", f"        {target}.{member.attribute} = {member.attribute}"]
    required = [m for m in members if m.required and not m.xml_attribute]
    if required:
        condition = " or ".join(f"{target}.{member.attribute} is None" for member in required)
        lines += [f"    if {condition}:", "        raise MalformedXML()"]
    return lines


def _list_type(member: Member) -> str:
    item = member.shape.item
    return f"list[types.{item.name}]" if item.type == "structure" else f"list[{annotation(item)}]"


def _set(member: Member, target: str, module: str) -> str:
    if member.shape.type != "list":
        return f"{target}.{member.attribute} = {value(member.shape, 'child', module)}"
    item = member.shape.item
    if member.flattened:
        return f"{member.attribute}.append({value(item, 'child', module)})"
    items = f"for item in child.children if item.name == {member.shape.item_tag!r}"
    return f"{target}.{member.attribute} = [{value(item, 'item', module)} {items}]"


def write_payload(operation: Operation) -> list[str]:
    """The function that parses one operation's document; nothing when it has none."""
    if body_kind(operation) != "document":
        return []
    lines = ["", f"def parse_{operation.function}_payload(input: types.{operation.name}Input, body: bytes) -> None:"]
    if operation.name in OPTIONAL_BODY:
        lines += ["    if not body:", "        return"]
    if operation.name in MALFORMED_WHEN_EMPTY:
        lines += ["    if not body:", "        raise MalformedXML()"]
    payload = operation.input.payload
    if payload is None:
        lines.append(f"    element = read_root(body, {operation.input.name!r})")
        lines += members_from_element(body_members(operation.input), "input", "documents_in.")
    elif payload.shape.type == "structure":
        root = f"read_root(body, {payload.wire!r})"
        lines.append(f"    input.{payload.attribute} = {value(payload.shape, root, 'documents_in.')}")
    else:
        lines.append(f"    input.{payload.attribute} = read_text_body(body)")
    return [*lines, ""]


def body_members(shape: Shape) -> list[Member]:
    """The members of an input or output that are in its body."""
    return [member for member in shape.members if member.location == "body"]


def body_kind(operation: Operation) -> str:
    """none, document or stream."""
    members = body_members(operation.input)
    if not members:
        return "none"
    return "stream" if members[0].streaming else "document"
