"""A policy, understood: its statements, and whom and what each is about.

Everything that does not depend on the request is worked out when the policy is read: the actions of a statement are a
set of names, and a policy knows for each action which statements can be about it. What is left for a request is who
asks, for which resource, and the conditions of those few.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from attrs import define, field, frozen

from post3tw.model.identity import Identity
from post3tw.service.policy.conditions import Condition, all_hold
from post3tw.service.policy.variables import Pattern, Values
from post3tw.service.policy.wildcards import Wildcard


class Effect(Enum):
    """What a statement does to the requests that it is about."""

    ALLOW = "Allow"
    DENY = "Deny"


def arn_of(identity: Identity) -> str:
    """The ARN that policies name a user by; its account is the user's tenant."""
    return f"arn:aws:iam::{identity.tenant}:user/{identity.user_id}"


@frozen
class Principals:
    """Who a statement of a bucket policy is about.

    Attributes:
        everyone: everybody, anonymous callers included (`"*"`).
        arns: single principals.
        accounts: tenants all of whose users are meant (`arn:aws:iam::TENANT:root`, or the tenant's name alone).
        users: canonical user ids.
        others: names of services and federations; nobody who calls is one of them.
        negated: NotPrincipal: everybody is meant but those who are named.
    """

    everyone: bool = False
    arns: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()
    negated: bool = False

    def include(self, identity: Identity | None) -> bool:
        """Whether a caller is meant; None is the anonymous one."""
        return self._name(identity) is not self.negated

    def _name(self, identity: Identity | None) -> bool:
        if self.everyone or identity is None:
            return self.everyone
        return identity.tenant in self.accounts or identity.user_id in self.users or arn_of(identity) in self.arns


ARN_PREFIX: Final = "arn:aws:s3:::"
"""What resources are named by; after it stand the bucket, and `/key` for an object."""


def resource_arn(bucket: str, key: str | None = None) -> str:
    """The ARN of a bucket (its name without the tenant), or of a key in it."""
    return f"{ARN_PREFIX}{bucket}" if key is None else f"{ARN_PREFIX}{bucket}/{key}"


@frozen
class Resource:
    """One pattern of a statement's Resource; `account` is what it says about the bucket's tenant, None for nothing."""

    pattern: Pattern
    account: Wildcard | None = None

    @property
    def by_beginning(self) -> bool:
        """Whether it means just what begins with its pattern's beginning, in whichever tenant."""
        return self.account is None and self.pattern.by_beginning

    def covers(self, arn: str, tenant: str, values: Values) -> bool:
        """Whether a bucket or object, by ARN and tenant, is meant."""
        return self.pattern.matches(arn, values) and (self.account is None or self.account.matches(tenant))


@frozen
class Statement:
    """One statement.

    Attributes:
        number: its place in the policy, counted from 1.
        sid: the author's name for it, or empty.
        effect: whether it allows or denies.
        actions: what may be asked for, all names spelt out, NotAction as the rest of them.
        principals: who may ask; None in a policy that is attached to somebody.
        resources: for what.
        resources_negated: NotResource: everything is meant but those.
        conditions: what must hold besides.
        beginnings: one of them begins whatever the statement covers, so that most statements are seen at once to be
            about something else.
        by_beginning: whether, the other way round, it means every resource that one of them begins.
        unconditional: whether it covers those without further conditions.
    """

    number: int
    sid: str
    effect: Effect
    actions: frozenset[str] = field(repr=False)
    principals: Principals | None
    resources: tuple[Resource, ...]
    resources_negated: bool
    conditions: tuple[Condition, ...]
    beginnings: tuple[str, ...] = field(init=False, repr=False, eq=False)
    by_beginning: bool = field(init=False, repr=False, eq=False)
    unconditional: bool = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        found = ("",) if self.resources_negated else tuple(resource.pattern.beginning for resource in self.resources)
        object.__setattr__(self, "beginnings", found)
        by_beginning = not self.resources_negated and all(resource.by_beginning for resource in self.resources)
        object.__setattr__(self, "by_beginning", by_beginning)
        object.__setattr__(self, "unconditional", by_beginning and not self.conditions)

    def includes(self, identity: Identity | None) -> bool:
        """Whether the statement is about a caller, None for the anonymous one."""
        return self.principals is None or self.principals.include(identity)

    def covers(self, arn: str, tenant: str, values: Values) -> bool:
        """Whether the statement, which has the action and includes the caller, is about a request.

        Args:
            arn: for what (see resource_arn).
            tenant: the tenant of the bucket.
            values: the request's values of condition keys.

        Raises:
            Unread: that depends on what was not read.
        """
        if self.by_beginning:
            return arn.startswith(self.beginnings) and all_hold(self.conditions, values)
        covered = False
        for resource in self.resources:
            if resource.covers(arn, tenant, values):
                covered = True
                break
        return covered is not self.resources_negated and all_hold(self.conditions, values)

    def __str__(self) -> str:
        return f"statement {self.number} ({self.sid})" if self.sid else f"statement {self.number}"


