"""The S3 service model, read into the few values that generating needs."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import botocore
from attrs import define, frozen

from tools.generate_api.facts import DROPPED
from tools.generate_api.names import snake

XML_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


@frozen
class Shape:
    """One shape of the model."""

    name: str
    data: dict[str, Any]
    model: Model

    @property
    def type(self) -> str:
        """structure, list, map, string, integer, long, boolean, timestamp or blob."""
        return str(self.data["type"])

    @property
    def sensitive(self) -> bool:
        """Whether a value must not be shown."""
        return bool(self.data.get("sensitive"))

    @property
    def enum(self) -> tuple[str, ...]:
        """The values of an enumeration; empty for any other shape."""
        return tuple(self.data.get("enum", ()))

    @property
    def eventstream(self) -> bool:
        """Whether this is a stream of events, as SelectObjectContent answers."""
        return bool(self.data.get("eventstream"))

    @cached_property
    def members(self) -> tuple[Member, ...]:
        """The members of a structure, in the model's order."""
        required = self.data.get("required", ())
        return tuple(
            Member(name, self.model.shape(data["shape"]), data, name in required)
            for name, data in self.data.get("members", {}).items()
        )

    @property
    def payload(self) -> Member | None:
        """The member of an input or output that is the whole body."""
        name = self.data.get("payload")
        return next((member for member in self.members if member.name == name), None)

    @property
    def item(self) -> Shape:
        """The shape of a list's items."""
        return self.model.shape(self.data["member"]["shape"])

    @property
    def item_tag(self) -> str:
        """The element name of the items of a list that has a wrapping element."""
        return str(self.data["member"].get("locationName", "member"))


@frozen
class Member:
    """A member of a structure."""

    name: str
    shape: Shape
    data: dict[str, Any]
    required: bool

    @property
    def attribute(self) -> str:
        """Its name in Python."""
        return snake(self.name)

    @property
    def wire(self) -> str:
        """Its header, query key, prefix, or element."""
        name = self.data.get("locationName")
        if name is None and self.shape.type == "list" and self.flattened:
            name = self.shape.data["member"].get("locationName")
        return str(name or self.name)

    @property
    def location(self) -> str:
        """header, headers, query, uri, or body."""
        location = str(self.data.get("location", "body"))
        return "query" if location == "querystring" else location

    @property
    def streaming(self) -> bool:
        """Whether bytes flow here instead of being a value."""
        return bool(self.data.get("streaming")) or self.shape.eventstream

    @property
    def flattened(self) -> bool:
        """Whether the items of a list are children of the structure itself, without a wrapping element."""
        return bool(self.data.get("flattened") or self.shape.data.get("flattened"))

    @property
    def xml_attribute(self) -> bool:
        """Whether this is an attribute of the element (only xsi:type is)."""
        return bool(self.data.get("xmlAttribute"))

    @property
    def timestamp_format(self) -> str:
        """iso8601 or rfc822 (a date of HTTP)."""
        written = self.data.get("timestampFormat") or self.shape.data.get("timestampFormat")
        if written:
            return str(written)
        return "rfc822" if self.location in ("header", "headers") else "iso8601"


@frozen
class Operation:
    """One operation."""

    name: str
    method: str
    level: int
    query: tuple[tuple[str, str], ...]
    status: int
    input: Shape
    output: Shape

    @property
    def function(self) -> str:
        """Its name in Python."""
        return snake(self.name)


@define
class Model:
    """The whole model. Its operations are without those that have a successor with the same route."""

    version: str
    data: dict[str, Any]
    _shapes: dict[str, Shape]

    @classmethod
    def of_botocore(cls) -> Model:
        """The model of the botocore that is installed."""
        folder = Path(botocore.__file__).parent / "data" / "s3" / "2006-03-01"
        data = json.loads(gzip.decompress((folder / "service-2.json.gz").read_bytes()))
        return cls(botocore.__version__, data, {})

    def shape(self, name: str) -> Shape:
        """A shape by its name."""
        if name not in self._shapes:
            self._shapes[name] = Shape(name, self.data["shapes"][name], self)
        return self._shapes[name]

    @cached_property
    def operations(self) -> tuple[Operation, ...]:
        """All operations by name."""
        return tuple(self._operation(name) for name in sorted(self.data["operations"]) if name not in DROPPED)

    def _operation(self, name: str) -> Operation:
        data = self.data["operations"][name]
        path, _, query = data["http"]["requestUri"].partition("?")
        pairs = [pair.partition("=") for pair in query.split("&") if pair]
        return Operation(
            name=name,
            method=data["http"]["method"],
            level=2 if "{Key+}" in path else 1 if "{Bucket}" in path else 0,
            query=tuple((key, value) for key, _, value in pairs),
            status=data["http"].get("responseCode", 200),
            input=self._io(data, "input"),
            output=self._io(data, "output"),
        )

    def _io(self, data: dict[str, Any], which: str) -> Shape:
        if which in data:
            return self.shape(data[which]["shape"])
        return Shape("", {"type": "structure", "members": {}}, self)

    @cached_property
    def structures(self) -> tuple[Shape, ...]:
        """All structures that inputs and outputs are made of, by name."""
        return structures_in(shape for operation in self.operations for shape in (operation.input, operation.output))


def structures_in(shapes: Iterable[Shape]) -> tuple[Shape, ...]:
    """The structures inside of inputs or outputs, by name, without these themselves."""
    found: dict[str, Shape] = {}
    waiting = list(shapes)
    while waiting:
        for member in waiting.pop().members:
            inner = member.shape.item if member.shape.type == "list" else member.shape
            if inner.type == "structure" and not inner.eventstream and inner.name not in found:
                found[inner.name] = inner
                waiting.append(inner)
    return tuple(found[name] for name in sorted(found))
