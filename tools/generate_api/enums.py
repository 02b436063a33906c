"""Writes `enums.py`: the values of each enumeration."""

from __future__ import annotations

from tools.generate_api.facts import MORE_VALUES
from tools.generate_api.model import Model, Shape
from tools.generate_api.names import snake


def constant(shape: Shape) -> str:
    """The name of an enumeration's set of values."""
    return snake(shape.name).upper()


def enumerations(model: Model) -> list[Shape]:
    """All enumerations that members of inputs, outputs and structures have, by name."""
    found: dict[str, Shape] = {}
    everything = [*model.structures, *(shape for op in model.operations for shape in (op.input, op.output))]
    for member in (member for shape in everything for member in shape.members):
        inner = member.shape.item if member.shape.type == "list" else member.shape
        if inner.enum:
            found[inner.name] = inner
    return [found[name] for name in sorted(found)]


def write_enums(model: Model) -> str:
    """The text of `enums.py`."""
    lines = [
        '"""The values of each enumeration of the model, by its name."""',
        "",
        "from __future__ import annotations",
        "",
    ]
    for shape in enumerations(model):
        values = dict.fromkeys((*shape.enum, *MORE_VALUES.get(shape.name, ())))
        lines.append(f"{constant(shape)} = frozenset({{{', '.join(map(repr, values))}}})")
    return "\n".join(lines)
