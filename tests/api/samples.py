"""Parameters for every operation, made from the shapes of botocore's model: always the same ones for the same seed."""

from __future__ import annotations

import gzip
import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import botocore
from botocore.model import ServiceModel

from tools.generate_api.facts import DROPPED
from tools.generate_api.names import snake

WHOLE_SECONDS = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
"""What headers and botocore's requests can say."""

MILLISECONDS = WHOLE_SECONDS.replace(microsecond=678_000)
"""What documents of answers can say."""


def _service_model() -> ServiceModel:
    """The model as it is on the wire: without botocore's own addition that Expires is a date for Python."""
    path = Path(botocore.__file__).parent / "data" / "s3" / "2006-03-01" / "service-2.json.gz"
    return ServiceModel(json.loads(gzip.decompress(path.read_bytes())), "s3")


MODEL = _service_model()
NAMES = sorted(set(MODEL.operation_names) - DROPPED)


class Sampler:
    """Makes values of shapes.

    Args:
        seed: where the choices start.
        share: the part of the optional members that is set.
        moment: the value of dates in documents.
    """

    def __init__(self, seed: str, share: float, moment: datetime) -> None:
        self._random = random.Random(seed)
        self._share = share
        self._moment = moment

    def structure(self, shape: Any, *, streaming: bool = False) -> dict[str, Any]:
        """Values for the members of a structure by their names in the model; bodies that stream are left out."""
        names = [
            name for name in shape.members if name in shape.required_members or self._random.random() < self._share
        ]
        if getattr(shape, "is_tagged_union", False):
            names = [self._random.choice(list(shape.members))]
        members = {name: shape.members[name] for name in names}
        return {
            name: self._value(member, name)
            for name, member in members.items()
            if not member.serialization.get("streaming") and not member.serialization.get("eventstream")
        }

    def _value(self, shape: Any, name: str) -> Any:
        location = shape.serialization.get("location")
        if shape.type_name == "structure":
            return self.structure(shape)
        if shape.type_name == "list":
            return [self._value(shape.member, name) for _ in range(self._random.randint(1, 3))]
        if shape.type_name == "map":
            return {"first": "one two", "second": "2"}
        if shape.type_name == "timestamp":
            return WHOLE_SECONDS if location else self._moment
        if shape.type_name == "boolean":
            return self._random.random() < 0.5
        if shape.type_name in ("integer", "long"):
            return self._random.randint(1, 1000 if location else 2**31 - 1)
        if shape.enum:
            return self._random.choice(shape.enum)
        return self._text(name, location)

    def _text(self, name: str, location: str | None) -> str:
        number = self._random.randint(0, 999)
        if name == "ETag":
            return f'"{number:032x}"'
        if name == "Bucket" and location == "uri":
            return f"bucket-{number}"
        if location in ("header", None):
            return f"{name}-{number}" if location else f'{name} <{number}> & "é"\r\n\t' + "\U0001f600"
        return f"{name}/ü +%/{number}"


def attributes(value: Any, shape: Any) -> Any:
    """A value of the model as attrs.asdict gives it of ours: with our names, and None for nothing."""
    if value is None:
        return None
    if shape.type_name == "list":
        return [attributes(item, shape.member) for item in value]
    if shape.type_name != "structure":
        return value
    return {
        snake(name): attributes(value.get(name), member)
        for name, member in shape.members.items()
        if not member.serialization.get("streaming") and not member.serialization.get("eventstream")
    }


def instance(cls: type, value: dict[str, Any], shape: Any) -> Any:
    """A value of the model as an instance of the class of ours for it."""
    from post3tw.api import types

    def convert(item: Any, inner: Any) -> Any:
        if inner.type_name == "structure":
            return instance(getattr(types, inner.name), item, inner)
        if inner.type_name == "list":
            return [convert(part, inner.member) for part in item]
        return item

    return cls(**{snake(name): convert(item, shape.members[name]) for name, item in value.items()})
