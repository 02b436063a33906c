"""Declaring operations."""

from __future__ import annotations

from typing import Any

from attrs import frozen
from twisted.internet.defer import ensureDeferred
from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.errors import NotImplementedHere
from post3tw.service.operation import Declaration, operation, operations_of


class Things:
    """A noun with one operation."""

    @operation("s3:GetThing", honours=("colour",), accepts={"acl": ("private",), "locked": ("False",)})
    async def get_thing(self, caller: object, input: object) -> str:
        """Some operation."""
        return "thing"


@frozen
class ThingInput:
    """Input of GetThing."""

    colour: str | None = None
    acl: str | None = None
    locked: bool | None = None
    weight: int | None = None


class OperationTests(SynchronousTestCase):
    """The decorator and what is read from it."""

    def declaration(self) -> Declaration:
        """What was declared."""
        found: Any = Things.get_thing
        declaration: Declaration = found.declaration
        return declaration

    def refuse(self, **members: Any) -> None:
        """Check an input with these members set."""
        declaration = self.declaration()
        declaration.refuse_unhonoured(
            ThingInput(**members), declaration.unhonoured(["bucket", "colour", "acl", "locked", "weight"])
        )

    def test_name_follows_the_method(self) -> None:
        """get_thing is GetThing, found on an instance."""
        operations = operations_of(Things())
        self.assertEqual(list(operations), ["GetThing"])
        self.assertEqual(self.successResultOf(ensureDeferred(operations["GetThing"](None, None))), "thing")

    def test_twice(self) -> None:
        """Two nouns cannot have the same operation."""
        self.assertRaises(ValueError, operations_of, Things(), Things())

    def test_action_is_required(self) -> None:
        """An operation cannot be declared without an S3 action."""
        self.assertRaises(TypeError, operation)
        self.assertRaises(ValueError, operation, "PutObject")

    def test_honoured_members_pass(self) -> None:
        """Members that are honoured, accepted values and absent members pass."""
        self.refuse(colour="red", acl="private", locked=False)

    def test_unhonoured_members_are_refused(self) -> None:
        """A member that is not honoured, or a value that is not accepted, is refused and named."""
        refused: list[dict[str, Any]] = [{"weight": 0}, {"acl": "public-read"}, {"locked": True}]
        for members in refused:
            error = self.assertRaises(NotImplementedHere, self.refuse, **members)
            self.assertEqual(error.details["member"], next(iter(members)))
