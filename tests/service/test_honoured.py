"""What is in the S3 model and not honoured answers 501, never silence: enumerated from the model."""

from __future__ import annotations

from typing import Any

from attrs import fields
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from post3tw.api.operation import Operation
from post3tw.api.operations import OPERATIONS
from post3tw.model.errors import DomainError, NotImplementedHere
from post3tw.model.identity import Caller
from post3tw.service.authorization import AuthorizedService
from post3tw.service.local import local_service
from post3tw.service.operation import ALWAYS_HONOURED, Declaration
from tests.service.stores import OWNER, make_bucket, make_store


class _Anything:
    """A value that no operation expects. It is never looked into, because it is refused before."""


def declaration_of(method: Any) -> Declaration:
    """What was declared on an operation's method."""
    found: Declaration = method.declaration
    return found


class HonouredTests(TestCase):
    """Every member of every operation is honoured, accepted with some values, or refused."""

    async def setUp(self) -> None:  # type: ignore[override]
        """The whole service over a store with one bucket."""
        self.store = await make_store(self)
        self.bucket = await make_bucket(self.store)
        self.service: AuthorizedService = local_service(self.store)

    def declarations(self) -> list[tuple[Operation, Declaration]]:
        """Every operation there is, with what it honours."""
        return [(OPERATIONS[name], declaration_of(method)) for name, method in self.service.operations().items()]

    async def outcome(self, operation: Operation, member: str, value: Any) -> type[BaseException] | None:
        """The error of an input with one member set, from admission or, for a document, from the call."""
        input = operation.input()
        for name in ("bucket", "key"):
            if name in operation.members:
                setattr(input, name, self.bucket.name)
        if "copy_source" in operation.members and member != "copy_source":
            input.copy_source = f"{self.bucket.name}/key"
        of_document = operation.bindings[member][0] == "payload"
        if not of_document:
            setattr(input, member, value)
        caller = Caller(OWNER)
        try:
            await self.service.admit(caller, operation.name, input)
            if of_document:  # which is read after the admission
                setattr(input, member, value)
                await Deferred.fromCoroutine(self.service.operations()[operation.name](caller, input))
        except DomainError as error:
            return type(error)
        return None

    async def test_everything_else_is_refused(self) -> None:
        """A member that an operation does not honour is refused, whatever its value, and so are values not accepted."""
        refused = 0
        for operation, declaration in self.declarations():
            for member in operation.members:
                if member in declaration.honours or member in ALWAYS_HONOURED:
                    continue
                error = await self.outcome(operation, member, _Anything())
                self.assertIs(error, NotImplementedHere, f"{operation.name}.{member}")
                refused += 1
        self.assertGreater(refused, 50)

    async def test_accepted_values_are_taken(self) -> None:
        """The values that are accepted of a member are not refused."""
        for operation, declaration in self.declarations():
            for member, values in declaration.accepts.items():
                for value in values:
                    error = await self.outcome(operation, member, value)
                    self.assertIsNot(error, NotImplementedHere, f"{operation.name}.{member}={value}")

    def test_declarations_name_members(self) -> None:
        """What an operation honours or accepts are members of its input: a misspelt one would never be."""
        for operation, declaration in self.declarations():
            members = {attribute.name for attribute in fields(operation.input)}
            self.assertLessEqual({*declaration.honours, *declaration.accepts}, members, operation.name)

    def test_actions(self) -> None:
        """Every operation declares the action that policies decide on."""
        for operation, declaration in self.declarations():
            self.assertRegex(declaration.action, "^s3:[A-Z][A-Za-z]+$", operation.name)
