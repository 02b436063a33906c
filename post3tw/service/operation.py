"""Declaring an operation: the one place that a new S3 operation touches is its method, decorated here.

    class Objects:
        @operation("s3:PutObject", honours=("content_type", "metadata"), accepts={"acl": ("private",)})
        async def put_object(self, caller, input, body): ...

The S3 name follows from the method's (`put_object` is PutObject). The action is what policies decide on; there is no
default, so an operation without one cannot exist. `honours` lists the members of the input that the method takes into
account; every other member that a client sends is refused with 501 before the method runs: what we do not honour, we do
not accept silently.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from attrs import frozen

from post3tw.model.errors import NotImplementedHere
from post3tw.service.interfaces import Method

Declared = TypeVar("Declared", bound=Method)

ALWAYS_HONOURED = frozenset({"bucket", "key", "expected_bucket_owner", "expected_source_bucket_owner", "request_payer"})
"""Members that the pipeline or the authorization takes care of for every operation."""


@frozen
class Declaration:
    """What `@operation` notes on a method."""

    name: str
    action: str
    honours: frozenset[str]
    accepts: Mapping[str, frozenset[str]]

    def refuse_unhonoured(self, input: object, members: Iterable[str]) -> None:
        """Raise NotImplementedHere for the first of `members` that is set on `input` and not honoured.

        Args:
            input: the operation's typed input.
            members: names to look at, normally those of `unhonoured(type(input))`.
        """
        for member in members:
            value = getattr(input, member)
            if value is None:
                continue
            accepted = self.accepts.get(member)
            if accepted is None or str(getattr(value, "value", value)) not in accepted:
                raise NotImplementedHere(
                    f"{self.name} does not support {member} yet.", operation=self.name, member=member
                )

    def unhonoured(self, members: Iterable[str]) -> tuple[str, ...]:
        """Those of an input's members that this operation does not simply take."""
        return tuple(m for m in members if m not in self.honours and m not in ALWAYS_HONOURED)


def operation(
    action: str, *, honours: Iterable[str] = (), accepts: Mapping[str, Iterable[str]] | None = None
) -> Callable[[Declared], Declared]:
    """Declare a method as the S3 operation of its name.

    Args:
        action: the IAM action that authorises it, such as "s3:PutObject".
        honours: members of the input that the method takes into account (see ALWAYS_HONOURED for those of all).
        accepts: members of which only these values are taken; another value is 501.
    """
    if not action.startswith("s3:"):
        raise ValueError(f"not an S3 action: {action!r}")

    def declare(method: Declared) -> Declared:
        name = "".join(word.capitalize() for word in method.__name__.split("_"))
        values = {member: frozenset(allowed) for member, allowed in (accepts or {}).items()}
        method.declaration = Declaration(name, action, frozenset(honours), values)  # type: ignore[attr-defined]
        return method

    return declare


def operations_of(*nouns: object) -> dict[str, Method]:
    """The declared operations of some objects, as IS3Service.operations() answers them. Two of one name are an
    error."""
    found: dict[str, Method] = {}
    for noun in nouns:
        for attribute in dir(type(noun)):
            declaration = getattr(getattr(type(noun), attribute), "declaration", None)
            if isinstance(declaration, Declaration):
                if declaration.name in found:
                    raise ValueError(f"{declaration.name} is declared twice")
                found[declaration.name] = getattr(noun, attribute)
    return found