MAX_KEPT: Final = 1024
"""Pairs of caller and action for which a policy remembers its statements."""
MAX_BEGINNINGS: Final = 8192
"""Beginnings by which it remembers them, of all pairs together: a policy may have nearly a thousand."""


@define(eq=False)
class Candidates:
    """Statements in the policy's order that may be about a request, as they have its effect, its action and who asks.

    For which resource differs from request to request. By its beginning those are found that can cover it: of a policy
    with a statement for each of many prefixes only the one or two of its own are looked at.
    """

    statements: tuple[Statement, ...]
    _by_beginning: dict[str, tuple[Statement, ...]] = field(factory=dict, init=False)
    _lengths: tuple[int, ...] = field(init=False)
    """Of the beginnings."""
    size: int = field(default=0, init=False)
    """How many beginnings the statements have, each with its own."""

    def __attrs_post_init__(self) -> None:
        for statement in self.statements:
            beginnings = dict.fromkeys(statement.beginnings)
            self.size += len(beginnings)
            for beginning in beginnings:
                self._by_beginning[beginning] = (*self._by_beginning.get(beginning, ()), statement)
        self._lengths = tuple(sorted({len(beginning) for beginning in self._by_beginning}))

    def begun(self, resource: str) -> tuple[Statement, ...]:
        """Those of which a beginning begins the resource; the others do not cover it."""
        found: tuple[Statement, ...] = ()
        for length in self._lengths:
            more = self._by_beginning.get(resource[:length])
            if more is not None:
                found = self._in_order(found, more) if found else more
        return found

    def _in_order(self, some: tuple[Statement, ...], others: tuple[Statement, ...]) -> tuple[Statement, ...]:
        wanted = {id(statement) for statement in (*some, *others)}
        return tuple(statement for statement in self.statements if id(statement) in wanted)


@frozen
class Policy:
    """A policy: what `language.parse_policy` makes of a document."""

    statements: tuple[Statement, ...]
    id: str
    version: str
    denies: bool = field(init=False, repr=False, eq=False)
    """Whether any statement denies anything."""
    _candidates: dict[tuple[str, str | None, str], tuple[Candidates, Candidates]] = field(
        factory=dict, init=False, repr=False, eq=False
    )
    _shared: dict[tuple[int, ...], Candidates] = field(factory=dict, init=False, repr=False, eq=False)
    """Those of the same statements, by their identities: many callers and actions have them in common."""

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "denies", any(s.effect is Effect.DENY for s in self.statements))

    def about(self, action: str, identity: Identity | None) -> tuple[Candidates, Candidates]:
        """The statements that deny and those that allow something about an action to a caller, in their order.

        Which they are depends on who asks for what, not on the resource, so it is kept; a policy with a statement for
        each of many users costs no more than the one that is about the caller.
        """
        user_id, tenant = (None, "") if identity is None else (identity.user_id, identity.tenant)
        found = self._candidates.get((action, user_id, tenant))
        if found is None:
            having = [s for s in self.statements if action in s.actions and s.includes(identity)]
            found = (
                self._of(tuple(s for s in having if s.effect is Effect.DENY)),
                self._of(tuple(s for s in having if s.effect is Effect.ALLOW)),
            )
            if len(self._candidates) >= MAX_KEPT:
                self._forget()
            self._candidates[action, user_id, tenant] = found
        return found

    def _of(self, statements: tuple[Statement, ...]) -> Candidates:
        numbers = tuple(map(id, statements))
        found = self._shared.get(numbers)
        if found is None:
            found = Candidates(statements)
            if found.size + sum(other.size for other in self._shared.values()) > MAX_BEGINNINGS:
                self._forget()
            self._shared[numbers] = found
        return found

    def _forget(self) -> None:
        self._candidates.clear()
        self._shared.clear()
