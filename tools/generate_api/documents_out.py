"""Writes `documents_out.py`, what writes structures as XML."""

from __future__ import annotations

from collections.abc import Iterator

from tools.generate_api.facts import LISTED
from tools.generate_api.model import Member, Model, Shape, structures_in
from tools.generate_api.names import snake


def write_documents_out(model: Model) -> str:
    """The text of `documents_out.py`."""
    lines = [
        '"""Structures of answers, written as XML: each function puts the inside of an element, piece by piece."""',
        "",
        "from __future__ import annotations",
        "",
        "from collections.abc import Callable",
        "",
        "from post3tw.api import types",
        "from post3tw.api.runtime import escape_etag",
        "from post3tw.api.table import Shape, booleans, dates, numbers",
        "from post3tw.wire.dates import iso8601_of",
        "from post3tw.wire.xml import escape, escape_each",
        "",
        "Put = Callable[[str], None]",
        "",
    ]
    for shape in structures_in(operation.output for operation in model.operations):
        inside = [member for member in shape.members if not member.xml_attribute]
        lines += [
            "",
            f"def write_{snake(shape.name)}(value: types.{shape.name}, put: Put) -> None:",
            *(f"    {line}" for line in members_to_elements(inside, "value", "")),
            *([] if inside else ["    return"]),
            "",
            *_table(shape),
        ]
    return "\n".join(lines)


def _table(shape: Shape) -> Iterator[str]:
    """How a structure is written by the column."""
    if shape.name in LISTED:
        yield f"{snake(shape.name).upper()} = Shape("
        yield f"types.{shape.name}, write_{snake(shape.name)}, ("
        for member in shape.members:
            yield f"({member.attribute!r}, {member.wire!r}, {_BY_THE_COLUMN.get(member.shape.type)}),"
        yield "))"
        yield ""


_BY_THE_COLUMN = {
    "string": "escape_each",
    "integer": "numbers",
    "long": "numbers",
    "boolean": "booleans",
    "timestamp": "dates",
}


def members_to_elements(members: list[Member], source: str, module: str) -> Iterator[str]:
    """The statements that put those members of `source` that are set; `module` is before each `write_` function."""
    for member in members:
        expression = f"{source}.{member.attribute}"
        yield f"if {expression} is not None:"
        yield from (f"    {line}" for line in _element(member, expression, module))


def _element(member: Member, expression: str, module: str) -> Iterator[str]:
    shape = member.shape
    if shape.type != "list":
        yield from _single(shape, member.wire, expression, module)
        return
    item = f"{member.attribute}_item"
    tag = member.wire if member.flattened else shape.item_tag
    if member.flattened and shape.item.name in LISTED:
        yield f'put_list("{tag}", {expression}, {module}{snake(shape.item.name).upper()}, put)'
        return
    if not member.flattened:
        yield f'put("<{member.wire}>")'
    yield f"for {item} in {expression}:"
    yield from (f"    {line}" for line in _single(shape.item, tag, item, module))
    if not member.flattened:
        yield f'put("</{member.wire}>")'


def _single(shape: Shape, tag: str, expression: str, module: str) -> Iterator[str]:
    if shape.type == "structure":
        yield from _open(shape, tag, expression)
        yield f"{module}write_{snake(shape.name)}({expression}, put)"
        yield f'put("</{tag}>")'
    elif shape.type == "boolean":
        yield f'put("<{tag}>true</{tag}>" if {expression} else "<{tag}>false</{tag}>")'
    else:
        yield f'put(f"<{tag}>{{{text(shape, expression)}}}</{tag}>")'


def _open(shape: Shape, tag: str, expression: str) -> Iterator[str]:
    attribute = next((member for member in shape.members if member.xml_attribute), None)
    if attribute is None:
        yield f'put("<{tag}>")'
        return
    namespace = shape.data["xmlNamespace"]
    yield f'{attribute.attribute} = escape({expression}.{attribute.attribute} or "")'
    declared = f'xmlns:{namespace["prefix"]}="{namespace["uri"]}"'
    yield f"""put(f'<{tag} {declared} {attribute.wire}="{{{attribute.attribute}}}">')"""


def text(shape: Shape, expression: str) -> str:
    """The expression for the text of a value in a document."""
    if shape.type in ("integer", "long"):
        return expression
    if shape.type == "timestamp":
        return f"iso8601_of({expression})"
    return f"escape_etag({expression})" if shape.name == "ETag" else f"escape({expression})"
