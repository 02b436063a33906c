"""Writes `types.py`: a class for each structure, input and output."""

from __future__ import annotations

from collections.abc import Iterator

from tools.generate_api.facts import LISTED
from tools.generate_api.model import Member, Model, Shape


def annotation(shape: Shape) -> str:
    """The Python type of a value of a shape."""
    if shape.type == "structure":
        return shape.name
    if shape.type == "list":
        return f"{'Sequence' if shape.item.name in LISTED else 'list'}[{annotation(shape.item)}]"
    return {
        "string": "str",
        "integer": "int",
        "long": "int",
        "boolean": "bool",
        "timestamp": "datetime",
        "blob": "bytes",
        "map": "dict[str, str]",
    }[shape.type]


def input_members(shape: Shape) -> list[Member]:
    """The members that an input has: bodies that stream come beside it."""
    return [member for member in shape.members if not member.streaming]


def _field(member: Member) -> str:
    kind = "Any" if member.streaming else f"{annotation(member.shape)} | None"
    hidden = member.streaming or member.shape.sensitive
    default = "field(default=None, repr=False)" if hidden else "None"
    return f"    {member.attribute}: {kind} = {default}"


def _class(name: str, document: str, members: list[Member]) -> Iterator[str]:
    yield "@define(kw_only=True)"
    yield f"class {name}:"
    yield f'    """{document}"""'
    if members:
        yield ""
        yield from (_field(member) for member in members)
    yield ""
    yield ""


def write_types(model: Model) -> str:
    """The text of `types.py`, without the line that says that it is generated."""
    lines = [
        '"""Inputs, outputs and structures of the S3 operations. Every member is None until it is set."""',
        "",
        "from __future__ import annotations",
        "",
        "from collections.abc import Sequence",
        "from datetime import datetime",
        "from typing import Any",
        "",
        "from attrs import define, field",
        "",
        "# -- structures",
        "",
    ]
    for shape in model.structures:
        lines += _class(shape.name, f"The structure {shape.name}.", list(shape.members))
    lines += ["# -- inputs and outputs", ""]
    for operation in model.operations:
        lines += _class(f"{operation.name}Input", f"What {operation.name} is asked.", input_members(operation.input))
        lines += _class(f"{operation.name}Output", f"What {operation.name} answers.", list(operation.output.members))
    return "\n".join(lines)
