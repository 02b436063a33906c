"""Every operation as botocore sends it arrives as the operation and the parameters that it was."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote

import attrs
from botocore.handlers import escape_xml_payload
from botocore.serialize import create_serializer
from twisted.trial.unittest import SynchronousTestCase

from post3tw.api.operation import Operation
from post3tw.api.operations import OPERATIONS
from post3tw.api.routes import NOT_ROUTED, route
from tests.api.samples import MODEL, NAMES, WHOLE_SECONDS, Sampler, attributes

_SERIALIZER = create_serializer("rest-xml", include_validation=False)


class Received:
    """A request as our protocol layer hands it on."""

    def __init__(self, name: str, parameters: dict[str, Any]) -> None:
        request = _SERIALIZER.serialize_to_request(parameters, MODEL.operation_model(name))
        if request["body"].startswith(b"<"):
            escape_xml_payload(request)
        path, _, query = request["url_path"].partition("?")
        _, bucket, key = (*path.split("/", 2), "")[:3]
        self.method = request["method"]
        self.bucket, self.key = unquote(bucket) or None, unquote(key) or None
        self.query = dict(parse_qsl(query, keep_blank_values=True))
        self.query.update((key, str(value)) for key, value in request["query_string"].items())
        self.headers = {name.lower(): str(value) for name, value in request["headers"].items()}
        self.body = request["body"]
        self.level = 2 if self.key else 1 if self.bucket else 0

    def route(self) -> Operation:
        """The operation that this is."""
        return route(self.method, self.level, self.query, self.headers)

    def parse(self, operation: Operation) -> Any:
        """The input that this is."""
        input = operation.parse_head(self.bucket, self.key, self.query, self.headers)
        if operation.body == "document":
            operation.parse_payload(input, self.body)
        return input


class RequestTests(SynchronousTestCase):
    """Each operation with all members, with only those it needs, and with some."""

    # Not routed: ListDirectoryBuckets and WriteGetObjectResponse, which have a host of their own at AWS; on ours they
    # collide with ListBuckets and with a bucket's name. Their heads are parsed all the same.
    # Not compared: bodies that stream; they come beside the input.

    def _check(self, name: str, share: float) -> None:
        shape = MODEL.operation_model(name).input_shape
        parameters = Sampler(f"{name} {share}", share, WHOLE_SECONDS).structure(shape) if shape else {}
        received = Received(name, parameters)
        operation = OPERATIONS[name]
        if name not in NOT_ROUTED:
            self.assertIs(received.route(), operation)
        expected = attributes(parameters, shape) if shape else {}
        self.assertEqual(attrs.asdict(received.parse(operation)), expected, name)

    def test_all_members(self) -> None:
        """An operation with every member set is parsed to the same members."""
        for name in NAMES:
            self._check(name, 1.0)

    def test_required_members(self) -> None:
        """An operation with only its required members is parsed to these, and None for the rest."""
        for name in NAMES:
            if OPERATIONS[name].body != "document" or name in ("CreateBucket", "PutBucketAcl", "PutObjectAcl"):
                self._check(name, 0.0)

    def test_some_members(self) -> None:
        """An operation with any choice of members is parsed to these."""
        for name in NAMES:
            if OPERATIONS[name].body != "document":
                for share in (0.2, 0.5, 0.8):
                    self._check(name, share)

    def test_some_members_of_documents(self) -> None:
        """A document with any choice of members inside is parsed to these."""
        for name in NAMES:
            shape = MODEL.operation_model(name).input_shape
            if OPERATIONS[name].body == "document":
                for share in (0.3, 0.6):
                    sampler = Sampler(f"{name} {share}", share, WHOLE_SECONDS)
                    parameters = Sampler(name, 1.0, WHOLE_SECONDS).structure(shape)
                    payload = shape.serialization.get("payload")
                    if payload is not None and shape.members[payload].type_name == "structure":
                        parameters[payload] = sampler.structure(shape.members[payload])
                    received = Received(name, parameters)
                    self.assertEqual(
                        attrs.asdict(received.parse(OPERATIONS[name])),
                        attributes(parameters, shape),
                        (name, parameters),
                    )

    def test_every_operation_is_there(self) -> None:
        """The table holds every operation of the model but the deprecated twins, with every member of its input."""
        self.assertEqual(sorted(OPERATIONS), NAMES)
        for name, operation in OPERATIONS.items():
            shape = MODEL.operation_model(name).input_shape
            expected = attributes({}, shape) if shape else {}
            self.assertEqual(list(operation.members), list(expected), name)
            self.assertEqual([field.name for field in attrs.fields(operation.input)], list(expected), name)
