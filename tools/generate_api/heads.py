"""Writes what reads a request's head: for each operation its tables of query keys and headers, and `parse_x`."""

from __future__ import annotations

from tools.generate_api.enums import constant
from tools.generate_api.facts import CHOICE_MESSAGES, CHOICE_READERS, INTEGERS, LENIENT_DATES, OPEN
from tools.generate_api.model import Member, Operation
from tools.generate_api.types import input_members


def reader(member: Member) -> str | None:
    """The expression that reads a member from the text of a header or of a query value; None for text as it is."""
    shape = member.shape
    if shape.type == "list":
        return _choice("choices", shape.item.name, constant(shape.item))
    if shape.type in ("integer", "long"):
        return INTEGERS.get(shape.name, "integer(bits=64)" if shape.type == "long" else "integer()")
    if shape.type == "boolean":
        return "boolean"
    if shape.type == "timestamp":
        return "lenient_date" if member.wire in LENIENT_DATES else "date"
    if shape.enum and shape.name not in OPEN:
        return _choice(CHOICE_READERS.get(shape.name, "choice"), shape.name, constant(shape))
    return "header_text" if member.wire.startswith("response-") else None


def _choice(function: str, name: str, values: str) -> str:
    message = CHOICE_MESSAGES.get(name)
    return f"{function}(enums.{values}, {message!r})" if message else f"{function}(enums.{values})"


def _table(name: str, members: list[Member], *, lower: bool) -> list[str]:
    entries = [
        f"{(member.wire.lower() if lower else member.wire)!r}: ({member.attribute!r}, {reader(member)}),"
        for member in members
    ]
    return [f"{name}: MemberTable = {{", *entries, "}"]


def write_head(operation: Operation) -> list[str]:
    """The tables and the function that parse one operation's head."""
    members = input_members(operation.input)
    by_location = {
        where: [m for m in members if m.location == where] for where in ("uri", "query", "header", "headers")
    }
    tables: list[str] = []
    lines = [
        "",
        f"def parse_{operation.function}(",
        "    bucket: str | None, key: str | None, query: Mapping[str, str], headers: Mapping[str, str]",
        f") -> types.{operation.name}Input:",
        f"    input = types.{operation.name}Input({', '.join(_from_path(member) for member in by_location['uri'])})",
    ]
    for where, source in (("query", "query"), ("header", "headers")):
        if by_location[where]:
            table = f"_{operation.function.upper()}_{source.upper()}"
            tables += _table(table, by_location[where], lower=where == "header")
            lines.append(f"    read_members(input, {source}, {table})")
    lines += [f"    input.{member.attribute} = read_metadata(headers)" for member in by_location["headers"]]
    for member in members:
        if member.required and member.location in ("query", "header"):
            lines.append(f"    if input.{member.attribute} is None:")
            lines.append(f"        raise missing_{member.location}({member.wire!r})")
    return [*tables, *lines, "    return input", ""]


def _from_path(member: Member) -> str:
    return f"{member.attribute}={'bucket' if member.name == 'Bucket' else 'key'}"
